"""Pushing into a real Prometheus and into a receiver of OTLP: what /metrics shows, through outages, and the past."""

from __future__ import annotations

import asyncio
import gzip
import json
import signal
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import yaml
from expose_views import A_DATABASE, A_SNAPSHOT, exposition_of, parsed_families
from otlp_reader import Points, read_export_request
from processes import (
    DATA_PREFIX,
    Answer,
    Exporter,
    Running,
    Vendor,
    exporter,
    fetch,
    parse_metrics,
    program,
    run,
    vendor,
    wait_until,
    write_config,
    write_tokens,
)
from test_prometheus import needs_program

from ports import free_port
from prisma_postgres_exporter.config import RemoteWriteConfig
from prisma_postgres_exporter.expose import ExporterHealth, Format, Scrape, take_scrape
from prisma_postgres_exporter.service.push_sender import Sender
from prisma_postgres_exporter.service.pushing import Target
from prisma_postgres_exporter.snapshot import DatabaseView
from push_receiver import Answered, Receiver, receiver

TOTAL = f"{DATA_PREFIX}operations_total"
OWN_PREFIX = "prisma_postgres_exporter_"
DATABASES = 6
SECRET = "s3cr3t-of-the-push"

Labels = frozenset[tuple[str, str]]
Stored = dict[tuple[str, Labels], list[tuple[float, float]]]
"""Samples as (seconds, value), by name and labels."""


class Prometheus:
    """A real one that takes what is written to it, and can be ended and started again with what it holds."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.url = f"http://127.0.0.1:{free_port()}"
        (directory / "prometheus.yml").write_text(
            yaml.safe_dump({"storage": {"tsdb": {"out_of_order_time_window": "120d"}}})
        )

    @contextmanager
    def running(self) -> Iterator[Running]:
        """Run it."""
        options = (
            f"--config.file={self._directory / 'prometheus.yml'}",
            f"--storage.tsdb.path={self._directory / 'stored'}",
            f"--web.listen-address={self.url.removeprefix('http://')}",
            "--web.enable-remote-write-receiver",
            "--query.lookback-delta=10m",
        )
        with program("prometheus", *options, cwd=self._directory) as started:

            def is_ready() -> Answer | None:
                assert started.is_alive, started.output
                try:
                    answer = fetch(f"{self.url}/-/ready")
                except OSError:
                    return None
                return answer if answer.status == 200 else None

            wait_until(is_ready, "Prometheus is ready")
            yield started

    def samples(self, selector: str, span: str) -> Stored:
        """Every sample of the last `span`, without the labels that every series has."""
        return {
            (name, labels): [(float(at), float(value)) for at, value in found["values"]]
            for name, labels, found in self._query(f"{selector}[{span}]")
        }

    def newest(self, selector: str) -> dict[tuple[str, Labels], float]:
        """The newest sample of each series."""
        return {(name, labels): float(found["value"][1]) for name, labels, found in self._query(selector)}

    def values(self, expression: str) -> list[float]:
        """What an expression gives."""
        answer = json.loads(fetch(f"{self.url}/api/v1/query?{urlencode({'query': expression})}").text)
        return [float(found["value"][1]) for found in answer["data"]["result"]]

    def _query(self, expression: str) -> Iterator[tuple[str, Labels, Any]]:
        answer = json.loads(fetch(f"{self.url}/api/v1/query?{urlencode({'query': expression})}").text)
        assert answer["status"] == "success", answer
        for found in answer["data"]["result"]:
            labels = dict(found["metric"])
            name = labels.pop("__name__")
            for of_all in ("job", "instance"):
                labels.pop(of_all, None)
            yield name, frozenset(labels.items()), found


@pytest.fixture
def prometheus(tmp_path: Path) -> Prometheus:
    directory = tmp_path / "prometheus"
    directory.mkdir()
    return Prometheus(directory)


@pytest.fixture
def at_collector() -> Iterator[Receiver]:
    with receiver() as running:
        yield running


@pytest.fixture
def api() -> Iterator[Vendor]:
    with vendor(workspaces=2, databases=DATABASES) as running:
        yield running


def options(directory: Path, api: Vendor, push: Mapping[str, object], **sections: object) -> list[str]:
    write_tokens(directory / "tokens", one="simulator-token-1", two="simulator-token-2")
    credentials = [{"token_file": str(directory / "tokens")}]
    config = write_config(directory / "config.yaml", credentials=credentials, push=push, **sections)
    return ["--config", str(config), "--api-url", api.url]


def scrapes_at(collector: Receiver) -> dict[float, Points]:
    """What came by OTLP, by the instant of the scrape."""
    scrapes: dict[float, Points] = defaultdict(dict)
    for request in list(collector.taken):
        _, points = read_export_request(request.body)
        for key, point in points.items():
            assert key not in scrapes[point.at_seconds]
            scrapes[point.at_seconds][key] = point
    return scrapes


def data(samples: dict[tuple[str, Labels], float]) -> dict[tuple[str, Labels], float]:
    """What is of the vendor's, without empty labels, which Prometheus takes for none."""
    return {
        (name, frozenset(label for label in labels if label[1])): value
        for (name, labels), value in samples.items()
        if name.startswith("prisma_postgres_") and not name.startswith(OWN_PREFIX)
    }


