"""Reports on months of the ledger, and its rows for other programs. Pure: money is `Decimal` in USD, times are UTC."""

from prisma_postgres_exporter.report.comparing import Change, compare_months
from prisma_postgres_exporter.report.documents import cost_document, expected_bounds, usd_text
from prisma_postgres_exporter.report.exporting import (
    DAY_COLUMNS,
    EVENT_COLUMNS,
    MONTH_COLUMNS,
    REVISION_COLUMNS,
    Owners,
    Row,
    day_rows,
    event_rows,
    month_rows,
    revision_rows,
)
from prisma_postgres_exporter.report.focus import FOCUS_COLUMNS, focus_rows
from prisma_postgres_exporter.report.markdown import report_markdown
from prisma_postgres_exporter.report.months import LedgerMonth, last_instant, ledger_month
from prisma_postgres_exporter.report.ranking import Key, Ranked, growth_days, rank
from prisma_postgres_exporter.report.sentences import (
    LEFT_OUT,
    cost_sentences,
    database_name,
    event_sentence,
    gib,
    money,
    quality_sentences,
    until_sentence,
)
from prisma_postgres_exporter.report.usage import Chosen, UsageRow, usage_by_day, usage_of_month
from prisma_postgres_exporter.report.whole import MonthReport, WorkspaceReport, report_month
from prisma_postgres_exporter.report.writing import csv_parts, jsonl_parts

__all__ = [
    "DAY_COLUMNS",
    "EVENT_COLUMNS",
    "FOCUS_COLUMNS",
    "LEFT_OUT",
    "MONTH_COLUMNS",
    "REVISION_COLUMNS",
    "Change",
    "Chosen",
    "Key",
    "LedgerMonth",
    "MonthReport",
    "Owners",
    "Ranked",
    "Row",
    "UsageRow",
    "WorkspaceReport",
    "compare_months",
    "cost_document",
    "cost_sentences",
    "csv_parts",
    "database_name",
    "day_rows",
    "event_rows",
    "event_sentence",
    "expected_bounds",
    "focus_rows",
    "gib",
    "growth_days",
    "jsonl_parts",
    "last_instant",
    "ledger_month",
    "money",
    "month_rows",
    "quality_sentences",
    "rank",
    "report_markdown",
    "report_month",
    "revision_rows",
    "until_sentence",
    "usage_by_day",
    "usage_of_month",
    "usd_text",
]
