"""The days of a report: what is not known whole is at least so much, and a workspace without a database has nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from report_values import NOW, month_of

from builders import database_state, ledger_state, workspace_state
from prisma_postgres_exporter.model import LedgerState, day_start
from prisma_postgres_exporter.report import UsageRow, report_markdown, report_month

ACME, GLOBEX = (
    workspace_state(database_state(f"db_{key}", key=key, workspace_key=key), key=key, id_=f"wksp_{key}", name=name)
    for key, name in ((1, "Acme"), (2, "Globex"))
)


def used(
    number: int, day: int, operations: int | None, *, is_known: bool = True, level: int | None = 2**30, hours: int = 24
) -> UsageRow:
    return UsageRow(
        period=f"{NOW.date().replace(day=day)}",
        workspace_id=f"wksp_{number}",
        workspace_name="",
        project_id=None,
        project_name=None,
        database_id=None,
        database_name=None,
        operations=operations,
        days_known=1 if is_known else 0,
        days=1,
        mean_storage_bytes=level,
        storage_covered_ratio=1.0,
        is_usage_complete=is_known,
        usage_missing=() if is_known else ("days",),
        are_operations_known=is_known,
        mean_storage_qualifier="about " if hours < 24 else "" if is_known else "at least ",
    )


def lines(*days: UsageRow, of: LedgerState | None = None) -> list[str]:
    """The table of all workspaces' days."""
    month = month_of(of or ledger_state(ACME, GLOBEX))
    text = "".join(report_markdown(report_month(month, (), (), days, NOW), most_databases=1))
    table = text[text.index("\n## Days") : text.index("\n## What is not known")]
    return table.strip().splitlines()[4:]


def test_the_total_of_a_day_has_what_is_known_of_it() -> None:
    assert lines(
        used(1, 1, 1_000),
        used(2, 1, 2_000),
        used(1, 2, 1_000, is_known=False),
        used(2, 2, 2_000),
        used(1, 3, 1_000),
        used(2, 3, None, is_known=False, level=None),
        used(1, 4, None, is_known=False, level=None),
        used(1, 5, 1_000, hours=12),
        used(2, 5, 2_000),
        used(1, 6, 1_000, hours=12),
        used(2, 6, None, is_known=False, level=None),
    ) == [
        "| 2026-11-01 | 3,000 | 2.00 |",
        "| 2026-11-02 | ≥ 3,000 | at least 2.00 |",
        "| 2026-11-03 | ≥ 1,000 | at least 1.00 |",
        "| 2026-11-04 | – | – |",
        "| 2026-11-05 | 3,000 | about 2.00 |",
        "| 2026-11-06 | ≥ 1,000 | – |",
    ]


def test_a_workspace_that_has_no_database_on_a_day_takes_nothing_from_the_total() -> None:
    assert lines(used(1, 1, 1_000), used(1, 2, 1_000), used(2, 2, 500)) == [
        "| 2026-11-01 | 1,000 | 1.00 |",
        "| 2026-11-02 | 1,500 | 2.00 |",
    ]


def test_before_a_workspace_was_followed_something_may_be_missing_that_left_no_row() -> None:
    followed_at = day_start(NOW.date().replace(day=2)) + timedelta(hours=8)

    found = lines(
        *(used(1, day, 1_000) for day in (1, 2, 3)), of=ledger_state(ACME, replace(GLOBEX, first_seen_at=followed_at))
    )

    assert found == [
        "| 2026-11-01 | ≥ 1,000 | at least 1.00 |",
        "| 2026-11-02 | ≥ 1,000 | at least 1.00 |",
        "| 2026-11-03 | 1,000 | 1.00 |",
    ]
