"""The status page tells a person what runs, what was found and what failed, and trusts no text."""

from __future__ import annotations

import asyncio
import gc
import re
import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest
from expose_views import A_DATABASE, A_SNAPSHOT, A_WORKSPACE, NOW, exposition_of, names, snapshot_of
from hypothesis import given
from test_expose_web import A_STATUS, app_of, client_of

from prisma_postgres_exporter.cost import Bill, BudgetState, Outlook, Saving, SpendLimit, Usage, WorkspaceCost
from prisma_postgres_exporter.expose import CredentialStatus, RoundStatus, ServiceStatus
from prisma_postgres_exporter.expose.pages import attention, overview, places, serving
from prisma_postgres_exporter.expose.pages.days import charges_by_day, month_of_money, month_of_operations
from prisma_postgres_exporter.expose.pages.drawing import distance, size
from prisma_postgres_exporter.expose.pages.listing import ROWS, Asked
from prisma_postgres_exporter.expose.pages.plots import Band, Bars, bars_of_days
from prisma_postgres_exporter.expose.pages.use import meters
from prisma_postgres_exporter.forecast import Forecast
from prisma_postgres_exporter.ledger.attention import Learned
from prisma_postgres_exporter.report import Beside, CostLine, Day, Departed, MonthCosts, ProjectLine, UsageRow
from prisma_postgres_exporter.snapshot import DatabaseView, WorkspaceView

COSTS = MonthCosts(
    name="2026-11",
    until=NOW,
    lines=(
        CostLine(
            is_expected_complete=True,
            workspace_id="wksp_a",
            name="Acme",
            bill=Bill(fee=Decimal(10), operations=Decimal("2.5"), storage=Decimal(0)),
            expected_usd=Decimal("14.00"),
            beside=Beside(
                share_percent=100.0,
                last_month_usd=Decimal("12.00"),
                last_month_known_usd=Decimal("12.00"),
                change_usd=Decimal("2.00"),
            ),
        ),
        CostLine(
            workspace_id="wksp_b",
            name="<b>Beta</b>",
            bill=None,
            expected_usd=None,
            is_expected_complete=True,
            beside=Beside(),
        ),
        CostLine(
            name="total",
            bill=Bill(
                fee=Decimal(10),
                operations=Decimal("2.5"),
                storage=Decimal(0),
                is_storage_known=False,
                is_some_storage_known=True,
            ),
            expected_usd=Decimal("14.00"),
            is_expected_complete=True,
            beside=Beside(
                last_month_usd=Decimal("12.00"), last_month_known_usd=Decimal("12.00"), change_usd=Decimal("2.00")
            ),
        ),
    ),
    notes=("Not all of it is known.",),
)
TOLD = places.Told()
A_ROW = UsageRow(
    period="2026-11-01",
    workspace_id="wksp_a",
    workspace_name="Acme",
    project_id="proj_a",
    project_name="shop",
    database_id="db_a",
    database_name="orders",
    operations=1,
    days_known=1,
    days=1,
    mean_storage_bytes=None,
    storage_covered_ratio=None,
    is_usage_complete=True,
)
A_SHARE = Bill(fee=Decimal(7), operations=Decimal(0), storage=Decimal(0), is_share=True)
A_PROJECT = ProjectLine(
    workspace_id="wksp_a",
    project_id="proj_a",
    name="proj_a",
    usage=Usage(known_operations=9, days=1, days_known=1),
    bill=A_SHARE,
)
CONSOLE = "https://console.prisma.io"
FULL = replace(
    A_STATUS,
    store_error="disk is full",
    credentials=(
        CredentialStatus(name="eu", is_up=True, workspace_name="Acme", expires_at=NOW + timedelta(days=30)),
        CredentialStatus(
            name="us", is_up=False, reason="the token was refused", failing_since_at=NOW - timedelta(hours=3)
        ),
    ),
    snapshot=replace(
        A_SNAPSHOT,
        databases=(
            A_DATABASE,
            replace(
                A_DATABASE,
                database_id="db_f",
                database_name="broken",
                failing_since_at=NOW - timedelta(minutes=20),
                failure_reason="http_503",
            ),
        ),
        workspaces=(A_WORKSPACE, replace(A_WORKSPACE, is_up=False, failure_reason="timeout", is_usage_blocked=True)),
    ),
    widened_windows={"24h": 3},
    rounds=(
        RoundStatus(
            workspace_id="wksp_1",
            workspace_name="Beta",
            first_ended_at=NOW - timedelta(hours=9),
            finished_at=NOW - timedelta(minutes=9),
            seconds=7.0,
            readings=5,
            failed=0,
            next_at=NOW + timedelta(minutes=7),
        ),
        RoundStatus(
            workspace_id="wksp_1",
            workspace_name="Acme",
            first_ended_at=NOW - timedelta(hours=9),
            finished_at=NOW - timedelta(seconds=90),
            seconds=4.25,
            readings=812,
            failed=3,
            next_at=NOW + timedelta(minutes=4),
        ),
    ),
    notes=("Demo: the world is simulated.",),
)


