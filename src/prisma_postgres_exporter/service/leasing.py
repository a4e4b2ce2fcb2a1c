"""Keep this process's leases where several share a store, and say what it is to collect."""

from __future__ import annotations

import asyncio
import math
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from uuid import uuid4

import structlog

from prisma_postgres_exporter.config import Difference, Lack, differences
from prisma_postgres_exporter.errors import LeaseLost, StoreError
from prisma_postgres_exporter.expose import ExporterHealth
from prisma_postgres_exporter.model import Lease
from prisma_postgres_exporter.store import SESSION_SECONDS, Claims, Session, Shares, Store

log = structlog.get_logger(__name__)

RENEWED_EVERY_SECONDS = 2.5
TURNED_AWAY_SECONDS = 0.2
"""So soon it asks again where another process was just taking its part."""

MARGIN_SECONDS = 1.0
"""So much before the store does, this process takes its leases for over."""

UNCLAIMED_SECONDS = 3600.0
"""For so long no process must have had a credential of a workspace, until it is noted as gone."""

MEANT_SECONDS = 30.0
"""Within so much all processes are given another configuration: that a credential is in none of them was meant."""

HUNG_SECONDS = 2.5
"""A session is not renewed while the event loop has not had its turn for so long: then another process takes over."""

BEAT_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class _Known:
    """What the store said last, and until when, on this machine's own clock, it is surely so."""

    shares: Shares = field(default_factory=Shares)
    until: float = 0.0


def session_name(process: int) -> str:
    """How a process of this machine is named where services share a store."""
    return f"{socket.gethostname()}:{process}"


