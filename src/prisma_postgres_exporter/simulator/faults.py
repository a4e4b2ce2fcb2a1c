"""What goes wrong on request: scripted by credential, call and database, for a number of times or for ever."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

from prisma_postgres_exporter.simulator.draws import share


class FaultKind(StrEnum):
    """How a call goes wrong."""

    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    PLAN_LIMIT = "plan_limit"
    THROTTLED = "throttled"
    SERVER_ERROR = "server_error"
    UNAVAILABLE = "unavailable"
    SLOW = "slow"
    RESET = "reset"
    HALF_BODY = "half_body"
    HTML = "html"
    WRONG_JSON = "wrong_json"
    NEGATIVE = "negative"
    NAN = "nan"
    HUGE = "huge"
    TEXT_NUMBER = "text_number"
    WRONG_UNIT = "wrong_unit"
    OTHER_PERIOD = "other_period"
    ABSENT_METRICS = "absent_metrics"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One rule. `None` matches everything; `call` is an operation's name (`usage`, `databases`, `me` …).

    It strikes `times` times (`None`: for ever), each time with `probability`. `seconds` is the
    delay of a slow answer, or what `Retry-After` says of one that is to be tried again.
    """

    kind: FaultKind
    token: str | None = None
    call: str | None = None
    database_id: str | None = None
    times: int | None = None
    probability: float = 1.0
    seconds: float = 1.0


@dataclass(slots=True)
class Faults:
    """The rules in force; the first that matches strikes."""

    rules: list[Fault] = field(default_factory=list)
    seed: int = 0
    _draws: int = 0

    def add(self, fault: Fault) -> None:
        """Put a rule in force."""
        self.rules.append(fault)

    def clear(self) -> None:
        """Take every rule out of force."""
        self.rules.clear()

    def strike(self, *, token: str, call: str, database_id: str | None) -> Fault | None:
        """Return the fault that this call suffers, and count it."""
        for index, fault in enumerate(self.rules):
            if fault.token not in (None, token) or fault.call not in (None, call):
                continue
            if fault.database_id not in (None, database_id) or not self._is_drawn(fault):
                continue
            if fault.times is not None:
                self.rules[index] = replace(fault, times=fault.times - 1)
                if fault.times <= 1:
                    del self.rules[index]
            return fault
        return None

    def _is_drawn(self, fault: Fault) -> bool:
        if fault.probability >= 1:
            return True
        self._draws += 1
        return share(self.seed, self._draws) < fault.probability
