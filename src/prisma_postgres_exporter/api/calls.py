"""Calls with one credential: attempts until there is a result or trying again cannot help, pages until a list ends."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import os
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Container, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final, Generic, Protocol, TypeVar, cast
from urllib.parse import parse_qsl, urlsplit

from pydantic import SecretStr

from prisma_postgres_exporter.api.decode import (
    CLIENT_CLOSED,
    Answer,
    NoAnswer,
    RawResponse,
    Reading,
    answered_at,
    concealed,
    error_of,
)
from prisma_postgres_exporter.api.models import Page, Refused
from prisma_postgres_exporter.api.operations import GENERIC, Operation
from prisma_postgres_exporter.api.retry import Clock, Limiter, Limits, wait_before_retry
from prisma_postgres_exporter.api.send import Request, Transport
from prisma_postgres_exporter.errors import (
    ApiError,
    ConfigurationError,
    MalformedAnswer,
    NotFound,
    Throttled,
    Unavailable,
)
from prisma_postgres_exporter.tracing import span

T = TypeVar("T")

LOG_VARIABLE: Final = "PRISMA_POSTGRES_LOG"
_LARGE_BYTES: Final = 8 * 1024
# The members of the modelled operations' bodies that are no secrets. Whatever else is sent may be one.
_SHOWN_MEMBERS: Final = frozenset(
    {
        "backupId",
        "branchGitName",
        "branchId",
        "createDatabase",
        "databaseId",
        "displayName",
        "gitName",
        "isDefault",
        "logicalId",
        "name",
        "projectId",
        "region",
        "source",
        "type",
        "workspaceId",
    }
)

log = logging.getLogger("prisma_postgres_exporter.api")


class CallObserver(Protocol):
    """Is told about every attempt; `endpoint` is a template (`GET /v1/databases/{id}`), never a path."""

    def attempt_finished(self, endpoint: str, seconds: float, failure: str | None) -> None:
        """An attempt took `seconds` on the wire; `failure` is the error's reason, `None` for a success."""

    def throttled(self, endpoint: str, wait_seconds: float) -> None:
        """The server answered 429, and every call waits for `wait_seconds`: 0 when only the refused one does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How one view of a client calls: `None` is what the limits say; with `is_raw` a result is a `RawResponse`."""

    timeout_seconds: float | None = None
    attempts: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    is_raw: bool = False


@dataclass(frozen=True, slots=True)
class _Success(Generic[T]):
    result: T


