"""Each reason for which something is missing, and what the diagnosis says of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from diagnosis_values import (
    DATABASE,
    DAYS,
    LAST_AT,
    NOW,
    OCTOBER,
    SETTINGS,
    TODAY,
    USAGE,
    database_facts,
    facts,
    november,
    state,
)

from builders import GIB, ONE_DAY
from prisma_postgres_exporter.config import Difference, Lack
from prisma_postgres_exporter.cost import Bill, SpendLimit, Usage, WorkspaceCost
from prisma_postgres_exporter.diagnosis import (
    CredentialFacts,
    DatabaseFacts,
    Examination,
    Facts,
    Failure,
    Finding,
    Level,
    PushFacts,
    Reason,
    StoreFacts,
    WebFacts,
    WorkspaceFacts,
    diagnose,
    walk,
    worst_of,
)
from prisma_postgres_exporter.errors import (
    ApiError,
    CredentialRefused,
    MalformedAnswer,
    NotAllowed,
    NotFound,
    PlanLimitReached,
    Throttled,
    Unavailable,
)
from prisma_postgres_exporter.model import Event, EventKind, Workspace

DOWN = Failure(reason=Reason.API_UNREACHABLE, message="GET /v1/me: cannot connect")
REFUSED = Failure(reason=Reason.UNAUTHORISED, message="GET /v1/me answered 401")


def findings(given: Facts) -> list[Finding]:
    return list(walk(diagnose(given)))


def seen(given: Facts, reason: Reason) -> Finding:
    """The finding with a reason."""
    found = [finding for finding in findings(given) if finding.reason is reason]
    assert found, [(finding.reason, finding.text) for finding in findings(given)]
    return found[0]


def exchanged(**changes: object) -> Facts:
    """Facts of a database whose state has something changed."""
    return facts(database_facts(state=state(**changes)))


def unnamed(**changes: object) -> Facts:
    return facts(replace(database_facts(), usage=None, days=None, **changes))  # type: ignore[arg-type]  # a shorthand


def test_when_all_is_well_every_step_is_ok_and_shows_its_numbers() -> None:
    found = findings(facts())

    assert {finding.step for finding in found} == {
        "store",
        "token",
        "workspace",
        "project",
        "database",
        "usage",
        "ledger",
        "series",
    }
    assert [finding for finding in found if finding.level is not Level.OK] == []
    series = next(finding for finding in found if finding.step == "series")
    assert series.facts["shown"] == {
        "prisma_postgres_database_up": 1,
        "prisma_postgres_database_operations_total": 2_000,
        "prisma_postgres_database_day_to_date_operations": 50,
        "prisma_postgres_database_previous_day_operations": 100,
        "prisma_postgres_database_month_to_date_operations": 2_250,
        "prisma_postgres_database_previous_month_operations": 9_000,
        'prisma_postgres_database_window_operations{window="24h"}': 7,
        'prisma_postgres_database_window_operations{window="7d"}': 7,
        'prisma_postgres_database_window_operations{window="30d"}': 7,
        "prisma_postgres_database_storage_bytes": 1 << 30,
        "prisma_postgres_database_reconciliation_difference_operations": 0,
    }


WORKSPACE = facts().workspaces[0]
BLOCKED = replace(WORKSPACE, workspace=replace(WORKSPACE.workspace, usage_blocked=True))
UNREADABLE = replace(WORKSPACE, cost=WorkspaceCost(is_blocked=True))
"""The vendor refuses its databases' readings, and does not say of the workspace that it is blocked."""
NO_COST = WorkspaceCost()
OVER_ITS_SPEND_LIMIT = WorkspaceCost(
    bill=Bill(fee=Decimal(10), operations=Decimal(30), storage=Decimal(0), are_operations_known=False),
    spend_limit=SpendLimit(usd=Decimal(25)),
    limits=(("spend_limit", NOW),),
)
FREE = replace(
    WORKSPACE,
    workspace=replace(WORKSPACE.workspace, plan="Free"),
    usage=Usage(known_operations=1_956_000, days=23, days_known=23, known_byte_seconds=GIB * 2_592_000),
    cost=WorkspaceCost(
        plan="Free",
        included_operations=200_000,
        included_storage_bytes=GIB // 2,
        limits=(("free_operations", NOW - ONE_DAY), ("free_storage", NOW + ONE_DAY)),
    ),
)
"""By our numbers it is over its allowance; the vendor does not say that it is blocked."""
FAILING = {"failing_since_at": NOW - timedelta(hours=2)}


