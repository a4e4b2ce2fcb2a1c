"""Push what /metrics shows to those who cannot scrape it; what a target does not take waits for it, within bounds."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from datetime import datetime, timedelta
from functools import partial

import structlog

from prisma_postgres_exporter.config import PushConfig, shown_address
from prisma_postgres_exporter.errors import ConfigurationError
from prisma_postgres_exporter.expose import ExporterHealth, Exposition, Format, PushStatus, Scrape, take_scrape
from prisma_postgres_exporter.service.push_sender import (
    LONGEST_PAUSE_SECONDS,
    SHORTEST_PAUSE_SECONDS,
    Outcome,
    Sender,
    Sleep,
)
from prisma_postgres_exporter.snapshot import Snapshot
from prisma_postgres_exporter.threads import StartedThreads

log = structlog.get_logger(__name__)

JOB = "prisma-postgres-exporter"
MOST_WAITING_BYTES = 256 * 1024 * 1024
_A_SECOND, _SHORTEST = timedelta(seconds=1), timedelta(milliseconds=1)
"""Two scrapes within the second are at least the other apart: targets count in milliseconds."""
LAST_SECONDS = 5.0
"""How long a service that is told to stop goes on sending what waits."""


class Target:
    """One target and the scrapes that wait for it, oldest first; they are sent in this order, one request at a time."""

    def __init__(
        self,
        sender: Sender,
        labels: dict[str, str],
        *,
        keep: timedelta,
        health: ExporterHealth,
        clock: Callable[[], datetime],
        threads: Executor,
        sleep: Sleep = asyncio.sleep,
        most_bytes: int = MOST_WAITING_BYTES,
    ) -> None:
        self._sender = sender
        self._requests = sender.requests(labels)
        self._keep = keep
        self._health = health
        self._clock = clock
        self._threads = threads
        self._sleep = sleep
        self._most_bytes = most_bytes
        self._waiting: deque[Scrape] = deque()
        self._chunk = 0
        self._waits = asyncio.Event()
        self._is_empty = asyncio.Event()
        self._is_empty.set()
        self._pause_seconds = 0.0
        self._last_success_at: datetime | None = None
        self._failing_since_at: datetime | None = None
        self._problem: str | None = None
        for reason in ("refused", "too_old", "too_many", "fault"):
            # From 0 on: increase() sees the first ones too.
            health.push_dropped(sender.name, reason, 0)

    @property
    def status(self) -> PushStatus:
        """For people."""
        return PushStatus(
            target=self._sender.name,
            url=shown_address(self._sender.url),
            last_success_at=self._last_success_at,
            failing_since_at=self._failing_since_at,
            problem=self._problem,
            waiting_since_at=self._waiting[0].at if self._waiting else None,
        )

    @property
    def waiting_samples(self) -> int:
        """How many samples wait."""
        return sum([len(scrape.keys) for scrape in self._waiting]) - self._sent_samples

    @property
    def _sent_samples(self) -> int:
        return self._waiting[0].cuts[self._chunk] if self._waiting else 0

    def put(self, scrape: Scrape) -> None:
        """Have a scrape sent; what waits too long or is too much is dropped, oldest first."""
        self._waiting.append(scrape)
        while len(self._waiting) > 1 and self._waiting[0].at < scrape.at - self._keep:
            self._drop("too_old")
        while len(self._waiting) > 1 and sum([one.size_bytes for one in self._waiting]) > self._most_bytes:
            self._drop("too_many")
        self._show()

    async def run(self) -> None:
        """Send what waits, until cancelled."""
        while True:
            await self._waits.wait()
            try:
                await self._send_next()
            except Exception:
                # One that cannot be sent must not keep those behind it.
                log.exception("push failed", target=self._sender.name)
                self._health.push_failed(self._sender.name, "fault")
                self._drop("fault")
            self._show()

    async def flush(self) -> None:
        """Wait until nothing waits."""
        await self._is_empty.wait()

    async def close(self) -> None:
        """Close the way to it."""
        await self._sender.close()

    async def _send_next(self) -> None:
        """Send the oldest request that waits; if it is not taken, pause."""
        scrape, chunk = self._waiting[0], self._chunk
        in_thread = asyncio.get_running_loop().run_in_executor
        body = await in_thread(self._threads, self._requests.make, scrape, chunk)
        while self._waiting and self._waiting[0] is scrape:
            try:
                login = await in_thread(self._threads, self._sender.login)
            except ConfigurationError as error:
                outcome = Outcome(state="failed", reason="secret", text=str(error))
            else:
                outcome = await self._sender.send(body, login)
            self._note(outcome, scrape.samples_of(chunk))
            if outcome.state != "failed":
                if self._waiting and self._waiting[0] is scrape:
                    self._chunk += 1
                    if self._chunk == scrape.chunks:
                        self._waiting.popleft()
                        self._chunk = 0
                return
            self._pause_seconds = min(max(SHORTEST_PAUSE_SECONDS, 2 * self._pause_seconds), LONGEST_PAUSE_SECONDS)
            await self._sleep(max(self._pause_seconds, outcome.retry_after_seconds))

    def _note(self, outcome: Outcome, samples: int) -> None:
        name = self._sender.name
        if outcome.state == "taken":
            self._health.pushed(name, samples - outcome.refused_points, self._clock())
            self._last_success_at, self._pause_seconds = self._clock(), 0.0
        else:
            self._health.push_failed(name, outcome.reason)
        lost = samples if outcome.state == "refused" else outcome.refused_points
        self._health.push_dropped(name, "refused", lost)
        if not outcome.reason:
            if self._failing_since_at is not None:
                log.info("push works again", target=name)
            self._failing_since_at = self._problem = None
        else:
            if self._failing_since_at is None:
                log.warning("push fails", target=name, reason=outcome.reason, problem=outcome.text)
                self._failing_since_at = self._clock()
            self._problem = outcome.text or outcome.reason

    def _drop(self, reason: str) -> None:
        lost = len(self._waiting[0].keys) - self._sent_samples
        self._waiting.popleft()
        self._chunk = 0
        self._health.push_dropped(self._sender.name, reason, lost)

    def _show(self) -> None:
        for event, is_so in ((self._waits, bool(self._waiting)), (self._is_empty, not self._waiting)):
            if is_so:
                event.set()
            else:
                event.clear()
        self._health.push_waiting(self._sender.name, self.waiting_samples)


class Pusher:
    """Takes a scrape now and then, and has it sent to each target; when it ends, all of its series end too.

    So they do where a target of scrapes is gone; and of several services on one store another pushes them on.

    Raises:
        ConfigurationError: a target's extra is not installed.
    """

    def __init__(
        self,
        config: PushConfig,
        *,
        exposition: Exposition,
        snapshot: Callable[[], Snapshot],
        holds: Callable[[str], bool],
        health: ExporterHealth,
        clock: Callable[[], datetime],
        port: int,
    ) -> None:
        self._exposition = exposition
        self._snapshot = snapshot
        self._holds = holds
        self._clock = clock
        self._own_started_at = clock()
        self._before: Scrape | None = None
        self._taking = asyncio.Lock()
        # Threads of its own: nothing waits for a secret's disk, and each target has one.
        self._threads = StartedThreads(3, "push")
        labels = {"job": JOB, "instance": f"{socket.gethostname()}:{port}", **config.labels}
        self.targets = tuple(
            Target(
                Sender(name, target),
                labels,
                keep=config.keep,
                health=health,
                clock=clock,
                threads=self._threads,
            )
            for name, target in config.targets.items()
        )

    @property
    def statuses(self) -> tuple[PushStatus, ...]:
        """Each target's, for people."""
        return tuple(target.status for target in self.targets)

    async def take(self, *, is_last: bool = False) -> None:
        """Take a scrape of what is shown now, or of nothing any more, for every target. Waits for none of them."""
        async with self._taking:
            at = self._clock()
            if self._before is not None and -_A_SECOND < at - self._before.at < _SHORTEST:
                at = self._before.at + _SHORTEST
            take = partial(
                take_scrape,
                () if is_last else self._exposition.body(Format.TEXT, is_gzip=False).messages,
                self._snapshot(),
                at=at,
                own_started_at=self._own_started_at,
                holds=self._holds,
                before=self._before,
            )
            self._before = await asyncio.get_running_loop().run_in_executor(self._threads, take)
            for target in self.targets:
                target.put(self._before)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Send to every target; at the end for a few seconds more, with what is shown then."""
        sending = [asyncio.create_task(target.run()) for target in self.targets]
        try:
            yield
            await self._send_the_last()
        finally:
            for task in sending:
                task.cancel()
            await asyncio.gather(*sending, return_exceptions=True)
            await asyncio.gather(*(target.close() for target in self.targets))
            self._threads.shutdown(wait=False, cancel_futures=True)

    async def _send_the_last(self) -> None:
        try:
            async with asyncio.timeout(LAST_SECONDS):
                await self.take()
                await self.take(is_last=True)
                await asyncio.gather(*(target.flush() for target in self.targets))
        except TimeoutError:
            lost = {target.status.target: target.waiting_samples for target in self.targets}
            log.warning("samples not pushed", **{name: samples for name, samples in lost.items() if samples})