@dataclass(frozen=True, slots=True)
class _Failure:
    error: ApiError
    nothing_sent: bool = False
    answer: Answer | None = None

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
        name: str | None,
        limits: Limits,
        clock: Clock,
        observer: CallObserver | None,
    ) -> None:
        self._transport = transport
        self._token = token
        self._name = name
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

    async def call(self, operation: Operation[T], request: Request, options: Options) -> T:
        """The result of `operation`.

        Raises:
            ApiError: of the last attempt.
        """
        try:
            return await self._call(operation, request, options)
        except ApiError as error:
            error.credential = self._name
            raise

    async def _call(self, operation: Operation[T], request: Request, options: Options) -> T:
        if self._is_ending:
            raise error_of(CLIENT_CLOSED, operation=operation.name, endpoint=operation.endpoint, shown=request.shown)
        limits = self._limits if options.attempts is None else replace(self._limits, attempts=options.attempts)
        request = replace(
            request,
            headers=options.headers,
            timeout_seconds=options.timeout_seconds,
            is_once=limits.attempts == 1 or not operation.is_repeatable,
        )
        attempt = 1
        may_have_happened = False
        while True:
            with self._one_under_way():
                async with self._limiter:
                    sent_at = self._clock.monotonic()
                    with span(operation.endpoint, _traced(request, attempt), is_request=True) as traced:
                        outcome = await self._told_if_ended(operation, request, is_raw=options.is_raw)
                        if isinstance(outcome, _Failure):
                            traced.fail(outcome.error.reason)
                    seconds = self._clock.monotonic() - sent_at
            if isinstance(outcome, _Success):
                self._limiter.recover()
                self._tell(operation, attempt, seconds, None)
                return outcome.result
            error = outcome.error
            self._tell(operation, attempt, seconds, error.reason)
            if operation.is_deletion and may_have_happened and isinstance(error, NotFound):
                # An earlier attempt did it, and its answer was lost.
                done = partial(operation.shape, None, None)
                return cast(T, _raw(outcome.answer, done)) if options.is_raw and outcome.answer else done()
            may_have_happened |= outcome.may_have_happened
            wait_seconds = wait_before_retry(
                error,
                attempt=attempt,
                may_repeat=operation.is_repeatable or outcome.nothing_sent,
                limits=limits,
                chance=self._clock.random(),
            )
            if isinstance(error, Throttled):
                self._slow_down(operation, error, sent_at, wait_seconds)
            if wait_seconds is not None and not self._is_ending:
                log.info("%s: trying again in %.1f s (%s)", operation.endpoint, wait_seconds, error.reason)
                await self._clock.sleep(wait_seconds)
            if wait_seconds is None or self._is_ending:
                error.is_outcome_unknown = may_have_happened and operation.is_change
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

    async def _told_if_ended(
        self, operation: Operation[T], request: Request, *, is_raw: bool
    ) -> _Success[T] | _Failure:
        try:
            return await self._attempt(operation, request, is_raw=is_raw)
        except asyncio.CancelledError as ended:
            if operation.is_change:
                ended.add_note(f"{operation.endpoint} was under way: it may have been done all the same")
            raise

    async def _attempt(self, operation: Operation[T], request: Request, *, is_raw: bool) -> _Success[T] | _Failure:
        # A shorter value is no secret, and would be found in every word.
        headers = (SecretStr(value) for value in request.headers.values() if len(value) > 3)
        conceal = partial(concealed, tokens=(self._token, *request.secrets, *headers))
        if log.isEnabledFor(logging.DEBUG):
            log.debug("%s", conceal(_described(request, is_modelled=operation.name != GENERIC)))
        answer = await self._transport.send(request)
        if isinstance(answer, NoAnswer):
            error = error_of(
                answer,
                operation=operation.name,
                endpoint=operation.endpoint,
                shown=conceal(request.shown),
                is_shown_once=operation.is_shown_once,
            )
            return _Failure(error, nothing_sent=answer.nothing_sent)
        log.debug(
            "%s answered %d, %d bytes, request id %s",
            operation.endpoint,
            answer.status,
            len(answer.body),
            answer.request_id and conceal(answer.request_id),
        )
        now, vendor_now = self._clock.now(), answered_at(answer.headers)
        if vendor_now is not None:
            self._skews.append((now - vendor_now).total_seconds())
        reading = Reading(
            operation=operation.name,
            endpoint=operation.endpoint,
            shown=conceal(request.shown),
            success=operation.success,
            shape=operation.shape,
            now=now,
            conceal=conceal,
            is_shown_once=operation.is_shown_once,
        )
        read: Callable[[Answer], T] = reading.result
        if is_raw:
            # The views of a client say that they return this in the place of a result.
            read = cast(Callable[[Answer], T], partial(self._raw, operation, reading))
        try:
            # A page of a list takes milliseconds, and the pages of many clients come together.
            result = read(answer) if len(answer.body) < _LARGE_BYTES else await asyncio.to_thread(read, answer)
        except ApiError as error:
            return _Failure(error, answer=answer)
        return _Success(result)

    def _raw(self, operation: Operation[T], reading: Reading[T], answer: Answer) -> RawResponse[T]:
        reading.require_success(answer)

        def parse() -> T:
            try:
                return reading.result(answer)
            except ApiError as error:
                error.credential, error.is_outcome_unknown = self._name, not operation.is_repeatable
                raise

        return _raw(answer, parse)

    def _slow_down(self, operation: Operation[T], error: Throttled, sent_at: float, wait_seconds: float | None) -> None:
        limits = self._limits
        if wait_seconds is None:
            most_seconds = min(limits.retry_after_cap_seconds, limits.longest_wait_seconds or math.inf)
            wait_seconds = min(error.retry_after_seconds or 0.0, most_seconds)
        paused_seconds = self._limiter.slow_down(sent_at=sent_at, pause_seconds=wait_seconds)
        if self._observer is not None:
            self._observer.throttled(operation.endpoint, paused_seconds)

    def _tell(self, operation: Operation[T], attempt: int, seconds: float, failure: str | None) -> None:
        log.info("%s: attempt %d %s in %.3f s", operation.endpoint, attempt, failure or "succeeded", seconds)
        if self._observer is not None:
            self._observer.attempt_finished(operation.endpoint, seconds, failure)


