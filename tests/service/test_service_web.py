"""The web server's bounds: who makes room for whom, who is refused, what is said of it, and who may show which name."""

from __future__ import annotations

import asyncio
import resource
import socket
import ssl
import time
from collections.abc import Callable, Coroutine

import httpx
import pytest
import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from strangers import A_CHECK, PATIENCE_SECONDS, answer, asked, connect, connect_deaf, status_of

from prisma_postgres_exporter.descriptors import for_web
from prisma_postgres_exporter.expose import ExporterHealth
from prisma_postgres_exporter.service import connections, http_protocol
from prisma_postgres_exporter.service.connections import Connection, Connections, Refusals
from prisma_postgres_exporter.service.web import listening
from prisma_postgres_exporter.service.web_faults import CountedFaults
from prisma_postgres_exporter.service.web_lock import read_lock
from short_of_descriptors import no_descriptors
from web_files import CLIENT, VERIFIED, WebFolder, web_folder


def counts_of(health: ExporterHealth) -> dict[str, float]:
    prefix = 'prisma_postgres_exporter_web_refused_total{reason="'
    lines = [line for line in health.text(0).text.decode().splitlines() if line.startswith(prefix)]
    return {line.removeprefix(prefix).partition('"')[0]: float(line.rpartition(" ")[2]) for line in lines}


# Connections --------------------------------------------------------------------------------------
def of(most: int, most_of_one: int) -> tuple[Connections, list[Connection], ExporterHealth]:
    health = ExporterHealth()
    return Connections(Refusals(health), most=most, most_of_one=most_of_one), [], health


def admitted(bound: Connections, closed: list[Connection], address: str) -> Connection | None:
    connection = bound.admit(address)
    if connection is not None:
        connection.close = lambda: closed.append(connection)
    return connection


def test_whoever_has_waited_longest_makes_room() -> None:
    bound, closed, health = of(3, 3)
    first, second, third = (admitted(bound, closed, address) for address in "abc")
    assert first
    assert second
    bound.works(first)
    bound.waits(first)  # it was answered, and waits again
    assert admitted(bound, closed, "d")
    assert admitted(bound, closed, "e")
    assert closed == [second, third]
    assert len(bound) == 3
    assert counts_of(health) == {"made_room": 2}


def test_whoever_is_answered_makes_no_room() -> None:
    bound, closed, health = of(2, 2)
    for address in "ab":
        connection = admitted(bound, closed, address)
        assert connection
        bound.works(connection)
    assert admitted(bound, closed, "c") is None
    assert closed == []
    assert counts_of(health) == {"too_many_connections": 1}


def test_an_address_makes_room_for_itself_before_others_do() -> None:
    bound, closed, health = of(4, 2)
    other = admitted(bound, closed, "other")
    mine = [admitted(bound, closed, "mine") for _ in range(4)]
    assert closed == mine[:2]
    for connection in mine[2:]:
        assert connection
        bound.works(connection)
    assert admitted(bound, closed, "mine") is None
    assert admitted(bound, closed, "another")
    assert other not in closed
    assert counts_of(health) == {"made_room": 2, "too_many_of_one_address": 1}


def test_what_is_gone_counts_no_more() -> None:
    bound, closed, _ = of(2, 1)
    for _ in range(5):
        connection = admitted(bound, closed, "a")
        assert connection
        bound.gone(connection)
        bound.gone(connection)
        bound.waits(connection)
    assert (len(bound), closed) == (0, [])


@pytest.mark.parametrize(
    ("descriptors", "most"),
    [(resource.RLIM_INFINITY, 256), (1_048_576, 256), (1_024, 256), (256, 112), (64, 16), (32, 4)],
)
def test_there_are_as_many_connections_as_descriptors_allow(
    monkeypatch: pytest.MonkeyPatch, descriptors: int, most: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (descriptors, descriptors))
    assert for_web() == most


def test_refusals_are_said_once_a_minute_and_all_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    health = ExporterHealth()
    refusals = Refusals(health)
    with structlog.testing.capture_logs() as lines:
        for now in (0.0, 1.0, 59.0, 60.0, 61.0):  # noqa: B007  # the clock reads it
            refusals.count("too_slow")
    assert [line["too_slow"] for line in lines] == [1, 3]
    assert counts_of(health) == {"too_slow": 5}


