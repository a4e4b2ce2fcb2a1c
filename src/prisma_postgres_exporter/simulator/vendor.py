"""What the simulated vendor says: late, revised, and with a period of its own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from prisma_postgres_exporter.simulator.draws import share
from prisma_postgres_exporter.simulator.world import SimDatabase

GIB = 2**30
ONE_DAY = timedelta(days=1)
LAST_MILLISECOND = timedelta(milliseconds=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorBehaviour:
    """How the vendor tells its numbers.

    What happened becomes known `known_after` it did, in steps of `known_every`. `revised_share` of
    the closed days of a database are told wrongly, by up to `revised_by` of the day, up or down,
    until at most `revised_for` after the day's end. `widens` answers for whole UTC days.
    """

    known_after: timedelta = timedelta(0)
    known_every: timedelta = timedelta(0)
    revised_share: float = 0.0
    revised_by: float = 0.1
    revised_for: timedelta = timedelta(hours=12)
    widens: bool = False

    @property
    def final_after(self) -> timedelta:
        """How long after a day's end its number is certainly final."""
        return self.known_after + self.known_every + self.revised_for


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A usage answer: the period used, whole operations, storage in GiB."""

    starts_at: datetime
    ends_at: datetime
    operations: int
    storage_gib: float
    generated_at: datetime


def answer(
    database: SimDatabase,
    behaviour: VendorBehaviour,
    *,
    starts_at: datetime | None,
    ends_at: datetime | None,
    now: datetime,
) -> Answer:
    """Answer for a window as the vendor would at `now`; without a window for the month to date."""
    first = starts_at or now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    last = ends_at or now
    if behaviour.widens:
        first = _day_start(first)
    if last > now or behaviour.widens:
        last = _day_start(last - LAST_MILLISECOND) + ONE_DAY - LAST_MILLISECOND
    return Answer(
        starts_at=first,
        ends_at=last,
        operations=_told(
            database, behaviour, first, min(last + LAST_MILLISECOND if _is_day_end(last) else last, now), now
        ),
        storage_gib=database.traffic.storage(min(max(last, database.created_at), now)) / GIB,
        generated_at=now,
    )


def _told(
    database: SimDatabase, behaviour: VendorBehaviour, starts_at: datetime, ends_at: datetime, now: datetime
) -> int:
    known_until = _known_until(behaviour, now)
    told = database.operations(starts_at, min(ends_at, known_until))
    if behaviour.revised_share == 0.0:
        return told
    day = _day_start(starts_at if starts_at == _day_start(starts_at) else starts_at + ONE_DAY)
    while day + ONE_DAY <= min(ends_at, known_until):
        told += _error(database, behaviour, day, now)
        day += ONE_DAY
    return max(0, told)


def _error(database: SimDatabase, behaviour: VendorBehaviour, day: datetime, now: datetime) -> int:
    """By how much the vendor is wrong, now, about a closed day."""
    number = (day - EPOCH).days
    seed = database.traffic.seed
    if now - (day + ONE_DAY) > behaviour.revised_for or share(seed, number, 21) >= behaviour.revised_share:
        return 0
    is_corrected = now - (day + ONE_DAY) >= behaviour.revised_for * share(seed, number, 22)
    if is_corrected:
        return 0
    truth = database.operations(day, day + ONE_DAY)
    return int(truth * behaviour.revised_by * (2 * share(seed, number, 23) - 1))


def _known_until(behaviour: VendorBehaviour, now: datetime) -> datetime:
    known = now - behaviour.known_after
    if behaviour.known_every:
        known -= (known - EPOCH) % behaviour.known_every
    return known


def _day_start(instant: datetime) -> datetime:
    return datetime.combine(instant.date(), time.min, UTC)


def _is_day_end(instant: datetime) -> bool:
    return _day_start(instant) + ONE_DAY - instant <= LAST_MILLISECOND
