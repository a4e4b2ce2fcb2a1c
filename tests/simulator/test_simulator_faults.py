"""Each fault as a client on a real socket sees it."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from simulated import NOW, TOKEN, simulated

from prisma_postgres_exporter.simulator import Fault, FaultKind, Faults, Simulator, serve_simulator


@asynccontextmanager
async def calling(*faults: Fault) -> AsyncIterator[tuple[httpx.AsyncClient, Simulator, str]]:
    """A client of a running simulator with faults in force, and the path of one database's usage."""
    simulator = simulated()
    for fault in faults:
        simulator.faults.add(fault)
    database_id = simulator.world.databases(NOW, workspace_id=simulator.world.tokens[TOKEN])[0].id
    async with (
        serve_simulator(simulator.app) as url,
        httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=10) as client,
    ):
        yield client, simulator, f"/v1/databases/{database_id}/usage"


@pytest.mark.parametrize(
    ("fault", "status", "code", "retry_after"),
    [
        (Fault(kind=FaultKind.THROTTLED), 429, "rate-limit-exceeded", None),
        (Fault(kind=FaultKind.THROTTLED, retry_after="7"), 429, "rate-limit-exceeded", "7"),
        (
            Fault(kind=FaultKind.THROTTLED, retry_after="Tue, 17 Nov 2026 13:38:00 GMT"),
            429,
            "rate-limit-exceeded",
            "Tue, 17 Nov 2026 13:38:00 GMT",
        ),
        (Fault(kind=FaultKind.SERVER_ERROR), 500, "internal-server-error", None),
        (Fault(kind=FaultKind.SERVER_ERROR, status=504), 504, "internal-server-error", None),
        (Fault(kind=FaultKind.UNAVAILABLE), 503, "internal-server-error", "1"),
        (Fault(kind=FaultKind.UNAVAILABLE, retry_after="30"), 503, "internal-server-error", "30"),
        (Fault(kind=FaultKind.UNAUTHORIZED), 401, "authentication-failed", None),
        (Fault(kind=FaultKind.FORBIDDEN), 403, "permission-denied", None),
        (Fault(kind=FaultKind.NOT_FOUND), 404, "resource-not-found", None),
        (Fault(kind=FaultKind.PLAN_LIMIT), 402, "planLimitReached", None),
        (Fault(kind=FaultKind.PLAN_LIMIT, status=403), 403, "planLimitReached", None),
    ],
)
async def test_an_error_answer_is_seen(fault: Fault, status: int, code: str, retry_after: str | None) -> None:
    async with calling(fault) as (client, _, path):
        answer = await client.get(path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert answer.headers.get("retry-after") == retry_after


async def test_bodies_that_are_not_what_was_asked_for_are_seen() -> None:
    async with calling() as (client, simulator, path):
        simulator.faults.add(Fault(kind=FaultKind.HTML, times=1))
        html = await client.get(path)
        assert (html.headers["content-type"], html.text[:6]) == ("text/html", "<html>")
        simulator.faults.add(Fault(kind=FaultKind.HTML, status=502, times=1))
        assert (await client.get(path)).status_code == 502
        simulator.faults.add(Fault(kind=FaultKind.EMPTY, times=1))
        assert (await client.get(path)).content == b""
        simulator.faults.add(Fault(kind=FaultKind.NOT_JSON, times=1))
        with pytest.raises(json.JSONDecodeError):
            (await client.get(path)).json()
        simulator.faults.add(Fault(kind=FaultKind.WRONG_JSON, times=1))
        assert (await client.get(path)).json() == {"unexpected": []}
        simulator.faults.add(Fault(kind=FaultKind.REDIRECT, times=1))
        moved = await client.get(path)
        assert (moved.status_code, urlsplit(moved.headers["location"]).hostname) == (302, "elsewhere.invalid")
        assert (await client.get(path)).status_code == 200


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (FaultKind.NEGATIVE, '"operations":{"used":-1,"unit":"ops"}'),
        (FaultKind.NAN, '"operations":{"used":NaN,"unit":"ops"}'),
        (FaultKind.HUGE, '"operations":{"used":1e+300,"unit":"ops"}'),
        (FaultKind.TEXT_NUMBER, '"operations":{"used":"12","unit":"ops"}'),
        (FaultKind.WRONG_UNIT, '"unit":"kops"'),
        (FaultKind.ABSENT_METRICS, '"metrics":{"operations":{"used":null,"unit":"ops"}}'),
        (FaultKind.OTHER_PERIOD, '"period":{"start":"2001-01-01T00:00:00.000Z","end":"2001-01-31T23:59:59.999Z"}'),
    ],
)
async def test_an_absurd_usage_answer_is_seen_and_other_answers_stay(kind: FaultKind, text: str) -> None:
    async with calling(Fault(kind=kind)) as (client, _, path):
        answer = await client.get(path)
        assert (answer.status_code, text in answer.text) == (200, True)
        assert (await client.get("/v1/me")).json()["data"]["workspace"]
        assert (await client.get("/v1/databases/db_none/usage")).status_code == 404