@needs_program("prometheus")
def test_what_is_pushed_is_what_is_shown(
    tmp_path: Path, api: Vendor, prometheus: Prometheus, at_collector: Receiver
) -> None:
    push = {
        "interval": "1s",
        "otlp": {"endpoint": at_collector.url},
        "remote_write": {"url": f"{prometheus.url}/api/v1/write"},
    }
    quiet = {"interval": "1h", "requests_per_second": 1000, "windows": ["24h", "7d"]}
    started = options(tmp_path, api, push, poll=quiet, discovery={"interval": "1h"})
    with prometheus.running(), exporter("serve", *started, cwd=tmp_path) as service:
        service.scrape_when(lambda shown: len(shown.labels(TOTAL, "database_id")) == DATABASES, "the first round")

        def same_in_prometheus() -> bool:
            return prometheus.newest(
                '{__name__=~"prisma_postgres_.+",__name__!~"prisma_postgres_exporter_.+"}'
            ) == data(service.scrape())

        wait_until(same_in_prometheus, "Prometheus holds what is shown")

        def same_by_otlp() -> bool:
            scrapes = scrapes_at(at_collector)
            newest = {key: point.value for key, point in scrapes[max(scrapes)].items() if point.value is not None}
            return data(newest) == data(service.scrape())

        wait_until(same_by_otlp, "the collector has what is shown")
        shown = {name for name, _ in service.scrape()}
        assert {name for name, _ in prometheus.newest('{__name__=~".+"}')} == shown
        starts = {point.start_seconds for (name, _), point in _newest(at_collector).items() if name == TOTAL}
        assert all(0 < start <= datetime.now(UTC).timestamp() for start in starts)
        page = service.get("/").text
        assert f"{prometheus.url}/api/v1/write" in page
        assert f"{at_collector.url}/v1/metrics" in page
        service.send(signal.SIGTERM)
        assert service.wait() == 0
        assert "samples not pushed" not in service.output


def _newest(collector: Receiver) -> Points:
    scrapes = scrapes_at(collector)
    return scrapes[max(scrapes)]


@pytest.mark.slow
@needs_program("prometheus")
def test_what_prometheus_missed_while_it_was_down_it_gets_afterwards(
    tmp_path: Path, api: Vendor, prometheus: Prometheus, at_collector: Receiver
) -> None:
    push = {
        "interval": "1s",
        "otlp": {"endpoint": at_collector.url},
        "remote_write": {"url": f"{prometheus.url}/api/v1/write"},
    }
    started = options(tmp_path, api, push)
    with exporter("serve", *started, cwd=tmp_path) as service:
        with prometheus.running() as first:
            service.scrape_when(lambda shown: len(shown.labels(TOTAL, "database_id")) == DATABASES, "the first round")
            wait_until(lambda: prometheus.newest(TOTAL), "Prometheus has something")
            first.send(signal.SIGKILL)
            first.wait()
        before = len(scrapes_at(at_collector))
        wait_until(lambda: len(scrapes_at(at_collector)) >= before + 10, "ten scrapes more")
        failing = service.scrape()
        assert failing.value(f"{OWN_PREFIX}push_waiting_samples", target="remote_write")
        assert "failing" in service.get("/").text
        with prometheus.running():
            service.scrape_when(
                lambda shown: shown.value(f"{OWN_PREFIX}push_waiting_samples", target="remote_write") == 0,
                "nothing waits",
            )
            service.send(signal.SIGTERM)
            assert service.wait() == 0
            sent: Stored = defaultdict(list)
            for at, points in sorted(scrapes_at(at_collector).items()):
                for (name, labels), point in points.items():
                    if name == TOTAL and point.value is not None:
                        sent[name, labels].append((at, point.value))
            # A kill of Prometheus may lose what it had taken and not yet written; nothing of the outage.
            stored = prometheus.samples(TOTAL, "1h")
            assert stored.keys() == sent.keys()
            for key, samples in stored.items():
                assert [sample for sample in sent[key] if sample not in samples] == []


