"""Every answer has the shape that the vendor documents."""

from __future__ import annotations

import json
from datetime import timedelta

import httpx
import pytest
from simulated import BEGINS_AT, NOW, TOKEN, client, every_page, simulated, vendor_instant

from prisma_postgres_exporter.simulator import ManualClock, Simulator, VendorBehaviour, WorldShape


def check_error(answer: httpx.Response, status: int, code: str) -> None:
    assert answer.status_code == status
    assert answer.json()["error"]["code"] == code
    assert set(answer.json()["error"]) <= {"code", "message", "hint"}


def ids(simulator: Simulator) -> dict[str, str]:
    workspace_id = simulator.world.tokens[TOKEN]
    world = simulator.world
    database = next(
        database
        for database in world.databases(NOW, workspace_id=workspace_id)
        if world.operations(database.id, NOW - timedelta(days=9), NOW)
    )
    return {
        "workspace": workspace_id,
        "project": database.project_id,
        "database": database.id,
        "connection": database.id.replace("db_", "con_"),
    }


async def test_an_answer_is_json_of_the_length_it_says() -> None:
    simulator = simulated()
    async with client(simulator) as api:
        answer = await api.get("/v1/databases")
    assert answer.headers["content-type"] == "application/json"
    assert int(answer.headers["content-length"]) == len(answer.content)


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/v1/workspaces/wksp_none", 404, "resource-not-found"),
        ("/v1/workspaces/wksp_none/subscription", 404, "resource-not-found"),
        ("/v1/projects/proj_none", 404, "resource-not-found"),
        ("/v1/projects/proj_none/databases", 404, "resource-not-found"),
        ("/v1/databases/db_none", 404, "resource-not-found"),
        ("/v1/databases/db_none/usage", 404, "resource-not-found"),
        ("/v1/nothing", 404, "resource-not-found"),
        ("/v1/databases?limit=0", 422, "validation-error"),
        ("/v1/databases?limit=-1", 422, "validation-error"),
        ("/v1/databases?limit=many", 422, "validation-error"),
        ("/v1/databases?cursor=mine", 422, "validation-error"),
        ("/v1/databases?cursor=ÄÖ", 422, "validation-error"),
        ("/v1/projects?cursor=YWZ0ZXI6cHJval9ub25l", 422, "validation-error"),
        ("/v1/regions?product=other", 422, "validation-error"),
        ("/v1/databases/{database}/backups?limit=101", 422, "validation-error"),
        ("/v1/workspaces/{workspace}/service-tokens?limit=101", 422, "validation-error"),
        ("/v1/connections?cursor=YWZ0ZXI6Y29uX25vbmU=", 422, "validation-error"),
        ("/v1/connections/none", 404, "resource-not-found"),
        ("/v1/databases/{database}/usage?startDate=2026-11-01", 400, "client-error"),
        ("/v1/databases/{database}/usage?endDate=2026-11-01", 400, "client-error"),
        ("/v1/databases/{database}/usage?startDate=2026-11-01T00:00:00", 400, "client-error"),
        ("/v1/databases/{database}/usage?startDate=soonT", 400, "client-error"),
        ("/v1/databases/{database}/usage?startDate=", 400, "client-error"),
        ("/v1/databases/{database}/usage?startDate=0001-01-01T00:00:00%2B14:00", 400, "client-error"),
        (
            "/v1/databases/{database}/usage?startDate=2026-11-02T00:00:00Z&endDate=2026-11-01T00:00:00Z",
            400,
            "client-error",
        ),
    ],
)
async def test_a_wrong_request_has_an_error_body(path: str, status: int, code: str) -> None:
    simulator = simulated()
    async with client(simulator) as api:
        answer = await api.get(path.format(**ids(simulator)))
    check_error(answer, status, code)


async def test_a_method_that_a_path_does_not_have_is_refused() -> None:
    async with client(simulated()) as api:
        answer = await api.post("/v1/me")
    check_error(answer, 405, "client-error")


@pytest.mark.parametrize("header", [None, "simulator-token-1", "Bearer", "Bearer other", "Basic c2ltOg=="])
async def test_without_a_good_token_nothing_is_told(header: str | None) -> None:
    simulator = simulated()
    async with client(simulator, token=None) as api:
        for path in ("/v1/me", "/v1/databases", f"/v1/databases/{ids(simulator)['database']}/usage", "/v1/regions"):
            answer = await api.get(path, headers={} if header is None else {"Authorization": header})
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, "authentication-failed")


