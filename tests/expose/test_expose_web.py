"""The web side: real requests to a real server, and scrapers that are slow, many or gone."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import replace
from typing import Any

import httpx
import pytest
from expose_views import A_DATABASE, A_SNAPSHOT, NOW, exposition_of, needs_program, plain, serving, snapshot_of
from starlette.applications import Starlette

from prisma_postgres_exporter.expose import Exposition, Format, Reload, ServiceStatus, web_app

Message = MutableMapping[str, Any]

A_STATUS = ServiceStatus(
    version="1.2.3",
    now_at=NOW,
    started_at=NOW.replace(hour=9),
    api_url="https://api.prisma.io",
    store_url="sqlite:///prisma-postgres-exporter.db",
)
_LARGE = snapshot_of([replace(A_DATABASE, database_id=f"db_{number}") for number in range(3000)])


def app_of(
    exposition: Exposition | None = None,
    status: ServiceStatus = A_STATUS,
    reload: Callable[[], Awaitable[Reload]] | None = None,
    send_limit_seconds: float = 60.0,
) -> Starlette:
    exposition = exposition or exposition_of(A_SNAPSHOT)
    return web_app(exposition, lambda: status, reload, send_limit_seconds=send_limit_seconds)


def client_of(app: Starlette) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://exporter")


@pytest.mark.parametrize("exposition_format", Format)
@pytest.mark.parametrize("coding", ["identity", "gzip"])
async def test_a_scrape_gets_the_rendered_body_with_its_headers(exposition_format: Format, coding: str) -> None:
    exposition = exposition_of(_LARGE)
    accept = exposition_format.value.partition(";")[0]
    async with serving(app_of(exposition)) as url, httpx.AsyncClient() as client:
        answer = await client.get(f"{url}/metrics", headers={"Accept": accept, "Accept-Encoding": coding})
    assert answer.status_code == 200
    assert answer.content == plain(exposition, exposition_format)
    assert answer.headers["content-type"] == exposition_format.value
    assert answer.headers["vary"] == "Accept, Accept-Encoding"
    assert answer.headers.get("content-encoding", "identity") == coding
    body = exposition.body(exposition_format, is_gzip=coding == "gzip")
    assert answer.headers["content-length"] == str(body.length)
    assert "transfer-encoding" not in answer.headers


@needs_program("curl")
async def test_curl_reads_what_it_asked_to_be_compressed() -> None:
    exposition = exposition_of(_LARGE)
    async with serving(app_of(exposition)) as url:
        arguments = ["curl", "--silent", "--fail", "--compressed", f"{url}/metrics"]
        curl = await asyncio.create_subprocess_exec(*arguments, stdout=subprocess.PIPE)
        output, _ = await curl.communicate()
    assert curl.returncode == 0
    assert output == plain(exposition)


async def test_head_has_the_headers_and_no_body() -> None:
    exposition = exposition_of(A_SNAPSHOT)
    async with client_of(app_of(exposition)) as client:
        answer = await client.head("/metrics", headers={"Accept-Encoding": "identity"})
    assert answer.status_code == 200
    assert answer.content == b""
    assert answer.headers["content-length"] == str(len(plain(exposition)))


@pytest.mark.parametrize("path", ["/metrics", "/", "/-/healthy", "/-/ready"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_other_methods_are_not_allowed(path: str, method: str) -> None:
    async with client_of(app_of()) as client:
        answer = await client.request(method, path)
    assert answer.status_code == 405
    assert "GET" in answer.headers["allow"]


async def test_an_accept_header_on_two_lines_is_one_header() -> None:
    async with client_of(app_of()) as client:
        lines = [("Accept", "text/plain;q=0.5"), ("Accept", "application/openmetrics-text")]
        request = httpx.Request("GET", "http://exporter/metrics", headers=lines)
        answer = await client.send(request)
    assert answer.headers["content-type"] == Format.OPENMETRICS.value


async def test_checks_answer_200_while_all_is_well() -> None:
    async with client_of(app_of()) as client:
        assert (await client.get("/-/healthy")).text == "healthy\n"
        ready = await client.get("/-/ready")
    assert (ready.status_code, ready.text) == (200, "ready\n")


async def test_checks_answer_503_with_the_reason() -> None:
    status = replace(A_STATUS, not_ready_reason="no snapshot yet", unhealthy_reason="no round for an hour")
    async with client_of(app_of(status=status)) as client:
        ready = await client.get("/-/ready")
        healthy = await client.get("/-/healthy")
    assert (ready.status_code, ready.text) == (503, "not ready: no snapshot yet\n")
    assert (healthy.status_code, healthy.text) == (503, "not healthy: no round for an hour\n")


@pytest.mark.parametrize(("problem", "status_code"), [(None, 200), ("poll.interval: not a duration", 500)])
async def test_reload_says_whether_the_configuration_was_good(problem: str | None, status_code: int) -> None:
    asked = []

    async def reload() -> Reload:
        asked.append(True)
        return Reload(problem=problem)

    async with client_of(app_of(reload=reload)) as client:
        assert (await client.get("/-/reload")).status_code == 405
        assert not asked
        answer = await client.post("/-/reload")
    assert answer.status_code == status_code
    assert (problem or "reloaded") in answer.text


async def scrape(app: Starlette, send: Callable[[Message], Awaitable[None]]) -> None:
    """One GET of /metrics, spoken to the application itself."""

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    await app({"type": "http", "method": "GET", "path": "/metrics", "query_string": b"", "headers": []}, receive, send)


async def test_a_thousand_scrapes_at_once_share_the_same_bytes() -> None:
    app = app_of(exposition_of(_LARGE))
    held: set[int] = set()
    gate = asyncio.Event()
    sent = 0

    async def send(message: Message) -> None:
        nonlocal sent
        if isinstance(message.get("body"), memoryview):
            await gate.wait()
            held.add(id(message["body"]))
            sent += 1

    scrapes = asyncio.gather(*[scrape(app, send) for _ in range(1000)])
    gate.set()
    await scrapes
    assert sent == 1000 * len(held)


async def test_a_scraper_that_stops_reading_is_let_go() -> None:
    app = app_of(exposition_of(_LARGE), send_limit_seconds=0.01)
    sent = []

    async def send(message: Message) -> None:
        sent.append(message["type"])
        if len(sent) > 2:
            await asyncio.Event().wait()

    await scrape(app, send)
    assert len(sent) == 3


async def test_scrapers_that_hang_or_vanish_do_not_hold_up_others() -> None:
    exposition = exposition_of(_LARGE)
    request = b"GET /metrics HTTP/1.1\r\nHost: exporter\r\n\r\n"
    async with serving(app_of(exposition)) as url, httpx.AsyncClient() as client:
        host, port = url.removeprefix("http://").split(":")
        writers = []
        for number in range(40):
            _, writer = await asyncio.open_connection(host, int(port), limit=1024)
            writer.write(request)
            await writer.drain()
            if number % 2:
                writer.transport.abort()
            else:
                writers.append(writer)
        answer = await client.get(f"{url}/metrics")
        for writer in writers:
            writer.transport.abort()
    assert answer.content == plain(exposition)


async def test_a_scrape_under_way_keeps_its_snapshot_when_a_new_one_comes() -> None:
    exposition = exposition_of(_LARGE)
    before = plain(exposition)
    received = bytearray()
    length = 0

    async def send(message: Message) -> None:
        nonlocal length
        if message["type"] == "http.response.start":
            length = int(dict(message["headers"])[b"content-length"])
            exposition.render(A_SNAPSHOT)
        received.extend(message.get("body", b""))

    await scrape(app_of(exposition), send)
    assert bytes(received) == before
    assert len(received) == length


async def test_a_request_waits_until_what_is_shown_is_of_today_and_a_check_does_not() -> None:
    exposition = exposition_of(A_SNAPSHOT)
    waits = 0

    async def current() -> None:
        nonlocal waits
        waits += 1
        exposition.render(snapshot_of([]))

    async with client_of(web_app(exposition, lambda: A_STATUS, None, current=current)) as client:
        for path in ("/-/healthy", "/-/ready"):
            assert (await client.get(path)).status_code == 200
        assert waits == 0
        assert b"db_a" not in (await client.get("/metrics")).content
        for path in ("/", "/databases/db_a"):
            await client.get(path)
    assert waits == 3
