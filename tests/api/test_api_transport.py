"""The client against a server that behaves badly: each promise about one attempt."""

from __future__ import annotations

import asyncio
import socket
import ssl
import tracemalloc

import pytest
import trustme
from api_fakes import TOKEN, ApiFor, SteppingTime, Witness
from hostile import (
    Behaviour,
    SeenRequest,
    answer,
    bomb,
    drip,
    endless,
    endless_headers,
    half,
    hostile_server,
    long,
    raw,
    reset,
    silence,
)

from prisma_postgres_exporter import __version__
from prisma_postgres_exporter.api import ManagementApi
from prisma_postgres_exporter.errors import ApiError, MalformedAnswer, Unavailable
from short_of_descriptors import no_descriptors

MEBIBYTE = 1 << 20
USAGE = {
    "period": {"start": "2026-11-01T00:00:00.000Z", "end": "2026-11-23T12:00:00.000Z"},
    "metrics": {"operations": {"used": 12, "unit": "ops"}, "storage": {"used": 1, "unit": "GiB"}},
    "generatedAt": "2026-11-23T11:59:00Z",
}


async def failure_of(api: ManagementApi) -> ApiError:
    with pytest.raises(ApiError) as caught:
        await api.usage("db_1")
    return caught.value


@pytest.mark.parametrize(
    ("behaviour", "kind", "reason"),
    [
        (drip(USAGE), Unavailable, "timeout"),
        (silence, Unavailable, "timeout"),
        (reset, Unavailable, "disconnected"),
        (raw(b""), Unavailable, "disconnected"),
        (half(USAGE, framing="length"), Unavailable, "cut_body"),
        (half(USAGE, framing="chunked"), Unavailable, "cut_body"),
        (half(USAGE, framing="close"), MalformedAnswer, "not_json"),
        (bomb(), MalformedAnswer, "compressed"),
        (bomb(status=502), Unavailable, "http_502"),
        (answer(USAGE, headers={"Content-Encoding": "br"}), MalformedAnswer, "compressed"),
        (endless(), MalformedAnswer, "too_large"),
        (endless(status=502), Unavailable, "http_502"),
        (answer(b" " * 65_537), MalformedAnswer, "too_large"),
        (answer(USAGE, headers={"X-Huge": "x" * 100_000}), MalformedAnswer, "bad_http"),
        (endless_headers(), MalformedAnswer, "bad_http"),
        (raw(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), MalformedAnswer, "bad_http"),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n{}"), MalformedAnswer, "bad_http"),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}"), MalformedAnswer, "bad_http"),
        (raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}"), MalformedAnswer, "bad_http"),
        (answer(b"<html>Sign in</html>"), MalformedAnswer, "not_json"),
        (answer(b"<html>Bad gateway</html>", status=502), Unavailable, "http_502"),
        (answer(b"", status=502), Unavailable, "http_502"),
        (answer(b"", status=204), MalformedAnswer, "unexpected_status"),
    ],
)
async def test_bad_weather_is_a_known_error_within_the_timeout(
    api_for: ApiFor, behaviour: Behaviour, kind: type[ApiError], reason: str
) -> None:
    async with hostile_server(behaviour) as server:
        api = api_for(server, attempts=1, total_timeout_seconds=0.3)
        error = await failure_of(api)

    assert (type(error), error.reason) == (kind, reason)
    assert error.endpoint == "GET /v1/databases/{id}/usage"


@pytest.mark.parametrize("behaviour", [drip(USAGE), half(USAGE, framing="length"), bomb(), endless(), silence])
async def test_the_client_works_after_each_kind_of_weather(api_for: ApiFor, behaviour: Behaviour) -> None:
    async with hostile_server(behaviour, behaviour, answer(USAGE)) as server:
        api = api_for(server, attempts=1, concurrency=1, total_timeout_seconds=0.2)
        await failure_of(api)
        await failure_of(api)

        assert (await api.usage("db_1")).operations == 12


async def test_a_kept_connection_that_the_server_closed_is_opened_anew(api_for: ApiFor, witness: Witness) -> None:
    async with hostile_server(answer(USAGE), reset, answer(USAGE)) as server:
        api = api_for(server)
        await api.usage("db_1")
        await api.usage("db_1")

    assert [failure for _endpoint, failure in witness.attempts] == [None, None]
    assert (len(server.requests), server.connections) == (3, 2)


@pytest.mark.parametrize("behaviour", [bomb(), long(64 * MEBIBYTE), endless_headers()])
async def test_nothing_that_is_refused_is_held_in_memory(api_for: ApiFor, behaviour: Behaviour) -> None:
    async with hostile_server(answer(USAGE), behaviour) as server:
        api = api_for(server, attempts=1)
        await api.usage("db_1")  # what is made once is there
        tracemalloc.start()
        try:
            await failure_of(api)
            _, peak_bytes = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

    assert peak_bytes < 8 * MEBIBYTE


