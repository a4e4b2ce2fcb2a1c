"""Who gets in: users, wrong passwords, rate limits, headers; and what a user sees who may see some workspaces alone."""

from __future__ import annotations

import asyncio
import base64
from collections import Counter
from dataclasses import replace
from typing import Any, cast

import bcrypt
import httpx
import pytest
from expose_views import A_DATABASE, A_SNAPSHOT, A_WORKSPACE, NOW, plain
from test_expose_parts_of_the_whole import A_BUDGET, families_of, united
from test_expose_web import A_STATUS

from prisma_postgres_exporter.config import WebFile
from prisma_postgres_exporter.expose import (
    Access,
    CredentialStatus,
    ExporterHealth,
    Exposition,
    PushStatus,
    Reload,
    RoundStatus,
    access,
    web_app,
)
from prisma_postgres_exporter.expose.ledger import Ledger
from prisma_postgres_exporter.snapshot import Snapshot
from web_files import hash_of

ALICE, BOB, OPS = ("alice", "a secret"), ("bob", "pässwörd"), ("ops", "x" * 100)
USERS = {name: hash_of(password[:72]) for name, password in (ALICE, BOB, OPS)}
BOUND = {"alice": ["wksp_a"], "bob": ["wksp_b", "wksp_c"], "ops": ["none"]}
THREE = Snapshot(
    taken_at=NOW,
    workspaces=tuple(
        replace(A_WORKSPACE, workspace_id=f"wksp_{x}", workspace_name=f"named {x}") for x in ("a", "b", "c")
    ),
    databases=tuple(
        replace(
            A_DATABASE,
            workspace_id=f"wksp_{x}",
            workspace_name=f"named {x}",
            database_id=f"db_{x}",
            database_name=f"base {x}",
        )
        for x in ("a", "b", "c")
    ),
    budgets=(A_BUDGET,),
)


INTERNALS: dict[str, Any] = {
    "version": "v8.8.8",
    "api_url": "https://api.of-the-whole.example.com",
    "store_url": "postgresql://store-of-the-whole",
    "store_error": "store-of-the-whole is full",
    "reload_error": "/etc/of-the-whole/config.yaml:3: wrong",
    "reload_failing_since_at": NOW,
    "unhealthy_reason": "rounds of wksp_b have stopped",
    "notes": ("wksp_c", "/etc/of-the-whole/config.yaml is readable by everyone"),
    "credentials": tuple(
        CredentialStatus(name=f"key of {x or 'nobody'}", is_up=False, workspace_id=f"wksp_{x}" if x else None)
        for x in ("a", "b", "c", "")
    ),
    "pushes": (PushStatus(target="otlp", url="https://push.of-the-whole.example.com", last_success_at=NOW,
                          failing_since_at=NOW, problem="wksp_b", waiting_since_at=NOW),),
    "sharing": {"host-of-the-whole": 2, "another": 1},
    "rounds": tuple(
        RoundStatus(workspace_id=f"wksp_{x}", workspace_name=f"named {x}", first_ended_at=NOW, finished_at=NOW,
                    seconds=1, readings=2, failed=0, next_at=NOW) for x in ("a", "b", "c")
    ),
}  # fmt: skip


def exposition_of(snapshot: Snapshot) -> Exposition:
    """With lines of the exporter's own that name workspaces and credentials."""
    health = ExporterHealth()
    for view in snapshot.workspaces:
        letter = view.workspace_id[-1]
        health.round_finished(view.workspace_id, 1.0, 0.0, NOW)
        health.credential_belongs(f"key of {letter}", view.workspace_id)
        health.credential_seen(f"key of {letter}", is_up=True)
    health.credential_seen("key of nobody", is_up=False)
    exposition = Exposition(health)
    exposition.render(snapshot)
    return exposition