async def test_a_token_sees_its_own_workspace_only() -> None:
    simulator = simulated()
    world = simulator.world
    seen: list[str] = []
    for token, workspace_id in world.tokens.items():
        async with client(simulator, token) as api:
            listed = [entry["id"] for entry in await every_page(api, "/v1/databases", limit=7)]
            assert listed == [database.id for database in world.databases(NOW, workspace_id=workspace_id)]
            seen += listed
            workspaces = await every_page(api, "/v1/workspaces")
            assert [entry["id"] for entry in workspaces] == [workspace_id]
            for database in world.databases(NOW):
                status = (await api.get(f"/v1/databases/{database.id}/usage")).status_code
                assert status == (200 if database.workspace_id == workspace_id else 404)
    assert sorted(seen) == sorted(database.id for database in world.databases(NOW))


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 30, 100, 5_000])
async def test_pages_hold_everything_once_at_any_limit(limit: int) -> None:
    simulator = simulated(WorldShape(workspaces=1, projects_per_workspace=6, databases=31))
    async with client(simulator) as api:
        databases = await every_page(api, "/v1/databases", limit=limit)
        projects = await every_page(api, "/v1/projects", limit=limit)
        by_project = [
            entry
            for project in projects
            for entry in await every_page(api, f"/v1/projects/{project['id']}/databases", limit=limit)
        ]
    assert [entry["id"] for entry in databases] == [database.id for database in simulator.world.databases(NOW)]
    assert by_project == databases
    assert [entry["id"] for entry in projects] == [project.id for project in simulator.world.projects(NOW)]


async def test_a_page_is_a_hundred_long_unless_asked_otherwise() -> None:
    simulator = simulated(WorldShape(workspaces=1, databases=250), behaviour=VendorBehaviour(largest_page=150))
    async with client(simulator) as api:
        assert len((await api.get("/v1/databases")).json()["data"]) == 100
        assert len((await api.get("/v1/databases?limit=200")).json()["data"]) == 150


async def test_what_comes_and_goes_between_pages_hides_nothing_else() -> None:
    simulator = simulated(WorldShape(workspaces=1, projects_per_workspace=2, databases=10))
    world = simulator.world
    there = [database.id for database in world.databases(NOW)]
    async with client(simulator) as api:
        first = (await api.get("/v1/databases", params={"limit": 4})).json()
        world.delete_database(there[3], at=NOW)  # the one that the cursor names
        world.delete_database(there[0], at=NOW)
        world.add_database(world.projects(NOW)[0].id, at=NOW)
        cursor = first["pagination"]["nextCursor"]
        rest = (await api.get("/v1/databases", params={"cursor": cursor})).json()
    assert [entry["id"] for entry in first["data"]] == there[:4]
    assert {entry["id"] for entry in rest["data"]} >= set(there[4:])
    assert not {entry["id"] for entry in rest["data"]} & set(there[:4])


async def test_usage_is_the_truth_in_the_vendors_units() -> None:
    simulator = simulated()
    world, database_id = simulator.world, ids(simulator)["database"]
    start_at, end_at = NOW - timedelta(days=3), NOW - timedelta(days=1)
    query = {"startDate": vendor_instant(start_at), "endDate": vendor_instant(end_at - timedelta(milliseconds=1))}
    async with client(simulator) as api:
        told = (await api.get(f"/v1/databases/{database_id}/usage", params=query)).json()
    assert told["period"] == {"start": query["startDate"], "end": query["endDate"]}
    assert told["metrics"]["operations"]["used"] == world.operations(database_id, start_at, end_at)
    stored = round(told["metrics"]["storage"]["used"] * 2**30)
    assert stored == world.storage_bytes(database_id, end_at - timedelta(milliseconds=1))
    assert told["generatedAt"] == vendor_instant(NOW)


async def test_instants_may_be_written_with_any_offset() -> None:
    simulator = simulated()
    path = f"/v1/databases/{ids(simulator)['database']}/usage"
    async with client(simulator) as api:
        told = (await api.get(path, params={"startDate": "2026-11-03T02:00:00+02:00"})).json()
    assert told["period"]["start"] == "2026-11-03T00:00:00.000Z"


async def test_ids_are_taken_with_and_without_prefix_and_told_without_on_request() -> None:
    simulator = simulated(behaviour=VendorBehaviour(has_prefixes=False))
    named = ids(simulator)
    async with client(simulator) as api:
        for kind in ("workspace", "project", "database"):
            bare = named[kind].partition("_")[2]
            for id_ in (named[kind], bare):
                told = (await api.get(f"/v1/{kind}s/{id_}")).json()["data"]
                assert told["id"] == bare
        for database in await every_page(api, "/v1/databases", limit=3):
            assert "_" not in database["id"] + database["project"]["id"] + database["defaultConnectionId"]


