"""The client without `await`, with other settings, with answers as they came, and its log."""

from __future__ import annotations

import asyncio
import gc
import inspect
import json
import logging
import os
import sys
import threading
import warnings
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from api_fakes import TOKEN, ApiFor, SteppingTime
from hostile import Behaviour, HostileServer, SeenRequest, answer, bomb, hostile_server, long, routed, silence
from pydantic import SecretStr

from prisma_postgres_exporter.api import (
    OPERATIONS,
    Backups,
    BackupSource,
    Database,
    Json,
    Limits,
    Listing,
    ListingSync,
    ManagementApi,
    ManagementApiSync,
    Page,
    RawManagementApi,
    RawManagementApiSync,
    RawResponse,
    Usage,
)
from prisma_postgres_exporter.api.calls import LOG_VARIABLE, log
from prisma_postgres_exporter.errors import (
    ClientClosed,
    ConfigurationError,
    MalformedAnswer,
    NotFound,
    RequestRefused,
    Unavailable,
)

ME = {"data": {"user": None, "workspace": {"id": "wksp_1", "name": "Acme"}, "credential": None}}
WORKSPACE = {"id": "wksp_1", "name": "Acme"}
STRING = "postgres://u:pass-word-1@h/db"


def pages(request: SeenRequest) -> Behaviour:
    number = int(request.query.get("cursor", "0"))
    entry = {"id": f"wksp_{number}", "name": "x"}
    more = {"nextCursor": str(number + 1) if number < 2 else None, "hasMore": number < 2}
    return answer({"data": [entry], "pagination": more}, headers={"X-Request-Id": f"req-{number}"})


async def blocking(script: Behaviour, work: Callable[[HostileServer], None]) -> HostileServer:
    """Do `work` in another thread, against a server in this one."""
    async with hostile_server(script) as server:
        await asyncio.to_thread(work, server)
    return server


# Every view has every method ------------------------------------------------------------------------
def test_every_view_has_every_method_with_its_arguments_and_docstring() -> None:
    for view in (ManagementApiSync, RawManagementApi, RawManagementApiSync):
        methods = {name for name in vars(view) if name in OPERATIONS or name == "request"}
        assert methods == {*OPERATIONS, "request"}
        for name in methods:
            of_the_client, of_the_view = getattr(ManagementApi, name), getattr(view, name)
            assert list(inspect.signature(of_the_view).parameters) == list(inspect.signature(of_the_client).parameters)
            assert of_the_view.__doc__ == of_the_client.__doc__


THING = {
    "id": "1",
    "name": "x",
    "gitName": "x",
    "createdAt": "2026-11-01T00:00:00Z",
    **{owner: {"id": "1", "name": "x"} for owner in ("workspace", "project", "database")},
}
PERIOD = {"start": "2026-11-01T00:00:00Z", "end": "2026-11-02T00:00:00Z"}
GIVEN = {"source": BackupSource(database_id="1", backup_id="1"), "method": "GET", "path": "/v1/me"}
"""Arguments that are neither ids nor names."""


def result_of(method: str) -> Any:
    return get_type_hints(getattr(ManagementApi, method))["return"]


def good_answer(kind: Any) -> Behaviour:
    if kind is NoneType:
        return answer(b"", status=204)
    if kind is Usage:
        return answer({"period": PERIOD})
    is_many = kind is Backups or get_origin(kind) in {Listing, Page}
    return answer({"data": [THING] if is_many else THING, "pagination": {"hasMore": False}})


def of(kind: Any, listing: Any) -> Any:
    return kind[get_args(listing)[0]]


@pytest.mark.parametrize("method", [*OPERATIONS, "request"])
async def test_every_view_returns_what_it_says_it_does(method: str) -> None:
    kind = result_of(method)
    page, sync = (of(Page, kind), of(ListingSync, kind)) if get_origin(kind) is Listing else (kind, kind)
    arguments = {
        name: GIVEN.get(name, "app")
        for name, parameter in inspect.signature(getattr(ManagementApi, method)).parameters.items()
        if parameter.default is parameter.empty and name != "self"
    }
    for view in (RawManagementApi, RawManagementApiSync):
        said = get_type_hints(getattr(view, method))["return"]
        assert (get_origin(said), get_args(said)) == (RawResponse, (page,))
    assert get_type_hints(getattr(ManagementApiSync, method))["return"] == sync

    def work(server: HostileServer) -> None:
        with ManagementApiSync(TOKEN, base_url=server.url) as blocking_api:
            raw = getattr(blocking_api.with_raw_response, method)(**arguments)
            plain = getattr(blocking_api, method)(**arguments)
            assert type(raw) is RawResponse
            if get_origin(kind) is Listing:
                assert type(plain) is ListingSync
                plain = plain.page()
            assert plain == raw.parse()
            results.append(plain)

    results: list[object] = []
    async with hostile_server(good_answer(kind)) as server:
        await asyncio.to_thread(work, server)
        async with ManagementApi(TOKEN, base_url=server.url) as api:
            raw = await getattr(api.with_raw_response, method)(**arguments)
    assert type(raw) is RawResponse
    assert raw.status in {200, 204}
    assert raw.parse() == results[0]
    if kind is NoneType or method == "request":
        assert raw.parse() == (None if kind is NoneType else json.loads(raw.body))
    else:
        assert type(raw.parse()) is (get_origin(page) or page)
        assert all(type(entry) is get_args(page)[0] for entry in getattr(raw.parse(), "entries", ()) if get_args(page))


