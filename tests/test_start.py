"""A command loads what it needs: counted in modules, which do not depend on the machine."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

WEB = {"apscheduler", "fastapi", "jinja2", "starlette", "uvicorn"}
CLIENT = {"aiohttp", "httpx", "httpx_aiohttp"}
SIMULATOR = "prisma_postgres_exporter.simulator"
LATER = """
import json, sys
from prisma_postgres_exporter.cli import main
try:
    main()
except SystemExit as ended:
    assert not ended.code, ended.code
sys.stderr.write(json.dumps(sorted(sys.modules)))
"""


def loaded(*arguments: str) -> set[str]:
    """Every module that is loaded once a command line has been obeyed."""
    command = [sys.executable, "-c", LATER, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={"NO_COLOR": "1"} | _environment())
    return set(json.loads(done.stderr))


def _environment() -> dict[str, str]:
    return {"PYTHONPATH": ":".join(path for path in sys.path if path)}


def test_the_version_is_told_without_loading_the_program() -> None:
    modules = loaded("--version")

    assert len(modules) < 200
    assert not modules & {"pydantic", "rich", "sqlalchemy", "structlog", "yaml", *WEB, *CLIENT}
    ours = {name for name in modules if name.startswith("prisma_postgres_exporter")}
    assert ours == {f"prisma_postgres_exporter{room}" for room in ("", ".cli", ".errors")}


def test_a_report_loads_neither_the_client_nor_the_web() -> None:
    modules = loaded("cost", "--help")

    assert len(modules) < 750
    assert not modules & {*WEB, *CLIENT}
    assert SIMULATOR not in modules


@pytest.mark.parametrize(
    "command",
    ["serve", "demo", "collect", "top", "report", "compare", "export", "backfill", "check", "doctor", "simulator"],
)
def test_the_help_of_a_command_does_not_load_what_it_would_run(command: str) -> None:
    modules = loaded(command, "--help")

    assert not modules & {*WEB, *CLIENT}
    assert SIMULATOR not in modules


def test_the_service_runs_without_the_simulator() -> None:
    names = "Service, collect_once, examine, open_backfill, read_month"
    program = f"import sys; from prisma_postgres_exporter.service import {names}; print({SIMULATOR!r} in sys.modules)"
    command = [sys.executable, "-c", program]
    told = subprocess.run(command, capture_output=True, text=True, check=True, env=_environment()).stdout
    assert told.strip() == "False"
