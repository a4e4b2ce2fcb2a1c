"""Drawing pages about 10,000 databases in 1,000 workspaces, and the scrapes that are answered meanwhile."""

from __future__ import annotations

import asyncio
import sys
import time

import httpx
import pytest
from expose_views import exposition_of
from page_worlds import WORLDS, ToldLedger, costs_of

from prisma_postgres_exporter.expose import web_app
from prisma_postgres_exporter.service import memory
from prisma_postgres_exporter.service.service import SWITCH_SECONDS

PATHS = ("/", "/?q=database+77&sort=name", "/workspaces/wksp_7", "/projects/proj_7", "/databases/db_77")
ROUNDS = 20


@pytest.mark.benchmark
async def test_pages_beside_scrapes() -> None:
    status = WORLDS["ten thousand"]
    assert status.snapshot is not None
    app = web_app(exposition_of(status.snapshot), lambda: status, None, ledger=ToldLedger(costs_of(status)))
    # As in the service.
    sys.setswitchinterval(SWITCH_SECONDS)
    memory.spare_the_old()
    memory.set_aside()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://exporter") as client:
        for path in PATHS:
            took = []
            for _ in range(ROUNDS):
                began = time.perf_counter()
                assert (await client.get(path)).status_code == 200
                took.append(time.perf_counter() - began)
            print(f"{path}: median {sorted(took)[ROUNDS // 2] * 1000:.0f} ms, longest {max(took) * 1000:.0f} ms")
        for what, others in (("alone", 0), ("while pages are drawn", 3)):
            tasks = [asyncio.create_task(_forever(client, PATHS[number])) for number in range(others)]
            gaps = []
            for _ in range(2_000):
                began = time.perf_counter()
                await asyncio.sleep(0.001)
                gaps.append(time.perf_counter() - began - 0.001)
            print(f"turns of the event loop {what}: longest wait {max(gaps) * 1000:.1f} ms")
            for task in tasks:
                task.cancel()


async def _forever(client: httpx.AsyncClient, path: str) -> None:
    while True:
        await client.get(path)