# Lists that are not complete ------------------------------------------------------------------------
def cut(request: SeenRequest) -> Behaviour:
    is_first = "cursor" not in request.query
    entries = [{"id": "wksp_0", "name": "x"}, {"id": "wksp_1"}] if is_first else [{"id": "wksp_2", "name": "x"}]
    return answer({"data": entries, "pagination": {"nextCursor": "c" if is_first else None, "hasMore": True}})


async def test_a_list_that_is_cut_gives_its_entries_and_then_says_so(api_for: ApiFor) -> None:
    async with hostile_server(routed(cut)) as server:
        api = api_for(server)
        listing = api.workspaces()
        found = [(await anext(listing)).id, (await anext(listing)).id]
        with pytest.raises(MalformedAnswer, match="GET /v1/workspaces: the list is not complete") as caught:
            await anext(listing)
        pages = [(len(page), page.is_cut) async for page in api.workspaces().pages()]

    assert (found, caught.value.reason, caught.value.operation) == (["wksp_0", "wksp_2"], "list_cut", "workspaces")
    assert [(refused.id, refused.reason) for refused in listing.refused] == [("wksp_1", "name: missing")]
    assert pages == [(1, False), (1, True)]


async def test_a_list_that_is_cut_says_so_without_await_too() -> None:
    def work(server: HostileServer) -> None:
        with ManagementApiSync(TOKEN, base_url=server.url) as api:
            listing = api.workspaces()
            assert [next(listing).id, next(listing).id] == ["wksp_0", "wksp_2"]
            with pytest.raises(MalformedAnswer, match="the list is not complete"):
                next(listing)
            assert [refused.id for refused in listing.refused] == ["wksp_1"]

    await blocking(routed(cut), work)


# Without await --------------------------------------------------------------------------------------
async def test_the_synchronous_client_reads_things_lists_pages_and_raises_the_same_errors() -> None:
    def choose(request: SeenRequest) -> Behaviour:
        if request.path == "/v1/workspaces":
            return pages(request)
        return answer(ME) if request.path == "/v1/me" else answer({"error": {"code": "x"}}, status=404)

    def work(server: HostileServer) -> None:
        with ManagementApiSync(TOKEN, base_url=server.url) as api:
            assert api.me().workspace is not None
            listing = api.workspaces(limit=1)
            assert [found.id for found in listing] == ["wksp_0", "wksp_1", "wksp_2"]
            assert next(listing, None) is None
            assert [page.next_cursor for page in api.workspaces().pages()] == ["1", "2", None]
            first = api.workspaces().page()
            assert [found.id for found in api.workspaces(cursor=first.next_cursor)] == ["wksp_1", "wksp_2"]
            with pytest.raises(NotFound) as caught:
                api.database("db_1")
            assert (caught.value.operation, caught.value.status) == ("database", 404)
            assert api.with_raw_response.workspaces().parse().entries[0].id == "wksp_0"
            assert api.with_options(headers={"X-Team": "shop"}).me().workspace is not None
        assert server.requests[-1].headers["x-team"] == "shop"

    await blocking(routed(choose), work)


async def test_the_synchronous_client_is_shared_by_threads_and_works_where_a_loop_runs() -> None:
    def work(server: HostileServer) -> None:
        async def in_a_loop() -> str:
            return api.me().workspace.name  # type: ignore[union-attr]  # it has one

        with ManagementApiSync(TOKEN, base_url=server.url, limits=Limits(requests_per_second=1000)) as api:
            assert asyncio.run(in_a_loop()) == "Acme"
            with ThreadPoolExecutor(8) as threads:
                assert len({me.workspace for me in threads.map(lambda _: api.me(), range(40))}) == 1

    server = await blocking(answer(ME), work)
    assert len(server.requests) == 41


