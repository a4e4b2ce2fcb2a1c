"""A vendor that says something odd in one place of one answer: which places there are, and what it says there."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from prisma_postgres_exporter.simulator import Simulator

Path = tuple[str | int, ...]
MISSING: Final = object()

VALUES: Mapping[str, object] = {
    "missing": MISSING,
    "null": None,
    "true": True,
    "zero": 0,
    "negative": -1,
    "a fraction": 0.5,
    "2**53": 2**53,
    "2**63": 2**63,
    "1e308": 1e308,
    "no text": "",
    "a long text": "x" * 20_000,
    "control and bidi characters": "\x00\x1b[31m\u202e\ud800\n",
    "the year 9999": "9999-12-31T23:59:59.999Z",
    "the year 1": "0001-01-01T00:00:00Z",
    "the year 2199": "2199-12-31T23:59:59.999Z",
    "a far offset": "2026-11-03T12:00:00+23:59",
    "no instant": "2026-13-45T99:99:99Z",
    "an empty list": [],
    "an object": {"id": "db_other", "used": 7},
    "a list of null": [None],
}
"""What stands in a place instead of what should."""


@dataclass(frozen=True)
class Place:
    """One place in one answer. In a list it is in the record of the victim."""

    call: str
    path: Path

    def __str__(self) -> str:
        return f"{self.call} {'.'.join(map(str, self.path)) or 'the answer'}"


@dataclass(frozen=True)
class Victim:
    """Whose answers are odd: a database, its project, and the token of its workspace."""

    token: str
    project_id: str
    database_id: str


def call_of(path: str, victim: Victim) -> str | None:
    """Which answer it is, `None` where it is nothing of the victim's."""
    calls = {
        "/v1/me": "me",
        "/v1/projects": "projects",
        "/v1/databases": "databases",
        f"/v1/databases/{victim.database_id}/usage": "usage",
    }
    return "subscription" if path.endswith("/subscription") else calls.get(path)


class OddVendor:
    """The simulated vendor, with `value` in `place` of the victim's answers; `None`: as it is."""

    def __init__(self, app: ASGIApp, victim: Victim) -> None:
        self.place: Place | None = None
        self.value: object = None
        self.seen: dict[str, Any] = {}
        self.used = 0
        self._app = app
        self._victim = victim

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = call_of(scope.get("path", ""), self._victim)
        headers = dict(scope.get("headers", ()))
        if call is None or self._victim.token.encode() not in headers.get(b"authorization", b""):
            await self._app(scope, receive, send)
            return
        start: Message = {}
        body = b""

        async def collect(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start":
                start = message
            else:
                body += message.get("body", b"")

        await self._app(scope, receive, collect)
        document = json.loads(body)
        self.seen.setdefault(call, document)
        if self.place is not None and self.place.call == call:
            document = self._spoiled(document, call, self.place.path)
        # Lone surrogates are written out: "\\ud800" is what a vendor would send.
        sent = json.dumps(document, ensure_ascii=True).encode()
        start["headers"] = [
            (name, str(len(sent)).encode() if name == b"content-length" else value) for name, value in start["headers"]
        ]
        await send(start)
        await send({"type": "http.response.body", "body": sent})

    def _spoiled(self, document: Any, call: str, path: Path) -> Any:
        document = copy.deepcopy(document)
        if path and path[0] == "record":
            ids = {self._victim.database_id, self._victim.project_id}
            for number, record in enumerate(document["data"]):
                if record["id"] in ids:
                    self.used += 1
                    _put(document, ("data", number, *path[1:]), self.value)
            return document
        self.used += 1
        if not path:
            return None if self.value is MISSING else self.value
        _put(document, path, self.value)
        return document


def places(vendor: Simulator, victim: Victim) -> tuple[Place, ...]:
    """Every place of every answer that a round asks for, as the vendor answers it now."""
    return tuple(asyncio.run(_places(vendor, victim)))


async def _places(vendor: Simulator, victim: Victim) -> list[Place]:
    odd = OddVendor(vendor.app, victim)
    workspace_id = vendor.world.tokens[victim.token]
    paths = (
        "/v1/me",
        "/v1/projects",
        "/v1/databases",
        f"/v1/workspaces/{workspace_id}/subscription",
        f"/v1/databases/{victim.database_id}/usage",
    )
    headers = {"Authorization": f"Bearer {victim.token}"}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(odd), base_url="http://vendor", headers=headers
    ) as client:
        for path in paths:
            (await client.get(path)).raise_for_status()
    found = []
    for call, document in odd.seen.items():
        if "pagination" not in document:
            found += [Place(call, path) for path in _paths(document)]
            continue
        ids = {victim.database_id, victim.project_id}
        record = next(record for record in document["data"] if record["id"] in ids)
        found += [Place(call, ("record", *path)) for path in _paths(record)]
        found += [
            Place(call, path)
            for path in ((), ("data",), *(("pagination", *rest) for rest in _paths(document["pagination"])))
        ]
    return found


def _paths(document: object) -> Iterator[Path]:
    yield ()
    if isinstance(document, dict):
        for name, value in document.items():
            for rest in _paths(value):
                yield (name, *rest)
    elif isinstance(document, list) and document:
        for rest in _paths(document[0]):
            yield (0, *rest)


def _put(document: Any, path: Path, value: object) -> None:
    *parents, last = path
    for step in parents:
        document = document[step]
    if value is not MISSING:
        document[last] = value
    elif isinstance(document, dict):
        del document[last]
    else:
        document.pop(last)
