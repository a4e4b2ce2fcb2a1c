"""A bound on the series of an exposition: the largest databases stay, and of each workspace the rest is summed up."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from itertools import chain, groupby
from operator import attrgetter

from prisma_postgres_exporter.cost import Bill
from prisma_postgres_exporter.expose.families import BUDGETS, DATABASES, WORKSPACES
from prisma_postgres_exporter.expose.money import COMPONENTS, shown_components
from prisma_postgres_exporter.snapshot import DatabaseView, Snapshot

OTHER = "other"
"""The project and database id of what is summed up."""

OWN_SERIES = 300
OWN_SERIES_EACH = 8
"""What is set aside for the exporter's own health, and as much more for each workspace with its credential."""

Key = tuple[str, str]
"""A database by workspace and id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """How a bound is shared out, counted with all series that each can have: what becomes known moves nothing.

    `most` is the bound, `each` the series of a database, `other` those of a workspace's sum, `fixed` those of the
    workspaces, the budgets and the exporter itself, of which none is left out.
    """

    most: int
    workspaces: int
    databases: int
    each: int
    other: int
    fixed: int

    @property
    def kept(self) -> int:
        """How many databases have series of their own: all, or as many as leave room for the sums."""
        if self.fixed + self.databases * self.each <= self.most:
            return self.databases
        return max(0, (self.most - self.least) // self.each)

    @property
    def least(self) -> int:
        """The smallest bound that is held whatever becomes known, with every database summed up."""
        return self.fixed + self.workspaces * self.other


def room(most: int, *, workspaces: int, databases: int, windows: int, budget_thresholds: Sequence[int] = ()) -> Room:
    """Share out a bound of `most` series; `budget_thresholds` are how many thresholds each budget has."""
    return Room(
        most=most,
        workspaces=workspaces,
        databases=databases,
        each=_rows([family.most_rows for family in DATABASES.families], windows),
        other=_rows([family.most_rows for family in DATABASES.families if family.is_summed], windows),
        fixed=OWN_SERIES
        + workspaces * (OWN_SERIES_EACH + _rows([family.most_rows for family in WORKSPACES.families], 0))
        + sum(_rows([family.most_rows for family in BUDGETS.families], number) for number in budget_thresholds),
    )


def _rows(most_rows: Iterable[int | None], configured: int) -> int:
    return sum(configured if count is None else count for count in most_rows)


class SeriesCap:
    """Holds the bound, snapshot after snapshot; `windows` is how many rolling windows are configured.

    Which databases stay follows from the snapshot alone, so that every process that shows it shows the same. The
    counters of a sum hold what came since the first snapshot, while a database was in it: they were 0 then, and never
    fall before this process ends, whoever enters and leaves. What is counted there of a database is not in a counter
    of its own, if it has one then: whoever adds both up counts it once, since when ever a series is said to count.
    `summed` is how many databases have no series of their own now.
    """

    def __init__(self, most: int) -> None:
        self.room = room(most, workspaces=0, databases=0, windows=0)
        self.summed = 0
        self._most = most
        self._seen: dict[Key, _Counts] = {}
        self._began_at: datetime | None = None
        self._summed_counts: dict[str, _Counts] = {}
        self._given: dict[Key, _Counts] = {}
        self._shown: set[Key] = set()
        self._hidden: frozenset[Key] = frozenset()
        self._newborn: set[Key] = set()

    def apply(self, snapshot: Snapshot, *, windows: int) -> Snapshot:
        """The snapshot with the largest databases and a row for the rest of each workspace."""
        views = snapshot.databases
        began_at = self._began_at = self._began_at or snapshot.taken_at
        self.room = room(
            self._most,
            workspaces=len(snapshot.workspaces),
            databases=len(views),
            windows=windows,
            budget_thresholds=[len(budget.thresholds) for budget in snapshot.budgets],
        )
        kept = _largest(views, self.room.kept)
        self._count(views, kept, began_at)
        self.summed = len(views) - len(kept)
        if not self.summed and not self._given:
            return snapshot
        return replace(snapshot, databases=tuple(self._summed_up(views, kept, began_at)))

    def _summed_up(
        self, views: Sequence[DatabaseView], kept: Collection[Key], began_at: datetime
    ) -> Iterator[DatabaseView]:
        for workspace_id, its_views in groupby(views, key=attrgetter("workspace_id")):
            rest = []
            for view in its_views:
                if (key := _key(view)) in kept:
                    given = self._given.get(key)
                    yield view if given is None else given.taken_from(view)
                else:
                    rest.append(view)
            if rest:
                yield _sum_of(rest, self._summed_counts.get(workspace_id, _Counts()), began_at)

    def _count(self, views: Sequence[DatabaseView], kept: frozenset[Key], began_at: datetime) -> None:
        """Add to the sums what came of each database that has no series of its own, or had none until now.

        What was there when a database was seen first counts nowhere, as with every new series, unless it began since
        the sums did: then all of it came. One that comes back goes on where its series ended, as what made it come back
        is news in the sum, whose series is there; where nothing is summed up any more, it is news of its own.
        """
        seen: dict[Key, _Counts] = {}
        hidden = frozenset(key for view in views if (key := _key(view)) not in kept)
        summed = {workspace_id for workspace_id, _ in hidden}
        for view in views:
            key, now = _key(view), _counts(view)
            before = self._seen.get(key)
            if before is None:
                seen[key] = now
                came = _Counts(operations=None if now.operations is None else 0)
            else:
                seen[key] = now if now.operations is not None else replace(now, operations=before.operations)
                came = now.since(before)
            comes_back = key in self._hidden and view.workspace_id in summed
            is_told = now.operations is not None and key not in self._newborn
            if is_told and view.counting_since_at is not None and view.counting_since_at > began_at:
                self._newborn.add(key)
                came = now if key in hidden else came
            if key in hidden or comes_back or (before is not None and key not in self._shown):
                sums = self._summed_counts.get(view.workspace_id, _Counts())
                self._summed_counts[view.workspace_id] = sums.plus(came)
                self._given[key] = self._given.get(key, _Counts()).plus(came)
        self._seen, self._hidden = seen, hidden
        is_shown = (key for view in views if (key := _key(view)) in kept and view.operations_total is not None)
        self._shown = (self._shown & seen.keys()) | set(is_shown)


def _key(view: DatabaseView) -> Key:
    return view.workspace_id, view.database_id


def _largest(views: Sequence[DatabaseView], count: int) -> frozenset[Key]:
    """The largest by operations of this month and the last, in powers of two, then by id.

    A database grows through few powers of two in a month: so it seldom enters or leaves.
    """
    if count >= len(views):
        return frozenset(map(_key, views))

    def rank(view: DatabaseView) -> tuple[int, str]:
        operations = (view.month_to_date_operations or 0) + (view.previous_month_operations or 0)
        return -operations.bit_length(), view.database_id

    return frozenset(map(_key, sorted(views, key=rank)[:count]))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counts:
    """Counters of a database or of a sum; operations are `None` where nobody told us."""

    operations: int | None = None
    revisions_up: int = 0
    revisions_down: int = 0

    def since(self, before: _Counts) -> _Counts:
        """What came since; a counter that fell is another one, of which nothing is known to have come."""
        operations = None
        if self.operations is not None:
            operations = max(0, self.operations - (self.operations if before.operations is None else before.operations))
        return _Counts(
            operations=operations,
            revisions_up=max(0, self.revisions_up - before.revisions_up),
            revisions_down=max(0, self.revisions_down - before.revisions_down),
        )

    def plus(self, other: _Counts) -> _Counts:
        """Both together."""
        return _Counts(
            operations=_known_sum((self.operations, other.operations)),
            revisions_up=self.revisions_up + other.revisions_up,
            revisions_down=self.revisions_down + other.revisions_down,
        )

    def taken_from(self, view: DatabaseView) -> DatabaseView:
        """The view without these."""
        operations = view.operations_total
        return replace(
            view,
            operations_total=None if operations is None else operations - (self.operations or 0),
            revisions_up=view.revisions_up - self.revisions_up,
            revisions_down=view.revisions_down - self.revisions_down,
        )


def _counts(view: DatabaseView) -> _Counts:
    return _Counts(operations=view.operations_total, revisions_up=view.revisions_up, revisions_down=view.revisions_down)


def _sum_of(rest: Sequence[DatabaseView], counts: _Counts, began_at: datetime) -> DatabaseView:
    """What databases of one workspace show together: of each number what is known of it, absent where nothing is.

    What cannot be summed is shown by no family that is not `is_summed`.
    """
    rolling: dict[str, int] = {}
    for name, operations in chain.from_iterable(view.rolling for view in rest):
        rolling[name] = rolling.get(name, 0) + operations
    is_counted = any(view.operations_total is not None for view in rest)
    return replace(
        rest[0],
        project_id=OTHER,
        database_id=OTHER,
        database_name=OTHER,
        project_name=OTHER,
        is_sum=True,
        counting_since_at=began_at,
        operations_total=counts.operations if is_counted else None,
        revisions_up=counts.revisions_up,
        revisions_down=counts.revisions_down,
        day_to_date_operations=_known_sum(view.day_to_date_operations for view in rest),
        previous_day_operations=_known_sum(view.previous_day_operations for view in rest),
        month_to_date_operations=_known_sum(view.month_to_date_operations for view in rest),
        previous_month_operations=_known_sum(view.previous_month_operations for view in rest),
        storage_bytes=_known_sum(view.storage_bytes for view in rest),
        reconciliation_difference_operations=_known_sum(view.reconciliation_difference_operations for view in rest),
        rolling=tuple(rolling.items()),
        cost=_bill_of(rest),
    )


def _bill_of(rest: Sequence[DatabaseView]) -> Bill:
    """The sums of the parts that are shown, as they are shown."""
    sums: dict[str, Decimal] = {}
    for view in rest:
        for (component,), usd in shown_components(view.cost):
            sums[component] = sums.get(component, Decimal(0)) + Decimal(usd)
    fee, operations, storage = map(sums.get, COMPONENTS)
    return Bill(fee=fee, operations=operations, storage=storage)


def _known_sum(values: Iterable[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
