"""What it costs: prices, bills, shares, limits and budgets. Pure; money is `Decimal`, in USD."""

from prisma_postgres_exporter.cost.bill import Bill, Span, make_bill
from prisma_postgres_exporter.cost.budgets import BudgetState
from prisma_postgres_exporter.cost.charging import HISTORY, Costs, charge, is_blocked
from prisma_postgres_exporter.cost.estimate import SpendLimit, WorkspaceCost, WorkspaceUsage, estimate
from prisma_postgres_exporter.cost.limits import BLOCKING, is_limit_near
from prisma_postgres_exporter.cost.outlook import Outlook, outlook_of_part
from prisma_postgres_exporter.cost.placing import placed_days
from prisma_postgres_exporter.cost.prices import Unpriced, price_of, price_spans, upgrades
from prisma_postgres_exporter.cost.reconciling import Difference, VendorMonth, month_differences, vendor_month
from prisma_postgres_exporter.cost.showback import share_out
from prisma_postgres_exporter.cost.table import By, CostRow, add_bills, added, cost_rows, total_of, total_row
from prisma_postgres_exporter.cost.usage import (
    ABOUT,
    AT_LEAST,
    LAST_READ_WITHIN,
    NOTHING,
    TODAY_READ_WITHIN,
    UNREAD,
    Usage,
    add_up,
    database_usage,
    unlisted,
    used_in_month,
)
from prisma_postgres_exporter.cost.warnings import cost_warnings, likely_block
from prisma_postgres_exporter.cost.whatif import Offer, Saving, WhatIf, compare_plans, parse_what_if, savings, suppose

__all__ = [
    "ABOUT",
    "AT_LEAST",
    "BLOCKING",
    "HISTORY",
    "LAST_READ_WITHIN",
    "NOTHING",
    "TODAY_READ_WITHIN",
    "UNREAD",
    "Bill",
    "BudgetState",
    "By",
    "CostRow",
    "Costs",
    "Difference",
    "Offer",
    "Outlook",
    "Saving",
    "Span",
    "SpendLimit",
    "Unpriced",
    "Usage",
    "VendorMonth",
    "WhatIf",
    "WorkspaceCost",
    "WorkspaceUsage",
    "add_bills",
    "add_up",
    "added",
    "charge",
    "compare_plans",
    "cost_rows",
    "cost_warnings",
    "database_usage",
    "estimate",
    "is_blocked",
    "is_limit_near",
    "likely_block",
    "make_bill",
    "month_differences",
    "outlook_of_part",
    "parse_what_if",
    "placed_days",
    "price_of",
    "price_spans",
    "savings",
    "share_out",
    "suppose",
    "total_of",
    "total_row",
    "unlisted",
    "upgrades",
    "used_in_month",
    "vendor_month",
]