class _Reader(HTMLParser):
    """Collects what a browser would show and what it would load; every element must be closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []
        self.elements: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.links += [value or "" for name, value in attrs if name in {"href", "src", "action"}]
        if tag not in {"meta", "input"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)


def read(page: str) -> _Reader:
    reader = _Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


def status_page(status: ServiceStatus, costs: MonthCosts | str | None, **asked: str) -> str:
    return overview.status_page(status, status.snapshot, costs, Asked.of(asked))


def database_page(view: DatabaseView) -> str:
    return places.database_page(FULL, snapshot_of([view]), view, places.Told())


def workspace_page(view: WorkspaceView, status: ServiceStatus = FULL, costs: MonthCosts | str | None = COSTS) -> str:
    snapshot = snapshot_of([A_DATABASE], [view])
    return places.workspace_page(status, snapshot, view, costs, places.Told(), Asked())


def places_of(view: WorkspaceView) -> places.Place:
    """The place that the page of a workspace draws."""
    return places.Place(
        status=FULL,
        snapshot=A_SNAPSHOT,
        kind="Workspace",
        id_=view.workspace_id,
        name=view.workspace_name,
        workspace_id=view.workspace_id,
        views=(),
        cards=(),
        alerts=(),
        notes=(),
        told=places.Told(),
        asked=Asked(),
        days=(),
        days_here=(),
        bill=None,
        used=None,
        month="",
        workspace=view,
    )


def words(page: str) -> str:
    return " ".join(" ".join(read(page).words).split())


def test_it_says_everything_a_person_asks_for() -> None:
    text = words(status_page(FULL, COSTS))
    for said in (
        "November so far at least $12.50 fee $10.00 · operations $2.50 · storage at least $0.00",
        "Whole month, expected $14.00 +16.7 % against October ($12.00)",
        "Data until 11:55 UTC, 4 min ago · 2 databases, 1 failing",
        "broken The vendor's API is unavailable for the moment; ",
        "again on its own. The last numbers read are shown. Since 2026-11-23 11:40:00 UTC, 20 min ago",
        "20 min ago . In metrics and logs: http_503 .",
        "Blocked now Acme: blocked The vendor blocks its databases: likely the spend limit (raise it; ",
        "or an unpaid invoice (ends with its payment only)",
        "Acme The API did not answer in time; the exporter tries again on its own. Its databases cannot be listed; ",
        "Credential us The token was refused. Since 2026-11-23 09:00:00 UTC, 3 h ago",
        "1.2.3",
        "2026-11-23 09:00:00 UTC, 3 h ago",
        "Demo: the world is simulated.",
        "sqlite:///prisma-postgres-exporter.db failing : disk is full",
        "2 shown, 1 failing , 3 left out by configuration",
        "Last round Acme, 2026-11-23 11:58:30 UTC, 90 s ago : 812 readings in 4.2 s, 3 failed",
        "Next round Acme, 2026-11-23 12:04:00 UTC, in 4 min",
        "24h of 3 databases: the API answers for more time than was asked for",
        "us not known yet down The token was refused",
        "in 30 days",
    ):
        assert said in text


def test_a_service_that_knows_nothing_yet_says_so() -> None:
    text = words(status_page(replace(A_STATUS, not_ready_reason="the store was not read yet"), None))
    assert "Starting the first numbers are being read." in text
    assert "November so far Not known yet Whole month, expected Not known yet" in text
    assert "No data yet" in text
    assert "None is configured." in text
    assert "Last round none has finished yet" in text
    assert "Next round not planned" in text


@pytest.mark.parametrize(
    ("is_up", "said", "of_workspace"),
    [(True, "up", "up"), (False, "not read", "failing"), (None, "not read yet", "not read yet")],
)
def test_a_database_and_a_workspace_are_up_or_not_or_not_tried_yet(
    is_up: bool | None, said: str, of_workspace: str
) -> None:
    database, workspace = replace(A_DATABASE, is_up=is_up), replace(A_WORKSPACE, is_up=is_up)
    text = words(status_page(replace(A_STATUS, snapshot=snapshot_of([database], [workspace])), COSTS))

    assert ("Not read in time" in text) is (is_up is False)
    assert f"orders shop Acme 0 100 3.00 GiB – {said} " in text
    assert f"Acme Pro {'' if is_up else of_workspace}".rstrip() in text
    assert f"State {said} Region" in words(database_page(database))
    assert f"State {of_workspace} Databases" in words(workspace_page(workspace))


def test_who_collects_a_workspace_is_on_its_page() -> None:
    status = replace(FULL, collected_by={"wksp_a": "replica-2"})

    assert "State collected by replica-2 Databases" in words(workspace_page(A_WORKSPACE, status))


def test_what_an_adaptive_plan_learned_is_told_by_workspace() -> None:
    learned = Learned(bound=timedelta(minutes=90), period=timedelta(hours=3), made=100, saved=900)
    learned = replace(learned, next_at=NOW + timedelta(hours=2, minutes=5))
    rounds = [replace(FULL.rounds[1], learned=known) for known in (learned, Learned(bound=timedelta(minutes=90)), None)]

    text = words(status_page(replace(FULL, rounds=tuple(rounds)), COSTS))

    assert (
        "poll.adaptive in Acme numbers move every 3 h, next 2026-11-23 14:05:00 UTC, in 2 h ; "
        "90 % of 1,000 readings of open days saved; each is read within 90 min "
        "poll.adaptive in Acme no rhythm known yet; nothing read yet; each is read within 90 min Widened"
    ) in text


def test_a_reload_that_failed_is_told_with_its_reason_and_since_when() -> None:
    failed = replace(FULL, reload_error="poll.interval: is not valid", reload_failing_since_at=NOW - timedelta(hours=2))

    said = words(status_page(failed, COSTS))

    assert "Configuration not reloaded the one before is in force: poll.interval: is not valid" in said
    assert "Since 2026-11-23 10:00:00 UTC, 2 h ago" in said
    assert "not reloaded" not in words(status_page(FULL, COSTS))


async def test_the_page_of_a_database_says_until_when_the_vendor_asked_to_be_left_alone() -> None:
    waiting = replace(FULL, waits={"db_f": NOW + timedelta(hours=1)})
    async with client_of(app_of(exposition_of(A_SNAPSHOT), waiting)) as client:
        told, other = [(await client.get(f"/databases/{id_}")).text for id_ in ("db_f", A_DATABASE.database_id)]

    assert "Not asked before 13:00 UTC, as the vendor asked." in words(told)
    assert "Not asked before" not in words(other)


def test_what_both_the_health_and_the_store_say_is_said_once() -> None:
    broken = "cannot write the store: the file is damaged"
    page = words(status_page(replace(A_STATUS, unhealthy_reason=broken, store_error=broken), COSTS))

    assert page.partition("What runs")[0].count(broken) == 1
    assert f"Not healthy {broken}" in page


def test_a_line_about_several_ends_in_no_name_that_is_cut() -> None:
    names = [f"workspace number {number} of a company" for number in range(3)]
    views = [replace(A_WORKSPACE, workspace_id=name, workspace_name=name, failure_reason="timeout") for name in names]
    page = words(status_page(replace(FULL, snapshot=snapshot_of([], views)), None))

    assert ", ".join(names) in page


def test_that_all_databases_fail_is_no_lack_of_data() -> None:
    failing = replace(FULL, snapshot=replace(A_SNAPSHOT, databases=(replace(A_DATABASE, is_up=False),)))

    assert "Data until 11:55 UTC, 4 min ago · 1 database, 1 failing" in words(status_page(failing, COSTS))


def test_where_all_fail_since_different_times_no_untrue_instant_is_said_of_the_rest() -> None:
    """One fails since hours, and then the vendor is gone."""
    ages = [5, 6, 200]
    views = [
        replace(
            A_DATABASE,
            database_id=f"db_{age}",
            database_name=f"of {age}",
            is_up=False,
            usage_at=NOW - timedelta(minutes=age + 1),
            failing_since_at=NOW - timedelta(minutes=age),
            failure_reason="timeout",
        )
        for age in ages
    ]

    page = words(status_page(replace(FULL, snapshot=replace(A_SNAPSHOT, databases=tuple(views))), COSTS))
    recent = words(status_page(replace(FULL, snapshot=replace(A_SNAPSHOT, databases=tuple(views[:2]))), COSTS))

    assert "Data until 11:54 UTC, 6 min ago ; oldest reading 08:39 UTC, 3 h ago , of of 200" in page
    assert "The first of them since 2026-11-23 08:40:00 UTC" in page
    assert "Since 2026-11-23 11:54:00 UTC" in recent
    assert "The first of them" not in recent


def test_a_page_that_was_drawn_holds_nothing_of_what_it_shows() -> None:
    """A service looks for garbage in all of its memory a few times a day: what is in a circle stays until then."""
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        status_page(replace(FULL, snapshot=replace(A_SNAPSHOT)), COSTS)
        workspace_page(A_WORKSPACE)
        database_page(A_DATABASE)
        gc.collect()
        left = {type(thing).__name__ for thing in gc.garbage}
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert not left & {"Snapshot", "ServiceStatus", "Macro", "Place", "Overview", "CostLine", "Alert"}


def test_a_blocked_workspace_is_not_told_to_use_less() -> None:
    """What is used is used: only another plan, or a higher limit, ends a block."""
    for limit, todo in (("free_operations", "Upgrade the plan."), ("spend_limit", "Raise the limit.")):
        for at, more in ((NOW - timedelta(hours=1), ""), (NOW + timedelta(days=1), ", or cut its")):
            cost = WorkspaceCost(limits=((limit, at),))
            [reach] = attention.reaches(snapshot_of([], [replace(A_WORKSPACE, cost=cost)]), NOW)
            assert reach.todo.startswith(todo.removesuffix(".") + (more or "."))


def test_a_days_level_that_is_not_known_whole_is_at_least_or_about_so_much_and_drawn_open() -> None:
    days = [("2026-11-21", 7, "about "), ("2026-11-22", 7, ""), ("2026-11-23", 7, "at least ")]
    plot = bars_of_days("Storage", days, str)
    assert plot is not None
    assert plot.label == "Storage; at least so much on 1 of 3 days; about so much on 1 of 3 days"
    assert [(bar.title, bar.is_open) for bar in plot.bars] == [
        ("2026-11-21: about 7", True),
        ("2026-11-22: 7", False),
        ("2026-11-23: at least 7", True),
    ]


def test_every_page_says_until_when_its_databases_are_read_and_names_the_failing_one_that_was_read_last_before() -> (
    None
):
    late = replace(A_DATABASE, database_id="db_l", database_name="late", is_up=False, usage_at=NOW - timedelta(hours=1))
    snapshot = replace(A_SNAPSHOT, databases=(A_DATABASE, late))
    pages = (
        status_page(replace(FULL, snapshot=snapshot), COSTS),
        places.workspace_page(FULL, snapshot, A_WORKSPACE, COSTS, places.Told(), Asked()),
        places.project_page(FULL, snapshot, late.project_id, COSTS, places.Told(), Asked()),
    )

    for page in map(words, pages):
        assert "Data until 11:55 UTC, 4 min ago ; oldest reading 11:00 UTC, 60 min ago , of late" in page


def test_the_lists_say_when_new_databases_are_looked_for() -> None:
    mine = replace(FULL.rounds[0], workspace_id=A_WORKSPACE.workspace_id)
    rounds = (
        replace(mine, looked_at=NOW - timedelta(minutes=3), looks_at=NOW + timedelta(minutes=7)),
        replace(mine, workspace_id="w", looked_at=NOW - timedelta(minutes=6), looks_at=NOW + timedelta(minutes=4)),
        replace(mine, workspace_id="not looked through yet"),
    )
    status = replace(FULL, rounds=rounds)

    everywhere = "New ones were looked for 2026-11-23 11:54:00 UTC, 6 min ago ; again in 7 min"
    here = "New ones were looked for 2026-11-23 11:57:00 UTC, 3 min ago ; again in 7 min"
    assert everywhere in words(status_page(status, COSTS))
    assert here in words(workspace_page(A_WORKSPACE, status=status))
    assert "looked for" not in words(status_page(FULL, COSTS))
    late = replace(mine, looked_at=NOW - timedelta(minutes=3), looks_at=NOW - timedelta(seconds=1))
    assert "3 min ago ; again now." in words(status_page(replace(FULL, rounds=(late,)), COSTS))


def test_the_page_of_a_database_says_until_when_each_window_was_read() -> None:
    text = words(places.database_page(FULL, A_SNAPSHOT, A_DATABASE, places.Told()))

    assert "24h until 2026-11-23 11:56:00 UTC, 4 min ago : 300 operations" in text
    assert "7d until 2026-11-23 10:00:00 UTC, 2 h ago : 1,000 operations" in text


def test_today_ends_no_line_in_a_fall_and_its_bar_is_marked() -> None:
    days = [
        Day(day=NOW.date() - timedelta(days=back), operations=100 * (back + 1), storage_bytes=2**30)
        for back in range(3, -1, -1)
    ]
    status = replace(FULL, workspace_days={A_WORKSPACE.workspace_id: days})

    assert overview.last_days(days, NOW)[-4:] == [None, *days[:3]]
    page = workspace_page(A_WORKSPACE, status=status)
    assert page.count('class="open"') >= 1
    assert "2026-11-23: 100 so far" in page
    assert "2026-11-22: 200<" in page


def test_days_of_a_workspace_that_a_database_lacks_are_at_least_so_much() -> None:
    days = [
        Day(
            day=NOW.date() - timedelta(days=back),
            operations=100,
            storage_bytes=2**30,
            are_operations_known=back != 2,
            storage_qualifier="at least " if back == 2 else "",
        )
        for back in range(3, -1, -1)
    ]
    status = replace(FULL, workspace_days={A_WORKSPACE.workspace_id: days})
    page = workspace_page(A_WORKSPACE, status=status)

    assert "Operations a day; at least so much on 1 of 4 days" in page
    assert "2026-11-21: at least 100<" in page
    assert "2026-11-21: at least 1.00 GiB<" in page
    assert "2026-11-22: 100<" in page
    label = "Operations of the last 30 days of Acme; at least so much on 1 of 3 days"
    assert f"<title>{label}</title>" in status_page(status, COSTS)


def test_an_unhealthy_service_says_so_first() -> None:
    status = replace(A_STATUS, unhealthy_reason="no round began for an hour", not_ready_reason="nothing stored")
    assert "Not healthy no round began for an hour" in words(status_page(status, COSTS))


@given(name=names)
def test_names_never_become_markup(name: str) -> None:
    hostile = f"<script>alert(1)</script>{name}"
    database = replace(
        A_DATABASE, database_name=hostile, workspace_name=hostile, failure_reason=hostile, failing_since_at=NOW
    )
    workspace = replace(A_WORKSPACE, workspace_name=hostile, plan=hostile, is_up=False, failure_reason=hostile)
    status = replace(
        FULL,
        snapshot=snapshot_of([database], [workspace]),
        store_error=hostile,
        credentials=(CredentialStatus(name=hostile, is_up=False, reason=hostile, workspace_name=hostile),),
        widened_windows={hostile: 3},
        notes=(hostile,),
    )
    page = status_page(status, COSTS)
    page.encode()
    assert "script" not in read(page).elements


def test_it_loads_nothing_and_its_links_hold_below_the_path_of_a_proxy() -> None:
    project = places.project_page(FULL, A_SNAPSHOT, "proj_a", COSTS, places.Told(), Asked())
    below = (workspace_page(A_WORKSPACE), database_page(A_DATABASE), project)
    for page, root in ((status_page(FULL, COSTS), "./"), *((page, "../") for page in below)):
        reader = read(page)
        assert all(link.startswith((root, "#", "?")) for link in reader.links if link != CONSOLE), reader.links
        assert {root, f"{root}metrics", f"{root}api/v1/openapi.json"} <= set(reader.links)
        assert not {"script", "img", "link", "iframe", "object"} & set(reader.elements)
    links = set(read(status_page(FULL, COSTS)).links)
    assert {"./-/healthy", "./-/ready", "./databases/db_a", "./databases/db_f", "./workspaces/wksp_a"} <= links


def test_what_fails_alike_is_one_line_and_many_lines_are_folded() -> None:
    alike = [
        replace(A_DATABASE, database_id=f"db_{number}", failing_since_at=NOW, failure_reason="timeout")
        for number in range(1250)
    ]
    page = status_page(replace(FULL, snapshot=snapshot_of(alike)), COSTS)
    assert "1,250 databases of Acme The API did not answer in time" in words(page)
    assert len(page) < 100_000

    unlike = [
        replace(view, failure_reason=f"reason_{place}", database_name=f"n{place}") for place, view in enumerate(alike)
    ]
    page = status_page(replace(FULL, snapshot=snapshot_of(unlike)), COSTS)
    assert "And 1,245 more" in words(page)
    assert "And 1,153 more, in the metrics." in words(page)
    assert len(page) < 200_000


async def test_the_page_is_guarded_by_its_headers() -> None:
    async with client_of(app_of(exposition_of(A_SNAPSHOT), FULL)) as client:
        answer: httpx.Response = await client.get("/")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy


def test_what_the_month_costs_stands_beside_the_last_one() -> None:
    text = words(status_page(FULL, COSTS))
    assert "Acme Pro blocked ≥ 950 2.00 GiB $12.50 $14.00 $12.00 –" in text
    assert "<b>Beta</b> – – – – – – –" in text
    assert "Not all of it is known." in text
    assert "Costs in USD, worked out at 2026-11-23 12:00 UTC." in text
    assert "The ledger cannot be read now: it is locked" in words(status_page(FULL, "it is locked"))
    assert "The ledger is being read." in words(status_page(FULL, None))


def test_while_costs_are_read_nothing_is_said_of_the_last_month_but_that_it_is_being_read() -> None:
    for page in (status_page(FULL, None), workspace_page(A_WORKSPACE, costs=None)):
        assert re.search("October (cost, and whether .* saved, )?is being read", words(page))
        assert "not known yet being read" not in page
    text = words(status_page(FULL, None))
    assert "What October cost is not known" not in text
    assert "being read" in text.partition("Operations, 30 days")[2].partition("Databases")[0], "in the month's column"
    for costs in (COSTS, "it is locked"):
        assert "being read" not in words(status_page(FULL, costs))


@pytest.mark.parametrize(("change", "said"), [("-0.01", "As in October"), ("0", "As in October"), ("0.5", "+0.3 %")])
def test_a_change_that_rounds_to_nothing_is_none(change: str, said: str) -> None:
    beside = Beside(
        last_month_usd=Decimal("179.45"), last_month_known_usd=Decimal("179.45"), change_usd=Decimal(change)
    )
    total = replace(COSTS.lines[-1], beside=beside)
    text = words(status_page(FULL, replace(COSTS, lines=(*COSTS.lines[:-1], total))))

    assert f"Whole month, expected $14.00 {said}" in text
    assert "$179.45" in text
    assert " 0 %" not in text
    assert "0.0" not in f"{beside.change_percent:+}" or beside.change_percent == 0
    assert "-0.0" not in str(beside.change_percent)


def test_a_free_plans_storage_is_shown_in_megabytes_as_the_vendor_says_it() -> None:
    cost = WorkspaceCost(included_storage_bytes=500_000_000)
    view = replace(A_WORKSPACE, month_average_storage_bytes=270_400_000, cost=cost)

    assert "270 MB of 500 MB (54 %)" in words(status_page(replace(FULL, snapshot=snapshot_of([], [view])), COSTS))
    text = words(workspace_page(replace(view, plan="Free")))
    assert "270 MB of 500 MB (54 %)" in text
    assert "Storage now 3,221 MB" in text
    # What stops there is not money.
    assert "of the month's operations are not read yet: nothing can be drawn." in text
    assert "The cost is not known" not in text
    assert "Data until" in text.partition("Workspace Acme")[0]


def test_the_charges_of_a_cheap_database_are_drawn_exactly() -> None:
    """22 cents over 20 days: a bar for each day, and not one of a cent or none."""
    bill = Bill(fee=Decimal(0), operations=Decimal("0.22"), storage=Decimal(0))
    used = [100 + 10 * (number % 7) for number in range(20)]
    days = [
        Day(
            day=date(2026, 11, number + 1),
            operations=operations,
            storage_bytes=None,
        )
        for number, operations in enumerate(used)
    ]
    drawn = charges_by_day(bill, days, sum(used), NOW, is_free=False)

    assert isinstance(drawn, Bars)
    heights = [float(bar.height) for bar in drawn.bars]
    assert heights == pytest.approx([100 * operations / 160 for operations in used], abs=0.01)
    assert (drawn.lowest, drawn.highest) == ("$0.0086", "$0.014")


def test_a_month_of_which_days_are_not_read_is_not_drawn_as_if_it_were() -> None:
    """It stood at what was read, below a card with the vendor's month."""
    days = [
        Day(
            day=date(2026, 11, number),
            operations=100,
            storage_bytes=1,
        )
        for number in range(1, 24)
    ]

    def drawn(operations: int) -> Band | str:
        return month_of_operations(days, Usage(known_operations=operations, days=23, days_known=23), AHEAD, NOW)

    assert isinstance(drawn(2_300), Band)
    assert isinstance(drawn(2_500), Band)
    assert drawn(9_300) == "Days with 7 k of the month's operations are not read yet: nothing can be drawn."


