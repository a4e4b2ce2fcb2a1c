"""What is around a service: levels, advice, exit codes, and the forms for people and programs."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from diagnosis_values import LAST_AT, NOW, database_facts, facts

from builders import ONE_DAY
from prisma_postgres_exporter.config import load_config, read_tokens
from prisma_postgres_exporter.diagnosis import (
    EXIT_CODES,
    ConfigurationFacts,
    CredentialFacts,
    Examination,
    Facts,
    Failure,
    Finding,
    Level,
    ListenFacts,
    PushFacts,
    Reason,
    StoreFacts,
    diagnose,
    wrong_configuration,
)
from prisma_postgres_exporter.errors import (
    ApiError,
    ConfigurationError,
    CredentialRefused,
    MalformedAnswer,
    NotFound,
    RequestRefused,
)
from prisma_postgres_exporter.service.surroundings import read_configuration

CONFIGURATION = ConfigurationFacts(credentials=1, api_url="https://x", way=", without a proxy")


def found(step: str, given: Facts) -> list[Finding]:
    return [finding for finding in diagnose(given) if finding.step == step]


def token(**changes: object) -> CredentialFacts:
    values = {"name": "main", "workspace": None, "failure": None, "expires_at": None} | changes
    return CredentialFacts(**values)  # type: ignore[arg-type]  # the fields' own values


@pytest.mark.parametrize(
    ("level", "code"), [(Level.OK, 0), (Level.NOTE, 0), (Level.PROBLEM, 1), (Level.WRONG, 2)], ids=str
)
def test_the_gravest_finding_decides_the_exit_code(level: Level, code: int) -> None:
    inner = Finding(step="series", subject="x", text="y", level=level)
    findings = (Finding(step="store", subject="s", text="t", children=(inner,)),)

    assert EXIT_CODES[Examination(examined_at=NOW, findings=findings).worst] == code


def test_a_configuration_that_cannot_be_read_is_a_diagnosis_too() -> None:
    examination = Examination(examined_at=NOW, findings=wrong_configuration(["a: wrong", "b: wrong"]))

    assert [line.text for line in examination.lines()] == [
        "configuration: a: wrong [configuration_wrong]",
        "configuration: b: wrong [configuration_wrong]",
    ]
    assert examination.summary == "2 problems, no notes"
    assert EXIT_CODES[examination.worst] == 2


@pytest.mark.parametrize(
    ("failure", "quickly", "wholly"),
    [
        (Reason.STORE_MISSING, Level.OK, Level.PROBLEM),
        (Reason.STORE_OUTDATED, Level.NOTE, Level.PROBLEM),
        (Reason.STORE_UNAVAILABLE, Level.PROBLEM, Level.PROBLEM),
    ],
)
def test_before_the_first_start_a_store_may_be_missing(failure: Reason, quickly: Level, wholly: Level) -> None:
    store = StoreFacts(url="x", failure=Failure(reason=failure, message="there is none"))

    assert [found("store", facts(store=store, is_quick=quick))[0].level for quick in (True, False)] == [quickly, wholly]


def test_a_stopped_service_is_no_problem_of_a_check() -> None:
    store = StoreFacts(url="x", written_at=LAST_AT - ONE_DAY, databases=3)

    [quick], [whole] = (found("store", facts(store=store, is_quick=is_quick)) for is_quick in (True, False))

    assert (quick.level, whole.level) == (Level.OK, Level.PROBLEM)
    assert quick.text.startswith("3 databases known, last written 1 d ")
    assert whole.advice == "see whether the service runs, and whether it writes to this store"


def test_a_reading_of_tomorrow_is_a_clock_that_was_ahead() -> None:
    store = StoreFacts(url="x", written_at=LAST_AT, newest_reading_at=NOW + ONE_DAY)

    [finding] = found("store", facts(store=store, is_quick=True))

    assert (finding.level, finding.reason) == (Level.PROBLEM, Reason.CLOCK_SET_BACK)
    assert "`store repair`" in finding.advice


@pytest.mark.parametrize(
    ("known", "level", "text"),
    [
        (ListenFacts(address=":1"), Level.OK, "free"),
        (ListenFacts(address=":1", holder="nginx (process 7)"), Level.WRONG, "in use by nginx (process 7)"),
        (ListenFacts(address=":1", holder="us (process 7)", is_ours=True), Level.OK, "a service already runs there"),
        (
            ListenFacts(address=":1", holder="us (process 7)", is_ours=True, is_on_this_store=True),
            Level.OK,
            "already runs",
        ),
        (
            ListenFacts(address=":1", holder="us (process 7)", is_ours=True, is_on_this_store=False),
            Level.WRONG,
            "in use by us (process 7), a service on another store",
        ),
        (
            ListenFacts(address=":1", holder="us", is_ours=True, is_on_this_store=True, unhealthy="the disk broke"),
            Level.PROBLEM,
            "in use by us: a service runs there, not healthy: the disk broke",
        ),
        (ListenFacts(address=":1", problem="cannot be listened on: denied"), Level.WRONG, "denied"),
    ],
    ids=["free", "another's", "ours", "ours on this store", "ours on another store", "ours and unhealthy", "refused"],
)
def test_who_listens_on_an_address_is_told(known: ListenFacts, level: Level, text: str) -> None:
    [finding] = found("listen", facts(listens=(known,)))

    assert finding.level is level
    assert text in finding.text
    assert ("--listen" in finding.advice) is (level is Level.WRONG)


@pytest.mark.parametrize(("is_wrong", "level"), [(True, Level.WRONG), (False, Level.PROBLEM)])
def test_a_push_that_is_refused_is_to_be_corrected(is_wrong: bool, level: Level) -> None:
    push = PushFacts(name="otlp", url="https://x", every=ONE_DAY, problem="answered 403", is_wrong=is_wrong)

    assert [finding.level for finding in found("push", facts(pushes=(push,)))] == [level]


@pytest.mark.parametrize(("minutes", "level"), [(4, Level.OK), (10, Level.NOTE)])
def test_a_push_that_leaves_gaps_is_told_with_the_interval_that_leaves_none(minutes: int, level: Level) -> None:
    push = PushFacts(name="otlp", url="https://x", every=timedelta(minutes=minutes))
    [finding] = found("push", facts(pushes=(push,)))

    assert finding.level is level
    assert finding.advice == ("" if level is Level.OK else "set push.interval to 4m or less")
    [refused] = found("push", facts(pushes=(replace(push, problem="answered 503"),)))
    assert (refused.level, refused.advice) == (Level.PROBLEM, "")


def test_a_token_that_is_configured_twice_is_told_by_both_names() -> None:
    config = load_config(environ={"PRISMA_POSTGRES_TOKEN": "one,two,one"})
    known = read_configuration(config, read_tokens(config))

    notes = [
        finding.text for finding in found("configuration", facts(configuration=known)) if finding.level is Level.NOTE
    ]
    assert notes == ["credential token-3 has the token of token-1, and counts as that one"]


@pytest.mark.parametrize(
    ("expires_at", "failure", "level", "said"),
    [
        (NOW + ONE_DAY, None, Level.NOTE, "expires at"),
        (NOW - ONE_DAY, Failure(reason=Reason.UNAUTHORISED, message="401"), Level.WRONG, "expired at"),
    ],
)
def test_a_token_at_its_end_says_when_and_where_a_new_one_is_made(
    expires_at: datetime, failure: Failure | None, level: Level, said: str
) -> None:
    [finding] = found("token", facts(credentials=(token(expires_at=expires_at, failure=failure),)))

    assert finding.level is level
    assert any(said in line for line in finding.lines)
    assert "https://console.prisma.io" in finding.advice
    assert "Service Tokens" in finding.advice


def test_a_refused_token_names_the_workspace_that_it_says_it_is_of() -> None:
    failure = Failure(reason=Reason.UNAUTHORISED, message="GET /v1/me answered 401")

    [finding] = found("token", facts(credentials=(token(workspace="workspace acme (wksp_a)", failure=failure),)))

    assert finding.lines == ("its workspace: workspace acme (wksp_a)",)


@pytest.mark.parametrize("error", [MalformedAnswer, NotFound, RequestRefused])
def test_what_does_not_know_the_first_call_is_not_the_api(error: type[ApiError]) -> None:
    first = Failure.of(error("it said so", reason="http_404", operation="me"))
    later = Failure.of(error("it said so", reason="http_404", operation="projects"))

    assert (first.reason, later.reason) == (Reason.NOT_THE_API, Reason.API_REFUSED)
    assert "api_url" in first.advice
    [finding] = found("token", facts(credentials=(token(failure=first),)))
    assert finding.level is Level.WRONG


@pytest.mark.parametrize(("code", "is_doubted"), [(None, True), ("authentication-failed", False)])
def test_a_401_in_other_words_than_the_apis_may_be_of_something_else(code: str | None, is_doubted: bool) -> None:
    failure = Failure.of(CredentialRefused("answered 401", reason="http_401", operation="me", code=code))

    assert "https://console.prisma.io" in failure.advice
    assert ("check `api_url`" in failure.advice) is is_doubted


def test_a_client_that_cannot_be_made_is_to_be_corrected() -> None:
    failure = Failure.of(ConfigurationError(["HTTPS_PROXY is not an address"]))

    [finding] = found("token", facts(credentials=(token(failure=failure),)))

    assert (finding.level, finding.text) == (Level.WRONG, "HTTPS_PROXY is not an address")


@pytest.mark.parametrize(("skew", "side"), [(3_600.0, "1 h ahead of"), (-3_600.0, "1 h behind"), (200.0, None)])
def test_a_clock_that_is_wrong_is_told_once(skew: float, side: str | None) -> None:
    clocks = found("clock", facts(credentials=(token(skew_seconds=skew), token(skew_seconds=1.0))))

    assert [f"clock is {side} the Management API" in clock.text for clock in clocks] == ([True] if side else [])


def test_where_a_part_is_asked_for_the_rest_is_left_out() -> None:
    store = StoreFacts(url="x", written_at=LAST_AT, cost_warnings=("budget 'a' matches nothing",))

    assert found("cost", facts(store=store)) == found("configuration", facts(store=store)) == []
    [cost] = found("cost", facts(store=store, configuration=CONFIGURATION))
    assert (cost.level, cost.text) == (Level.NOTE, "budget 'a' matches nothing")


def test_advice_is_in_both_forms() -> None:
    finding = Finding(step="listen", subject=":1", text="in use", level=Level.WRONG, advice="stop it")
    examination = Examination(examined_at=NOW + timedelta(seconds=1), findings=(finding,))

    assert [line.text for line in examination.lines()] == ["listen :1: in use", "→ stop it"]
    assert finding.document()["advice"] == "stop it"
    assert examination.document()["level"] == "wrong"


def test_a_project_counts_its_deleted_databases_apart() -> None:
    (workspace,) = found("workspace", facts(database_facts(), database_facts(deleted_at=NOW - ONE_DAY)))

    assert [project.text for project in workspace.children] == ["1 database, 1 deleted"]
