"""The exposition: rendered when the snapshot changes, served as the same bytes to everyone."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from enum import Enum
from itertools import chain
from typing import TypeVar

from prisma_postgres_exporter.cost import BudgetState
from prisma_postgres_exporter.expose.created import beginnings, with_created
from prisma_postgres_exporter.expose.families import BUDGETS, DATABASES, WORKSPACES, Subject
from prisma_postgres_exporter.expose.health import ExporterHealth
from prisma_postgres_exporter.expose.lines import Family, opened_labels
from prisma_postgres_exporter.expose.parts import Body, Part, gzip_body, make_part, plain_body
from prisma_postgres_exporter.snapshot import DatabaseView, Snapshot, WorkspaceView

V = TypeVar("V")
AnyFamily = Family[DatabaseView] | Family[WorkspaceView] | Family[BudgetState]


class Format(Enum):
    """What a body is written in; the value is its Content-Type."""

    TEXT = "text/plain; version=0.0.4; charset=utf-8"
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


class Exposition:
    """Every body that a scrape can ask for.

    Reading takes no lock and waits for nothing. `render` is called by one thread at a time;
    `refresh_health` may be called from any thread. With `has_created` OpenMetrics says since when counters of databases
    count.
    """

    def __init__(self, health: ExporterHealth, *, has_created: bool = False) -> None:
        self._health = health
        self._has_created = has_created
        self._publishing = threading.Lock()
        self._lines: dict[str, Part] = {}
        self._parts: dict[Format, tuple[Part, ...]] = dict.fromkeys(Format, ())
        self._samples = 0
        self._bodies: dict[tuple[Format, bool], Body] = {}
        self.refresh_health()

    def body(self, exposition_format: Format, *, is_gzip: bool) -> Body:
        """The current body; it stays whole however long it takes to send."""
        return self._bodies[exposition_format, is_gzip]

    def snapshot_text(self) -> bytes:
        """The snapshot in text 0.0.4 without the exporter's own health.

        For node_exporter's textfile collector, which refuses families that it has itself (`process_*`).
        """
        return plain_body(self._parts[Format.TEXT]).joined()

    def render(self, snapshot: Snapshot) -> None:
        """Show this snapshot from now on. Slow: for a worker thread."""
        lines: dict[str, Part] = {}
        parts: dict[Format, list[Part]] = {exposition_format: [] for exposition_format in Format}
        samples = 0
        # One family after the other, and only its bytes are kept: all of them as text would be as much again.
        drawn: Iterator[tuple[AnyFamily, bytes]] = chain(
            _drawn(DATABASES, snapshot.databases),
            _drawn(WORKSPACES, snapshot.workspaces),
            _drawn(BUDGETS, snapshot.budgets),
        )
        began = beginnings(snapshot) if self._has_created else None
        for family, plain in drawn:
            before = self._lines.get(family.name)
            # Compressing takes as long as formatting, and many families change seldom.
            part = before if before is not None and before.plain == plain else make_part(plain)
            lines[family.name] = part
            samples += plain.count(b"\n")
            if plain:
                for exposition_format, shown in parts.items():
                    is_openmetrics = exposition_format is Format.OPENMETRICS
                    header = family.header(is_openmetrics=is_openmetrics)
                    shown.extend((make_part(header), part))
                    if began is not None and is_openmetrics and family.kind == "counter":
                        shown[-1] = make_part(with_created(family.name, plain, began))
        self._lines = lines
        with self._publishing:
            self._parts = {exposition_format: tuple(shown) for exposition_format, shown in parts.items()}
            self._samples = samples
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


def _drawn(subject: Subject[V], views: Sequence[V]) -> Iterator[tuple[Family[V], bytes]]:
    """Every family of a subject with its lines."""
    opened = [opened_labels(subject.labels, subject.identify(view)) for view in views]
    for family in subject.families:
        yield family, "".join(family.draw(views, opened)).encode()