@pytest.mark.parametrize(
    ("given", "reason", "level", "said"),
    [
        pytest.param(
            facts(store=StoreFacts(url="x", failure=Failure(reason=Reason.STORE_MISSING, message="no store"))),
            Reason.STORE_MISSING,
            Level.PROBLEM,
            "no store",
            id="no store",
        ),
        pytest.param(
            facts(store=StoreFacts(url="x")), Reason.NOT_WRITTEN, Level.PROBLEM, "nothing was ever", id="empty store"
        ),
        pytest.param(
            facts(store=StoreFacts(url="x", written_at=NOW - timedelta(hours=3))),
            Reason.NOT_WRITTEN,
            Level.PROBLEM,
            "last written 3 h ago (2026-11-23 11:00:00 UTC); a running service writes every 5m",
            id="the service stands still",
        ),
        pytest.param(
            facts(
                store=StoreFacts(
                    url="x", written_at=LAST_AT, differences=(Difference(("poll.interval",), (("a:1",), ("b:2",))),)
                )
            ),
            Reason.SETTINGS_DIFFER,
            Level.NOTE,
            "different poll.interval: a:1 / b:2",
            id="processes with different settings",
        ),
        pytest.param(
            facts(workspaces=(UNREADABLE,)),
            Reason.BLOCKED,
            Level.PROBLEM,
            "blocked: its databases stop answering; ",
            id="a workspace whose readings are refused",
        ),
        pytest.param(
            facts(workspaces=(FREE,)),
            Reason.LIMIT_REACHED,
            Level.NOTE,
            "1,956,000 of 200,000 operations of plan Free used (978 %): the vendor blocks the databases then",
            id="a Free workspace over its allowance",
        ),
        pytest.param(
            facts(workspaces=(replace(FREE, cost=replace(FREE.cost or NO_COST, limits=(("free_storage", NOW),))),)),
            Reason.LIMIT_REACHED,
            Level.NOTE,
            "the month's storage of plan Free used up (200 %)",
            id="a Free workspace over its storage",
        ),
        pytest.param(
            facts(workspaces=(replace(WORKSPACE, cost=OVER_ITS_SPEND_LIMIT),)),
            Reason.LIMIT_REACHED,
            Level.NOTE,
            "at least 30.00 of 25.00 USD of the spend limit used (120 %): the vendor blocks",
            id="a workspace over its spend limit",
        ),
        pytest.param(
            facts(pushes=(PushFacts(name="otlp", url="https://x", every=ONE_DAY, problem="answered 401"),)),
            Reason.PUSH_FAILING,
            Level.PROBLEM,
            "does not take an empty request: answered 401",
            id="a push that fails",
        ),
        pytest.param(
            facts(web=WebFacts(path="web.yml", problems=("web.yml: no such file",))),
            Reason.WEB_CONFIG_WRONG,
            Level.WRONG,
            "cannot be used",
            id="a web configuration that is wrong",
        ),
        pytest.param(
            facts(web=WebFacts(path="web.yml", access="TLS, 1 user", not_in_force="the service at :1 differs")),
            Reason.WEB_CONFIG_NOT_IN_FORCE,
            Level.PROBLEM,
            "TLS, 1 user; but the service at :1 differs",
            id="a web configuration that the service does not use",
        ),
        pytest.param(
            facts(store=StoreFacts(url="x", written_at=NOW + ONE_DAY)),
            Reason.CLOCK_SET_BACK,
            Level.PROBLEM,
            "1 d from now",
            id="store of the future",
        ),
        pytest.param(
            facts(credentials=(CredentialFacts(name="main", workspace=None, failure=REFUSED, expires_at=None),)),
            Reason.UNAUTHORISED,
            Level.WRONG,
            "401",
            id="refused token",
        ),
        pytest.param(
            facts(workspaces=(replace(WORKSPACE, failure=DOWN),)),
            Reason.API_UNREACHABLE,
            Level.PROBLEM,
            "cannot be listed: GET /v1/me: cannot connect",
            id="vendor down",
        ),
        pytest.param(facts(workspaces=(BLOCKED,)), Reason.BLOCKED, Level.PROBLEM, "stop answering", id="blocked"),
        pytest.param(
            facts(workspaces=(replace(BLOCKED, gone_at=NOW - ONE_DAY),)),
            Reason.GONE,
            Level.NOTE,
            "not followed since 2026-11-22 14:00:00 UTC",
            id="gone workspace",
        ),
        pytest.param(
            unnamed(is_listed=False, gone_at=NOW - ONE_DAY, state=state(last_success_at=NOW - ONE_DAY)),
            Reason.GONE,
            Level.NOTE,
            "not followed since 2026-11-22 14:00:00 UTC",
            id="of a gone workspace",
        ),
        pytest.param(
            facts(database_facts(filtered_by="discovery.exclude.databases: it matches 'ord'")),
            Reason.FILTERED,
            Level.PROBLEM,
            "left out by discovery.exclude.databases: it matches 'ord'",
            id="filtered, asked for",
        ),
        pytest.param(unnamed(filtered_by="x"), Reason.FILTERED, Level.NOTE, "left out by x", id="filtered, as ordered"),
        pytest.param(
            facts(database_facts(is_listed=False, deleted_at=NOW - ONE_DAY, usage=None)),
            Reason.DELETED,
            Level.PROBLEM,
            "since 2026-11-22 14:00:00 UTC",
            id="deleted, asked for",
        ),
        pytest.param(
            unnamed(is_listed=False, deleted_at=NOW), Reason.DELETED, Level.NOTE, "stays in its month", id="deleted"
        ),
        pytest.param(
            facts(database_facts(is_listed=False)), Reason.DELETED, Level.PROBLEM, "next discovery", id="just deleted"
        ),
        pytest.param(
            facts(
                database_facts(state=None, database=replace(DATABASE, created_at=NOW - timedelta(minutes=4)), days=())
            ),
            Reason.TOO_NEW,
            Level.NOTE,
            "made 4 min ago: the next discovery adds it, and there is one every 10m",
            id="too new",
        ),
        pytest.param(
            facts(database_facts(state=None, days=()), store=StoreFacts(url="x", written_at=NOW - timedelta(hours=3))),
            Reason.NOT_DISCOVERED,
            Level.PROBLEM,
            "does the service run?",
            id="never discovered",
        ),
        pytest.param(
            exchanged(**FAILING, failure_reason="http_503"),
            Reason.UNAVAILABLE,
            Level.PROBLEM,
            "unavailable since 2026-11-23 12:00:00 UTC; the last reading was 3 min ago",
            id="unavailable since",
        ),
        pytest.param(
            exchanged(**FAILING, failure_reason="plan_limit_reached"),
            Reason.BLOCKED,
            Level.PROBLEM,
            "blocked by the vendor since 2026-11-23 12:00:00 UTC",
            id="planLimitReached",
        ),
        pytest.param(
            exchanged(last_success_at=None, recent_days=(), months=()),
            Reason.NEVER_ANSWERED,
            Level.PROBLEM,
            "never answered, though it was first seen at 2026-11-03 14:00:00 UTC",
            id="never answered",
        ),
        pytest.param(
            exchanged(last_success_at=None, recent_days=(), months=(), first_seen_at=NOW - timedelta(minutes=2)),
            Reason.NOT_DUE,
            Level.NOTE,
            "the first reading is due, there is a round every 5m",
            id="not due yet",
        ),
        pytest.param(
            exchanged(last_success_at=NOW - timedelta(hours=1)),
            Reason.NOT_READ,
            Level.PROBLEM,
            "the last reading was 1 h ago (2026-11-23 13:00:00 UTC), though it is read every 5m",
            id="not read any more",
        ),
        pytest.param(
            exchanged(last_success_at=NOW - 3 * ONE_DAY, **FAILING, failure_reason="timeout"),
            Reason.EXPIRED,
            Level.PROBLEM,
            "the last ones, of 2026-11-20 14:00:00 UTC, were shown for 1d",
            id="kept value expired",
        ),
        pytest.param(
            exchanged(
                last_success_at=NOW + ONE_DAY,
                recent_days=(*DAYS[-2:], replace(DAYS[-1], day=TODAY + ONE_DAY, read_at=NOW + ONE_DAY)),
            ),
            Reason.CLOCK_SET_BACK,
            Level.PROBLEM,
            "the newest reading is of 2026-11-24 14:00:00 UTC, 1 d ahead",
            id="clock set back",
        ),
        pytest.param(
            facts(database_facts(usage=Failure(reason=Reason.BLOCKED, message="402 (planLimitReached)"))),
            Reason.BLOCKED,
            Level.PROBLEM,
            "the API does not answer for it now: 402 (planLimitReached)",
            id="blocked just now",
        ),
        pytest.param(
            facts(database_facts(usage=replace(USAGE, operations=None))),
            Reason.NOT_TOLD,
            Level.PROBLEM,
            "no operations",
            id="the vendor leaves the number out",
        ),
        pytest.param(
            facts(database_facts(usage=replace(USAGE, generated_at=NOW + timedelta(hours=1)))),
            Reason.CLOCK_SET_BACK,
            Level.PROBLEM,
            "1 h behind the vendor's",
            id="clock behind the vendor's",
        ),
    ],
)
def test_what_is_missing_is_explained(given: Facts, reason: Reason, level: Level, said: str) -> None:
    found = seen(given, reason)

    assert found.level is level
    assert said in " ".join((found.text, *found.lines))
    assert worst_of(tree.worst for tree in diagnose(given)) is level


