"""A report as HTML: whole, asking for nothing, and safe with any name."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta
from html.parser import HTMLParser

from report_values import NOW, OCTOBER, ledger_state, month_of, state

from prisma_postgres_exporter.expose import report_page
from prisma_postgres_exporter.expose.pages.plots import band, bars, sparkline
from prisma_postgres_exporter.model import DatabaseState, Event, EventKind, WorkspaceDay
from prisma_postgres_exporter.report import MonthReport, UsageRow, report_markdown, report_month

HOSTILE = "<script>alert(1)</script>|\n`x` [a](javascript:1)"
VOID = {"meta"}


class Balance(HTMLParser):
    """Collects tags, and what is wrong with their nesting."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def a_report(*, name: str = "orders", databases: int = 3) -> MonthReport:
    held = [state(number, number * 1_000_000, gib=number) for number in range(1, databases + 1)]
    held[0] = replace(held[0], database=replace(held[0].database, name=name))
    days = [
        WorkspaceDay(
            workspace_key=1,
            day=NOW.date().replace(day=day),
            operations=day * 100,
            storage_byte_seconds=86_400 * 2**30,
            storage_seconds=86_400,
            storage_bytes=2**30,
        )
        for day in range(1, 21)
    ]
    told = [
        UsageRow(
            period=f"{NOW.date().replace(day=day)}",
            workspace_id="wksp_1",
            workspace_name="Acme",
            project_id=None,
            project_name=None,
            database_id=None,
            database_name=None,
            operations=day * 100 if day < 21 else None,
            days_known=databases if day < 21 else 0,
            days=databases,
            mean_storage_bytes=2**30 if day < 21 else None,
            storage_covered_ratio=1.0,
            is_usage_complete=day != 7,
            usage_missing=("days",) if day == 7 else (),
            are_operations_known=day != 7,
        )
        for day in range(1, 22)
    ]
    return report_month(month_of(ledger_state(*held), days=days), (), (), told, NOW)


def parsed(page: str) -> Balance:
    balance = Balance()
    balance.feed(page)
    balance.close()
    assert balance.open == []
    return balance


def test_it_is_one_document_that_asks_for_nothing_else() -> None:
    page = "".join(report_page(a_report(), most_databases=10))
    seen = parsed(page)

    assert page.startswith("<!doctype html>")
    assert not {"script", "link", "img", "iframe"} & set(seen.seen)
    assert not {"src", "href", "style"} & {name for name, _ in seen.attributes}
    assert "url(" not in page
    assert seen.seen.count("svg") == 2
    assert seen.seen.count("rect") == 40


def test_no_name_becomes_markup() -> None:
    report = a_report(name=HOSTILE)
    page, text = "".join(report_page(report, most_databases=10)), "".join(report_markdown(report, most_databases=10))

    assert "script" not in parsed(page).seen
    row = next(line for line in text.splitlines() if "alert" in line)
    assert len(re.findall(r"(?<!\\)\|", row)) == 8
    assert not re.search(r"(?<!\\)[<`\[]", row)


def test_what_is_not_listed_is_counted() -> None:
    report = a_report(databases=5)
    page, text = "".join(report_page(report, most_databases=2)), "".join(report_markdown(report, most_databases=2))

    for written in (page, text):
        assert "And 3 more: 6,000,000 operations, 48.80 USD together." in written


def test_a_day_that_is_not_known_whole_is_at_least_so_much_on_a_page_and_in_text() -> None:
    report = a_report()
    page, text = "".join(report_page(report, most_databases=2)), "".join(report_markdown(report, most_databases=2))

    assert "<title>2026-11-07: at least 700</title>" in page
    assert "<title>2026-11-08: 800</title>" in page
    assert "Operations a day; at least so much on 1 of 20 days" in page
    assert "| 2026-11-07 | ≥ 700 | 1.00 |\n| 2026-11-08 | 800 | 1.00 |\n" in text


def test_a_day_that_nobody_read_has_its_line() -> None:
    """The report is of the 21st, 00:00: twenty days were read, and the one that has begun was not."""
    text = "".join(report_markdown(a_report(), most_databases=2))

    assert "| 2026-11-20 | 2,000 | 1.00 |\n| 2026-11-21 | – | – |\n" in text


def test_it_says_the_month_in_three_sentences_first() -> None:
    """6 million operations on Starter: 10.00, and 5 over what is included at 8.00 a million."""
    report = a_report()
    page, text = "".join(report_page(report, most_databases=10)), "".join(report_markdown(report, most_databases=10))
    summary = (
        "So far in November 2026, Acme cost 50.00 USD (fee 10.00, operations 40.00, storage 0.00); "
        "50.11 USD are expected of the whole month. "
        "What it cost in October is not known, nor is the change. "
        "Acme / project 1 / database 3 costs most, 25.00 USD; not everything is known: see below."
    )

    for written in (page, text):
        assert summary in written
        assert written.index(summary) < written.index("Workspaces")


