"""From an answer, status, headers and body, to a result or the right error: pure, no I/O.

The `error.code` is looked at before the status, because a blocked workspace can answer with any status.
Decoding is stricter than `json.loads`: no NaN or Infinity, no duplicate keys, no byte order mark, UTF-8 only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final, Generic, TypeVar, cast

from pydantic import SecretStr, TypeAdapter, ValidationError, create_model

from prisma_postgres_exporter.api.models import (
    Backup,
    Backups,
    BackupsAnswer,
    Created,
    Envelope,
    Identified,
    ListAnswer,
    Metric,
    Metrics,
    Page,
    PageAnswer,
    Refused,
    Usage,
    UsageAnswer,
    Wire,
    is_plausible,
)
from prisma_postgres_exporter.errors import (
    ApiError,
    ClientClosed,
    CredentialRefused,
    MalformedAnswer,
    NotAllowed,
    NotFound,
    PlanLimitReached,
    RequestRefused,
    Throttled,
    Unavailable,
)

T = TypeVar("T")
W = TypeVar("W", bound=Wire)
Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
"""What JSON can hold."""
Shape = Callable[[object, datetime | None], T]
"""From a decoded body, and the vendor's instant of it, to a result; raises `Unfit`."""

GIBIBYTE: Final = 2**30
MOST_OPERATIONS: Final = 2**53  # beyond it a JSON number is not exact
MOST_STORAGE_GIB: Final = 65_536
_DAY_SECONDS: Final = 86_400.0
_MOST_AGE_SECONDS: Final = 86_400  # an older copy would be no answer of today's
_REQUEST_IDS: Final = ("x-request-id", "request-id", "cf-ray")

# A connection string holds a password or a key wherever it turns up, whoever it belongs to.
_CONNECTION_STRING = re.compile(r"\b(?:postgres(?:ql)?|prisma(?:\+postgres)?)://[^\s\"'<>\\]*", re.IGNORECASE)
# In what is not JSON, or only its beginning: a string with both its quotes, and the colon behind a name.
_LITERAL = re.compile(r'("(?:[^"\\]|\\.)*")(\s*:)?', re.DOTALL)
_WHOLE_CONNECTION_STRING = re.compile(rf"({_CONNECTION_STRING.pattern})(?=\\?[\s\"'<>])", re.IGNORECASE)
# The members that hold a secret which is no connection string.
_SECRETS: Final = frozenset(
    {"value", "token", "accessToken", "pass", "password", "secret", "secretAccessKey", "apiKey", "accessKey"}
)
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back. `flaw` is why the body was not read: `compressed` or `too_large`; `body` is empty then."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    flaw: str | None = None

    @property
    def request_id(self) -> str | None:
        """What the vendor calls the request, for its support; `None` where it does not say."""
        said = next((self.headers[name] for name in _REQUEST_IDS if name in self.headers), None)
        return None if said is None else _UNPRINTABLE.sub(" ", said)[:128]


@dataclass(frozen=True, slots=True, kw_only=True)
class NoAnswer:
    """No whole answer came back. `nothing_sent` is true only when the request certainly did not leave.

    `received` is as much of the body as came.
    """

    reason: str
    detail: str
    nothing_sent: bool
    received: bytes = field(default=b"", repr=False)


CLIENT_CLOSED: Final = NoAnswer(
    reason="client_closed", detail="the client is closed; make a new one", nothing_sent=True
)


_NO_ANSWERS: Final[Mapping[str, type[ApiError]]] = {
    CLIENT_CLOSED.reason: ClientClosed,
    "bad_http": MalformedAnswer,
}