# A server that is at work -------------------------------------------------------------------------
class Slow:
    """An application that answers `/slow` when it is told to, and anything else at once."""

    def __init__(self) -> None:
        self.asked = 0
        self.go_on = asyncio.Event()
        self.app = Starlette(routes=[Route("/slow", self._slow), Route("/{path:path}", self._quick)])

    async def _slow(self, _: Request) -> Response:
        self.asked += 1
        await self.go_on.wait()
        return PlainTextResponse("done")

    async def _quick(self, _: Request) -> Response:
        return PlainTextResponse("done")


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not is_so():  # noqa: ASYNC110  # what it waits for is in other threads too
            await asyncio.sleep(0.01)


async def test_where_all_are_at_work_a_new_one_is_refused_at_once_and_the_old_are_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connections, "for_web", lambda: 5)
    slow, health = Slow(), ExporterHealth()
    async with listening(slow.app, ["127.0.0.1:0"], refusals=Refusals(health)) as (url,):
        working = [
            asyncio.create_task(asyncio.to_thread(asked_whole, url, b"GET /slow HTTP/1.0\r\n\r\n")) for _ in range(5)
        ]
        await until(lambda: slow.asked == 5)
        refused = await asyncio.to_thread(asked, url, A_CHECK)
        assert refused == b"" or status_of(refused) == 503
        assert counts_of(health) == {"too_many_of_one_address": 1}
        slow.go_on.set()
        assert [status_of(text) for text in await asyncio.gather(*working)] == [200] * 5
        assert status_of(await asyncio.to_thread(asked, url, A_CHECK)) == 200


def asked_whole(url: str, request: bytes) -> bytes:
    """The answer, with the other direction left open meanwhile."""
    with connect(url) as connection:
        connection.sendall(request)
        parts = []
        while part := connection.recv(65_536):
            parts.append(part)
        return b"".join(parts)


async def test_an_answer_that_nobody_reads_or_that_never_comes_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "ANSWER_SECONDS", 0.2)
    slow, health = Slow(), ExporterHealth()
    async with listening(slow.app, ["127.0.0.1:0"], refusals=Refusals(health)) as (url,):
        with connect(url) as stranger:
            stranger.sendall(b"GET /slow HTTP/1.1\r\nHost: e\r\n\r\n")
            await until(lambda: counts_of(health) == {"too_slow": 1})
        slow.go_on.set()
        assert status_of(await asyncio.to_thread(asked, url, A_CHECK)) == 200


async def test_the_next_request_of_a_connection_is_not_begun_before_the_answer_to_the_one_before_is_read() -> None:
    asked_for: list[str] = []

    async def much(request: Request) -> Response:
        asked_for.append(request.url.path)
        return PlainTextResponse("x" * 200_000)

    app = Starlette(routes=[Route("/much", much), Route("/{path:path}", Slow()._quick)])
    health = ExporterHealth()
    async with listening(app, ["127.0.0.1:0"], refusals=Refusals(health)) as (url,):
        with connect_deaf(url, "127.0.0.2") as deaf:
            deaf.sendall(b"GET /much HTTP/1.1\r\nHost: e\r\n\r\n" * 3)
            deaf.sendall(b"GET /much HTTP/1.1\r\nHost: e\r\nConnection: close\r\n\r\n")
            await until(lambda: bool(asked_for))
            for _ in range(20):
                assert status_of(await asyncio.to_thread(asked, url, A_CHECK)) == 200
            assert len(asked_for) == 1
            text = await asyncio.to_thread(answer, deaf)
    assert (len(asked_for), text.count(b"HTTP/1.1 200"), text.count(b"x" * 200_000)) == (4, 4, 4)
    assert counts_of(health) == {}


async def test_whoever_does_not_read_what_it_asked_for_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "REQUEST_SECONDS", 0.5)

    async def much(_: Request) -> Response:
        return PlainTextResponse("x" * 2_000_000)

    health = ExporterHealth()
    async with listening(Starlette(routes=[Route("/much", much)]), ["127.0.0.1:0"], refusals=Refusals(health)) as (
        url,
    ):
        with connect_deaf(url, "127.0.0.2") as deaf:
            deaf.sendall(b"GET /much HTTP/1.1\r\nHost: e\r\n\r\n" * 3)
            await until(lambda: counts_of(health) == {"too_slow": 1})


async def test_without_a_descriptor_it_says_so_once_and_goes_on() -> None:
    slow, health = Slow(), ExporterHealth()
    async with listening(slow.app, ["127.0.0.1:0"], refusals=Refusals(health)) as (url,):
        with structlog.testing.capture_logs() as lines, connect(url) as first, connect(url) as second:
            await until(lambda: True)
            with no_descriptors():
                await until(lambda: counts_of(health).get("accept", 0) >= 3)
            said = [line for line in lines if line["event"] == "no connection can be accepted"]
            assert [line["error"] for line in said] == ["Too many open files"]
            del first, second
        assert status_of(await asyncio.to_thread(asked, url, A_CHECK)) == 200