class LeaseKeeper:
    """Renews a session from a thread of its own, so that neither rounds nor the store's other threads delay it.

    `on_change` is called in the event loop when other workspaces are held than before, or some are to be given back.
    `failure` is why the store failed the last time, `None` where it did not.
    """

    def __init__(self, store: Store, health: ExporterHealth, *, on_change: Callable[[], None]) -> None:
        self.failure: StoreError | None = None
        self._store = store
        self._health = health
        self._on_change = on_change
        self.name = session_name(os.getpid())
        self._session: Session | None = None
        self._claims = Claims()
        self._settings: Mapping[str, str] = {}
        self._dropped_at: dict[str, float] = {}
        self._unclaimed_since: dict[str, float] = {}
        self._giving_back: frozenset[str] = frozenset()
        self._known = _Known()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._is_stopping = False
        self._beat = _clock()
        self._loop = asyncio.get_running_loop()
        self._beating = self._loop.create_task(self._keep_beating())
        self._thread = threading.Thread(target=self._run, name="leases", daemon=True)
        self._thread.start()

    # What rounds ask ------------------------------------------------------------------------------
    def holds(self, workspace_id: str) -> bool:
        """Whether nobody else can be collecting this workspace now."""
        known = self._known
        return workspace_id in known.shares.held and _clock() < known.until

    def lease(self, workspace_id: str) -> Lease:
        """What a write of this workspace has to show.

        Raises:
            LeaseLost: it is not held, or not surely.
        """
        if not self.holds(workspace_id):
            raise LeaseLost(f"the lease of workspace {workspace_id} is over")
        return self._known.shares.held[workspace_id]

    def is_unclaimed(self, workspace_id: str, unread: timedelta | None) -> bool:
        """Whether no process has a credential of this workspace, and to note that falls to this one.

        Not so soon after a process ended: it may be the only one with a credential of it, and come back. Where the
        credential was taken from one that goes on, that was meant.
        """
        since = self._unclaimed_since.get(workspace_id)
        if since is None or not self.holds(workspace_id):
            return False
        was_meant = since - self._dropped_at.get(workspace_id, -math.inf) < MEANT_SECONDS
        return was_meant or _clock() - since >= UNCLAIMED_SECONDS

    # What the service asks ------------------------------------------------------------------------
    @property
    def shares(self) -> Shares:
        """What is held, as far as that is sure; empty, where nothing is."""
        known = self._known
        return known.shares if _clock() < known.until else replace(known.shares, held={}, surplus=frozenset())

    @property
    def differences(self) -> tuple[Difference, ...]:
        """Which settings differ between the processes that share the store."""
        return differences(self._known.shares.settings)

    @property
    def lacks(self) -> tuple[Lack, ...]:
        """Of which workspaces some of these processes have no credential, though another one has."""
        return self._known.shares.lacks

    @property
    def seconds_left(self) -> float:
        """For how long what is held is surely held, if it is not renewed."""
        return self._known.until - _clock()

    def claim(self, claims: Claims, settings: Mapping[str, str] | None = None) -> None:
        """Say what this process could collect, and with which settings."""
        if settings is not None and settings != self._settings:
            self._settings = settings
            self._wake.set()
        if claims != self._claims:
            dropped = self._claims.workspaces - claims.workspaces
            kept = {id_: at for id_, at in self._dropped_at.items() if id_ not in claims.workspaces}
            self._dropped_at = {**kept, **dict.fromkeys(dropped, _clock())}
            self._claims = claims
            self._wake.set()

    def give_back(self, workspace_id: str) -> None:
        """Let another process have a workspace; nothing is written of it any more."""
        with self._lock:
            self._giving_back |= {workspace_id}
        self._wake.set()

    async def stop(self) -> None:
        """Give everything back; call it when nothing is written any more."""
        self._beating.cancel()
        self._is_stopping = True
        self._wake.set()
        await asyncio.to_thread(self._thread.join)
        self._known = _Known()

    # The thread -----------------------------------------------------------------------------------
    def _run(self) -> None:
        while not self._is_stopping:
            began = _clock()
            if began - self._beat < HUNG_SECONDS:
                self._renew()
            is_soon = self._known.shares.is_turned_away and self.failure is None
            every = TURNED_AWAY_SECONDS if is_soon else RENEWED_EVERY_SECONDS
            # What took long to be renewed is not sure for long.
            self._wake.wait(max(0.0, began + every - _clock()))
            self._wake.clear()
        if self._session is not None:
            try:
                self._store.end_session(self._session)
            except StoreError as error:
                log.warning("leases not given back: they end by themselves", seconds=SESSION_SECONDS, error=str(error))

    def _renew(self) -> None:
        began = _clock()
        with self._lock:
            giving_back = self._giving_back
        try:
            session = self._live_session()
            shares = self._store.share_leases(session, giving_back=giving_back)
        except StoreError as error:
            self._health.store_failed()
            if self.failure is None:
                log.warning("leases not renewed", error=str(error))
            self.failure = error
            return
        except Exception:
            # Nobody foresaw it; the thread has to go on.
            log.exception("leases not renewed")
            self._health.fault("leases")
            return
        if self.failure is not None:
            log.info("leases renewed again")
        self.failure = None
        with self._lock:
            self._giving_back -= giving_back
        self._unclaimed_since = {id_: self._unclaimed_since.get(id_, began) for id_ in shares.unclaimed}
        self._known = _Known(shares, until=began + SESSION_SECONDS - MARGIN_SECONDS)
        self._loop.call_soon_threadsafe(self._on_change)

    def _live_session(self) -> Session:
        claims, settings = self._claims, self._settings
        if self._session is not None:
            session = replace(self._session, claims=claims, settings=settings)
            if self._store.renew_session(session):
                self._session = session
                return session
            log.warning("session over: it was not renewed in time", seconds=SESSION_SECONDS)
        session = Session(id=uuid4().hex, name=self.name, claims=claims, settings=settings)
        self._store.begin_session(session)
        self._session = session
        return session

    async def _keep_beating(self) -> None:
        while True:
            self._beat = _clock()
            await asyncio.sleep(BEAT_SECONDS)


def _clock() -> float:
    """Seconds that go on also while the machine sleeps, where it can tell."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