async def test_a_read_that_stalls_ends_by_the_read_timeout(api_for: ApiFor) -> None:
    async with hostile_server(silence) as server:
        error = await failure_of(api_for(server, attempts=1, read_timeout_seconds=0.1))

    assert error.reason == "timeout"


async def test_a_server_that_is_not_there_is_unreachable(api_for: ApiFor) -> None:
    async with hostile_server(silence) as server:
        url = server.url

    error = await failure_of(api_for(url, attempts=1))

    assert isinstance(error, Unavailable)
    assert error.reason == "unreachable"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_without_a_descriptor_it_is_not_the_network(api_for: ApiFor, host: str) -> None:
    async with hostile_server(silence) as server:
        api = api_for(server.url.replace("127.0.0.1", host), attempts=1)
        with no_descriptors():
            error = await failure_of(api)

    assert isinstance(error, Unavailable)
    assert error.reason == "no_descriptors"
    assert "oo many open files" in str(error)


async def test_a_name_that_no_descriptor_is_left_to_look_up_is_not_the_fault_of_dns(
    api_for: ApiFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unanswered(*_arguments: object, **_options: object) -> None:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", unanswered)
    with no_descriptors():
        error = await failure_of(api_for("https://api.example.com", attempts=1))

    assert error.reason == "no_descriptors"


@pytest.mark.parametrize("host", ["a" * 300 + ".com", "a..b", ".", "xn--a"])
async def test_a_name_that_no_host_can_have_is_unreachable(api_for: ApiFor, host: str) -> None:
    error = await failure_of(api_for(f"https://{host}", attempts=1))

    assert isinstance(error, Unavailable)
    assert error.reason == "unreachable"


async def test_a_name_that_is_never_resolved_ends_by_the_connect_timeout(
    api_for: ApiFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_arguments: object, **_options: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", never)
    error = await failure_of(
        api_for("https://slow.example.com", attempts=1, connect_timeout_seconds=0.1, total_timeout_seconds=1)
    )

    assert error.reason == "connect_timeout"


async def test_a_handshake_that_is_never_answered_ends_by_the_connect_timeout(api_for: ApiFor) -> None:
    async with hostile_server(silence) as server:
        # The plain server waits for the end of a head, and the client for the server's part of the handshake.
        url = server.url.replace("http:", "https:")
        error = await failure_of(api_for(url, attempts=1, connect_timeout_seconds=0.1))

    assert error.reason == "connect_timeout"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_to_another_origin_is_not_followed(api_for: ApiFor, status: int) -> None:
    async with hostile_server(answer(USAGE)) as thief:
        redirect = answer(b"", status=status, headers={"Location": f"{thief.url}/v1/me"})
        async with hostile_server(redirect) as server:
            error = await failure_of(api_for(server))

    assert error.reason == "redirect"
    assert thief.connections == 0


async def test_a_redirect_loop_is_one_request(api_for: ApiFor) -> None:
    async with hostile_server(answer(b"", status=307, headers={"Location": "/v1/databases/db_1/usage"})) as server:
        error = await failure_of(api_for(server))

    assert (error.reason, len(server.requests)) == ("redirect", 1)


async def test_a_request_says_who_asks_and_wants_no_compression(api_for: ApiFor) -> None:
    async with hostile_server(answer(USAGE, headers={"Set-Cookie": "session=1; Path=/"})) as server:
        api = api_for(server)
        await api.usage("db_1")
        await api.usage("db_1")

    headers = server.requests[1].headers
    assert headers["authorization"] == f"Bearer {TOKEN}"
    assert headers["user-agent"] == f"prisma-postgres-exporter/{__version__}"
    assert headers["accept-encoding"] == "identity"
    assert "cookie" not in headers
    assert server.connections == 1


async def test_a_path_before_v1_is_kept(api_for: ApiFor) -> None:
    async with hostile_server(answer(USAGE)) as server:
        await api_for(server.url + "/prisma/").usage("db_1")

    assert server.requests[0].path == "/prisma/v1/databases/db_1/usage"


async def test_as_many_connections_as_calls_may_run_and_no_more(api_for: ApiFor) -> None:
    async with hostile_server(answer(USAGE)) as server:
        api = api_for(server, concurrency=5)
        await asyncio.gather(*(api.usage("db_1") for _ in range(100)))

    assert server.most_open_connections == 5
    assert len(server.requests) == 100


@pytest.mark.parametrize("behaviour", [silence, drip(USAGE)])
async def test_two_hundred_cancelled_calls_leave_the_client_working(api_for: ApiFor, behaviour: Behaviour) -> None:
    async with hostile_server(*[behaviour] * 8, answer(USAGE)) as server:
        api = api_for(server, concurrency=8)
        calls = [asyncio.create_task(api.usage("db_1")) for _ in range(200)]
        await server.arrived(8)
        for call in calls:
            call.cancel()
        results = await asyncio.gather(*calls, return_exceptions=True)

        assert {type(result) for result in results} == {asyncio.CancelledError}
        readings = await asyncio.gather(*(api.usage("db_1") for _ in range(50)))

    assert {reading.operations for reading in readings} == {12}


async def test_calls_cancelled_while_they_connect_leave_the_client_working(api_for: ApiFor) -> None:
    async with hostile_server(answer(USAGE)) as server:
        api = api_for(server, concurrency=4)
        for turns in range(40):
            calls = [asyncio.create_task(api.usage("db_1")) for _ in range(8)]
            for _ in range(turns):  # each round lets them come one turn of the event loop further
                await asyncio.sleep(0)
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)

        readings = await asyncio.gather(*(api.usage("db_1") for _ in range(20)))

    assert {reading.operations for reading in readings} == {12}
    assert server.most_open_connections <= 8


async def test_an_outer_timeout_stays_a_timeout_of_the_caller(api_for: ApiFor) -> None:
    async with hostile_server(silence) as server:
        api = api_for(server)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await api.usage("db_1")


async def test_a_certificate_of_an_unknown_authority_is_a_tls_failure_and_not_tried_again(
    time: SteppingTime, witness: Witness
) -> None:
    async with (
        hostile_server(answer(USAGE), tls=_server_context(trustme.CA(), "localhost")) as server,
        ManagementApi(TOKEN, base_url=server.url, observer=witness, clock=time.clock()) as api,
    ):
        error = await failure_of(api)

    assert isinstance(error, Unavailable)
    assert error.reason == "tls"
    assert "certificate verify failed" in str(error)
    assert len(witness.attempts) == 1
    assert server.requests == []


async def test_a_certificate_for_another_host_is_a_tls_failure() -> None:
    authority = trustme.CA()
    async with (
        hostile_server(answer(USAGE), tls=_server_context(authority, "elsewhere.example.com")) as server,
        ManagementApi(TOKEN, base_url=server.url, tls=_client_context(authority)) as api,
    ):
        assert (await failure_of(api)).reason == "tls"


async def test_a_trusted_certificate_works() -> None:
    authority = trustme.CA()
    async with (
        hostile_server(answer(USAGE), tls=_server_context(authority, "localhost")) as server,
        ManagementApi(TOKEN, base_url=server.url, tls=_client_context(authority)) as api,
    ):
        assert (await api.usage("db_1")).operations == 12


@pytest.mark.parametrize("behaviour", [reset, silence, answer(b"", status=503), answer(b"", status=429)])
async def test_a_write_that_may_have_arrived_is_never_sent_again(api_for: ApiFor, behaviour: Behaviour) -> None:
    async with hostile_server(behaviour) as server:
        api = api_for(server, total_timeout_seconds=0.1)
        with pytest.raises(Unavailable):
            await api.create_project()

    assert len(server.requests) == 1


async def test_a_write_that_was_never_sent_is_tried_again(api_for: ApiFor, witness: Witness) -> None:
    async with hostile_server(silence) as server:
        url = server.url
    with pytest.raises(Unavailable):
        await api_for(url).create_project()

    assert witness.attempts == [("POST /v1/projects", "unreachable")] * 4


def _server_context(authority: trustme.CA, host: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host).configure_cert(context)
    return context


def _client_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def close_it(_request: SeenRequest, writer: asyncio.StreamWriter) -> None:
    """Takes the request, and closes the connection instead of answering."""
    writer.close()


@pytest.mark.parametrize(
    ("method", "retries", "is_repeatable"),
    [
        ("PUT", 3, False),
        ("DELETE", 3, False),
        ("GET", 3, False),
        ("POST", 3, False),
        ("PUT", 0, True),
        ("DELETE", 0, True),
        ("GET", 0, True),
    ],
)
@pytest.mark.parametrize("behaviour", [close_it, reset], ids=lambda found: found.__name__)
async def test_what_must_be_sent_once_is_sent_once_on_a_kept_connection_too(
    api_for: ApiFor, witness: Witness, method: str, retries: int, is_repeatable: bool, behaviour: Behaviour
) -> None:
    async with hostile_server(answer({}), behaviour, answer({"data": "done by the second"})) as server:
        api = api_for(server).with_options(retries=retries)
        await api.request(method, "/v1/buckets", is_repeatable=is_repeatable)
        with pytest.raises(Unavailable) as caught:
            await api.request(method, "/v1/buckets", is_repeatable=is_repeatable)

    assert server.connections == 1
    assert len(server.requests) == len(witness.attempts) == 2
    assert caught.value.is_outcome_unknown is (method != "GET")