async def test_a_repeating_cursor_never_ends() -> None:
    async with calling(Fault(kind=FaultKind.REPEATING_CURSOR)) as (client, _, _path):
        cursors, cursor = set(), ""
        for _ in range(5):
            query = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
            answer = await client.get("/v1/databases", params=query)
            assert (answer.status_code, len(answer.json()["data"])) == (200, 2)
            cursor = answer.json()["pagination"]["nextCursor"]
            cursors.add(cursor)
    assert len(cursors) == 1


async def test_half_a_body_and_then_the_end_of_the_connection() -> None:
    async with calling(Fault(kind=FaultKind.HALF_BODY)) as (client, _, path):
        with pytest.raises(httpx.RemoteProtocolError, match="without sending complete"):
            await client.get(path)
        head, _, body = (await raw_answer(client, path)).partition(b"\r\n\r\n")
    announced = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"content-length"))
    assert head.startswith(b"HTTP/1.1 200")
    assert len(body) == announced // 2


async def test_a_reset_is_a_reset() -> None:
    async with calling(Fault(kind=FaultKind.RESET)) as (client, simulator, path):
        with pytest.raises(ConnectionResetError):
            await raw_answer(client, path)
        with pytest.raises(httpx.ReadError):
            await client.get(path)
        simulator.faults.clear()
        assert (await client.get(path)).status_code == 200


async def test_a_slow_answer_comes_late_and_only_if_it_is_awaited() -> None:
    async with calling(Fault(kind=FaultKind.SLOW, seconds=3_600)) as (client, simulator, path):
        with pytest.raises(httpx.ReadTimeout):
            await client.get(path, timeout=0.05)
        simulator.faults.clear()
        simulator.faults.add(Fault(kind=FaultKind.SLOW, seconds=0))
        assert (await client.get(path)).status_code == 200


async def test_a_dripping_answer_comes_byte_by_byte() -> None:
    async with calling(Fault(kind=FaultKind.DRIP, seconds=0, times=1), Fault(kind=FaultKind.DRIP, seconds=3_600)) as (
        client,
        _,
        path,
    ):
        assert (await client.get(path)).json()["metrics"]
        async with client.stream("GET", path) as answer:
            assert await anext(answer.aiter_raw()) == b"{"


async def test_a_server_that_stops_waits_for_nobody() -> None:
    async with calling(Fault(kind=FaultKind.SLOW, seconds=3_600)) as (client, simulator, path):
        waiting = asyncio.create_task(client.get(path))
        async with asyncio.timeout(10):
            while not simulator.calls.newest:  # noqa: ASYNC110 - it comes through a socket: no event tells of it
                await asyncio.sleep(0)
    with pytest.raises(httpx.HTTPError):
        await waiting


async def test_faults_are_picked_by_token_call_and_database_and_used_up() -> None:
    async with calling() as (client, simulator, path):
        database_id = path.split("/")[3]
        simulator.faults.add(Fault(kind=FaultKind.UNAUTHORIZED, token="simulator-token-2"))
        simulator.faults.add(Fault(kind=FaultKind.SERVER_ERROR, call="databases"))
        simulator.faults.add(Fault(kind=FaultKind.UNAVAILABLE, database_id=database_id.removeprefix("db_"), times=2))
        other = simulator.world.databases(NOW, workspace_id=simulator.world.tokens[TOKEN])[1].id

        statuses = [(await client.get(path)).status_code for _ in range(4)]
        assert statuses == [503, 503, 200, 200]
        assert (await client.get(f"/v1/databases/{other}/usage")).status_code == 200
        assert (await client.get("/v1/databases")).status_code == 500
        assert (await client.get("/v1/me")).status_code == 200
        as_other = {"Authorization": "Bearer simulator-token-2"}
        assert (await client.get("/v1/me", headers=as_other)).status_code == 401
    assert Counter(seen.fault for seen in simulator.calls.newest)[FaultKind.UNAVAILABLE] == 2