def test_what_days_cost_that_nobody_read_is_no_other_days() -> None:
    """On the first day two days are read, and the vendor's month has all: 8 USD a million, in ones of a million."""
    read = {2: 1_000_000, 23: 500_000}
    days = [
        Day(
            day=date(2026, 11, number),
            operations=operations,
            storage_bytes=None,
        )
        for number, operations in read.items()
    ]
    bill = Bill(fee=Decimal(10), operations=Decimal(160), storage=Decimal(0))
    drawn = charges_by_day(bill, days, 20_000_000, NOW, is_free=False)
    line = replace(COSTS.lines[0], bill=bill, low_usd=Decimal(180), expected_usd=Decimal(200), high_usd=Decimal(220))
    month = month_of_money(line, None, days, 20_000_000, NOW)

    assert isinstance(drawn, Bars)
    assert isinstance(month, Band)
    assert [bar.title for bar in drawn.bars] == ["2026-11-02: $8.00", "2026-11-23: $4.00 so far"]
    # The line of the month ends where the month stands, and begins on the 1st.
    assert month.so_far == "$170.00"
    assert month.label == "Cost of November, the fee first, and where it will end"
    # A row for each day, as of one of its databases, is not the whole of it either.
    some = [replace(days[0], day=date(2026, 11, number)) for number in range(1, 24)]
    of_some = charges_by_day(bill, some, 46_000_000, NOW, is_free=False)
    assert isinstance(of_some, Bars)
    assert of_some.highest == "$3.48"
    assert len(month.past.split()) == 1 + 23


DAYS = [
    Day(
        day=date(2026, 11, number),
        operations=100,
        storage_bytes=1,
    )
    for number in range(1, 24)
]
USED = Usage(known_operations=2_300, days=23, days_known=23)
AHEAD = Outlook(operations=Forecast(low=2_940, expected=3_080, high=3_240))


