"""What is drawn, family by family, and the part of it that belongs to some workspaces: slices, no copies."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import accumulate, groupby

from prisma_postgres_exporter.expose.parts import Body, Message, Part, gzip_pieces

NO_WORKSPACE = "none"
"""Names, among the workspaces of a selection, what belongs to none: budgets, and the exporter's own health."""

END_OF_OPENMETRICS = b"# EOF\n"


class Format(Enum):
    """What a body is written in; the value is its Content-Type."""

    TEXT = "text/plain; version=0.0.4; charset=utf-8"
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """The neighbours of one workspace among the views of a subject: where each run ends, and which are whose."""

    ends: tuple[int, ...]
    by_workspace: Mapping[str, Sequence[int]]


def runs_of(workspaces: Iterable[str]) -> Runs:
    """The runs of views whose workspaces are these, in their order."""
    ends: list[int] = []
    by_workspace: dict[str, list[int]] = {}
    for workspace, run in groupby(workspaces):
        by_workspace.setdefault(workspace, []).append(len(ends))
        ends.append((ends[-1] if ends else 0) + sum(1 for _ in run))
    return Runs(ends=tuple(ends), by_workspace=by_workspace)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """The lines of a family in one format, and where in them those of each run end, in bytes."""

    part: Part
    ends: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """One family: its headers and lines by format, and whose the lines are."""

    headers: Mapping[Format, Part]
    lines: Mapping[Format, Lines]
    runs: Runs

    def pieces(self, workspaces: Collection[str], exposition_format: Format) -> Iterator[Message]:
        """Header and lines of these workspaces, in the order of the whole; nothing where they have no line."""
        chosen = sorted(run for workspace in workspaces for run in self.runs.by_workspace.get(workspace, ()))
        shown = self.lines[exposition_format]
        spans = [(shown.ends[run - 1] if run else 0, shown.ends[run]) for run in chosen]
        if any(start < end for start, end in spans):
            yield self.headers[exposition_format].plain
            lines = memoryview(shown.part.plain)
            yield from (lines[start:end] for start, end in _joined(spans) if start < end)


def drawn_lines(lines: Sequence[str], runs: Runs) -> tuple[bytes, tuple[int, ...]]:
    """The lines of every view as bytes, and where those of each run end."""
    starts = (0, *runs.ends)
    encoded = ["".join(lines[start:end]).encode() for start, end in zip(starts, runs.ends, strict=False)]
    return b"".join(encoded), tuple(accumulate(map(len, encoded)))


def _joined(spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The spans, those that touch as one."""
    held: tuple[int, int] | None = None
    for start, end in spans:
        if held is not None and held[1] == start:
            held = held[0], end
            continue
        if held is not None:
            yield held
        held = start, end
    if held is not None:
        yield held


@dataclass(slots=True, kw_only=True)
class Drawing:
    """All families of one snapshot, and the workspaces in it, by id their names.

    What is compressed for a selection is kept for the next who asks for it, together at most as many bytes as
    `kept_bytes`.
    """

    families: tuple[Drawn, ...] = ()
    workspaces: Mapping[str, str] = field(default_factory=dict)
    kept_bytes: int = 0
    _kept: OrderedDict[tuple[frozenset[str], Format, bytes], Body] = field(default_factory=OrderedDict)
    _making: threading.Lock = field(default_factory=threading.Lock)

    def pieces(self, workspaces: Collection[str], exposition_format: Format) -> Iterator[Message]:
        """What belongs to these workspaces, without the format's end."""
        for drawn in self.families:
            yield from drawn.pieces(workspaces, exposition_format)

    def gzip(
        self, workspaces: frozenset[str], exposition_format: Format, own: bytes, pieces: Callable[[], Iterable[Message]]
    ) -> Body:
        """The selection compressed, made of `pieces` where it is not there yet with this at its end; one at a time."""
        key = workspaces, exposition_format, own
        with self._making:
            body = self._kept.get(key)
            if body is None:
                body = self._kept[key] = gzip_pieces(pieces())
                while sum(kept.length for kept in self._kept.values()) > self.kept_bytes and len(self._kept) > 1:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(key)
            return body
