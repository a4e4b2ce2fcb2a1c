"""Since when the databases' counters count: as OpenMetrics writes it, and as what is pushed carries it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from prisma_postgres_exporter.expose.lines import escaped, unix_seconds
from prisma_postgres_exporter.snapshot import Snapshot

DATABASE = re.compile(r'[{,]database_id="((?:[^"\\]|\\.)*)"')


def beginnings(snapshot: Snapshot) -> dict[str, str]:
    """When each database's counters were 0, as Unix seconds, by the database's id as a label writes it."""
    return {
        escaped(view.database_id): unix_seconds(view.counting_since_at)
        for view in snapshot.databases
        if view.counting_since_at is not None
    }


def with_created(name: str, plain: bytes, began: Mapping[str, str]) -> bytes:
    """A counter's lines with a `_created` line behind each whose database's beginning is known."""
    created = name.removesuffix("_total") + "_created"
    lines = []
    for line in plain.decode().split("\n"):
        lines.append(line)
        database = DATABASE.search(line)
        if database is not None and (began_at := began.get(database[1])) is not None:
            lines.append(f"{created}{line[len(name) :].rpartition(' ')[0]} {began_at}")
    return "\n".join(lines).encode()