def test_a_charts_words_say_at_least_where_its_card_does_and_then_tell_no_range() -> None:
    def scale(month: Band | str) -> str:
        place = replace(places_of(A_WORKSPACE), month=month)
        return words(place.drawn()).partition("This month")[2].partition("What is charged")[0]

    bill = replace(COSTS.lines[0].bill or SPENT, is_storage_known=False, is_some_storage_known=True)
    line = replace(COSTS.lines[0], bill=bill, low_usd=Decimal(13), high_usd=Decimal(15))
    of_line = partial(month_of_money, cost=None, days=DAYS, used=2_300, now=NOW)
    late = replace(USED, followed_late=1)

    assert scale(of_line(line)).endswith("at least $12.50 so far $14.00 expected, $13.00 – $15.00 ")
    least = replace(line, is_expected_complete=False, low_usd=None, high_usd=None)
    assert scale(of_line(least)).endswith("at least $12.50 so far about $14.00 expected ")
    assert "2.3 k so far 3.08 k expected, 2.94 k – 3.24 k" in scale(month_of_operations(DAYS, USED, AHEAD, NOW))
    # What is expected is an estimate: of no part of it at least so much.
    assert scale(month_of_operations(DAYS, late, AHEAD, NOW)).endswith("at least 2.3 k so far about 3.08 k expected ")


def test_of_a_blocked_workspace_no_more_operations_are_expected() -> None:
    for usage, said in ((USED, "2.3 k"), (replace(USED, followed_late=1), "at least 2.3 k")):
        drawn = month_of_operations(DAYS, usage, AHEAD, NOW, ended="no more while it is blocked")
        assert isinstance(drawn, Band)
        assert (drawn.so_far, drawn.expected, drawn.ahead, drawn.band) == (said, "", "", "")
        page = replace(places_of(A_WORKSPACE), month=drawn).drawn()
        assert f"{said} so far no more while it is blocked" in words(page)
    cost = WorkspaceCost(expected_operations=AHEAD.operations)
    free = replace(A_WORKSPACE, plan="Free", is_usage_blocked=True, usage=USED, cost=cost)
    days = tuple(Day(day=day.day, operations=100, storage_bytes=None) for day in DAYS)
    status = replace(FULL, workspace_days={"wksp_a": days})
    assert "2.3 k so far no more while it is blocked" in words(workspace_page(free, status))
    # What its limits are made from, and no other forecast.
    page = words(workspace_page(replace(free, is_usage_blocked=False), status))
    assert "2.3 k so far 3.08 k expected, 2.94 k – 3.24 k" in page
    empty = places.workspace_page(
        status, snapshot_of((), [free]), replace(free, is_usage_blocked=False), COSTS, TOLD, Asked()
    )
    assert "2.3 k so far no database is there now" in words(empty)


def test_of_a_blocked_workspace_that_was_never_read_no_number_is_said() -> None:
    """Its page said "– operations used", "The last numbers read are shown" and "at least 0 so far"."""
    free = replace(A_WORKSPACE, plan="Free", is_usage_blocked=True, usage=Usage(days=23), month_to_date_operations=None)
    unread = replace(A_DATABASE, failing_since_at=NOW, failure_reason="plan_limit_reached", last_success_at=None)
    snapshot, status = snapshot_of([unread], [free]), replace(FULL, workspace_days={})
    for page in (
        status_page(replace(status, snapshot=snapshot), COSTS),
        places.workspace_page(status, snapshot, free, COSTS, TOLD, Asked()),
    ):
        text = words(page)
        assert "The vendor blocks its databases: likely the Free plan's allowance" in text
        for wrong in ("operations used", "last numbers read", "so far no more"):
            assert wrong not in text


def test_failures_of_several_workspaces_name_the_first_of_them_where_they_began_at_other_times() -> None:
    """Of one that failed five minutes after another one the page said "since" when the other one did."""
    failing = replace(A_DATABASE, failing_since_at=NOW - timedelta(minutes=6), failure_reason="http_500")
    others = [replace(failing, workspace_id="wksp_o", workspace_name="Other", failing_since_at=NOW)]
    for later, is_longest in ((others, True), ([replace(others[0], failing_since_at=failing.failing_since_at)], False)):
        (told,) = attention.alerts(A_STATUS, snapshot_of([failing, *later]), (), ())
        assert (told.since_at, told.is_longest) == (failing.failing_since_at, is_longest)


def test_a_months_operations_end_with_those_so_far_where_no_more_are_expected() -> None:
    at_rest = Outlook(operations=Forecast(low=2_300, expected=2_300, high=2_300))
    drawn = month_of_operations(DAYS, USED, at_rest, NOW)

    assert isinstance(drawn, Band)
    assert (drawn.expected, drawn.ahead, drawn.band) == ("", "", "")
    page = words(replace(places_of(A_WORKSPACE), month=drawn).drawn())
    assert "2.3 k so far no more is expected" in page
    assert "blocked" not in page


def test_a_months_operations_of_which_nothing_can_be_expected_say_why() -> None:
    why = "enough days of operations: fewer than seven are known"
    view = replace(A_DATABASE, usage=USED)
    rows = [replace(A_ROW, period=f"{day.day}", operations=100) for day in DAYS]
    told = places.Told(days=rows, ahead=Outlook(missing=why))
    assert f"the forecast had to do without {why}." in words(places.database_page(FULL, A_SNAPSHOT, view, told))
    page = places.database_page(FULL, A_SNAPSHOT, view, replace(told, ahead=AHEAD))
    assert "2.3 k so far 3.08 k expected, 2.94 k – 3.24 k" in words(page)


def test_a_share_of_charges_is_about_so_much_and_no_lower_bound() -> None:
    whole = Bill(fee=Decimal(7), operations=Decimal(9), storage=Decimal(0))
    for bill, said in (
        (whole, "without the fee"),
        (replace(whole, are_operations_known=False), "; at least so much is charged"),
        (replace(whole, are_operations_known=False, is_share=True), "; about so much is charged"),
    ):
        drawn = charges_by_day(bill, DAYS, 2_300, NOW, is_free=False)
        assert isinstance(drawn, Bars)
        assert drawn.label.endswith(said)


def test_what_is_over_its_allowance_by_its_own_row_is_reached_though_the_costs_are_older() -> None:
    cost = WorkspaceCost(included_operations=200_000, is_stopping=True, is_expected_complete=False)
    free = replace(A_WORKSPACE, plan="Free", month_to_date_operations=1_360_000, cost=cost)
    for used, said in ((1_360_000, True), (199_999, False)):
        view = replace(free, month_to_date_operations=used)
        page = status_page(replace(FULL, snapshot=replace(A_SNAPSHOT, workspaces=(view,))), COSTS)
        assert ("Limit reached Acme: all operations used" in words(page)) is said
        assert ("None known yet" in words(page)) is not said


def test_a_limit_that_the_low_end_does_not_reach_is_told_as_likely() -> None:
    cost = WorkspaceCost(
        included_operations=200_000,
        limits=(("free_operations", NOW + timedelta(days=2)),),
        expected_operations=Forecast(low=190_000, expected=220_000, high=250_000),
    )
    free = replace(A_WORKSPACE, plan="Free", cost=cost)
    (perhaps,) = attention.reaches(snapshot_of((), [free]), NOW)
    surely = replace(cost, expected_operations=Forecast(low=200_000, expected=220_000, high=250_000))
    (certain,) = attention.reaches(snapshot_of((), [replace(free, cost=surely)]), NOW)

    assert perhaps.title == "Acme: likely blocked on Wednesday, 25 November"
    assert perhaps.text.endswith(" At the low end of the forecast this month does not reach it.")
    assert certain.title == "Acme: blocked on Wednesday, 25 November"
    assert "low end" not in certain.text


def test_a_workspace_whose_databases_all_left_is_not_told_that_none_was_found_yet() -> None:
    snapshot = replace(A_SNAPSHOT, databases=())
    looked = replace(FULL.rounds[0], workspace_id="wksp_a", looked_at=NOW - timedelta(minutes=5))
    page = words(places.workspace_page(replace(FULL, rounds=(looked,)), snapshot, A_WORKSPACE, COSTS, TOLD, Asked()))
    before = words(places.workspace_page(replace(FULL, rounds=()), snapshot, A_WORKSPACE, COSTS, TOLD, Asked()))

    assert "None is there now." in page
    assert "None was found yet." in before


def test_what_a_workspace_costs_that_was_found_since_the_costs_were_read_is_in_the_total() -> None:
    """Its row said $0.00 below a card that said that nothing was known."""
    free = Bill(fee=Decimal(0), operations=Decimal(0), storage=Decimal(0))
    view = replace(A_WORKSPACE, cost=WorkspaceCost(bill=free))
    status = replace(FULL, snapshot=replace(A_SNAPSHOT, workspaces=(view,)))

    assert "November so far $0.00 " in words(status_page(status, replace(COSTS, lines=())))
    both = words(status_page(status, replace(COSTS, lines=COSTS.lines[1:2])))
    assert "November so far at least $0.00 " in both


def test_the_month_of_a_database_that_moved_is_drawn_of_the_workspace_that_holds_it() -> None:
    """So are its charges: what it did elsewhere is not in them."""
    usage = Usage(known_operations=1_300, days=16, days_known=13, unplaced_operations=1)
    bill = Bill(fee=Decimal(0), operations=Decimal(13), storage=Decimal(0))
    view = replace(A_DATABASE, month_to_date_operations=2_300, usage=usage, cost=bill)
    rows = [
        replace(A_ROW, period=f"{day.day}", operations=100, workspace_id="wksp_a" if number > 10 else "wksp_b")
        for number, day in enumerate(DAYS, 1)
    ]
    page = places.database_page(FULL, A_SNAPSHOT, view, places.Told(days=rows, ahead=AHEAD))

    assert "Operations of November in this workspace, and where they will end at least 1.3 k so far" in words(page)
    assert "2026-11-10: 100" in page
    assert "2026-11-11: $1.00" in page
    assert "2026-11-10: $" not in page


