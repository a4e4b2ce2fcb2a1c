"""One month against another: what changed, and why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal

from prisma_postgres_exporter.cost import By, CostRow, total_row
from prisma_postgres_exporter.model import DatabaseState, DayUsage, Event, EventKind, month_start, next_month_start
from prisma_postgres_exporter.report.changing import cost_then, row_then, split
from prisma_postgres_exporter.report.gaps import Names, told_apart
from prisma_postgres_exporter.report.months import LedgerMonth
from prisma_postgres_exporter.report.ranking import Pair, known_in_both
from prisma_postgres_exporter.words import counted

ONE_DAY = timedelta(days=1)
CONTRIBUTORS = 3
STEADY_RATIO = 0.05
"""A pace that changed by less is not worth a reason."""
Place = tuple[str, str, str]
TOLD_EVENTS = {
    EventKind.RENAMED: "renamed from {before} on {day}",
    EventKind.RETURNED: "there again since {day}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A workspace, project or database in two months.

    `row` says who it is by its newest names; `before` or `after` is `None` where it was not there in that
    month, or (not `is_followed`) its workspace was gone before the later one. What is not known whole has no change.
    Of a month that runs, `pair` are the operations of the days that both months know, and what it costs is what is
    expected of it. `reasons` are words for people.
    """

    row: CostRow
    before: CostRow | None
    after: CostRow | None
    reasons: tuple[str, ...] = ()
    is_running: bool = False
    pair: Pair | None = None
    is_followed: bool = True

    @property
    def operations_before(self) -> int | None:
        """Those of the earlier month that are known; `None` also where it was not there."""
        return self.before.operations if self.before else None

    @property
    def operations_after(self) -> int | None:
        """Those of the later month, or until now, that are known; `None` also where it was not there."""
        return self.after.operations if self.after else None

    @property
    def operations_change(self) -> int | None:
        """The difference, where both are known whole of the databases that are known at all.

        Of a month that runs it is over the days that both know.
        """
        if not self.is_followed:
            return None
        if self.is_running:
            return self.pair.recent - self.pair.earlier if self.pair is not None and self.pair.days else None
        for row in (self.before, self.after):
            if row is not None and not row.usage.listed.are_operations_known:
                return None
        return (self.operations_after or 0) - (self.operations_before or 0)

    @property
    def is_operations_change_complete(self) -> bool:
        """Whether nothing that nobody saw is missing in either: else the change is about so many."""
        return not any(row.usage.unlisted for row in (self.before, self.after) if row is not None)

    @property
    def storage_before(self) -> int | None:
        """The mean level of the earlier month, in bytes; `None` also where it was not there."""
        return self.before.mean_storage_bytes if self.before else None

    @property
    def storage_after(self) -> int | None:
        """The mean level of the later month so far, in bytes; `None` also where it was not there."""
        return self.after.mean_storage_bytes if self.after else None

    @property
    def cost_change(self) -> Decimal | None:
        """In USD, where both are known whole of the databases that are known; of a month that runs, what is expected.

        Where it was not there in one of the months it cost nothing then.
        """
        if not self.is_followed:
            return None
        before, after = cost_then(self.before), cost_then(self.after)
        if self.is_running and self.after is not None:
            after = self.after.expected_usd
        return None if before is None or after is None else after - before

    @property
    def is_cost_change_complete(self) -> bool:
        """Whether nothing that nobody read or saw is missing in either: else the change is about so much."""
        is_before_whole = self.before is None or self.before.total is not None
        if self.after is None:
            return is_before_whole
        is_running = self.is_running
        return is_before_whole and (self.after.is_expected_complete if is_running else self.after.total is not None)


def same_days(before: LedgerMonth, after: LedgerMonth) -> tuple[date, date, date] | None:
    """Return the first day of the earlier month and the first and the last of the later one that it is compared by.

    A month that runs is compared by the days that are over with the same days of the earlier one; `None` where there
    is none, or it does not run.
    """
    last = min(
        after.until.date() - ONE_DAY, after.month + (next_month_start(before.until).date() - before.month) - ONE_DAY
    )
    return None if after.is_over or last < after.month else (before.month, after.month, last)