async def test_the_synchronous_client_is_looked_with_in_the_thread_that_waits_and_may_be_called_there() -> None:
    looks: list[tuple[str, str, int]] = []
    answers = iter(["provisioning", "ready", "ready", "ready"])

    def work(server: HostileServer) -> None:
        with ManagementApiSync(TOKEN, base_url=server.url) as api:

            def look(database: Database) -> None:
                looks.append((database.status, api.database("1").id, threading.get_ident()))

            assert api.wait_until_ready("1", every_seconds=0.01, on_look=look).status == "ready"
            assert {thread for _, _, thread in looks} == {threading.get_ident()}

    async with asyncio.timeout(30):
        await blocking(routed(lambda _: answer({"data": {**THING, "status": next(answers)}})), work)
    assert [(status, id_) for status, id_, _ in looks] == [("provisioning", "db_1"), ("ready", "db_1")]


def test_the_synchronous_wait_takes_what_the_other_one_does() -> None:
    wait, other = (inspect.signature(view.wait_until_ready) for view in (ManagementApiSync, ManagementApi))
    assert wait == other


async def test_the_synchronous_client_refuses_a_call_of_its_observer_instead_of_waiting_for_ever() -> None:
    class Observer:
        def attempt_finished(self, endpoint: str, seconds: float, failure: str | None) -> None:
            clients[0].me()

        def throttled(self, endpoint: str, wait_seconds: float) -> None: ...

    clients: list[ManagementApiSync] = []

    def work(server: HostileServer) -> None:
        with ManagementApiSync(TOKEN, base_url=server.url, observer=Observer()) as api:
            clients.append(api)
            with pytest.raises(ConfigurationError, match="called by what it calls"):
                api.me()

    async with asyncio.timeout(30):
        await blocking(answer(ME), work)


async def test_a_synchronous_client_that_is_forgotten_is_closed_with_a_warning_as_a_file_is() -> None:
    def work(server: HostileServer) -> None:
        before = set(threading.enumerate())
        api, made_at = ManagementApiSync(TOKEN, base_url=server.url), here()
        assert api.with_options(retries=0).me().workspace is not None
        (own,) = set(threading.enumerate()) - before
        forgotten = "unclosed ManagementApiSync: use it with `with`, or call close"
        with pytest.warns(ResourceWarning, match=forgotten) as warned:  # noqa: PT031 - the second one finds it
            del api
            gc.collect()
        assert [(warning.filename, warning.lineno) for warning in warned] == [made_at]
        own.join(30)
        assert not own.is_alive()

    server = await blocking(answer(ME), work)
    assert server.requests


def here() -> tuple[str, int]:
    """The file and line that this is called at."""
    frame = sys._getframe(1)
    return frame.f_code.co_filename, frame.f_lineno


async def test_a_list_that_is_looped_over_again_begins_anew() -> None:
    every = ["wksp_0", "wksp_1", "wksp_2"]

    def work(server: HostileServer) -> None:
        with ManagementApiSync(TOKEN, base_url=server.url) as api:
            listing = api.workspaces()
            assert next(listing).id == every[0]
            assert [workspace.id for workspace in listing] == every[1:]
            assert next(listing, None) is None
            assert [workspace.id for workspace in listing] == every

    async with hostile_server(routed(pages)) as server:
        async with ManagementApi(TOKEN, base_url=server.url) as api:
            listing = api.workspaces()
            assert [[workspace.id async for workspace in listing] for _ in range(2)] == [every, every]
        await asyncio.to_thread(work, server)


async def test_a_client_that_is_forgotten_warns_and_one_that_was_closed_or_never_used_does_not() -> None:
    async with hostile_server(answer(ME)) as server:
        with warnings.catch_warnings():
            warnings.simplefilter("error", ResourceWarning)
            unused = ManagementApi(TOKEN, base_url=server.url)
            del unused
            async with ManagementApi(TOKEN, base_url=server.url) as closed:
                await closed.me()
            del closed
            gc.collect()
        complaints: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        api, made_at = ManagementApi(TOKEN, base_url=server.url), here()
        await api.me()
        await api.delete_database("db_1")
        forgotten = "unclosed ManagementApi: use it with `async with`, or call aclose"
        with pytest.warns(match=forgotten) as warned:  # noqa: PT031 - what is forgotten is found by the second
            del api
            gc.collect()
        # It is said once, with the place, and not by aiohttp too, of each session and of each connection.
        assert [(warning.filename, warning.lineno) for warning in warned] == [made_at]
        assert complaints == []
        await server.all_left()