def test_the_fact_that_a_workspace_is_blocked_is_the_one_that_is_told() -> None:
    """Of one whose readings are refused doctor said "blocked", and `usage_blocked` beside it was false."""
    for known, is_blocked in ((BLOCKED, True), (UNREADABLE, True), (WORKSPACE, False)):
        (found,) = (found for found in findings(facts(workspaces=(known,))) if "usage_blocked" in found.facts)
        assert (found.facts["usage_blocked"], found.reason is Reason.BLOCKED) == (is_blocked, is_blocked)


def test_what_is_over_its_allowance_is_told_with_what_to_do_and_once_it_is_blocked_as_that() -> None:
    """Doctor said "no problems, no notes" of a Free workspace at 978 % of its operations."""
    note = seen(facts(workspaces=(FREE,)), Reason.LIMIT_REACHED)
    assert (note.subject, note.advice) == ("acme (wksp_a)", "upgrade the plan")
    assert note.facts["limits_reached_percent"] == {"free_operations": 978}
    assert Examination(examined_at=NOW, findings=diagnose(facts(workspaces=(FREE,)))).summary == "no problems, 1 note"
    blocked = replace(FREE, workspace=replace(FREE.workspace, usage_blocked=True))
    assert seen(facts(workspaces=(blocked,)), Reason.BLOCKED).level is Level.PROBLEM
    assert not [found for found in findings(facts(workspaces=(blocked,))) if found.reason is Reason.LIMIT_REACHED]
    below = replace(FREE, cost=replace(NO_COST, limits=(("free_operations", NOW + timedelta(minutes=1)),)))
    assert worst_of(found.level for found in findings(facts(workspaces=(below,)))) is Level.OK


