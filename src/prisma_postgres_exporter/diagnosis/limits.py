"""What of a workspace's limits is used up by our estimate, also while the vendor does not say that it blocks it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from prisma_postgres_exporter.cost import AT_LEAST, BLOCKING, Usage, WorkspaceCost
from prisma_postgres_exporter.model import month_start, next_month_start


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """A limit that is reached: how far, and what to do about it."""

    name: str
    percent: int
    text: str
    advice: str

    @property
    def is_block(self) -> bool:
        """Whether the vendor blocks the databases at it."""
        return self.name in BLOCKING


def reached_limits(cost: WorkspaceCost, usage: Usage, now: datetime) -> Iterator[Reached]:
    """Yield the limits that are reached at `now`, of a workspace that used so much of the month."""
    month_seconds = int((next_month_start(now) - month_start(now)).total_seconds())
    bill, spend_limit = cost.bill, cost.spend_limit
    for name, at in cost.limits:
        if at > now:
            continue
        if name == "free_operations" and (most := cost.included_operations):
            percent = int(100 * usage.known_operations / most)
            used = f"{usage.operations_qualifier}{usage.known_operations:,} of {most:,}"
            text = f"{used} operations of plan {cost.plan} used ({percent:,} %)"
            yield Reached(name=name, percent=percent, text=text, advice="upgrade the plan")
        elif name == "free_storage" and (most := cost.included_storage_bytes):
            percent = int(100 * usage.known_byte_seconds / (most * month_seconds))
            text = f"the month's storage of plan {cost.plan} used up ({percent:,} %)"
            yield Reached(name=name, percent=percent, text=text, advice="upgrade the plan, or delete data")
        elif spend_limit is not None and bill is not None and bill.charges is not None:
            counted, limit = spend_limit.counted(bill.charges), spend_limit.usd
            percent = int(100 * counted / limit) if limit else 100
            used = f"{'' if bill.are_charges_known else AT_LEAST}{counted:,.2f} of {limit:,.2f} USD"
            text = f"{used} of the spend limit used ({percent:,} %)"
            yield Reached(name=name, percent=percent, text=text, advice="raise the spend limit")
