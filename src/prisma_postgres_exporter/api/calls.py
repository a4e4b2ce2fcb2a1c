"""One call: attempts through the limiter, until there is a result or trying again cannot help."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Generic, Protocol, TypeVar

from pydantic import SecretStr

from prisma_postgres_exporter.api.answers import CLIENT_CLOSED, NoAnswer, error_of, result_of
from prisma_postgres_exporter.api.clock import Clock
from prisma_postgres_exporter.api.concealing import concealed
from prisma_postgres_exporter.api.dates import answered_at
from prisma_postgres_exporter.api.limiter import Limiter
from prisma_postgres_exporter.api.limits import Limits
from prisma_postgres_exporter.api.operations import Operation
from prisma_postgres_exporter.api.retry import wait_before_retry
from prisma_postgres_exporter.api.transport import Request, Transport
from prisma_postgres_exporter.errors import ApiError, MalformedAnswer, NotFound, Throttled, Unavailable

T = TypeVar("T")

_LARGE_BYTES = 8 * 1024


class CallObserver(Protocol):
    """Is told about every attempt; `endpoint` is a template (`GET /v1/databases/{id}`), never a path."""

    def attempt_finished(self, endpoint: str, seconds: float, failure: str | None) -> None:
        """An attempt took `seconds` on the wire; `failure` is the error's reason, `None` for a success."""

    def throttled(self, endpoint: str, wait_seconds: float) -> None:
        """The server answered 429, and every call waits for `wait_seconds`: 0 when only the refused one does."""


@dataclass(frozen=True, slots=True)
class Success(Generic[T]):
    """A result, and the vendor's instant of the answer that held it, `None` where the answer has none."""

    result: T
    answered_at: datetime | None


@dataclass(frozen=True, slots=True)
class _Failure:
    error: ApiError
    nothing_sent: bool = False

    @property
    def may_have_happened(self) -> bool:
        """Whether the call may have had its effect, though no good answer tells of it."""
        is_refused = isinstance(self.error, Throttled) or not isinstance(self.error, Unavailable | MalformedAnswer)
        return not self.nothing_sent and not is_refused


class Calls:
    """Makes calls with one credential, one limiter and one set of connections."""

    def __init__(
        self,
        transport: Transport,
        *,
        token: SecretStr,
        limits: Limits,
        clock: Clock,
        observer: CallObserver | None,
    ) -> None:
        self._transport = transport
        self._token = token
        self._limits = limits
        self._clock = clock
        self._observer = observer
        self._limiter = Limiter(limits, clock)
        self._skews: deque[float] = deque(maxlen=3)
        self._is_ending = False
        self._under_way = 0
        self._nothing_under_way = asyncio.Event()
        self._nothing_under_way.set()

    @property
    def skew_seconds(self) -> float | None:
        """Our clock less the vendor's, the middle one of the newest three answers with a date; `None` before any."""
        return sorted(self._skews)[len(self._skews) // 2] if self._skews else None

    async def call(self, operation: Operation[T], request: Request) -> T:
        """The result of `operation`.

        Raises:
            ApiError: of the last attempt.
        """
        return (await self.dated_call(operation, request)).result

    async def dated_call(self, operation: Operation[T], request: Request) -> Success[T]:
        """The result of `operation`, and when the vendor answered.

        Raises:
            ApiError: of the last attempt.
        """
        if self._is_ending:
            raise error_of(CLIENT_CLOSED, endpoint=operation.endpoint)
        attempt = 1
        may_have_happened = False
        while True:
            with self._one_under_way():
                async with self._limiter:
                    sent_at = self._clock.monotonic()
                    outcome = await self._attempt(operation, request)
                    seconds = self._clock.monotonic() - sent_at
            if isinstance(outcome, Success):
                self._limiter.recover()
                self._tell(operation, seconds, None)
                return outcome
            error = outcome.error
            self._tell(operation, seconds, error.reason)
            if operation.is_deletion and may_have_happened and isinstance(error, NotFound):
                # An earlier attempt did it, and its answer was lost.
                return Success(operation.shape(None), None)
            may_have_happened |= outcome.may_have_happened
            wait_seconds = wait_before_retry(
                error,
                attempt=attempt,
                may_repeat=operation.is_repeatable or outcome.nothing_sent,
                limits=self._limits,
                chance=self._clock.random(),
            )
            if isinstance(error, Throttled):
                self._slow_down(operation, error, sent_at, wait_seconds)
            if wait_seconds is not None and not self._is_ending:
                await self._clock.sleep(wait_seconds)
            if wait_seconds is None or self._is_ending:
                error.is_outcome_unknown = may_have_happened and not operation.is_repeatable
                # The frames where the answer was read would show its body to whoever prints local variables.
                raise error.with_traceback(None)
            attempt += 1

    def end(self) -> None:
        """Take no new calls, and make no more attempts for those under way."""
        self._is_ending = True

    async def ended(self) -> None:
        """Returns when no attempt is under way any more; call `end` first."""
        await self._nothing_under_way.wait()

    @contextmanager
    def _one_under_way(self) -> Iterator[None]:
        self._under_way += 1
        self._nothing_under_way.clear()
        try:
            yield
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._nothing_under_way.set()

    async def _attempt(self, operation: Operation[T], request: Request) -> Success[T] | _Failure:
        answer = await self._transport.send(request)
        if isinstance(answer, NoAnswer):
            return _Failure(error_of(answer, endpoint=operation.endpoint), nothing_sent=answer.nothing_sent)
        now, vendor_now = self._clock.now(), answered_at(answer.headers)
        if vendor_now is not None:
            self._skews.append((now - vendor_now).total_seconds())
        read = partial(
            result_of,
            answer,
            endpoint=operation.endpoint,
            success=operation.success,
            shape=operation.shape,
            now=now,
            conceal=lambda text: concealed(text, (self._token, *request.secrets)),
        )
        try:
            # A page of a list takes milliseconds, and the pages of many clients come together.
            result = read() if len(answer.body) < _LARGE_BYTES else await asyncio.to_thread(read)
        except ApiError as error:
            return _Failure(error)
        return Success(result, vendor_now)

    def _slow_down(self, operation: Operation[T], error: Throttled, sent_at: float, wait_seconds: float | None) -> None:
        limits = self._limits
        if wait_seconds is None:
            most_seconds = min(limits.retry_after_cap_seconds, limits.longest_wait_seconds or math.inf)
            wait_seconds = min(error.retry_after_seconds or 0.0, most_seconds)
        paused_seconds = self._limiter.slow_down(sent_at=sent_at, pause_seconds=wait_seconds)
        if self._observer is not None:
            self._observer.throttled(operation.endpoint, paused_seconds)

    def _tell(self, operation: Operation[T], seconds: float, failure: str | None) -> None:
        if self._observer is not None:
            self._observer.attempt_finished(operation.endpoint, seconds, failure)