FORGETTING = """
import asyncio, sys
from prisma_postgres_exporter.api import ManagementApi

async def forget():
    api = ManagementApi(sys.argv[1], base_url=sys.argv[2])
    await api.me()
    await api.delete_database("db_1")

asyncio.run(forget())
"""


async def test_a_client_that_is_forgotten_until_its_loop_is_closed_is_told_once_and_not_by_aiohttp() -> None:
    async with hostile_server(answer(ME)) as server:
        program = (sys.executable, "-W", "always::ResourceWarning", "-c", FORGETTING, TOKEN, server.url)
        ended = await asyncio.create_subprocess_exec(*program, stderr=asyncio.subprocess.PIPE)
        _, told = await ended.communicate()

    assert told.decode().startswith("<string>:6: ResourceWarning: unclosed ManagementApi: use it with")
    assert (told.lower().count(b"unclosed"), ended.returncode) == (1, 0)


async def test_closing_ends_the_calls_under_way_and_the_thread_and_refuses_new_ones() -> None:
    async with hostile_server(silence) as server:
        api = ManagementApiSync(TOKEN, base_url=server.url)
        with ThreadPoolExecutor(1) as threads:
            waiting = threads.submit(api.me)
            await server.arrived(1)
            own = [thread for thread in threading.enumerate() if thread.name == "ManagementApiSync"]
            await asyncio.to_thread(api.close)
            with pytest.raises((ClientClosed, Unavailable)) as caught:
                await asyncio.to_thread(waiting.result)
        api.close()
        with pytest.raises(ClientClosed) as refused:
            api.me()

    assert {caught.value.reason, refused.value.reason} <= {"client_closed", "disconnected"}
    assert refused.value.reason == "client_closed"
    for thread in own:
        await asyncio.to_thread(thread.join, 30)
    assert own
    assert not any(thread.is_alive() for thread in own)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
async def test_a_forked_process_is_told_to_make_a_client_of_its_own() -> None:
    def work(server: HostileServer) -> None:
        with ManagementApiSync(TOKEN, base_url=server.url) as api:
            api.me()
            child = os.fork()
            if child == 0:
                try:
                    api.me()
                except ConfigurationError:
                    os._exit(7)
                os._exit(0)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7

    await blocking(answer(ME), work)


# Other settings -------------------------------------------------------------------------------------
async def test_other_settings_are_for_what_is_called_with_them_only(api_for: ApiFor, time: SteppingTime) -> None:
    async with hostile_server(answer(b"", status=503)) as server:
        api = api_for(server)
        for chosen, requests in ((api.with_options(retries=0), 1), (api.with_options(retries=2), 3), (api, 4)):
            server.requests.clear()
            with pytest.raises(Unavailable):
                await chosen.with_options(headers={"X-Team": "shop"}).me()
            assert len(server.requests) == requests
            assert server.requests[0].headers["x-team"] == "shop"
            assert server.requests[0].headers["authorization"] == f"Bearer {TOKEN}"
        server.requests.clear()
        with pytest.raises(Unavailable):
            await api.me()
        assert "x-team" not in server.requests[0].headers

    async with hostile_server(silence) as server:
        with pytest.raises(Unavailable) as caught:
            await api_for(server).with_options(timeout=0.05, retries=0).me()
    assert caught.value.reason == "timeout"


@pytest.mark.parametrize(
    "change",
    [
        {"timeout": 0},
        {"timeout": float("nan")},
        {"timeout": float("inf")},
        {"retries": -1},
        {"headers": {"Authorization": "Bearer other"}},
        {"headers": {"X-A": "a\r\nX-B: b"}},
        {"headers": {"X A": "a"}},
        {"headers": {"X-A": "é"}},
    ],
)
async def test_settings_that_make_no_sense_are_refused(api_for: ApiFor, change: dict[str, object]) -> None:
    with pytest.raises(RequestRefused) as caught:
        api_for("http://localhost:1").with_options(**change)  # type: ignore[arg-type]  # one of those above

    assert caught.value.reason == "invalid_argument"


# As it came -----------------------------------------------------------------------------------------
async def test_an_answer_as_it_came_has_status_headers_request_id_body_and_the_result(api_for: ApiFor) -> None:
    async with hostile_server(routed(pages)) as server:
        raw = await api_for(server).with_raw_response.workspaces(cursor="1")

    assert (raw.status, raw.headers["X-REQUEST-ID"], raw.request_id) == (200, "req-1", "req-1")
    assert b'"wksp_1"' in raw.body
    assert raw.parse().next_cursor == "2"
    assert "wksp_1" not in repr(raw)


