"""Let the demo's world live for two weeks on a fast clock, and run a Prometheus that has scraped it.

    python grafana/pictures/demo_history.py 19090

It prints the instant at which the world ends, for `render.mjs`, and stays until Ctrl-C.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path += [str(ROOT / "tests" / folder) for folder in ("grafana", "end_to_end")]

from fast_service import STORE, fast_service, stamped  # noqa: E402  (found in the folders that were added above)
from stored_history import prometheus_with  # noqa: E402

from prisma_postgres_exporter.config import Config, PollConfig, StoreConfig  # noqa: E402
from prisma_postgres_exporter.service import live_through_the_past  # noqa: E402
from prisma_postgres_exporter.simulator import ManualClock, demo_simulator, history_begins_at  # noqa: E402

UNTIL = datetime(2026, 11, 20, 14, 30, 7, tzinfo=UTC)
"""Beside the minute, as scrapes are: one at midnight itself would show the old month until the next."""

LIVED = timedelta(days=20)
EVERY = timedelta(minutes=30)
CLOSELY = timedelta(hours=26)
EVERY_CLOSELY = timedelta(minutes=2)
ROUND_CLOSELY = timedelta(minutes=10)
REQUESTS_PER_SECOND = 1000.0
COST = {
    "workspaces": [{"workspace": "Oakline Shop", "spend_limit_usd": 120}],
    "budgets": [
        {"name": "everything", "monthly_usd": 200, "thresholds": [0.5, 0.8, 1.0]},
        {"name": "Brightfield", "monthly_usd": 80, "thresholds": [0.8, 1.0], "workspaces": ["^Brightfield$"]},
        {"name": "storefront", "monthly_usd": 60, "thresholds": [0.8, 1.0], "projects": ["^storefront$"]},
    ],
}


def main() -> None:
    """Serve the history until Ctrl-C."""
    with tempfile.TemporaryDirectory(prefix="demo-history-") as name:
        folder = Path(name)
        text = "".join(asyncio.run(_live(folder))).encode()
        print(f"{len(text) / 1e6:.0f} MB of samples")
        options = ("--query.lookback-delta=31m",)
        port = int(sys.argv[1])
        with prometheus_with(text, UNTIL.timestamp(), folder, port, *options, scraped_every="30s") as prometheus:
            print(f"{prometheus.url} {UNTIL.timestamp():.0f}", flush=True)
            while True:
                time.sleep(3600)


async def _live(folder: Path) -> list[str]:
    clock = ManualClock(UNTIL)
    simulator = demo_simulator(clock)
    clock.now = UNTIL - LIVED
    past = Config(
        store=StoreConfig(url=f"sqlite:///{folder / STORE}"), poll=PollConfig(requests_per_second=REQUESTS_PER_SECOND)
    )
    await live_through_the_past(simulator.vendor, past, since=history_begins_at(UNTIL), now=clock())
    scraped = []
    async with fast_service(simulator, folder, COST) as service:
        for at in _instants():
            clock.now = at
            is_round = (UNTIL - at) % (ROUND_CLOSELY if UNTIL - at <= CLOSELY else EVERY) == timedelta(0)
            if is_round:
                await service.round()
            text = await service.scrape()
            shown = text if is_round else _own(text)
            scraped.append(stamped(shown, int(at.timestamp() * 1000), "prisma-postgres", "exporter:9478"))
    return scraped


def _instants() -> Iterator[datetime]:
    at = UNTIL - LIVED
    while at <= UNTIL:
        yield at
        at += EVERY_CLOSELY if UNTIL - at <= CLOSELY else EVERY


def _own(text: str) -> str:
    """What changes between two rounds: the exporter's own metrics."""
    own = ("prisma_postgres_exporter_", "process_")
    return "\n".join(line for line in text.splitlines() if line.startswith(own))


if __name__ == "__main__":
    main()
