"""Which calls came: counted, and the newest of them one by one."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Final

from prisma_postgres_exporter.simulator.faults import FaultKind

KEPT: Final = 10_000


@dataclass(frozen=True, slots=True)
class SeenCall:
    """One call as it arrived: its name, the query as sent, and the fault that hit it, if one did."""

    token: str
    call: str
    database_id: str | None
    query: str
    fault: FaultKind | None


@dataclass(slots=True)
class CallLog:
    """`counts` by call since the last reset; `newest` holds the last 10,000, oldest first."""

    counts: Counter[str] = field(default_factory=Counter)
    newest: deque[SeenCall] = field(default_factory=lambda: deque(maxlen=KEPT))

    def add(self, seen: SeenCall) -> None:
        """Take down one call."""
        self.counts[seen.call] += 1
        self.newest.append(seen)

    def reset(self) -> None:
        """Begin again with nothing seen."""
        self.counts.clear()
        self.newest.clear()