def test_markdown_and_html_have_the_same_parts_in_the_same_order() -> None:
    report = a_report(databases=5)
    page, text = "".join(report_page(report, most_databases=2)), "".join(report_markdown(report, most_databases=2))

    heads = re.findall("<h([1-6])>([^<]*)</h", page)
    assert heads == [(f"{len(level)}", title) for level, title in re.findall("^(#+) (.*)$", text, re.MULTILINE)]
    assert [title for _, title in heads] == [
        "Prisma Postgres in November 2026",
        "Workspaces",
        "What is not known",
        "Acme",
        "Projects of Acme",
        "Databases of Acme",
        "Days of Acme (UTC)",
    ]


def test_it_says_alike_in_every_place_whether_everything_is_known_and_names_what_fails() -> None:
    failing = replace(
        state(1, 9, gib=1), failing_since_at=NOW - timedelta(minutes=9), usage_at=NOW - timedelta(hours=2)
    )
    never = replace(state(2, 9, gib=1), failing_since_at=NOW, usage_at=None)

    def text(*held: DatabaseState, until: datetime = NOW) -> str:
        report = report_month(month_of(ledger_state(*held), until=until, now=NOW), (), (), (), NOW)
        return "".join(report_markdown(report, most_databases=2))

    def said(of_report: str) -> list[bool]:
        section = of_report.partition("## What is not known")[2].partition("## Acme")[0]
        return ["; everything is known." in of_report, "Everything of this month is known." in section]

    assert said(text(state(1, 9, gib=1))) == [True, True]
    one, two = text(failing), text(failing, never)
    sentence = "Not read now: Acme / database 1, last read until 2026-11-20 22:00 UTC. What it used since is not in it."
    assert (said(one), said(two)) == ([False, False], [False, False])
    assert one.count(sentence) == 2
    assert "UTC; Acme / database 2, never read. What they used since" in two


def test_a_change_of_a_month_that_runs_is_of_what_is_expected_which_has_its_column() -> None:
    def heads(until: datetime) -> tuple[str, str]:
        held = ledger_state(state(1, 9_000_000, gib=1, at=until))
        report = report_month(month_of(held, until=until), (), (), (), NOW)
        table = "".join(report_markdown(report, most_databases=2)).partition("## Workspaces")[2].splitlines()
        return table[2], table[4]

    head, row = heads(NOW)
    assert head.endswith("| USD | Expected | % of all | October | Change |")
    assert head.count("|") == row.count("|")
    head, row = heads(OCTOBER)
    assert head.endswith("| USD | % of all | September | Change |")
    assert head.count("|") == row.count("|")


def test_many_events_are_counted_before_the_projects_and_listed_at_the_end() -> None:
    def text(number: int) -> str:
        kinds = (EventKind.CREATED, EventKind.CREATED, EventKind.DELETED)
        events = [
            Event(at=NOW, kind=kinds[place % 3], subject="database", subject_id=f"db_{place}", workspace_id="wksp_1")
            for place in range(number)
        ]
        report = report_month(month_of(ledger_state(state(1, 9, gib=1))), (), events, (), NOW)
        return "".join(report_markdown(report, most_databases=2))

    few, many = text(5), text(6)
    assert few.partition("### Projects")[0].count("created.") == 4
    assert "## Events" not in few
    before, _, after = many.partition("### Projects")
    assert "- 6 events, listed at the end: 4 databases created, 2 databases deleted.\n" in before
    assert "created." not in before
    assert after.partition("## Events of Acme")[2].count("created.") == 4


def test_a_plot_has_gaps_and_words() -> None:
    plot = bars([("a", 1), ("b", None), ("c", 4)], "Things", lambda value: f"{value} pieces")

    assert plot is not None
    assert [bar.title for bar in plot.bars] == ["a: 1 pieces", "c: 4 pieces"]
    assert (plot.lowest, plot.highest, plot.first, plot.last) == ("1 pieces", "4 pieces", "a", "c")
    assert bars([("a", None)], "Things", lambda value: f"{value}") is None
    flat = bars([("a", 0)], "Things", str)
    assert flat is not None
    assert flat.bars[0].height == "0"
    growing = bars([("a", 1), ("b", 2)], "Things", str, still_open="b")
    assert growing is not None
    assert [(bar.title, bar.is_open) for bar in growing.bars] == [("a: 1", False), ("b: 2 so far", True)]
    assert sparkline([1, 2, None, 4, 4]).count("M") == 2
    assert sparkline([None, 1, None]) == ""


def test_a_band_reaches_from_now_to_the_end_of_the_month() -> None:
    drawn = band([0, 10, 20], 4, (30, 40, 50), "Cost", lambda value: f"{value:.0f}")

    assert drawn.past == "0,99 250,79.4 500,59.8"
    assert drawn.ahead == "500,59.8 1000,20.6"
    assert drawn.band == "500,59.8 1000,1 1000,40.2"
    assert (drawn.so_far, drawn.low, drawn.expected, drawn.high) == ("20", "30", "40", "50")
    least = band([0, 10, 20], 4, (40,), "Cost", lambda value: f"{value:.0f}", qualifiers=("at least ", "at least "))
    assert (least.band, least.ahead) == ("", "500,50 1000,1")
    assert (least.so_far, least.low, least.expected, least.high) == ("at least 20", "", "at least 40", "")