@pytest.mark.parametrize(
    ("changes", "series", "level", "said"),
    [
        pytest.param({"recent_days": DAYS[-2:-1]}, "day_to_date_operations", Level.PROBLEM, "open day", id="today"),
        pytest.param({"recent_days": DAYS[-1:]}, "previous_day_operations", Level.PROBLEM, "yesterday", id="yesterday"),
        pytest.param(
            {"recent_days": (replace(DAYS[-2], unchanged_since_at=None, settled_at=None), DAYS[-1])},
            "previous_day_operations",
            Level.PROBLEM,
            "not read yet since it ended",
            id="yesterday in part",
        ),
        pytest.param(
            {"database": replace(DATABASE, created_at=NOW - timedelta(hours=3)), "recent_days": DAYS[-1:]},
            "previous_day_operations",
            Level.NOTE,
            "made today",
            id="made today",
        ),
        pytest.param({"months": (OCTOBER,)}, "month_to_date_operations", Level.PROBLEM, "month", id="this month"),
        pytest.param({"months": (november(),)}, "previous_month_operations", Level.PROBLEM, "month before", id="last"),
        pytest.param(
            {"months": (november(),), "database": replace(DATABASE, created_at=NOW - 3 * ONE_DAY)},
            "previous_month_operations",
            Level.NOTE,
            "made this month",
            id="made this month",
        ),
        pytest.param({"rolling": ()}, 'window_operations{window="7d"}', Level.PROBLEM, "window", id="window"),
        pytest.param({"storage_bytes": None}, "storage_bytes", Level.NOTE, "told no storage", id="storage"),
        pytest.param(
            {
                "months": (OCTOBER, november(days=19, days_operations=1_900, difference_operations=None)),
                "known_until": TODAY - 4 * ONE_DAY,
            },
            "reconciliation_difference_operations",
            Level.NOTE,
            "missing are 2026-11-20, 2026-11-21",
            id="difference",
        ),
        pytest.param(
            {"recent_days": DAYS[-2:-1], "first_seen_at": NOW - timedelta(minutes=1)},
            "day_to_date_operations",
            Level.NOTE,
            "due in the next rounds",
            id="seen just now",
        ),
    ],
)
def test_a_series_that_is_absent_is_explained(changes: dict[str, object], series: str, level: Level, said: str) -> None:
    absent = {
        finding.subject.removeprefix("prisma_postgres_database_"): finding
        for finding in findings(exchanged(**changes))
        if finding.step == "series" and finding.subject.startswith("prisma_postgres_")
    }

    assert absent[series].level is level
    assert said in absent[series].text


