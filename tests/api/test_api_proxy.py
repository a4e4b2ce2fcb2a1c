"""What the environment says about proxies and certificates, with a real proxy and a private authority."""

from __future__ import annotations

import asyncio
import ssl
import traceback
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trustme
from api_fakes import TOKEN
from hostile import HostileServer, answer, hostile_server

from prisma_postgres_exporter.api import Limits, ManagementApi, proxy_in_use
from prisma_postgres_exporter.errors import ApiError, ConfigurationError, Unavailable

USAGE = {"period": {"start": "2026-11-01T00:00:00.000Z", "end": "2026-11-23T12:00:00.000Z"}}
VENDOR = "https://api.prisma.io"
VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """One without proxies and certificates of its own."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    return monkeypatch


@dataclass(slots=True)
class Proxy:
    """Opens a tunnel for each `CONNECT`, or answers `refusal`."""

    refusal: bytes | None = None
    address: str = ""
    heads: list[str] = field(default_factory=list)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        try:
            await self._tunnel(reader, writer)
        except (ConnectionError, asyncio.CancelledError, asyncio.IncompleteReadError):
            pass  # the client, or the test, is done
        finally:
            writer.close()
            self.tasks.discard(task)

    async def _tunnel(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        if self.refusal is not None:
            writer.write(self.refusal)
            return await writer.drain()
        host, _, port = self.heads[-1].split(" ")[1].rpartition(":")
        onward_reader, onward_writer = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        try:
            await asyncio.gather(_pipe(reader, onward_writer), _pipe(onward_reader, writer))
        finally:
            onward_writer.close()
        return None


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(65_536):
        writer.write(chunk)
        await writer.drain()
    writer.close()


@asynccontextmanager
async def proxy_server(refusal: bytes | None = None) -> AsyncIterator[Proxy]:
    proxy = Proxy(refusal)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        server.close()
        for task in tuple(proxy.tasks):
            task.cancel()
        await asyncio.gather(*proxy.tasks)


@asynccontextmanager
async def private_server(environment: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[HostileServer]:
    """One whose authority nobody knows but `SSL_CERT_FILE`."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    environment.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    async with hostile_server(answer(USAGE), tls=context) as server:
        yield server


async def ask(base_url: str) -> None:
    async with ManagementApi(TOKEN, base_url=base_url, limits=Limits(attempts=1)) as api:
        await api.usage("db_1")


async def refusal_of(base_url: str) -> ApiError:
    with pytest.raises(Unavailable) as caught:
        await ask(base_url)
    return caught.value


