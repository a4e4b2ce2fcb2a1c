"""Which price a workspace pays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from itertools import pairwise

from prisma_postgres_exporter.config import Config, PriceRow, WorkspaceConfig
from prisma_postgres_exporter.cost.bill import charged_from
from prisma_postgres_exporter.model import LedgerState, PlanChange, Workspace, day_start, month_start, next_month_start


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceSpan:
    """From when to when (UTC, in one month) a workspace pays a price."""

    price: PriceRow
    starts_at: datetime
    ends_at: datetime


class Unpriced(LookupError):
    """No price is known; the message says why and what to do."""


def configured(config: Config, workspace: Workspace) -> WorkspaceConfig | None:
    """Return what the configuration says of a workspace, by id before name."""
    rows = config.cost.workspaces
    by_id = next((row for row in rows if row.workspace == workspace.id), None)
    return by_id or next((row for row in rows if row.workspace == workspace.name), None)


def price_spans(
    config: Config, workspace: Workspace, plans: Sequence[PlanChange], month: datetime
) -> tuple[PriceSpan, ...]:
    """Return the prices of the month that begins at `month`, in order, together covering all of it.

    `plans` are the workspace's plans as they were seen, oldest first; the first one counts for the time before it. A
    lower plan takes effect when the month is over (the vendor's page on changing a plan).

    Raises:
        Unpriced: the plan or its price is not known.
    """
    own = configured(config, workspace)
    starts_at, ends_at = month_start(month), next_month_start(month)
    if own is not None and own.prices is not None:
        return (PriceSpan(price=own.prices, starts_at=starts_at, ends_at=ends_at),)
    cuts = {starts_at}
    chosen = own.plan if own is not None else None
    if chosen is None:
        cuts |= {_midnight(change.at) for change in plans if starts_at < change.at < ends_at}
    version = own.price_version if own is not None else None
    if version is None:
        dates = {day for row in config.prices for day in (row.from_, row.until) if day is not None}
        cuts |= {at for at in map(day_start, dates) if starts_at < at < ends_at}
    edges = [*sorted(cuts), ends_at]
    spans: list[PriceSpan] = []
    for begin, end in pairwise(edges):
        plan = chosen or _plan_at(plans, workspace, end)
        price = _price(config.prices, plan, version, begin.date())
        if spans and _is_downgrade(spans[-1].price, price):
            price = spans[-1].price
        if spans and spans[-1].price == price:
            spans[-1] = PriceSpan(price=price, starts_at=spans[-1].starts_at, ends_at=end)
        else:
            spans.append(PriceSpan(price=price, starts_at=begin, ends_at=end))
    return tuple(spans)


def charged_since(prices: Sequence[PriceSpan]) -> datetime | None:
    """Return when a plan that charges nothing was left in a month of these prices; `None`: all of it counts."""
    first, _ = charged_from([span.price for span in prices])
    return prices[first].starts_at if first else None


def upgrades(config: Config, ledger_state: LedgerState, month: datetime) -> Mapping[int, datetime]:
    """Return when workspaces left a plan that charges nothing in the month of `month`, by their keys."""
    found = {}
    for row in ledger_state.workspaces.values():
        with suppress(Unpriced):
            since = charged_since(price_spans(config, row.workspace, row.plans, month))
            if since is not None:
                found[row.key] = since
    return found


def plan_assumed_at(
    config: Config, workspace: Workspace, plans: Sequence[PlanChange], month: datetime
) -> datetime | None:
    """Return when the plan that is charged in the month of `month` was first read, if that was after it: it is assumed.

    `None` where it was read by then, or the configuration names it.
    """
    own = configured(config, workspace)
    if own is not None and (own.plan is not None or own.prices is not None):
        return None
    first_read_at = next((change.at for change in plans if change.plan is not None), None)
    return first_read_at if first_read_at is not None and first_read_at >= next_month_start(month) else None


def price_of(prices: Iterable[PriceRow], plan: str, version: str | None, day: date) -> PriceRow | None:
    """Return the row of a plan (in any case), of a version or as in force on `day`."""
    rows = [row for row in prices if row.plan.lower() == plan.lower()]
    if version is not None:
        return next((row for row in rows if row.version == version), None)
    return next((row for row in rows if row.is_in_force(day)), None)


def _price(prices: Iterable[PriceRow], plan: str | None, version: str | None, day: date) -> PriceRow:
    if plan is None:
        raise Unpriced("the API did not say its plan yet; set cost.workspaces[].plan to name it")
    price = price_of(prices, plan, version, day)
    if price is None:
        wanted = f"version {version}" if version else f"on {day}"
        raise Unpriced(f"no price is known for plan {plan!r} ({wanted}); set plan, price_version or prices for it")
    return price


def _is_downgrade(before: PriceRow, after: PriceRow) -> bool:
    if before.plan.lower() == after.plan.lower() or before.hard_stop:
        return False
    if after.hard_stop:
        return True
    return before.fee_usd is not None and after.fee_usd is not None and after.fee_usd < before.fee_usd


def _plan_at(plans: Sequence[PlanChange], workspace: Workspace, ends_at: datetime) -> str | None:
    """The plan at the end of a span; a change counts from the midnight before it."""
    before = [change.plan for change in plans if _midnight(change.at) < ends_at]
    if before:
        return before[-1]
    return plans[0].plan if plans else workspace.plan


def _midnight(at: datetime) -> datetime:
    return at.replace(hour=0, minute=0, second=0, microsecond=0)