class Listing(Generic[T]):
    """A list: an async iterator of its entries, that fetches page after page as they are wanted.

    `page()` is the first page alone, and `pages()` each; the `next_cursor` of a page, given as `cursor` to the same
    method, goes on behind it, in another process too. A record that does not have the shape it should is left out: it
    is in `refused`, and in that of its page. The vendor may repeat an entry on a later page when the list changes
    meanwhile. A list that ends by an error, or has `refused` records, is not complete: nothing may be taken for deleted
    because it was not in it. Read on after an error, it raises that error again.

    Raises, while it is read:
        MalformedAnswer: the cursor repeats, the list is longer than `Limits.pages`, or, behind the last entry, the
            vendor has more of them and gave no cursor (`list_cut`; of `pages()` it is `Page.is_cut`).
        ApiError: as a call.
    """

    def __init__(
        self,
        fetch: Callable[[str | None], Awaitable[Page[T]]],
        *,
        operation: Operation[Page[T]],
        most_pages: int,
        cursor: str | None = None,
    ) -> None:
        """`fetch` gets the cursor; that of the first page is `cursor`, `None` for the list's beginning."""
        self._fetch = fetch
        self._operation = operation
        self._most_pages = most_pages
        self._cursor = cursor
        self._entries = self._each()
        self._refused: list[Refused] = []
        self._failure: ApiError | None = None
        self._is_at_end = False

    @property
    def refused(self) -> tuple[Refused, ...]:
        """The records that were left out so far."""
        return tuple(self._refused)

    def __aiter__(self) -> AsyncIterator[T]:
        if self._is_at_end:
            self._entries, self._refused, self._is_at_end = self._each(), [], False
        return self

    async def __anext__(self) -> T:
        if self._failure is not None:
            raise self._failure.with_traceback(None)
        try:
            return await anext(self._entries)
        except StopAsyncIteration:
            self._is_at_end = True
            raise
        except ApiError as error:
            self._failure = error
            raise

    async def page(self) -> Page[T]:
        """Its first page."""
        return await self._fetch(self._cursor)

    async def pages(self) -> AsyncIterator[Page[T]]:
        """Its pages from the first one on, each with its entries and with what was refused."""
        seen: set[str | None] = set()
        cursor = self._cursor
        while cursor not in seen:
            if len(seen) == self._most_pages:
                raise self._endless("endless_list", f"no end after {self._most_pages} pages")
            seen.add(cursor)
            page = await self._fetch(cursor)
            yield page
            if page.next_cursor is None:
                return
            cursor = page.next_cursor
        raise self._endless("cursor_repeats", "the cursor repeats")

    async def _each(self) -> AsyncIterator[T]:
        async for page in self.pages():
            self._refused += page.refused
            for entry in page.entries:
                yield entry
            if page.is_cut:
                raise self._endless("list_cut", "the list is not complete: there is more, and no cursor to it")

    def _endless(self, reason: str, detail: str) -> MalformedAnswer:
        endpoint = self._operation.endpoint
        return MalformedAnswer(
            f"{endpoint}: {detail}", reason=reason, operation=self._operation.name, endpoint=endpoint
        )


def log_as_the_environment_says() -> None:
    """With `PRISMA_POSTGRES_LOG=debug` (or `info`) show the client's log, on standard error where nobody else does.

    Raises:
        ConfigurationError: it is neither.
    """
    wanted = os.environ.get(LOG_VARIABLE, "").strip().lower()
    if not wanted:
        return
    level = {"debug": logging.DEBUG, "info": logging.INFO}.get(wanted)
    if level is None:
        raise ConfigurationError([f"{LOG_VARIABLE}={wanted:.40}: is not a level: debug or info"])
    log.setLevel(level)
    if not log.hasHandlers():
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        log.addHandler(handler)


def _traced(request: Request, attempt: int) -> Mapping[str, str | int]:
    """By the names of https://opentelemetry.io/docs/specs/semconv/http/http-spans/; paths hold ids, queries cursors."""
    return {"http.request.method": request.method, "http.request.resend_count": attempt - 1}


def _raw(answer: Answer, parse: Callable[[], T]) -> RawResponse[T]:
    return RawResponse(
        status=answer.status, headers=answer.headers, body=answer.body, request_id=answer.request_id, _parse=parse
    )


def _described(request: Request, *, is_modelled: bool) -> str:
    """A request with its query and body; where we do not know what they are, only with the names in them."""
    query = dict(parse_qsl(urlsplit(request.target).query))
    text = request.shown
    if query:
        text += "?" + "&".join(
            f"{name}={value}" for name, value in _masked(query, query if is_modelled else ()).items()
        )
    if request.body is not None:
        body = _masked(json.loads(request.body), _SHOWN_MEMBERS if is_modelled else ())
        text += f" {json.dumps(body, ensure_ascii=False)}"
    return text


def _masked(value: Any, shown: Container[str], *, is_shown: bool = False) -> Any:
    """`value` with its names, but with the size of what is not in a member that may be `shown`."""
    if isinstance(value, dict):
        within = {name: shown if name in shown else frozenset[str]() for name in value}
        return {name: _masked(inner, within[name], is_shown=name in shown) for name, inner in value.items()}
    if isinstance(value, list):
        return [_masked(inner, shown, is_shown=is_shown) for inner in value]
    return value if is_shown or value is None else f"<{len(str(value))} characters>"
