"""Every operation against the simulator: what it changes, and what it is refused for."""

from __future__ import annotations

import logging
import pickle
import traceback
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import pytest
from hostile import answer, hostile_server

from prisma_postgres_exporter.api import BackupSource, Clock, DatabaseSource, Limits, ManagementApi
from prisma_postgres_exporter.errors import (
    ApiError,
    CredentialRefused,
    DatabaseFailed,
    NotAllowed,
    NotFound,
    PlanLimitReached,
    RequestRefused,
    Unavailable,
)
from prisma_postgres_exporter.simulator import (
    Fault,
    FaultKind,
    ManualClock,
    Simulator,
    VendorBehaviour,
    World,
    WorldShape,
    serve_simulator,
)

T = TypeVar("T")

NOW = datetime(2026, 11, 17, 13, 37, 11, tzinfo=UTC)
OTHERS = "simulator-token-2"
NOBODYS = "simulator-token-of-nobody"


@dataclass(slots=True)
class Bench:
    """A simulator on standing time, clients of its first two workspaces; sleeping moves the time."""

    simulator: Simulator
    api: ManagementApi
    other: ManagementApi

    @property
    def world(self) -> World:
        return self.simulator.world

    @property
    def now(self) -> datetime:
        return self.simulator.clock()

    @property
    def database_id(self) -> str:
        """A database that is not its project's default one."""
        workspace_id = next(iter(self.world.tokens.values()))
        return next(
            held.id for held in self.world.databases(self.now, workspace_id=workspace_id) if not held.is_default
        )


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    world = World(
        seed=1,
        shape=WorldShape(workspaces=2, projects_per_workspace=2, databases=12, idle_share=0),
        begins_at=NOW - timedelta(days=40),
    )
    clock = ManualClock(NOW)
    simulator = Simulator(world, clock, behaviour=VendorBehaviour(refuses_blocked=True))

    async def sleep(seconds: float) -> None:
        clock.advance(timedelta(seconds=seconds))

    time = Clock(now=clock, monotonic=lambda: clock().timestamp(), sleep=sleep)
    async with serve_simulator(simulator.app) as url:
        clients = [
            ManagementApi(token, base_url=url, clock=time, limits=Limits(requests_per_second=1e6))
            for token in world.tokens
        ]
        yield Bench(simulator, *clients)
        for client in clients:
            await client.aclose()


async def listed(entries: AsyncIterator[T]) -> list[T]:
    return [entry async for entry in entries]


async def refused(call: object) -> ApiError:
    with pytest.raises(ApiError) as caught:
        await call  # type: ignore[misc]  # a coroutine
    return caught.value


# Projects -----------------------------------------------------------------------------------------
async def test_a_project_is_created_with_a_default_database_renamed_and_deleted(bench: Bench) -> None:
    created = await bench.api.create_project(name="shop", region="eu-west-3", logical_id="shop-1")

    assert (created.name, created.default_region, created.logical_id) == ("shop", "eu-west-3", "shop-1")
    assert created.database is not None
    assert created.database.id is not None
    assert (created.database.is_default, created.database.region and created.database.region.id) == (True, "eu-west-3")
    endpoints = created.database.connections[0].endpoints
    assert endpoints.direct is not None
    assert endpoints.direct.connection_string is not None
    assert endpoints.direct.connection_string.get_secret_value().startswith("postgres://simulated-user:")
    assert [found.id for found in await listed(bench.api.projects(logical_id="shop-1"))] == [created.id]
    assert [held.id for held in await listed(bench.api.project_databases(created.id))] == [created.database.id]

    renamed = await bench.api.update_project(created.id, name="store", settings={"any": [1, None]})
    assert (renamed.name, (await bench.api.project(created.id)).name) == ("store", "store")

    await bench.api.delete_project(created.id)
    assert isinstance(await refused(bench.api.project(created.id)), NotFound)
    assert isinstance(await refused(bench.api.database(created.database.id)), NotFound)
    assert created.database.id not in {held.id for held in await listed(bench.api.databases(limit=3))}


