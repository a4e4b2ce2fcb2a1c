"""Each database's share of what its workspace costs: by what it used while that was charged."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal

from prisma_postgres_exporter.config import FeeShare
from prisma_postgres_exporter.cost.bill import Bill
from prisma_postgres_exporter.cost.showback import share_out
from prisma_postgres_exporter.cost.usage import Usage
from prisma_postgres_exporter.model import DatabaseState, WorkspaceDay, day_start, month_start

ONE_DAY = timedelta(days=1)
ONE_SECOND = timedelta(seconds=1)
NO_USD = Decimal("0.00")


@dataclass(frozen=True, slots=True, kw_only=True)
class Charged:
    """What is charged for of what a workspace's databases used in a month, by their ids; one that is not in it was gone
    before.

    Of those in `undated` it is about so much: they were there before and after, days before are not in the ledger, and
    their use is dealt out by time.
    """

    used: Mapping[str, Usage]
    undated: Collection[str] = field(default=frozenset())


def charged_of(
    used: Mapping[str, Usage],
    states: Mapping[str, DatabaseState],
    workspace_key: int,
    days: Iterable[WorkspaceDay],
    since: datetime | None,
    until: datetime,
) -> Charged:
    """Return what counts of `used` where a plan that charges nothing was left at `since`; `None`: all of it.

    `days` are those of the workspace; the parts of them that lie before say what does not count.
    """
    if since is None:
        return Charged(used=used)
    parts = {row.day: row.parts for row in days if month_start(until) <= day_start(row.day) < since}
    found: dict[str, Usage] = {}
    undated: set[str] = set()
    for id_, usage in used.items():
        state = states[id_]
        before = _seconds_by_day(state, workspace_key, month_start(until), since)
        after = sum(_seconds_by_day(state, workspace_key, since, until + ONE_SECOND).values())
        if not after:
            continue
        held = [parts.get(day, {}).get(state.key) for day in before]
        free = [part for part in held if part is not None]
        if len(free) == len(held) and not state.unplaced_moves(month_start(until).date(), until.date()):
            operations = usage.known_operations - sum(part for part, _ in free)
            byte_seconds = usage.known_byte_seconds - sum(part for _, part in free)
        else:
            undated.add(id_)
            share = after / (after + sum(before.values()))
            operations, byte_seconds = round(usage.known_operations * share), round(usage.known_byte_seconds * share)
        found[id_] = replace(usage, known_operations=max(0, operations), known_byte_seconds=max(0, byte_seconds))
    return Charged(used=found, undated=undated)


def shares_of(
    bill: Bill, used: Mapping[str, Usage], charged: Charged, fee_share: FeeShare
) -> Mapping[str | None, Bill]:
    """Share a bill out; what was gone before anything was charged has nothing of it, and that is known.

    As long as nothing is known that the fee could go by, it is nobody's: the share of `None`.
    """
    if not used:
        return {None: bill}
    there = charged.used or used
    operations = {id_: usage.known_operations for id_, usage in there.items()}
    storage = {id_: usage.known_byte_seconds for id_, usage in there.items()}
    by_fee = {
        FeeShare.OPERATIONS: operations,
        FeeShare.STORAGE: storage,
        FeeShare.EQUAL: dict.fromkeys(there, 1),
    }[fee_share]
    is_fee_known_by = _is_fee_shared_by_what_is_known(there, fee_share)
    is_nobodys = bool(bill.fee and charged.used) and not any(by_fee.values()) and not is_fee_known_by
    if is_nobodys:
        no_charges = replace(bill, operations=bill.operations and NO_USD, storage=bill.storage and NO_USD)
        return {
            None: replace(no_charges, are_operations_known=True, is_storage_known=True),
            **shares_of(replace(bill, fee=NO_USD, is_fee_known=False), used, charged, fee_share),
        }
    fee, for_operations, for_storage = (
        dict.fromkeys(there) if amount is None else share_out(amount, weights)
        for amount, weights in ((bill.fee, by_fee), (bill.operations, operations), (bill.storage, storage))
    )
    is_dated = len(there) == 1 or not charged.undated
    is_fee_split = is_dated or fee_share is FeeShare.EQUAL
    # Where nobody was there any more, nothing that is still to be read is charged.
    is_fee_shared = not bill.fee or not charged.used or (is_fee_split and is_fee_known_by)
    found: dict[str | None, Bill] = {
        id_: replace(
            bill,
            fee=fee[id_],
            operations=for_operations[id_],
            storage=for_storage[id_],
            is_fee_known=bill.is_fee_known and is_fee_shared,
            are_operations_known=bill.are_operations_known and (is_dated or not bill.operations),
            is_storage_known=bill.is_storage_known and (is_dated or not bill.storage),
            are_some_operations_known=there[id_].operations is not None,
            is_some_storage_known=there[id_].is_any_storage_known,
            is_share=len(there) > 1 or not bill.is_listed,
        )
        for id_ in there
    }
    nothing = Bill(
        fee=None if bill.fee is None else NO_USD,
        operations=None if bill.operations is None else NO_USD,
        storage=None if bill.storage is None else NO_USD,
    )
    return {id_: found.get(id_, nothing) for id_ in used}


def _is_fee_shared_by_what_is_known(used: Mapping[str, Usage], fee_share: FeeShare) -> bool:
    """Whether nothing that is still to be read changes whose part of the fee is how large."""
    if len(used) == 1 or fee_share is FeeShare.EQUAL:
        return True
    if fee_share is FeeShare.OPERATIONS:
        return all(usage.are_operations_known for usage in used.values())
    return all(usage.is_storage_known for usage in used.values())


def _seconds_by_day(
    state: DatabaseState, workspace_key: int, begins_at: datetime, ends_at: datetime
) -> Mapping[date, float]:
    """How long of which days between two instants a database was in a workspace, or may have been."""
    ends_at = ends_at if state.deleted_at is None else min(ends_at, state.deleted_at)
    at, found = max(begins_at, state.database.created_at), {}
    while at < ends_at:
        day_ends_at = min(day_start(at.date()) + ONE_DAY, ends_at)
        if _may_hold(state, workspace_key, at.date()):
            found[at.date()] = (day_ends_at - at).total_seconds()
        at = day_ends_at
    return found


def _may_hold(state: DatabaseState, workspace_key: int, day: date) -> bool:
    moves = state.unplaced_moves(day, day)
    return state.holder_on(day) == workspace_key or any(workspace_key in (move.from_key, move.to_key) for move in moves)
