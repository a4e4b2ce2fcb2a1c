"""The running service: it survives a clock that is set, faults that nobody foresaw, and any reload."""

from __future__ import annotations

import asyncio
import logging
import math
import re
import sqlite3
import threading
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from ports import free_port
from prisma_postgres_exporter.config import Config, PushConfig
from prisma_postgres_exporter.errors import ConfigurationError, StoreDamaged
from prisma_postgres_exporter.report import Chosen
from prisma_postgres_exporter.service import Service, service
from prisma_postgres_exporter.service.display import Display
from prisma_postgres_exporter.service.opening import EXAMINED_SECONDS
from prisma_postgres_exporter.service.telling import MOST_LINES, TOLD_EVERY_SECONDS, Telling
from prisma_postgres_exporter.simulator import ManualClock, serve_simulator, system_clock
from prisma_postgres_exporter.store import Store
from rounds_bench import configuration, small_vendor, tokens_of


class MovedClock:
    """The real clock, moved by hand."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def __call__(self) -> datetime:
        return system_clock() + self.ahead


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not is_so():  # noqa: ASYNC110 - what runs has no event for it
            await asyncio.sleep(0.02)


async def run_beside(
    store: Path,
    clock: MovedClock,
    what: Callable[[Service], object],
    *,
    load: Callable[[Config], Config] = lambda config: config,
) -> None:
    """Run the service against a small vendor, and `what` beside it; `load` makes the configuration of a reload."""
    vendor = small_vendor(ManualClock(system_clock()))
    vendor = type(vendor)(vendor.world, clock)
    async with serve_simulator(vendor.app) as url:
        config = configuration(f"sqlite:///{store}", api_url=url, interval=timedelta(seconds=1))
        tokens = [{"name": row.name, "token": row.token} for row in tokens_of(vendor.world).credentials]
        web = config.web.model_copy(update={"listen": (f"127.0.0.1:{free_port()}",)})
        config = Config.model_validate({**dict(config), "credentials": tokens, "web": web})
        running = Service(config, load=lambda: load(config), clock=clock)
        listening = asyncio.Event()
        serving = asyncio.create_task(running.run(lambda _: listening.set()))
        await listening.wait()
        try:
            await what(running)  # type: ignore[misc]  # it waits
        finally:
            running.stop()
            await serving


def rounds_of(running: Service) -> list[datetime | None]:
    return [turn.report.started_at if turn.report else None for turn in running.running.collector.turns.values()]


@pytest.mark.parametrize("step", [timedelta(days=-2), timedelta(days=2)], ids=str)
async def test_rounds_go_on_after_the_clock_was_set(
    step: timedelta, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "CLOCK_WATCHED_EVERY_SECONDS", 0.05)
    clock = MovedClock()

    async def set_clock(running: Service) -> None:
        await until(lambda: len(rounds_of(running)) == 2 and all(rounds_of(running)))
        clock.ahead = step  # the vendor's too: both were wrong before
        await until(lambda: all(at is not None and abs(at - clock()) < timedelta(hours=1) for at in rounds_of(running)))

    await run_beside(tmp_path / "ledger.db", clock, set_clock)


async def test_no_thread_is_started_once_it_listens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # In one that finds no memory to begin with its starter, the event loop, would wait for ever.
    started: list[str] = []
    start = threading.Thread.start

    def noted(thread: threading.Thread) -> None:
        started.append(thread.name)
        start(thread)

    async def use(running: Service) -> None:
        # Not the end's, and not those of a test's own client.
        with monkeypatch.context() as patched, ThreadPoolExecutor(1) as own:
            url = f"http://{running.running.collector.config.web.listen[0]}"
            own.submit(int).result()
            patched.setattr(threading.Thread, "start", noted)
            await until(lambda: len(rounds_of(running)) == 2 and all(rounds_of(running)))
            first = rounds_of(running)
            for path in ("/", "/metrics", "/api/v1/databases", "/api/v1/cost", "/-/ready"):
                answer = await asyncio.wrap_future(own.submit(urllib.request.urlopen, url + path, timeout=60))
                assert answer.status == 200
                answer.close()
            assert (await running.reload()).problem is None
            await until(lambda: all(now != before for now, before in zip(rounds_of(running), first, strict=True)))
            assert started == []

    await run_beside(tmp_path / "ledger.db", MovedClock(), use)


async def test_it_ends_where_a_call_of_its_loop_was_lost_for_want_of_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[int] = []
    monkeypatch.setattr(service, "end_at_once", ended.append)

    async def lose(running: Service) -> None:
        def broken(error: Exception) -> None:
            raise error

        loop = asyncio.get_running_loop()
        loop.call_soon(broken, ValueError("nobody foresaw it"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert ended == []
        loop.call_soon(broken, MemoryError())
        await until(lambda: ended == [1])

    await run_beside(tmp_path / "ledger.db", MovedClock(), lose)


async def test_a_fault_in_what_is_shown_keeps_the_old_and_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def break_display(running: Service) -> None:
        await until(lambda: bool(running.running.display.snapshot.databases))
        shown = running.running.display.snapshot

        async def broken(self: Display) -> None:
            raise ValueError("nobody foresaw it")

        with monkeypatch.context() as patched:
            patched.setattr(Display, "_draw", broken)
            await until(lambda: running.running.display.failures_in_a_row >= 3)
            assert running.running.display.snapshot is shown
            assert "could not be made anew" in str(running._describe().unhealthy_reason)
        await until(lambda: running._describe().unhealthy_reason is None)

    await run_beside(tmp_path / "ledger.db", MovedClock(), break_display)


async def test_a_reload_keeps_the_store_and_the_address_and_says_that_they_need_a_restart(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.db"

    def other(config: Config) -> Config:
        return config.model_copy(
            update={
                "store": config.store.model_copy(update={"url": f"sqlite:///{elsewhere}"}),
                "web": config.web.model_copy(update={"listen": (f"127.0.0.1:{free_port()}",)}),
                "push": PushConfig(labels={"cluster": "other"}),
                "poll": config.poll.model_copy(update={"interval": timedelta(seconds=2)}),
            }
        )

    async def reload(running: Service) -> None:
        collector = running.running.collector
        before = collector.config
        with capture_logs() as logs:
            assert (await running.reload()).problem is None
        told = [row["log_level"] for row in logs if row["event"] == "changes to store, web and push need a restart"]
        assert told == ["warning"]
        for section in ("store", "web", "push"):
            assert getattr(collector.config, section) == getattr(before, section)
        (note,) = [note for note in running._describe().notes if "only a restart" in note]
        assert "store.url and web.listen and push.labels" in note
        assert collector.config.poll.interval == timedelta(seconds=2)
        await until(lambda: bool(collector.ledger_state.databases))

    await run_beside(tmp_path / "ledger.db", MovedClock(), reload, load=other)
    assert not elsewhere.exists()


async def test_a_reload_that_failed_is_on_the_page_until_one_succeeds(tmp_path: Path) -> None:
    clock = MovedClock()
    problems = ["poll.interval: 'x' is not a valid duration"]

    def failing(config: Config) -> Config:
        if problems:
            raise ConfigurationError(problems)
        return config

    async def reload(running: Service) -> None:
        assert running._describe().reload_error is None
        assert (await running.reload()).problem == problems[0]
        failed = running._describe()
        assert failed.reload_error == problems[0]
        assert failed.reload_failing_since_at is not None

        clock.ahead = timedelta(seconds=20)
        problems[:] = ["poll.windows: another mistake"]
        await running.reload()
        again = running._describe()
        assert again.reload_error == "poll.windows: another mistake"
        assert again.reload_failing_since_at == failed.reload_failing_since_at

        problems.clear()
        await running.reload()
        assert running._describe().reload_error is None

    await run_beside(tmp_path / "ledger.db", clock, reload, load=failing)


async def test_whoever_reloads_again_and_again_over_the_web_does_not_fill_the_log(tmp_path: Path) -> None:
    def bad(config: Config) -> Config:
        raise ConfigurationError(["config.yaml:1: wrong"])

    async def reload(running: Service) -> None:
        running._telling = Telling(lambda: 0.0)
        with capture_logs() as logs:
            for _ in range(100):
                assert (await running.reload(is_asked=False)).problem == "config.yaml:1: wrong"
            # A signal is a person's, who looks into the log.
            await running.reload()
        assert [row["event"] for row in logs].count("configuration not reloaded") == 2

    await run_beside(tmp_path / "ledger.db", MovedClock(), reload, load=bad)


async def test_a_configuration_that_is_wrong_every_other_time_does_not_fill_the_log_and_the_last_is_told(
    tmp_path: Path,
) -> None:
    asked = 0

    def now_and_then(config: Config) -> Config:
        nonlocal asked
        asked += 1
        if asked % 2:
            raise ConfigurationError(["config.yaml:1: wrong", "config.yaml:2: wrong"])
        return config

    async def reload(running: Service) -> None:
        now = 0.0
        running._telling = Telling(lambda: now)
        with capture_logs() as logs:
            for _ in range(31):
                await running.reload()
            told = running._scheduler.get_job("reload told")
            assert told is not None
            now = TOLD_EVERY_SECONDS
            await told.func()
        lines = [(row["event"], row.get("problems")) for row in logs if row["event"].startswith("configuration ")]
        bad = ("configuration not reloaded", ["config.yaml:1: wrong", "config.yaml:2: wrong"])
        assert lines == [bad, ("configuration reloaded", None)] * (MOST_LINES // 2) + [bad]

    await run_beside(tmp_path / "ledger.db", MovedClock(), reload, load=now_and_then)


async def test_damage_that_a_question_meets_is_told_and_ends_writing(tmp_path: Path) -> None:
    async def spoil_what_rounds_do_not_read(running: Service) -> None:
        await until(lambda: all(rounds_of(running)) and bool(rounds_of(running)))
        with closing(sqlite3.connect(tmp_path / "ledger.db")) as connection:
            connection.execute("PRAGMA writable_schema = ON")
            connection.execute("UPDATE sqlite_master SET rootpage = 1000000 WHERE name = 'revisions'")
            connection.commit()
        with closing(running._ledger_reader()) as reader, pytest.raises(StoreDamaged, match="malformed"):
            await reader.newest(Chosen(), date(2026, 1, 1), most=5)
        reason = str(running._describe().unhealthy_reason)
        assert re.search("malformed .*; the file is damaged: put a backup in its place", reason)
        assert running._describe().store_error == reason
        with pytest.raises(StoreDamaged):
            await running.running.collector.in_store(lambda store: store.ping())

    await run_beside(tmp_path / "ledger.db", MovedClock(), spoil_what_rounds_do_not_read)


async def test_damage_in_a_store_that_takes_long_to_look_through_is_found_beside_the_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[float] = []

    def examine(self: Store, *, seconds: float = math.inf) -> bool:
        looked.append(seconds)
        if seconds == math.inf:
            self.note(StoreDamaged("malformed"))
            raise StoreDamaged("malformed")
        return False

    monkeypatch.setattr(Store, "examine", examine)

    async def wait_for_it(running: Service) -> None:
        await until(lambda: running._describe().unhealthy_reason == "malformed")
        assert looked == [EXAMINED_SECONDS, math.inf]
        errors = running.health._registry.get_sample_value("prisma_postgres_exporter_store_errors_total")
        assert errors is not None
        assert errors >= 1

    await run_beside(tmp_path / "ledger.db", MovedClock(), wait_for_it)


def test_a_run_that_falls_into_the_one_before_is_not_told() -> None:
    def told(message: str, most: int) -> bool:
        record = logging.LogRecord("apscheduler.scheduler", logging.WARNING, "", 1, message, ("job", most), None)
        return service._is_no_late_run(record)

    skipped = 'Execution of job "%s" skipped: maximum number of running instances reached (%d)'
    assert not told(skipped, 1)
    assert told(skipped, 100)
    assert told("%s %d", 1)
