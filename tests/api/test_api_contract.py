"""Every operation accepts its one good status, and every documented error becomes the error that fits."""

from __future__ import annotations

import asyncio
import inspect
import traceback
from contextlib import nullcontext

import pytest
from api_fakes import ApiFor, SteppingTime
from hostile import Behaviour, answer, half, hostile_server, raw, reset, silence

from contract import CONTRACT, Documented
from prisma_postgres_exporter.api import OPERATIONS, ManagementApi
from prisma_postgres_exporter.errors import (
    ApiError,
    CredentialRefused,
    MalformedAnswer,
    NotAllowed,
    NotFound,
    RequestRefused,
    Throttled,
    Unavailable,
)
from prisma_postgres_exporter.simulator import ENDPOINTS

REFERENCE = {"id": "1", "name": "x", "url": "https://x.invalid"}
AT = "2026-11-01T00:00:00.000Z"
CONNECTION = {
    **REFERENCE,
    "kind": "postgres",
    "createdAt": AT,
    "endpoints": {"direct": {"host": "x.invalid", "port": 1, "connectionString": "postgres://u:pass-word-1@x/db"}},
    "directConnection": {"host": "x.invalid", "user": "u", "pass": "pass-word-1"},
    "database": REFERENCE,
}
DATABASE = {
    **REFERENCE,
    "status": "ready",
    "createdAt": AT,
    "isDefault": False,
    "connections": [CONNECTION],
    "project": REFERENCE,
}
PROJECT = {**REFERENCE, "createdAt": AT, "workspace": REFERENCE, "database": DATABASE}
THING = {**CONNECTION, **DATABASE, **PROJECT, "status": "ready", "planName": "Pro", "gitName": "main"}
"""Has every field that any single thing or entry needs."""

ids = [documented.endpoint for documented in CONTRACT]
every_operation = pytest.mark.parametrize("documented", CONTRACT, ids=ids)
REFUSALS = {
    400: RequestRefused,
    401: CredentialRefused,
    403: NotAllowed,
    404: NotFound,
    409: RequestRefused,
    413: RequestRefused,
    422: RequestRefused,
    500: Unavailable,
    503: Unavailable,
}


def good(documented: Documented, status: int | None = None) -> Behaviour:
    """A good answer, of the shape that the operation has."""
    status = status or documented.success
    if documented.success == 204:
        return raw(f"HTTP/1.1 {status} x\r\nConnection: close\r\n\r\n".encode())
    if documented.method == "usage":
        return answer({"period": {"start": AT, "end": AT}}, status=status)
    is_list = documented.method.endswith("s")
    body = {"data": [THING] if is_list and documented.method != "me" else THING}
    if is_list:
        body |= {"pagination": {"hasMore": False, "nextCursor": None, "limit": 25}, "meta": {"backupRetentionDays": 7}}
    return answer(body, status=status)


def test_the_client_has_exactly_the_contracts_operations() -> None:
    assert {(documented.method, documented.endpoint, documented.is_repeatable) for documented in CONTRACT} == {
        (name, row.endpoint, row.is_repeatable) for name, row in OPERATIONS.items()
    }
    assert all(documented.success in OPERATIONS[documented.method].success for documented in CONTRACT)


def test_every_public_method_is_an_operation_or_waits_for_one() -> None:
    methods = {name for name, _ in inspect.getmembers(ManagementApi, inspect.isfunction) if not name.startswith("_")}

    assert methods == set(OPERATIONS) | {"aclose", "request", "retire", "wait_until_ready", "with_options"}


def test_the_simulator_has_exactly_the_contracts_operations() -> None:
    simulated = {f"{endpoint.method} {endpoint.path}": endpoint.status for endpoint in ENDPOINTS.values()}

    assert simulated == {documented.endpoint: documented.success for documented in CONTRACT}
    assert set(ENDPOINTS) == {documented.method for documented in CONTRACT}


@every_operation
def test_a_docstring_names_the_statuses(documented: Documented) -> None:
    text = inspect.getdoc(getattr(ManagementApi, documented.method)) or ""

    assert [
        status for status in (documented.success, *documented.errors) if status != 401 and str(status) not in text
    ] == []