class Unfit(Exception):
    """A decoded body that the contract does not allow; `reason` is the error's short constant."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading(Generic[T]):
    """How the answers of one operation are read.

    `endpoint` is the template and `operation` the name, `shown` is what messages call the request. `conceal` masks
    secrets in what the vendor wrote.
    With `is_shown_once` an answer that cannot be read leaves its secrets in the error: nobody can ask for them again.
    """

    operation: str
    endpoint: str
    shown: str
    success: Container[int]
    shape: Shape[T]
    now: datetime
    conceal: Callable[[str], str]
    is_shown_once: bool = False

    def result(self, answer: Answer) -> T:
        """The result that `answer` holds.

        Raises:
            ApiError: the one that fits the code, the status or the body.
        """
        document = self._accepted(answer)
        if document is _NOT_JSON and not answer.body and answer.flaw is None and self.shape in (nothing, json_value):
            document = None
        if document is _NOT_JSON:
            reason = answer.flaw or "not_json"
            is_page = reason == "not_json" and "html" in answer.headers.get("content-type", "").lower()
            raise self._malformed(answer, reason, "a web page (HTML)" if is_page else _DETAILS[reason])
        try:
            result = self.shape(document, answered_at(answer.headers))
            return cast(T, _with_the_rest(result, answer.body)) if isinstance(result, Created) else result
        except Unfit as exc:
            reason, detail = exc.reason, str(exc)
        raise self._malformed(answer, reason, detail)

    def require_success(self, answer: Answer) -> None:
        """Look at the code and the status, and whether there is a body to look at.

        Raises:
            ApiError: it is no success, or its body was not kept.
        """
        if self._accepted(answer) is _NOT_JSON and answer.flaw is not None:
            raise self._malformed(answer, answer.flaw, _DETAILS[answer.flaw])

    def _accepted(self, answer: Answer) -> object:
        document = _document(answer)
        vendor = _vendor_error(document, self.conceal)
        if vendor.code == "planLimitReached" or answer.status not in self.success:
            raise self._refusal(answer, vendor)
        return document

    def _refusal(self, answer: Answer, vendor: _VendorError) -> ApiError:
        kind, reason = _kind(answer.status)
        if vendor.code == "planLimitReached":
            kind, reason = PlanLimitReached, "plan_limit_reached"
        said = ": ".join(part for part in (vendor.code, vendor.message) if part) or _DETAILS.get(reason)
        return kind(
            f"{self.shown} answered {answer.status}" + (f" ({said})" if said else ""),
            reason=reason,
            operation=self.operation,
            endpoint=self.endpoint,
            status=answer.status,
            request_id=answer.request_id and self.conceal(answer.request_id),
            code=vendor.code,
            hint=vendor.hint,
            retry_after_seconds=retry_after_seconds(answer.headers, now=self.now),
        )

    def _malformed(self, answer: Answer, reason: str, detail: str) -> MalformedAnswer:
        return MalformedAnswer(
            f"{self.shown} answered {answer.status} with an answer outside the contract ({detail})",
            reason=reason,
            operation=self.operation,
            endpoint=self.endpoint,
            status=answer.status,
            request_id=answer.request_id and self.conceal(answer.request_id),
            shown_once=shown_once(answer.body) if self.is_shown_once else (),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RawResponse(Generic[T]):
    """A success as it came; `parse()` gives what the plain call would have returned.

    A deletion that an earlier attempt did, and whose answer was lost, is a success with the status 404.
    `headers` are found in any case. `body` may hold passwords: neither `repr` nor a log shows it. `request_id` is
    `None` where the vendor gave none.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    request_id: str | None
    _parse: Callable[[], T] = field(repr=False)

    def parse(self) -> T:
        """The result.

        Raises:
            MalformedAnswer: the body cannot be read.
        """
        return self._parse()


def error_of(
    no_answer: NoAnswer, *, operation: str, endpoint: str, shown: str, is_shown_once: bool = False
) -> ApiError:
    """The error for a call that no whole answer came back from; the rest as in `Reading`."""
    kind = _NO_ANSWERS.get(no_answer.reason, Unavailable)
    return kind(
        f"{shown}: {no_answer.detail}",
        reason=no_answer.reason,
        operation=operation,
        endpoint=endpoint,
        shown_once=shown_once(no_answer.received) if is_shown_once else (),
    )


def concealed(text: str, tokens: Iterable[SecretStr]) -> str:
    """`text` on one line, with `[token]` and `[connection string]` where one stood."""
    text = _CONNECTION_STRING.sub("[connection string]", text)
    for token in tokens:
        text = text.replace(token.get_secret_value(), "[token]")
    return _UNPRINTABLE.sub(" ", text)


def shown_once(body: bytes) -> tuple[SecretStr, ...]:
    """The connection strings, and the value of a service token, in a body of whatever shape.

    Of one that ends too early only what is whole: half of a connection string looks like one.
    """
    document = _decoded(body)
    found = _secrets_in(document) if document is not _NOT_JSON else _secrets_in_text(body.decode("utf-8", "replace"))
    return tuple(SecretStr(secret) for secret in dict.fromkeys(found))


def _secrets_in_text(text: str) -> Iterable[str]:
    found: list[str] = []
    name: object = ""
    for literal, colon in _LITERAL.findall(text):
        if colon:
            name = _whole(literal)
        else:
            found += _secrets_in(_whole(literal), str(name))
    # An escaped slash is as good in JSON as a plain one.
    return found or [match[1] for match in _WHOLE_CONNECTION_STRING.finditer(text.replace("\\/", "/"))]