async def test_a_project_may_begin_without_a_database(bench: Bench) -> None:
    created = await bench.api.create_project(create_database=False)

    assert created.database is None
    assert await listed(bench.api.project_databases(created.id)) == []


async def test_a_project_that_others_depend_on_stays(bench: Bench) -> None:
    created = await bench.api.create_project()
    await bench.api.create_database(created.id, name="second")
    error = await refused(bench.api.delete_project(created.id))

    assert (error.status, error.code, error.hint) == (400, "client-error", "Delete them first")
    assert len(await listed(bench.api.project_databases(created.id))) == 2


async def test_what_is_refused_about_projects(bench: Bench) -> None:
    theirs = (await listed(bench.other.projects()))[0].id
    await bench.api.create_project(logical_id="taken")
    ours = (await listed(bench.api.projects()))[0].id

    assert (await refused(bench.api.create_project(logical_id="taken"))).status == 409
    assert (await refused(bench.api.create_project(logical_id="x" * 70_000))).status == 413
    assert (await refused(bench.api.create_project(region="moon-1"))).status == 422
    assert (await refused(bench.api.create_project(workspace_id="wksp_other"))).status == 422
    assert isinstance(await refused(bench.api.update_project(theirs, name="mine")), NotAllowed)
    assert (await refused(bench.api.update_project("proj_none", name="x"))).status == 404
    assert (
        await refused(bench.api.update_project(ours, name="\N{FOX FACE}" * 128, settings={"a": "x" * 70_000}))
    ).status == 413
    assert (await refused(bench.api.delete_project(theirs))).status == 404


async def test_a_project_is_transferred_with_its_databases_and_their_ids(bench: Bench) -> None:
    created = await bench.api.create_project()
    assert created.database is not None
    assert created.database.id is not None
    assert isinstance(await refused(bench.api.transfer_project(created.id, NOBODYS)), CredentialRefused)
    assert (await refused(bench.api.transfer_project(created.id, "simulator-token-1"))).status == 409
    assert (await refused(bench.api.transfer_project(created.id, "x" * 70_000))).status == 413

    await bench.api.transfer_project(created.id, OTHERS)

    assert (await bench.other.project(created.id)).workspace.id == bench.world.tokens[OTHERS]
    assert (await bench.other.database(created.database.id)).project.id == created.id
    assert (await refused(bench.api.transfer_project(created.id, OTHERS))).status == 404


# Databases ----------------------------------------------------------------------------------------
async def test_a_database_is_created_changed_and_deleted(bench: Bench) -> None:
    project = (await listed(bench.api.projects()))[0]
    created = await bench.api.create_database(
        project.id.removeprefix("proj_"), name="orders", region="us-west-1", branch_git_name="feature/1"
    )
    moved = await bench.api.update_database(created.id, logical_id="o")

    assert (created.name, created.project and created.project.id, created.is_default) == ("orders", project.id, False)
    assert created.connections[0].direct_connection is not None
    assert [found.id for found in await listed(bench.api.databases(logical_id="o"))] == [created.id]
    assert [found.id for found in await listed(bench.api.databases(branch_git_name="feature/1"))] == [created.id]
    assert [found.id for found in await listed(bench.api.databases(branch_id=moved.branch_id))] == [created.id]
    assert created.id in {found.id for found in await listed(bench.api.databases(project.id, limit=1))}

    second = await bench.api.create_database(project.id, branch_id=moved.branch_id, logical_id="p")
    assert (second.branch_id, second.logical_id) == (moved.branch_id, "p")
    changed = await bench.api.update_database(created.id, name="bills", branch_git_name="main")
    assert (changed.name, changed.logical_id) == ("bills", "o")
    assert changed.branch_id not in {None, moved.branch_id}
    assert (await bench.api.database(created.id)).name == "bills"

    await bench.api.delete_database(created.id)
    assert (await refused(bench.api.delete_database(created.id))).status == 404
    assert (await refused(bench.api.usage(created.id))).status == 404


