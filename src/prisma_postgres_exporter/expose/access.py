"""Who gets in by the web configuration file: rate limit, headers, users, and the workspaces that a user may see."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import bcrypt
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from prisma_postgres_exporter.config import WebFile
from prisma_postgres_exporter.expose.guard import is_of_this_machine
from prisma_postgres_exporter.expose.visible import SEEN, USER
from prisma_postgres_exporter.threads import StartedThreads

MOST_KEPT = 100
"""How many passwords that were right are known again without the work of bcrypt, as in exporter-toolkit."""

MOST_WAITING = 8
"""How many logins of one address may wait: each of them takes a part of a second of one core."""

REALM = 'Basic realm="prisma-postgres-exporter"'
"""RFC 7617 wants a name; `check` knows by it who listens on an address."""

BCRYPT_BYTES = 72
"""bcrypt reads no more of a password; Go's cuts it, Python's refuses it."""


STALE = "X-Web-Config"
"""Tells a program of this machine that has no password, as `doctor` has none, that the file was not taken."""


class _TooMany(Exception):
    """Too many logins of an address wait already."""


class _Logins:
    """Compares passwords in a thread, one at a time, in turn by address; wrong ones take as long as right ones."""

    def __init__(self) -> None:
        self._thread = StartedThreads(1, "login")
        self._key = secrets.token_bytes(32)
        self._right: OrderedDict[bytes, None] = OrderedDict()
        self._queues: dict[str, tuple[asyncio.Lock, int]] = {}

    async def is_right(self, hashes: Mapping[bytes, bytes], user: bytes, password: bytes, address: str) -> bool:
        """Whether this is the password of a user; of one that is not known the dearest hash is compared in vain."""
        known = hashes.get(user)
        digest = self._digest(user, known or b"", password)
        if known is not None and digest in self._right:
            self._right.move_to_end(digest)
            return True
        dearest = max(hashes.values(), key=_cost)
        hash_ = known or dearest
        lock, waiting = self._queues.get(address, (asyncio.Lock(), 0))
        if waiting >= MOST_WAITING:
            raise _TooMany
        self._queues[address] = lock, waiting + 1
        try:
            async with lock:
                is_equal = await asyncio.get_running_loop().run_in_executor(
                    self._thread, _is_equal, password, hash_, _cost(dearest)
                )
        finally:
            waiting = self._queues[address][1] - 1
            if waiting:
                self._queues[address] = lock, waiting
            else:
                del self._queues[address]
        if known is None or not is_equal:
            return False
        self._right[digest] = None
        while len(self._right) > MOST_KEPT:
            self._right.popitem(last=False)
        return True

    def _digest(self, *parts: bytes) -> bytes:
        """What stands for a login, without its password; nobody else can make it."""
        text = b"".join(len(part).to_bytes(4) + part for part in parts)
        return hmac.digest(self._key, text, hashlib.sha256)


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """`file` gives the web configuration in force, `users` the workspaces of the users that see some alone.

    `refused` is told the reason of each refusal, a constant. `is_stale` says whether the file that is there now was
    not taken, and the one before is in force.
    """

    file: Callable[[], WebFile]
    users: Mapping[str, Sequence[str]] = field(default_factory=dict)
    refused: Callable[[str], None] = lambda reason: None
    is_stale: Callable[[], bool] = lambda: False
    logins: _Logins = field(default_factory=_Logins)


class Gate:
    """Lets a request pass to `app`, or answers it: 429, 401, and 503 where too many logins wait."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access
        self._bucket = _Bucket()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        file = self._access.file()
        sending = _with_headers(send, file.http_server_config.headers) if file.http_server_config.headers else send
        refusal = await self._refusal(file, scope)
        await (refusal or self._app)(scope, receive, sending)

    async def _refusal(self, file: WebFile, scope: Scope) -> Response | None:
        limit = file.rate_limit
        if limit.interval > 0 and not self._bucket.takes(limit.interval, limit.burst):
            self._access.refused("rate_limit")
            return PlainTextResponse("Too Many Requests\n", status_code=429)
        if not file.basic_auth_users:
            return None
        user = None
        if (given := _login(scope)) is not None:
            hashes = {name.encode(): hash_.get_secret_value().encode() for name, hash_ in file.basic_auth_users.items()}
            client = scope.get("client")
            try:
                user = (
                    given[0].decode()
                    if await self._access.logins.is_right(hashes, *given, client[0] if client else "")
                    else None
                )
            except _TooMany:
                self._access.refused("logins_waiting")
                return PlainTextResponse("too many logins wait\n", status_code=503, headers={"Retry-After": "1"})
            if user is None:
                self._access.refused("login")
        if user is None:
            headers = {"WWW-Authenticate": REALM}
            if self._access.is_stale() and is_of_this_machine(Request(scope)):
                headers[STALE] = "stale"
            return PlainTextResponse("Unauthorized\n", status_code=401, headers=headers)
        bound = self._access.users.get(user)
        scope[USER], scope[SEEN] = user, None if bound is None else frozenset(bound)
        return None


class _Bucket:
    """A token bucket, full at first, as Go's rate.Limiter."""

    def __init__(self) -> None:
        self._limit: tuple[float, int] | None = None
        self._tokens = 0.0
        self._at = 0.0

    def takes(self, interval_seconds: float, burst: int) -> bool:
        """Whether there is a token for a request; it is taken."""
        now = time.monotonic()
        if self._limit != (interval_seconds, burst):
            self._limit, self._tokens, self._at = (interval_seconds, burst), float(burst), now
        self._tokens = min(float(burst), self._tokens + (now - self._at) / interval_seconds)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


def _cost(hash_: bytes) -> int:
    """The logarithm of the work that a hash takes: `$2b$10$…` is 10."""
    return int(hash_.split(b"$")[2])


def _is_equal(password: bytes, hash_: bytes, most_cost: int) -> bool:
    """Compare, and do in vain what a hash of the most cost takes more: 2^c + 2^c + 2^(c+1) + … + 2^(n-1) is 2^n."""
    is_equal = bcrypt.checkpw(password[:BCRYPT_BYTES], hash_)
    for cost in range(_cost(hash_), most_cost):
        bcrypt.hashpw(password[:BCRYPT_BYTES], bcrypt.gensalt(cost))
    return is_equal


def _login(scope: Scope) -> tuple[bytes, bytes] | None:
    """User and password of a request's Basic authorization."""
    given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
    scheme, _, encoded = given.partition(b" ")
    if scheme.lower() != b"basic":
        return None
    try:
        user, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
        user.decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (user, password) if colon else None


def _with_headers(send: Send, headers: Mapping[str, str]) -> Send:
    """Add the configured headers where the answer has none of its own, as exporter-toolkit does."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            told = MutableHeaders(scope=message)
            for name, value in headers.items():
                # The server itself says nosniff with every answer.
                if name != "X-Content-Type-Options":
                    told.setdefault(name, value)
        await send(message)

    return sending
