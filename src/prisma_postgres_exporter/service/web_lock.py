"""What the web configuration file says now: read again when it or a file that it names changes."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import structlog

from prisma_postgres_exporter.config import WebConfig, WebFile, read_web_file, unbound_users
from prisma_postgres_exporter.config.reading import content_of, is_pipe
from prisma_postgres_exporter.errors import ConfigurationError
from prisma_postgres_exporter.expose import ExporterHealth
from prisma_postgres_exporter.service.tls import notes_of, server_context
from prisma_postgres_exporter.words import counted

log = structlog.get_logger(__name__)

LOOKED_AT_EVERY_SECONDS = 2.0
LARGEST_BYTES = 2**20
_PIPE = "is a pipe, which can be read once; this is read again and again: write a file"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebLock:
    """What was read: the file's values, and the TLS context that they make, `None` for plain HTTP."""

    file: WebFile
    context: ssl.SSLContext | None
    notes: tuple[str, ...] = ()

    @property
    def access(self) -> str:
        """Who gets in, and how, for people."""
        clients = ", verified client certificates alone" if self.file.tls_server_config.verifies_clients else ""
        spoken = "plain HTTP" if self.context is None else f"TLS{clients}"
        return f"{spoken}, {counted(len(self.file.basic_auth_users), 'user')}"


OPEN = WebLock(file=WebFile(), context=None)
"""What holds without a file."""

EVERYONE_READS = (
    "everyone who reaches this port reads names and costs of your databases: "
    "web.config_file asks for a password or a client certificate"
)


def read_lock(path: Path, bound_users: Collection[str] = ()) -> WebLock:
    """Read the file and what it names; every problem has the file's name.

    Raises:
        ConfigurationError: it cannot be used.
    """
    return _read(path, bound_users, {})


def exposure(web: WebConfig, file: WebFile | None) -> str | None:
    """What to say where everyone who reaches the port gets in; `None` where not, or where only this machine does."""
    is_open = file is None or not file.is_guarded
    return EVERYONE_READS if web.is_reachable and is_open else None


class WebLockKeeper:
    """Keeps what was good last.

    A file that is wrong, or that would let in who was kept out, changes nothing; `problem` then says why.

    Raises:
        ConfigurationError: the file is wrong when the service starts.
    """

    def __init__(self, web: WebConfig, health: ExporterHealth, clock: Callable[[], datetime]) -> None:
        self._web = web
        self._health = health
        self._clock = clock
        self._contents: dict[str, bytes] = {}
        self.problem: str | None = None
        self._failing_since_at: datetime | None = None
        self.lock = OPEN
        if web.config_file is not None:
            self.lock = _read(web.config_file, web.users, self._contents)
            health.web_config_read(True)
        for note in self.notes:
            log.warning("to know of the web server", note=note)

    @property
    def notes(self) -> list[str]:
        """What a person should know."""
        file = self.lock.file if self._web.config_file is not None else None
        said = [*self.lock.notes, *filter(None, [exposure(self._web, file)])]
        if self.problem is not None and self._failing_since_at is not None:
            since = f"{self._failing_since_at:%Y-%m-%d %H:%M:%S} UTC"
            said.append(f"web.config_file is not in force since {since}, what was read before is: {self.problem}")
        return said

    async def run(self) -> None:
        """Look at the files again and again."""
        while True:
            await asyncio.sleep(LOOKED_AT_EVERY_SECONDS)
            await self.look()

    async def look(self) -> None:
        """Look at the files once."""
        if self._web.config_file is not None:
            await asyncio.to_thread(self._look, self._web.config_file)

    def _look(self, path: Path) -> None:
        if all(_content(name) == content for name, content in self._contents.items()):
            return
        contents: dict[str, bytes] = {}
        try:
            # By the rules of a start: what is taken here must not keep the next one from starting.
            lock = _read(path, self._web.users, contents)
            _require_as_closed(path, self.lock, lock)
        except ConfigurationError as error:
            # What the good one named stays watched: a certificate that comes back is a change.
            self._contents = {name: _content(name) for name in self._contents} | contents
            self.problem = "\n".join(error.problems)
            self._failing_since_at = self._failing_since_at or self._clock()
            self._health.web_config_read(False)
            log.error("web configuration not read again", problems=error.problems)
            return
        self._contents, self.lock = contents, lock
        self.problem = self._failing_since_at = None
        self._health.web_config_read(True)
        log.info("web configuration read again", tls=lock.context is not None, users=len(lock.file.basic_auth_users))


def _read(path: Path, bound_users: Collection[str], contents: dict[str, bytes]) -> WebLock:
    """Read it; `contents` gets those of every file that had a part in it, whether it is good or not."""
    contents[str(path)] = _content(str(path))
    if is_pipe(str(path)):
        raise ConfigurationError([f"{path}: {_PIPE}"])
    file = read_web_file(path)
    tls = file.tls_server_config
    problems = unbound_users(path, file, bound_users)
    named = [tls.cert_file, tls.key_file, tls.client_ca_file] if tls.is_enabled else []
    for full in [str(path.parent / name) for name in named if name]:
        contents[full] = _content(full)
        if not contents[full]:
            problems.append(f"{path}: tls_server_config: {full}: {_why_unreadable(full)}")
    if problems:
        raise ConfigurationError(problems)
    if not tls.is_enabled:
        return WebLock(file=file, context=None)
    try:
        context = server_context(tls, lambda name: contents[str(path.parent / name)])
    except ConfigurationError as error:
        raise ConfigurationError([f"{path}: {problem}" for problem in error.problems]) from None
    return WebLock(file=file, context=context, notes=tuple(f"{path}: {note}" for note in notes_of(tls)))


def _content(name: str) -> bytes:
    """A file's content, nothing where it has none or cannot be read."""
    try:
        return b"" if is_pipe(name) else content_of(name, LARGEST_BYTES)
    except (OSError, ValueError):
        return b""


def _why_unreadable(name: str) -> str:
    try:
        if is_pipe(name):
            return _PIPE
        content_of(name, 1)
        return "is empty"
    except (OSError, ValueError) as error:
        return f"cannot be read: {getattr(error, 'strerror', None) or 'this is not the path of a file'}"


def _require_as_closed(path: Path, before: WebLock, after: WebLock) -> None:
    """A file that an editor has just emptied must not open everything."""
    lost: Mapping[str, bool] = {
        "tls_server_config": before.context is not None and after.context is None,
        "basic_auth_users": bool(before.file.basic_auth_users) and not after.file.basic_auth_users,
        "tls_server_config.client_auth_type: RequireAndVerifyClientCert": before.file.tls_server_config.verifies_clients
        and not after.file.tls_server_config.verifies_clients,
        "tls_server_config.client_allowed_sans": before.file.tls_server_config.client_allowed_sans is not None
        and after.file.tls_server_config.client_allowed_sans is None,
    }
    problems = [f"{path}: {name} is gone: only a restart takes it off" for name, is_lost in lost.items() if is_lost]
    if problems:
        raise ConfigurationError(problems)
