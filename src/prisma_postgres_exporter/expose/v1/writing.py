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
        body = await self._turn(lambda: written(make()))
        return Response(body, media_type="application/json", headers=NO_STORE)


def written(answer: BaseModel) -> bytes:
    """Return what `model_dump_json` gives, row by row: it lets no other thread run before it is done with them all."""
    rows = getattr(answer, "data", None)
    if not isinstance(rows, list):
        return answer.model_dump_json().encode()
    # No text has these characters: its quotes are escaped.
    before, data, after = answer.model_copy(update={"data": []}).model_dump_json().encode().partition(b'"data":[')
    return b"".join((before, data, b",".join([row.model_dump_json().encode() for row in rows]), after))
