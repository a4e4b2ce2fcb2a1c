"""Sessions of processes that share a store on a server, and the leases of workspaces that each of them holds.

A process renews one row, its session; its leases end with it. Taking a lease makes its epoch grow, and waits for no
writer: a writer holds the row of its lease until its transaction ends (`require_lease`), and a row that is held is left
for the next time. Expiry is by the server's clock alone. Nothing outlives a transaction, as behind a pooler each can
have another connection.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Connection, Row, func, literal_column, not_, or_, select
from sqlalchemy.dialects import postgresql

from prisma_postgres_exporter.config import Lack, lacks
from prisma_postgres_exporter.errors import LeaseLost
from prisma_postgres_exporter.model import Lease
from prisma_postgres_exporter.store.sharing import Claims, share_out
from prisma_postgres_exporter.store.tables import leases, sessions, workspaces

SESSION_SECONDS = 10.0
"""A session that was not renewed for so long is over, and its workspaces are free."""

FURTHEST_AHEAD = 2 * SESSION_SECONDS
"""One that would last for longer was renewed before the server's clock was set back: it is over, too."""

SHARING_LOCK = 0x7070657A  # any number that no other program takes
NOW_MS = literal_column("(extract(epoch FROM clock_timestamp()) * 1000)::bigint", BigInteger)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One life of one process in a store. `name` is for people, `claims` what it could collect.

    `settings` are short prints of those that should be the same in each, by name.
    """

    id: str
    name: str
    claims: Claims
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """What a session holds: `surplus` are those of its leases that another session should have.

    `unclaimed` are those that no process can collect: all there is to do is to note that they are not followed.
    `holders` are the names of the processes that collect each workspace that one can collect, `processes` those of all
    live sessions, `settings` each of these with its own, `lacks` the credentials that only some of them have. It
    `is_turned_away` where some are free and its own by right, and another session was just taking some.
    """

    held: Mapping[str, Lease] = field(default_factory=dict)
    surplus: frozenset[str] = frozenset()
    unclaimed: frozenset[str] = frozenset()
    holders: Mapping[str, str] = field(default_factory=dict)
    processes: tuple[str, ...] = ()
    settings: tuple[tuple[str, Mapping[str, str]], ...] = ()
    lacks: tuple[Lack, ...] = ()
    is_turned_away: bool = False


def begin_session(connection: Connection, session: Session) -> None:
    """Add a session that is live from now on."""
    connection.execute(
        sessions.insert().values(
            id=session.id, name=session.name, claims=_dumped(session), began_at_ms=NOW_MS, expires_at_ms=_end()
        )
    )


def renew_session(connection: Connection, session: Session) -> bool:
    """Make a session live on, if it still lives; whether it does."""
    own = (sessions.c.id == session.id, sessions.c.expires_at_ms > NOW_MS)
    values = {"expires_at_ms": _end(), "claims": _dumped(session)}
    return connection.execute(sessions.update().where(*own).values(values)).rowcount == 1


def end_session(connection: Connection, session: Session) -> None:
    """Give back every lease of a session, and forget it."""
    connection.execute(leases.update().where(leases.c.session_id == session.id).values(session_id=None))
    connection.execute(sessions.delete().where(sessions.c.id == session.id))


def share_leases(connection: Connection, session: Session, *, giving_back: Collection[str]) -> Shares:
    """Give back leases, take those that are free and this session's by right, and return what it holds then.

    While another session does the same it takes nothing: the next time it will.
    """
    if giving_back:
        own = (leases.c.session_id == session.id, leases.c.workspace_id.in_(list(giving_back)))
        connection.execute(leases.update().where(*own).values(session_id=None))
    is_alone = connection.execute(select(func.pg_try_advisory_xact_lock(SHARING_LOCK))).scalar_one()
    if is_alone:
        _bury_sessions(connection)
    live = {row.id: row for row in connection.execute(select(sessions).where(_is_live())).all()}
    if session.id not in live:
        return Shares()
    held = _held(connection)
    holders = {id_: row.session_id if row.session_id in live else None for id_, row in held.items()}
    followed = connection.execute(select(workspaces.c.id).where(workspaces.c.gone_at.is_(None))).scalars().all()
    said = {id_: json.loads(row.claims) for id_, row in live.items()}
    claims = {id_: _loaded(row) for id_, row in said.items()}
    right = share_out(claims, holders=holders, followed=followed)
    wanted = {id_ for id_, owner in right.items() if owner == session.id and holders.get(id_) is None}
    free = sorted(wanted.difference(giving_back))
    if is_alone and free:
        _take(connection, session, free)
        held = _held(connection)
    claimed = frozenset[str]().union(*(row.workspaces for row in claims.values()))
    own_leases = {
        id_: Lease(workspace_id=id_, session=session.id, epoch=row.epoch)
        for id_, row in held.items()
        if row.session_id == session.id
    }
    return Shares(
        held=own_leases,
        surplus=frozenset(id_ for id_ in own_leases if right.get(id_) != session.id),
        unclaimed=frozenset(own_leases) - claimed,
        holders={
            id_: live[row.session_id].name for id_, row in held.items() if row.session_id in live and id_ in claimed
        },
        processes=tuple(sorted(row.name for row in live.values())),
        settings=tuple((live[id_].name, row.get("settings", {})) for id_, row in said.items()),
        lacks=_lacks(live, claims),
        is_turned_away=bool(free) and not is_alone,
    )


def read_shares(connection: Connection) -> Shares:
    """Return what the live sessions hold, for somebody who has none."""
    live = {row.id: row for row in connection.execute(select(sessions).where(_is_live())).all()}
    said = {id_: json.loads(row.claims) for id_, row in live.items()}
    claimed = frozenset[str]().union(*(row["workspaces"] for row in said.values()))
    return Shares(
        holders={
            id_: live[row.session_id].name
            for id_, row in _held(connection).items()
            if row.session_id in live and id_ in claimed
        },
        processes=tuple(sorted(row.name for row in live.values())),
        settings=tuple((live[id_].name, row.get("settings", {})) for id_, row in said.items()),
        lacks=_lacks(live, {id_: _loaded(row) for id_, row in said.items()}),
    )


def require_lease(connection: Connection, lease: Lease) -> None:
    """Go on only while a lease is held, and let nobody take it until the transaction ends.

    Raises:
        LeaseLost: somebody else took it, or it was given back.
    """
    query = select(leases.c.epoch, leases.c.session_id).where(leases.c.workspace_id == lease.workspace_id)
    # The weakest lock that taking it conflicts with; renewals and other writers pass.
    row = connection.execute(query.with_for_update(read=True, key_share=True)).one_or_none()
    if row is None or (row.epoch, row.session_id) != (lease.epoch, lease.session):
        raise LeaseLost(f"workspace {lease.workspace_id} is collected by another process now")


def _lacks(live: Mapping[str, Row[Any]], claims: Mapping[str, Claims]) -> tuple[Lack, ...]:
    return lacks((live[id_].name, row.workspaces, row.is_complete) for id_, row in claims.items())


def _held(connection: Connection) -> dict[str, Row[tuple[str, int, str | None]]]:
    return {row.workspace_id: row for row in connection.execute(select(leases)).all()}


def _bury_sessions(connection: Connection) -> None:
    """Remove sessions that are over; one that is being renewed at this moment is left, and lives."""
    over = select(sessions.c.id).where(not_(_is_live())).with_for_update(skip_locked=True)
    connection.execute(sessions.delete().where(sessions.c.id.in_(over)))


def _take(connection: Connection, session: Session, workspace_ids: Collection[str]) -> None:
    if not workspace_ids:
        return
    new = [{"workspace_id": id_, "epoch": 0, "session_id": None} for id_ in workspace_ids]
    connection.execute(postgresql.insert(leases).on_conflict_do_nothing(), new)
    columns = leases.c
    free = select(columns.workspace_id).where(
        columns.workspace_id.in_(list(workspace_ids)),
        or_(columns.session_id.is_(None), columns.session_id.not_in(select(sessions.c.id))),
    )
    ids = connection.execute(free.with_for_update(skip_locked=True, of=leases)).scalars().all()
    taken = leases.update().where(columns.workspace_id.in_(ids))
    connection.execute(taken.values(session_id=session.id, epoch=columns.epoch + 1))


def _is_live() -> ColumnElement[bool]:
    return sessions.c.expires_at_ms.between(NOW_MS + 1, NOW_MS + int(FURTHEST_AHEAD * 1000))


def _end() -> ColumnElement[int]:
    return NOW_MS + int(SESSION_SECONDS * 1000)


def _dumped(session: Session) -> str:
    claims = session.claims
    return json.dumps(
        {
            "workspaces": sorted(claims.workspaces),
            "refused": sorted(claims.refused),
            "is_complete": claims.is_complete,
            "settings": dict(session.settings),
        }
    )


def _loaded(row: Mapping[str, Any]) -> Claims:
    return Claims(
        workspaces=frozenset(row["workspaces"]), refused=frozenset(row["refused"]), is_complete=row["is_complete"]
    )
