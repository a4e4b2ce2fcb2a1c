"""The demo's world: a small company, its shop, and one developer's side projects, as they are at the start."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from prisma_postgres_exporter.model import day_start, month_start, next_month_start, previous_month_start
from prisma_postgres_exporter.simulator.app import Simulator
from prisma_postgres_exporter.simulator.chance import between, draw
from prisma_postgres_exporter.simulator.clock import DAY_MS, Clock, from_ms, system_clock, to_ms
from prisma_postgres_exporter.simulator.founding import WorldShape
from prisma_postgres_exporter.simulator.load import Course, Load, Rhythm, StorageCourse
from prisma_postgres_exporter.simulator.registry import DatabaseRecord
from prisma_postgres_exporter.simulator.vendor import VendorBehaviour, WrongDay
from prisma_postgres_exporter.simulator.world import World

WHOLE_MONTHS: Final = 3
"""So many months before the running one are in the ledger from their first to their last day."""

FREE_OPERATIONS: Final = 200_000
FREE_SHARE: Final = 0.852
"""How much of its operations the Free workspace has used, if the month is neither young nor nearly over."""

_BEFORE: Final = timedelta(days=2)
_DAY: Final = timedelta(days=1)
_HOUR: Final = timedelta(hours=1)
_MINUTE: Final = timedelta(minutes=1)
_MIB: Final = 2**20
_GIB: Final = 2**30
_UNIT: Final = 1_000_000  # operations a day, to find out how many a course makes of it
_STORAGE_GROWTH_PERMYRIAD: Final = 7  # a day
_UNEVENNESS_PERMILLE: Final = 160
_LAUNCHED_DAYS_AGO: Final = (5, 6, 7, 8, 9)
_MOST_A_DAY: Final = 18_000
_SURELY: Final = 0.6  # what is left is used up in so much of the month's rest
_MOST_LAST_MONTH: Final = 180_000
_NEXT_PREVIEW_IN: Final = timedelta(minutes=4)
_REGION: Final = "eu-central-1"
_PREVIEWS, _AGES, _SURGES = 11, 12, 13  # the rows of random numbers that are drawn from here


@dataclass(frozen=True, slots=True, kw_only=True)
class _Database:
    """`operations` are those of the last whole month, `storage_bytes` what it held when that ended."""

    name: str
    operations: int
    storage_bytes: int
    rhythm: Rhythm
    growth_permille: int = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class _Workspace:
    name: str
    plan: str
    projects: tuple[tuple[str, tuple[_Database, ...]], ...]


def _database(name: str, operations: int, gib: float, rhythm: Rhythm, growth_permille: int = 40) -> _Database:
    return _Database(
        name=name,
        operations=operations,
        storage_bytes=int(gib * _GIB),
        rhythm=rhythm,
        growth_permille=growth_permille,
    )


_COMPANY: Final = _Workspace(
    name="Brightfield",
    plan="Pro",
    projects=(
        (
            "invoicing",
            (
                _database("invoicing-production", 9_400_000, 17.2, Rhythm.OFFICE, 130),
                _database("invoicing-staging", 610_000, 2.1, Rhythm.OFFICE),
            ),
        ),
        (
            "customer-portal",
            (
                _database("portal-production", 5_200_000, 8.4, Rhythm.OFFICE, 130),
                _database("portal-staging", 380_000, 0.9, Rhythm.OFFICE),
            ),
        ),
        (
            "reporting",
            (
                _database("reporting-production", 3_900_000, 11.6, Rhythm.NIGHTLY, 130),
                _database("reporting-staging", 240_000, 1.4, Rhythm.NIGHTLY),
            ),
        ),
        ("accounts", (_database("accounts-production", 1_900_000, 0.7, Rhythm.OFFICE, 90),)),
    ),
)
_SHOP: Final = _Workspace(
    name="Oakline Shop",
    plan="Starter",
    projects=(
        (
            "storefront",
            (
                _database("storefront-production", 6_100_000, 5.8, Rhythm.EVENINGS, 130),
                _database("storefront-staging", 310_000, 0.6, Rhythm.OFFICE),
            ),
        ),
        (
            "orders",
            (
                _database("orders-production", 3_400_000, 5.2, Rhythm.EVENINGS, 130),
                _database("orders-staging", 190_000, 0.5, Rhythm.OFFICE),
            ),
        ),
        ("newsletter", (_database("newsletter-production", 1_150_000, 1.3, Rhythm.NIGHTLY),)),
        ("search", (_database("catalogue-search", 820_000, 0.9, Rhythm.MACHINES),)),
    ),
)
_SIDE_PROJECTS: Final = _Workspace(
    name="Mira's side projects",
    plan="Free",
    projects=(
        ("recipe-box", (_database("recipe-box", 52_000, 0.085, Rhythm.EVENINGS, 0),)),
        ("trail-log", (_database("trail-log", 39_000, 0.16, Rhythm.EVENINGS, 0),)),
        ("book-club", (_database("book-club", 14_000, 0.035, Rhythm.EVENINGS, 0),)),
    ),
)
_WORKSPACES: Final = (_COMPANY, _SHOP, _SIDE_PROJECTS)
LAUNCHED: Final = "trail-log"
"""The side project that more people use since a few days before the start."""

REVISED: Final = "orders-production"
FAILING: Final = "reporting-staging"
_BRANCHES: Final = (
    "vat-rates",
    "invoice-pdf",
    "sepa-mandates",
    "passkey-login",
    "reminder-emails",
    "credit-notes",
    "xlsx-export",
    "dark-mode",
    "audit-trail",
    "multi-currency",
    "webhooks-v2",
    "faster-search",
    "team-roles",
    "invoice-numbering",
    "prisma-7",
    "bank-import",
    "e-invoice",
    "late-fees",
    "two-factor",
    "quote-to-invoice",
)
_SATURDAY: Final = 5
_PREVIEWED: Final = ("invoicing", "customer-portal")
_FIRST_PULL_REQUEST: Final = 1_204


def history_begins_at(now: datetime) -> datetime:
    """From when on the demo's ledger follows its world: before the first of the whole months."""
    month = month_start(now)
    for _ in range(WHOLE_MONTHS):
        month = previous_month_start(month)
    return month - _BEFORE