class Life:
    """A target whose Prometheus is fed with scrapes of any instant."""

    def __init__(self, prometheus: Prometheus, threads: ThreadPoolExecutor, began_at: datetime) -> None:
        self.health = ExporterHealth()
        self.is_away = asyncio.Event()
        self.now = began_at
        self._began_at = began_at
        self._scrape: Scrape | None = None
        self.target = Target(
            Sender("remote_write", RemoteWriteConfig(url=f"{prometheus.url}/api/v1/write")),
            {"job": "prisma", "instance": "here"},
            keep=timedelta(hours=2),
            health=self.health,
            clock=lambda: self.now,
            threads=threads,
            sleep=self._pause,
        )

    async def _pause(self, _seconds: float) -> None:
        self.is_away.set()
        await asyncio.sleep(0.01)

    def put(self, *databases: DatabaseView) -> None:
        """Show these databases now."""
        shown = replace(A_SNAPSHOT, databases=databases)
        self._scrape = take_scrape(
            exposition_of(shown).body(Format.TEXT, is_gzip=False).messages,
            shown,
            at=self.now,
            own_started_at=self._began_at,
            holds=lambda _: True,
            before=self._scrape,
        )
        self.target.put(self._scrape)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Send what is put."""
        sending = asyncio.create_task(self.target.run())
        try:
            yield
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            await self.target.close()


@needs_program("prometheus")
async def test_an_outage_of_an_hour_loses_nothing(prometheus: Prometheus) -> None:
    began_at = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=60)
    with ThreadPoolExecutor(1) as threads:
        life = Life(prometheus, threads, began_at)
        async with life.running():
            for minute in range(61):
                life.now = began_at + timedelta(minutes=minute)
                life.put(replace(A_DATABASE, operations_total=100 + minute))
                await asyncio.wait_for(life.is_away.wait(), 30)
            with prometheus.running():
                await asyncio.wait_for(life.target.flush(), 60)
                (samples,) = prometheus.samples(TOTAL, "2h").values()
                everything = prometheus.samples('{__name__=~".+"}', "2h")
    assert samples == [((began_at + timedelta(minutes=minute)).timestamp(), 100 + minute) for minute in range(61)]
    assert {len(found) for found in everything.values()} == {61}
    pushed = parse_metrics(life.health.text(0).text.decode())
    assert not any(value for (name, _), value in pushed.items() if name == f"{OWN_PREFIX}push_dropped_samples_total")


@needs_program("prometheus")
async def test_increase_sees_the_first_operations_of_a_new_database(prometheus: Prometheus) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    new = replace(A_DATABASE, database_id="db_new", operations_total=70, counting_since_at=now - timedelta(seconds=90))
    with ThreadPoolExecutor(1) as threads:
        life = Life(prometheus, threads, now - timedelta(minutes=2))
        async with life.running():
            with prometheus.running():
                life.put(A_DATABASE)
                life.now = now
                life.put(A_DATABASE, new)
                await asyncio.wait_for(life.target.flush(), 60)
                selector = f'{TOTAL}{{database_id="db_new"}}'
                ((_, samples),) = prometheus.samples(selector, "5m").items()
                (grown,) = prometheus.values(f"increase({selector}[5m])")
    assert samples == [((now - timedelta(seconds=90)).timestamp(), 0), (now.timestamp(), 70)]
    assert grown >= 70


@needs_program("prometheus")
def test_history_of_the_ledger_comes_into_prometheus_as_the_file_has_it(
    tmp_path: Path, api: Vendor, prometheus: Prometheus
) -> None:
    started = options(tmp_path, api, {"remote_write": {"url": f"{prometheus.url}/api/v1/write"}})
    from_day = datetime.now(UTC).date() - timedelta(days=40)
    span = ["--from", str(from_day), "--to", str(from_day + timedelta(days=9)), "--step", "6h"]
    with prometheus.running():
        done = run("backfill", *started, *span, "--openmetrics", "history.txt", "--remote-write", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        stored = prometheus.samples('{__name__=~"prisma_.+"}', "60d")
    written: Stored = defaultdict(list)
    for family in parsed_families((tmp_path / "history.txt").read_bytes(), Format.OPENMETRICS):
        for sample in family.samples:
            at = float(str(sample.timestamp))
            written[sample.name, frozenset(sample.labels.items())].append((at, sample.value))
    assert {name for name, _ in written} >= {TOTAL, f"{DATA_PREFIX}storage_bytes"}
    assert stored == written
    assert f"{sum(map(len, written.values())):,} samples sent" in done.stderr + done.stdout


def test_history_that_is_not_taken_is_said_and_fails(tmp_path: Path, api: Vendor, at_collector: Receiver) -> None:
    push = {"remote_write": {"url": f"{at_collector.url}/write", "bearer_token": {"env": "PUSH_TOKEN"}}}
    started = options(tmp_path, api, push)
    at_collector.answers = [lambda asked: Answered(400, f"out of bounds for {asked.headers['Authorization']}".encode())]
    day = str(datetime.now(UTC).date() - timedelta(days=40))
    done = run(
        "backfill", *started, "--from", day, "--to", day, "--remote-write", cwd=tmp_path, environ={"PUSH_TOKEN": SECRET}
    )
    assert done.returncode == 1
    assert "out of bounds for Bearer ***" in done.stderr
    assert "out_of_order_time_window" in done.stderr
    assert SECRET not in done.stderr + done.stdout


def test_check_tries_each_target_with_nothing_in_it(tmp_path: Path, api: Vendor, at_collector: Receiver) -> None:
    push = {
        "otlp": {"endpoint": at_collector.url, "headers": [{"name": "api-key", "env": "PUSH_KEY"}]},
        "remote_write": {"url": f"{at_collector.url}/write?key={SECRET}"},
    }
    started = options(tmp_path, api, push)
    good = run("check", *started, cwd=tmp_path, environ={"PUSH_KEY": SECRET})
    assert good.returncode == 0, good.stdout + good.stderr
    assert f"push otlp {at_collector.url}/v1/metrics: takes an empty request; pushed every 1m" in good.stdout
    assert f"push remote_write {at_collector.url}/write: takes an empty request" in good.stdout
    # Both are asked at once.
    taken = {request.path: request.body for request in at_collector.taken}
    assert (len(at_collector.taken), set(taken)) == (2, {"/v1/metrics", f"/write?key={SECRET}"})
    assert gzip.decompress(taken["/v1/metrics"]) == b""
    at_collector.answers.extend(2 * [Answered(403, SECRET.encode())])
    bad = run("check", *started, cwd=tmp_path, environ={"PUSH_KEY": SECRET})
    assert (bad.returncode, bad.stdout.count("answered 403: ***")) == (2, 2)
    at_collector.answers.extend(2 * [Answered(503)])
    away = run("check", *started, cwd=tmp_path, environ={"PUSH_KEY": SECRET})
    assert (away.returncode, away.stdout.count("answered 503")) == (1, 2)
    unset = run("check", *started, cwd=tmp_path)
    assert unset.returncode == 2
    assert "push.otlp.headers.api-key: the environment variable is not set or is empty (PUSH_KEY)" in unset.stdout
    for done in (good, bad, away, unset):
        assert SECRET not in done.stdout + done.stderr


@pytest.mark.slow
def test_of_two_services_on_a_store_each_pushes_what_it_collects_and_nothing_comes_twice(
    tmp_path: Path, api: Vendor, postgres_url: str
) -> None:
    with receiver() as at_a, receiver() as at_b:
        running: dict[str, Exporter] = {}
        collectors = {"a": at_a, "b": at_b}
        contexts, again = [], []
        for name, collector in collectors.items():
            directory = tmp_path / name
            directory.mkdir()
            push = {"interval": "1s", "otlp": {"endpoint": collector.url}}
            started = [*options(directory, api, push), "--store-url", postgres_url]
            contexts.append(exporter("serve", *started, cwd=directory))
            again.append(exporter("serve", *started, cwd=directory))
        contexts += again
        with contexts[0] as running["a"], contexts[1] as running["b"]:

            def databases_of(name: str) -> set[str]:
                return {
                    dict(labels)["database_id"]
                    for (metric, labels), point in _newest(collectors[name]).items()
                    if metric == TOTAL and point.value is not None
                }

            def shared() -> bool:
                if not (at_a.taken and at_b.taken):
                    return False
                own = databases_of("a"), databases_of("b")
                return bool(own[0] and own[1]) and sorted((*own[0], *own[1])) == sorted(api.database_ids)

            wait_until(shared, "each pushes its own, and both everything")
            assert set(running["a"].scrape().labels(TOTAL, "database_id")) == set(api.database_ids)
            running["b"].send(signal.SIGTERM)
            assert running["b"].wait() == 0
            assert databases_of("b") == set(), "one that ends also ends its series: the other one has them from now on"
            wait_until(lambda: databases_of("a") == set(api.database_ids), "the other pushes all")
        with contexts[2] as running["a"], contexts[3] as running["b"]:
            wait_until(shared, "each pushes its own, and both everything")
            running["a"].kill()
            wait_until(lambda: databases_of("b") == set(api.database_ids), "the other pushes all")
