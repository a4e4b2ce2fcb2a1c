"""A command loads what it needs: counted in modules, which do not depend on the machine."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from prisma_postgres_exporter.cli import COMMANDS

WEB = {"apscheduler", "fastapi", "jinja2", "starlette", "uvicorn"}
CLIENT = {"aiohttp", "httpx", "httpx_aiohttp"}
PACKAGE = "prisma_postgres_exporter"
SIMULATOR = f"{PACKAGE}.simulator"
LATER_ONLY = {*WEB, *CLIENT, SIMULATOR, f"{PACKAGE}.api", f"{PACKAGE}.store", "sqlalchemy", "structlog"}
"""What a command loads when it runs, not for its help."""
LATER = """
import json, sys
from prisma_postgres_exporter.cli import main
try:
    main()
except SystemExit as ended:
    assert not ended.code, ended.code
sys.stderr.write(json.dumps(sorted(sys.modules)))
"""
EVERY_HELP = """
import json, sys, typer
from prisma_postgres_exporter.cli import app

def tell(command, path, parent=None):
    context = typer.Context(command, info_name=path[-1] if path else None, parent=parent)
    command.get_help(context)
    inner = getattr(command, "commands", {})
    return [name for key in inner for name in tell(inner[key], [*path, key], context)] or [" ".join(path)]

print(json.dumps({"commands": tell(typer.main.get_command(app), []), "modules": sorted(sys.modules)}))
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
    ours = {name for name in modules if name.startswith(PACKAGE)}
    assert ours == {f"{PACKAGE}{room}" for room in ("", ".cli", ".cli.terminal", ".descriptors", ".errors", ".words")}


def test_the_help_of_all_commands_is_told_without_loading_any() -> None:
    modules = loaded("--help")

    assert len(modules) < 200
    assert not modules & {"pydantic", *LATER_ONLY}
    ours = {name for name in modules if name.startswith(f"{PACKAGE}.cli.")}
    assert ours == {f"{PACKAGE}.cli.terminal"}


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_does_not_load_what_it_would_run(command: str) -> None:
    modules = loaded(command, "--help")

    assert len(modules) < 500
    assert not modules & LATER_ONLY


def test_no_help_at_any_depth_loads_what_a_command_would_run() -> None:
    """Every help in one process: what any of them loads is there in the end."""
    command = [sys.executable, "-c", EVERY_HELP]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=_environment())
    told = json.loads(done.stdout)

    assert {"api databases list", "store check", "top"} <= set(told["commands"])
    assert len(told["modules"]) < 600
    assert not set(told["modules"]) & LATER_ONLY


def test_the_line_of_each_command_is_whole_at_80_columns() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", PACKAGE, "--help"],
        capture_output=True,
        text=True,
        check=True,
        env=_environment() | {"COLUMNS": "80"},
    ).stdout.splitlines()

    width = max(map(len, COMMANDS))
    assert shown[-len(COMMANDS) :] == [f"  {name:<{width}}  {line}" for name, line in COMMANDS.items()]


@pytest.mark.slow
def test_the_service_runs_without_the_simulator() -> None:
    names = "Service, collect_once, examine, open_backfill, read_month"
    program = f"import sys; from prisma_postgres_exporter.service import {names}; print({SIMULATOR!r} in sys.modules)"
    command = [sys.executable, "-c", program]
    told = subprocess.run(command, capture_output=True, text=True, check=True, env=_environment()).stdout
    assert told.strip() == "False"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["collect_once", "examine", "open_backfill", "read_month"])
def test_what_runs_once_does_not_load_what_answers_questions(name: str) -> None:
    program = f"import sys; from prisma_postgres_exporter.service import {name}; print('fastapi' in sys.modules)"
    command = [sys.executable, "-c", program]
    told = subprocess.run(command, capture_output=True, text=True, check=True, env=_environment()).stdout
    assert told.strip() == "False"