async def test_an_answer_that_cannot_be_read_is_there_as_it_came(api_for: ApiFor) -> None:
    async with hostile_server(answer(b"<html>")) as server:
        raw = await api_for(server).with_raw_response.me()

    assert raw.body == b"<html>"
    with pytest.raises(MalformedAnswer):
        raw.parse()


@pytest.mark.parametrize("behaviour", [bomb(), bomb(status=201), long(65 * 1024 * 1024)])
async def test_an_answer_whose_body_was_not_kept_is_an_error_as_it_came_too(
    api_for: ApiFor, behaviour: Behaviour
) -> None:
    async with hostile_server(behaviour) as server:
        api = ManagementApi(TOKEN, base_url=server.url, name="acme")
        for view in (api, api.with_raw_response):
            with pytest.raises(MalformedAnswer) as caught:
                await view.create_connection("1", "app")
            error = caught.value
            assert error.reason in {"compressed", "too_large"}
            assert (error.credential, error.is_outcome_unknown) == ("acme", True)
        await api.aclose()


@pytest.mark.parametrize("call", ["create_project", "regions"])
async def test_an_error_of_parse_is_the_error_of_the_plain_call(call: str) -> None:
    async with hostile_server(answer(f"cut {STRING}".encode())) as server:
        api = ManagementApi(TOKEN, base_url=server.url, name="acme")
        raw = await getattr(api.with_raw_response, call)()
        with pytest.raises(MalformedAnswer) as of_parse:
            raw.parse()
        with pytest.raises(MalformedAnswer) as plain:
            await getattr(api, call)()
        await api.aclose()

    assert vars(of_parse.value) == vars(plain.value)
    assert (plain.value.credential, plain.value.is_outcome_unknown) == ("acme", call == "create_project")


async def test_a_deletion_that_was_done_by_an_attempt_without_an_answer_is_a_success_as_it_came(
    api_for: ApiFor,
) -> None:
    gone = answer({"error": {"code": "gone"}}, status=404, headers={"X-Request-Id": "req-9"})
    async with hostile_server(answer(b"", status=503), gone) as server:
        raw = await api_for(server).with_raw_response.delete_database("1")

    assert (raw.status, raw.request_id, raw.parse()) == (404, "req-9", None)


async def test_a_refusal_is_an_error_with_the_request_id(api_for: ApiFor) -> None:
    refused = answer({"error": {"code": "gone"}}, status=404, headers={"X-Request-Id": "req-9"})
    async with hostile_server(refused) as server:
        api = ManagementApi(TOKEN, base_url=server.url, name="acme")
        for view in (api, api.with_raw_response):
            with pytest.raises(NotFound) as caught:
                await view.database("1")
            error = caught.value
            assert (error.operation, error.endpoint) == ("database", "GET /v1/databases/{id}")
            assert str(error) == "GET /v1/databases/db_1 answered 404 (gone)"
            assert (error.request_id, error.credential, error.code) == ("req-9", "acme", "gone")
        await api.aclose()


# What is shown once ---------------------------------------------------------------------------------
CONNECTION = {"id": "conn_7", "name": "app", "endpoints": {"direct": {"host": "h", "port": 1}}}


@pytest.mark.parametrize(
    ("document", "way"),
    [
        ({"id": "conn_7", "endpoints": {"direct": {"connectionString": STRING, "port": "many"}}}, "direct"),
        ({**CONNECTION, "connectionString": STRING, "host": "h", "user": "u", "pass": "pass-word-1"}, "direct"),
        ({**CONNECTION, "connectionString": "prisma+postgres://h/?api_key=pass-word-1"}, "accelerate"),
        ({"id": "conn_7", "createdAt": 7, "name": [], "kind": {}, "database": 1, "connectionString": STRING}, "direct"),
    ],
)
async def test_a_string_is_found_wherever_it_is(api_for: ApiFor, document: dict[str, object], way: str) -> None:
    async with hostile_server(answer({"data": document}, status=201)) as server:
        made = await api_for(server).create_connection("1", "app")
        rotated = await api_for(server).rotate_connection(made.id)

    assert made == rotated
    assert server.requests[-1].path == "/v1/connections/conn_7/rotate"
    secret = getattr(made.endpoints, way).connection_string
    assert "pass-word-1" in secret.get_secret_value()
    assert "pass-word-1" not in repr(made) + made.model_dump_json()