@given(seed=st.integers(min_value=0, max_value=1_000), probability=st.floats(min_value=0.2, max_value=0.8))
def test_a_fault_by_chance_is_the_same_every_time(seed: int, probability: float) -> None:
    def struck() -> list[bool]:
        faults = Faults([Fault(kind=FaultKind.RESET, probability=probability, seed=seed)])
        return [faults.next_for(TOKEN, "me", None) is not None for _ in range(400)]

    hits = struck()
    assert hits == struck()
    assert abs(sum(hits) / 400 - probability) < 0.15


def test_the_oldest_order_happens_first_and_orders_can_be_lifted() -> None:
    faults = Faults([Fault(kind=FaultKind.RESET, times=2)])
    second = faults.add(Fault(kind=FaultKind.HTML))
    assert [fault.kind for fault in faults.in_force().values()] == [FaultKind.RESET, FaultKind.HTML]
    kinds = [fault.kind for _ in range(3) if (fault := faults.next_for(TOKEN, "me", None)) is not None]
    assert kinds == [FaultKind.RESET, FaultKind.RESET, FaultKind.HTML]
    faults.clear(second)
    assert faults.next_for(TOKEN, "me", None) is None
    with pytest.raises(KeyError):
        faults.clear(second)


@pytest.mark.parametrize(
    "order",
    [
        {"kind": "none"},
        {"kind": "html", "often": 3},
        {"kind": "html", "times": 0},
        {"kind": "html", "probability": 2},
        {"kind": "html", "status": 99},
        {"kind": "slow", "seconds": -1},
        {},
    ],
)
def test_an_order_that_means_nothing_is_refused(order: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Fault.model_validate(order)


async def raw_answer(client: httpx.AsyncClient, path: str) -> bytes:
    """Everything that a fresh connection brings until it ends."""
    reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: simulator\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode())
        return await reader.read()
    finally:
        writer.close()


REFUSALS = [FaultKind.THROTTLED, FaultKind.FORBIDDEN, FaultKind.PLAN_LIMIT, FaultKind.UNAUTHORIZED, FaultKind.NOT_FOUND]


@pytest.mark.parametrize(
    ("fault", "is_done"),
    [
        *((Fault(kind=kind), False) for kind in REFUSALS),
        (Fault(kind=FaultKind.HTML, status=403), False),
        (Fault(kind=FaultKind.THROTTLED, status=503), True),
        (Fault(kind=FaultKind.SERVER_ERROR), True),
        (Fault(kind=FaultKind.HTML, status=502), True),
        (Fault(kind=FaultKind.RESET), True),
        (Fault(kind=FaultKind.HALF_BODY), True),
    ],
)
async def test_what_is_refused_changes_nothing_and_what_is_hidden_was_done(fault: Fault, is_done: bool) -> None:
    async with calling(fault.model_copy(update={"call": "create_project"})) as (client, simulator, _):
        before = len(simulator.world.projects(NOW))
        with suppress(httpx.HTTPError):
            answer = await client.post("/v1/projects", json={"name": "made"})
            assert answer.status_code != 201

        assert len(simulator.world.projects(NOW)) - before == is_done


async def test_a_cut_list_has_more_and_no_cursor_to_it() -> None:
    async with calling(Fault(kind=FaultKind.CUT_LIST)) as (client, _, usage):
        listed = (await client.get("/v1/databases")).json()
        backups = (await client.get(usage.replace("/usage", "/backups"))).json()

    assert listed["data"]
    assert listed["pagination"] == {"nextCursor": None, "hasMore": True}
    assert backups["pagination"] == {"hasMore": True, "limit": 25}