def compare_months(
    before: LedgerMonth, after: LedgerMonth, by: By, events: Iterable[Event], days: Iterable[DayUsage] = ()
) -> tuple[Change, ...]:
    """Return every change, the largest in cost first.

    `events` are those noticed from the beginning of the earlier month to the end of the later one, `days` the ledger's
    days of `same_days`.
    """
    rows_before = {row.place: row for row in before.rows(by)}
    rows_after = {row.place: row for row in after.rows(by)}
    spans = same_days(before, after)
    known_days = tuple(days)
    pairs, by_database = (
        known_in_both(after.ledger_state, grouped, known_days, spans) if spans is not None else {}
        for grouped in (by, By.DATABASE)
    )
    why = _Reasons(before, after, by, events, pairs, None if after.is_over else by_database)
    gone = {row.workspace.id for row in after.not_followed}
    changes = []
    for place, row in {**rows_before, **rows_after}.items():
        change = Change(
            row=row,
            before=row_then(row, rows_before, before),
            after=row_then(row, rows_after, after),
            is_running=not after.is_over,
            pair=pairs.get(place),
            is_followed=row.workspace_id not in gone,
        )
        changes.append(replace(change, reasons=tuple(why.of(change))))
    return tuple(sorted(changes, key=_by_size))


def total_change(changes: Sequence[Change], by: By, before: LedgerMonth, after: LedgerMonth) -> Change:
    """Return the sum of all changes. The months are those of workspaces: databases do not say which nobody saw."""
    befores, afters = before.rows(By.WORKSPACE), after.rows(By.WORKSPACE)
    pairs = [change.pair for change in changes if change.pair is not None]
    row = total_row([change.row for change in changes], by)
    return Change(
        row=row,
        before=total_row(befores, by) if befores else None,
        after=total_row(afters, by) if afters else None,
        is_running=changes[0].is_running,
        pair=Pair(
            recent=sum(pair.recent for pair in pairs),
            earlier=sum(pair.earlier for pair in pairs),
            days=sum(pair.days for pair in pairs),
            wanted=sum(pair.wanted for pair in pairs),
        )
        if pairs
        else None,
        is_followed=all(change.is_followed for change in changes),
    )


