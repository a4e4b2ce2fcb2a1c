"""The examples of the client's page and the guide run as they stand, and every method has one."""

from __future__ import annotations

import ast
import asyncio
import inspect
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from api_page import COMMANDS
from prisma_postgres_exporter import api
from prisma_postgres_exporter.simulator import (
    Simulator,
    VendorBehaviour,
    World,
    WorldShape,
    serve_simulator,
    system_clock,
)

GUIDE = Path(__file__).parents[2] / "deploy" / "guide" / "management-api.md"
PAGE = Path(api.__file__).parent / "README.md"


@asynccontextmanager
async def vendor(*, workspaces: int) -> AsyncIterator[tuple[str, World]]:
    world = World(shape=WorldShape(workspaces=workspaces), begins_at=system_clock() - timedelta(days=9))
    behaviour = VendorBehaviour(creation_takes=timedelta(seconds=0.2), restore_takes=timedelta(seconds=0.2))
    async with serve_simulator(Simulator(world, behaviour=behaviour).app) as url:
        yield url, world


async def test_the_examples_of_the_clients_page_run_in_their_order(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    async with vendor(workspaces=2) as (url, _):
        monkeypatch.setenv("PRISMA_POSTGRES_TOKEN", "simulator-token-1")
        monkeypatch.setenv("RECIPIENT_TOKEN", "simulator-token-2")
        monkeypatch.setenv("PRISMA_POSTGRES_API_URL", url)
        # In another thread: a client without `await` holds up the loop that it is called in.
        await asyncio.to_thread(asyncio.run, run_blocks(blocks))

    shown = capsys.readouterr().out
    assert "create_workspace 403 permission-denied" in shown
    assert "store" in shown
    assert "simulated-password" not in shown


async def run_blocks(blocks: list[str]) -> None:
    names: dict[str, Any] = {}
    for block in blocks:
        code = compile(block, str(PAGE), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        if inspect.iscoroutine(pending := eval(code, names)):
            await pending


def test_every_method_has_an_example() -> None:
    text = PAGE.read_text(encoding="utf-8")
    methods = {name for name, _ in inspect.getmembers(api.ManagementApi, inspect.isfunction) if name[0] != "_"}

    assert {name for name in methods - {"retire"} if f"api.{name}(" not in text} == set()


def test_every_command_of_the_table_is_an_operation() -> None:
    assert COMMANDS.keys() <= api.OPERATIONS.keys()


async def test_the_guides_example_runs_alone() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    example = text.partition("<!-- client-example -->\n```python\n")[2].partition("```")[0]
    async with vendor(workspaces=1) as (url, world):
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PRISMA_")}
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            example,
            env={**kept, "PRISMA_POSTGRES_TOKEN": "simulator-token-1", "PRISMA_POSTGRES_API_URL": url},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, problems = await process.communicate()

    assert (process.returncode, problems.decode()) == (0, "")
    assert "postgres://\n" in output.decode()
    assert "simulated-password" not in output.decode()
    assert "orders eu-central-1" in output.decode()
    assert [project.name for project in world.projects(system_clock())].count("shop") == 1
    assert "orders" not in {database.name for database in world.databases(system_clock())}