async def test_a_request_goes_through_the_proxy_to_a_server_of_a_private_authority(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with private_server(environment, tmp_path) as server, proxy_server() as proxy:
        environment.setenv("HTTPS_PROXY", f"http://us%40er:pass-word-9%C3%A9@{proxy.address}")
        await ask(server.url)

        (head,) = proxy.heads
        assert head.startswith(f"CONNECT {server.url.removeprefix('https://')} ")
        assert f"proxy-authorization: Basic {b64encode('us@er:pass-word-9é'.encode()).decode()}\r\n" in head
        assert TOKEN not in head
        assert server.requests[0].headers["authorization"] == f"Bearer {TOKEN}"
        assert "proxy-authorization" not in server.requests[0].headers
        assert proxy_in_use(server.url) == f"http://{proxy.address}"


async def test_without_the_authority_the_server_is_not_trusted(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async with private_server(environment, tmp_path) as server:
        environment.delenv("SSL_CERT_FILE")

        assert (await refusal_of(server.url)).reason == "tls"


@pytest.mark.parametrize("exception", ["localhost", "*", ".example.com, localhost:{port}"])
async def test_no_proxy_goes_around_it(environment: pytest.MonkeyPatch, tmp_path: Path, exception: str) -> None:
    async with private_server(environment, tmp_path) as server, proxy_server() as proxy:
        environment.setenv("HTTPS_PROXY", f"http://{proxy.address}")
        environment.setenv("NO_PROXY", exception.format(port=server.url.rpartition(":")[2]))
        await ask(server.url)

        assert proxy.heads == []
        assert proxy_in_use(server.url) is None


async def test_an_environment_that_does_not_count_is_not_looked_at(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with private_server(environment, tmp_path) as server, proxy_server() as proxy:
        environment.setenv("HTTPS_PROXY", f"http://{proxy.address}")
        limits = Limits(attempts=1)
        async with ManagementApi(TOKEN, base_url=server.url, limits=limits, trust_env=False) as api:
            with pytest.raises(Unavailable) as caught:
                await api.usage("db_1")

    assert caught.value.reason == "tls"
    assert proxy.heads == []


async def test_a_proxy_that_refuses_is_told_as_such_and_its_password_is_not(
    environment: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    errors = []
    for status in (403, 407, 502):
        words = f"HTTP/1.1 {status} pass-word-9\r\nContent-Length: 0\r\n\r\n".encode()
        async with proxy_server(words) as proxy:
            environment.setenv("HTTPS_PROXY", f"http://user:pass-word-9@{proxy.address}")
            errors.append(await refusal_of(VENDOR))
        assert len(proxy.heads) == 1
    errors.append(await refusal_of(VENDOR))  # it is gone

    assert [error.reason for error in errors] == ["proxy"] * 4
    assert all("the proxy refused" in str(error) for error in errors[:3])
    assert "the proxy cannot be reached" in str(errors[3])
    assert "pass-word-9" not in "".join("".join(traceback.format_exception(error)) for error in errors) + caplog.text


async def test_a_server_on_loopback_without_tls_is_asked_directly(environment: pytest.MonkeyPatch) -> None:
    async with hostile_server(answer(USAGE)) as server, proxy_server(b"HTTP/1.1 403 no\r\n\r\n") as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            environment.setenv(name, f"http://{proxy.address}")
            environment.setenv(name.lower(), f"http://{proxy.address}")
        await ask(server.url)

        assert proxy.heads == []
        assert proxy_in_use(server.url) is None


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("http://proxy.example.com:3128", "http://proxy.example.com:3128"),
        ("http://proxy.example.com:3128/", "http://proxy.example.com:3128"),
        ("proxy.example.com:3128", "http://proxy.example.com:3128"),
        ("user:pass-word-9@proxy.example.com", "http://proxy.example.com"),
        ("http://user:pass-word-9@proxy.example.com:3128", "http://proxy.example.com:3128"),
        ("http://user:pass@word-9@proxy.example.com:3128", "http://proxy.example.com:3128"),
        ("https://user@[::1]:3128", "https://[::1]:3128"),
        ("", None),
    ],
)
def test_the_proxy_in_use_is_shown_without_user_and_password(
    environment: pytest.MonkeyPatch, address: str, shown: str | None
) -> None:
    assert proxy_in_use(VENDOR) is None
    environment.setenv("ALL_PROXY", address)
    assert proxy_in_use(VENDOR) == shown
    environment.setenv("ALL_PROXY", "http://other.example.com")
    environment.setenv("https_proxy", address)
    assert proxy_in_use(VENDOR) == (shown or "http://other.example.com")


@pytest.mark.parametrize(
    "address",
    [
        "socks5://user:pass-word-9@proxy.example.com:1080",
        "ftp://user:pass-word-9@proxy.example.com",
        "http://user:pass-word-9/x@proxy.example.com:3128",
        "http://user:12/pass-word-9@proxy.example.com:3128",
        "http://user:12?pass-word-9@proxy.example.com:3128",
        "http://user:12#pass-word-9@proxy.example.com:3128",
        "http://user:pass-word-9@",
        "http://user:pass-word-9@proxy.example.com:99999",
        "http://user:pass-word-9@[proxy",
        "http://us%3Aer:pass-word-9@proxy.example.com",
        "http://user:pass-word-9@proxy.exam ple.com",
        "http://user:pass-word-9@proxy\x7f.example.com",
        "http://user:pass-word-9@<proxy>",
        "http://user:pass-word-9@1.2.3.999:3128",
    ],
)
def test_an_address_that_is_no_proxys_is_refused_without_showing_it(
    environment: pytest.MonkeyPatch, address: str
) -> None:
    environment.setenv("HTTPS_PROXY", address)

    for use in (proxy_in_use, lambda url: ManagementApi(TOKEN, base_url=url)):
        with pytest.raises(ConfigurationError, match="HTTPS_PROXY") as caught:
            use(VENDOR)
        assert "pass-word-9" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("base_url", ["http://api.prisma.io", "https://[x", ""])
def test_no_proxy_is_told_of_an_address_that_is_none(base_url: str) -> None:
    with pytest.raises(ConfigurationError):
        proxy_in_use(base_url)


@pytest.mark.parametrize("content", [None, "", "no certificate"])
async def test_a_file_without_certificates_is_a_mistake_of_the_configuration(
    environment: pytest.MonkeyPatch, tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "authority.pem"
    if content is not None:
        path.write_text(content)
    environment.setenv("SSL_CERT_FILE", str(path))

    with pytest.raises(ConfigurationError, match="SSL_CERT_FILE"):
        ManagementApi(TOKEN)