class _Reasons:
    """What is known of two months that explains a change."""

    def __init__(
        self,
        before: LedgerMonth,
        after: LedgerMonth,
        by: By,
        events: Iterable[Event],
        pairs: Mapping[Place, Pair],
        by_database: Mapping[Place, Pair] | None,
    ) -> None:
        self._pairs = pairs
        self._before = before
        self._after = replace(after, previous=before)
        self._by = by
        self._events: dict[str, list[Event]] = {}
        for event in events:
            self._events.setdefault(event.subject_id, []).append(event)
        self._gone = {row.workspace.id: row for row in after.not_followed}
        self._positions: Mapping[str, DatabaseState] = {**before.ledger_state.databases, **after.ledger_state.databases}
        self._names = {id_: row.workspace.name for id_, row in after.ledger_state.workspaces.items()}
        self._members_of: dict[Place, list[_Member]] = defaultdict(list)
        for member in _members(before, after, by_database):
            row = member.row
            self._members_of[row.workspace_id, "", ""].append(member)
            if row.project_id is not None:
                self._members_of[row.workspace_id, row.project_id, ""].append(member)

    def of(self, change: Change) -> Iterator[str]:
        """Yield the reasons, the strongest first."""
        row, earlier, later = change.row, change.before, change.after
        if (gone := self._gone.get(row.workspace_id)) is not None:
            yield f"its workspace is gone since {gone.gone_at:%Y-%m-%d}: what it costs since is not known"
        if self._by is By.WORKSPACE:
            yield from self._price(row.workspace_id, earlier, later, change.cost_change)
        if self._by is By.DATABASE:
            yield from self._life(row)
        else:
            yield from self._members(row)
        yield from self._pace(earlier, later)
        for event in self._events.get(row.database_id or row.project_id or row.workspace_id, ()):
            if event.kind in TOLD_EVENTS:
                yield TOLD_EVENTS[event.kind].format(before=event.before, day=event.at.date())
            elif event.kind is EventKind.MOVED:
                yield self._move(row, event)

    def _price(self, id_: str, earlier: CostRow | None, later: CostRow | None, change: Decimal | None) -> Iterator[str]:
        """Which part of a workspace's change in cost comes from its usage, and which from another price."""
        if earlier is None or later is None or earlier.listed_total is None or later.listed_total is None:
            cost = later.cost if later else None
            if cost is not None and cost.unpriced is not None:
                yield cost.unpriced
            return
        priced_before, priced_after = earlier.cost, later.cost
        if priced_before is None or priced_after is None:
            return
        name_before = f"{priced_before.plan} ({priced_before.price_version})"
        name_after = f"{priced_after.plan} ({priced_after.price_version})"
        if name_before == name_after:
            return
        parts = split(self._after, id_, change) if change is not None else None
        if change is None or parts is None:
            yield f"{name_before} became {name_after}"
            return
        by_price = parts["plan"] + parts["price"]
        yield f"{name_before} became {name_after}: {by_price:+,} USD"
        yield f"usage at the old price: {change - by_price:+,} USD"

    def _move(self, row: CostRow, event: Event) -> str:
        if event.before == row.workspace_id:
            return f"moved to {self._names.get(event.after or '', event.after)} on {event.at.date()}"
        return f"moved here from {self._names.get(event.before or '', event.before)} on {event.at.date()}"

    def _life(self, row: CostRow) -> Iterator[str]:
        created_at, deleted_at = self._created_at(row), self._deleted_at(row)
        if created_at is not None:
            yield f"{'created on' if self._is_newly_created(row) else 'there only since'} {created_at:%Y-%m-%d}"
        if deleted_at is not None:
            yield f"deleted on {deleted_at:%Y-%m-%d}"

    def _created_at(self, row: CostRow) -> datetime | None:
        """When it was created, in either month: it had less of the earlier one, or nothing."""
        state = self._positions.get(row.database_id or "")
        at = state.database.created_at if state is not None else None
        return at if at is not None and month_start(self._before.until) < at < self._after.ends_at else None

    def _is_newly_created(self, row: CostRow) -> bool:
        at = self._created_at(row)
        return at is not None and at >= next_month_start(self._before.until)

    def _deleted_at(self, row: CostRow) -> datetime | None:
        """When it was deleted, in either month: it had less of the later one, or nothing."""
        state = self._positions.get(row.database_id or "")
        at = state.deleted_at if state is not None else None
        return at if at is not None and month_start(self._before.until) < at < self._after.ends_at else None

    def _is_newly_deleted(self, row: CostRow) -> bool:
        """Whether it was deleted since the earlier month: a deletion counts once, as a creation does."""
        at = self._deleted_at(row)
        return at is not None and at >= next_month_start(self._before.until)

    def _members(self, group: CostRow) -> Iterator[str]:
        """Which databases of a workspace or project made the difference."""
        members = self._members_of.get(group.place, [])
        rows = [member.row for member in members]
        came, went = self._moves(group, {row.database_id for row in rows if row.database_id is not None})
        moved = [f"{count:,} moved {where}" for count, where in ((came, "here"), (went, "away")) if count]
        created, deleted = sum(map(self._is_newly_created, rows)), sum(map(self._is_newly_deleted, rows))
        lives = [f"{created} created, {deleted} deleted"] if created or deleted else []
        if lives or moved:
            yield ", ".join((*lives, *moved))
        changes = sorted(
            (-abs(member.change), member.row.database_name or "", member.row.place, member)
            for member in members
            if member.change
        )
        largest = [member for *_, member in changes[:CONTRIBUTORS]]
        told = [f"{told_apart(_names(member.row), map(_names, rows))} {member.change:+,}" for member in largest]
        if told:
            yield "operations: " + ", ".join(told)

    def _moves(self, group: CostRow, database_ids: Iterable[str]) -> tuple[int, int]:
        """How many of its databases came from elsewhere and how many left since the earlier month: each counts once."""
        here, since = {group.workspace_id, group.project_id}, next_month_start(self._before.until)
        came = went = 0
        for id_ in database_ids:
            events = self._events.get(id_, ())
            moves = [event for event in events if event.kind is EventKind.MOVED and event.at >= since]
            came += any(event.after in here for event in moves)
            went += any(event.before in here for event in moves)
        return came, went

    def _pace(self, earlier: CostRow | None, later: CostRow | None) -> Iterator[str]:
        """Operations a day known, so that a month that runs, is longer, or is known in part, explains itself."""
        if earlier is None or later is None:
            return
        each = "a day" if self._by is By.DATABASE else "per database and day"
        if self._after.is_over:
            usages = earlier.usage.listed, later.usage.listed
            # What is known of a day in part is in the sum, and that day in no count of days.
            if not all(usage.days and usage.are_operations_known for usage in usages):
                return
            pace_before, pace_after = (usage.known_operations / usage.days for usage in usages)
            where = ""
        else:
            pair = self._pairs.get(later.place)
            if pair is None or not pair.earlier_days or not pair.recent_days:
                return
            pace_before, pace_after = pair.earlier / pair.earlier_days, pair.recent / pair.recent_days
            where = _where(pair)
        if not pace_before:
            return
        ratio = pace_after / pace_before
        if abs(ratio - 1) > STEADY_RATIO:
            yield f"{pace_after:,.0f} operations {each} instead of {pace_before:,.0f} ({ratio:.2f} times){where}"
        elif later.usage.known_operations != earlier.usage.known_operations:
            yield f"the same pace{where}: {pace_after:,.0f} operations {each}"


