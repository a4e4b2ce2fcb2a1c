from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from api_fakes import TOKEN, ApiFor, SteppingTime, Witness
from hostile import HostileServer

from prisma_postgres_exporter.api import Limits, ManagementApi


@pytest.fixture
def time() -> SteppingTime:
    return SteppingTime()


@pytest.fixture
def witness() -> Witness:
    return Witness()


@pytest.fixture
async def api_for(time: SteppingTime, witness: Witness) -> AsyncIterator[ApiFor]:
    """Builds clients of a hostile server on stepping time, and closes them."""
    clients: list[ManagementApi] = []

    def build(server: HostileServer | str, **bounds: float) -> ManagementApi:
        limits = Limits(**{"requests_per_second": 10_000, **bounds})  # type: ignore[arg-type]
        api = ManagementApi(
            TOKEN,
            base_url=server if isinstance(server, str) else server.url,
            limits=limits,
            observer=witness,
            clock=time.clock(),
        )
        clients.append(api)
        return api

    yield build
    for client in clients:
        await client.aclose()