SPENT = Bill(fee=Decimal(49), operations=Decimal("378.94"), storage=Decimal(0))


@pytest.mark.parametrize(
    ("is_storage_known", "said"),
    [(True, "$378.94 of $600.00; fee and tax not counted"), (False, "at least $378.94 of $600.00")],
)
def test_what_counts_against_the_spend_limit_is_at_least_so_much_where_usage_is_missing(
    is_storage_known: bool, said: str
) -> None:
    limit = SpendLimit(usd=Decimal(600), other_usage_usd=Decimal(0))
    cost = WorkspaceCost(bill=replace(SPENT, is_storage_known=is_storage_known), spend_limit=limit)

    assert f"Spend limit: {said}" in words(workspace_page(replace(A_WORKSPACE, cost=cost)))


@pytest.mark.parametrize(
    ("operations", "is_known", "counted"), [(0, True, "0.00"), (5, False, "5.00"), (0, False, None)]
)
def test_page_and_metric_count_against_the_spend_limit_where_anything_is_known(
    operations: int, is_known: bool, counted: str | None
) -> None:
    """Storage is not known. That no operation is charged is known, where every one was read."""
    bill = Bill(
        fee=Decimal(10),
        operations=Decimal(operations),
        storage=Decimal(0),
        are_operations_known=is_known,
        is_storage_known=False,
    )
    limit = SpendLimit(usd=Decimal(20), other_usage_usd=Decimal(0), tax_percent=Decimal(0))
    workspace = replace(A_WORKSPACE, cost=WorkspaceCost(bill=bill, spend_limit=limit))
    shown = exposition_of(replace(A_SNAPSHOT, workspaces=(workspace,))).snapshot_text().decode()

    said = f"Spend limit: {'' if counted is None else f'at least ${counted} of '}$20.00; fee not counted."
    assert said in words(workspace_page(workspace))
    for name in ("usage_charges_usd", "spend_limit_counted_usd"):
        assert (f"\nprisma_postgres_workspace_{name}{{" in shown) == (counted is not None)


def test_the_mean_storage_so_far_is_held_against_what_is_included() -> None:
    """490 MB from the 1st to the 3rd are 98 % of the 500 MB that a plan includes, not the tenth of the month."""
    seconds, level = 3 * 86_400, 490_000_000
    usage = Usage(
        known_byte_seconds=level * seconds,
        level_byte_seconds=level * seconds,
        days=3,
        days_known=3,
        storage_seconds=seconds,
        storage_seconds_known=seconds,
    )
    cost = WorkspaceCost(included_storage_bytes=500_000_000)
    view = replace(A_WORKSPACE, plan="Free", usage=usage, month_average_storage_bytes=level, cost=cost)
    page = status_page(replace(FULL, snapshot=replace(A_SNAPSHOT, workspaces=(view,))), COSTS)

    assert "490 MB of 500 MB (98 %)" in words(page)
    assert '<svg class="meter warn"' in page
    assert "Storage (month's average so far) 490 MB of 500 MB (98 %)" in words(workspace_page(view))


def test_storage_that_is_known_in_part_says_so() -> None:
    usage = Usage(known_byte_seconds=2**30 * 86_400, days=23, storage_seconds=86_400 * 9, storage_seconds_known=86_400)
    view = replace(A_WORKSPACE, usage=usage, month_average_storage_bytes=2**30)

    def shown(usage: Usage) -> str:
        return words(workspace_page(replace(view, usage=usage)))

    def metered(usage: Usage) -> str | None:
        storage = meters(replace(view, usage=usage))[1]
        return storage.used if storage else None

    known = "(11 % of the storage's time is known)"
    stretched = replace(usage, level_byte_seconds=9 * usage.known_byte_seconds)
    for of_it, said in ((stretched, "about"), (replace(stretched, unlevelled=1), "at least"), (usage, "at least")):
        assert f"month so far {said} 1.00 GiB {known}" in shown(of_it)
        assert metered(of_it) == f"{said} 1.00 GiB"


def test_storage_is_in_the_vendors_unit_however_much_it_is() -> None:
    assert (size(120 * 2**30), size(1_500 * 2**30)) == ("120.00 GiB", "1,500.00 GiB")


def test_a_moved_databases_operations_stand_beside_the_cost_of_the_same_workspace() -> None:
    moved = replace(A_DATABASE, month_to_date_operations=900, usage=Usage(known_operations=77, days=1, days_known=1))
    status = replace(FULL, snapshot=replace(A_SNAPSHOT, databases=(moved,)))

    assert "orders shop Acme 77 100 " in words(status_page(status, COSTS))
    assert "Operations in November 900 Of which 77 are known of this workspace" in words(database_page(moved))


def test_the_list_of_failing_databases_says_until_when_one_is_not_asked() -> None:
    status = replace(FULL, waits={"db_f": NOW + timedelta(minutes=40)})

    assert "; not asked before 12:40 UTC, as the vendor asked" in status_page(status, COSTS)
    assert "not asked before" not in status_page(FULL, COSTS)


# Lists --------------------------------------------------------------------------------------------
def many(number: int) -> ServiceStatus:
    views = [
        replace(
            A_DATABASE,
            database_id=f"db_{place:05}",
            database_name=f"orders {place:05}",
            storage_bytes=None if place == 0 else place,
            cost=Bill(fee=Decimal(0), operations=Decimal(place), storage=Decimal(0)),
            is_up=place % 2 == 0,
        )
        for place in range(number)
    ]
    return replace(FULL, snapshot=snapshot_of(views))


def listed(page: str) -> list[int]:
    return [int(link.rpartition("_")[2]) for link in read(page).links if link.startswith("./databases/db_0")]


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ({}, 59, 40),
        ({"sort": "-cost"}, 0, 19),
        ({"sort": "name"}, 0, 19),
        ({"sort": "-name", "page": "3"}, 19, 0),
        ({"sort": "storage", "page": "3"}, 19, 0),
        ({"sort": "-storage", "page": "3"}, 41, 0),
        ({"page": "99"}, 19, 0),
        ({"page": "no", "sort": "no"}, 59, 40),
        ({"show": "failing"}, 59, 21),
        ({"q": "ORDERS 0001"}, 19, 10),
    ],
)
def test_databases_are_sorted_searched_and_cut_into_pages(asked: dict[str, str], first: int, last: int) -> None:
    """What is not known comes last, whatever is sorted by."""
    found = listed(status_page(many(60), COSTS, **asked))

    assert (found[0], found[-1]) == (first, last)
    assert len(found) <= ROWS


def test_a_search_stays_where_one_sorts_or_turns_the_page() -> None:
    links = read(status_page(many(200), COSTS, q="orders & co", sort="name")).links
    kept = read(status_page(many(200), COSTS, q="orders", sort="name")).links

    assert "?q=orders&sort=name&page=2#databases" in kept
    assert "?q=orders&sort=-name#databases" in kept
    assert "?q=orders&sort=storage#databases" in kept
    assert any(link.startswith("?q=orders+%26+co&sort=") for link in links)


def test_a_limit_and_a_budget_are_told_with_their_day_and_the_nearest_first() -> None:
    """200 of 300 on the 23rd at noon, 400 expected at the end of the 30th: half of the way is on the 27th."""
    budget = BudgetState(
        name="all",
        limit_usd=Decimal(300),
        thresholds=(),
        databases=1,
        spent_usd=Decimal(200),
        expected_usd=Decimal(400),
    )
    free = replace(
        A_WORKSPACE,
        plan="Free",
        usage=Usage(known_operations=171_300, days=23, days_known=23),
        month_to_date_operations=171_300,
        cost=WorkspaceCost(included_operations=200_000, limits=(("free_operations", NOW + timedelta(days=2)),)),
    )
    snapshot = replace(A_SNAPSHOT, workspaces=(free,), budgets=(budget,))
    page = status_page(replace(FULL, snapshot=snapshot), COSTS)
    text = words(page)

    assert "Next limit or budget Acme: blocked on Wednesday, 25 November" in text
    assert "Free plan: 171 k of 200 k operations (86 %) used." in text
    assert "Upgrade the plan, or cut its operations. Open the vendor's console" in text
    assert CONSOLE in read(page).links
    found = attention.reaches(snapshot, NOW)
    assert [(reach.at.day, reach.title) for reach in found] == [
        (25, "Acme: blocked on Wednesday, 25 November"),
        (27, "Budget all: spent on Friday, 27 November"),
    ]
    spent = replace(snapshot, budgets=(replace(budget, spent_usd=Decimal(300)),))
    assert attention.reaches(spent, NOW)[0].title == "Budget all: spent"
    far = replace(snapshot, budgets=(replace(budget, expected_usd=Decimal(299)), replace(budget, spent_usd=None)))
    assert [reach.title for reach in attention.reaches(far, NOW)] == ["Acme: blocked on Wednesday, 25 November"]


@pytest.mark.parametrize("way", ["not said", "blocked"])
def test_a_limit_that_is_reached_is_on_its_card_and_what_comes_next_behind_it(way: str) -> None:
    over = replace(
        A_WORKSPACE,
        plan="Free",
        is_usage_blocked=way == "blocked",
        usage=Usage(known_operations=14_000_000, days=23, days_known=23),
        month_to_date_operations=14_000_000,
        cost=WorkspaceCost(included_operations=200_000, limits=(("free_operations", NOW),)),
    )
    near = replace(
        over,
        workspace_id="wksp_n",
        workspace_name="Near",
        is_usage_blocked=False,
        cost=WorkspaceCost(included_operations=20_000_000, limits=(("free_operations", NOW + timedelta(days=2)),)),
    )
    text = words(status_page(replace(FULL, snapshot=snapshot_of((), [over, near])), COSTS))

    is_blocked = way == "blocked"
    said = "Blocked now Acme: blocked" if is_blocked else "Limit reached Acme: all operations used"
    assert f"{said} Free plan: 14 M of 200 k" in text
    assert "Then Near: blocked on Wednesday, 25 November" in text
    assert ("The vendor blocks its databases" in text) is is_blocked
    assert ("has not said yet that it did" in text) is not is_blocked
    assert text.count("Free plan: 14 M of 200 k operations") == 1