class Door:
    """An application with a web configuration, and what it refused."""

    def __init__(
        self, snapshot: Snapshot = A_SNAPSHOT, bound: dict[str, list[str]] | None = None, **file: object
    ) -> None:
        self.file = WebFile.model_validate(file)
        self.refused: Counter[str] = Counter()
        self.reloads = 0
        self.is_stale = False
        self.exposition = exposition_of(snapshot)
        status = replace(A_STATUS, snapshot=snapshot, **INTERNALS)
        self.app = web_app(
            self.exposition,
            lambda: status,
            self._reload,
            ledger=cast(Ledger, object()) if bound is None else None,
            access=Access(
                file=lambda: self.file,
                users=bound or {},
                refused=lambda reason: self.refused.update([reason]),
                is_stale=lambda: self.is_stale,
            ),
        )

    async def _reload(self) -> Reload:
        self.reloads += 1
        return Reload()

    def client(self, user: tuple[str, str] | None = None, address: str = "192.0.2.1") -> httpx.AsyncClient:
        header = {}
        if user is not None:
            header["Authorization"] = "Basic " + base64.b64encode(":".join(user).encode()).decode()
        transport = httpx.ASGITransport(self.app, client=(address, 1))
        return httpx.AsyncClient(transport=transport, base_url="http://exporter", headers=header)

    async def get(self, path: str, user: tuple[str, str] | None = None, **headers: str) -> httpx.Response:
        async with self.client(user) as client:
            return await client.get(path, headers=headers)


PATHS = ("/", "/metrics", "/sd", "/api/v1/databases", "/databases/db_a", "/-/healthy", "/-/ready", "/nowhere")


@pytest.mark.parametrize("path", PATHS)
async def test_without_a_password_nothing_is_told(path: str) -> None:
    door = Door(basic_auth_users=USERS)
    for user in (None, ("alice", "wrong"), ("nobody", "a secret"), ("", ""), ("alice", "")):
        answer = await door.get(path, user)
        assert (answer.status_code, answer.text) == (401, "Unauthorized\n")
        assert answer.headers["www-authenticate"] == 'Basic realm="prisma-postgres-exporter"'
    assert door.refused == {"login": 4}


@pytest.mark.parametrize(
    ("address", "headers", "is_told"),
    [
        ("127.0.0.1", {}, True),
        ("::1", {}, True),
        ("192.0.2.1", {}, False),
        ("127.0.0.1", {"X-Forwarded-For": "192.0.2.1"}, False),
        ("127.0.0.1", {"Sec-Fetch-Site": "cross-site"}, False),
    ],
)
async def test_that_a_new_file_was_not_taken_is_told_to_programs_of_this_machine_alone(
    address: str, headers: dict[str, str], is_told: bool
) -> None:
    door = Door(basic_auth_users=USERS)
    for door.is_stale in (False, True):
        async with door.client(None, address) as client:
            answer = await client.get("/metrics", headers=headers)
        assert answer.status_code == 401
        assert (access.STALE in answer.headers) == (is_told and door.is_stale)


async def test_the_hash_that_stands_for_whoever_is_not_known_lets_nobody_in() -> None:
    door = Door(basic_auth_users={"alice": USERS["alice"]})
    assert (await door.get("/metrics", ("nobody", ALICE[1]))).status_code == 401


@pytest.mark.parametrize("user", [ALICE, BOB, OPS], ids=lambda user: user[0])
async def test_whoever_has_the_password_gets_in(user: tuple[str, str]) -> None:
    door = Door(basic_auth_users=USERS)
    for _ in range(2):
        assert (await door.get("/metrics", user)).status_code == 200
    assert not door.refused


@pytest.mark.parametrize("header", ["Basic", "Basic !!!", "Basic YWxpY2U=", "Bearer a secret", "basic /zph", ""])
async def test_what_is_no_basic_authorization_is_none(header: str) -> None:
    assert (await Door(basic_auth_users=USERS).get("/metrics", Authorization=header)).status_code == 401


async def test_a_new_file_counts_at_once_and_a_password_that_was_known_is_forgotten() -> None:
    door = Door(basic_auth_users=USERS)
    assert (await door.get("/metrics", ALICE)).status_code == 200
    door.file = WebFile.model_validate({"basic_auth_users": {"alice": hash_of("another")}})
    assert (await door.get("/metrics", ALICE)).status_code == 401
    assert (await door.get("/metrics", ("alice", "another"))).status_code == 200
    door.file = WebFile.model_validate({"basic_auth_users": {"bob": USERS["bob"]}})
    assert (await door.get("/metrics", ("alice", "another"))).status_code == 401


