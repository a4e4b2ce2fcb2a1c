"""Discovery against the simulated vendor: who sees what, who reads it, and what a failure leaves alone."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from prisma_postgres_exporter.api import Clockwork, ManagementApi
from prisma_postgres_exporter.config import DiscoveryConfig, Filter
from prisma_postgres_exporter.discover import Inventory, discover, find_changes, is_followed, read_subscriptions
from prisma_postgres_exporter.errors import CredentialRefused, Unavailable
from prisma_postgres_exporter.model import (
    Book,
    Database,
    Discovered,
    EventKind,
    Position,
    Workspace,
    WorkspacePosition,
)
from prisma_postgres_exporter.simulator import (
    Fault,
    FaultKind,
    ManualClock,
    Simulator,
    World,
    WorldShape,
    serve_simulator,
)

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ONE, TWO = "simulator-token-1", "simulator-token-2"


async def no_wait(seconds: float) -> None:
    """Wait for nothing: the retries' pauses are not what is tried here."""


@pytest.fixture
def vendor() -> Simulator:
    world = World(
        seed=5,
        shape=WorldShape(workspaces=2, projects_per_workspace=3, databases=30, awkward_share=0.3),
        begins_at=NOW - timedelta(days=40),
    )
    return Simulator(world, ManualClock(NOW))


@contextlib.asynccontextmanager
async def clients(vendor: Simulator, **tokens: str) -> AsyncIterator[Mapping[str, ManagementApi]]:
    async with serve_simulator(vendor.app) as url, contextlib.AsyncExitStack() as stack:
        yield {
            name: await stack.enter_async_context(
                ManagementApi(token, base_url=url, clockwork=Clockwork(sleep=no_wait))
            )
            for name, token in tokens.items()
        }


def ids(inventory: Inventory) -> set[str]:
    return {database.id for database in inventory.databases}


async def test_every_database_of_every_workspace_is_found_with_its_project_and_workspace(vendor: Simulator) -> None:
    async with clients(vendor, one=ONE, two=TWO) as seen:
        found = await discover(seen)

    wanted = {
        database.id: replace(database, created_at=database.created_at.replace(microsecond=0))
        for database in vendor.world.databases(NOW)
    }
    got = {database.id: database for inventory in found.inventories for database in inventory.databases}
    assert got == wanted
    assert set(found.readers.values()) == {"one", "two"}
    assert all(report.error is None for report in found.credentials)


async def test_a_workspace_that_two_credentials_see_is_read_once(vendor: Simulator) -> None:
    async with clients(vendor, first=ONE, second=ONE) as seen:
        found = await discover(seen)

    assert len(found.inventories) == 1
    assert set(found.readers.values()) == {"first"}
    assert vendor.requests["databases"] == 1


async def test_the_second_credential_reads_where_the_first_fails(vendor: Simulator) -> None:
    vendor.faults.add(Fault(kind=FaultKind.FORBIDDEN, call="databases", times=1))
    async with clients(vendor, first=ONE, second=ONE) as seen:
        found = await discover(seen)

    assert set(found.readers.values()) == {"second"}
    assert found.credentials[0].error is not None
    assert len(found.inventories) == 1


async def test_a_wrong_token_is_reported_and_the_others_go_on(vendor: Simulator) -> None:
    async with clients(vendor, wrong="simulator-token-99", two=TWO) as seen:
        found = await discover(seen)

    wrong, two = found.credentials
    assert isinstance(wrong.error, CredentialRefused)
    assert wrong.workspace_id is None
    assert two.error is None
    assert len(found.inventories) == 1


async def test_a_list_that_breaks_off_is_no_inventory(vendor: Simulator) -> None:
    vendor.faults.add(Fault(kind=FaultKind.SERVER_ERROR, call="databases", token=ONE))
    async with clients(vendor, one=ONE, two=TWO) as seen:
        found = await discover(seen)

    assert [report.name for report in found.credentials if isinstance(report.error, Unavailable)] == ["one"]
    assert len(found.inventories) == 1
    assert found.credentials[0].workspace_id is not None


async def test_a_project_that_its_list_does_not_have_is_fetched(vendor: Simulator) -> None:
    async with clients(vendor, one=ONE) as seen:
        client = seen["one"]
        known = [project async for project in client.projects()]

        async def without_the_first(limit: int | None = None) -> AsyncIterator[object]:
            for project in known[1:]:
                yield project

        client.projects = without_the_first  # type: ignore[method-assign,assignment]  # a list that lags behind
        found = await discover({"one": client})

    assert vendor.requests["project"] == 1
    assert ids(found.inventories[0]) == {
        row.id for row in vendor.world.databases(NOW) if row.workspace_id == found.inventories[0].workspace.id
    }


async def test_plan_and_block_are_read_for_each_workspace(vendor: Simulator) -> None:
    async with clients(vendor, one=ONE) as seen:
        found = await discover(seen)
        workspace = found.inventories[0].workspace
        read, errors = await read_subscriptions({workspace.id: seen["one"]}, {workspace.id: workspace})
        vendor.faults.add(Fault(kind=FaultKind.SERVER_ERROR, call="subscription"))
        none, failed = await read_subscriptions({workspace.id: seen["one"]}, {workspace.id: workspace})

    assert [(row.plan, row.usage_blocked) for row in read] == [("Starter", False)]
    assert errors == {}
    assert none == ()
    assert set(failed) == {workspace.id}


