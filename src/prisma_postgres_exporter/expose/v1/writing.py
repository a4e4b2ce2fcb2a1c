"""Answers as bytes, written beside the event loop."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import BaseModel
from starlette.responses import Response

from prisma_postgres_exporter.expose.beside import OneAtATime

NO_STORE = {"Cache-Control": "no-store"}


class Writing:
    """Makes and writes answers one at a time: ten thousand rows take a while, and scrapes go on meanwhile.

    FastAPI would check what the models have checked already, and write it in the event loop.
    """

    def __init__(self) -> None:
        self._turn = OneAtATime()

    async def __call__(self, make: Callable[[], BaseModel]) -> Response:
        """Return what `make` makes."""
        body = await self._turn(lambda: make().model_dump_json())
        return Response(body, media_type="application/json", headers=NO_STORE)
