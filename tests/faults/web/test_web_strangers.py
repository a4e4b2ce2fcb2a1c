"""The web server of a real service against whoever reaches its port: it keeps answering, and keeps polling."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import psutil
import pytest
from processes import Exporter, Vendor, exporter, vendor, wait_until, write_config
from strangers import (
    A_CHECK,
    A_REQUEST,
    Stopwatch,
    answer,
    asked,
    connect,
    connect_deaf,
    crowd,
    is_closed,
    resident_bytes,
    status_of,
)

from prisma_postgres_exporter.service.connections import MOST_OF_ONE_ADDRESS
from prisma_postgres_exporter.service.http_protocol import MOST_PIPELINED
from reliability import Fault, record

MIB = 2**20
LOST_NOTHING = "nothing"


@pytest.fixture(scope="module")
def world() -> Iterator[Vendor]:
    with vendor(workspaces=2, databases=20) as running:
        yield running


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, world: Vendor) -> Iterator[Exporter]:
    directory = tmp_path_factory.mktemp("service")
    config = write_config(directory / "config.yaml")
    environ = {"PRISMA_POSTGRES_TOKEN": ",".join(world.world.tokens), "PRISMA_POSTGRES_API_URL": world.url}
    with exporter("serve", "--config", str(config), cwd=directory, environ=environ) as running:
        wait_until(lambda: running.get("/-/ready").status == 200, "it is ready")
        yield running


class Watch:
    """What must hold while strangers are there: scrapes answered, readings going on, a log that stays short."""

    def __init__(self, service: Exporter, world: Vendor) -> None:
        self._service, self._world = service, world
        self._lines = len(service.output.splitlines())

    def holds(self, scrapes: int = 10) -> None:
        """Scrape on a new connection each, and see the vendor asked again."""
        for _ in range(scrapes):
            assert status_of(asked(self._service.url, A_REQUEST)) == 200
        self._world.wait_for_calls("usage")
        assert self._service.is_alive

    @property
    def log_lines(self) -> list[str]:
        """The lines about the web since the beginning."""
        return [line for line in self._service.output.splitlines()[self._lines :] if "web" in line or "accept" in line]


@pytest.fixture
def watch(service: Exporter, world: Vendor) -> Watch:
    return Watch(service, world)


@pytest.mark.slow
def test_a_thousand_idle_connections_do_not_keep_a_scrape_out(service: Exporter, watch: Watch) -> None:
    with crowd(service.url, 1_000) as idle:
        assert len(idle) == 1_000
        watch.holds(scrapes=50)
        still = sum(not is_closed(connection) for connection in idle)
        assert 0 < still <= MOST_OF_ONE_ADDRESS
        assert psutil.Process(service.pid).num_fds() < MOST_OF_ONE_ADDRESS + 64
    clock = Stopwatch()
    watch.holds()
    assert len(watch.log_lines) <= 2
    record(
        Fault(
            part="web",
            tried="1,000 connections that say nothing",
            times=1_000,
            seen="each scrape is answered: a new connection takes the place of the one that waited longest; "
            "one log line a minute, counted in `web_refused_total`",
            lost=LOST_NOTHING,
            seconds=clock.seconds,
        )
    )


def test_headers_without_end_are_not_taken(service: Exporter, watch: Watch) -> None:
    before, sent = resident_bytes(service.pid), 0
    piece = b"x" * MIB
    with connect(service.url) as stranger, contextlib.suppress(ConnectionError):
        stranger.sendall(b"GET / HTTP/1.1\r\nHost: exporter\r\nX-Long: ")
        for _ in range(400):
            stranger.sendall(piece)
            sent += len(piece)
    assert sent < 100 * MIB
    assert resident_bytes(service.pid) < before + 32 * MIB
    many = b"".join(b"X-%d: x\r\n" % number for number in range(5_000))
    assert status_of(asked(service.url, b"GET / HTTP/1.1\r\nHost: exporter\r\n" + many + b"\r\n")) == 431
    assert status_of(asked(service.url, b"GET /?" + b"q" * 40_000 + b" HTTP/1.1\r\nHost: exporter\r\n\r\n")) == 431
    clock = Stopwatch()
    watch.holds()
    record(
        Fault(
            part="web",
            tried="400 MB in one header, 5,000 headers, a URL of 40 KB",
            times=3,
            seen="431 or 413, and the connection is closed after 64 KB",
            lost=LOST_NOTHING,
            seconds=clock.seconds,
        )
    )


ODD = [
    (b"GET /-/ready HTTP/1.0\r\n\r\n", 200),
    (b"GET /-/ready HTTP/1.1\r\nHost: exporter\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", 200),
    (b"GET /-/ready HTTP/1.1\r\nHost: e\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", 200),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    (b"GET /metrics HTTP/9.9\r\n\r\n", 400),
    (b"nonsense\r\n\r\n", 400),
    (b"BREW /metrics HTTP/1.1\r\nHost: exporter\r\n\r\n", 400),
    (b"TRACE /metrics HTTP/1.1\r\nHost: exporter\r\n\r\n", 405),
    (b"DELETE /metrics HTTP/1.1\r\nHost: exporter\r\n\r\n", 405),
    (b"CONNECT example.com:443 HTTP/1.1\r\nHost: exporter\r\n\r\n", 400),
    (b"OPTIONS * HTTP/1.1\r\nHost: exporter\r\n\r\n", 404),
    (b"GET /../../etc/passwd HTTP/1.1\r\nHost: exporter\r\n\r\n", 404),
    (b"GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: exporter\r\n\r\n", 404),
    (b"GET //metrics HTTP/1.1\r\nHost: exporter\r\n\r\n", 404),
    (b"GET /metrics%00 HTTP/1.1\r\nHost: exporter\r\n\r\n", 404),
    (b"GET http://stranger.example/-/ready HTTP/1.1\r\nHost: exporter\r\n\r\n", 200),
    (b"GET /-/ready HTTP/1.1\r\nHost: e\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    (b"GET /-/ready HTTP/1.1\r\nHost: e\r\nContent-Length: -1\r\n\r\n", 400),
    (b"GET /-/ready HTTP/1.1\r\nHost: e\r\nX: a\r\n b\x00\r\n\r\n", 400),
]


@pytest.mark.parametrize(("request_", "status"), ODD)
def test_odd_requests_get_an_answer_and_do_no_harm(
    service: Exporter, watch: Watch, request_: bytes, status: int
) -> None:
    assert status_of(asked(service.url, request_)) == status
    assert status_of(asked(service.url, A_CHECK)) == 200
    assert "Traceback" not in service.output
    clock = Stopwatch()
    watch.holds(scrapes=1)
    if request_ is ODD[-1][0]:
        record(
            Fault(
                part="web",
                tried="HTTP/1.0, upgrades, HTTP/2 and TLS in clear, unknown methods, paths with tricks, smuggling",
                times=len(ODD),
                seen="200 where it is a request all the same, else 400, 404 or 405; the log has its line a minute",
                lost=LOST_NOTHING,
                seconds=clock.seconds,
            )
        )


def test_twenty_thousand_requests_in_one_go_are_not_queued_up(service: Exporter, watch: Watch) -> None:
    before = resident_bytes(service.pid)
    for request in (A_REQUEST, A_CHECK):
        answers = asked(service.url, request * 20_000)
        assert answers.count(b"HTTP/1.1 200") <= 64
    assert resident_bytes(service.pid) < before + 32 * MIB
    last = A_CHECK[:-2] + b"Connection: close\r\n\r\n"
    with connect(service.url) as connection:
        connection.sendall(A_CHECK * 3 + last)
        assert answer(connection).count(b"HTTP/1.1 200") == 4
    clock = Stopwatch()
    watch.holds()
    record(
        Fault(
            part="web",
            tried="20,000 requests sent at once on a connection",
            times=2,
            seen="the first few are answered, then the connection is closed",
            lost=LOST_NOTHING,
            seconds=clock.seconds,
        )
    )


@pytest.mark.parametrize("requests", [4, 10])
def test_whoever_asks_much_and_reads_nothing_does_not_hold_others_up(
    service: Exporter, watch: Watch, requests: int
) -> None:
    with contextlib.ExitStack() as stack:
        crowd_of_deaf = []
        for number in range(400):
            deaf = stack.enter_context(connect_deaf(service.url, f"127.0.0.{2 + number % 8}"))
            with contextlib.suppress(ConnectionError):
                deaf.sendall(A_REQUEST * requests)
            crowd_of_deaf.append(deaf)
        watch.holds()
        if requests > MOST_PIPELINED:
            wait_until(lambda: all(map(is_closed, crowd_of_deaf)), "all are cut off")
    clock = Stopwatch()
    watch.holds()
    assert "skipped" not in service.output
    if requests > MOST_PIPELINED:
        record(
            Fault(
                part="web",
                tried="ten requests sent at once on each of 400 connections, whose clients read nothing",
                times=400,
                seen="each of them is closed; with four requests a connection the next is not begun before the answer "
                "to the one before is read; scrapes are answered meanwhile",
                lost=LOST_NOTHING,
                seconds=clock.seconds,
            )
        )


def test_a_body_without_end_is_not_taken(service: Exporter, watch: Watch) -> None:
    sent = 0
    chunk = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
    with connect(service.url) as stranger, contextlib.suppress(ConnectionError):
        stranger.sendall(b"POST /-/reload HTTP/1.1\r\nHost: exporter\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(1_000):
            stranger.sendall(chunk)
            sent += len(chunk)
    assert sent < 60 * MIB
    watch.holds(scrapes=1)


def test_without_descriptors_it_says_so_once_and_goes_on_when_there_are_some(service: Exporter, watch: Watch) -> None:
    process = psutil.Process(service.pid)
    before = process.rlimit(psutil.RLIMIT_NOFILE)
    process.rlimit(psutil.RLIMIT_NOFILE, (3, before[1]))
    try:
        with crowd(service.url, 100):
            wait_until(lambda: "no connection can be accepted" in service.output, "it is said")
    finally:
        process.rlimit(psutil.RLIMIT_NOFILE, before)
    clock = Stopwatch()
    watch.holds()
    assert service.output.count("no connection can be accepted") == 1
    record(
        Fault(
            part="web",
            tried="no file descriptor left, and 100 connections",
            times=1,
            seen="connections wait; the log says so once a minute",
            lost=LOST_NOTHING,
            seconds=clock.seconds,
        )
    )


@pytest.mark.slow
def test_whoever_is_slow_is_cut_off(service: Exporter, watch: Watch) -> None:
    """Half requests, a byte a second, silence after an answer, and readers who do not read: 30 of each."""
    with contextlib.ExitStack() as stack:
        half, dripping, asking = (stack.enter_context(crowd(service.url, 30)) for _ in range(3))
        for stranger in half:
            stranger.sendall(A_REQUEST[:-2])
        for stranger in asking:
            stranger.sendall(A_CHECK + A_CHECK[:10])

        def are_all_cut_off() -> bool:
            for stranger in dripping:
                with contextlib.suppress(ConnectionError):
                    stranger.send(b"G")
            assert status_of(asked(service.url, A_CHECK)) == 200
            return all(map(is_closed, (*half, *dripping, *asking)))

        wait_until(are_all_cut_off, "all are cut off", seconds=60)
    clock = Stopwatch()
    watch.holds()
    assert len(watch.log_lines) <= 3
    record(
        Fault(
            part="web",
            tried="half a request, a byte at a time, half a request after an answer",
            times=90,
            seen="each is cut off after 20 s; scrapes are answered meanwhile",
            lost=LOST_NOTHING,
            seconds=clock.seconds,
        )
    )