@dataclass(frozen=True, slots=True)
class _Member:
    """A database in both months, and how many operations more it had, `None` where not both months are known."""

    earlier: CostRow | None
    later: CostRow | None
    row: CostRow
    change: int | None


def _members(before: LedgerMonth, after: LedgerMonth, pairs: Mapping[Place, Pair] | None) -> Iterator[_Member]:
    """Every database. The change of a month that runs is over the days of `pairs`."""
    gone = {row.workspace.id for row in after.not_followed}
    rows_before = {row.place: row for row in before.rows(By.DATABASE) if row.workspace_id not in gone}
    rows_after = {row.place: row for row in after.rows(By.DATABASE)}
    for place, row in {**rows_before, **rows_after}.items():
        earlier, later = rows_before.get(place), rows_after.get(place)
        change: int | None = None
        if pairs is not None:
            pair = pairs.get(place)
            change = pair.recent - pair.earlier if pair is not None and pair.days else None
        elif all(known is None or known.usage.are_operations_known for known in (earlier, later)):
            change = _operations(later) - _operations(earlier)
        yield _Member(earlier, later, row, change)


def _names(row: CostRow) -> Names:
    return row.project_name or "", row.database_name or "", row.database_id or ""


def _where(pair: Pair) -> str:
    """The days that a pace is over: a database has none before it was created, or after it was deleted."""
    if pair.recent_days == pair.earlier_days:
        return f", on the {counted(pair.recent_days, 'day')} known in both"
    return f", on the days known in both ({pair.recent_days:,} and {pair.earlier_days:,} of databases that lived)"


def _operations(row: CostRow | None) -> int:
    return row.usage.known_operations if row is not None else 0


def _by_size(change: Change) -> tuple[bool, Decimal, int, str, tuple[str, str, str]]:
    by_cost = change.cost_change
    by_operations = change.operations_change or 0
    row = change.row
    return by_cost is None, -abs(by_cost or Decimal(0)), -abs(by_operations), row.workspace_name, row.place
