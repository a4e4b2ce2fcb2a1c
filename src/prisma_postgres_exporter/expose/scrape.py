"""One scrape of this exporter as numbers: what is pushed is what /metrics shows, read from its very text."""

from __future__ import annotations

import math
import re
import struct
import zlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

from prisma_postgres_exporter.expose.cap import OTHER
from prisma_postgres_exporter.expose.created import DATABASE, beginnings
from prisma_postgres_exporter.expose.parts import Message
from prisma_postgres_exporter.snapshot import Snapshot

(STALE,) = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))
"""What Prometheus takes for "there is no such series any more"; nothing that is shown is ever NaN.

https://prometheus.io/docs/specs/prw/remote_write_spec/#stale-markers
"""

MOST_SAMPLES = 2_000
"""So many samples, and the rest of a histogram, are sent at once."""

_NEWS_SECONDS = 1_800
_LABEL = re.compile(r'([A-Za-z_][A-Za-z0-9_]*)="((?:[^"\\]|\\.)*)"')
_ESCAPED = re.compile(r"\\(.)")
_OWN = ("prisma_postgres_exporter_", "process_")
_WORKSPACE = re.compile(r'[{,]workspace_id="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True, slots=True)
class Family:
    """A family as it is shown, with the place of its samples in the scrape."""

    name: str
    kind: str
    help: str
    start: int
    end: int


class Sample(NamedTuple):
    """One number: `key` is name and labels as they are shown, `started_at` since when a counter counts (Unix seconds).

    With `is_new` a counter began not long ago, at 0, and was never shown before.
    """

    key: str
    value: float
    started_at: float | None = None
    is_new: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Scrape:
    """What was shown at `at`; a series that was shown before and is no more has one last sample, `STALE`.

    Kept small, as many may wait: `keys` are shared with the scrape before, and the values are compressed. `young` are
    the counters that began not long ago and were shown, now or before, with the instant of their beginning: under
    whatever labels, as a database may move.
    """

    at: datetime
    keys: tuple[str, ...]
    packed: tuple[bytes, ...]
    families: tuple[Family, ...]
    began: Mapping[str, str]
    own_started_at: float
    new_keys: frozenset[str]
    young: Mapping[str, float]
    cuts: tuple[int, ...]
    shares_keys: bool

    @property
    def at_ms(self) -> int:
        """The instant in milliseconds since 1970."""
        return int(self.at.timestamp() * 1000)

    @property
    def size_bytes(self) -> int:
        """What it takes in memory, about, besides what it shares."""
        return sum(map(len, self.packed)) + (0 if self.shares_keys else 8 * len(self.keys))

    @property
    def chunks(self) -> int:
        """In how many requests it is sent."""
        return len(self.packed)

    def samples_of(self, chunk: int) -> int:
        """How many samples a chunk has."""
        return self.cuts[chunk + 1] - self.cuts[chunk]

    def chunk(self, number: int) -> Iterator[tuple[Family, Sequence[Sample]]]:
        """The families of a chunk with their samples in it."""
        values = _unpacked(self.packed[number])
        start, end = self.cuts[number], self.cuts[number + 1]
        for family in self.families:
            first, last = max(start, family.start), min(end, family.end)
            if first < last:
                pairs = zip(self.keys[first:last], values[first - start : last - start], strict=True)
                yield family, [self._sample(family, *pair) for pair in pairs]

    def live(self) -> Iterator[tuple[Family, tuple[str, ...]]]:
        """The families with the keys that were shown."""
        values = array("d")
        for packed in self.packed:
            values.extend(_unpacked(packed))
        for family in self.families:
            pairs = zip(self.keys[family.start : family.end], values[family.start : family.end], strict=True)
            yield family, tuple([key for key, value in pairs if not math.isnan(value)])

    def _sample(self, family: Family, key: str, value: float) -> Sample:
        if family.kind == "gauge":
            return Sample(key, value)
        database = DATABASE.search(key)
        if database is None:
            return Sample(key, value, self.own_started_at)
        began = self.began.get(database[1])
        return Sample(key, value, None if began is None else float(began), key in self.new_keys)


def take_scrape(
    messages: Iterable[Message],
    snapshot: Snapshot,
    *,
    at: datetime,
    own_started_at: datetime,
    holds: Callable[[str], bool],
    before: Scrape | None = None,
) -> Scrape:
    """Read the exposition's text 0.0.4, `messages` of its body, as it is shown at `at`. Slow: for a worker thread.

    Of data only what belongs to workspaces that this process `holds` is taken; what belongs to none (budgets) by the
    one that holds the first workspace. So of several processes that share a store, none pushes what another does.
    `own_started_at` is when the exporter's own counters began; `before` is the scrape before this one.
    """
    workspaces = [view.workspace_id for view in snapshot.workspaces]
    held = {id_ for id_ in workspaces if holds(id_)}
    is_first = not workspaces or min(workspaces) in held
    shown = {family.name: (family, keys) for family, keys in before.live()} if before is not None else {}
    _, infos = shown.get("prisma_postgres_workspace_info", (None, ()))
    known = {workspace[1] for key in infos if (workspace := _WORKSPACE.search(key))}
    keys: list[str] = []
    values = array("d")
    families: list[Family] = []
    new_keys: set[str] = set()
    young = {key: began_at for key, began_at in (before.young if before else {}).items() if _is_young(began_at, at)}
    began = beginnings(snapshot)
    for name, kind, help_text, lines in _families(messages):
        start = len(keys)
        taken: list[str] = []
        for line in lines:
            key, _, number = line.rpartition(" ")
            if name.startswith(_OWN) or _is_ours(key, held, is_first):
                taken.append(key)
                values.append(float(number))
        _, earlier = shown.pop(name, (None, ()))
        matched = _matched(taken, earlier)
        if kind == "counter":
            come = dict(_young(matched.new, began, at))
            # Of a database that was there before this process another one may have sent the 0.
            since = own_started_at.timestamp()
            born = [key for key, began_at in come.items() if _counter(key) not in young and began_at > since]
            new_keys.update(_born(born, known))
            young |= {_counter(key): began_at for key, began_at in come.items()}
        keys += matched.keys
        keys += matched.gone
        values.extend([STALE] * len(matched.gone))
        if len(keys) > start:
            families.append(Family(name, kind, help_text, start, len(keys)))
    for family, gone in shown.values():
        families.append(Family(family.name, family.kind, family.help, len(keys), len(keys) + len(gone)))
        keys += gone
        values.extend([STALE] * len(gone))
    all_keys, cuts = tuple(keys), _cuts(families, len(keys))
    shares_keys = before is not None and before.keys == all_keys
    return Scrape(
        at=at,
        keys=before.keys if before is not None and shares_keys else all_keys,
        packed=tuple([zlib.compress(values[start:end].tobytes(), 1) for start, end in pairwise(cuts)]),
        families=tuple(families),
        began=before.began if before is not None and before.began == began else began,
        own_started_at=own_started_at.timestamp(),
        new_keys=frozenset(new_keys),
        young=young,
        cuts=cuts,
        shares_keys=shares_keys,
    )


def labels_of(key: str) -> list[tuple[str, str]]:
    """The labels of a sample as pairs, in the order in which they are shown."""
    return [(name, unescaped(value)) for name, value in _LABEL.findall(key)]


def unescaped(value: str) -> str:
    """A label's value as it was before it was written as text."""
    if "\\" not in value:
        return value
    return _ESCAPED.sub(lambda found: "\n" if found[1] == "n" else found[1], value)


def _unpacked(packed: bytes) -> array[float]:
    values = array("d")
    values.frombytes(zlib.decompress(packed))
    return values


def _families(messages: Iterable[Message]) -> Iterator[tuple[str, str, str, list[str]]]:
    """Name, kind, help and lines of each family. The exposition writes HELP, TYPE and samples, in this order."""
    name = kind = help_text = ""
    samples: list[str] = []
    for line in _lines(messages):
        if line.startswith("# HELP "):
            if samples:
                yield name, kind, help_text, samples
            name, _, help_text = line.removeprefix("# HELP ").partition(" ")
            samples = []
        elif line.startswith("# TYPE "):
            kind = line.rpartition(" ")[2]
        else:
            samples.append(line)
    if samples:
        yield name, kind, help_text, samples


def _lines(messages: Iterable[Message]) -> Iterator[str]:
    """Message by message: no other thread has its turn while a text is split."""
    rest = b""
    for message in messages:
        text = rest + bytes(message)
        end = text.rfind(b"\n") + 1
        rest = text[end:]
        yield from text[:end].decode().split("\n")[:-1]


class _Matched(NamedTuple):
    """The keys of a family, with the texts of the scrape before as far as it had them, those of it that are gone, and
    those that it had not.
    """

    keys: Sequence[str]
    gone: Sequence[str] = ()
    new: Sequence[str] = ()


def _matched(taken: list[str], earlier: tuple[str, ...]) -> _Matched:
    if taken == list(earlier):
        return _Matched(earlier)
    texts, now = {key: key for key in earlier}, set(taken)
    return _Matched(
        keys=[texts.get(key, key) for key in taken],
        gone=[key for key in earlier if key not in now],
        new=[key for key in taken if key not in texts],
    )


def _is_ours(key: str, held: set[str], is_first: bool) -> bool:
    workspace = _WORKSPACE.search(key)
    return is_first if workspace is None else unescaped(workspace[1]) in held


def _counter(key: str) -> str:
    """Which counter of which database it is, wherever that is now."""
    database = DATABASE.search(key)
    return key if database is None or database[1] == OTHER else f"{key.partition('{')[0]} {database[1]}"


def _is_young(began_at: float, at: datetime) -> bool:
    # What is older may be refused, and the rest of the request with it.
    return 0 < at.timestamp() - began_at < _NEWS_SECONDS


def _young(new: Iterable[str], began: Mapping[str, str], at: datetime) -> Iterator[tuple[str, float]]:
    """The counters of young databases, with the instant of their beginning."""
    for key in new:
        database = DATABASE.search(key)
        began_at = None if database is None else began.get(database[1])
        if began_at is not None and _is_young(float(began_at), at):
            yield key, float(began_at)


def _born(new: Iterable[str], known: set[str]) -> Iterator[str]:
    """The counters that are new because their databases are: not those of a workspace that was not `known` before."""
    for key in new:
        workspace = _WORKSPACE.search(key)
        if workspace is not None and workspace[1] in known:
            yield key


def _cuts(families: Sequence[Family], samples: int) -> tuple[int, ...]:
    """Where one request ends and the next begins: no histogram is cut."""
    cuts = [0]
    for family in families:
        if family.kind == "histogram":
            while family.start - cuts[-1] > MOST_SAMPLES:
                cuts.append(cuts[-1] + MOST_SAMPLES)
            if family.end - cuts[-1] > MOST_SAMPLES:
                cuts += [family.start, family.end] if family.start > cuts[-1] else [family.end]
    while samples - cuts[-1] > MOST_SAMPLES:
        cuts.append(cuts[-1] + MOST_SAMPLES)
    return tuple(cuts) if cuts[-1] == samples else (*cuts, samples)
