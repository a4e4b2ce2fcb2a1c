"""The vendor's own command line works against the simulator as it is, and reads the numbers that we read.

The lock file puts an empty package in the place of what only `deploy` and `dev` load: it is a gigabyte.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from vendor_types import installed

from prisma_postgres_exporter.api import ManagementApi
from prisma_postgres_exporter.simulator import ManualClock, Simulator, World, WorldShape, serve_simulator

LOCK = Path(__file__).parent / "vendor_cli"
NOW = datetime(2026, 11, 17, 13, 37, 11, 250_000, tzinfo=UTC)


@dataclass
class Terminal:
    """A shell in an empty directory, with the two variables that the vendor documents."""

    program: Path
    folder: Path
    simulator: Simulator
    url: str

    @property
    def token(self) -> str:
        return self.simulator.world.service_token(self.workspace_id)

    @property
    def workspace_id(self) -> str:
        return next(iter(self.simulator.world.registry.workspaces))

    async def run(self, *arguments: str, exit_code: int = 0) -> Any:
        """The result that a command tells as JSON."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PRISMA_")}
        process = await asyncio.create_subprocess_exec(
            *("node", str(self.program), *arguments, "--json", "--no-interactive"),
            cwd=self.folder,
            env={
                **kept,
                "HOME": str(self.folder),
                "XDG_CONFIG_HOME": str(self.folder),
                "DO_NOT_TRACK": "1",
                "PRISMA_DISABLE_TELEMETRY": "1",
                "PRISMA_MANAGEMENT_API_URL": self.url,
                "PRISMA_SERVICE_TOKEN": self.token,
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        told, complaints = await process.communicate()
        assert process.returncode == exit_code, (told, complaints)
        envelope = json.loads(told)["envelope"]
        return envelope["result"] if exit_code == 0 else envelope["error"]


@pytest.fixture(scope="session")
def program(pytestconfig: pytest.Config, contract: object) -> Path:
    """The installed command line; `contract` says what happens where npm is missing."""
    sources = [LOCK / "package.json", LOCK / "package-lock.json"]
    folder = installed(
        pytestconfig.cache.mkdir("contract"), sources, "--legacy-peer-deps", "--omit=optional", then=lambda _: None
    )
    return folder / "node_modules" / ".bin" / "prisma-cli"


@pytest.fixture
async def terminal(program: Path, tmp_path: Path) -> AsyncIterator[Terminal]:
    shape = WorldShape(workspaces=2, projects_per_workspace=2, databases=12, plans=("Pro",), idle_share=0)
    world = World(seed=3, shape=shape, begins_at=NOW - timedelta(days=60))
    simulator = Simulator(world, ManualClock(NOW))
    async with serve_simulator(simulator.app) as url:
        yield Terminal(program, tmp_path, simulator, url)


async def test_it_lists_what_is_there(terminal: Terminal) -> None:
    world, workspace_id = terminal.simulator.world, terminal.workspace_id
    projects = [project for project in world.projects(NOW) if project.workspace_id == workspace_id]
    world.registry.add_branch(projects[0].id, "main", world.live_until(NOW))

    identity = await terminal.run("auth", "whoami")
    assert (identity["authenticated"], identity["verified"], identity["source"]) == (True, True, "environment")
    assert identity["workspace"]["id"] == workspace_id.removeprefix("wksp_")
    listed = await terminal.run("project", "list")
    assert {entry["id"] for entry in listed["items"]} == {project.id for project in projects}
    databases = await terminal.run("postgres", "list", "--project", projects[0].id)
    held = [database for database in world.databases(NOW) if database.project_id == projects[0].id]
    assert {(entry["id"], entry["name"], entry["status"], entry["region"]) for entry in databases["databases"]} == {
        (database.id, database.name, "ready", database.region) for database in held
    }
    branches = await terminal.run("branch", "list", "--project", projects[0].id)
    assert [(branch["name"], branch["role"]) for branch in branches["branches"]] == [("main", "production")]


async def test_it_reads_the_numbers_that_we_read(terminal: Terminal) -> None:
    database = terminal.simulator.world.databases(NOW, workspace_id=terminal.workspace_id)[0]
    chosen = (database.id, "--project", database.project_id)
    start_at, end_at = datetime(2026, 11, 3, tzinfo=UTC), datetime(2026, 11, 5, tzinfo=UTC) - timedelta(milliseconds=1)
    theirs = await terminal.run("postgres", "usage", *chosen)
    theirs_of_days = await terminal.run("postgres", "usage", *chosen, "--from", "2026-11-03", "--to", "2026-11-04")
    backups = await terminal.run("postgres", "backup", "list", *chosen)
    async with ManagementApi(terminal.token, base_url=terminal.url) as api:
        ours = await api.usage(database.id)
        ours_of_days = await api.usage(database.id, start_at=start_at, end_at=end_at)
        our_backups = (await api.backups(database.id)).entries

    assert ours.operations
    for told, read in ((theirs, ours), (theirs_of_days, ours_of_days)):
        assert told["metrics"]["operations"]["used"] == read.operations
        assert told["metrics"]["storage"]["used"] * 2**30 == read.storage_bytes
        assert datetime.fromisoformat(told["period"]["start"]) == read.period_start_at
        assert datetime.fromisoformat(told["period"]["end"]) == read.period_end_at
    assert [(backup["id"], backup["size"]) for backup in backups["backups"]] == [
        (backup.id, backup.size) for backup in our_backups
    ]


@pytest.mark.slow
async def test_it_creates_connects_restores_and_deletes(terminal: Terminal) -> None:
    world = terminal.simulator.world
    default = next(held for held in world.databases(NOW, workspace_id=terminal.workspace_id) if held.is_default)
    project = ("--project", default.project_id)

    made = await terminal.run("postgres", "create", "shop", *project, "--region", "eu-west-3")
    assert made["connectionString"].startswith("postgres://")
    id_ = made["database"]["id"]
    assert (await terminal.run("postgres", "show", id_, *project))["database"]["region"] == "eu-west-3"
    added = await terminal.run("postgres", "connection", "create", id_, *project, "--name", "application")
    assert added["connectionString"].startswith("postgres://")
    connection_id = added["connection"]["id"]
    rotated = await terminal.run("postgres", "connection", "rotate", connection_id, "--confirm", connection_id)
    assert rotated["connectionString"] != added["connectionString"]
    listed = await terminal.run("postgres", "connection", "list", id_, *project)
    assert [held["name"] for held in listed["connections"]] == ["default", "application"]
    await terminal.run("postgres", "connection", "delete", connection_id, "--confirm", connection_id)
    (backup, *_) = (await terminal.run("postgres", "backup", "list", default.id, *project))["backups"]
    source = ("--backup", backup["id"], "--source-database", default.id)
    restored = await terminal.run("postgres", "backup", "restore", id_, *project, *source, "--confirm", id_)
    assert restored["database"]["status"] == "recovering"
    await terminal.run("postgres", "delete", id_, *project, "--confirm", id_)
    assert world.database(id_, NOW) is None
    refused = await terminal.run("postgres", "delete", default.id, *project, "--confirm", default.id, exit_code=2)
    assert refused["meta"] == {"status": 403, "apiCode": "permission-denied"}