@pytest.mark.parametrize(("minutes", "level"), [(20, Level.NOTE), (70, Level.PROBLEM)])
def test_what_falls_due_at_midnight_is_not_missed_at_once(minutes: int, level: Level) -> None:
    now = datetime(2026, 12, 1, tzinfo=NOW.tzinfo) + timedelta(minutes=minutes)
    known = state(last_success_at=now, first_seen_at=NOW, known_until=TODAY + 7 * ONE_DAY)
    given = facts(database_facts(state=known, days=()), now=now, store=StoreFacts(url="x", written_at=now))

    absent = [finding for finding in findings(given) if finding.subject.startswith("prisma_postgres_")]

    assert {finding.level for finding in absent if finding.reason in (Reason.NOT_READ, Reason.NOT_DUE)} >= {level}
    assert worst_of(finding.level for finding in absent) is level


@pytest.mark.parametrize(
    ("is_listed", "written_at", "why"),
    [
        (True, LAST_AT, "though it is read every 5m"),
        (True, NOW - timedelta(hours=1), "though it is read every 5m: does the service run?"),
        (None, LAST_AT, "though it is read every 5m: its workspace cannot be listed just now"),
    ],
)
def test_whether_the_service_runs_is_asked_only_where_nothing_says_so(
    is_listed: bool | None, written_at: datetime, why: str
) -> None:
    known = state(last_success_at=NOW - timedelta(hours=1), recent_days=DAYS[-2:-1], known_until=TODAY - 3 * ONE_DAY)
    given = facts(
        database_facts(state=known, is_listed=is_listed, usage=None, days=()),
        store=StoreFacts(url="x", written_at=written_at),
    )

    found = [finding for finding in findings(given) if finding.step != "store"]
    said = [text for finding in found for text in (finding.text, *finding.lines)]

    assert any(text.endswith(why) for text in said), said
    assert any("does the service run?" in text for text in said) == why.endswith("run?")
    assert any("in the next rounds" in text for text in said) == (is_listed is not None)


def test_what_no_discovery_stored_while_the_service_runs_is_not_for_want_of_one() -> None:
    found = seen(
        facts(database_facts(state=None, days=()), store=StoreFacts(url="x", written_at=NOW)), Reason.NOT_DISCOVERED
    )

    assert "no credential of its workspace" in found.text


def test_a_token_that_expires_soon_is_noted() -> None:
    credential = replace(facts().credentials[0], expires_at=NOW + 3 * ONE_DAY)

    [token] = [finding for finding in findings(facts(credentials=(credential,))) if finding.step == "token"]

    assert token.level is Level.NOTE
    assert "expires at 2026-11-26" in token.lines[0]


def test_a_workspace_that_cannot_be_listed_leaves_what_the_store_holds() -> None:
    given = facts(database_facts(is_listed=None, usage=None), workspaces=(replace(WORKSPACE, failure=DOWN),))

    [database] = [finding for finding in findings(given) if finding.step == "database"]

    assert database.level is Level.NOTE
    assert "as the store has it" in database.text
    assert database.worst is Level.NOTE
    assert [child.step for child in database.children] == ["usage", "ledger", "series"]


def test_databases_stand_below_their_projects_and_workspaces() -> None:
    other = replace(DATABASE, id="db_b", project_id="proj_b", project_name="blog", workspace_id="wksp_b")
    workspaces = (
        WORKSPACE,
        WorkspaceFacts(workspace=Workspace(id="wksp_b", name="b"), failure=None, is_known=False),
    )

    trees = diagnose(
        facts(
            database_facts(),
            DatabaseFacts(database=other, backfill="here backfill", is_listed=True),
            workspaces=workspaces,
        )
    )

    found = {
        tree.facts["workspace_id"]: [
            (project.facts["project_id"], [database.facts["database_id"] for database in project.children])
            for project in tree.children
        ]
        for tree in trees
        if tree.step == "workspace"
    }
    assert found == {"wksp_a": [("proj_a", ["db_a"])], "wksp_b": [("proj_b", ["db_b"])]}


