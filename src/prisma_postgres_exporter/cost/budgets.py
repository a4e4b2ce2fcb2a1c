"""Amounts that a month should not exceed, for any choice of databases."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from prisma_postgres_exporter.config import BudgetConfig
from prisma_postgres_exporter.cost.bill import Bill
from prisma_postgres_exporter.cost.usage import Usage, add_up
from prisma_postgres_exporter.model import Database

Place = tuple[str, str | None]
"""The ids of a workspace and of a database; `None` for the fee of a workspace that has no database."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetState:
    """One budget in USD; `is_empty` where it matches nothing.

    `spent` and `expected` are `None` where nothing that matches has a price, or a forecast.
    Where not `is_complete`, a price or a part of the usage is not known: at least so much was spent, or if `is_share`,
    as it is for a part of a workspace's databases, about so much. Where not
    `is_expected_complete`, a database has no forecast yet and counts with what it cost so far, or nobody ever saw it:
    about so much is expected, as an estimate is no lower bound; nothing is where a workspace has no forecast.
    `spent_covered_ratio` is the part (0 to 1) of its databases' days, or of their time with a storage level if that is
    less, that is known and has a price; `None` where it has no database.
    """

    name: str
    limit_usd: Decimal
    thresholds: tuple[float, ...]
    databases: int
    spent_usd: Decimal | None
    expected_usd: Decimal | None
    is_empty: bool = False
    is_complete: bool = True
    is_expected_complete: bool = True
    is_share: bool = False
    spent_covered_ratio: float | None = None


def matches(budget: BudgetConfig, database: Database, *, workspace_id: str, workspace_name: str) -> bool:
    """Whether a budget is for what this workspace's database costs: each kind of expression that it has must fit."""
    subjects = (
        (budget.workspaces, (workspace_name, workspace_id)),
        (budget.projects, (database.project_name, database.project_id)),
        (budget.databases, (database.name, database.id)),
    )
    return all(not patterns or _fits(patterns, texts) for patterns, texts in subjects)


def matches_workspace(budget: BudgetConfig, *, workspace_id: str, workspace_name: str) -> bool:
    """Whether a budget is for what a workspace costs that no database bears."""
    if budget.projects or budget.databases:
        return False
    return not budget.workspaces or _fits(budget.workspaces, (workspace_name, workspace_id))


def state_of(
    budget: BudgetConfig,
    places: Sequence[Place],
    shares: Mapping[Place, Bill],
    expected: Mapping[Place, Decimal],
    used: Mapping[Place, Usage],
) -> BudgetState:
    """Add up what a budget is for; what has no price is left out, and it is not complete then."""
    bills = [shares.get(place) for place in places]
    known_spent = [known for bill in bills if (known := _spent(bill)) is not None]
    forecast = [place for place in places if place in expected]
    # As of all workspaces together: of one without a forecast it is not known what it comes to.
    is_any_lacking = not {id_ for id_, _ in places} <= {id_ for id_, _ in expected}
    known_expected = [amount for place in places if (amount := _expected(place, shares, expected)) is not None]
    return BudgetState(
        name=budget.name,
        limit_usd=budget.monthly_usd,
        thresholds=budget.thresholds,
        databases=len({database_id for _, database_id in places if database_id is not None}),
        spent_usd=sum(known_spent, Decimal(0)) if known_spent else None,
        expected_usd=sum(known_expected, Decimal(0)) if forecast and not is_any_lacking else None,
        is_empty=not places,
        is_complete=bool(places) and all(bill is not None and bill.total is not None for bill in bills),
        is_share=_is_share(budget, places, shares),
        is_expected_complete=bool(places)
        and len(forecast) == len(places)
        and all(bill is None or bill.is_listed for bill in bills),
        spent_covered_ratio=_covered(places, shares, used),
    )


def _expected(place: Place, shares: Mapping[Place, Bill], expected: Mapping[Place, Decimal]) -> Decimal | None:
    """What is expected of one place, or what is known to be spent already where nothing is."""
    return expected.get(place, _spent(shares.get(place)))


def _spent(bill: Bill | None) -> Decimal | None:
    """What is known to be spent, if anything is: that nobody read what was used is no amount of 0."""
    return bill.known if bill is not None and bill.is_anything_known else None


def _is_share(budget: BudgetConfig, places: Sequence[Place], shares: Mapping[Place, Bill]) -> bool:
    """Whether some of a bill that is not known whole is others' share: with more known it may be more or less."""
    own = set(places)
    partly = {
        place[0] for place in places if (bill := shares.get(place)) is not None and bill.is_share and bill.total is None
    }
    is_narrow = bool(budget.projects or budget.databases)
    # One that nobody saw may be in any project.
    return any(
        place[0] in partly and (place not in own or (is_narrow and not bill.is_listed))
        for place, bill in shares.items()
    )


def _covered(places: Sequence[Place], shares: Mapping[Place, Bill], used: Mapping[Place, Usage]) -> float | None:
    """What is known of days and of storage's time, the lesser of both; what has no whole price counts as not known."""
    whole = add_up(used[place] for place in places if place in used)
    priced = add_up(used[place] for place in places if place in used and _has_price(shares.get(place)))
    pairs = ((priced.days_known, whole.days), (priced.storage_seconds_known, whole.storage_seconds))
    ratios = [round(known / there, 6) for known, there in pairs if there]
    return min(ratios, default=None)


def _has_price(bill: Bill | None) -> bool:
    return bill is not None and None not in (bill.fee, bill.operations, bill.storage)


def _fits(patterns: Iterable[re.Pattern[str]], texts: tuple[str, str]) -> bool:
    return any(pattern.search(text) for pattern in patterns for text in texts)