@pytest.mark.parametrize(
    "database",
    [
        {"id": "1", "connections": [{"endpoints": {"pooled": {"connectionString": STRING}}}]},
        {"id": "1", "connections": [], "apiKeys": [{"id": "con_1", "connectionString": STRING}]},
        {"id": "1", "connections": "none", "apiKeys": None, "connectionString": STRING},
        {"name": 7, "connections": [7, {"connectionString": STRING}], "project": "proj_1"},
    ],
)
async def test_a_new_project_keeps_the_string_of_its_database(api_for: ApiFor, database: dict[str, object]) -> None:
    async with hostile_server(answer({"data": {"id": "proj_1", "database": database}}, status=201)) as server:
        made = await api_for(server).create_project()

    assert made.database is not None
    ways = [made.database.connections[0].endpoints.direct, made.database.connections[0].endpoints.pooled]
    assert [way.connection_string.get_secret_value() for way in ways if way and way.connection_string] == [STRING]


@pytest.mark.parametrize(
    "body",
    [
        f'{{"data": {{"name": "{STRING}"}}}}',
        f'{{"data": [["{STRING}"]]}}',
        f'{{"data": {{"id": "conn_1", "id": "conn_2", "connectionString": "{STRING}"}}}}',
        f'{{"data": {{"connectionString": "{STRING}", "cut',
        STRING.replace("/", "\\/") + "\n",
    ],
)
async def test_what_is_shown_once_is_in_the_error_where_nothing_else_can_be_read(api_for: ApiFor, body: str) -> None:
    async with hostile_server(answer(body.encode(), status=201)) as server:
        with pytest.raises(MalformedAnswer) as caught:
            await api_for(server).create_connection("1", "app")

    assert [secret.get_secret_value() for secret in caught.value.shown_once] == [STRING]
    assert "pass-word-1" not in f"{caught.value} {vars(caught.value)}"


@pytest.mark.parametrize(
    ("call", "document"),
    [
        ("create_database", {"id": "1", "directConnection": {"host": "h", "user": "u", "pass": "marked"}}),
        ("create_database", {"id": "1", "connections": [{"id": "c", "endpoints": {"direct": "postgres://marked"}}]}),
        (
            "create_database",
            {"id": "1", "connections": [{"endpoints": {"new": {"connectionString": "postgres://marked"}}}]},
        ),
        ("create_database", {"id": "1", "connections": {"c": {"connectionString": "postgres://marked"}}}),
        ("create_project", {"id": "1", "database": {"directConnection": {"pass": "marked"}}}),
        ("create_project", {"id": 7, "database": {"directConnection": {"pass": "marked"}}}),
        ("create_service_token", {"id": "1", "name": "ci", "token": "marked"}),
        ("create_service_token", {"id": "1", "name": "ci", "secretAccessKey": "marked"}),
        ("create_branch", {"id": "1", "database": {"connectionString": "postgres://marked"}}),
    ],
)
async def test_a_secret_that_stands_in_an_odd_place_is_not_lost(
    api_for: ApiFor, call: str, document: dict[str, object]
) -> None:
    arguments = {"create_project": (), "create_database": ("1",)}.get(call, ("1", "x"))
    async with hostile_server(answer({"data": document}, status=201)) as server:
        try:
            made = await getattr(api_for(server), call)(*arguments)
        except MalformedAnswer as error:
            made = error

    assert [secret.get_secret_value().removeprefix("postgres://") for secret in made.shown_once] == ["marked"]
    assert "marked" not in f"{made!r} {made}"


async def test_the_value_of_a_service_token_is_a_secret_and_never_lost(api_for: ApiFor) -> None:
    good, bad = {"id": "1", "name": "ci", "value": "very-secret"}, {"id": {}, "value": "very-secret"}
    async with hostile_server(answer({"data": good}, status=201), answer({"data": bad}, status=201)) as server:
        made = await api_for(server).create_service_token("1", "ci")
        with pytest.raises(MalformedAnswer) as caught:
            await api_for(server).create_service_token("1", "ci")

    assert made.value == caught.value.shown_once[0] == SecretStr("very-secret")
    assert "very-secret" not in repr(made)


# Any other operation --------------------------------------------------------------------------------
async def test_any_operation_is_json_in_and_json_out(api_for: ApiFor) -> None:
    async with hostile_server(answer({"data": [1, None]}, status=202), answer(b"", status=200)) as server:
        api = api_for(server)
        secret = {"value": SecretStr("very-secret"), "keys": [1]}
        path = "/v1/buckets/{bucketId}/keys"
        said = await api.request("POST", path, values={"bucketId": "a/b"}, query={"limit": "1"}, body=secret)
        nothing = await api.request("DELETE", "/v1/buckets/1")

    assert (said, nothing) == ({"data": [1, None]}, None)
    assert server.requests[0].target == "/v1/buckets/a%2Fb/keys?limit=1"
    assert server.requests[0].body == b'{"value":"very-secret","keys":[1]}'


