"""What a month costs beside the one before it: shares, changes, and what a change is made of. Pure; money is USD."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from prisma_postgres_exporter.config import PriceRow
from prisma_postgres_exporter.cost import (
    NOTHING,
    UNREAD,
    By,
    CostRow,
    Span,
    Unpriced,
    Usage,
    add_up,
    added,
    make_bill,
    price_spans,
    share_out,
    total_of,
)
from prisma_postgres_exporter.model import month_start, next_month_start
from prisma_postgres_exporter.report.amounts import nearest_percent
from prisma_postgres_exporter.report.months import LedgerMonth

Place = tuple[str, str, str]
TOTAL: Place = ("", "", "")
PARTS = ("new databases", "gone databases", "operations", "storage", "plan", "price")


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """One row of a month beside everything else, and beside the month before.

    `share_percent` is its part of what is known of all. `last_month_known_usd` is at least what the one before cost,
    `last_month_usd` where it is known whole; if `is_last_month_share` it is a share of what is known, perhaps more or
    less than what it cost. `change_usd` is what the month costs (of one that runs: is expected to
    cost) less what the one before did, where both are known whole of the databases that are known at all; where that
    is not all (not `is_change_complete`) about so much. `split` says
    what it is made of, by `PARTS`, where the price of both is known: its amounts add up to the change.
    """

    share_percent: float | None = None
    last_month_usd: Decimal | None = None
    last_month_known_usd: Decimal | None = None
    is_last_month_share: bool = False
    change_usd: Decimal | None = None
    is_change_complete: bool = True
    split: Mapping[str, Decimal] | None = None

    @property
    def change_percent(self) -> float | None:
        """The change as a part of last month."""
        if self.change_usd is None or not self.last_month_known_usd:
            return None
        return nearest_percent(self.change_usd / self.last_month_known_usd, 1)


def beside(month: LedgerMonth, by: By) -> Mapping[Place, Beside]:
    """Return what stands beside each row, by its place, and beside the sum of all, at `TOTAL`."""
    rows = month.rows(by)
    before = {row.place: row for row in month.previous.rows(by)} if month.previous is not None else {}
    totals = month.rows(By.WORKSPACE)
    known = total_of(totals)[1].known if totals else None
    shares = _percents(rows) if known else {}
    found: dict[Place, Beside] = {}
    for row in rows:
        earlier = row_then(row, before, month.previous) if month.previous is not None else None
        last, last_known = _last_month((earlier,) if earlier is not None else (), month)
        change = _change(_this(row, month), cost_then(earlier)) if month.previous is not None else None
        found[row.place] = Beside(
            share_percent=shares.get(row.place),
            last_month_usd=last,
            last_month_known_usd=last_known,
            is_last_month_share=earlier is not None and earlier.bill is not None and earlier.bill.is_share,
            change_usd=change,
            is_change_complete=_is_whole(row, is_over=month.is_over) and (earlier is None or earlier.total is not None),
            split=split(month, row.workspace_id, change) if by is By.WORKSPACE and change is not None else None,
        )
    gone = [row for place, row in before.items() if place not in found]
    not_followed = {row.workspace.id for row in month.not_followed}
    # A workspace of which nothing is known has no databases to say so.
    whole = month.previous.rows(By.WORKSPACE) if month.previous is not None else ()
    last_total = added(cost_then(row) for row in whole) if month.previous is not None else None
    last, last_known = _last_month(whole, month)
    splits = [entry.split for entry in found.values()]
    found[TOTAL] = Beside(
        share_percent=100.0 if known else None,
        last_month_usd=last,
        last_month_known_usd=last_known,
        # What a workspace costs that is not followed any more is not known, and not nothing.
        change_usd=None
        if any(row.workspace_id in not_followed for row in whole)
        else _change(added(_this(row, month) for row in totals), last_total),
        is_change_complete=all(_is_whole(row, is_over=month.is_over) for row in totals) and last is not None,
        split=_sum_of_splits(splits) if splits and not gone else None,
    )
    return found


def row_then(row: CostRow, rows: Mapping[Place, CostRow], month: LedgerMonth) -> CostRow | None:
    """The row of the same in another month, whose `rows` they are; `None` where it was not there.

    A fee that no database bears now was perhaps some database's then: where its workspace's is not known, nor is it.
    """
    found, cost = rows.get(row.place), month.costs.workspaces.get(row.workspace_id)
    if found is not None or row.project_id is not None or cost is None:
        return found
    if cost.bill is not None and cost.bill.fee is not None:
        return None
    usage = UNREAD if cost.is_unread else NOTHING
    return replace(row, until=month.until, usage=usage, bill=None, expected_usd=None, cost=cost)


def cost_then(row: CostRow | None) -> Decimal | None:
    """What the known databases of a workspace or project cost in a month: nothing where it was not there (`None`).

    So the change of what is new is its cost. Who was there and was not read has a row, which costs what is not known.
    """
    return row.listed_total if row is not None else Decimal("0.00")


def split(month: LedgerMonth, workspace_id: str, change: Decimal) -> Mapping[str, Decimal] | None:
    """Return what a workspace's change is made of: one thing after the other is changed, at the old price first.

    What is left, as of a plan that changed within one of the months, is the plan's. What was used before a plan charged
    anything is no change of a database that came or went: it cost nothing.
    """
    before = month.previous
    if before is None:
        return None
    old, new = _price(before, workspace_id), _price(month, workspace_id)
    if old is None or new is None:
        return None
    used_before, used_after = before.costs.used.get(workspace_id, {}), _expected(month, workspace_id)
    charged_before, charged_after = (
        _charged(before, workspace_id, used_before),
        _charged(month, workspace_id, used_after),
    )
    gone = {id_ for id_ in used_before if id_ not in used_after or _has_left(month, workspace_id, id_)}
    came = add_up(usage for id_, usage in charged_after.items() if id_ not in used_before)
    went = add_up(usage for id_, usage in charged_before.items() if id_ in gone)
    stayed = add_up(usage for id_, usage in charged_after.items() if id_ in gone)
    first = add_up((went, *(usage for id_, usage in used_before.items() if id_ not in gone)))
    last = add_up((came, stayed, *(usage for id_, usage in used_after.items() if id_ in used_before.keys() - gone)))
    if not month.is_over and _is_any_unplaced(month, workspace_id):
        return None  # nothing yet says whose part of what is expected is
    with_new = (first.known_operations + came.known_operations, _mean(first, before) + _mean(came, month))
    without_gone = (
        with_new[0] - went.known_operations + stayed.known_operations,
        with_new[1] - _mean(went, before) + _mean(stayed, month),
    )
    with_operations = (last.known_operations, without_gone[1])
    whole = (last.known_operations, _mean(last, month))
    steps = [(first.known_operations, _mean(first, before)), with_new, without_gone, with_operations, whole]
    amounts = [_usage_cost(old, *step, month.until) for step in steps]
    at_new_price = _usage_cost(new, *whole, month.until)
    if None in amounts or at_new_price is None or old.fee_usd is None or new.fee_usd is None:
        return None
    known = [amount for amount in amounts if amount is not None]
    found = dict.fromkeys(PARTS, Decimal(0))
    for name, earlier, later in zip(PARTS, known, known[1:], strict=False):
        found[name] = later - earlier
    dearer = "price" if old.plan.lower() == new.plan.lower() else "plan"
    found[dearer] = at_new_price - known[-1] + new.fee_usd - old.fee_usd
    found["plan"] += change - sum(found.values())
    return found


def expected_bounds(row: CostRow, *, is_over: bool) -> tuple[Decimal | None, Decimal | None]:
    """Between what a workspace's month will end, in USD; of one of which not all is expected nobody knows."""
    return (None, None) if row.cost is None or is_over else row.cost.expected_bounds