async def test_a_project_without_a_default_database_gets_one(bench: Bench) -> None:
    project = await bench.api.create_project(create_database=False)

    assert (await bench.api.create_database(project.id, is_default=True)).is_default
    assert (await refused(bench.api.create_database(project.id, is_default=True))).status == 400


async def test_a_database_is_made_from_another_or_from_a_backup(bench: Bench) -> None:
    original = await bench.api.database(bench.database_id)
    backup = (await bench.api.backups(original.id)).entries[0]
    project_id = original.project.id

    await bench.api.create_database(project_id, source=DatabaseSource(database_id=original.id))
    await bench.api.create_database(project_id, source=BackupSource(database_id=original.id, backup_id=backup.id))
    for source in (DatabaseSource(database_id="none"), BackupSource(database_id=original.id, backup_id="none")):
        assert (await refused(bench.api.create_database(project_id, source=source))).status == 404


async def test_what_is_refused_about_databases(bench: Bench) -> None:
    theirs = (await listed(bench.other.databases()))[0]
    project = await bench.api.create_project()
    assert project.database is not None
    assert project.database.id is not None
    await bench.api.create_database(project.id, logical_id="taken")
    other = await bench.api.create_database(project.id)

    assert isinstance(await refused(bench.api.create_database(theirs.project.id)), NotAllowed)
    assert isinstance(await refused(bench.api.create_project_database(theirs.project.id)), NotAllowed)
    assert isinstance(await refused(bench.api.update_database(theirs.id, name="mine")), NotAllowed)
    assert (await refused(bench.api.create_database("none"))).status == 404
    assert (await refused(bench.api.create_project_database("none"))).status == 404
    assert (await refused(bench.api.update_database("none", name="x"))).status == 404
    assert (await refused(bench.api.create_database(project.id, region="moon-1"))).status == 400
    assert (await refused(bench.api.create_database(project.id, logical_id="taken"))).status == 409
    assert (await refused(bench.api.update_database(other.id, logical_id="taken"))).status == 409
    for call in (bench.api.create_database, bench.api.create_project_database, bench.api.update_database):
        assert (
            await refused(call(project.id if call != bench.api.update_database else other.id, name="x" * 70_000))
        ).status == 413

    default = await refused(bench.api.delete_database(project.database.id))
    assert (default.status, default.code) == (403, "permission-denied")
    assert (await bench.api.database(project.database.id)).is_default


async def test_a_blocked_workspace_refuses_new_databases(bench: Bench) -> None:
    project = (await listed(bench.api.projects()))[0]
    bench.world.block_workspace(project.workspace.id, True, at=bench.now)

    assert isinstance(await refused(bench.api.create_database(project.id)), PlanLimitReached)
    assert (await bench.api.subscription(project.workspace.id)).usage_blocked


# Backups ------------------------------------------------------------------------------------------
async def test_backups_are_listed_with_how_long_they_are_kept(bench: Bench) -> None:
    every = await bench.api.backups(bench.database_id)
    two = await bench.api.backups(bench.database_id, limit=2)

    assert (every.retention_days, every.has_more, len(every.entries)) == (7, False, 7)
    assert (two.entries, two.has_more) == (every.entries[:2], True)
    assert {backup.status for backup in every.entries} <= {"completed", "failed", "running"}
    assert all(NOW - timedelta(days=8) < backup.created_at < NOW for backup in every.entries)
    assert all(backup.size for backup in every.entries)
    assert (await refused(bench.api.backups("none"))).status == 404


async def test_a_restored_database_recovers_and_is_ready_in_the_end(bench: Bench) -> None:
    backup = next(
        found for found in (await bench.api.backups(bench.database_id)).entries if found.status == "completed"
    )
    source = BackupSource(database_id=bench.database_id, backup_id=backup.id)
    statuses: list[str] = []

    restoring = await bench.api.restore_database(bench.database_id, source)
    assert restoring.status == "recovering"
    assert (await refused(bench.api.restore_database(bench.database_id, source))).status == 409
    bench.simulator.faults.add(Fault(kind=FaultKind.UNAVAILABLE, call="database", times=5))
    ready = await bench.api.wait_until_ready(
        bench.database_id, every_seconds=1, on_look=lambda database: statuses.append(database.status)
    )

    assert (ready.status, statuses[-1]) == ("ready", "ready")


