"""Faults on order: which answers go wrong, for whom and how often, and what becomes of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from enum import StrEnum
from itertools import count
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, field_validator

from prisma_postgres_exporter.simulator.calls import ENDPOINTS
from prisma_postgres_exporter.simulator.chance import draw, is_hit
from prisma_postgres_exporter.simulator.questions import FIRST_PAGE_CURSOR, Answer, Refused, encoded
from prisma_postgres_exporter.simulator.registry import prefixed


class FaultKind(StrEnum):
    """What goes wrong."""

    THROTTLED = "throttled"
    SERVER_ERROR = "server_error"
    UNAVAILABLE = "unavailable"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    PLAN_LIMIT = "plan_limit"
    HTML = "html"
    EMPTY = "empty"
    NOT_JSON = "not_json"
    WRONG_JSON = "wrong_json"
    REDIRECT = "redirect"
    SLOW = "slow"
    DRIP = "drip"
    RESET = "reset"
    HALF_BODY = "half_body"
    REPEATING_CURSOR = "repeating_cursor"
    CUT_LIST = "cut_list"
    NEGATIVE = "negative"
    NAN = "nan"
    HUGE = "huge"
    TEXT_NUMBER = "text_number"
    WRONG_UNIT = "wrong_unit"
    ABSENT_METRICS = "absent_metrics"
    OTHER_PERIOD = "other_period"


class Fault(BaseModel):
    """One order. What is `None` stands for all tokens, calls and databases.

    `call` is a call's name: `usage`, `databases`, `me` and so on. `times` is how often it happens, `None` for
    ever. Of the calls that match a `probability` is hit, drawn from `seed` in the order in which they
    come. `status` replaces the status of the answer. `retry_after` is the header as sent, seconds or an
    HTTP date. `seconds` is how long a slow answer waits, and a dripping one between two bytes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: FaultKind
    token: str | None = None
    call: str | None = None
    database_id: str | None = None
    times: Annotated[int, Field(ge=1)] | None = None
    probability: Annotated[float, Field(gt=0, le=1)] = 1.0
    seed: int = 0
    status: Annotated[int, Field(ge=200, le=599)] | None = None
    retry_after: str | None = None
    seconds: Annotated[float, Field(ge=0)] = 1.0

    @field_validator("call")
    @classmethod
    def _is_a_call(cls, name: str | None) -> str | None:
        if name is not None and name not in ENDPOINTS:
            raise ValueError(f"no such call; there are {', '.join(sorted(ENDPOINTS))}")
        return name


class Faults:
    """The orders in force. Where several match, the oldest one happens."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._numbers = count(1)
        self._orders: dict[int, _Order] = {}
        for fault in faults:
            self.add(fault)

    def add(self, fault: Fault) -> int:
        """Put an order in force; returns the number to clear it by."""
        number = next(self._numbers)
        self._orders[number] = _Order(fault)
        return number

    def clear(self, number: int | None = None) -> None:
        """Lift one order, or all of them.

        Raises:
            KeyError: no such order, or it is used up.
        """
        if number is None:
            self._orders.clear()
        else:
            del self._orders[number]

    def in_force(self) -> dict[int, Fault]:
        """The orders by number, `times` being what is left."""
        return {number: order.fault.model_copy(update={"times": order.left}) for number, order in self._orders.items()}

    def next_for(self, token: str, call: str, database_id: str | None) -> Fault | None:
        """The fault that happens to a call, counted as happened; `None` for none."""
        for number, order in self._orders.items():
            if order.is_for(token, call, database_id) and order.strikes():
                if order.left == 0:
                    del self._orders[number]
                return order.fault
        return None


class _Order:
    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.left = fault.times
        self._database_id = None if fault.database_id is None else prefixed("db_", fault.database_id)
        self._matched = 0

    def is_for(self, token: str, call: str, database_id: str | None) -> bool:
        fault = self.fault
        return fault.token in {None, token} and fault.call in {None, call} and self._database_id in {None, database_id}

    def strikes(self) -> bool:
        self._matched += 1
        if not is_hit(self.fault.probability, draw(self.fault.seed, self._matched)):
            return False
        if self.left is not None:
            self.left -= 1
        return True


_REFUSALS: Final = {
    FaultKind.THROTTLED: (429, "Too many requests"),
    FaultKind.SERVER_ERROR: (500, "Something went wrong"),
    FaultKind.UNAVAILABLE: (503, "Usage is temporarily unavailable"),
    FaultKind.UNAUTHORIZED: (401, "The token is not valid"),
    FaultKind.FORBIDDEN: (403, "The token may not do this"),
    FaultKind.NOT_FOUND: (404, "No such thing"),
    FaultKind.PLAN_LIMIT: (402, "The plan's limit is reached"),
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


def is_refusal(fault: Fault) -> bool:
    """Whether a call is refused by it, and so not carried out; one that a 5xx or a broken connection hides was."""
    if fault.kind not in _REFUSALS and fault.kind not in _BODIES:
        return False
    status = fault.status or _REFUSALS.get(fault.kind, (200, ""))[0]
    return 400 <= status < 500


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
    answer = Refused(*_REFUSALS[fault.kind]).answer
    retry_after = fault.retry_after
    if retry_after is None and fault.kind is FaultKind.UNAVAILABLE:
        retry_after = "1"
    headers = () if retry_after is None else ((b"retry-after", retry_after.encode()),)
    return replace(answer, status=fault.status or answer.status, headers=headers)


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


def _cut_list(document: Any) -> None:
    if "pagination" in document:
        without_cursor = {"nextCursor": None} if "nextCursor" in document["pagination"] else {}
        document["pagination"] |= {**without_cursor, "hasMore": True}


_CHANGES: Final[Mapping[FaultKind, Callable[[Any], None]]] = {
    FaultKind.NEGATIVE: _operations(-1),
    FaultKind.NAN: _operations(float("nan")),
    FaultKind.HUGE: _operations(1e300),
    FaultKind.TEXT_NUMBER: _operations("12"),
    FaultKind.WRONG_UNIT: _wrong_unit,
    FaultKind.ABSENT_METRICS: _absent_metrics,
    FaultKind.OTHER_PERIOD: _other_period,
    FaultKind.REPEATING_CURSOR: _repeating_cursor,
    FaultKind.CUT_LIST: _cut_list,
}
