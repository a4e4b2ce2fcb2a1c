"""Write rounds until killed: each counts one operation more for every database."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import timedelta

from store_values import NOW, TODAY, day_usage, reading

from prisma_postgres_exporter.model import DatabaseState, LedgerUpdate
from prisma_postgres_exporter.store import Store


def write_rounds(url: str) -> None:
    store = Store.open(url)
    workspace = store.load(NOW).workspaces["wksp_1"]
    states, generation = tuple(workspace.databases.values()), workspace.generation
    while True:
        at = NOW + timedelta(seconds=generation)
        after = tuple(moved(state) for state in states)
        readings = tuple(reading(state.key, at) for state in states)
        update = LedgerUpdate(before=states, after=after, readings=readings)
        generation = store.record(update, workspace_id="wksp_1", generation=generation, at=at)
        states = after
        print("recorded", flush=True)


def moved(state: DatabaseState) -> DatabaseState:
    total = state.operations_total + 1
    today = day_usage(state.key, TODAY, operations=total, operations_high=total)
    return replace(state, operations_total=total, recent_days=(today,))


if __name__ == "__main__":
    write_rounds(sys.argv[1])