def _last_month(rows: Sequence[CostRow], month: LedgerMonth) -> tuple[Decimal | None, Decimal | None]:
    """What the month before cost, if that is known whole, and what is known of it: nothing where nothing was there."""
    if month.previous is None:
        return None, None
    known = [row.known_usd for row in rows if row.is_any_cost_known and row.known_usd is not None]
    return added(row.total for row in rows), sum(known, Decimal(0)) if known or not rows else None


def _this(row: CostRow, month: LedgerMonth) -> Decimal | None:
    return row.listed_total if month.is_over else row.expected_usd


def _is_whole(row: CostRow, *, is_over: bool) -> bool:
    """Whether a change from or to what `_this` says is exact: nothing that nobody saw or read is missing in it."""
    return row.total is not None if is_over else row.is_expected_complete


def _expected(month: LedgerMonth, workspace_id: str) -> Mapping[str, Usage]:
    """What each database used in the month, of one that runs what it will use: together what is expected."""
    used = month.costs.likely.get(workspace_id) or month.costs.used.get(workspace_id, {})
    cost = month.costs.workspaces.get(workspace_id)
    if month.is_over or cost is None or cost.expected_operations is None or cost.expected_storage_bytes is None:
        return used
    whole = add_up(used.values())
    seconds = _seconds(month.until)
    operations = Fraction(cost.expected_operations.expected, whole.known_operations or 1)
    storage = Fraction(cost.expected_storage_bytes.expected * seconds, whole.known_byte_seconds or 1)
    return {
        id_: Usage(
            known_operations=round(usage.known_operations * operations),
            known_byte_seconds=round(usage.known_byte_seconds * storage),
        )
        for id_, usage in used.items()
    }


