"""Every answer of the simulator, good or not, is one that the vendor's types allow, member for member."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from vendor_types import Contract, body_problems, problems

from prisma_postgres_exporter.simulator import (
    ENDPOINTS,
    Fault,
    FaultKind,
    ManualClock,
    Simulator,
    VendorBehaviour,
    World,
    WorldShape,
)

NOW = datetime(2026, 11, 17, 13, 37, 11, 250_000, tzinfo=UTC)
TOKEN, OTHERS = "simulator-token-1", "simulator-token-2"
TOO_LARGE = {"name": "x" * 70_000}
CODES = {
    400: "client-error",
    401: "authentication-failed",
    403: "permission-denied",
    404: "resource-not-found",
    409: "client-error",
    413: "client-error",
    422: "validation-error",
    500: "internal-server-error",
    503: "internal-server-error",
}


class Place:
    """A simulated vendor with something of every kind, and the ids of what its first token sees."""

    def __init__(self) -> None:
        world = World(
            seed=3,
            shape=WorldShape(workspaces=2, projects_per_workspace=2, databases=12, plans=("Pro",), idle_share=0),
            begins_at=NOW - timedelta(days=60),
        )
        self.world = world
        self.simulator = Simulator(
            world, ManualClock(NOW), behaviour=VendorBehaviour(creation_takes=timedelta(seconds=5))
        )
        workspace_id = world.tokens[TOKEN]
        databases = world.databases(NOW, workspace_id=workspace_id)
        default = next(database for database in databases if database.is_default)
        other = next(d for d in databases if not d.is_default and d.project_id == default.project_id)
        registry, now_ms = world.registry, world.live_until(NOW)
        self.main = registry.add_branch(default.project_id, "main", now_ms).id
        self.preview = registry.add_branch(default.project_id, "feature/x", now_ms).id
        registry.databases[other.id].branch_id = self.preview
        integration = registry.integrations_of(workspace_id, now_ms)[0]
        self.workspace, self.project, self.default, self.other = (
            workspace_id,
            default.project_id,
            default.id,
            other.id,
        )
        self.elsewhere = world.databases(NOW, workspace_id=world.tokens[OTHERS])[0]
        self.empty_project = world.add_project(workspace_id, at=NOW)
        self.remote = world.add_database(self.project, at=NOW, is_remote=True)
        self.connection = default.id.replace("db_", "con_")
        self.integration, self.client = integration.id, integration.client_id
        self.token_id = registry.tokens_of(workspace_id, now_ms)[0].id
        self.idle_branch = registry.add_branch(default.project_id, "feature/y", now_ms).id

    def path(self, call: str, **ids: str) -> str:
        """A call's path; `id` stands for what the path's collection holds unless it is given."""
        path = ENDPOINTS[call].path
        collection = path.split("/")[2]
        named = {
            "workspaces": self.workspace,
            "projects": self.project,
            "databases": self.default,
            "connections": self.connection,
            "branches": self.preview,
            "integrations": self.integration,
        }
        usual = {"id": named.get(collection, ""), "clientId": self.client, "serviceTokenId": self.token_id}
        return path.format_map({**usual, **ids})

    @property
    def backup(self) -> dict[str, str]:
        """The source of a restore, from the project's default database."""
        from prisma_postgres_exporter.simulator.vendor import backups_of

        record, now_ms = self.world.registry.databases[self.default], self.world.live_until(NOW)
        found = next(held for held in backups_of(record, now_ms, plan="Pro") if held.status == "completed")
        return {"type": "backup", "databaseId": self.default, "backupId": found.id}


@dataclass(frozen=True)
class Ask:
    """What is asked: ids of the path, a query, a body, and what is done before."""

    ids: Callable[[Place], dict[str, str]] = lambda _: {}
    query: Callable[[Place], dict[str, str]] = lambda _: {}
    body: Callable[[Place], Any] = lambda _: None
    before: Callable[[Place], object] = lambda _: None


