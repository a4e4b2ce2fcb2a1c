"""The status page tells a person what runs, what was found and what failed, and trusts no text."""

from __future__ import annotations

import html
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from html.parser import HTMLParser

import httpx
import pytest
from expose_views import A_DATABASE, A_SNAPSHOT, A_WORKSPACE, NOW, exposition_of, names, snapshot_of
from hypothesis import given
from test_expose_web import A_STATUS, app_of, client_of

from prisma_postgres_exporter.cost import Bill, SpendLimit, Usage, WorkspaceCost
from prisma_postgres_exporter.expose import CredentialStatus, RoundStatus
from prisma_postgres_exporter.expose.database_page import database_page
from prisma_postgres_exporter.expose.overview import status_page
from prisma_postgres_exporter.report import Beside, CostLine, MonthCosts

COSTS = MonthCosts(
    name="2026-11",
    until=NOW,
    lines=(
        CostLine(
            is_expected_complete=True,
            name="Acme",
            bill=Bill(fee=Decimal(10), operations=Decimal("2.5"), storage=Decimal(0)),
            expected_usd=Decimal("14.00"),
            beside=Beside(share_percent=100.0, last_month_usd=Decimal("12.00"), change_usd=Decimal("2.00")),
        ),
        CostLine(name="<b>Beta</b>", bill=None, expected_usd=None, is_expected_complete=True, beside=Beside()),
    ),
    notes=("Not all of it is known.",),
)
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
            finished_at=NOW - timedelta(minutes=9),
            seconds=7.0,
            readings=5,
            failed=0,
            next_at=NOW + timedelta(minutes=7),
        ),
        RoundStatus(
            workspace_id="wksp_1",
            workspace_name="Acme",
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


def words(page: str) -> str:
    return " ".join(" ".join(read(page).words).split())


def test_it_says_everything_a_person_asks_for() -> None:
    text = words(status_page(FULL, COSTS))
    for said in (
        "1.2.3",
        "2026-11-23 09:00:00 UTC, 3 h ago",
        "Demo: the world is simulated.",
        "sqlite:///prisma-postgres-exporter.db failing : disk is full",
        "2 shown, 1 failing , 3 left out by configuration",
        "Last round Acme, 2026-11-23 11:58:30 UTC, 90 s ago : 812 readings in 4.2 s, 3 failed",
        "Next round Acme, 2026-11-23 12:04:00 UTC, in 4 min",
        "24h of 3 database(s): the API answers for more time than was asked for",
        "us not known yet down the token was refused",
        "in 30 days",
        "Acme Id wksp_a Plan Pro State down timeout: the API did not answer in time; ",
        "again on its own, blocked : likely the spend limit (raise it; ",
        "or an unpaid invoice (ends with its payment only) Databases 2",
        "broken db_f Acme http_503: the vendor's API is unavailable for the moment; ",
        "again on its own 2026-11-23 11:40:00 UTC, 20 min ago",
    ):
        assert said in text


def test_a_service_that_knows_nothing_yet_says_so() -> None:
    text = words(status_page(replace(A_STATUS, not_ready_reason="the store was not read yet"), COSTS))
    assert "Not ready : the store was not read yet" in text
    assert "None is configured." in text
    assert "Last round none has finished yet" in text
    assert "Next round not planned" in text


def test_a_database_and_a_workspace_are_up_down_or_not_tried_yet() -> None:
    def state_of(is_up: bool | None) -> tuple[bool, bool, bool]:
        snapshot = snapshot_of([replace(A_DATABASE, is_up=is_up)], [replace(A_WORKSPACE, is_up=is_up)])
        text = words(status_page(replace(A_STATUS, snapshot=snapshot), COSTS))
        row, article = text.rpartition("Databases, the most used first")[2], text.partition("Plan Pro State")[2]
        assert ("not read when it should have been" in text) is (is_up is False)
        return (
            " up " in row and article.startswith(" up"),
            " down " in row and article.startswith(" down"),
            " not read yet " in row and article.startswith(" not read yet"),
        )

    def own_page(is_up: bool | None) -> str:
        return words(database_page(replace(A_DATABASE, is_up=is_up), (), None, NOW))

    for is_up, said in ((True, " Up "), (False, " Down "), (None, " Not read yet. ")):
        assert said in own_page(is_up)
    assert state_of(True) == (True, False, False)
    assert state_of(False) == (False, True, False)
    assert state_of(None) == (False, False, True)


def test_a_reload_that_failed_is_told_with_its_reason_and_since_when() -> None:
    failed = replace(FULL, reload_error="poll.interval: is not valid", reload_failing_since_at=NOW - timedelta(hours=2))

    said = words(status_page(failed, COSTS))

    assert "Configuration not reloaded since 2026-11-23 10:00:00 UTC, 2 h ago" in said
    assert "the one before is in force: poll.interval: is not valid" in said
    assert "not reloaded" not in words(status_page(FULL, COSTS))


async def test_the_page_of_a_database_says_until_when_the_vendor_asked_to_be_left_alone() -> None:
    waiting = replace(FULL, waits={"db_f": NOW + timedelta(hours=1)})
    async with client_of(app_of(exposition_of(A_SNAPSHOT), waiting)) as client:
        told, other = [(await client.get(f"/databases/{id_}")).text for id_ in ("db_f", A_DATABASE.database_id)]

    assert "Not asked before 13:00 UTC, as the vendor asked." in words(told)
    assert "Not asked before" not in words(other)


def test_an_unhealthy_service_says_so_first() -> None:
    status = replace(A_STATUS, unhealthy_reason="no round began for an hour", not_ready_reason="nothing stored")
    assert "Not healthy : no round began for an hour" in words(status_page(status, COSTS))


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


def test_it_loads_nothing_and_links_only_to_itself() -> None:
    reader = read(status_page(FULL, COSTS))
    assert all(link.startswith(("/", "#")) and not link.startswith("//") for link in reader.links)
    assert {"/metrics", "/-/healthy", "/-/ready", "/databases/db_a", "/databases/db_f"} <= set(reader.links)
    assert not {"script", "img", "link", "iframe", "object"} & set(reader.elements)


def test_a_long_list_is_cut_and_says_so() -> None:
    failing = [
        replace(A_DATABASE, database_id=f"db_{number}", failing_since_at=NOW, failure_reason="timeout")
        for number in range(1250)
    ]
    page = status_page(replace(FULL, snapshot=snapshot_of(failing)), COSTS)
    assert "And 1,150 more, in the metrics." in words(page)
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
    assert "Cost of 2026-11 in USD, until 2026-11-23 12:00 UTC" in text
    assert "Acme 12.50 14.00 100.0 12.00 +2.00 +16.7" in text
    assert "<b>Beta</b> – – – – – –" in text
    assert "Not all of it is known." in text
    assert "The ledger cannot be read now : it is locked" in words(status_page(FULL, "it is locked"))


@pytest.mark.parametrize(
    ("is_storage_known", "said"),
    [(True, "378.94 USD of 600.00 USD; tax not counted"), (False, "at least 378.94 USD of 600.00 USD")],
)
def test_what_counts_against_the_spend_limit_is_at_least_so_much_where_usage_is_missing(
    is_storage_known: bool, said: str
) -> None:
    bill = Bill(fee=Decimal(49), operations=Decimal("378.94"), storage=Decimal(0), is_storage_known=is_storage_known)
    limit = SpendLimit(usd=Decimal(600), other_usage_usd=Decimal(0))
    workspace = replace(A_WORKSPACE, cost=WorkspaceCost(bill=bill, spend_limit=limit))
    status = replace(FULL, snapshot=replace(A_SNAPSHOT, workspaces=(workspace,)))

    assert f"<dd>{said}" in status_page(status, COSTS)


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
    snapshot = replace(A_SNAPSHOT, workspaces=(replace(A_WORKSPACE, cost=WorkspaceCost(bill=bill, spend_limit=limit)),))
    shown = exposition_of(snapshot).snapshot_text().decode()

    said = "<dd>20.00 USD<" if counted is None else f"<dd>at least {counted} USD of 20.00 USD<"
    assert said in status_page(replace(FULL, snapshot=snapshot), COSTS)
    for name in ("usage_charges_usd", "spend_limit_counted_usd"):
        assert (f"\nprisma_postgres_workspace_{name}{{" in shown) == (counted is not None)


def test_storage_is_held_against_what_is_included_as_it_is_billed() -> None:
    """10.15 GiB so far in 22.5 of 30 days are 7.61 GiB-months of the 10 that are included, not 102 %."""
    seconds, level = int(22.5 * 86_400), int(10.15 * 2**30)
    usage = Usage(
        known_byte_seconds=level * seconds,
        level_byte_seconds=level * seconds,
        days=23,
        days_known=23,
        storage_seconds=seconds,
        storage_seconds_known=seconds,
    )
    cost = WorkspaceCost(included_storage_bytes=10 * 2**30)
    view = replace(A_WORKSPACE, usage=usage, month_average_storage_bytes=level, cost=cost)
    text = words(status_page(replace(FULL, snapshot=replace(A_SNAPSHOT, workspaces=(view,))), COSTS))

    assert "Storage, mean of the month so far 10.15 GiB Storage billed so far, GiB-months 7.61" in text
    assert "included (76%)" in text
    assert "102" not in text


def test_storage_that_is_known_in_part_says_so() -> None:
    usage = Usage(known_byte_seconds=2**30 * 86_400, days=23, storage_seconds=86_400 * 9, storage_seconds_known=86_400)
    view = replace(A_WORKSPACE, usage=usage, month_average_storage_bytes=2**30)

    def shown(usage: Usage) -> str:
        snapshot = replace(A_SNAPSHOT, workspaces=(replace(view, usage=usage),))
        return words(status_page(replace(FULL, snapshot=snapshot), COSTS))

    known = "(11 % of the storage's time is known) Storage billed so far, GiB-months at least 0.03 GiB"
    assert f"month so far 1.00 GiB {known}" in html.unescape(shown(usage))
    assert f"month so far at least 1.00 GiB {known}" in html.unescape(shown(replace(usage, unlevelled=1)))


def test_a_moved_databases_operations_stand_beside_the_cost_of_the_same_workspace() -> None:
    moved = replace(A_DATABASE, month_to_date_operations=900, usage=Usage(known_operations=77, days=1, days_known=1))
    status = replace(FULL, snapshot=replace(A_SNAPSHOT, databases=(moved,)))

    assert "orders shop Acme 77 100 " in words(status_page(status, COSTS))
    assert "Operations this month 900, of which 77 are known of this workspace" in words(
        database_page(moved, (), None, NOW)
    )


def test_the_list_of_failing_databases_says_until_when_one_is_not_asked() -> None:
    status = replace(FULL, waits={"db_f": NOW + timedelta(minutes=40)})

    assert "; not asked before 12:40 UTC, as the vendor asked" in status_page(status, COSTS)
    assert "not asked before" not in status_page(FULL, COSTS)
