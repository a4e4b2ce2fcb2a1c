"""Discovery against the simulated vendor: who sees what, who reads it, and what a failure leaves alone."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from prisma_postgres_exporter.config import Credential, DiscoveryConfig, Filter, Tokens
from prisma_postgres_exporter.model import (
    Database,
    DatabaseState,
    Discovered,
    EventKind,
    Move,
    Workspace,
    WorkspaceState,
)
from prisma_postgres_exporter.rounds import Inventory, Reader, Turn, is_followed
from prisma_postgres_exporter.rounds.changes import find_changes
from prisma_postgres_exporter.service.status import describe
from prisma_postgres_exporter.simulator import (
    Fault,
    FaultKind,
    ManualClock,
    Simulator,
    World,
    WorldShape,
    serve_simulator,
)
from rounds_bench import Bench, bench, configuration

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ONE, TWO = "simulator-token-1", "simulator-token-2"
LATER = timedelta(minutes=11)


@pytest.fixture
def vendor() -> Simulator:
    world = World(
        seed=5,
        shape=WorldShape(workspaces=2, projects_per_workspace=3, databases=30, awkward_share=0.3),
        begins_at=NOW - timedelta(days=40),
    )
    return Simulator(world, ManualClock(NOW))


@contextlib.asynccontextmanager
async def running(vendor: Simulator, tmp_path: Path, **tokens: str) -> AsyncIterator[Bench]:
    """A collector with these tokens, by the names of their credentials."""
    assert isinstance(vendor.clock, ManualClock)
    credentials = tuple(Credential(name=name, token=SecretStr(token)) for name, token in tokens.items())
    async with serve_simulator(vendor.app) as url:
        config = configuration(f"sqlite:///{tmp_path / 'ledger.db'}", api_url=url)
        async with bench(config, vendor.clock, Tokens(credentials=credentials)) as found:
            yield found


def workspace_of(vendor: Simulator, token: str) -> str:
    return vendor.world.tokens[token]


async def test_every_database_of_every_workspace_is_found_with_its_project_and_workspace(
    vendor: Simulator, tmp_path: Path
) -> None:
    async with running(vendor, tmp_path, one=ONE, two=TWO) as found:
        await found.discover()

        wanted = {
            database.id: replace(database, created_at=database.created_at.replace(microsecond=0))
            for database in vendor.world.databases(NOW)
        }
        assert {id_: state.database for id_, state in found.databases.items()} == wanted
        assert all(state.problem is None for state in found.collector.readers.states.values())


async def test_a_workspace_that_two_credentials_see_is_read_once(vendor: Simulator, tmp_path: Path) -> None:
    async with running(vendor, tmp_path, first=ONE, second=ONE) as found:
        await found.discover()

        reader = found.collector.readers.reader(workspace_of(vendor, ONE))
        assert reader is not None
        assert reader.name == "first"
        assert vendor.requests["databases"] == 1


async def test_the_second_credential_reads_where_the_first_is_refused(vendor: Simulator, tmp_path: Path) -> None:
    vendor.faults.add(Fault(kind=FaultKind.FORBIDDEN, call="databases", times=1))
    async with running(vendor, tmp_path, first=ONE, second=ONE) as found:
        await found.discover()

        reader = found.collector.readers.reader(workspace_of(vendor, ONE))
        assert reader is not None
        assert reader.name == "second"
        assert found.collector.readers.states["first"].reason == "http_403"
        assert len(found.ledger_state.workspaces) == 1


async def test_a_wrong_token_is_reported_and_the_others_go_on(vendor: Simulator, tmp_path: Path) -> None:
    async with running(vendor, tmp_path, wrong="simulator-token-99", two=TWO) as found:
        await found.round()

        wrong = found.collector.readers.states["wrong"]
        assert (wrong.is_refused, wrong.workspace_id, wrong.reason) == (True, None, "http_401")
        assert list(found.ledger_state.workspaces) == [workspace_of(vendor, TWO)]
        text = found.text()
        assert 'prisma_postgres_exporter_credential_up{credential="wrong"} 0.0' in text
        assert 'prisma_postgres_exporter_credential_up{credential="two"} 1.0' in text


async def test_a_token_that_is_revoked_between_two_discoveries_takes_its_workspace_down(
    vendor: Simulator, tmp_path: Path
) -> None:
    async with running(vendor, tmp_path, one=ONE) as found:
        await found.round()
        vendor.faults.add(Fault(kind=FaultKind.UNAUTHORIZED, token=ONE))
        for _ in range(2):
            found.clock.advance(timedelta(minutes=4))
            await found.rounds()

        (workspace,) = found.snapshot.workspaces
        assert (workspace.is_up, workspace.failure_reason) == (False, "http_401")


async def test_while_no_credential_reads_a_workspace_its_databases_are_down_as_soon_as_they_are_due(
    vendor: Simulator, tmp_path: Path
) -> None:
    """With every token refused the page said "none failing", and each database was up, for as long as 25 minutes."""
    of_one = workspace_of(vendor, ONE)
    async with running(vendor, tmp_path, one=ONE, two=TWO) as found:

        def states() -> tuple[set[tuple[bool | None, str | None]], ...]:
            views = found.snapshot.databases
            return tuple(
                {(view.is_up, view.failure_reason) for view in views if (view.workspace_id == of_one) is is_one}
                for is_one in (True, False)
            )

        await found.round()
        await found.live(timedelta(hours=1), every=timedelta(minutes=5))
        assert states() == ({(True, None)}, {(True, None)})
        vendor.faults.add(Fault(kind=FaultKind.UNAUTHORIZED, token=ONE))
        await found.live(found.collector.config.poll.read_within, every=timedelta(minutes=1))
        assert states() == ({(False, "http_401")}, {(True, None)})
        assert len(found.snapshot.workspaces) == 2
        down = sum(view.is_up is False for view in found.snapshot.databases)
        assert f'exporter_databases{{state="failed"}} {down}.0' in found.text()

        vendor.faults.clear()
        vendor.faults.add(Fault(kind=FaultKind.SERVER_ERROR, token=ONE))
        await found.live(timedelta(minutes=3), every=timedelta(minutes=1))
        assert states() == ({(False, "http_500")}, {(True, None)})

        vendor.faults.clear()
        await found.live(timedelta(minutes=3), every=timedelta(minutes=1))
        assert states() == ({(True, None)}, {(True, None)})


async def test_when_databases_are_looked_for_is_said(vendor: Simulator, tmp_path: Path) -> None:
    async with running(vendor, tmp_path, one=ONE) as found:
        await found.round()
        looked_at = found.clock.now

        (shown,) = describe(
            found.collector, found.display, started_at=looked_at, is_ready=True, now=looked_at, time=0.0
        ).rounds

        assert (shown.looked_at, shown.looks_at) == (looked_at, looked_at + found.collector.config.discovery.interval)


async def test_a_database_that_the_api_does_not_know_any_more_is_looked_for_at_once(
    vendor: Simulator, tmp_path: Path
) -> None:
    async with running(vendor, tmp_path, one=ONE) as found:
        await found.round()
        gone = min(found.collector.followed)
        found.clock.advance(timedelta(minutes=1))
        vendor.world.delete_database(gone, at=found.clock.now)
        found.clock.advance(found.collector.config.poll.interval)
        assert found.clock.now < NOW + found.collector.config.discovery.interval

        await found.rounds()

        assert gone not in found.views
        workspace = (await found.stored()).workspaces[workspace_of(vendor, ONE)]
        assert workspace.databases[gone].deleted_at is not None


async def test_one_that_is_listed_and_not_known_is_looked_for_once(vendor: Simulator, tmp_path: Path) -> None:
    async with running(vendor, tmp_path, one=ONE) as found:
        await found.round()
        (turn,) = found.collector.turns.values()
        looked = {turn.discovery_tried_at}
        vendor.faults.add(Fault(kind=FaultKind.NOT_FOUND, call="usage", database_id=min(found.collector.followed)))
        for _ in range(9):
            found.clock.advance(timedelta(minutes=1))
            await found.rounds()
            looked.add(turn.discovery_tried_at)

        assert len(looked) == 2


async def test_a_vendor_that_is_down_is_no_refused_credential(vendor: Simulator, tmp_path: Path) -> None:
    async with running(vendor, tmp_path, one=ONE) as found:
        await found.round()
        vendor.faults.add(Fault(kind=FaultKind.SERVER_ERROR))
        found.clock.advance(LATER)
        await found.round()

        assert 'prisma_postgres_exporter_credential_up{credential="one"} 1.0' in found.text()
        (workspace,) = found.snapshot.workspaces
        assert (workspace.is_up, workspace.failure_reason) == (False, "http_500")


async def test_a_list_that_breaks_off_deletes_nothing_and_leaves_the_others_alone(
    vendor: Simulator, tmp_path: Path
) -> None:
    async with running(vendor, tmp_path, one=ONE, two=TWO) as found:
        await found.discover()
        before = len(found.databases)
        vendor.faults.add(Fault(kind=FaultKind.SERVER_ERROR, call="databases", token=ONE))
        found.clock.advance(LATER)
        await found.discover()

        failures = found.collector.workspace_failures
        assert failures == {workspace_of(vendor, ONE): "http_500", workspace_of(vendor, TWO): None}
        assert len([row for row in found.databases.values() if row.deleted_at is None]) == before


@pytest.mark.parametrize("cursor", [{}, {"nextCursor": None}, {"nextCursor": ""}])
async def test_a_list_that_is_cut_without_a_cursor_adds_and_deletes_nothing(
    vendor: Simulator, tmp_path: Path, cursor: dict[str, object]
) -> None:
    assert isinstance(vendor.clock, ManualClock)
    cutting = CuttingVendor(vendor.app, cursor)
    async with serve_simulator(cutting) as url:  # type: ignore[arg-type]  # an application is an application
        config = configuration(f"sqlite:///{tmp_path / 'ledger.db'}", api_url=url)
        tokens = Tokens(credentials=(Credential(name="one", token=SecretStr(ONE)),))
        async with bench(config, vendor.clock, tokens) as found:
            counts = []
            for keeps in (slice(0, 1), slice(0, None), slice(1, 2), slice(0, 0)):
                cutting.keeps = keeps
                await found.discover()
                counts.append(len(found.databases))
                assert all(row.deleted_at is None for row in found.databases.values())
                assert [turn.refused for turn in found.collector.turns.values()] == [{"list_cut": 1}]
                found.clock.advance(LATER)

    assert counts == [1, *[len(cutting.ids)] * 3]
    assert len(cutting.ids) > 2


class CuttingVendor:
    """The simulated vendor, whose list of databases keeps a part, says that there are more, and not where."""

    def __init__(self, app: ASGIApp, cursor: dict[str, object]) -> None:
        self.keeps = slice(0, None)
        self.ids: set[str] = set()
        self._app = app
        self._pagination = {"hasMore": True, **cursor}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("path") != "/v1/databases":
            await self._app(scope, receive, send)
            return
        body = b""

        async def collect(message: Message) -> None:
            nonlocal body
            body += message.get("body", b"")

        await self._app(scope, receive, collect)
        records = json.loads(body)["data"]
        self.ids |= {record["id"] for record in records}
        answer = JSONResponse({"data": records[self.keeps], "pagination": self._pagination})
        await answer(scope, receive, send)


@pytest.mark.slow
async def test_plan_and_block_are_read_for_each_workspace_and_kept_where_they_cannot_be(
    vendor: Simulator, tmp_path: Path
) -> None:
    id_ = workspace_of(vendor, ONE)
    async with running(vendor, tmp_path, one=ONE) as found:
        await found.round()
        vendor.faults.add(Fault(kind=FaultKind.SERVER_ERROR, call="subscription"))
        found.clock.advance(timedelta(hours=2))
        await found.round()

        workspace = found.ledger_state.workspaces[id_].workspace
        assert (workspace.plan, workspace.usage_blocked) == ("Starter", False)


async def test_what_appears_was_created_and_what_was_there_already_is_found(vendor: Simulator, tmp_path: Path) -> None:
    async with running(vendor, tmp_path, one=ONE) as found:
        await found.discover()
        project = next(row for row in vendor.world.projects(NOW) if row.workspace_id == workspace_of(vendor, ONE))
        found.clock.advance(LATER)
        made = vendor.world.add_database(project.id, at=found.clock.now)
        other = next(row for row in vendor.world.databases(NOW) if row.workspace_id != project.workspace_id)
        vendor.world.move_project(other.project_id, project.workspace_id, at=found.clock.now)
        await found.discover()

        kinds = {event.subject_id: event.kind for event in await found.events() if event.subject == "database"}
        assert kinds[made] is EventKind.CREATED
        assert kinds[other.id] is EventKind.FOUND


@pytest.mark.slow
async def test_a_credential_that_is_taken_away_takes_its_workspace_from_what_is_shown_and_not_from_the_ledger(
    vendor: Simulator, tmp_path: Path
) -> None:
    async with running(vendor, tmp_path, one=ONE, two=TWO) as found:
        await found.round()
        days = len(await found.days())
        await found.collector.use_tokens(Tokens(credentials=(Credential(name="one", token=SecretStr(ONE)),)))
        await found.display.refresh()

        assert [row.workspace_id for row in found.snapshot.workspaces] == [workspace_of(vendor, ONE)]
        assert {view.workspace_id for view in found.snapshot.databases} == {workspace_of(vendor, ONE)}
        assert len(await found.days()) == days
        assert 'credential="two"' not in found.text()

        await found.collector.use_tokens(
            Tokens(
                credentials=tuple(
                    Credential(name=name, token=SecretStr(token)) for name, token in (("one", ONE), ("two", TWO))
                )
            )
        )
        await found.round()
        assert len(found.snapshot.workspaces) == 2


@pytest.mark.slow
async def test_one_database_in_two_lists_is_shown_once_and_does_not_wander(vendor: Simulator, tmp_path: Path) -> None:
    async with running(vendor, tmp_path, one=ONE, two=TWO) as found:
        await found.round()
        guest = next(row for row in vendor.world.databases(NOW) if row.workspace_id == workspace_of(vendor, ONE))
        discovery = found.collector._discovery
        store = discovery._store
        host = workspace_of(vendor, TWO)

        async def with_guest(turn: Turn, reader: Reader, inventory: Inventory, now: datetime) -> None:
            if turn.workspace_id == host:
                twin = replace(guest, workspace_id=host)
                inventory = replace(inventory, databases=(*inventory.databases, twin))
            await store(turn, reader, inventory, now)

        discovery._store = with_guest  # type: ignore[method-assign]  # a list with a database too many
        for _ in range(5):
            found.clock.advance(LATER)
            await found.round()

        moved = [event for event in await found.events() if event.kind is EventKind.MOVED]
        assert len(moved) == 1
        assert [view.database_id for view in found.snapshot.databases].count(guest.id) == 1
        assert 'discovery_refusals_total{reason="listed_twice"}' in found.text()


# What changed -------------------------------------------------------------------------------------
def database(id_: str = "db_a", **changes: str) -> Database:
    fields = {"name": "a", "project_id": "proj_a", "project_name": "a", "workspace_id": "wksp_a", **changes}
    return Database(id=id_, region="us-east-1", status="ready", is_default=False, created_at=NOW, **fields)


def state_of(row: Database, *, is_deleted: bool = False) -> DatabaseState:
    return DatabaseState(
        key=1,
        workspace_key=1,
        database=row,
        first_seen_at=NOW,
        counted_from=NOW.date(),
        known_until=NOW.date(),
        checked_until=NOW.date(),
        deleted_at=NOW if is_deleted else None,
    )


def known(*databases: Database, deleted: frozenset[str] = frozenset(), gone: bool = False) -> WorkspaceState:
    return WorkspaceState(
        key=1,
        workspace=Workspace(id="wksp_a", name="a", plan="Pro", usage_blocked=False),
        first_seen_at=NOW,
        gone_at=NOW if gone else None,
        looked_at=NOW,
        databases={row.id: state_of(row, is_deleted=row.id in deleted) for row in databases},
    )


def inventory(
    *databases: Database, name: str = "a", unclear: frozenset[str] = frozenset(), complete: bool = True
) -> Inventory:
    return Inventory(
        workspace=Workspace(id="wksp_a", name=name), databases=databases, unclear_ids=unclear, is_complete=complete
    )


def changes(
    held: WorkspaceState | None,
    found: Inventory,
    *,
    moving: tuple[Database, ...] = (),
    staying: frozenset[str] = frozenset(),
    kept: frozenset[str] = frozenset(),
    before_at: datetime | None = NOW - timedelta(minutes=10),
    looked_at: datetime | None = NOW,
    now: datetime = NOW,
) -> Discovered:
    return find_changes(
        held,
        found,
        moving={row.id: state_of(row) for row in moving},
        staying=staying,
        kept=kept,
        before_at=before_at,
        looked_at=looked_at,
        now=now,
        noted_at=now,
    )


def kinds(found: Discovered) -> list[tuple[str, EventKind]]:
    return [(event.subject, event.kind) for event in found.events]


def test_nothing_changed_is_nothing_to_write() -> None:
    assert changes(known(database()), inventory(database())) == Discovered(at=NOW)


def test_a_workspace_seen_for_the_first_time_is_one_event_however_many_databases_it_has() -> None:
    found = changes(None, inventory(database("db_a"), database("db_b")))

    assert kinds(found) == [("workspace", EventKind.FOUND)]
    assert len(found.databases) == 2


@pytest.mark.parametrize(
    ("held", "seen", "expected"),
    [
        (known(), database(), [("database", EventKind.CREATED)]),
        (known(database()), database(name="b"), [("database", EventKind.RENAMED)]),
        (known(database()), database(project_id="proj_b"), [("database", EventKind.MOVED)]),
        (known(database()), database(project_name="b"), [("project", EventKind.RENAMED)]),
        (known(database(), deleted=frozenset({"db_a"})), database(), [("database", EventKind.RETURNED)]),
        (known(database(), gone=True), database(), [("workspace", EventKind.RETURNED)]),
    ],
)
def test_what_happened_to_a_database_is_an_event(
    held: WorkspaceState, seen: Database, expected: list[tuple[str, EventKind]]
) -> None:
    assert kinds(changes(held, inventory(seen))) == expected


def test_what_was_made_before_the_last_discovery_was_found_and_not_created() -> None:
    assert kinds(changes(known(), inventory(database()), before_at=NOW)) == [("database", EventKind.FOUND)]
    assert kinds(changes(known(), inventory(database()), before_at=None)) == [("database", EventKind.FOUND)]


def test_a_database_that_a_complete_list_does_not_have_is_deleted() -> None:
    found = changes(known(database()), inventory())

    assert found.deleted_database_ids == ("db_a",)
    assert kinds(found) == [("database", EventKind.DELETED)]


@pytest.mark.parametrize(
    ("found", "kept"),
    [
        (inventory(unclear=frozenset({"db_a"})), frozenset[str]()),
        (inventory(complete=False), frozenset[str]()),
        (inventory(), frozenset({"db_a"})),
    ],
    ids=["listed in a record outside the contract", "a record without an id", "it may have moved"],
)
def test_a_database_that_may_be_there_is_not_deleted(found: Inventory, kept: frozenset[str]) -> None:
    assert changes(known(database()), found, kept=kept) == Discovered(at=NOW)


def test_a_database_that_another_workspace_held_has_moved() -> None:
    found = changes(known(), inventory(database()), moving=(database(workspace_id="wksp_b"),))

    assert [row.id for row in found.databases] == ["db_a"]
    assert kinds(found) == [("database", EventKind.MOVED)]
    assert changes(known(), inventory(database()), staying=frozenset({"db_a"})) == Discovered(at=NOW)


def test_a_workspace_that_nobody_looked_at_for_long_is_found_once_more_with_the_last_look() -> None:
    two_hours_ago = NOW - timedelta(hours=2)

    for before in (None, NOW, two_hours_ago):
        assert changes(known(), inventory(), looked_at=before).events == ()
    [event] = changes(known(), inventory(), looked_at=two_hours_ago - timedelta(seconds=1)).events
    assert (event.kind, event.subject_id, event.at) == (EventKind.FOUND, "wksp_a", NOW)
    assert event.last_there_at == two_hours_ago - timedelta(seconds=1)
    assert event.is_discovery_gap
    [first] = changes(None, inventory()).events
    assert (first.last_there_at, first.is_discovery_gap) == (NOW, False)


def test_that_somebody_looked_is_noted_every_half_hour() -> None:
    for minutes, is_noted in ((0, False), (29, False), (30, True), (600, True)):
        now = NOW + timedelta(minutes=minutes)
        found = changes(known(), inventory(), looked_at=now, now=now)
        assert found.is_unchanged
        assert (found.looked is not None, not found.is_empty) == (is_noted, is_noted)
        if found.looked is not None:
            # The event of its first discovery, which says since when it is looked at and until when.
            assert (found.looked.at, found.looked.last_there_at) == (NOW, now)
            assert not found.looked.is_discovery_gap


def test_a_move_says_until_when_the_database_was_seen_in_the_workspace_before() -> None:
    there = state_of(database(workspace_id="wksp_b"))
    read_at, later = NOW + timedelta(hours=1), NOW + timedelta(days=3)
    moved_before = Move(at=NOW + timedelta(hours=2), from_key=2, to_key=1, last_there_at=NOW)

    def last_there_at(state: DatabaseState, now: datetime = later) -> datetime | None:
        found = find_changes(
            known(),
            inventory(database()),
            moving={"db_a": state},
            staying=frozenset(),
            kept=frozenset(),
            before_at=None,
            looked_at=now,
            now=now,
            noted_at=now,
        )
        [event] = found.events
        return event.last_there_at

    assert last_there_at(there) == NOW, "it was found there"
    assert last_there_at(replace(there, last_success_at=read_at)) == read_at
    assert last_there_at(replace(there, last_success_at=read_at, moves=(moved_before,))) == moved_before.at
    assert last_there_at(replace(there, last_success_at=later), NOW) == NOW, "a clock that was set back"


def test_a_database_is_never_made_in_the_future_nor_later_than_it_was_believed() -> None:
    later = replace(database(), created_at=NOW + timedelta(days=9_000))
    (new,) = changes(known(), inventory(later)).databases

    assert new.created_at == NOW
    assert changes(known(database()), inventory(later)) == Discovered(at=NOW)


def test_a_discovery_does_not_forget_the_plan_and_keeps_it_through_a_new_name() -> None:
    (renamed,) = changes(known(), inventory(name="b")).workspaces

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
