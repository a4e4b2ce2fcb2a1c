"""Which process collects which workspace: each as many as the others, and as few change hands as that takes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What a process can collect: `workspaces` are those of which it has a credential.

    `refused` are those of them whose credentials the vendor refused it: another process collects them that can.
    `is_complete` says that it knows of each of its credentials whose it is: the other workspaces are none of its.
    """

    workspaces: frozenset[str] = frozenset()
    refused: frozenset[str] = frozenset()
    is_complete: bool = False


def share_out(
    claims: Mapping[str, Claims], *, holders: Mapping[str, str | None], followed: Collection[str]
) -> dict[str, str]:
    """Return which session should hold each workspace that one can: `claims` are those of the live sessions, by id.

    `holders` are those of now, `followed` the workspaces that the store follows. One that no session claims, as its
    credential was removed everywhere, goes to any of them, who notes that it is not followed any more. Every session
    that asks with the same values gets the same answer. Linear in workspaces times sessions.
    """
    able = {id_: _able(claims, id_) for id_ in _all(claims)}
    if claims and all(row.is_complete for row in claims.values()):
        able |= {id_: sorted(claims) for id_ in sorted(followed) if id_ not in able}
    shares: dict[str, str] = {
        id_: holder for id_, sessions in able.items() if (holder := holders.get(id_)) is not None and holder in sessions
    }
    counts = dict.fromkeys(claims, 0)
    for holder in shares.values():
        counts[holder] += 1
    for id_ in sorted(able.keys() - shares.keys()):
        shares[id_] = min(able[id_], key=lambda session: (counts[session], session))
        counts[shares[id_]] += 1
    # The last ones by id move, from whoever has two more than another who could have it.
    for id_ in sorted(shares, reverse=True):
        least = min(able[id_], key=lambda session: (counts[session], session))
        if counts[shares[id_]] - counts[least] >= 2:
            counts[shares[id_]] -= 1
            counts[least] += 1
            shares[id_] = least
    return shares


def _able(claims: Mapping[str, Claims], workspace_id: str) -> list[str]:
    """The sessions with a credential of a workspace that is not refused, or, where there is none, with any."""
    claiming = sorted(session for session, row in claims.items() if workspace_id in row.workspaces)
    return [session for session in claiming if workspace_id not in claims[session].refused] or claiming


def _all(claims: Mapping[str, Claims]) -> Collection[str]:
    return sorted(frozenset[str]().union(*(row.workspaces for row in claims.values())))