def test_every_workspace_that_is_or_will_be_blocked_is_named_with_its_date_and_what_to_do() -> None:
    """Behind "Blocked now" one was named that comes next: of another that is blocked in 37 hours nothing was said."""

    def held(name: str) -> WorkspaceView:
        return replace(A_WORKSPACE, workspace_id=f"wksp_{name}", workspace_name=name, plan="Starter")

    def ahead(name: str, limit: str, days: int) -> WorkspaceView:
        cost = WorkspaceCost(included_operations=20_000_000, limits=((limit, NOW + timedelta(days=days)),))
        return replace(held(name), plan="Free" if limit == "free_operations" else "Pro", cost=cost)

    blocked = [replace(held(f"Stopped {number}"), is_usage_blocked=True) for number in range(6)]
    coming = [
        ahead(name, limit, days)
        for name, limit, days in (
            ("Fifth", "spend_limit", 6),
            ("First", "free_operations", 1),
            ("Third", "spend_limit", 3),
            ("Second", "spend_limit", 2),
            ("Fourth", "free_operations", 4),
        )
    ]
    page = status_page(replace(FULL, snapshot=snapshot_of((), [*coming, *blocked])), COSTS)
    text = words(page)

    upgrade, less = "Upgrade the plan, or cut its operations.", "Raise the limit, or cut its usage."
    assert "Blocked now Stopped 0: blocked" in text
    assert f"Then First: blocked on Tuesday, 24 November . {upgrade}" in text
    assert f"Then Second: blocked on Wednesday, 25 November, by its spend limit . {less}" in text
    assert f"Then Third: blocked on Thursday, 26 November, by its spend limit . {less} And 2 more" in text
    assert '<a href="#attention">2 more</a>' in page
    told = text.partition("2 more")[2].partition("Workspaces")[0]
    assert told.index("Fourth: blocked on Friday, 27 November") < told.index(
        "Fifth: blocked on Sunday, 29 November, by"
    )
    assert upgrade in told
    assert less in told
    assert '<a href="#workspaces">Stopped 1, Stopped 2, Stopped 3 and 2 more</a>' in page


def test_however_many_workspaces_have_a_limit_before_them_a_few_lines_tell_of_it() -> None:
    """A line each made a page of a thousand workspaces two hundred thousand pixels high."""
    coming = [
        replace(
            A_WORKSPACE,
            workspace_id=f"wksp_{number}",
            workspace_name=f"Workspace {number}",
            plan="Pro",
            cost=WorkspaceCost(
                limits=(("spend_limit", NOW + timedelta(hours=number)),),
                spend_limit=SpendLimit(usd=Decimal(100)),
                bill=Bill(fee=Decimal(49), operations=Decimal(number), storage=Decimal(0)),
            ),
        )
        for number in range(1, 31)
    ]
    page = status_page(replace(FULL, snapshot=snapshot_of((), coming)), COSTS)
    told = page.partition('id="attention"')[2].partition('id="workspaces"')[0]

    # The card has the first four.
    assert [number for number in range(5, 31) if f">Workspace {number}: " in told] == [5, 6, 7, 8, 9]
    assert "A limit or budget is reached later." in told
    assert ">21 more<" in told


def test_of_what_the_vendor_blocks_no_later_block_is_told() -> None:
    """Our count was 85 %: "likely blocked on Monday" stood above "The vendor blocks the workspace"."""
    free = replace(
        A_WORKSPACE,
        plan="Free",
        is_usage_blocked=True,
        usage=Usage(known_operations=170_000, days=23, days_known=23),
        month_to_date_operations=170_000,
        cost=WorkspaceCost(included_operations=200_000, limits=(("free_operations", NOW + timedelta(hours=40)),)),
    )
    other = replace(free, workspace_id="wksp_o", workspace_name="Other", is_usage_blocked=False, cost=None)
    snapshot = snapshot_of([A_DATABASE], [other, free])
    page = status_page(replace(FULL, snapshot=snapshot), COSTS)
    text, row = words(page), page.partition('aria-label="Workspaces"')[2].partition("</table>")[0]
    of_it = words(places.workspace_page(FULL, snapshot, free, COSTS, TOLD, Asked()))
    of_other = words(places.workspace_page(FULL, snapshot, other, COSTS, TOLD, Asked()))

    out = "or for 24 hours, once, by a button in the vendor's console"
    assert "Blocked now Acme: blocked Free plan: 170 k of 200 k operations (85 %) used. The vendor blocks its" in text
    assert out in text
    assert text.count("Acme: blocked") == 1
    assert row.count('<span class="bad">blocked</span>') == 1
    assert "Next limit blocked now Acme: blocked" in of_it
    assert out in of_it
    assert "State blocked Databases" in of_it
    assert "State up Databases" in of_other
    for shown in (text, of_it):
        assert "blocked on" not in shown
        assert "in 40 h" not in shown


@pytest.mark.parametrize(
    ("plan", "limit", "likely"),
    [
        ("Free", None, "likely the Free plan's allowance: ends with an upgrade"),
        (
            "Pro",
            2,
            "likely the spend limit: ends when it is raised above what has accrued, or on the 1st; else an unpaid",
        ),
    ],
)
def test_every_page_names_the_likely_block_first(plan: str, limit: int | None, likely: str) -> None:
    """Under "Blocked now" and on the page of a database stood "or an invoice is unpaid", also at 978 %."""
    bill = Bill(fee=Decimal(0), operations=Decimal(3), storage=Decimal(0))
    spend_limit = None if limit is None else SpendLimit(usd=Decimal(limit))
    held = replace(A_WORKSPACE, plan=plan, cost=WorkspaceCost(plan=plan, bill=bill, spend_limit=spend_limit))
    failing = replace(A_DATABASE, is_up=False, failing_since_at=NOW, failure_reason="plan_limit_reached")
    snapshot = snapshot_of(
        [failing], [replace(held, is_up=False, is_usage_blocked=True, failure_reason="plan_limit_reached")]
    )
    status = replace(A_STATUS, snapshot=snapshot)

    pages = (
        status_page(status, COSTS),
        places.workspace_page(status, snapshot, held, COSTS, TOLD, Asked()),
        places.project_page(status, snapshot, failing.project_id, COSTS, TOLD, Asked()),
        places.database_page(status, snapshot, failing, TOLD),
    )

    for text in map(words, pages):
        assert text.count(likely) == 1
        assert text.count("invoice") == likely.count("unpaid")


def test_one_cause_of_many_failures_is_said_once_with_what_to_do() -> None:
    """A token that is refused takes its credential, its workspace and all its databases down."""
    down = replace(A_WORKSPACE, is_up=False, failure_reason="http_401")
    failing = replace(A_DATABASE, is_up=False, failing_since_at=NOW, failure_reason="http_401")
    other = replace(failing, database_id="db_o", database_name="other", failure_reason="http_500")
    credential = CredentialStatus(
        name="us",
        is_up=False,
        workspace_id=down.workspace_id,
        workspace_name=down.workspace_name,
        reason="GET /v1/me answered 401 (Unauthorized)",
        code="http_401",
    )
    shown = snapshot_of([failing, other], [down])
    status = replace(A_STATUS, snapshot=shown, credentials=(credential,))
    alike = attention.alerts(status, shown, (), ())

    assert [(alert.subject, alert.reason) for alert in alike] == [("Acme", "http_401"), ("other", "http_500")]
    assert alike[0].text.startswith("The token is wrong, expired or revoked: make a service token at ")

    blocked = replace(failing, failure_reason="plan_limit_reached")
    (told,) = attention.alerts(A_STATUS, snapshot_of([blocked]), (), ())
    assert told.text == "The vendor blocks its workspace. The last numbers read are shown."
    assert told.is_at_console
    (told,) = attention.alerts(A_STATUS, snapshot_of([replace(blocked, last_success_at=None)]), (), ())
    assert told.text == "The vendor blocks its workspace."

    unseen = replace(credential, workspace_id=None, workspace_name=None)
    (first, *_) = attention.alerts(replace(status, credentials=(unseen,)), snapshot_of([], []), (), ())
    assert first.subject == "Credential us"
    assert "make a service token at " in first.text
    assert first.reason == "http_401"


@pytest.mark.parametrize(
    ("plan", "said"),
    [("Free", "The plan charges nothing for usage."), ("Pro", "No usage is charged so far: all of it is included")],
)
def test_what_a_plan_does_not_charge_for_is_not_called_included(plan: str, said: str) -> None:
    bill = Bill(fee=Decimal(0), operations=Decimal(0), storage=Decimal(0))
    costs = replace(COSTS, lines=(replace(COSTS.lines[0], bill=bill),))

    assert said in words(workspace_page(replace(A_WORKSPACE, plan=plan), costs=costs))


@pytest.mark.parametrize(
    ("ahead", "said"),
    [
        (timedelta(days=2, hours=21.5), "in 3 days"),
        (timedelta(days=2, hours=2), "in 2 days"),
        (timedelta(hours=47.9), "in 48 h"),
        (timedelta(minutes=4, seconds=50), "in 5 min"),
        (-timedelta(days=2, hours=21.5), "2 days ago"),
    ],
)
def test_what_is_to_come_is_told_to_the_nearest_day(ahead: timedelta, said: str) -> None:
    assert distance(NOW + ahead, NOW) == said


