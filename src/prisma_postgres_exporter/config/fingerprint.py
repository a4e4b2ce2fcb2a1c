"""What differs between services that share a store: settings, told from short prints, and tokens."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2s

from prisma_postgres_exporter.config.costs import ONLY_HERE
from prisma_postgres_exporter.config.push import shown_address
from prisma_postgres_exporter.config.values import Config

_SHOWN = ("max_series", "shard", "created")
_OWN_LABEL = "instance"
_PRINT_BYTES = 4
_NAMED = 10
"""So many workspaces are named in a message."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Settings that are not the same in each of some groups of processes, which are given by their names."""

    settings: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...]

    def __str__(self) -> str:
        """Say it to a person."""
        processes = " / ".join(", ".join(names) for names in self.groups)
        return (
            f"processes that share the store have different {', '.join(self.settings)}: {processes}; "
            "give all of them the same configuration"
        )


def fingerprints(config: Config) -> dict[str, str]:
    """Return a print of each setting that must be the same in all services on a store, by its name."""
    return {
        name: blake2s(json.dumps(value, sort_keys=True).encode(), digest_size=_PRINT_BYTES).hexdigest()
        for name, value in _settings(config)
    }


def differences(processes: Iterable[tuple[str, Mapping[str, str]]]) -> tuple[Difference, ...]:
    """Return what differs between processes, each given by its name and its prints.

    Of a setting that not all know, as one has another version, nothing is said, nor of a process without prints.
    """
    known = [(name, prints) for name, prints in processes if prints]
    settings: dict[tuple[tuple[str, ...], ...], list[str]] = defaultdict(list)
    for setting in sorted(set.intersection(*(set(prints) for _, prints in known))) if known else ():
        groups: dict[str, list[str]] = defaultdict(list)
        for name, prints in known:
            groups[prints[setting]].append(name)
        if len(groups) > 1:
            settings[tuple(sorted(tuple(sorted(names)) for names in groups.values()))].append(setting)
    return tuple(Difference(tuple(names), groups) for groups, names in settings.items())


@dataclass(frozen=True, slots=True)
class Lack:
    """Workspaces of which some processes, given by their names, have no credential, though another one has."""

    workspaces: tuple[str, ...]
    processes: tuple[str, ...]

    def __str__(self) -> str:
        """Say it to a person."""
        named, more = ", ".join(self.workspaces[:_NAMED]), len(self.workspaces) - _NAMED
        return (
            f"{', '.join(self.processes)} has no token of {named}{f' and {more} more' if more > 0 else ''}, though "
            "another process that shares the store has: give all of them the same tokens"
        )


def lacks(processes: Iterable[tuple[str, Collection[str], bool]]) -> tuple[Lack, ...]:
    """Return what some processes cannot collect for want of a credential, each given by its name and its workspaces.

    Nothing is said of one that does not know yet of each of its credentials whose it is (the third value).
    """
    known = list(processes)
    lacking: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for workspace_id in sorted(frozenset[str]().union(*(workspaces for _, workspaces, _ in known))):
        names = tuple(
            sorted(name for name, workspaces, is_complete in known if is_complete and workspace_id not in workspaces)
        )
        if names:
            lacking[names].append(workspace_id)
    return tuple(Lack(tuple(ids), names) for names, ids in lacking.items())


def _settings(config: Config) -> Iterator[tuple[str, object]]:
    dumped = config.model_dump(mode="json")
    for section in ("discovery", "poll"):
        for name, value in dumped[section].items():
            yield f"{section}.{name}", value
    yield "store.keep_readings", dumped["store"]["keep_readings"]
    for name in _SHOWN:
        yield f"web.{name}", dumped["web"][name]
    push = config.push
    yield "push.interval", dumped["push"]["interval"]
    yield "push.keep", dumped["push"]["keep"]
    yield "push.labels", {name: value for name, value in push.labels.items() if name != _OWN_LABEL}
    for name in ("otlp", "remote_write"):
        target = push.targets.get(name)
        # Where it goes: a password may be another one, or come from another file.
        yield f"push.{name}", None if target is None else shown_address(target.url)
    for name, value in dumped["cost"].items():
        if name != ONLY_HERE:
            yield f"cost.{name}", value
    yield "prices", [row.model_dump(mode="json") for row in config.prices]