# What changed -------------------------------------------------------------------------------------
def database(id_: str = "db_a", **changes: str) -> Database:
    fields = {"name": "a", "project_id": "proj_a", "project_name": "a", "workspace_id": "wksp_a", **changes}
    return Database(id=id_, region="us-east-1", status="ready", is_default=False, created_at=NOW, **fields)


def book(*databases: Database, deleted: frozenset[str] = frozenset(), gone: bool = False) -> Book:
    return Book(
        generation=1,
        workspaces={
            "wksp_a": WorkspacePosition(
                key=1,
                workspace=Workspace(id="wksp_a", name="a", plan="Pro", usage_blocked=False),
                first_seen_at=NOW,
                is_gone=gone,
            )
        },
        positions={
            row.id: Position(
                key=1,
                workspace_key=1,
                database=row,
                first_seen_at=NOW,
                counted_from=NOW.date(),
                known_until=NOW.date(),
                checked_until=NOW.date(),
                deleted_at=NOW if row.id in deleted else None,
            )
            for row in databases
        },
    )


def inventory(*databases: Database, workspace: str = "wksp_a", name: str = "a") -> Inventory:
    return Inventory(workspace=Workspace(id=workspace, name=name), databases=databases)


def changes(known: Book, *inventories: Inventory, gone: frozenset[str] = frozenset()) -> Discovered:
    return find_changes(known, inventories, gone_workspace_ids=gone, now=NOW)


def kinds(found: Discovered) -> list[tuple[str, EventKind]]:
    return [(event.subject, event.kind) for event in found.events]


def test_nothing_changed_is_nothing_to_write() -> None:
    assert changes(book(database()), inventory(database())) == Discovered(at=NOW)


def test_a_workspace_seen_for_the_first_time_is_one_event_however_many_databases_it_has() -> None:
    found = changes(Book(generation=0), inventory(database("db_a"), database("db_b")))

    assert kinds(found) == [("workspace", EventKind.CREATED)]
    assert len(found.databases) == 2


@pytest.mark.parametrize(
    ("known", "seen", "expected"),
    [
        (book(), database(), [("database", EventKind.CREATED)]),
        (book(database()), database(name="b"), [("database", EventKind.RENAMED)]),
        (book(database()), database(project_id="proj_b"), [("database", EventKind.MOVED)]),
        (book(database()), database(project_name="b"), [("project", EventKind.RENAMED)]),
        (book(database(), deleted=frozenset({"db_a"})), database(), [("database", EventKind.RETURNED)]),
        (book(database(), gone=True), database(), [("workspace", EventKind.RETURNED)]),
    ],
)
def test_what_happened_to_a_database_is_an_event(
    known: Book, seen: Database, expected: list[tuple[str, EventKind]]
) -> None:
    assert kinds(changes(known, inventory(seen))) == expected


def test_a_database_that_a_complete_list_does_not_have_is_deleted() -> None:
    found = changes(book(database()), inventory())

    assert found.deleted_database_ids == ("db_a",)
    assert kinds(found) == [("database", EventKind.DELETED)]


def test_without_a_list_of_its_workspace_nothing_is_deleted() -> None:
    assert changes(book(database())) == Discovered(at=NOW)


def test_a_database_in_another_workspace_has_moved_and_is_not_deleted() -> None:
    moved = database(workspace_id="wksp_b", project_id="proj_b")

    found = changes(book(database()), inventory(), inventory(moved, workspace="wksp_b"))

    assert found.deleted_database_ids == ()
    assert ("database", EventKind.MOVED) in kinds(found)


def test_a_workspace_that_nobody_reads_any_more_is_gone_once() -> None:
    assert changes(book(database()), gone=frozenset({"wksp_a"})).gone_workspace_ids == ("wksp_a",)
    assert changes(book(database(), gone=True), gone=frozenset({"wksp_a"})) == Discovered(at=NOW)


def test_a_discovery_does_not_forget_the_plan_and_keeps_it_through_a_new_name() -> None:
    (renamed,) = changes(book(), inventory(name="b")).workspaces

    assert (renamed.name, renamed.plan, renamed.usage_blocked) == ("b", "Pro", False)


# Filters ------------------------------------------------------------------------------------------
def patterns(*texts: str) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(text) for text in texts)


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        (Filter(), Filter(), True),
        (Filter(databases=patterns("^prod")), Filter(), True),
        (Filter(databases=patterns("^test")), Filter(), False),
        (Filter(databases=patterns("^test", "^prod")), Filter(), True),
        (Filter(databases=patterns("^db_a$")), Filter(), True),
        (Filter(workspaces=patterns("acme"), projects=patterns("^other$")), Filter(), False),
        (Filter(regions=patterns("^us-")), Filter(), True),
        (Filter(), Filter(regions=patterns("^us-")), False),
        (Filter(workspaces=patterns("acme")), Filter(databases=patterns("prod")), False),
    ],
)
def test_filters_include_what_matches_every_kind_and_exclude_what_matches_any(
    include: Filter, exclude: Filter, expected: bool
) -> None:
    discovery = DiscoveryConfig(include=include, exclude=exclude)

    assert is_followed(database(name="prod"), workspace_name="acme", discovery=discovery) is expected


def test_a_database_without_a_region_matches_no_pattern_of_regions() -> None:
    somewhere = Database(
        id="db_a",
        name="a",
        project_id="proj_a",
        project_name="a",
        workspace_id="wksp_a",
        region=None,
        status="ready",
        is_default=False,
        created_at=NOW,
    )
    only = DiscoveryConfig(include=Filter(regions=patterns(".*")))

    assert not is_followed(somewhere, workspace_name="a", discovery=only)
