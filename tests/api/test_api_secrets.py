"""The token is nowhere to be seen."""

from __future__ import annotations

import logging
import pickle
import traceback
from collections.abc import Iterator

import pytest
from api_fakes import SteppingTime
from hostile import Behaviour, answer, endless_headers, half, hostile_server, raw, reset, silence

from prisma_postgres_exporter.api import Limits, ManagementApi
from prisma_postgres_exporter.errors import ApiError

SECRET = "sesame-test-token-9"
ECHO = {"error": {"code": SECRET, "message": f"Bearer {SECRET} is not known", "hint": f"try another than {SECRET}"}}


@pytest.mark.parametrize(
    "behaviour",
    [
        reset,
        silence,
        half({"a": 1}, framing="length"),
        endless_headers(),
        raw(b"nonsense\r\n\r\n"),
        raw(f"HTTP/1.1 200 {SECRET}\r\nContent-Length: x\r\n\r\n".encode()),
        answer(b"<html>" + SECRET.encode()),
        answer({"data": SECRET}),
        answer(b"", status=307, headers={"Location": f"/{SECRET}"}),
        answer(b"", status=429, headers={"Retry-After": SECRET}),
        answer(ECHO, status=400),
        answer(ECHO, status=401),
        answer(ECHO, status=503),
        answer(
            b'{"error":{"code":"x","message":"' + "".join(f"\\u{ord(c):04x}" for c in SECRET).encode() + b'"}}',
            status=403,
        ),
    ],
)
async def test_no_error_log_or_traceback_shows_the_token(
    behaviour: Behaviour, time: SteppingTime, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    limits = Limits(total_timeout_seconds=0.1, attempts=2)
    async with (
        hostile_server(behaviour) as server,
        ManagementApi(SECRET, base_url=server.url, limits=limits, clock=time.clock()) as api,
    ):
        with pytest.raises(ApiError) as caught:
            await api.usage("db_1")

    assert f"Bearer {SECRET}" == server.requests[0].headers["authorization"]
    error = caught.value
    for chained in _chain(error):
        shown = traceback.TracebackException.from_exception(chained, capture_locals=True)
        frames = "".join(line for line in shown.format() if "test_api_secrets.py" not in line)
        assert SECRET not in frames
        assert SECRET not in repr(vars(chained))
        assert SECRET not in repr(chained.args)
    assert SECRET.encode() not in pickle.dumps(error.args)
    assert SECRET not in caplog.text
    assert SECRET not in repr([vars(record) for record in caplog.records])


async def test_no_certificate_or_connection_error_shows_the_token(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with hostile_server(silence) as server:
        url = server.url
    async with ManagementApi(SECRET, base_url=url, limits=Limits(attempts=1)) as api:
        with pytest.raises(ApiError) as caught:
            await api.me()

    assert SECRET not in "".join(traceback.format_exception(caught.value)) + caplog.text


async def test_no_error_is_chained_to_one_of_a_library() -> None:
    async with (
        hostile_server(raw(b"nonsense\r\n\r\n")) as server,
        ManagementApi(SECRET, base_url=server.url, limits=Limits(attempts=1)) as api,
    ):
        with pytest.raises(ApiError) as caught:
            await api.usage("db_1")

    # aiohttp's errors hold the request's headers, and show them in their repr.
    assert list(_chain(caught.value)) == [caught.value]


async def test_no_repr_shows_the_token() -> None:
    async with ManagementApi(SECRET) as api:
        shown = [api, *vars(api).values(), *vars(api._transport).values(), *vars(api._calls).values()]

        assert SECRET not in repr(shown)
        assert SECRET not in "".join(map(str, shown))


def _chain(error: BaseException) -> Iterator[BaseException]:
    for chained in (error.__cause__, error.__context__):
        if chained is not None:
            yield from _chain(chained)
    yield error
