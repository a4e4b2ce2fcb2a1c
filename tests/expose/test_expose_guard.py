"""Who may ask what: no browser reloads, no stranger's name is answered to, and no answer repeats a Host header."""

from __future__ import annotations

import asyncio
from typing import cast

import httpx
import pytest
from expose_views import A_SNAPSHOT, exposition_of
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send
from test_expose_web import A_STATUS

from prisma_postgres_exporter.config import WebConfig
from prisma_postgres_exporter.expose import Reload, web_app
from prisma_postgres_exporter.expose.ledger import Ledger
from prisma_postgres_exporter.service.web import listening

STRANGER = "stranger.example"


class Reloads:
    """Counts how often it was asked."""

    def __init__(self) -> None:
        self.count = 0

    async def __call__(self) -> Reload:
        self.count += 1
        return Reload()


def app_of(reload: Reloads | None = None, *hosts: str) -> Starlette:
    ledger = cast(Ledger, object())  # nothing that these tests ask for is in it
    return web_app(exposition_of(A_SNAPSHOT), lambda: A_STATUS, reload, hosts=hosts, ledger=ledger)


def client_from(app: Starlette, address: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app, client=(address, 1)), base_url="http://exporter:9478")


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
async def test_a_program_of_this_machine_may_reload(address: str) -> None:
    reload = Reloads()
    async with client_from(app_of(reload), address) as client:
        assert (await client.post("/-/reload")).text == "reloaded\n"
    assert reload.count == 1


@pytest.mark.parametrize("address", ["192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1", "fe80::1%eth0", "unix"])
async def test_no_other_machine_may_reload(address: str) -> None:
    reload = Reloads()
    async with client_from(app_of(reload), address) as client:
        answer = await client.post("/-/reload")
    assert (answer.status_code, reload.count) == (403, 0)
    assert "send SIGHUP" in answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://stranger.example"},
        {"Origin": "null"},
        # The form of an old browser, which knows no Origin.
        {"Referer": "https://stranger.example/"},
        # A page that DNS rebinding led here is of the same origin, as far as the browser knows.
        {"Sec-Fetch-Site": "same-origin", "Origin": "http://stranger.example:9478", "Host": "stranger.example:9478"},
        {"Origin": "http://exporter:9478"},
        {"Sec-Fetch-Mode": "navigate"},
        {"X-Forwarded-For": "192.0.2.1"},
        {"Forwarded": "for=192.0.2.1"},
        {"X-Forwarded-Proto": "https"},
        {"X-Forwarded-Host": "exporter.example"},
        {"X-Real-IP": "192.0.2.1"},
        {"X-Envoy-External-Address": "192.0.2.1"},
        {"CF-Connecting-IP": "192.0.2.1"},
    ],
)
async def test_no_browser_and_no_proxy_may_reload(headers: dict[str, str]) -> None:
    reload = Reloads()
    async with client_from(app_of(reload), "127.0.0.1") as client:
        answer = await client.post("/-/reload", headers=headers)
    assert (answer.status_code, reload.count) == (403, 0)