async def test_a_database_that_fails_is_not_waited_for(bench: Bench) -> None:
    bench.world.change_status(bench.database_id, "failure", at=bench.now)

    assert isinstance(await refused(bench.api.wait_until_ready(bench.database_id)), DatabaseFailed)


async def test_what_is_refused_about_restoring(bench: Bench) -> None:
    project_id = (await bench.api.database(bench.database_id)).project.id
    remote_id = bench.world.add_database(project_id, at=bench.now, is_remote=True)
    backup = (await bench.api.backups(bench.database_id)).entries[0]
    good = BackupSource(database_id=bench.database_id, backup_id=backup.id)
    theirs = (await listed(bench.other.databases()))[0].id

    assert (await refused(bench.api.backups(remote_id))).status == 422
    assert (await refused(bench.api.restore_database(remote_id, good))).status == 422
    from_remote = BackupSource(database_id=remote_id, backup_id=backup.id)
    assert (await refused(bench.api.restore_database(bench.database_id, from_remote))).status == 422
    unknown = BackupSource(database_id=bench.database_id, backup_id="none")
    assert (await refused(bench.api.restore_database(bench.database_id, unknown))).status == 404
    assert (await refused(bench.api.restore_database(theirs, good))).status == 404


# Connections --------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", ["connections", "database"])
async def test_a_connection_is_created_rotated_and_deleted(bench: Bench, path: str) -> None:
    create = bench.api.create_connection if path == "connections" else bench.api.create_database_connection
    created = await create(bench.database_id, "application")

    assert (created.name, created.kind, created.database and created.database.id) == (
        "application",
        "postgres",
        bench.database_id,
    )
    assert created.endpoints.pooled is not None
    first = created.endpoints.pooled.connection_string
    assert first is not None
    found = await bench.api.connection(created.id)
    assert found.endpoints.pooled is not None
    assert found.endpoints.pooled.connection_string is None
    for entries in (
        bench.api.connections(bench.database_id),
        bench.api.database_connections(bench.database_id, limit=1),
    ):
        assert [entry.name for entry in await listed(entries)] == ["default", "application"]
    assert len(await listed(bench.api.connections(limit=2))) == 7

    rotated = await bench.api.rotate_connection(created.id)
    assert rotated.endpoints.pooled is not None
    assert rotated.endpoints.pooled.connection_string not in {None, first}

    await bench.api.delete_connection(created.id)
    for gone in (
        bench.api.connection(created.id),
        bench.api.rotate_connection(created.id),
        bench.api.delete_connection(created.id),
    ):
        assert isinstance(await refused(gone), NotFound)


async def test_the_first_connection_of_a_database_can_be_rotated_and_deleted_too(bench: Bench) -> None:
    (connection,) = await listed(bench.api.database_connections(bench.database_id))
    assert connection.id == (await bench.api.database(bench.database_id)).default_connection_id
    await bench.api.rotate_connection(connection.id)
    await bench.api.delete_connection(connection.id)

    assert await listed(bench.api.database_connections(bench.database_id)) == []
    assert (await bench.api.database(bench.database_id)).default_connection_id is None


async def test_connections_of_others_are_not_seen(bench: Bench) -> None:
    (connection, *_) = await listed(bench.other.connections())

    assert (await refused(bench.api.connection(connection.id))).status == 404
    assert (await refused(bench.api.create_connection(connection.database.id, "mine"))).status == 404
    assert (await refused(bench.api.create_database_connection(connection.database.id, "mine"))).status == 404