def demo_simulator(
    clock: Clock = system_clock, *, seed: int = 1, published_every: timedelta = timedelta(0)
) -> Simulator:
    """Three workspaces as they could be, and their last months, all of it following from the clock's instant.

    A Pro workspace of a company, where preview databases come and go and one database has not answered for hours; a
    Starter workspace that Pro would cost less; a Free one whose operations end within the month. Numbers are known
    within seconds.
    """
    now = clock().replace(microsecond=0)
    shape = WorldShape(
        workspaces=len(_WORKSPACES),
        projects_per_workspace=0,
        databases=0,
        plans=tuple(workspace.plan for workspace in _WORKSPACES),
    )
    world = World(seed=seed, shape=shape, begins_at=history_begins_at(now) - 7 * _DAY)
    company, _, side_projects = (
        _found(world, id_, workspace, now)
        for id_, workspace in zip(world.registry.workspaces, _WORKSPACES, strict=True)
    )
    _launch(world, side_projects, now)
    _preview(world, company, now)
    named = {record.names.at(to_ms(now)): record.id for record in world.registry.databases.values()}
    wrong_day = (now - 2 * _DAY).date()
    behaviour = VendorBehaviour(
        known_after=timedelta(seconds=2),
        known_every=timedelta(seconds=1),
        published_every=published_every,
        wrong_days={
            (named[REVISED], wrong_day): WrongDay(permille=-56, until_at=day_start(wrong_day) + _DAY + 4 * _HOUR)
        },
        broken_since={named[FAILING]: _broken_since(now)},
        creation_takes=timedelta(seconds=3),
    )
    return Simulator(world, clock, behaviour=behaviour)


def _broken_since(now: datetime) -> datetime:
    """Some hours ago: a short part of the month, later today, so that nearly everything is known."""
    today = day_start(now.date())
    part_of_the_month = (now - month_start(now)) / 150
    broken_for = min(timedelta(hours=3, minutes=20), max(timedelta(minutes=40), part_of_the_month), (now - today) / 2)
    return now - broken_for


def _found(world: World, workspace_id: str, workspace: _Workspace, now: datetime) -> str:
    """Make a workspace's projects and databases, each of which made and held so much in the last whole month."""
    world.rename_workspace(workspace_id, workspace.name, at=world.begins_at)
    until_ms = to_ms(month_start(now))
    since_ms = to_ms(previous_month_start(now))
    for name, databases in workspace.projects:
        age = between(160, 420, draw(world.seed, _AGES, len(world.registry.projects)))
        made_at = world.begins_at - age * _DAY
        project_id = world.add_project(workspace_id, name=name, at=made_at)
        for number, planned in enumerate(databases):
            id_ = world.add_database(
                project_id, name=planned.name, region=_REGION, is_default=number == 0, at=made_at + number * _DAY
            )
            record = world.registry.databases[id_]
            growth_bytes_a_day = planned.storage_bytes * _STORAGE_GROWTH_PERMYRIAD // 10_000
            grown_bytes = growth_bytes_a_day * (until_ms - record.created_ms) // DAY_MS
            storage = StorageCourse(
                planned.storage_bytes - grown_bytes, growth_bytes_a_day, planned.storage_bytes * 2 // 100
            )
            record.use(_UNIT, _course(planned.rhythm, planned.growth_permille), storage)
            record.use(
                planned.operations * _UNIT // record.operations(since_ms, until_ms),
                _course(planned.rhythm, planned.growth_permille),
            )
    return workspace_id