def _has_left(month: LedgerMonth, workspace_id: str, database_id: str) -> bool:
    """Whether a database was deleted or moved away before the month ended, or until now."""
    state, row = month.ledger_state.databases[database_id], month.ledger_state.workspaces[workspace_id]
    is_deleted = state.deleted_at is not None and state.deleted_at <= month.until
    return is_deleted or state.holder_on(month.until.date()) != row.key


def _charged(month: LedgerMonth, workspace_id: str, used: Mapping[str, Usage]) -> Mapping[str, Usage]:
    """What of `used` is charged for. What is still to come of a month is."""
    charged = month.costs.charged.get(workspace_id)
    if charged is None:
        return used
    so_far = month.costs.used.get(workspace_id, {})
    found = {}
    for id_, part in charged.used.items():
        free_operations = so_far[id_].known_operations - part.known_operations
        free_byte_seconds = so_far[id_].known_byte_seconds - part.known_byte_seconds
        found[id_] = replace(
            used[id_],
            known_operations=max(0, used[id_].known_operations - free_operations),
            known_byte_seconds=max(0, used[id_].known_byte_seconds - free_byte_seconds),
        )
    return found


def _is_any_unplaced(month: LedgerMonth, workspace_id: str) -> bool:
    """Whether something is expected of a month that runs and no database has used any of it."""
    cost = month.costs.workspaces.get(workspace_id)
    if cost is None or cost.expected_operations is None or cost.expected_storage_bytes is None:
        return False
    used = add_up(month.costs.used.get(workspace_id, {}).values())
    return bool(
        (cost.expected_operations.expected and not used.known_operations)
        or (cost.expected_storage_bytes.expected and not used.known_byte_seconds)
    )


def _price(month: LedgerMonth, workspace_id: str) -> PriceRow | None:
    """The price at the end of the month."""
    row = month.ledger_state.workspaces.get(workspace_id)
    if row is None:
        return None
    try:
        return price_spans(month.config, row.workspace, row.plans, month.until)[-1].price
    except Unpriced:
        return None


def _usage_cost(price: PriceRow, operations: int, mean_bytes: Fraction, month: datetime) -> Decimal | None:
    starts_at = month_start(month)
    usage = Usage(known_operations=max(0, operations), known_byte_seconds=max(0, round(mean_bytes * _seconds(month))))
    span = Span(price=price, starts_at=starts_at, ends_at=next_month_start(starts_at), usage=usage)
    return make_bill((span,)).charges


def _mean(usage: Usage, month: LedgerMonth) -> Fraction:
    """The mean level of a whole month, in bytes."""
    return Fraction(usage.known_byte_seconds, _seconds(month.until))


def _seconds(month: datetime) -> int:
    return int((next_month_start(month) - month_start(month)).total_seconds())


def _change(this: Decimal | None, last: Decimal | None) -> Decimal | None:
    return None if this is None or last is None else this - last


def _percents(rows: Iterable[CostRow]) -> dict[Place, float]:
    """The parts of all in percent, by place: to a tenth, adding up to 100."""
    cents = {row.place: int(row.known_usd * 100) for row in rows if row.known_usd is not None and row.is_any_cost_known}
    names = {"/".join(place): place for place in cents}
    tenths = share_out(Decimal("10.00"), {name: cents[place] for name, place in names.items()})
    return {place: float(tenths[name] * 10) for name, place in names.items()}


def _sum_of_splits(splits: Iterable[Mapping[str, Decimal] | None]) -> Mapping[str, Decimal] | None:
    found = dict.fromkeys(PARTS, Decimal(0))
    for parts in splits:
        if parts is None:
            return None
        for name, amount in parts.items():
            found[name] += amount
    return found