def test_events_are_shown_newest_first() -> None:
    events = tuple(
        Event(
            at=LAST_AT + timedelta(seconds=number),
            kind=EventKind.RENAMED,
            subject="database",
            subject_id="db_a",
            workspace_id="wksp_a",
            before=f"name {number}",
            after=f"name {number + 1}",
        )
        for number in range(12)
    )

    [found] = [finding for finding in findings(facts(database_facts(events=events))) if finding.subject == "events"]

    assert found.text == "12 noticed, the newest 10"
    assert found.lines[0].endswith("renamed name 11 → name 12")
    assert len(found.lines) == 10


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (CredentialRefused, Reason.UNAUTHORISED),
        (NotAllowed, Reason.NOT_ALLOWED),
        (PlanLimitReached, Reason.BLOCKED),
        (Unavailable, Reason.API_UNREACHABLE),
        (Throttled, Reason.API_UNREACHABLE),
        (NotFound, Reason.API_REFUSED),
        (MalformedAnswer, Reason.API_REFUSED),
    ],
)
def test_an_error_of_the_api_is_told_apart(error: type[ApiError], reason: Reason) -> None:
    failure = Failure.of(error("it said so", reason="x", code="y", hint="try it later"))

    assert failure == Failure(reason=reason, message="it said so (try it later)")


def test_settings_are_named_as_people_write_them() -> None:
    settings = replace(SETTINGS, discovery_interval=timedelta(minutes=90))
    young = replace(DATABASE, created_at=NOW - timedelta(hours=1))

    found = seen(facts(database_facts(state=None, database=young), settings=settings), Reason.TOO_NEW)

    assert "one every 1h30m" in found.text


def test_a_wait_that_the_vendor_asks_for_is_told_up_to_the_longest_that_is_kept() -> None:
    for seconds, until in ((300.0, "14:05"), (86_400.0, "15:00")):
        asking = Failure(reason=Reason.API_UNREACHABLE, message="GET usage answered 503", retry_after_seconds=seconds)
        found = seen(facts(replace(database_facts(), usage=asking)), Reason.API_UNREACHABLE)
        assert f"not to be asked again before {until} UTC, as the vendor asked" in found.text

    told = Failure.of(Unavailable("down", reason="http_503", status=503, retry_after_seconds=300.0))
    assert told.retry_after_seconds == 300.0
    assert "not to be asked" not in seen(facts(replace(database_facts(), usage=DOWN)), Reason.API_UNREACHABLE).text


def test_what_stored_readings_tell_of_an_adaptive_plan_is_said() -> None:
    given = facts()
    adaptive = replace(given.settings, poll=given.settings.poll.model_copy(update={"adaptive": True}))
    (workspace,) = given.workspaces

    def lines(known: WorkspaceFacts) -> tuple[str, ...]:
        found = findings(replace(given, settings=adaptive, workspaces=(known,)))
        return next(finding for finding in found if finding.step == "workspace").lines

    within = "each open day is read within 1 h 30 min whatever is known"
    assert lines(replace(workspace, period=timedelta(hours=3))) == (
        f"poll.adaptive: numbers move every 3 h, by stored readings; {within}",
    )
    unknown = f"poll.adaptive: no rhythm known yet, by stored readings; {within}"
    assert lines(workspace) == (unknown,)
    # Also where all is well, and the lines of what is well are left out.
    findings_of = diagnose(replace(given, settings=adaptive))
    shown = [line.text for line in Examination(examined_at=given.now, findings=findings_of).lines()]
    assert unknown in shown
    assert [finding.lines for finding in findings(given) if finding.step == "workspace"] == [()]


def test_tokens_that_only_some_processes_have_are_noted_with_the_workspaces() -> None:
    lack = Lack(workspaces=("wksp_a",), processes=("two",))
    found = seen(facts(store=replace(facts().store, lacks=(lack,))), Reason.TOKENS_DIFFER)
    assert found.level is Level.NOTE
    assert found.lines == (str(lack),)
    assert found.facts["differing_tokens"] == [{"workspaces_without_token": ["wksp_a"], "processes": ["two"]}]