def _whole(literal: str) -> object:
    try:
        return json.loads(literal)
    except ValueError:
        return None


def _with_the_rest(made: Created, body: bytes) -> Created:
    held = tuple(_held(made))
    rest = tuple(one for one in shown_once(body) if not any(one.get_secret_value() in other for other in held))
    return made.model_copy(update={"shown_once": rest}) if rest else made


def _held(value: object) -> Iterator[str]:
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, tuple):
        for inner in value:
            yield from _held(inner)
    elif isinstance(value, Wire):
        for name in type(value).model_fields:
            yield from _held(getattr(value, name))


def _secrets_in(value: object, name: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _secrets_in(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from _secrets_in(inner, name)
    elif isinstance(value, str) and value and (name in _SECRETS or _CONNECTION_STRING.match(value)):
        yield value


# The shapes that a good body can have ---------------------------------------------------------------
def enveloped(model: type[Envelope[T]]) -> Shape[T]:
    """`{"data": {…}}`"""
    validate = _validator(model)
    return lambda document, _: validate(document).data


def paged(model: type[W]) -> Shape[Page[W]]:
    """`{"data": […], "pagination": {"nextCursor", "hasMore"}}`"""
    sort = _sorter(model)

    def shape(document: object, _: datetime | None) -> Page[W]:
        answer = _page_answer(document)
        has_more = answer.pagination.has_more
        # An empty cursor is none.
        cursor = (answer.pagination.next_cursor or None) if has_more else None
        entries, refused = sort(answer.data)
        return Page(entries=entries, next_cursor=cursor, refused=refused, is_cut=has_more and cursor is None)

    return shape


def listed(model: type[W]) -> Shape[Page[W]]:
    """`{"data": […]}`, a list without pages."""
    sort = _sorter(model)

    def shape(document: object, _: datetime | None) -> Page[W]:
        entries, refused = sort(_list_answer(document).data)
        return Page(entries=entries, next_cursor=None, refused=refused)

    return shape


def nothing(_document: object, _answered_at: datetime | None) -> None:
    """An answer whose body does not matter."""


def json_value(document: object, _answered_at: datetime | None) -> Json:
    """Whatever JSON it is; `None` without a body."""
    return cast(Json, document)


def backups(document: object, _answered_at: datetime | None) -> Backups:
    """`{"data": […], "meta": {"backupRetentionDays"}, "pagination": {"hasMore"}}`: a list without a cursor."""
    answer = _backups_answer(document)
    entries, refused = _sort_backups(answer.data)
    return Backups(
        entries=entries,
        retention_days=answer.meta.backup_retention_days,
        has_more=answer.pagination.has_more,
        refused=refused,
    )


def usage(document: object, answered: datetime | None) -> Usage:
    """The bare usage body, its units and bounds checked.

    Raises:
        Unfit: a wrong shape or unit, a negative, infinite or absurd number, a period that ends before it starts.
    """
    answer = _usage_answer(document)
    if answer.period.start > answer.period.end:
        raise Unfit("bad_period", "the period ends before it starts")
    metrics = answer.metrics or Metrics()
    operations = _bounded(metrics.operations, unit="ops", most=MOST_OPERATIONS)
    storage_gib = _bounded(metrics.storage, unit="GiB", most=MOST_STORAGE_GIB)
    return Usage(
        period_start_at=answer.period.start,
        period_end_at=answer.period.end,
        operations=None if operations is None else round(operations),
        storage_bytes=None if storage_gib is None else round(storage_gib * GIBIBYTE),
        generated_at=answer.generated_at,
        answered_at=answered,
    )


def _bounded(metric: Metric | None, *, unit: str, most: int) -> int | float | None:
    if metric is None or metric.used is None:
        return None
    if metric.unit != unit:
        raise Unfit("wrong_unit", f"expected the unit {unit}")
    if not 0 <= metric.used <= most:
        raise Unfit("absurd_number", f"not between 0 and {most} {unit}")
    return metric.used


def _sorter(model: type[W]) -> Callable[[Iterable[object]], tuple[tuple[W, ...], tuple[Refused, ...]]]:
    validate = _validator(model)
    validate_id = _validator(create_model("Identified", __base__=Identified, id=(str, model.model_fields["id"])))

    def id_of(record: object) -> str | None:
        try:
            return validate_id(record).id
        except Unfit:
            return None

    def sort(records: Iterable[object]) -> tuple[tuple[W, ...], tuple[Refused, ...]]:
        entries: list[W] = []
        refused: list[Refused] = []
        for record in records:
            try:
                entries.append(validate(record))
            except Unfit as exc:
                refused.append(Refused(id=id_of(record), reason=str(exc)))
        return tuple(entries), tuple(refused)

    return sort


def _validator(shape: type[T]) -> Callable[[object], T]:
    adapter: TypeAdapter[T] = TypeAdapter(shape)

    def validate(document: object) -> T:
        try:
            return adapter.validate_python(document)
        except ValidationError as exc:
            problem = exc.errors(include_input=False, include_context=False, include_url=False)[0]
        # Outside the except block: a validation error holds the body, and a body can hold passwords.
        place = ".".join(str(step) for step in problem["loc"]) or "the whole"
        raise Unfit("wrong_shape", f"{place}: {problem['type']}")

    return validate


_list_answer = _validator(ListAnswer)
_page_answer = _validator(PageAnswer)
_usage_answer = _validator(UsageAnswer)
_backups_answer = _validator(BackupsAnswer)
_sort_backups = _sorter(Backup)


# What a header says ---------------------------------------------------------------------------------
def answered_at(headers: Mapping[str, str]) -> datetime | None:
    """The vendor's instant of an answer, in whole seconds: its `Date`, and the `Age` of a copy from a cache (RFC 9111).

    `None` without a date, or with one that no clock can show. An age that makes no sense is left out.
    """
    dated_at = http_date(headers.get("date", ""))
    if dated_at is None or not is_plausible(dated_at):
        return None
    age = headers.get("age", "").strip()
    is_sane = age.isascii() and age.isdigit() and len(age) < 9 and int(age) <= _MOST_AGE_SECONDS
    return dated_at + timedelta(seconds=int(age)) if is_sane else dated_at


def http_date(value: str) -> datetime | None:
    """An instant in UTC, written as headers write it; `None` where it is not."""
    try:
        instant = parsedate_to_datetime(value)
        return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def retry_after_seconds(headers: Mapping[str, str], *, now: datetime) -> float | None:
    """What `Retry-After` asks for, from 0 to a day; `None` without it or where it makes no sense.

    An HTTP-date is measured from the answer's own `Date` where it has one, so that a wrong clock
    on either side does not matter, else from `now`.
    """
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return _DAY_SECONDS if len(value) > 9 else min(float(value), _DAY_SECONDS)
    until = http_date(value)
    if until is None:
        return None
    seconds = (until - (answered_at(headers) or now)).total_seconds()
    return min(max(seconds, 0.0), _DAY_SECONDS)


# What a body says -----------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True, kw_only=True)
class _VendorError:
    code: str | None = None
    message: str | None = None
    hint: str | None = None


def _vendor_error(document: object, conceal: Callable[[str], str]) -> _VendorError:
    error = document.get("error") if isinstance(document, dict) else None
    if not isinstance(error, dict):
        return _VendorError()
    return _VendorError(
        code=_vendor_text(error.get("code"), 64, conceal),
        message=_vendor_text(error.get("message"), 300, conceal),
        hint=_vendor_text(error.get("hint"), 300, conceal),
    )


def _vendor_text(value: object, most: int, conceal: Callable[[str], str]) -> str | None:
    if not isinstance(value, str) or not value:
        return None
    # Concealed before it is cut, so that no half of a secret remains.
    text = _UNPRINTABLE.sub(" ", conceal(value))
    return text if len(text) <= most else text[:most] + "…"


def _kind(status: int) -> tuple[type[ApiError], str]:
    if status in _KINDS:
        return _KINDS[status], f"http_{status}"
    if 400 <= status < 500:
        return RequestRefused, f"http_{status}"
    if 500 <= status < 600:
        return Unavailable, f"http_{status}"
    return MalformedAnswer, "redirect" if 300 <= status < 400 else "unexpected_status"


_KINDS: Final[Mapping[int, type[ApiError]]] = {
    401: CredentialRefused,
    403: NotAllowed,
    404: NotFound,
    408: Unavailable,
    425: Unavailable,
    429: Throttled,
}

_DETAILS: Final[Mapping[str, str]] = {
    "compressed": "a compressed body, though none was asked for",
    "too_large": "a body larger than any honest one",
    "not_json": "a body that is not strict JSON",
    "redirect": "a redirect, which is not followed; is the address of the API right?",
}

_NOT_JSON: Final = object()


def _document(answer: Answer) -> object:
    return None if answer.status == 204 else _decoded(answer.body)


def _decoded(body: bytes) -> object:
    try:
        return _DECODER.decode(body.decode("utf-8"))
    except (ValueError, RecursionError):
        return _NOT_JSON


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a key occurs twice")
    return members


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_members, parse_constant=_refuse_constant)
