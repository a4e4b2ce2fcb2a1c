"""Go on with a store that has lived, a round after the other, until killed."""

from __future__ import annotations

import sys
from datetime import timedelta

from lived_store import ENDS_AT, live_round

from prisma_postgres_exporter.config import PollConfig
from prisma_postgres_exporter.store import Store

STEP = timedelta(seconds=10)


def write_rounds(url: str) -> None:
    store, now = Store.open(url), ENDS_AT
    ledger_state = store.load(now)
    while True:
        now += STEP
        ledger_state = live_round(store, ledger_state, now, PollConfig(interval=STEP))
        print("recorded", flush=True)


if __name__ == "__main__":
    write_rounds(sys.argv[1])