def _course(rhythm: Rhythm, growth_permille: int = 0) -> Course:
    return Course(rhythm=rhythm, growth_permille=growth_permille, unevenness_permille=_UNEVENNESS_PERMILLE)


def _launch(world: World, workspace_id: str, now: datetime) -> None:
    """Have one side project used more since some days, so that the workspace is about to be blocked.

    It has used `FREE_SHARE` of its operations then; more where the rest of the month would be too short for what is
    left, and less in the first days of a month: what that pace came to, so that the month before stays below.
    """
    records = tuple(world.registry.databases_ever_in(workspace_id))
    launched = next(record for record in records if record.names.at(to_ms(now)) == LAUNCHED)
    now_ms, begins_ms, last_begins_ms = (to_ms(at) for at in (now, month_start(now), previous_month_start(now)))
    used = sum(record.operations(begins_ms, now_ms) for record in records)
    used_last_month = sum(record.operations(last_begins_ms, begins_ms) for record in records)
    rest_days = (next_month_start(now) - now) / _DAY
    usual = sum(record.operations(now_ms - 28 * DAY_MS, now_ms) for record in records) / 28
    for days in _LAUNCHED_DAYS_AGO:
        unit = _surge(launched, day_start(now.date()) - days * _DAY + 16 * _HOUR, _UNIT)
        before = unit.operations_until(begins_ms) / _UNIT if unit.created_ms < begins_ms else 0
        until_now = unit.operations_until(now_ms) / _UNIT - before
        most = min(_MOST_A_DAY, (_MOST_LAST_MONTH - used_last_month) / before if before else _MOST_A_DAY)
        wanted = (FREE_SHARE * FREE_OPERATIONS - used) / until_now
        if wanted <= most and (wanted + usual) * rest_days * _SURELY >= (1 - FREE_SHARE) * FREE_OPERATIONS:
            break
    else:
        wanted = min(most, (FREE_OPERATIONS - used) / (until_now + rest_days / 2))
    launched.surge(_surge(launched, from_ms(unit.created_ms), int(wanted)))


def _surge(record: DatabaseRecord, from_at: datetime, operations_a_day: int) -> Load:
    return Load(
        key=draw(record.key, _SURGES),
        created_ms=to_ms(from_at),
        operations_a_day=operations_a_day,
        course=_course(Rhythm.EVENINGS),
    )


def _preview(world: World, workspace_id: str, now: datetime) -> None:
    """Have a database for each pull request of the company, from when it is opened until it is merged."""
    registry = world.registry
    named = {project.names.at(to_ms(now)): project for project in registry.projects_in(workspace_id, to_ms(now))}
    projects = [named[name] for name in _PREVIEWED]
    for project in projects:
        registry.add_branch(project.id, "main", project.created_ms)
    opened = [*_pull_requests(world, now), (now + _NEXT_PREVIEW_IN, now + _NEXT_PREVIEW_IN + _HOUR)]
    for number, (opened_at, merged_at) in enumerate(opened):
        bits = draw(world.seed, _PREVIEWS, number)
        project, topic = projects[number % len(projects)], _BRANCHES[number % len(_BRANCHES)]
        branch = registry.add_branch(project.id, f"feat/{topic}", to_ms(opened_at))
        branch.deleted_ms = to_ms(merged_at)
        name = f"pr-{_FIRST_PULL_REQUEST + 11 * number + bits % 7}-{topic}"
        id_ = world.add_database(project.id, name=name, region=_REGION, branch_id=branch.id, at=opened_at)
        size_bytes = between(60, 280, bits >> 8) * _MIB
        storage = StorageCourse(size_bytes, size_bytes // 200, size_bytes // 50)
        registry.databases[id_].use(between(6_000, 40_000, bits >> 16), _course(Rhythm.OFFICE), storage)
        world.delete_database(id_, at=merged_at)


def _pull_requests(world: World, now: datetime) -> Iterator[tuple[datetime, datetime]]:
    """When each was opened, and when it was merged: one a week, of late one each working day."""
    day = day_start(world.begins_at.date())
    while day < now + 2 * _DAY:
        bits = draw(world.seed, _PREVIEWS, (now - day).days, 1)
        if day.weekday() < _SATURDAY:
            merged_on = _working_day(day + between(2, 4, bits >> 16) * _DAY)
            yield (
                day + between(8 * 60, 12 * 60, bits) * _MINUTE,
                merged_on + between(9 * 60, 17 * 60, bits >> 32) * _MINUTE,
            )
        day += (6 if now - day > 18 * _DAY else 1) * _DAY


def _working_day(day: datetime) -> datetime:
    return day + (7 - day.weekday()) * _DAY if day.weekday() >= _SATURDAY else day
