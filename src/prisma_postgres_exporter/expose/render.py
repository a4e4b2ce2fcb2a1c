"""The exposition: rendered when the picture changes, served as the same bytes to everyone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from enum import Enum
from typing import TypeVar

from prisma_postgres_exporter.cost import BudgetState
from prisma_postgres_exporter.expose.families import BUDGETS, DATABASES, WORKSPACES
from prisma_postgres_exporter.expose.health import ExporterHealth
from prisma_postgres_exporter.expose.parts import Body, Part, gzip_body, make_part, plain_body
from prisma_postgres_exporter.expose.sheet import Sheet, empty_sheet, redraw
from prisma_postgres_exporter.snapshot import DatabaseView, Snapshot, WorkspaceView

V = TypeVar("V")


class Format(Enum):
    """What a body is written in; the value is its Content-Type."""

    TEXT = "text/plain; version=0.0.4; charset=utf-8"
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


class Exposition:
    """Every body that a scrape can ask for.

    Reading takes no lock and waits for nothing. `render` is called by one thread at a time;
    `refresh_health` may be called from any thread.
    """

    def __init__(self, health: ExporterHealth) -> None:
        self._health = health
        self._publishing = threading.Lock()
        self._databases: Sheet[DatabaseView] = empty_sheet(DATABASES)
        self._workspaces: Sheet[WorkspaceView] = empty_sheet(WORKSPACES)
        self._budgets: Sheet[BudgetState] = empty_sheet(BUDGETS)
        self._parts: dict[Format, tuple[Part, ...]] = dict.fromkeys(Format, ())
        self._samples = 0
        self._bodies: dict[tuple[Format, bool], Body] = {}
        self.refresh_health()

    def body(self, exposition_format: Format, *, is_gzip: bool) -> Body:
        """The current body; it stays whole however long it takes to send."""
        return self._bodies[exposition_format, is_gzip]

    def picture_text(self) -> bytes:
        """The picture in text 0.0.4 without the exporter's own health.

        For node_exporter's textfile collector, which refuses families that it has itself (`process_*`).
        """
        return plain_body(self._parts[Format.TEXT]).joined()

    def render(self, snapshot: Snapshot) -> None:
        """Show this picture from now on. Slow: for a worker thread."""
        databases = redraw(self._databases, snapshot.databases)
        workspaces = redraw(self._workspaces, snapshot.workspaces)
        budgets = redraw(self._budgets, snapshot.budgets)
        parts = {
            exposition_format: (
                *_parts(exposition_format, databases),
                *_parts(exposition_format, workspaces),
                *_parts(exposition_format, budgets),
            )
            for exposition_format in Format
        }
        samples = sum([column.samples for column in (*databases.columns, *workspaces.columns, *budgets.columns)])
        self._databases, self._workspaces, self._budgets = databases, workspaces, budgets
        with self._publishing:
            self._parts, self._samples = parts, samples
            self._publish()

    def refresh_health(self) -> None:
        """Show the exporter's own health as it is now. Cheap: a few milliseconds."""
        with self._publishing:
            self._publish()

    def _publish(self) -> None:
        health = self._health.text(self._samples)
        bodies = {}
        for exposition_format, own in ((Format.TEXT, health.text), (Format.OPENMETRICS, health.openmetrics)):
            parts = (*self._parts[exposition_format], make_part(own))
            bodies[exposition_format, False] = plain_body(parts)
            bodies[exposition_format, True] = gzip_body(parts)
        self._bodies = bodies


def _parts(exposition_format: Format, sheet: Sheet[V]) -> Iterator[Part]:
    """Header and lines of every family that has a sample."""
    is_openmetrics = exposition_format is Format.OPENMETRICS
    for family, column in zip(sheet.subject.families, sheet.columns, strict=True):
        if column.samples:
            yield make_part(family.header(is_openmetrics=is_openmetrics))
            yield column.part
