"""The `api` commands in this process, as if they were typed, against a simulated vendor."""

from __future__ import annotations

import io
import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from time import sleep
from typing import Any

import pytest
from prepared import Prepared
from processes import Vendor

from prisma_postgres_exporter.cli import main
from prisma_postgres_exporter.model import Database
from prisma_postgres_exporter.simulator import Simulator, VendorBehaviour, World, WorldShape, system_clock

FIRST, SECOND, NOBODYS = "simulator-token-1", "simulator-token-2", "simulator-token-of-nobody"


CREATIONS = {
    "create_project": ("projects", "create", "made"),
    "create_database": ("databases", "create", "made", "--project", "PROJECT"),
    "create_connection": ("connections", "create", "made", "--database", "DATABASE"),
    "rotate_connection": ("connections", "rotate", "CONNECTION", "--yes"),
    "create_service_token": ("service-tokens", "create", "made"),
}
"""The commands whose answers hold secrets, by their method."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Standard output as JSON."""
        return json.loads(self.out)


@dataclass(frozen=True, slots=True)
class Terminal:
    """Types commands at a vendor, with the token of its first workspace unless others are set."""

    vendor: Vendor
    patch: pytest.MonkeyPatch
    capture: pytest.CaptureFixture[str]

    @property
    def world(self) -> World:
        """What exists."""
        return self.vendor.world

    def use(self, *tokens: str) -> None:
        """Type what follows with these tokens."""
        self.patch.setenv("PRISMA_POSTGRES_TOKEN", ",".join(tokens))

    def type(self, *words: str) -> Ended:
        """Type `prisma-postgres-exporter api …` with nobody there to answer questions."""
        self.patch.setattr(sys, "argv", ["prisma-postgres-exporter", "api", *words])
        self.patch.setattr(sys, "stdin", io.StringIO())
        self.capture.readouterr()
        with pytest.raises(SystemExit) as caught:
            main()
        shown = self.capture.readouterr()
        return Ended(int(caught.value.code or 0), shown.out, shown.err)

    def json(self, *words: str) -> Any:
        """Type a command with `--json`, which must succeed, and return its `data`."""
        ended = self.type(*words, "--json")
        assert ended.code == 0, ended.err
        return ended.document["data"]

    def names(self, *words: str) -> list[str]:
        """Return the names in a list."""
        return [row["name"] for row in self.json(*words)]

    def default_id(self) -> str:
        """Return the id of a default database of the first workspace."""
        return next(held.id for held in self._held() if held.is_default)

    def other_id(self) -> str:
        """Return the id of a database of the first workspace that is not a default one."""
        return next(held.id for held in self._held() if not held.is_default)

    def _held(self) -> tuple[Database, ...]:
        return self.world.databases(system_clock(), workspace_id=self.world.tokens[FIRST])


@contextmanager
def terminal_vendor() -> Iterator[Vendor]:
    """Run a vendor with two workspaces where restoring takes a second."""
    world = World(
        seed=5,
        shape=WorldShape(workspaces=2, projects_per_workspace=2, databases=12, idle_share=0),
        begins_at=system_clock() - timedelta(days=30),
    )
    behaviour = VendorBehaviour(restore_takes=timedelta(seconds=1))
    running = Vendor(Simulator(world, system_clock, behaviour=behaviour))
    running.start()
    try:
        yield running
    finally:
        running.stop()


def interrupted(terminal: Terminal, number: signal.Signals, call: str, *words: str) -> tuple[int, str, str]:
    """Type a command, and send it a signal when it has made a call."""
    running = started(*words, PRISMA_POSTGRES_TOTAL_TIMEOUT="60s")
    while not terminal.vendor.simulator.requests[call] and running.poll() is None:
        sleep(0.01)
    running.send_signal(number)
    assert running.stdout is not None
    assert running.stderr is not None
    with running.stdout as output, running.stderr as errors:
        # Neither is so long that it would fill a pipe.
        return running.wait(60), output.read(), errors.read()


def started(*words: str, stdout: int | None = None, **environ: str) -> Prepared:
    """Type a command that runs beside this, with this environment, but that its output is buffered as it mostly is."""
    ours = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    arguments = ("api", *words)
    return Prepared(arguments, cwd=Path.cwd(), environ={**ours, **environ}, separate=True, stdout=stdout)


def creation(terminal: Terminal, method: str) -> list[str]:
    """Return what is typed for one of the `CREATIONS`."""
    project, database = terminal.world.projects(system_clock())[0].id, terminal.other_id()
    known = {"PROJECT": project, "DATABASE": database, "CONNECTION": database.replace("db_", "con_")}
    return [known.get(word, word) for word in CREATIONS[method]]
