"""The remote control, as a script uses it."""

from __future__ import annotations

from datetime import timedelta

import pytest
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


async def test_usage_can_be_added_now_and_in_the_past() -> None:
    simulator = simulated()
    database = simulator.world.databases(BEGINS_AT)[0]
    before = simulator.world.operations(database.id, BEGINS_AT, NOW)
    made_at = BEGINS_AT + timedelta(days=3)
    async with client(simulator, token=None) as admin:
        past = {"database": database.id, "operations": 500, "at": vendor_instant(made_at)}
        assert (await admin.post("/simulator/usage", json=past)).status_code == 204
        now = {"database": database.id.removeprefix("db_"), "operations": 70_000}
        assert (await admin.post("/simulator/usage", json=now)).status_code == 204
        span = {"database": database.id, "from": vendor_instant(BEGINS_AT)}
        later = {**span, "to": vendor_instant(NOW + timedelta(seconds=1))}
        told = (await admin.get("/simulator/truth", params=later)).json()["operations"]
        told_before = (await admin.get("/simulator/truth", params={**span, "to": vendor_instant(made_at)})).json()
    usual = simulator.world.operations(database.id, NOW, NOW + timedelta(seconds=1)) - 70_000
    assert told == before + usual + 70_500
    assert simulator.world.operations(database.id, BEGINS_AT, NOW) == before + 500
    assert told_before["operations"] == simulator.world.operations(database.id, BEGINS_AT, made_at)


async def test_a_database_can_be_made_to_fail() -> None:
    simulator = simulated()
    id_ = simulator.world.databases(NOW, workspace_id=simulator.world.tokens[TOKEN])[0].id
    async with client(simulator) as api:
        for wish, status in (
            ({"database": id_, "status": "failure"}, 204),
            ({"database": "db_x", "status": "ready"}, 404),
        ):
            assert (await api.post("/simulator/status", json=wish)).status_code == status
        assert (await api.post("/simulator/status", json={"database": id_, "status": "asleep"})).status_code == 400
        assert (await api.get(f"/v1/databases/{id_}")).json()["data"]["status"] == "failure"


async def test_usage_that_cannot_be_is_refused() -> None:
    simulator = simulated()
    id_ = simulator.world.databases(BEGINS_AT)[0].id
    wishes = (
        {"database": id_, "operations": 0},
        {"database": id_, "operations": 5, "at": "2026-11-01"},
        {"database": id_, "operations": 5, "at": vendor_instant(BEGINS_AT - timedelta(days=5_000))},
        {"database": id_, "operations": 5, "storage": 7},
        {"operations": 5},
    )
    async with client(simulator, token=None) as admin:
        answers = [(await admin.post("/simulator/usage", json=wish)).status_code for wish in wishes]
        unknown = await admin.post("/simulator/usage", json={"database": "db_none", "operations": 5})
    assert (answers, unknown.status_code) == ([400] * 5, 404)


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


@pytest.mark.parametrize(
    ("path", "order", "said"),
    [
        ("faults", {"kind": "nothing"}, ["kind: 'nothing' is none of 'throttled', ", "'cut_list'"]),
        (
            "faults",
            {"kind": "html", "call": "usages"},
            ["call: no such call; there are accelerate_regions, ", " usage,"],
        ),
        ("faults", {"kind": "html", "oops": 1}, ["oops: no such member; there are kind, token, call, "]),
        ("faults", {}, ["kind: Field required"]),
        ("status", {"database": "db_1", "status": "odd"}, ["status: 'odd' is none of 'failure', "]),
        ("usage", {"database": "db_1"}, ["operations: Field required"]),
    ],
)
async def test_a_wrong_order_is_told_what_there_is(path: str, order: object, said: list[str]) -> None:
    async with client(simulated()) as admin:
        refused = await admin.post(f"/simulator/{path}", json=order)

    message = refused.json()["error"]["message"]
    assert refused.status_code == 400
    assert [part for part in said if part not in message] == []
    assert "pydantic" not in message
    assert "validation error" not in message


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