def fault(kind: FaultKind) -> Callable[[Place], object]:
    return lambda place: place.simulator.faults.add(Fault(kind=kind))


GOOD: dict[str, Ask] = {
    "create_project": Ask(body=lambda _: {"name": "new", "region": "eu-west-3"}),
    "update_project": Ask(body=lambda _: {"name": "newer"}),
    "delete_project": Ask(ids=lambda place: {"id": place.empty_project}),
    "transfer_project": Ask(body=lambda _: {"recipientAccessToken": OTHERS}),
    "create_project_database": Ask(body=lambda place: {"name": "new", "source": place.backup}),
    "create_database": Ask(body=lambda place: {"projectId": place.project, "logicalId": "a", "branchId": place.main}),
    "update_database": Ask(body=lambda _: {"name": "newer", "branchGitName": "feature/z"}),
    "delete_database": Ask(ids=lambda place: {"id": place.other}),
    "restore_database": Ask(body=lambda place: {"source": place.backup}),
    "create_database_connection": Ask(body=lambda _: {"name": "application"}),
    "create_connection": Ask(body=lambda place: {"databaseId": place.default, "name": "application"}),
    "create_branch": Ask(body=lambda _: {"gitName": "feature/z", "isDefault": True}),
    "update_branch": Ask(body=lambda _: {"isDefault": True}),
    "delete_branch": Ask(ids=lambda place: {"id": place.idle_branch}),
    "create_service_token": Ask(body=lambda _: {"name": "second"}),
    "integrations": Ask(query=lambda place: {"workspaceId": place.workspace}),
}
REFUSED: dict[tuple[str, int], Ask] = {
    ("usage", 400): Ask(query=lambda _: {"startDate": "2026-11-01"}),
    ("usage", 500): Ask(before=fault(FaultKind.SERVER_ERROR)),
    ("usage", 503): Ask(before=fault(FaultKind.UNAVAILABLE)),
    ("create_workspace", 403): Ask(body=lambda _: {"displayName": "mine"}),
    ("create_project", 409): Ask(
        body=lambda _: {"logicalId": "a"},
        before=lambda place: place.world.add_project(place.workspace, at=NOW, logical_id="a"),
    ),
    ("update_project", 403): Ask(ids=lambda place: {"id": place.elsewhere.project_id}, body=lambda _: {"name": "x"}),
    ("update_project", 422): Ask(body=lambda _: {"name": ""}),
    ("delete_project", 400): Ask(),
    ("transfer_project", 409): Ask(body=lambda _: {"recipientAccessToken": TOKEN}),
    ("databases", 403): Ask(query=lambda place: {"projectId": place.elsewhere.project_id}),
    ("database", 403): Ask(ids=lambda place: {"id": place.elsewhere.id}),
    ("create_project_database", 400): Ask(body=lambda _: {"region": "mars-1"}),
    ("create_project_database", 403): Ask(ids=lambda place: {"id": place.elsewhere.project_id}, body=lambda _: {}),
    ("create_database", 400): Ask(
        body=lambda place: {"projectId": place.project, "logicalId": "a", "branchGitName": "main"}
    ),
    ("create_database", 403): Ask(body=lambda place: {"projectId": place.elsewhere.project_id}),
    ("create_database", 404): Ask(body=lambda _: {"projectId": "proj_none"}),
    ("create_database", 409): Ask(
        body=lambda place: {"projectId": place.project, "logicalId": "a"},
        before=lambda place: place.world.add_database(place.project, at=NOW, logical_id="a"),
    ),
    ("update_database", 403): Ask(ids=lambda place: {"id": place.elsewhere.id}, body=lambda _: {"name": "x"}),
    ("update_database", 409): Ask(body=lambda _: {"logicalId": "a", "branchGitName": "main"}),
    ("delete_database", 403): Ask(),
    ("backups", 422): Ask(ids=lambda place: {"id": place.remote}),
    ("restore_database", 409): Ask(
        body=lambda place: {"source": place.backup},
        before=lambda place: place.world.change_status(place.default, "provisioning", at=NOW),
    ),
    ("restore_database", 422): Ask(body=lambda place: {"source": {"type": "database", "databaseId": place.other}}),
    ("create_connection", 404): Ask(body=lambda _: {"databaseId": "db_none", "name": "application"}),
    ("branches", 422): Ask(query=lambda _: {"gitName": "main", "gitNameContains": "m"}),
    ("create_branch", 409): Ask(body=lambda _: {"gitName": "main"}),
    ("create_branch", 422): Ask(body=lambda _: {"gitName": ""}),
    ("update_branch", 422): Ask(body=lambda _: {"gitName": "other"}),
    ("delete_branch", 409): Ask(),
    ("delete_branch", 422): Ask(ids=lambda place: {"id": place.main}),
    ("create_service_token", 422): Ask(body=lambda _: {"name": ""}),
}
UNKNOWN = {"id": "none", "clientId": "none", "serviceTokenId": "none"}


