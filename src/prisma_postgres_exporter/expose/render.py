"""The exposition: rendered when the snapshot changes, served as the same bytes to everyone."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, chain
from typing import TypeVar

from prisma_postgres_exporter.cost import BudgetState
from prisma_postgres_exporter.expose.created import beginnings, with_created
from prisma_postgres_exporter.expose.families import BUDGETS, DATABASES, WORKSPACES, Subject
from prisma_postgres_exporter.expose.health import ExporterHealth
from prisma_postgres_exporter.expose.lines import Family, opened_labels
from prisma_postgres_exporter.expose.own import HealthText
from prisma_postgres_exporter.expose.parts import (
    Body,
    Message,
    Part,
    gzip_body,
    gzip_pieces,
    make_part,
    plain_body,
    plain_pieces,
)
from prisma_postgres_exporter.expose.selection import (
    NO_WORKSPACE,
    Drawing,
    Drawn,
    Format,
    Lines,
    Runs,
    drawn_lines,
    runs_of,
)
from prisma_postgres_exporter.snapshot import DatabaseView, Snapshot, WorkspaceView

V = TypeVar("V")
AnyFamily = Family[DatabaseView] | Family[WorkspaceView] | Family[BudgetState]


class Exposition:
    """Every body that a scrape can ask for.

    Reading the whole takes no lock and waits for nothing. `render` is called by one thread at a time;
    `refresh_health` and `part` may be called from any thread. With `has_created` OpenMetrics says since when counters
    of databases count.
    """

    def __init__(self, health: ExporterHealth, *, has_created: bool = False) -> None:
        self._health = health
        self._has_created = has_created
        self._publishing = threading.Lock()
        self._lines: dict[str, Part] = {}
        self._drawing = Drawing()
        self._samples = 0
        self._bodies: dict[tuple[Format, bool], Body] = {}
        self._own = HealthText(families=(), samples=0)
        self.refresh_health()

    @property
    def workspaces(self) -> Mapping[str, str]:
        """The workspaces that are shown, by id their names; of one that only the own families know it is empty."""
        return dict.fromkeys(self._own.workspaces, "") | dict(self._drawing.workspaces)

    @property
    def samples(self) -> int:
        """How many samples the whole has, the exporter's own included."""
        with self._publishing:
            return self._samples + self._own.samples

    def body(self, exposition_format: Format, *, is_gzip: bool) -> Body:
        """The current body; it stays whole however long it takes to send."""
        return self._bodies[exposition_format, is_gzip]

    def part(self, workspaces: frozenset[str], exposition_format: Format, *, is_gzip: bool) -> Body:
        """What the current body has of these workspaces, byte for byte. Not quick: for a worker thread.

        With `NO_WORKSPACE` among them also what belongs to none: budgets, and the exporter's own health but for the
        lines that name a workspace or its credential.
        """
        with self._publishing:
            drawing, health = self._drawing, self._own
        own = health.part(workspaces, exposition_format)

        def pieces() -> Iterator[Message]:
            return chain(drawing.pieces(workspaces, exposition_format), [own] if own else [])

        if not is_gzip:
            return plain_pieces(pieces())
        # What belongs to no workspace is another one every few seconds.
        if NO_WORKSPACE in workspaces:
            return gzip_pieces(pieces())
        return drawing.gzip(workspaces, exposition_format, own, pieces)

    def snapshot_text(self) -> bytes:
        """The snapshot in text 0.0.4 without the exporter's own health.

        For node_exporter's textfile collector, which refuses families that it has itself (`process_*`).
        """
        return plain_body(_parts(self._drawing, Format.TEXT)).joined()

    def render(self, snapshot: Snapshot) -> None:
        """Show this snapshot from now on. Slow: for a worker thread."""
        lines: dict[str, Part] = {}
        families: list[Drawn] = []
        samples = 0
        databases = runs_of(view.workspace_id for view in snapshot.databases)
        workspaces = runs_of(view.workspace_id for view in snapshot.workspaces)
        budgets = runs_of(NO_WORKSPACE for _ in snapshot.budgets)
        # One family after the other, and only its bytes are kept: all of them as text would be as much again.
        drawn: Iterator[tuple[AnyFamily, bytes, Runs, tuple[int, ...]]] = chain(
            _drawn(DATABASES, snapshot.databases, databases),
            _drawn(WORKSPACES, snapshot.workspaces, workspaces),
            _drawn(BUDGETS, snapshot.budgets, budgets),
        )
        began = beginnings(snapshot) if self._has_created else None
        for family, plain, runs, ends in drawn:
            before = self._lines.get(family.name)
            # Compressing takes as long as formatting, and many families change seldom.
            part = before if before is not None and before.plain == plain else make_part(plain)
            lines[family.name] = part
            samples += plain.count(b"\n")
            if plain:
                shown = Lines(part=part, ends=ends)
                openmetrics = shown
                if began is not None and family.kind == "counter":
                    openmetrics = _with_beginnings(family.name, shown, began)
                lines_by_format = {Format.TEXT: shown, Format.OPENMETRICS: openmetrics}
                families.append(Drawn(headers=_headers(family), lines=lines_by_format, runs=runs))
        self._lines = lines
        drawing = Drawing(
            families=tuple(families),
            workspaces={view.workspace_id: view.workspace_name for view in snapshot.databases}
            | {view.workspace_id: view.workspace_name for view in snapshot.workspaces},
            kept_bytes=sum(len(part.deflated) for part in lines.values()),
        )
        with self._publishing:
            self._drawing = drawing
            self._samples = samples
            self._publish()

    def refresh_health(self) -> None:
        """Show the exporter's own health as it is now. Cheap: a few milliseconds."""
        with self._publishing:
            self._publish()

    def _publish(self) -> None:
        own = self._health.text(self._samples)
        bodies = {}
        for exposition_format in Format:
            parts = (*_parts(self._drawing, exposition_format), make_part(own.part(None, exposition_format)))
            bodies[exposition_format, False] = plain_body(parts)
            bodies[exposition_format, True] = gzip_body(parts)
        self._bodies, self._own = bodies, own


def _parts(drawing: Drawing, exposition_format: Format) -> tuple[Part, ...]:
    return tuple(
        part
        for drawn in drawing.families
        for part in (drawn.headers[exposition_format], drawn.lines[exposition_format].part)
    )


def _with_beginnings(name: str, shown: Lines, began: Mapping[str, str]) -> Lines:
    starts = (0, *shown.ends)
    runs = [shown.part.plain[start:end] for start, end in zip(starts, shown.ends, strict=False)]
    told = [with_created(name, run, began) for run in runs]
    return Lines(part=make_part(b"".join(told)), ends=tuple(accumulate(map(len, told))))


def _headers(family: AnyFamily) -> Mapping[Format, Part]:
    return {
        exposition_format: make_part(family.header(is_openmetrics=exposition_format is Format.OPENMETRICS))
        for exposition_format in Format
    }


def _drawn(
    subject: Subject[V], views: Sequence[V], runs: Runs
) -> Iterator[tuple[Family[V], bytes, Runs, tuple[int, ...]]]:
    """Every family of a subject with its lines, and where those of each run end."""
    opened = [opened_labels(subject.labels, subject.identify(view)) for view in views]
    sums = [number for number, view in enumerate(views) if isinstance(view, DatabaseView) and view.is_sum]
    for family in subject.families:
        lines = family.draw(views, opened)
        for number in sums if not family.is_summed else ():
            lines[number] = ""
        plain, ends = drawn_lines(lines, runs)
        yield family, plain, runs, ends
