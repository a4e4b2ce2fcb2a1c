"""The remote control, as a script uses it."""

from __future__ import annotations

from datetime import timedelta

from simulated import BEGINS_AT, NOW, TOKEN, client, simulated, vendor_instant

from prisma_postgres_exporter.simulator import Fault, FaultKind, Simulator, World, WorldShape


async def test_the_truth_can_be_asked_for() -> None:
    simulator = simulated()
    world = simulator.world
    workspace_id = world.tokens[TOKEN]
    database = world.databases(NOW, workspace_id=workspace_id)[0]
    span = {"from": vendor_instant(BEGINS_AT), "to": vendor_instant(NOW)}
    async with client(simulator, token=None) as admin:
        told = (await admin.get("/simulator/truth", params={**span, "database": database.id})).json()
        pooled = (await admin.get("/simulator/truth", params={**span, "workspace": workspace_id})).json()
        unknown = await admin.get("/simulator/truth", params={**span, "database": "db_none"})
        endless = await admin.get("/simulator/truth", params={"database": database.id})
    assert told == {
        "operations": world.operations(database.id, BEGINS_AT, NOW),
        "storage_bytes": world.storage_bytes(database.id, NOW),
        "final_at": "2026-11-18T00:00:00.000Z",
    }
    assert pooled == {"operations": world.workspace_operations(workspace_id, BEGINS_AT, NOW)}
    assert (unknown.status_code, endless.status_code) == (404, 400)


async def test_the_world_can_be_listed_at_any_instant() -> None:
    simulator = simulated()
    world = simulator.world
    async with client(simulator, token=None) as admin:
        now = (await admin.get("/simulator/world")).json()
        then = (await admin.get("/simulator/world", params={"at": vendor_instant(BEGINS_AT)})).json()
        one = (await admin.get("/simulator/world", params={"workspace": world.tokens[TOKEN]})).json()
        none = await admin.get("/simulator/world", params={"workspace": "wksp_none"})
    assert now["tokens"] == world.tokens
    assert [entry["id"] for entry in now["databases"]] == [database.id for database in world.databases(NOW)]
    assert [entry["id"] for entry in then["databases"]] == [database.id for database in world.databases(BEGINS_AT)]
    assert {entry["workspace_id"] for entry in one["databases"]} == {world.tokens[TOKEN]}
    assert none.status_code == 404


async def test_faults_can_be_ordered_seen_and_lifted() -> None:
    simulator = simulated()
    async with client(simulator) as admin:
        ordered = await admin.post("/simulator/faults", json={"kind": "throttled", "call": "me", "retry_after": "2"})
        number = ordered.json()["number"]
        assert ordered.status_code == 201
        assert (await admin.get("/v1/me")).status_code == 429
        listed = (await admin.get("/simulator/faults")).json()
        assert listed[str(number)]["kind"] == "throttled"
        assert (await admin.delete(f"/simulator/faults/{number}")).status_code == 204
        assert (await admin.delete(f"/simulator/faults/{number}")).status_code == 404
        assert (await admin.get("/v1/me")).status_code == 200
        await admin.post("/simulator/faults", json={"kind": "reset"})
        assert (await admin.delete("/simulator/faults")).status_code == 204
        assert (await admin.get("/simulator/faults")).json() == {}
        orders: tuple[object, ...] = ({"kind": "nothing"}, {"kind": "html", "oops": 1}, [])
        for wrong in orders:
            refused = await admin.post("/simulator/faults", json=wrong)
            assert refused.status_code == 400
            assert "error" in refused.json()


async def test_a_manual_clock_can_be_moved() -> None:
    simulator = simulated()
    async with client(simulator, token=None) as admin:
        assert (await admin.get("/simulator/clock")).json() == {"now": vendor_instant(NOW), "is_manual": True}
        moved = (await admin.post("/simulator/clock", json={"advance_seconds": 90})).json()
        assert moved["now"] == vendor_instant(NOW + timedelta(seconds=90))
        await admin.post("/simulator/clock", json={"now": "2026-12-01T01:00:00+01:00"})
        assert simulator.clock().isoformat() == "2026-12-01T00:00:00+00:00"
        wishes: tuple[object, ...] = (
            {},
            [],
            {"now": "x"},
            {"now": 5},
            {"advance_seconds": "x"},
            {"advance_seconds": 1e99},
        )
        for wrong in wishes:
            assert (await admin.post("/simulator/clock", json=wrong)).status_code == 400


async def test_the_machines_clock_cannot_be_moved() -> None:
    simulator = Simulator(World(shape=WorldShape(databases=1), begins_at=BEGINS_AT))
    async with client(simulator, token=None) as admin:
        assert (await admin.get("/simulator/clock")).json()["is_manual"] is False
        assert (await admin.post("/simulator/clock", json={"advance_seconds": 90})).status_code == 409


async def test_requests_can_be_seen_and_forgotten() -> None:
    simulator = simulated()
    simulator.faults.add(Fault(kind=FaultKind.HTML, call="me"))
    async with client(simulator) as admin:
        await admin.get("/v1/me")
        await admin.get("/v1/regions")
        seen = (await admin.get("/simulator/requests")).json()
        assert seen["counts"] == {"me": 1, "regions": 1}
        assert seen["newest"][0] == {"token": TOKEN, "call": "me", "database_id": None, "query": "", "fault": "html"}
        assert (await admin.delete("/simulator/requests")).status_code == 204
        assert (await admin.get("/simulator/requests")).json() == {"counts": {}, "newest": []}
