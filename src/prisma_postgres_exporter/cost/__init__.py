"""What it costs: prices, bills, shares, limits and budgets. Pure; money is `Decimal`, in USD."""

from prisma_postgres_exporter.cost.bill import Bill, Span, Usage, make_bill
from prisma_postgres_exporter.cost.budgets import BudgetState
from prisma_postgres_exporter.cost.charging import HISTORY, Costs, Share, charge
from prisma_postgres_exporter.cost.estimate import WorkspaceCost, WorkspaceUsage, estimate
from prisma_postgres_exporter.cost.prices import Unpriced, price_of, price_spans
from prisma_postgres_exporter.cost.showback import share_out
from prisma_postgres_exporter.cost.table import By, CostRow, cost_rows
from prisma_postgres_exporter.cost.warnings import cost_warnings
from prisma_postgres_exporter.cost.whatif import WhatIf, compare_plans, parse_what_if, suppose

__all__ = [
    "HISTORY",
    "Bill",
    "BudgetState",
    "By",
    "CostRow",
    "Costs",
    "Share",
    "Span",
    "Unpriced",
    "Usage",
    "WhatIf",
    "WorkspaceCost",
    "WorkspaceUsage",
    "charge",
    "compare_plans",
    "cost_rows",
    "cost_warnings",
    "estimate",
    "make_bill",
    "parse_what_if",
    "price_of",
    "price_spans",
    "share_out",
    "suppose",
]
