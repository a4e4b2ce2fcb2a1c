"""What is written through the API happens in the world, and nonsense is refused before anything happens."""

from __future__ import annotations

from datetime import timedelta

import pytest
from simulated import BEGINS_AT, NOW, TOKEN, client, every_page, simulated

from prisma_postgres_exporter.simulator import ManualClock, VendorBehaviour, WorldShape

LIVELY = WorldShape(workspaces=2, projects_per_workspace=2, databases=12, churn_per_day=12)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/v1/projects", b"", 422),
        ("POST", "/v1/projects", b"[]", 422),
        ("POST", "/v1/projects", b"\xff{}", 422),
        ("POST", "/v1/projects", b'{"name":7}', 422),
        ("POST", "/v1/projects", b'{"createDatabase":"yes"}', 422),
        ("POST", "/v1/projects", b'{"name":"' + b"x" * 70_000 + b'"}', 413),
        ("PATCH", "/v1/projects/{project}", b'{"name":""}', 422),
        ("PATCH", "/v1/projects/{project}", b'{"settings":[]}', 422),
        ("POST", "/v1/projects/{project}/transfer", b"{}", 422),
        ("POST", "/v1/databases", b"{}", 400),
        ("POST", "/v1/projects/{project}/databases", b'{"source":{"type":"tape"}}', 400),
        ("POST", "/v1/projects/{project}/databases", b'{"source":"backup"}', 400),
        ("POST", "/v1/databases", b'{"projectId":"{project}","branchId":"br_none"}', 404),
        ("POST", "/v1/databases", b'{"projectId":"{project}","branchId":null}', 400),
        ("POST", "/v1/databases", b'{"projectId":"{project}","branchGitName":"new","region":"mars-1"}', 400),
        ("PATCH", "/v1/databases/{database}", b'{"branchId":"br_none","branchGitName":"main"}', 409),
        ("POST", "/v1/databases/{database}/restore", b"{}", 422),
        ("POST", "/v1/databases/{database}/restore", b'{"source":{"type":"database","databaseId":"x"}}', 422),
        ("POST", "/v1/databases/{database}/connections", b'{"name":"ab"}', 422),
        ("POST", "/v1/connections", b'{"name":"application"}', 422),
        ("PUT", "/v1/projects/{project}", b"{}", 405),
        ("DELETE", "/v1/projects", b"", 405),
    ],
)
async def test_a_wrong_write_changes_nothing(method: str, path: str, body: bytes, status: int) -> None:
    simulator = simulated(LIVELY)
    workspace_id = simulator.world.tokens[TOKEN]
    registry = simulator.world.registry
    before = simulator.world.databases(NOW), simulator.world.projects(NOW), set(registry.branches)
    database = simulator.world.databases(NOW, workspace_id=workspace_id)[0]
    async with client(simulator) as api:
        target = path.format(project=database.project_id, database=database.id)
        answer = await api.request(method, target, content=body.replace(b"{project}", database.project_id.encode()))

    assert answer.status_code == status
    assert set(answer.json()["error"]) <= {"code", "message", "hint"}
    assert (simulator.world.databases(NOW), simulator.world.projects(NOW), set(registry.branches)) == before


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE"])
async def test_a_write_needs_a_good_token(method: str) -> None:
    simulator = simulated(LIVELY)
    async with client(simulator, token="simulator-token-of-nobody") as api:
        path = "/v1/projects" if method == "POST" else f"/v1/projects/{simulator.world.projects(NOW)[0].id}"
        assert (await api.request(method, path, json={})).status_code == 401


async def test_a_deleted_project_keeps_nothing_that_comes_later() -> None:
    simulator = simulated(LIVELY, now=BEGINS_AT + timedelta(days=1))
    world, clock = simulator.world, simulator.clock
    assert isinstance(clock, ManualClock)
    project = world.projects(clock())[0]
    world.delete_project(project.id, at=clock())
    held = {database.id for database in world.registry.databases.values() if database.project_id == project.id}

    clock.advance(timedelta(days=40))
    later = {database.id for database in world.registry.databases.values() if database.project_id == project.id}
    async with client(simulator) as api:
        listed = {database["id"] for database in await every_page(api, "/v1/databases")}
        assert (await api.get(f"/v1/projects/{project.id}")).status_code == 404
        assert [(await api.get(f"/v1/databases/{gone}")).status_code for gone in later] == [404] * len(later)
    assert listed
    assert not listed & later
    assert world.databases(clock()) == tuple(d for d in world.databases(clock()) if d.project_id != project.id)
    assert held


async def test_a_deletion_by_hand_changes_nothing_else_of_what_is_drawn() -> None:
    touched, untouched = simulated(LIVELY), simulated(LIVELY)
    project = touched.world.projects(BEGINS_AT)[1]
    touched.world.delete_project(project.id, at=BEGINS_AT)

    rest = [database for database in untouched.world.databases(NOW) if database.project_id != project.id]
    assert list(touched.world.databases(NOW)) == rest


async def test_what_is_written_has_no_prefix_where_the_vendor_writes_none() -> None:
    simulator = simulated(LIVELY, behaviour=VendorBehaviour(has_prefixes=False))
    async with client(simulator) as api:
        project = (await api.post("/v1/projects", json={})).json()["data"]
        connection = (
            await api.post("/v1/connections", json={"databaseId": project["database"]["id"], "name": "app"})
        ).json()
        bare = [
            project["id"],
            project["database"]["id"],
            connection["data"]["id"],
            connection["data"]["database"]["id"],
        ]
        assert all("_" not in id_ for id_ in bare)
        assert (await api.delete(f"/v1/connections/{connection['data']['id']}")).status_code == 204


async def test_a_restored_database_is_recovering_for_as_long_as_it_takes() -> None:
    simulator = simulated(LIVELY, behaviour=VendorBehaviour(restore_takes=timedelta(minutes=5)))
    world, clock = simulator.world, simulator.clock
    assert isinstance(clock, ManualClock)
    async with client(simulator) as api:
        backups = {
            database.id: [
                backup
                for backup in (await api.get(f"/v1/databases/{database.id}/backups")).json()["data"]
                if backup["status"] == "completed"
            ]
            for database in world.databases(NOW, workspace_id=world.tokens[TOKEN])
        }
        database_id, (backup, *_) = next(entry for entry in backups.items() if entry[1])
        source = {"type": "backup", "databaseId": database_id, "backupId": backup["id"]}
        told = (await api.post(f"/v1/databases/{database_id}/restore", json={"source": source})).json()["data"]
        assert told["status"] == "recovering"
        for minutes, status in ((4, "recovering"), (1, "ready")):
            clock.advance(timedelta(minutes=minutes))
            found = world.database(database_id, clock())
            assert found is not None
            assert found.status == status
            assert (await api.get(f"/v1/databases/{database_id}")).json()["data"]["status"] == status