def asking(call: str, status: int) -> Ask:
    """How a call comes to a status; nobody's token, what is not there and what is too large are alike everywhere."""
    good = GOOD.get(call, Ask())
    if status == ENDPOINTS[call].status:
        return good
    if (call, status) in REFUSED:
        return REFUSED[call, status]
    if status == 401:
        return good
    if status == 404 and "{id}" in ENDPOINTS[call].path:
        return Ask(ids=lambda _: UNKNOWN, body=good.body)
    if status == 413:
        return Ask(ids=good.ids, body=lambda _: TOO_LARGE)
    raise AssertionError(f"nothing leads {call} to {status}")


async def answered(place: Place, call: str, ask: Ask, token: str = TOKEN) -> httpx.Response:
    ask.before(place)
    transport = httpx.ASGITransport(place.simulator.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://simulator.invalid") as api:
        return await api.request(
            ENDPOINTS[call].method,
            place.path(call, **ask.ids(place)),
            params=ask.query(place),
            json=ask.body(place),
            headers={"Authorization": f"Bearer {token}"},
        )


@pytest.mark.parametrize("call", ENDPOINTS)
async def test_every_status_of_every_call_has_the_vendors_body(contract: Contract, call: str) -> None:
    await check_every_status(contract, call)


async def check_every_status(contract: Contract, call: str) -> None:
    """Bring a call to each status that the vendor declares, and hold the body against its schema."""
    operation = contract.find(ENDPOINTS[call].method, ENDPOINTS[call].path)
    for status, schema in operation.answers.items():
        if (call, status) == ("create_workspace", 201):
            continue  # a service token cannot, and the simulator has no other
        ask, place = asking(call, status), Place()
        answer = await answered(place, call, ask, token="nobodys" if status == 401 else TOKEN)
        assert answer.status_code == status, (status, answer.text)
        assert body_problems(schema, answer.content) == [], status
        if status >= 400:
            assert answer.json()["error"]["code"] == CODES[status]


@pytest.mark.parametrize("call", ENDPOINTS)
def test_what_the_tests_send_is_what_the_vendor_takes(contract: Contract, call: str) -> None:
    operation, place = contract.find(ENDPOINTS[call].method, ENDPOINTS[call].path), Place()
    ask = GOOD.get(call, Ask())
    assert problems(operation.request, ask.body(place), exact=True) == [] or ask.body(place) is None
    assert problems(operation.query, ask.query(place), exact=True) == []


async def test_the_simulator_has_every_operation_of_prisma_postgres(contract: Contract) -> None:
    rooms = ("projects", "branches", "connections", "databases", "integrations", "me", "regions", "workspaces")
    of_postgres = {
        str(operation)
        for operation in contract.operations
        if operation.path.split("/")[2] in rooms
        and "alchemy" not in operation.path
        and "topology" not in operation.path
    }
    served = {str(contract.find(endpoint.method, endpoint.path)) for endpoint in ENDPOINTS.values()}
    assert served == of_postgres


@pytest.mark.parametrize("call", [name for name, endpoint in ENDPOINTS.items() if endpoint.method != "DELETE"])
@pytest.mark.parametrize("query", [{"limit": "0"}, {"cursor": "mine"}, {"product": "x", "startDate": "x"}])
async def test_nonsense_is_refused_in_the_vendors_words(contract: Contract, call: str, query: dict[str, str]) -> None:
    answer = await answered(Place(), call, Ask(query=lambda _: query, body=lambda _: {"name": 7, "region": 7}))
    operation = contract.find(ENDPOINTS[call].method, ENDPOINTS[call].path)
    if answer.is_success:
        assert body_problems(operation.answers[answer.status_code], answer.content) == []
    else:
        assert answer.status_code in {*operation.answers, 422}
        error = contract.find("GET", "/v1/me").answer(401)
        assert body_problems(error, answer.content) == []
        assert answer.json()["error"]["code"] == CODES[answer.status_code]


async def test_a_created_projects_database_stands_in_it_and_still_has_the_old_members() -> None:
    place = Place()
    database = (await answered(place, "create_project", GOOD["create_project"])).json()["data"]["database"]
    assert "project" not in database
    assert database["status"] == "provisioning"
    assert database["connectionString"] == database["apiKeys"][0]["connectionString"]
    assert database["connectionString"] == database["connections"][0]["endpoints"]["direct"]["connectionString"]
    assert set(database["directConnection"]) == {"host", "user", "pass"}


async def test_a_restored_database_says_what_it_was_restored_from() -> None:
    place = Place()
    answer = await answered(place, "restore_database", GOOD["restore_database"])
    assert answer.json()["data"]["source"] == place.backup
    assert answer.json()["data"]["status"] == "recovering"


@pytest.mark.parametrize(
    ("asked", "defaults", "got"),
    [(None, "eu-west-3", "us-east-1"), ("inherit", "eu-west-3", "eu-west-3"), ("inherit", None, "us-east-1")],
)
async def test_a_region_is_the_default_or_inherited(asked: str | None, defaults: str | None, got: str) -> None:
    place = Place()
    project_id = place.world.add_project(place.workspace, at=NOW, default_region=defaults)
    body = {"projectId": project_id, **({} if asked is None else {"region": asked})}
    answer = await answered(place, "create_database", Ask(body=lambda _: body))
    assert answer.json()["data"]["region"]["id"] == got


async def test_a_branch_that_becomes_the_default_takes_over() -> None:
    place = Place()
    assert (await answered(place, "update_branch", GOOD["update_branch"])).json()["data"]["isDefault"] is True
    told = (await answered(place, "branches", Ask())).json()["data"]
    assert [(branch["gitName"], branch["role"]) for branch in told if branch["isDefault"]] == [("feature/x", "preview")]
    assert [branch["gitName"] for branch in told if branch["role"] == "production"] == ["main"]


async def test_a_created_token_works_until_it_is_deleted() -> None:
    place = Place()
    made = (await answered(place, "create_service_token", GOOD["create_service_token"])).json()["data"]
    assert (await answered(place, "me", Ask(), token=made["value"])).json()["data"]["credential"]["name"] == "second"
    gone = Ask(ids=lambda _: {"serviceTokenId": made["id"]})
    assert (await answered(place, "delete_service_token", gone)).status_code == 204
    assert (await answered(place, "me", Ask(), token=made["value"])).status_code == 401


async def test_a_failed_database_says_so() -> None:
    place = Place()
    place.world.change_status(place.default, "failure", at=NOW)
    assert (await answered(place, "database", Ask())).json()["data"]["status"] == "failure"