def test_what_was_known_stays_a_lower_bound_while_a_new_database_is_not_read() -> None:
    under = Bill(
        fee=Decimal(49),
        operations=Decimal("21.36"),
        storage=Decimal(0),
        are_operations_known=False,
        is_storage_known=False,
        is_some_storage_known=True,
    )
    nothing = replace(
        under, is_some_storage_known=False, fee=Decimal(0), operations=Decimal(0), is_fee_known=False, is_share=True
    )
    new = replace(A_DATABASE, usage=Usage(days=1, unlevelled=1), month_to_date_operations=None, cost=nothing)
    of_project = replace(A_PROJECT, project_id=new.project_id, usage=new.usage, bill=nothing)
    costs = replace(COSTS, lines=(replace(COSTS.lines[0], bill=under),), projects=(of_project,))
    snapshot = replace(A_SNAPSHOT, databases=(new,))
    days = {
        A_WORKSPACE.workspace_id: [
            Day(day=NOW.date(), operations=5, storage_bytes=2**30, storage_qualifier="at least ")
        ]
    }
    workspace = words(workspace_page(A_WORKSPACE, costs=costs, status=replace(FULL, workspace_days=days)))
    page = words(places.project_page(FULL, snapshot, new.project_id, costs, places.Told(), Asked()))

    assert "at least $70.36 fee $49.00 · operations at least $21.36 · storage at least $0.00" in workspace
    assert "5 ≥ 1.00 GiB" in workspace
    # That nobody has read it is no amount of 0.
    assert "Cost in November so far not known yet Operations" in page
    assert "$0.00" not in page


def test_one_database_is_not_told_as_several() -> None:
    of_project = [replace(A_DATABASE, database_id=f"db_{number}") for number in range(2)]
    costs = replace(COSTS, projects=(replace(A_PROJECT, project_id=A_DATABASE.project_id),))

    def shown(*databases: DatabaseView) -> str:
        snapshot = replace(A_SNAPSHOT, databases=databases)
        status = replace(FULL, snapshot=snapshot)
        return words(places.project_page(status, snapshot, A_DATABASE.project_id, costs, places.Told(), Asked()))

    assert " 1 database " in shown(*of_project[:1])
    assert " 2 databases " in shown(*of_project)


def test_use_over_what_is_included_is_no_fault_on_a_plan_that_charges_for_it() -> None:
    usage = Usage(known_operations=300, days=1, days_known=1)
    cost = WorkspaceCost(included_operations=100, included_storage_bytes=2**30)
    view = replace(A_WORKSPACE, usage=usage, month_to_date_operations=300, cost=cost)
    paid, free = (meters(replace(view, plan=plan))[0] for plan in ("Pro", "Free"))

    assert paid is not None
    assert free is not None
    assert (round(paid.fill, 3), round(paid.over, 3), paid.tone) == (0.333, 0.667, "")
    assert free.tone == "bad"
    page = status_page(replace(FULL, snapshot=replace(A_SNAPSHOT, workspaces=(view,))), COSTS)
    assert "300 , 100 included" in words(page)
    assert '<svg class="meter bad"' not in page


def test_after_an_upgrade_the_bar_is_of_what_was_used_since() -> None:
    """3,000 and 2 GiB of three days; the first two were on Free, which charges nothing."""
    day = 86_400
    usage = Usage(
        known_operations=3_000,
        known_byte_seconds=6 * day * 2**30,
        level_byte_seconds=6 * day * 2**30,
        days=3,
        days_known=3,
        storage_seconds=3 * day,
        storage_seconds_known=3 * day,
    )
    cost = WorkspaceCost(
        bill=Bill(fee=Decimal(10), operations=Decimal(0), storage=Decimal(0)),
        charged_since=NOW,
        free_operations=2_500,
        free_byte_seconds=3 * day * 2**30,
        included_operations=1_000,
        included_storage_bytes=2 * 2**30,
    )
    view = replace(
        A_WORKSPACE, usage=usage, month_to_date_operations=3_000, month_average_storage_bytes=2 * 2**30, cost=cost
    )
    operations, storage = meters(view)

    assert operations is not None
    assert storage is not None
    assert (operations.percent, operations.over, storage.percent) == ("50 %", 0, "50 %")
    page = words(status_page(replace(FULL, snapshot=replace(A_SNAPSHOT, workspaces=(view,))), COSTS))
    assert "3 k ; since the upgrade 500 of 1 k (50 %) 2 GiB ; since the upgrade 1 GiB of 2 GiB (50 %)" in page
    over = meters(replace(view, cost=replace(cost, free_operations=1_000)))[0]
    assert over is not None
    assert (over.since_upgrade, over.over, over.tone) == ("2 k", 0.5, "")


def test_what_another_plan_would_have_saved_is_told() -> None:
    saving = Saving(own_plan="Starter", own_usd=Decimal("326.96"), plan="Pro", would_usd=Decimal("98.96"))
    costs = replace(COSTS, lines=(replace(COSTS.lines[0], saving=saving), *COSTS.lines[1:]))
    said = "Acme What it used in October would have cost $98.96 on Pro, instead of $326.96 on Starter."

    assert said in words(status_page(FULL, costs))
    assert said in words(workspace_page(A_WORKSPACE, costs=costs))
    assert "would have cost" not in words(status_page(FULL, COSTS))


@pytest.mark.parametrize(
    ("names", "named"),
    [
        (("Acme's",), "'Acme'\"'\"'s'"),
        (("Acme", "Acme"), "wksp_a"),
        (("A\nb",), "wksp_a"),
        (("n" * 61,), "wksp_a"),
        (("$(id)",), "'$(id)'"),
    ],
)
def test_the_command_that_compares_plans_is_ready_to_be_pasted(names: Sequence[str], named: str) -> None:
    saving = Saving(own_plan="Starter", own_usd=Decimal(2), plan="Pro", would_usd=Decimal(1))
    line = replace(COSTS.lines[0], workspace_id="wksp_a", name=names[0], saving=saving)
    workspaces = tuple(
        replace(A_WORKSPACE, workspace_id=f"wksp_{place}", workspace_name=name)
        for place, name in zip("ab", names, strict=False)
    )
    snapshot = replace(A_SNAPSHOT, workspaces=workspaces)
    status = replace(FULL, snapshot=snapshot, program="/opt/venv/bin/ppe", store_flag="--store-url sqlite:////l.db")

    [shown] = [one for one in attention.alerts(status, snapshot, (), [line]) if one.tone == "save"]

    begin = "/opt/venv/bin/ppe cost --store-url sqlite:////l.db --workspace"
    assert shown.command == f"{begin} {named} --month 2026-10 --what-if plan=pro"
    page = status_page(status, replace(COSTS, lines=(line,)))
    assert f"Work it out: {shown.command}" in words(page) or "\n" in names[0]
    # Who may not see where the store is cannot read it either.
    assert "Work it out" not in status_page(replace(status, is_part=True), replace(COSTS, lines=(line,)))


@pytest.mark.parametrize("path", ["/no", "/databases/db_unknown", "/workspaces/no", "/projects/no", "/a/b/c"])
async def test_what_is_not_there_is_told_with_a_way_back(path: str) -> None:
    async with client_of(app_of(exposition_of(A_SNAPSHOT), FULL)) as client:
        program = await client.get(path)
        person = await client.get(path, headers={"Accept": "text/html,*/*;q=0.8"})

    assert (program.status_code, program.text) == (404, "Not Found")
    assert person.status_code == 404
    assert "Back to the overview" in words(person.text)
    depth = path.count("/") - 1
    assert ("../" * depth or "./") in read(person.text).links
    assert "content-security-policy" in person.headers


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/v1", "/api/v2/usage"])
async def test_beside_the_json_api_what_is_not_there_is_a_problem_as_in_it(path: str) -> None:
    async with client_of(app_of(exposition_of(A_SNAPSHOT), FULL)) as client:
        answer = await client.get(path, headers={"Accept": "text/html,*/*;q=0.8"})

    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert answer.json()["detail"] == "there is nothing at this address; /api/v1/openapi.json says what there is"


@pytest.mark.parametrize("path", ["/workspaces/wksp_a", "/projects/proj_a", "/databases/db_a"])
async def test_a_place_is_drawn_without_a_ledger_too(path: str) -> None:
    async with client_of(app_of(exposition_of(A_SNAPSHOT), FULL)) as client:
        answer = await client.get(path)

    assert answer.status_code == 200
    assert "The ledger cannot be read now : it is not open" in words(answer.text)


# Beside the event loop -----------------------------------------------------------------------------
async def test_a_scrape_is_answered_while_a_page_is_drawn_and_pages_are_drawn_one_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    has_begun, may_end, drawn_at_once, most = threading.Event(), threading.Event(), 0, 0

    def slow(*asked: object) -> str:
        nonlocal drawn_at_once, most
        drawn_at_once += 1
        has_begun.set()
        most = max(most, drawn_at_once)
        may_end.wait()
        drawn_at_once -= 1
        return "drawn"

    monkeypatch.setattr(serving, "status_page", slow)
    async with client_of(app_of(exposition_of(A_SNAPSHOT), FULL)) as client:
        pages = [asyncio.create_task(client.get("/")) for _ in range(5)]
        await asyncio.to_thread(has_begun.wait)
        scrape = await client.get("/metrics")
        assert not any(page.done() for page in pages)
        may_end.set()
        answers = await asyncio.gather(*pages)

    assert scrape.status_code == 200
    assert [answer.text for answer in answers] == ["drawn"] * 5
    assert most == 1


