"""Faults on order: which answers go wrong, how, for whom and how often."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from itertools import count
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from prisma_postgres_exporter.simulator.chance import draw, is_hit
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