async def test_without_memory_it_says_so_once_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    slow, health = Slow(), ExporterHealth()
    loop = asyncio.get_running_loop()
    accept, times = loop.sock_accept, iter(range(3))

    async def short_of_memory(listener: socket.socket) -> object:
        if next(times, None) is not None:
            raise MemoryError
        return await accept(listener)

    monkeypatch.setattr(loop, "sock_accept", short_of_memory)
    with structlog.testing.capture_logs() as lines:
        async with listening(slow.app, ["127.0.0.1:0"], refusals=Refusals(health)) as (url,):
            assert status_of(await asyncio.to_thread(asked, url, A_CHECK)) == 200
    assert [line["error"] for line in lines if "accepted" in line["event"]] == ["Cannot allocate memory"]
    assert counts_of(health)["accept"] == 3


async def test_who_was_let_in_and_found_no_memory_takes_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    slow, health = Slow(), ExporterHealth()
    create, times = asyncio.create_task, iter(range(3))

    def short_of_memory(call: Coroutine[object, object, None]) -> asyncio.Task[None]:
        if "_serve_connection" in repr(call) and next(times, None) is not None:
            call.close()
            raise MemoryError
        return create(call)

    monkeypatch.setattr(connections, "for_web", lambda: 1)
    async with listening(slow.app, ["127.0.0.1:0"], refusals=Refusals(health)) as (url,):
        monkeypatch.setattr(asyncio, "create_task", short_of_memory)
        for _ in range(3):
            assert await asyncio.to_thread(asked, url, A_CHECK) == b""
        assert status_of(await asyncio.to_thread(asked, url, A_CHECK)) == 200
    assert counts_of(health) == {}


# Names of client certificates ---------------------------------------------------------------------
@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> WebFolder:
    return web_folder(tmp_path_factory.mktemp("web"))


@pytest.mark.parametrize(
    ("policy", "names", "has_certificate", "is_let_in"),
    [
        ("RequireAndVerifyClientCert", [CLIENT, "two"], True, True),
        ("RequireAndVerifyClientCert", ["bad"], True, False),
        ("RequireAndVerifyClientCert", None, True, True),
        # As exporter-toolkit has it: a list without a name has the name of nobody.
        ("RequireAndVerifyClientCert", [], True, False),
        ("VerifyClientCertIfGiven", None, False, True),
        ("VerifyClientCertIfGiven", [CLIENT], True, True),
        ("VerifyClientCertIfGiven", [CLIENT], False, False),
        ("NoClientCert", [CLIENT], False, True),
    ],
)
async def test_a_client_certificate_needs_one_of_the_names(
    folder: WebFolder, policy: str, names: list[str] | None, has_certificate: bool, is_let_in: bool
) -> None:
    tls = {**VERIFIED, "client_auth_type": policy, "client_allowed_sans": names}
    if policy == "NoClientCert":
        del tls["client_ca_file"]
    lock, health = read_lock(folder.write(tls_server_config=tls)), ExporterHealth()
    async with listening(Slow().app, ["127.0.0.1:0"], refusals=Refusals(health), lock=lambda: lock) as (url,):
        context = ssl.create_default_context(cafile=str(folder.path / "ca.pem"))
        if has_certificate:
            context.load_cert_chain(folder.path / "client.pem")
        async with httpx.AsyncClient(verify=context) as client:
            if is_let_in:
                assert (await client.get(url)).status_code == 200
            else:
                with pytest.raises(httpx.TransportError):
                    await client.get(url)
    assert counts_of(health) == ({} if is_let_in else {"certificate": 1})


# Faults -------------------------------------------------------------------------------------------
async def fail(_request: Request) -> Response:
    raise RuntimeError("nobody foresaw this")


async def test_faults_are_counted_and_said_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    health = ExporterHealth()
    app = CountedFaults(Starlette(routes=[Route("/", fail)]), health)
    with structlog.testing.capture_logs() as told:
        async with listening(app, ["127.0.0.1:0"]) as (url,), httpx.AsyncClient() as client:
            statuses = {(await client.get(url)).status_code for _ in range(30)}
    assert statuses == {500}
    assert b'prisma_postgres_exporter_faults_total{part="web"} 30.0' in health.text(0).text
    assert [(line["event"], line["fault"], line["log_level"]) for line in told] == [
        ("a web request ended by a fault", "RuntimeError", "error")
    ]
    assert caplog.records == [], "the server says nothing of its own"