def test_pages_about_ten_thousand_databases_are_no_longer_than_about_a_hundred() -> None:
    few, lots = (status_page(many(number), COSTS) for number in (100, 10_000))

    assert abs(len(lots) - len(few)) < 1_000


@pytest.mark.parametrize(("first_ended", "is_told"), [(-60, True), (0, False), (1, False)])
def test_a_cost_that_is_not_known_is_told_of_what_was_made_after_the_first_round(
    first_ended: float, is_told: bool
) -> None:
    """Rounds follow one another faster than what is shown is made: the last one ends after it more often than not."""
    view = replace(A_WORKSPACE, cost=WorkspaceCost(unpriced="the API did not say its plan"))
    a_round = RoundStatus(
        workspace_id=view.workspace_id,
        workspace_name="Acme",
        first_ended_at=NOW + timedelta(seconds=first_ended),
        finished_at=NOW + timedelta(seconds=2),
        seconds=1.0,
        readings=4,
        failed=0,
        next_at=None,
    )
    shown = replace(snapshot_of([A_DATABASE], [view]), costs_at=NOW, taken_at=NOW + timedelta(seconds=9))
    status = replace(FULL, snapshot=shown, rounds=(a_round,))
    told = [alert.text for alert in attention.of_workspace(view, status)]
    assert ("Cost not known: the API did not say its plan." in told) is is_told


def costing(*spent: tuple[str | None, int]) -> MonthCosts:
    """Costs with these projects, the most expensive first."""
    projects = [
        replace(A_PROJECT, project_id=id_, name=id_, bill=replace(A_SHARE, fee=Decimal(amount)))
        for id_, amount in spent
    ]
    return replace(COSTS, projects=tuple(projects))


def test_the_first_card_names_the_projects_that_cost_most() -> None:
    costs = costing(("proj_b", 9), (None, 8), ("proj_a", 7), ("proj_d", 2), ("proj_c", 1), ("proj_e", 0))
    page = status_page(replace(FULL, snapshot=replace(A_SNAPSHOT, databases=(A_DATABASE,))), costs)

    assert "Most for proj_b $9.00 , proj_a $7.00 , proj_d $2.00 Whole month" in words(page)
    # One whose databases are all deleted has no page.
    assert {link for link in read(page).links if "/projects/" in link} == {"./projects/proj_a"}
    assert "Most for" not in words(status_page(FULL, COSTS))
    assert "Most for" not in words(status_page(FULL, None))


def test_projects_that_are_called_alike_are_named_with_their_workspaces() -> None:
    first, second = costing(("proj_1", 9), ("proj_2", 7)).projects
    lines = (replace(COSTS.lines[0], workspace_id="w1", name="Half"), replace(COSTS.lines[0], workspace_id="w2"))
    alike = (
        replace(first, name="p", workspace_id="w1"),
        replace(second, name="p", workspace_id="w2"),
        replace(second, name="q", workspace_id="w2", project_id="proj_3"),
    )
    page = status_page(FULL, replace(COSTS, lines=lines, projects=alike))

    assert f"Most for Half / p $9.00 , {lines[1].name} / p $7.00 , q $7.00" in words(page)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "115 %"),
        ({"is_complete": False}, "≥ 114 %"),
        ({"is_complete": False, "is_share": True}, "≈ 115 %"),
        ({"is_complete": False, "spent_usd": Decimal("0.1")}, "≥ 0 %"),
    ],
)
def test_the_part_of_a_budget_that_is_spent_is_as_sure_as_what_is_spent(changes: dict[str, Any], said: str) -> None:
    spent = BudgetState(
        name="all",
        limit_usd=Decimal(200),
        thresholds=(),
        databases=1,
        spent_usd=Decimal("229.5"),
        expected_usd=None,
    )
    snapshot = replace(A_SNAPSHOT, budgets=(replace(spent, **changes),))

    assert f"$200.00 {said} –" in words(status_page(replace(FULL, snapshot=snapshot), COSTS))


def test_a_workspace_lists_projects_with_what_was_deleted_of_them_and_those_found_since() -> None:
    costs = costing(("proj_gone", 9), ("proj_a", 7), (None, 1))
    new = replace(A_DATABASE, database_id="db_n", project_id="proj_new", project_name="new")
    snapshot = snapshot_of([A_DATABASE, new], [A_WORKSPACE])
    page = places.workspace_page(FULL, snapshot, A_WORKSPACE, costs, places.Told(), Asked())
    rows = words(page).partition("Cost so far")[2].partition("Databases 2")[0]

    for row in ("proj_gone 0 9 – $9.00", "proj_a 1 9 3.00 GiB $7.00", "fee (not shared out) 0 9 – $1.00", "new 1 – "):
        assert row in rows
    assert "../projects/proj_gone" not in read(page).links


def test_a_projects_operations_are_at_least_so_many_in_its_row_and_on_its_page() -> None:
    """Its own page said "at least 9", its row in the workspace's table 9."""
    in_part = replace(A_PROJECT, usage=Usage(known_operations=9_000, days=2, days_known=1))
    costs = replace(COSTS, projects=(in_part,))
    page = workspace_page(A_WORKSPACE, costs=costs)

    assert "proj_a 1 ≥ 9 k 3.00 GiB" in words(page)
    assert 'title="≥ 9,000"' in page
    of_it = words(places.project_page(FULL, A_SNAPSHOT, "proj_a", costs, places.Told(), Asked()))
    assert "Operations in November at least 9,000" in of_it


def test_a_project_says_what_of_it_was_deleted_and_nothing_of_it_before_the_ledger_was_read() -> None:
    costs = replace(COSTS, projects=(replace(A_PROJECT, departed=Departed(deleted=2)),))

    def shown(costs: MonthCosts | str | None) -> str:
        return words(places.project_page(FULL, A_SNAPSHOT, "proj_a", costs, places.Told(), Asked()))

    assert "so far $7.00 " in shown(costs)
    assert "Operations in November 9 2 databases, and 2 deleted this month" in shown(costs)
    for unread in (None, "it is not open"):
        assert "so far not known yet Operations in November not known yet" in shown(unread)


def test_what_was_deleted_or_moved_away_is_the_last_row_of_the_databases() -> None:
    """The rows of databases did not add up to the workspace's number."""
    in_part = Usage(known_operations=9_000, days=2, days_known=1)
    left = Departed(deleted=2, usage=in_part, bill=A_SHARE)
    away = replace(left, deleted=0, moved=3, usage=replace(in_part, days=1))
    projects = (replace(A_PROJECT, departed=left), replace(A_PROJECT, project_id="proj_m", name="moved", departed=away))
    costs = replace(COSTS, projects=projects)
    elsewhere = replace(A_DATABASE, database_id="db_m", workspace_id="wksp_b", project_id="proj_m")
    snapshot = snapshot_of([A_DATABASE, elsewhere], [A_WORKSPACE, replace(A_WORKSPACE, workspace_id="wksp_b")])

    def rows(page: str) -> str:
        return page.partition('aria-label="Databases"')[2].partition("</table>")[0]

    def of_workspace(view: WorkspaceView, **query: str) -> str:
        return rows(places.workspace_page(FULL, snapshot, view, costs, TOLD, Asked.of(query)))

    first = rows(status_page(replace(FULL, snapshot=snapshot), costs))
    for page in (first, of_workspace(A_WORKSPACE)):
        assert "2 deleted, 3 moved away this month moved ≥ 18 k $14.00" in words(page)
        assert page.count(f'{"./" if page is first else "../"}projects/proj_m"') == (2 if page is first else 1)
    of_project = rows(places.project_page(FULL, snapshot, "proj_a", costs, TOLD, Asked()))
    assert "2 deleted this month ≥ 9 k $7.00" in words(of_project)
    # What is not asked for is in no sum, and of another workspace nothing left.
    for page in (of_workspace(snapshot.workspaces[1]), of_workspace(A_WORKSPACE, q="orders")):
        assert "this month" not in page
    nothing = replace(snapshot, databases=())
    empty = places.workspace_page(FULL, nothing, A_WORKSPACE, costs, TOLD, Asked())
    assert "2 deleted, 3 moved away this month ≥ 18 k $14.00" in words(rows(empty))


def test_a_page_names_the_storage_of_now_and_the_mean_apart() -> None:
    text = words(status_page(FULL, COSTS))

    assert "Operations Mean storage, month So far" in text
    assert "Operations, month Today Storage now Cost so far" in text
    assert "API (OpenAPI JSON)" in text


def test_what_fails_is_not_looked_for_among_the_events() -> None:
    text = words(places.database_page(FULL, A_SNAPSHOT, A_DATABASE, places.Told()))

    assert "Events None yet: events are databases created, renamed, moved or deleted" in text


@pytest.mark.parametrize("is_complete", [True, False])
def test_of_what_is_expected_in_part_no_range_is_shown(is_complete: bool) -> None:
    line = replace(
        COSTS.lines[0],
        low_usd=Decimal(13) if is_complete else None,
        high_usd=Decimal(15) if is_complete else None,
        is_expected_complete=is_complete,
        workspace_id="wksp_a",
    )
    costs = replace(COSTS, lines=(line, replace(line, workspace_id=None)))
    for page, said in (
        (status_page(FULL, costs), "$13.00 – $15.00"),
        (workspace_page(A_WORKSPACE, costs=costs), "$13.00 – $15.00; October"),
    ):
        assert (said in words(page)) is is_complete
        assert ("about $14.00" in words(page)) is not is_complete
