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
    that asks with the same values gets the same answer. Linear in the claims, and in workspaces times sessions where
    some have to move.
    """
    refused = _by_workspace({id_: row.workspaces & row.refused for id_, row in claims.items()})
    # Of a workspace with credentials that are all refused, whoever has one.
    able = refused | _by_workspace({id_: row.workspaces - row.refused for id_, row in claims.items()})
    if claims and all(row.is_complete for row in claims.values()):
        everybody = sorted(claims)
        able |= dict.fromkeys(sorted(frozenset(followed) - able.keys()), everybody)
    shares: dict[str, str] = {
        id_: holder for id_, sessions in able.items() if (holder := holders.get(id_)) is not None and holder in sessions
    }
    counts = dict.fromkeys(claims, 0)
    for holder in shares.values():
        counts[holder] += 1
    # The sessions are in the order of their ids: of equals the first one.
    for id_ in sorted(able.keys() - shares.keys()):
        shares[id_] = min(able[id_], key=counts.__getitem__)
        counts[shares[id_]] += 1
    if counts and max(counts.values()) - min(counts.values()) < 2:
        return shares
    # The last ones by id move, from whoever has two more than another who could have it: those of the fullest first, or
    # one that has its share would give some away and get others.
    for id_ in sorted(shares, key=lambda id_: (counts[shares[id_]], id_), reverse=True):
        least = min(able[id_], key=counts.__getitem__)
        if counts[shares[id_]] - counts[least] >= 2:
            counts[shares[id_]] -= 1
            counts[least] += 1
            shares[id_] = least
    return shares


def _by_workspace(sessions: Mapping[str, Collection[str]]) -> dict[str, list[str]]:
    """The sessions of each workspace, in the order of their ids, from the workspaces of each session."""
    found: dict[str, list[str]] = {}
    for session in sorted(sessions):
        for workspace_id in sessions[session]:
            found.setdefault(workspace_id, []).append(session)
    return found