@pytest.mark.parametrize(("method", "requests"), [("GET", 4), ("PUT", 4), ("DELETE", 4), ("POST", 1), ("PATCH", 1)])
async def test_any_operation_has_the_same_retries_and_secrets(
    api_for: ApiFor, time: SteppingTime, method: str, requests: int
) -> None:
    echo = {"error": {"code": "x", "message": "very-secret is wrong"}}
    async with hostile_server(answer(echo, status=503)) as server:
        with pytest.raises(Unavailable) as caught:
            await api_for(server).request(method, "/v1/buckets", body={"value": SecretStr("very-secret")})

    assert len(server.requests) == requests
    assert caught.value.is_outcome_unknown is (method != "GET")
    assert "[token] is wrong" in str(caught.value)


@pytest.mark.parametrize(
    ("method", "path", "values"),
    [
        ("TRACE", "/v1/me", {}),
        ("GET", "v1/me", {}),
        ("GET", "/v1/me?x=1", {}),
        ("GET", "//evil.example.com/v1/me", {}),
        ("GET", "/v1/../me", {}),
        ("GET", "/v1/a b", {}),
        ("GET", "/v1/{id}", {}),
        ("GET", "/v1/{id}", {"id": ".."}),
        ("GET", "/v1/me", {"id": "1"}),
    ],
)
async def test_a_request_that_is_none_is_refused_before_it_is_sent(
    api_for: ApiFor, method: str, path: str, values: dict[str, str]
) -> None:
    async with hostile_server(answer(ME)) as server:
        with pytest.raises(RequestRefused) as caught:
            await api_for(server).request(method, path, values=values)

    assert (caught.value.reason, server.requests) == ("invalid_argument", [])


@pytest.mark.parametrize(
    "call",
    [
        lambda api: api.create_database("1", logical_id="a", branch_git_name="main"),
        lambda api: api.update_database("1", logical_id="a", branch_git_name="main"),
        lambda api: api.update_database("1", logical_id="a", branch_id="br_1"),
        lambda api: api.create_service_token("1", ""),
        lambda api: api.delete_service_token("1", "a/b"),
    ],
)
async def test_the_vendors_own_rules_are_kept_before_anything_is_sent(
    api_for: ApiFor, call: Callable[[ManagementApi], Awaitable[object]]
) -> None:
    async with hostile_server(answer(ME)) as server:
        with pytest.raises(RequestRefused):
            await call(api_for(server))

    assert server.requests == []


# The environment and the log ------------------------------------------------------------------------
@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    for name in [name for name in os.environ if name.startswith("PRISMA_")]:
        monkeypatch.delenv(name)
    level, handlers = log.level, log.handlers[:]
    yield monkeypatch
    log.setLevel(level)
    log.handlers[:] = handlers


@pytest.mark.parametrize(
    ("variable", "address"),
    [
        ("PRISMA_POSTGRES_TOKEN", "PRISMA_POSTGRES_API_URL"),
        ("PRISMA_SERVICE_TOKEN", "PRISMA_MANAGEMENT_API_URL"),
    ],
)
async def test_a_client_of_the_environment_has_its_token_and_address(
    environment: pytest.MonkeyPatch, variable: str, address: str
) -> None:
    async with hostile_server(answer(ME)) as server:
        environment.setenv(variable, f" {TOKEN}\n")
        environment.setenv(address, server.url)
        async with ManagementApi.from_env() as api:
            await api.me()

    assert server.requests[0].headers["authorization"] == f"Bearer {TOKEN}"


