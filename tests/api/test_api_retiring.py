"""A client that is closed while calls are under way."""

from __future__ import annotations

import asyncio

import pytest
from api_fakes import ApiFor, SteppingTime, Witness
from hostile import Behaviour, SeenRequest, answer, hostile_server, silence

from prisma_postgres_exporter.api import ManagementApi
from prisma_postgres_exporter.errors import ApiError, ClientClosed, Unavailable

USAGE = {"period": {"start": "2026-11-01T00:00:00.000Z", "end": "2026-11-23T12:00:00.000Z"}}


def held(gate: asyncio.Event, then: Behaviour) -> Behaviour:
    """Answers once the gate is open."""

    async def behave(request: SeenRequest, writer: asyncio.StreamWriter) -> None:
        await gate.wait()
        await then(request, writer)

    return behave


async def refused(api: ManagementApi) -> ApiError:
    with pytest.raises((ClientClosed, Unavailable)) as caught:
        await api.usage("db_1")
    return caught.value


async def test_calls_under_way_end_well_and_new_ones_are_refused(api_for: ApiFor) -> None:
    gate = asyncio.Event()
    async with hostile_server(held(gate, answer(USAGE))) as server:
        api = api_for(server, concurrency=2)
        calls = [asyncio.create_task(api.usage("db_1")) for _ in range(5)]
        await server.arrived(2)
        retiring = asyncio.create_task(api.retire())
        await asyncio.sleep(0)

        assert (await refused(api)).reason == "client_closed"
        assert not retiring.done()
        gate.set()
        await asyncio.gather(*calls)
        await retiring

        assert (await refused(api)).reason == "client_closed"
    assert len(server.requests) == 5
    assert server.open_connections == 0


async def test_an_attempt_that_fails_meanwhile_is_the_last(
    api_for: ApiFor, time: SteppingTime, witness: Witness
) -> None:
    gate = asyncio.Event()
    async with hostile_server(held(gate, answer(b"", status=503, headers={"Retry-After": "9"}))) as server:
        api = api_for(server)
        call = asyncio.create_task(refused(api))
        await server.arrived(1)
        retiring = asyncio.create_task(api.retire())
        await asyncio.sleep(0)
        gate.set()
        await retiring

        assert ((error := await call).reason, error.retry_after_seconds) == ("http_503", 9)
    assert len(server.requests) == 1
    assert time.waits == []


async def test_a_call_that_waits_to_try_again_is_not_waited_for(
    api_for: ApiFor, time: SteppingTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_waiting, goes_on = asyncio.Event(), asyncio.Event()

    async def wait(_seconds: float) -> None:
        is_waiting.set()
        await goes_on.wait()

    monkeypatch.setattr(SteppingTime, "sleep", lambda _time, seconds: wait(seconds))
    async with hostile_server(answer(b"", status=503, headers={"Retry-After": "9"})) as server:
        api = api_for(server)
        call = asyncio.create_task(refused(api))
        await is_waiting.wait()
        await api.retire()
        goes_on.set()

        assert (await call).reason == "http_503"
    assert len(server.requests) == 1


async def test_a_server_that_never_answers_is_waited_for_until_the_total_timeout(api_for: ApiFor) -> None:
    async with hostile_server(silence) as server:
        api = api_for(server, total_timeout_seconds=0.1)
        call = asyncio.create_task(refused(api))
        await server.arrived(1)
        await api.retire()

        assert (await call).reason == "timeout"
    assert len(server.requests) == 1


async def test_a_retirement_that_is_cancelled_closes_all_the_same(api_for: ApiFor) -> None:
    async with hostile_server(silence) as server:
        api = api_for(server)
        call = asyncio.create_task(refused(api))
        await server.arrived(1)
        retiring = asyncio.create_task(api.retire())
        await asyncio.sleep(0)
        retiring.cancel()
        with pytest.raises(asyncio.CancelledError):
            await retiring

        assert (await call).reason in {"disconnected", "client_closed"}


@pytest.mark.parametrize("end", [ManagementApi.aclose, ManagementApi.retire])
async def test_nothing_is_sent_after_the_end(api_for: ApiFor, end: object) -> None:
    async with hostile_server(answer(USAGE)) as server:
        api = api_for(server)
        await end(api)  # type: ignore[operator]  # one of the two above
        await api.retire()

        assert (await refused(api)).reason == "client_closed"
        with pytest.raises(ClientClosed, match=r"GET /v1/databases/db_1: the client is closed"):
            await api.wait_until_ready("db_1")
        with pytest.raises(ClientClosed):
            await anext(api.databases())
    assert server.connections == 0


async def test_calls_that_wait_for_their_turn_when_the_client_is_closed_are_refused(api_for: ApiFor) -> None:
    async with hostile_server(silence) as server:
        api = api_for(server, concurrency=1)
        calls = [asyncio.create_task(refused(api)) for _ in range(5)]
        await server.arrived(1)
        await api.aclose()
        errors = await asyncio.gather(*calls)

    assert {error.reason for error in errors} <= {"disconnected", "client_closed"}
    assert len(server.requests) == 1
