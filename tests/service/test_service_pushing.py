"""What is pushed to a target that answers, refuses, hangs or is not there: in order, bounded, and nothing twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from expose_views import A_DATABASE, A_SNAPSHOT, exposition_of, parsed
from otlp_reader import read_export_request
from remote_write_reader import read_write_request

from prisma_postgres_exporter.config import OtlpConfig, PushConfig, RemoteWriteConfig
from prisma_postgres_exporter.errors import ConfigurationError
from prisma_postgres_exporter.expose import ExporterHealth, Exposition, Format, Scrape, take_scrape
from prisma_postgres_exporter.service import pushing
from prisma_postgres_exporter.service.push_sender import Sender
from prisma_postgres_exporter.service.pushing import Pusher, Target
from prisma_postgres_exporter.simulator import ManualClock
from push_receiver import Answered, Receiver, receiver

BEGAN_AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SECRET = "s3cr3t-of-the-push"


@pytest.fixture
def at_target() -> Iterator[Receiver]:
    with receiver() as running:
        yield running


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(3) as pool:
        yield pool


class Pushing:
    """A target with a clock and pauses that take no time, and what it is given minute by minute."""

    def __init__(self, url: str, threads: ThreadPoolExecutor, **target: Any) -> None:
        self.health = ExporterHealth()
        self.clock = ManualClock(BEGAN_AT)
        self.pauses: list[float] = []
        self.paused = asyncio.Event()
        self.operations = 0
        self.before: Scrape | None = None
        bounds = {name: target.pop(name) for name in ("keep", "most_bytes") if name in target}
        config = RemoteWriteConfig.model_validate({"url": f"{url}/api/v1/write", **target})
        self.target = Target(
            Sender("remote_write", config),
            {"job": "prisma", "instance": "here:9478"},
            health=self.health,
            clock=self.clock,
            threads=threads,
            sleep=self._pause,
            **{"keep": timedelta(hours=2), **bounds},
        )

    async def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        if len(self.pauses) == 3:
            self.paused.set()
        await asyncio.sleep(0)

    def put(self, minutes: int = 1) -> None:
        """Another scrape each minute, with one operation more."""
        for _ in range(minutes):
            self.operations += 1
            shown = replace(A_SNAPSHOT, databases=(replace(A_DATABASE, operations_total=self.operations),))
            messages = exposition_of(shown).body(Format.TEXT, is_gzip=False).messages
            self.before = take_scrape(
                messages, shown, at=self.clock(), own_started_at=BEGAN_AT, holds=lambda _: True, before=self.before
            )
            self.target.put(self.before)
            self.clock.advance(MINUTE)

    async def until_sent(self) -> None:
        """Send until nothing waits."""
        sending = asyncio.create_task(self.target.run())
        flushing = asyncio.create_task(self.target.flush())
        try:
            async with asyncio.timeout(30):
                await asyncio.wait([sending, flushing], return_when=asyncio.FIRST_COMPLETED)
        finally:
            sending.cancel()
            flushing.cancel()
            await asyncio.gather(sending, flushing, return_exceptions=True)
            await self.target.close()

    def value(self, name: str, **labels: str) -> float | None:
        shown = parsed(self.health.text(0).text, Format.TEXT)
        wanted = frozenset({"target": "remote_write", **labels}.items())
        return shown.get((f"prisma_postgres_exporter_push_{name}", wanted))


def operations(running: Receiver) -> list[tuple[int, float]]:
    """The samples of the counter that were taken, in the order in which they came."""
    return [
        sample
        for request in running.taken
        for labels, samples in read_write_request(request.body).items()
        if dict(labels)["__name__"] == "prisma_postgres_database_operations_total"
        for sample in samples
    ]


def minutes_of(numbers: range) -> list[tuple[int, float]]:
    return [(int((BEGAN_AT + (number - 1) * MINUTE).timestamp() * 1000), number) for number in numbers]


async def test_an_hour_of_no_answer_loses_nothing(at_target: Receiver, threads: ThreadPoolExecutor) -> None:
    push = Pushing(at_target.url, threads)
    push.put(61)
    at_target.answers = [Answered(503)] * 40
    await push.until_sent()
    assert operations(at_target) == minutes_of(range(1, 62))
    assert push.value("failures_total", reason="http_503") == 40
    assert push.value("waiting_samples") == 0
    assert push.value("dropped_samples_total", reason="refused") == 0
    assert push.pauses[:6] == [1, 2, 4, 8, 16, 30]
    assert max(push.pauses) == 30
    assert push.target.status.problem is None


@pytest.mark.parametrize("status", [301, 401, 403, 404, 408, 429, 500, 502])
async def test_what_can_be_put_right_is_sent_again(
    status: int, at_target: Receiver, threads: ThreadPoolExecutor
) -> None:
    push = Pushing(at_target.url, threads)
    push.put(2)
    at_target.answers = [Answered(status), Answered(status)]
    await push.until_sent()
    assert operations(at_target) == minutes_of(range(1, 3))


@pytest.mark.parametrize("status", [400, 413, 415, 422])
async def test_what_is_refused_for_good_does_not_keep_the_rest(
    status: int, at_target: Receiver, threads: ThreadPoolExecutor
) -> None:
    push = Pushing(at_target.url, threads)
    push.put(3)
    at_target.answers = [Answered(200), Answered(status, b"out of order sample")]
    await push.until_sent()
    assert operations(at_target) == [*minutes_of(range(1, 2)), *minutes_of(range(3, 4))]
    lost = push.value("dropped_samples_total", reason="refused")
    assert lost is not None
    assert lost * 2 == push.value("samples_total")


async def test_a_pause_that_is_asked_for_is_made(at_target: Receiver, threads: ThreadPoolExecutor) -> None:
    push = Pushing(at_target.url, threads)
    push.put()
    at_target.answers = [Answered(429, headers={"Retry-After": "17"}), Answered(429, headers={"Retry-After": "86400"})]
    await push.until_sent()
    assert push.pauses == [17, 60]


async def test_what_waits_is_bounded_in_age_and_the_oldest_goes(
    at_target: Receiver, threads: ThreadPoolExecutor
) -> None:
    push = Pushing(at_target.url, threads, keep=timedelta(minutes=10))
    push.put(30)
    await push.until_sent()
    assert operations(at_target) == minutes_of(range(20, 31))
    lost = push.value("dropped_samples_total", reason="too_old")
    assert lost is not None
    assert lost / 19 * 11 == push.value("samples_total")


async def test_what_waits_is_bounded_in_size(at_target: Receiver, threads: ThreadPoolExecutor) -> None:
    push = Pushing(at_target.url, threads, most_bytes=4_000)
    push.put(100)
    await push.until_sent()
    sent = operations(at_target)
    assert sent == minutes_of(range(101 - len(sent), 101))
    assert 1 < len(sent) < 50
    assert push.value("dropped_samples_total", reason="too_many")


async def test_one_that_never_answers_ends_by_its_timeout(at_target: Receiver, threads: ThreadPoolExecutor) -> None:
    push = Pushing(at_target.url, threads, timeout=timedelta(seconds=0.2))
    push.put()
    at_target.answers = [Answered(None)]
    await push.until_sent()
    assert operations(at_target) == minutes_of(range(1, 2))
    assert push.value("failures_total", reason="timeout") == 1


async def test_a_target_that_is_not_there_is_tried_again(threads: ThreadPoolExecutor) -> None:
    push = Pushing("http://127.0.0.1:1", threads)
    push.put()
    sending = asyncio.create_task(push.target.run())
    async with asyncio.timeout(30):
        await push.paused.wait()
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    await push.target.close()
    status = push.target.status
    assert status.failing_since_at is not None
    assert status.problem is not None
    assert status.waiting_since_at == BEGAN_AT
    assert (push.value("failures_total", reason="unreachable") or 0) >= 3


async def test_a_replaced_secret_is_used_and_none_is_shown(
    tmp_path: Path, at_target: Receiver, threads: ThreadPoolExecutor, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "token"
    file.write_text(f"{SECRET}\n")
    push = Pushing(at_target.url, threads, bearer_token={"file": str(file)})
    push.put()
    problems = []

    def answer_and_replace(request: Any) -> Answered:
        file.write_text("another\n")
        return Answered(401, f"no such token: {request.headers['Authorization']}".encode())

    at_target.answers = [answer_and_replace]
    push_pause = push.target._sleep

    async def look(seconds: float) -> None:
        problems.append(push.target.status.problem)
        await push_pause(seconds)

    push.target._sleep = look
    await push.until_sent()
    assert [request.headers["Authorization"] for request in at_target.taken] == ["Bearer another"]
    assert problems == ["answered 401: no such token: Bearer ***"]
    written = capsys.readouterr()
    assert SECRET not in written.out + written.err


async def test_a_secret_that_is_missing_waits_for_it(
    tmp_path: Path, at_target: Receiver, threads: ThreadPoolExecutor
) -> None:
    file = tmp_path / "token"
    push = Pushing(at_target.url, threads, basic_auth={"username": "me", "password": {"file": str(file)}})
    push.put()
    pause = push.target._sleep

    async def write(seconds: float) -> None:
        file.write_text("pass word")
        await pause(seconds)

    push.target._sleep = write
    await push.until_sent()
    assert [request.headers["Authorization"] for request in at_target.taken] == ["Basic bWU6cGFzcyB3b3Jk"]
    assert push.value("failures_total", reason="secret") == 1


async def test_headers_are_those_of_the_protocol(at_target: Receiver, threads: ThreadPoolExecutor) -> None:
    push = Pushing(at_target.url, threads, headers=[{"name": "X-Scope-OrgID", "value": "acme"}])
    push.put()
    await push.until_sent()
    (request,) = at_target.taken
    assert request.path == "/api/v1/write"
    assert request.headers["Content-Encoding"] == "snappy"
    assert request.headers["Content-Type"] == "application/x-protobuf"
    assert request.headers["X-Prometheus-Remote-Write-Version"] == "0.1.0"
    assert request.headers["X-Scope-OrgID"] == "acme"
    assert str(request.headers["User-Agent"]).startswith("prisma-postgres-exporter/")
    assert request.headers["Authorization"] is None


async def test_a_fault_of_ours_is_counted_and_keeps_nothing_else(
    at_target: Receiver, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    push = Pushing(at_target.url, threads)
    push.put(2)
    make, calls = push.target._requests.make, []

    def faulty(scrape: Scrape, chunk: int) -> bytes:
        calls.append(chunk)
        if len(calls) == 1:
            raise RuntimeError("nobody foresaw it")
        return make(scrape, chunk)

    monkeypatch.setattr(push.target._requests, "make", faulty)
    await push.until_sent()
    assert operations(at_target) == minutes_of(range(2, 3))
    assert push.value("failures_total", reason="fault") == 1
    assert push.value("dropped_samples_total", reason="fault")


@pytest.fixture
def pusher() -> Callable[[dict[str, Any]], Pusher]:
    def make(config: dict[str, Any]) -> Pusher:
        health = ExporterHealth()
        exposition = Exposition(health)
        exposition.render(A_SNAPSHOT)
        return Pusher(
            PushConfig.model_validate(config),
            exposition=exposition,
            snapshot=lambda: A_SNAPSHOT,
            holds=lambda _: True,
            health=health,
            clock=ManualClock(BEGAN_AT),
            port=9478,
        )

    return make


async def test_a_target_that_hangs_holds_up_neither_another_nor_the_next_scrape(
    at_target: Receiver, pusher: Callable[[dict[str, Any]], Pusher], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pushing, "LAST_SECONDS", 0.0)
    with receiver() as hanging:
        hanging.answers = [Answered(None)] * 100
        running = pusher(
            {"otlp": {"endpoint": at_target.url}, "remote_write": {"url": f"{hanging.url}/write", "timeout": "10s"}}
        )
        async with running.running():
            await running.take()
            await asyncio.to_thread(hanging.asked.wait, 30)
            await running.take()
            await running.take()
            async with asyncio.timeout(30):
                await running.targets[0].flush()
        assert len(at_target.taken) >= 3
        assert running.targets[1].waiting_samples >= 3 * 30
        hanging.release.set()


async def test_points_that_an_otlp_receiver_refuses_are_counted(
    at_target: Receiver, pusher: Callable[[dict[str, Any]], Pusher]
) -> None:
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse

    partial = ExportMetricsServiceResponse()
    partial.partial_success.rejected_data_points = 3
    partial.partial_success.error_message = "too many"
    at_target.answers = [Answered(200, partial.SerializeToString())]
    running = pusher({"otlp": {"endpoint": f"{at_target.url}/"}})
    async with running.running():
        await running.take()
        await running.targets[0].flush()
        assert running.statuses[0].problem == "too many"
    assert {request.path for request in at_target.taken} == {"/v1/metrics"}
    resource, _ = read_export_request(at_target.taken[0].body)
    assert resource["service.name"] == "prisma-postgres-exporter"
    assert resource["service.instance.id"].endswith(":9478")


async def test_what_is_shown_at_the_end_is_sent_and_then_every_series_ends(
    at_target: Receiver, pusher: Callable[[dict[str, Any]], Pusher]
) -> None:
    running = pusher({"otlp": {"endpoint": at_target.url}})
    async with running.running():
        pass
    shown, ended = (read_export_request(request.body)[1] for request in at_target.taken)
    assert all(point.value is not None for point in shown.values())
    assert all(point.value is None for point in ended.values())
    assert shown.keys() - ended.keys() == {key for key in shown if key[0].endswith(("_bucket", "_sum"))}


async def test_two_scrapes_at_once_have_two_instants(
    at_target: Receiver, pusher: Callable[[dict[str, Any]], Pusher]
) -> None:
    running = pusher({"remote_write": {"url": f"{at_target.url}/write"}})
    for _ in range(3):
        await running.take()
    assert [waiting.at_ms % 1000 for waiting in running.targets[0]._waiting] == [0, 1, 2]


def test_an_extra_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "cramjam", None)
    monkeypatch.delitem(sys.modules, "prisma_postgres_exporter.expose.remote_write", raising=False)
    with pytest.raises(ConfigurationError, match=r"pip install '\.\[remote-write\]'"):
        Sender("remote_write", RemoteWriteConfig(url="https://metrics.example.com/write"))


def test_addresses_and_secrets_stay_out_of_texts() -> None:
    config = OtlpConfig.model_validate({"endpoint": "https://c.example.com", "bearer_token": {"value": SECRET}})
    assert SECRET not in repr(config) + str(config.model_dump())