# The rest -----------------------------------------------------------------------------------------
async def test_workspace_regions_and_tokens_are_read(bench: Bench) -> None:
    me = await bench.api.me()
    (workspace,) = await listed(bench.api.workspaces())
    assert me.workspace is not None
    assert me.credential is not None

    assert (await bench.api.workspace(workspace.id)).id == me.workspace.id == workspace.id
    (token,) = await listed(bench.api.service_tokens(workspace.id))
    assert (token.id, token.name) == (me.credential.id, "exporter")
    assert token.value_hint not in {None, "simulator-token-1"}
    assert await listed(bench.api.service_tokens("wksp_other")) == []
    postgres = await bench.api.postgres_regions()
    assert [region.id for region in await bench.api.regions(product="postgres")] == [region.id for region in postgres]
    assert {region.status for region in postgres} == {"available"}
    assert {region.product for region in await bench.api.regions(product="accelerate")} == {"accelerate"}


async def test_a_new_database_is_used_like_any_other(bench: Bench) -> None:
    created = await bench.api.create_database((await listed(bench.api.projects()))[0].id)
    assert isinstance(bench.simulator.clock, ManualClock)
    bench.simulator.clock.advance(timedelta(days=2))

    assert (await bench.api.usage(created.id)).storage_bytes
    assert (await bench.api.usage(created.id)).operations


@pytest.mark.parametrize("method", ["create_project", "create_connection"])
async def test_a_creation_whose_answer_is_lost_happened_once_and_says_so(bench: Bench, method: str) -> None:
    bench.simulator.faults.add(Fault(kind=FaultKind.RESET, call=method))
    before = len(await listed(bench.api.projects())) + len(await listed(bench.api.connections()))
    call = (
        bench.api.create_project(create_database=False)
        if method == "create_project"
        else bench.api.create_connection(bench.database_id, "app")
    )
    error = await refused(call)

    assert isinstance(error, Unavailable)
    assert error.is_outcome_unknown
    assert len(await listed(bench.api.projects())) + len(await listed(bench.api.connections())) == before + 1


@pytest.mark.parametrize("kind", [FaultKind.RESET, FaultKind.HALF_BODY, FaultKind.SERVER_ERROR])
async def test_a_deletion_whose_answer_is_lost_is_done(bench: Bench, kind: FaultKind) -> None:
    database_id = bench.database_id
    await bench.api.database(database_id)
    bench.simulator.faults.add(Fault(kind=kind, call="delete_database", times=1))
    await bench.api.delete_database(database_id)

    assert bench.world.database(database_id, bench.now) is None


# Secrets ------------------------------------------------------------------------------------------
async def test_no_repr_text_json_or_log_shows_a_connection_string_or_password(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    project = await bench.api.create_project()
    connection = await bench.api.create_connection(bench.database_id, "app")
    rotated = await bench.api.rotate_connection(connection.id)
    assert project.database is not None
    assert project.database.id is not None

    for made in (project, project.database, connection, rotated, *project.database.connections):
        for shown in (repr(made), str(made), made.model_dump_json(), repr(made.model_dump())):
            assert "password" not in shown.replace("password=SecretStr", "").replace('"password":', "").replace(
                "'password':", ""
            )
            assert "postgres://" not in shown
    assert "simulated-password" not in caplog.text


async def test_no_error_shows_what_the_vendor_repeats_of_a_secret(bench: Bench) -> None:
    secret = "recipients-test-token-7"
    project_id = (await listed(bench.api.projects()))[0].id
    error = await refused(bench.api.transfer_project(project_id, secret))
    shown = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())

    assert secret not in "\n".join(line for line in shown.splitlines() if "test_api_simulated" not in line).replace(
        f"secret = '{secret}'", ""
    )
    assert secret.encode() not in pickle.dumps(error.args)


async def test_a_password_in_a_refusal_is_masked() -> None:
    echo = {
        "error": {
            "code": "x",
            "message": "postgresql://u:pass-word-9@h/db?x=1 and prisma+postgres://h/?api_key=k-9 fail",
        }
    }
    async with (
        hostile_server(answer(echo, status=400)) as server,
        ManagementApi("test-token", base_url=server.url) as api,
    ):
        error = await refused(api.create_database("1", name="x"))

    assert isinstance(error, RequestRefused)
    assert "pass-word-9" not in str(error)
    assert "k-9" not in str(error)
    assert str(error).endswith("[connection string] and [connection string] fail)")