async def test_whoever_is_not_known_takes_as_much_work_as_whoever_is(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bytes] = []
    is_equal = access._is_equal

    def counted(password: bytes, hash_: bytes, most_cost: int) -> bool:
        compared.append(hash_)
        return is_equal(password, hash_, most_cost)

    monkeypatch.setattr(access, "_is_equal", counted)
    door = Door(basic_auth_users=USERS)
    for user in (("alice", "wrong"), ("alice", "wrong"), ("nobody", "x"), ("nobody", "x"), ALICE, ALICE, ALICE):
        await door.get("/metrics", user)
    # One comparison for each that is wrong, and one for the first that is right.
    assert len(compared) == 5
    assert compared[2] == compared[3]
    assert {hash_.decode() for hash_ in compared} <= set(USERS.values())


async def test_a_cheap_hash_takes_as_much_work_as_the_dearest(monkeypatch: pytest.MonkeyPatch) -> None:
    hashes = {b"cheap": hash_of("a", cost=4).encode(), b"dear": hash_of("b", cost=7).encode()}
    made: list[int] = []
    monkeypatch.setattr(bcrypt, "hashpw", lambda _, salt: made.append(access._cost(salt)))
    for user, work in ((b"cheap", [4, 5, 6]), (b"dear", []), (b"nobody", [])):
        made.clear()
        assert not await access._Logins().is_right(hashes, user, b"wrong", "")
        assert made == work, "2^4 for the comparison, and as much as is missing to 2^7"


async def test_what_is_kept_of_right_passwords_is_bounded() -> None:
    logins = access._Logins()
    hash_ = hash_of("x").encode()
    for number in range(access.MOST_KEPT + 5):
        name = f"{number}".encode()
        assert await logins.is_right({name: hash_}, name, b"x", "")
    assert len(logins._right) == access.MOST_KEPT


async def test_whoever_tries_passwords_keeps_nobody_at_another_address_waiting() -> None:
    door = Door(basic_auth_users={"alice": hash_of(ALICE[1], cost=8)})
    order: list[str] = []

    async def ask(user: tuple[str, str], address: str) -> int:
        async with door.client(user, address) as client:
            answer = await client.get("/metrics")
        order.append(address)
        return answer.status_code

    strangers = [asyncio.create_task(ask(("alice", f"{number}"), "192.0.2.66")) for number in range(40)]
    await asyncio.sleep(0)
    assert await ask(ALICE, "192.0.2.1") == 200
    statuses = Counter(await asyncio.gather(*strangers))
    assert statuses == {401: access.MOST_WAITING, 503: 40 - access.MOST_WAITING}
    # Those that waited before it are more than one: it had its turn between them.
    assert order.index("192.0.2.1") < len(order) - access.MOST_WAITING // 2
    assert door.refused["logins_waiting"] == statuses[503]


async def test_a_rate_limit_lets_a_burst_in_and_refuses_the_rest() -> None:
    door = Door(rate_limit={"interval": "1h", "burst": 3})
    statuses = [(await door.get("/-/ready")).status_code for _ in range(5)]
    assert statuses == [200, 200, 200, 429, 429]
    assert door.refused == {"rate_limit": 2}
    assert (await Door(rate_limit={"interval": "1s", "burst": 0}).get("/-/ready")).status_code == 429
    assert (await Door(rate_limit={"interval": 0, "burst": 0}).get("/-/ready")).status_code == 200


async def test_configured_headers_are_on_every_answer_that_has_none_of_its_own() -> None:
    headers = {"X-Frame-Options": "deny", "Content-Security-Policy": "default-src *", "X-XSS-Protection": 1}
    door = Door(http_server_config={"headers": headers}, basic_auth_users=USERS)
    for user in (None, ALICE):
        answer = await door.get("/metrics", user)
        assert {name: answer.headers[name] for name in headers} == {name: str(value) for name, value in headers.items()}
    page = await door.get("/databases/absent", ALICE, accept="text/html")
    assert page.headers["content-security-policy"].startswith("default-src 'none'")