async def test_nginx_which_adds_no_header_unless_it_is_told_to_may_not_reload_either() -> None:
    reload = Reloads()
    app = app_of(reload)

    async def as_nginx_asks(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "http_version": "1.0"}, receive, send)

    transport = httpx.ASGITransport(as_nginx_asks, client=("127.0.0.1", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:9478") as client:
        answer = await client.post("/-/reload")
    assert (answer.status_code, reload.count) == (403, 0)
    assert "through a proxy" in answer.text


async def test_without_enable_lifecycle_nobody_reloads_over_the_web() -> None:
    assert WebConfig().enable_lifecycle is False
    async with client_from(app_of(None), "127.0.0.1") as client:
        answer = await client.post("/-/reload")
    assert answer.status_code == 403
    assert "web.enable_lifecycle" in answer.text


@pytest.mark.parametrize(
    ("host", "status_code"),
    [
        ("exporter.example.com", 200),
        ("EXPORTER.example.com.:9478", 200),
        ("127.0.0.1:9478", 200),
        ("[::1]:9478", 200),
        ("192.0.2.7", 200),  # no name of a stranger leads a browser to an address
        ("localhost:1", 200),
        ("stranger.example", 421),
        ("exporter.example.com.stranger.example", 421),
        ("stranger.example:9478", 421),
        ("exporter.example.com@stranger.example", 400),
        ("<script>", 400),
    ],
)
@pytest.mark.parametrize("path", ["/metrics", "/sd", "/-/ready", "/nowhere"])
async def test_only_configured_names_are_answered_to(host: str, status_code: int, path: str) -> None:
    async with client_from(app_of(None, "exporter.example.com"), "192.0.2.1") as client:
        answer = await client.get(path, headers={"Host": host})
    assert answer.status_code == (404 if status_code == 200 and path == "/nowhere" else status_code)
    if status_code != 200:
        assert "stranger" not in answer.text
        assert "script" not in answer.text


async def test_without_configured_names_any_is_answered_to_that_can_be_one() -> None:
    async with client_from(app_of(), "192.0.2.1") as client:
        assert (await client.get("/metrics", headers={"Host": "some_service:80"})).status_code == 200
        assert (await client.get("/metrics", headers={"Host": "a b"})).status_code == 400


@pytest.mark.parametrize("hosts", [(), ("exporter.example.com",)])
@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (b"HTTP/1.1\r\nHost: localhost\r\n", 200),
        (b"HTTP/1.1\r\nHost: localhost\r\nHost: stranger\r\n", 400),
        (b"HTTP/1.1\r\nHost: localhost\r\nhost: localhost\r\n", 400),
        (b"HTTP/1.0\r\nHost: localhost\r\nHost: localhost\r\n", 400),
        (b"HTTP/1.1\r\n", 400),
        (b"HTTP/1.0\r\n", 200),
    ],
)
async def test_a_request_has_one_host_header(hosts: tuple[str, ...], lines: bytes, status: int) -> None:
    async with listening(app_of(None, *hosts), ["127.0.0.1:0"]) as (url,):
        answer = await raw(url, b"GET /metrics " + lines + b"Connection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 %d " % status)


@pytest.mark.parametrize(
    "path", ["/metrics", "/metrics/", "/nowhere", "/-/ready", "/-/reload", "/api/v1/x/", "/api/v1"]
)
async def test_no_answer_repeats_the_host(path: str) -> None:
    async with client_from(app_of(), "192.0.2.1") as client:
        for method in ("GET", "POST"):
            answer = await client.request(method, path, headers={"Host": STRANGER})
            assert STRANGER not in answer.text + str(answer.headers)


async def test_no_answer_may_be_taken_for_another_kind_than_it_says() -> None:
    async with listening(app_of(), ["127.0.0.1:0"]) as (url,), httpx.AsyncClient() as client:
        for path in ("/nowhere/", "/metrics", "/sd", "/-/ready", "/-/reload", "/databases/absent", "/sd?x=1"):
            answer = await client.get(url + path)
            assert answer.headers.get_list("x-content-type-options") == ["nosniff"]
        assert (await client.get(f"{url}/sd", headers={"Host": "a b"})).headers["x-content-type-options"] == "nosniff"
        assert b"x-content-type-options: nosniff" in (await raw(url, b"nonsense\r\n\r\n")).lower()


async def test_a_fault_of_ours_too() -> None:
    def fail() -> None:
        raise RuntimeError("nobody foresaw this")

    app = web_app(exposition_of(A_SNAPSHOT), fail, None)  # type: ignore[arg-type]  # what fails has no type
    async with listening(app, ["127.0.0.1:0"]) as (url,), httpx.AsyncClient() as client:
        answer = await client.get(f"{url}/-/ready")
    assert (answer.status_code, answer.headers["x-content-type-options"]) == (500, "nosniff")


async def raw(url: str, request: bytes) -> bytes:
    """What comes back for bytes that need not be a request."""
    host, _, port = url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request)
    answer = await reader.read()
    writer.close()
    return answer