@every_operation
async def test_the_good_status_is_accepted_and_its_neighbours_too_where_something_was_done(
    api_for: ApiFor, documented: Documented
) -> None:
    async with hostile_server(good(documented)) as server:
        await documented.call(api_for(server))
        (request,) = server.requests
    method, _, path = documented.endpoint.partition(" ")
    assert (request.method, request.path.count("/")) == (method, path.count("/"))

    is_read = documented.endpoint.startswith("GET")
    for status in {200, 201, 202} - {documented.success}:
        async with hostile_server(good(documented, status)) as server:
            with pytest.raises(MalformedAnswer) if is_read else nullcontext():
                await documented.call(api_for(server))
            assert len(server.requests) == 1


@every_operation
async def test_each_documented_error_is_the_error_that_fits(
    api_for: ApiFor, time: SteppingTime, documented: Documented
) -> None:
    for status in documented.errors:
        refused = answer({"error": {"code": "someCode", "message": "why", "hint": "what to do"}}, status=status)
        async with hostile_server(refused) as server:
            with pytest.raises(REFUSALS[status]) as caught:
                await documented.call(api_for(server))
            assert len(server.requests) == (4 if status >= 500 else 1)
        error = caught.value
        assert (error.status, error.code, error.hint) == (status, "someCode", "what to do")
        assert (error.endpoint, error.is_outcome_unknown) == (documented.endpoint, False)


@every_operation
@pytest.mark.parametrize("behaviour", [reset, answer(b"", status=503), answer(b"<html>", status=502)])
async def test_only_what_may_be_done_twice_is_tried_again(
    api_for: ApiFor, documented: Documented, behaviour: Behaviour
) -> None:
    async with hostile_server(behaviour) as server:
        with pytest.raises(Unavailable) as caught:
            await documented.call(api_for(server))

    assert (len(server.requests) == 1) is not documented.is_repeatable
    assert caught.value.is_outcome_unknown is (not documented.endpoint.startswith("GET "))


@every_operation
async def test_too_many_requests_leave_no_doubt(api_for: ApiFor, time: SteppingTime, documented: Documented) -> None:
    async with hostile_server(answer(b"", status=429, headers={"Retry-After": "3"})) as server:
        with pytest.raises(Throttled) as caught:
            await documented.call(api_for(server))

    assert len(server.requests) == (4 if documented.is_repeatable else 1)
    assert caught.value.retry_after_seconds == 3
    assert not caught.value.is_outcome_unknown


@every_operation
async def test_what_was_never_sent_is_tried_again_whatever_it_is(
    api_for: ApiFor, time: SteppingTime, documented: Documented
) -> None:
    async with hostile_server(reset) as server:
        url = server.url
    with pytest.raises(Unavailable) as caught:
        await documented.call(api_for(url, attempts=3))

    assert caught.value.reason == "unreachable"
    assert len([seconds for seconds in time.waits if seconds > 0.1]) == 2
    assert not caught.value.is_outcome_unknown


@pytest.mark.parametrize("method", ["delete_project", "delete_database", "delete_connection"])
async def test_a_deletion_whose_answer_was_lost_has_happened_when_nothing_is_found(
    api_for: ApiFor, time: SteppingTime, method: str
) -> None:
    gone = answer({"error": {"code": "notFound", "message": "gone"}}, status=404)
    documented = next(row for row in CONTRACT if row.method == method)
    async with hostile_server(answer(b"", status=503), gone) as server:
        await documented.call(api_for(server))
        assert len(server.requests) == 2

    async with hostile_server(answer(b"", status=429), gone) as server:
        with pytest.raises(NotFound):
            await documented.call(api_for(server))


@pytest.mark.parametrize(("call", "is_change"), [("create_project", True), ("me", False)])
async def test_a_change_that_is_cancelled_under_way_says_that_it_may_have_been_done(
    api_for: ApiFor, call: str, is_change: bool
) -> None:
    async with hostile_server(silence) as server:
        calling = asyncio.create_task(getattr(api_for(server), call)())
        await server.arrived(1)
        calling.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await calling

    said = ["POST /v1/projects was under way: it may have been done all the same"]
    assert getattr(caught.value, "__notes__", []) == (said if is_change else [])


async def test_an_answer_outside_the_contract_leaves_a_creation_in_doubt(api_for: ApiFor) -> None:
    async with hostile_server(answer(b"<html>", status=201)) as server:
        with pytest.raises(MalformedAnswer) as caught:
            await api_for(server).create_project()

    assert caught.value.is_outcome_unknown


async def test_no_error_shows_a_password_of_an_answer_that_is_not_understood(api_for: ApiFor) -> None:
    broken = {**CONNECTION, "id": 7}
    async with hostile_server(answer({"data": broken}, status=201)) as server:
        with pytest.raises(MalformedAnswer) as caught:
            await api_for(server).create_connection("1", "app")

    shown = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert "data.id: string_type" in shown
    assert "pass-word-1" not in "\n".join(line for line in shown.splitlines() if "broken = " not in line)