# Users bound to workspaces -------------------------------------------------------------------------
async def test_the_parts_of_all_users_together_are_the_whole() -> None:
    door = Door(THREE, bound=BOUND, basic_auth_users=USERS)
    whole = plain(door.exposition)
    parts = [(await door.get("/metrics", user)).content for user in (ALICE, BOB, OPS)]
    assert united(parts, families_of(whole)) == whole
    groups = [group for user in (ALICE, BOB, OPS) for group in (await door.get("/sd", user)).json()]
    unbound = Door(THREE, basic_auth_users=USERS)
    assert groups == (await unbound.get("/sd", ALICE)).json()
    rows = [row for user in (ALICE, BOB) for row in (await door.get("/databases/db_a", user)).text.splitlines()]
    assert any("base a" in row for row in rows)


@pytest.mark.parametrize("path", PATHS[:3] + PATHS[5:])
@pytest.mark.parametrize("user", [ALICE, BOB, OPS], ids=lambda user: user[0])
async def test_a_user_bound_to_workspaces_reads_nothing_of_others(path: str, user: tuple[str, str]) -> None:
    door = Door(THREE, bound=BOUND, basic_auth_users=USERS)
    text = (await door.get(path, user, accept="text/html" if path == "/nowhere" else "*/*")).text
    of_others = {"a", "b", "c"} - {id_[-1] for id_ in BOUND[user[0]]}
    words = [f"{word}{x}" for x in of_others for word in ("wksp_", "named ", "base ", "db_", "key of ")]
    if user is not OPS:
        words += ["key of nobody", f'"{A_BUDGET.name}"', f">{A_BUDGET.name}<"]
    assert not [word for word in (*words, "of-the-whole", "v8.8.8") if word in text]
    assert ("What runs" in (await door.get("/", user)).text) is False


async def test_a_user_who_is_bound_to_nothing_reads_how_the_service_runs() -> None:
    text = (await Door(THREE, bound={}, basic_auth_users=USERS).get("/", ALICE)).text
    for word in ("v8.8.8", "https://api.of-the-whole", "postgresql://store-of-the-whole", "host-of-the-whole", "key of b"):  # fmt: skip  # noqa: E501
        assert word in text


async def test_what_is_of_others_is_not_there() -> None:
    door = Door(THREE, bound=BOUND, basic_auth_users=USERS)
    assert (await door.get("/databases/db_b", ALICE)).status_code == 404
    assert (await door.get("/databases/db_b", BOB)).status_code == 200
    for path in ("/metrics?workspace=wksp_b", "/metrics?workspace=none", "/sd?workspace=wksp_b"):
        answer = await door.get(path, ALICE)
        assert answer.status_code == 404
        assert "is shown here" in answer.text
    assert (await door.get("/metrics?workspace=wksp_c", BOB)).text.count("wksp_b") == 0
    # A workspace that nobody has discovered yet.
    assert (await Door(A_SNAPSHOT, bound=BOUND, basic_auth_users=USERS).get("/metrics", BOB)).text == ""


async def test_a_user_may_reload_from_elsewhere_but_not_one_who_sees_some_workspaces_alone() -> None:
    door = Door(THREE, bound={"alice": ["wksp_a"]}, basic_auth_users=USERS)
    for user, status in ((ALICE, 403), (BOB, 200), (None, 401)):
        async with door.client(user) as client:
            assert (await client.post("/-/reload")).status_code == status
    assert door.reloads == 1
    assert door.refused == {"reload": 1}


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
@pytest.mark.parametrize(
    ("accept", "empty"),
    [("text/plain", ""), ("application/openmetrics-text; version=1.0.0", "# EOF\n")],
)
async def test_who_is_bound_to_a_workspace_that_is_not_shown_sees_an_exposition_without_anything(
    accept: str, empty: str, encoding: str
) -> None:
    bound = {"alice": ["wksp_unknown"]}
    for door in (
        Door(basic_auth_users=USERS, bound=bound),
        Door(Snapshot(taken_at=NOW), bound, basic_auth_users=USERS),
    ):
        for path in ("/metrics", "/sd", "/"):
            answer = await door.get(path, ALICE, **{"Accept": accept, "Accept-Encoding": encoding})
            assert answer.status_code == 200, path
            assert path != "/metrics" or answer.text == empty
