"""One call: attempts through the limiter, until there is a result or trying again cannot help."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from pydantic import SecretStr

from prisma_postgres_exporter.api.answers import NoAnswer, error_of, result_of
from prisma_postgres_exporter.api.clockwork import Clockwork
from prisma_postgres_exporter.api.concealing import concealed
from prisma_postgres_exporter.api.limiter import Limiter
from prisma_postgres_exporter.api.limits import Limits
from prisma_postgres_exporter.api.operations import Operation
from prisma_postgres_exporter.api.retry import wait_before_retry
from prisma_postgres_exporter.api.transport import Request, Transport
from prisma_postgres_exporter.errors import ApiError, MalformedAnswer, NotFound, Throttled, Unavailable

T = TypeVar("T")


class CallObserver(Protocol):
    """Is told about every attempt; `endpoint` is a template (`GET /v1/databases/{id}`), never a path."""

    def attempt_finished(self, endpoint: str, seconds: float, failure: str | None) -> None:
        """An attempt took `seconds` on the wire; `failure` is the error's reason, `None` for a success."""

    def throttled(self, endpoint: str, wait_seconds: float) -> None:
        """The server answered 429, and every call waits for `wait_seconds`."""


@dataclass(frozen=True, slots=True)
class _Success(Generic[T]):
    result: T


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
        clockwork: Clockwork,
        observer: CallObserver | None,
    ) -> None:
        self._transport = transport
        self._token = token
        self._limits = limits
        self._clockwork = clockwork
        self._observer = observer
        self._limiter = Limiter(limits, clockwork)

    async def call(self, operation: Operation[T], request: Request) -> T:
        """The result of `operation`.

        Raises:
            ApiError: of the last attempt.
        """
        attempt = 1
        may_have_happened = False
        while True:
            async with self._limiter:
                sent_at = self._clockwork.monotonic()
                outcome = await self._attempt(operation, request)
                seconds = self._clockwork.monotonic() - sent_at
            if isinstance(outcome, _Success):
                self._limiter.recover()
                self._tell(operation, seconds, None)
                return outcome.result
            error = outcome.error
            self._tell(operation, seconds, error.reason)
            if operation.is_deletion and may_have_happened and isinstance(error, NotFound):
                # An earlier attempt did it, and its answer was lost.
                return operation.shape(None)
            may_have_happened |= outcome.may_have_happened
            wait_seconds = wait_before_retry(
                error,
                attempt=attempt,
                may_repeat=operation.is_repeatable or outcome.nothing_sent,
                limits=self._limits,
                chance=self._clockwork.random(),
            )
            if isinstance(error, Throttled):
                self._slow_down(operation, error, sent_at, wait_seconds)
            if wait_seconds is None:
                error.is_outcome_unknown = may_have_happened and not operation.is_repeatable
                # The frames where the answer was read would show its body to whoever prints local variables.
                raise error.with_traceback(None)
            await self._clockwork.sleep(wait_seconds)
            attempt += 1

    async def _attempt(self, operation: Operation[T], request: Request) -> _Success[T] | _Failure:
        answer = await self._transport.send(request)
        if isinstance(answer, NoAnswer):
            return _Failure(error_of(answer, endpoint=operation.endpoint), nothing_sent=answer.nothing_sent)
        try:
            result = result_of(
                answer,
                endpoint=operation.endpoint,
                success=operation.success,
                shape=operation.shape,
                now=self._clockwork.now(),
                conceal=lambda text: concealed(text, (self._token, *request.secrets)),
            )
        except ApiError as error:
            return _Failure(error)
        return _Success(result)

    def _slow_down(self, operation: Operation[T], error: Throttled, sent_at: float, wait_seconds: float | None) -> None:
        asked_seconds = min(error.retry_after_seconds or 0.0, self._limits.retry_after_cap_seconds)
        pause_seconds = asked_seconds if wait_seconds is None else wait_seconds
        self._limiter.slow_down(sent_at=sent_at, pause_seconds=pause_seconds)
        if self._observer is not None:
            self._observer.throttled(operation.endpoint, pause_seconds)

    def _tell(self, operation: Operation[T], seconds: float, failure: str | None) -> None:
        if self._observer is not None:
            self._observer.attempt_finished(operation.endpoint, seconds, failure)
