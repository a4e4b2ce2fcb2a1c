"""How a fault changes an answer, for those faults that leave the connection alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from prisma_postgres_exporter.simulator.bodies import encoded, error
from prisma_postgres_exporter.simulator.faults import Fault, FaultKind
from prisma_postgres_exporter.simulator.paging import FIRST_PAGE_CURSOR
from prisma_postgres_exporter.simulator.questions import Answer

_REFUSALS: Final = {
    FaultKind.THROTTLED: (429, "tooManyRequests", "Too many requests"),
    FaultKind.SERVER_ERROR: (500, "internalServerError", "Something went wrong"),
    FaultKind.UNAVAILABLE: (503, "serviceUnavailable", "Usage is temporarily unavailable"),
    FaultKind.UNAUTHORIZED: (401, "unauthorized", "The token is not valid"),
    FaultKind.FORBIDDEN: (403, "forbidden", "The token may not do this"),
    FaultKind.NOT_FOUND: (404, "notFound", "No such thing"),
    FaultKind.PLAN_LIMIT: (402, "planLimitReached", "The plan's limit is reached"),
}
_BODIES: Final = {
    FaultKind.HTML: b"<html><body><h1>502 Bad Gateway</h1></body></html>",
    FaultKind.EMPTY: b"",
    FaultKind.NOT_JSON: b'{"data": [{"id": "db_',
    FaultKind.WRONG_JSON: b'{"unexpected": []}',
    FaultKind.REDIRECT: b"",
}
_HEADERS: Final = {
    FaultKind.HTML: ((b"content-type", b"text/html"),),
    FaultKind.REDIRECT: ((b"location", b"https://elsewhere.invalid/"),),
}


def spoiled(answer: Answer, fault: Fault) -> Answer:
    """The answer that a fault makes of a good one; a fault that has nothing to bite on leaves it as it is."""
    if fault.kind in _REFUSALS:
        return _refusal(fault)
    if fault.kind in _BODIES:
        status = 302 if fault.kind is FaultKind.REDIRECT else 200
        return Answer(status=fault.status or status, body=_BODIES[fault.kind], headers=_HEADERS.get(fault.kind, ()))
    if fault.kind in _CHANGES and answer.status == 200:
        return Answer(body=_changed(answer.body, _CHANGES[fault.kind]))
    return answer


def _refusal(fault: Fault) -> Answer:
    status, code, message = _REFUSALS[fault.kind]
    retry_after = fault.retry_after
    if retry_after is None and fault.kind is FaultKind.UNAVAILABLE:
        retry_after = "1"
    headers = () if retry_after is None else ((b"retry-after", retry_after.encode()),)
    return Answer(status=fault.status or status, body=error(code, message), headers=headers)


def _changed(body: bytes, change: Callable[[Any], None]) -> bytes:
    document = json.loads(body)
    change(document)
    return encoded(document)


def _operations(value: object) -> Callable[[Any], None]:
    def change(document: Any) -> None:
        if "metrics" in document:
            document["metrics"]["operations"]["used"] = value

    return change


def _wrong_unit(document: Any) -> None:
    if "metrics" in document:
        document["metrics"]["operations"]["unit"] = "kops"


def _absent_metrics(document: Any) -> None:
    if "metrics" in document:
        document["metrics"] = {"operations": {"used": None, "unit": "ops"}}


def _other_period(document: Any) -> None:
    if "period" in document:
        document["period"] = {"start": "2001-01-01T00:00:00.000Z", "end": "2001-01-31T23:59:59.999Z"}


def _repeating_cursor(document: Any) -> None:
    if "pagination" in document:
        document["pagination"] = {"nextCursor": FIRST_PAGE_CURSOR, "hasMore": True}


_CHANGES: Final[Mapping[FaultKind, Callable[[Any], None]]] = {
    FaultKind.NEGATIVE: _operations(-1),
    FaultKind.NAN: _operations(float("nan")),
    FaultKind.HUGE: _operations(1e300),
    FaultKind.TEXT_NUMBER: _operations("12"),
    FaultKind.WRONG_UNIT: _wrong_unit,
    FaultKind.ABSENT_METRICS: _absent_metrics,
    FaultKind.OTHER_PERIOD: _other_period,
    FaultKind.REPEATING_CURSOR: _repeating_cursor,
}