async def test_a_body_is_json_without_what_was_not_given(api_for: ApiFor) -> None:
    async with hostile_server(answer({"data": PROJECT}, status=201)) as server:
        created = await api_for(server).create_project(
            name="caf\N{LATIN SMALL LETTER E WITH ACUTE}", region="us-east-1"
        )
        (request,) = server.requests

    assert request.body == b'{"name":"caf\\u00e9","region":"us-east-1","createDatabase":true}'
    assert request.headers["content-type"] == "application/json"
    assert created.database is not None
    owner = created.database.connections[0].database
    assert owner is not None
    assert owner.id == "db_1"


async def test_a_call_without_a_body_says_so(api_for: ApiFor) -> None:
    async with hostile_server(answer({"data": CONNECTION})) as server:
        await api_for(server).rotate_connection("con_1")
        (request,) = server.requests

    assert (request.body, request.headers["content-length"]) == (b"", "0")
    assert "content-type" not in request.headers


@pytest.mark.parametrize(
    "call",
    [
        lambda api: api.create_project(name=""),
        lambda api: api.create_project(name="x" * 257),
        lambda api: api.create_project(workspace_id="proj_1"),
        lambda api: api.update_project("1", settings={"a": float("nan")}),
        lambda api: api.update_project("1", settings={"a": object()}),
        lambda api: api.transfer_project("1", ""),
        lambda api: api.transfer_project("1", "two tokens"),
        lambda api: api.create_database("db_1"),
        lambda api: api.create_database("1", branch_id="br_1", branch_git_name="main"),
        lambda api: api.create_connection("1", "ab"),
        lambda api: api.create_database_connection("1", "x" * 66),
        lambda api: api.backups("1", limit=0),
        lambda api: api.backups("1", limit=101),
    ],
)
async def test_an_argument_that_makes_no_sense_is_refused_before_anything_is_sent(
    api_for: ApiFor, call: object
) -> None:
    async with hostile_server(answer({})) as server:
        with pytest.raises(RequestRefused) as caught:
            await call(api_for(server))  # type: ignore[operator]  # one of the calls above

    assert caught.value.reason in {"invalid_id", "invalid_argument"}
    assert server.requests == []


async def test_a_wait_ends_when_the_database_is_ready(api_for: ApiFor, time: SteppingTime) -> None:
    def status(text: str) -> Behaviour:
        return answer({"data": {**DATABASE, "status": text}})

    seen: list[str] = []
    script = (status("recovering"), answer(b"", status=404, headers={}), status("ready"))
    async with hostile_server(status("recovering"), *([answer(b"", status=503)] * 4), status("ready")) as server:
        database = await api_for(server).wait_until_ready("1", on_look=lambda found: seen.append(found.status))
    assert (database.status, seen) == ("ready", ["recovering", "ready"])
    assert time.waits.count(2.0) == 2

    async with hostile_server(*script) as server:
        with pytest.raises(NotFound):
            await api_for(server).wait_until_ready("1")


async def test_a_wait_ends_with_an_error_for_a_database_that_failed_or_takes_too_long(
    api_for: ApiFor, time: SteppingTime
) -> None:
    for text, reason in (("failure", "database_failed"), ("recovering", "not_ready")):
        async with hostile_server(answer({"data": {**DATABASE, "status": text}})) as server:
            with pytest.raises(ApiError) as caught:
                await api_for(server).wait_until_ready("1", timeout_seconds=10)
        assert caught.value.reason == reason


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
async def test_what_came_of_an_answer_that_was_cut_short_is_searched_for_its_secrets(
    api_for: ApiFor, framing: str
) -> None:
    whole = "postgres://u:first@db.example.com/postgres"
    cut = "postgres://u:second@db.example.com/postgres?" + "x" * 400
    ways = {"direct": {"connectionString": whole}, "pooled": {"connectionString": cut}}
    async with hostile_server(half({"data": {"id": "con_1", "endpoints": ways}}, framing=framing)) as server:
        with pytest.raises(ApiError) as caught:
            await api_for(server).rotate_connection("con_1")

    assert [secret.get_secret_value() for secret in caught.value.shown_once] == [whole]
    assert caught.value.is_outcome_unknown
    assert "first" not in str(caught.value) + repr(caught.value)
