"""From an answer, status, headers and body, to a result or the right error: pure, no I/O.

The `error.code` is looked at before the status, because a blocked workspace can answer with any status.
Decoding is stricter than `json.loads`: no NaN or Infinity, no duplicate keys, no byte order mark, UTF-8 only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeVar

from prisma_postgres_exporter.api.retry import retry_after_seconds
from prisma_postgres_exporter.api.shapes import Shape, Unfit
from prisma_postgres_exporter.errors import (
    ApiError,
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back. `flaw` is why the body was not read: `compressed` or `too_large`; `body` is empty then."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    flaw: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NoAnswer:
    """Nothing usable came back. `nothing_sent` is true only when the request certainly did not leave."""

    reason: str
    detail: str
    nothing_sent: bool


CLIENT_CLOSED: Final = NoAnswer(reason="client_closed", detail="the client is closed", nothing_sent=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class _VendorError:
    code: str | None = None
    message: str | None = None
    hint: str | None = None


def result_of(
    answer: Answer,
    *,
    endpoint: str,
    success: frozenset[int],
    shape: Shape[T],
    now: datetime,
    conceal: Callable[[str], str],
) -> T:
    """The result that `answer` holds.

    `endpoint` is the template, for messages. `conceal` masks secrets in text that the vendor wrote.

    Raises:
        ApiError: the one that fits the code, the status or the body.
    """
    document = _document(answer)
    vendor = _vendor_error(document, conceal)
    if vendor.code == "planLimitReached" or answer.status not in success:
        raise _refusal(answer, vendor, endpoint, now)
    if document is _NOT_JSON:
        reason = answer.flaw or "not_json"
        raise _malformed(endpoint, answer, reason, _DETAILS[reason])
    try:
        return shape(document)
    except Unfit as exc:
        reason, detail = exc.reason, str(exc)
    raise _malformed(endpoint, answer, reason, detail)


def error_of(no_answer: NoAnswer, *, endpoint: str) -> ApiError:
    """The error for a call that nothing usable came back from."""
    kind = MalformedAnswer if no_answer.reason == "bad_http" else Unavailable
    return kind(f"{endpoint}: {no_answer.detail}", reason=no_answer.reason, endpoint=endpoint)


def _refusal(answer: Answer, vendor: _VendorError, endpoint: str, now: datetime) -> ApiError:
    kind, reason = _kind(answer.status)
    if vendor.code == "planLimitReached":
        kind, reason = PlanLimitReached, "plan_limit_reached"
    said = ": ".join(part for part in (vendor.code, vendor.message) if part) or _DETAILS.get(reason)
    return kind(
        f"{endpoint} answered {answer.status}" + (f" ({said})" if said else ""),
        reason=reason,
        endpoint=endpoint,
        status=answer.status,
        code=vendor.code,
        hint=vendor.hint,
        retry_after_seconds=retry_after_seconds(answer.headers, now=now),
    )


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


def _malformed(endpoint: str, answer: Answer, reason: str, detail: str) -> MalformedAnswer:
    return MalformedAnswer(
        f"{endpoint} answered {answer.status} with an answer outside the contract ({detail})",
        reason=reason,
        endpoint=endpoint,
        status=answer.status,
    )


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


_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")


_NOT_JSON: Final = object()


def _document(answer: Answer) -> object:
    if answer.status == 204:
        return None
    try:
        return _DECODER.decode(answer.body.decode("utf-8"))
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
