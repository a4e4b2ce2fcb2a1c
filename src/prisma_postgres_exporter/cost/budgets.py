"""Amounts that a month should not exceed, for any choice of databases."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from prisma_postgres_exporter.config import BudgetConfig
from prisma_postgres_exporter.model import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetState:
    """One budget in USD. `spent` and `expected` are `None` where no matching database has a price."""

    name: str
    limit_usd: Decimal
    thresholds: tuple[float, ...]
    databases: int
    spent_usd: Decimal | None
    expected_usd: Decimal | None


def matches(budget: BudgetConfig, database: Database, workspace_name: str) -> bool:
    """Whether a budget is for this database: each kind of expression that it has must fit."""
    subjects = (
        (budget.workspaces, (workspace_name, database.workspace_id)),
        (budget.projects, (database.project_name, database.project_id)),
        (budget.databases, (database.name, database.id)),
    )
    return all(not patterns or _fits(patterns, texts) for patterns, texts in subjects)


def state_of(
    budget: BudgetConfig,
    database_ids: Iterable[str],
    spent: Mapping[str, Decimal],
    expected: Mapping[str, Decimal],
) -> BudgetState:
    """Add up a budget's databases; those without a price are left out."""
    ids = tuple(database_ids)
    known_spent = [spent[id_] for id_ in ids if id_ in spent]
    known_expected = [expected[id_] for id_ in ids if id_ in expected]
    return BudgetState(
        name=budget.name,
        limit_usd=budget.monthly_usd,
        thresholds=budget.thresholds,
        databases=len(ids),
        spent_usd=sum(known_spent, Decimal(0)) if known_spent else None,
        expected_usd=sum(known_expected, Decimal(0)) if known_expected else None,
    )


def _fits(patterns: Iterable[re.Pattern[str]], texts: tuple[str, str]) -> bool:
    return any(pattern.search(text) for pattern in patterns for text in texts)
