"""Write cycles until killed: each counts one operation more for every database."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import timedelta

from store_values import NOW, TODAY, day_usage, reading

from prisma_postgres_exporter.model import Position, Posting
from prisma_postgres_exporter.store import Store


def write_cycles(url: str) -> None:
    store = Store.open(url)
    book = store.load(NOW)
    positions, generation = tuple(book.positions.values()), book.generation
    while True:
        at = NOW + timedelta(seconds=generation)
        after = tuple(moved(position) for position in positions)
        readings = tuple(reading(position.key, at) for position in positions)
        generation = store.record(
            Posting(before=positions, positions=after, readings=readings), at=at, generation=generation
        )
        positions = after
        print("recorded", flush=True)


def moved(position: Position) -> Position:
    total = position.operations_total + 1
    today = day_usage(position.key, TODAY, operations=total, operations_high=total)
    return replace(position, operations_total=total, recent_days=(today,))


if __name__ == "__main__":
    write_cycles(sys.argv[1])