async def test_regions_may_be_null_and_names_awkward() -> None:
    simulator = simulated(WorldShape(workspaces=1, databases=200, regionless_share=0.5, awkward_share=0.5))
    async with client(simulator) as api:
        databases = await every_page(api, "/v1/databases")
    regions = [database["region"] for database in databases]
    assert 50 < regions.count(None) < 150
    names = "".join(database["name"] for database in databases)
    assert all(part in names for part in ('"', "\n", "\\", "\N{FOX FACE}", "n" * 10_000))
    assert [database["name"] for database in databases] == [d.name for d in simulator.world.databases(NOW)]


async def test_deleted_and_moved_databases_answer_404_where_they_were() -> None:
    simulator = simulated(WorldShape(workspaces=2, projects_per_workspace=2, databases=8))
    world = simulator.world
    (first, _), (second, second_id) = world.tokens.items()
    moved, deleted = (world.projects(NOW)[place].id for place in (0, 1))
    moved_id, deleted_id = (
        next(database.id for database in world.databases(NOW) if database.project_id == project_id)
        for project_id in (moved, deleted)
    )
    world.move_project(moved, second_id, at=NOW)
    world.delete_database(deleted_id, at=NOW)
    async with client(simulator, first) as before, client(simulator, second) as after:
        assert (await before.get(f"/v1/databases/{moved_id}/usage")).status_code == 404
        assert (await before.get(f"/v1/projects/{moved}")).status_code == 404
        assert (await before.get(f"/v1/databases/{deleted_id}/usage")).status_code == 404
        told = (await after.get(f"/v1/databases/{moved_id}/usage")).json()
        assert told["metrics"]["operations"]["used"] == world.operations(
            moved_id, NOW.replace(day=1, hour=0, minute=0, second=0, microsecond=0), NOW
        )
        project = (await after.get(f"/v1/projects/{moved}")).json()["data"]
        assert project["workspace"]["id"] == second_id


async def test_a_blocked_workspace_says_so_and_may_refuse_its_databases() -> None:
    shape = WorldShape(workspaces=1, databases=3, blocked_workspaces=1)
    for refuses, status in ((False, 200), (True, 402)):
        simulator = simulated(shape, behaviour=VendorBehaviour(refuses_blocked=refuses))
        named = ids(simulator)
        async with client(simulator) as api:
            subscription = (await api.get(f"/v1/workspaces/{named['workspace']}/subscription")).json()["data"]
            answer = await api.get(f"/v1/databases/{named['database']}/usage")
        assert subscription["usageBlocked"] is True
        assert answer.status_code == status
        if refuses:
            check_error(answer, 402, "planLimitReached")


async def test_the_same_seed_answers_byte_for_byte_the_same() -> None:
    async def told(simulator: Simulator) -> list[bytes]:
        async with client(simulator) as api:
            paths = ("/v1/me", "/v1/projects", "/v1/databases", f"/v1/databases/{ids(simulator)['database']}/usage")
            return [(await api.get(path)).content for path in paths]

    assert await told(simulated(seed=4)) == await told(simulated(seed=4))
    assert await told(simulated(seed=4)) != await told(simulated(seed=5))


async def test_lists_follow_the_clock() -> None:
    simulator = simulated(now=BEGINS_AT)
    async with client(simulator) as api:
        before = await every_page(api, "/v1/databases")
        assert isinstance(simulator.clock, ManualClock)
        simulator.clock.advance(timedelta(days=30))
        after = await every_page(api, "/v1/databases")
    assert {entry["id"] for entry in before} != {entry["id"] for entry in after}


async def test_no_answer_but_a_database_holds_a_password() -> None:
    simulator = simulated()
    async with client(simulator) as api:
        for path in ("/v1/me", "/v1/projects", f"/v1/databases/{ids(simulator)['database']}/usage", "/simulator/world"):
            assert "password" not in (await api.get(path)).text
        assert "simulated-password" in json.dumps(await every_page(api, "/v1/databases"))


async def test_calls_are_counted_and_kept() -> None:
    simulator = simulated()
    database_id = ids(simulator)["database"]
    async with client(simulator) as api:
        await api.get(f"/v1/databases/{database_id.removeprefix('db_')}/usage", params={"startDate": "x"})
        await api.get("/v1/me")
        await api.get("/v1/me")
    assert simulator.requests == {"usage": 1, "me": 2}
    seen = simulator.calls.newest[0]
    assert (seen.token, seen.call, seen.database_id, seen.query) == (TOKEN, "usage", database_id, "startDate=x")