async def test_a_client_of_the_environment_reads_a_file(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from-the-file\n")
    environment.setenv("PRISMA_POSTGRES_TOKEN_FILE", str(tmp_path / "token"))
    async with hostile_server(answer(ME)) as server, ManagementApi.from_env(base_url=server.url) as api:
        await api.me()

    assert server.requests[0].headers["authorization"] == "Bearer from-the-file"


@pytest.mark.parametrize(("token", "said"), [("", "there is no token"), ("one,two three", "PRISMA_POSTGRES_TOKEN: ")])
def test_an_environment_without_a_token_says_what_to_set(
    environment: pytest.MonkeyPatch, token: str, said: str
) -> None:
    environment.setenv("PRISMA_POSTGRES_TOKEN", token)
    with pytest.raises(ConfigurationError, match=said) as caught:
        ManagementApiSync.from_env()

    assert "two" not in str(caught.value)


async def test_the_log_shows_every_call_and_no_secret(
    environment: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    environment.setenv(LOG_VARIABLE, "debug")
    echo = {"error": {"code": "x", "message": STRING}}
    refused = answer(echo, status=400, headers={"X-Request-Id": f"req-{TOKEN}"})
    async with hostile_server(refused) as server, ManagementApi(TOKEN, base_url=server.url) as api:
        for call in (
            api.transfer_project("1", "recipients-token"),
            api.request("POST", "/v1/environment-variables", body={"key": "K", "value": "plain-secret", "url": STRING}),
            api.request("GET", "/v1/buckets", query={"note": STRING}),
            api.request("GET", "/v1/{what}", values={"what": "sesame.plain-secret"}, query={"key": "plain-secret"}),
            api.create_database("1", name="shop"),
        ):
            with pytest.raises(RequestRefused) as caught:
                await call
            assert caught.value.request_id == "req-[token]"

    assert "GET /v1/{what}?key=<12 characters>\n" in caplog.text
    assert '{"projectId": "proj_1", "name": "shop"}' in caplog.text
    assert '{"key": "<1 characters>", "value": "<12 characters>", "url": "<29 characters>"}' in caplog.text
    assert "POST /v1/projects/{id}/transfer: attempt 1 http_400 in" in caplog.text
    assert "answered 400" in caplog.text
    for secret in (TOKEN, "recipients-token", "plain-secret", "pass-word-1"):
        assert secret not in caplog.text


async def test_the_log_shows_no_value_of_a_body_that_may_be_a_secret(
    environment: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    environment.setenv(LOG_VARIABLE, "debug")
    secrets: list[Any] = ["marked-1", 90210177, 9021.0178, True]
    bodies: list[Any] = [
        body
        for secret in secrets
        for name in ("accessKey", "apiKey", "authorization", "token", "value", "name", "region", "x")
        for body in (
            secret,
            {name: secret},
            {name: {"STRIPE": secret}},
            {name: [secret, {name: secret}]},
            {"envVars": {"name": {name: [[secret]]}}},
        )
    ]
    async with (
        hostile_server(answer({})) as server,
        ManagementApi(TOKEN, base_url=server.url, limits=Limits(requests_per_second=10_000)) as api,
    ):
        for body in bodies:
            await api.request("POST", "/v1/buckets", body=body)
        settings: dict[str, Json] = {"name": {"STRIPE": "marked-2"}, "keys": ["marked-3"], "env": {"name": "marked-4"}}
        for call in (
            api.update_project("1", name="shop", settings=settings),
            api.create_database("1", logical_id="a", branch_id="br_1"),
        ):
            with pytest.raises(MalformedAnswer):
                await call

    for secret in ("marked-", "90210177", "9021.0178", "True", "true"):
        assert secret not in caplog.text
    assert "envVars" in caplog.text
    assert '"name": "shop"' in caplog.text
    assert '"branchId": "br_1"' in caplog.text


async def test_what_other_headers_say_is_in_no_message(api_for: ApiFor) -> None:
    echo = answer({"error": {"message": "Bearer test-token-1 and X-Secret: s3cr3t are wrong"}}, status=400)
    async with hostile_server(echo) as server:
        with pytest.raises(RequestRefused) as caught:
            await api_for(server).with_options(headers={"X-Secret": "s3cr3t", "X-Short": "a"}).me()

    assert "(Bearer [token] and X-Secret: [token] are wrong)" in str(caught.value)


@pytest.mark.parametrize("pasted", [STRING, "eyJhbGciOiJIUzI1NiJ9." + "secret" * 9, "x" * 200, "a b", "proj_1"])
async def test_what_was_pasted_for_an_id_is_not_shown_where_it_may_be_a_secret(api_for: ApiFor, pasted: str) -> None:
    with pytest.raises(RequestRefused) as caught:
        await api_for("http://localhost:1").database(pasted)

    assert caught.value.reason == "invalid_id"
    assert "pass-word-1" not in str(caught.value)
    assert "secret" not in str(caught.value)
    assert repr(pasted[:8])[:-1] in str(caught.value)


async def test_a_list_that_failed_is_not_finished_when_it_is_read_on(api_for: ApiFor) -> None:
    def choose(request: SeenRequest) -> Behaviour:
        return pages(request) if "cursor" not in request.query else answer(b"", status=500)

    async with hostile_server(routed(choose)) as server:
        listing = api_for(server).workspaces()
        assert (await anext(listing)).id == "wksp_0"
        for _ in range(2):
            with pytest.raises(Unavailable) as caught:
                await anext(listing)
            assert caught.value.reason == "http_500"


async def test_without_the_variable_there_is_no_log(
    environment: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with hostile_server(answer(ME)) as server, ManagementApi(TOKEN, base_url=server.url) as api:
        await api.me()

    assert caplog.records == []
    assert log.level == logging.NOTSET
