"""What the simulator's tests share: instants, worlds, and a client that asks an app without a socket."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from hypothesis import strategies as st

from prisma_postgres_exporter.simulator import ManualClock, Simulator, VendorBehaviour, World, WorldShape

BEGINS_AT = datetime(2026, 9, 1, tzinfo=UTC)
NOW = datetime(2026, 11, 17, 13, 37, 11, 250_000, tzinfo=UTC)
TOKEN = "simulator-token-1"
LIVELY = WorldShape(workspaces=3, projects_per_workspace=3, databases=30, churn_per_day=4, awkward_share=0.2)

seeds = st.integers(min_value=0, max_value=2**32)
instants = st.integers(min_value=-90 * 86_400_000, max_value=400 * 86_400_000).map(
    lambda ms: BEGINS_AT + timedelta(milliseconds=ms)
)


def simulated(
    shape: WorldShape = LIVELY, *, seed: int = 1, now: datetime = NOW, behaviour: VendorBehaviour | None = None
) -> Simulator:
    """A simulator of a fresh world whose clock stands at `now`."""
    return Simulator(World(seed=seed, shape=shape, begins_at=BEGINS_AT), ManualClock(now), behaviour=behaviour)


def client(simulator: Simulator, token: str | None = TOKEN) -> httpx.AsyncClient:
    """A client of the app itself."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(simulator.app), base_url="http://simulator.invalid", headers=headers
    )


async def every_page(api: httpx.AsyncClient, path: str, **query: Any) -> list[dict[str, Any]]:
    """Every entry of a list, page after page."""
    entries: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        answer = (await api.get(path, params={**query, **({} if cursor is None else {"cursor": cursor})})).json()
        entries += answer["data"]
        assert set(answer) == {"data", "pagination"}
        assert answer["pagination"]["hasMore"] is (answer["pagination"]["nextCursor"] is not None)
        if not answer["pagination"]["hasMore"]:
            return entries
        cursor = answer["pagination"]["nextCursor"]


def vendor_instant(at: datetime) -> str:
    """`2026-11-01T00:00:00.000Z`"""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
