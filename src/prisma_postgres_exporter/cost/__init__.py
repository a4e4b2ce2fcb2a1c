"""What it costs: prices, bills, shares, limits and budgets. Pure; money is `Decimal`, in USD."""

from prisma_postgres_exporter.cost.bill import Bill, Span, Usage, make_bill
from prisma_postgres_exporter.cost.budgets import BudgetState
from prisma_postgres_exporter.cost.charging import HISTORY, Costs, Share, charge
from prisma_postgres_exporter.cost.estimate import WorkspaceCost, WorkspaceUsage, estimate
from prisma_postgres_exporter.cost.prices import Unpriced, price_of, price_spans
from prisma_postgres_exporter.cost.showback import share_out

__all__ = [
    "HISTORY",
    "Bill",
    "BudgetState",
    "Costs",
    "Share",
    "Span",
    "Unpriced",
    "Usage",
    "WorkspaceCost",
    "WorkspaceUsage",
    "charge",
    "estimate",
    "make_bill",
    "price_of",
    "price_spans",
    "share_out",
]
