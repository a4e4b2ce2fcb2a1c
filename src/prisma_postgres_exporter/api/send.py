"""One attempt: a request out, by the proxy that the environment wants, a bounded answer in.

The only place that knows httpx and aiohttp.

httpx gives the request and the response, the `httpx-aiohttp` transport the connections: httpx's own pool slows
down with many tasks, and a cancelled connect can poison it. The transport is called directly: `AsyncClient` adds
half of the CPU again, for cookies, redirects and a log line per request that are not wanted here.
"""

from __future__ import annotations

import asyncio
import base64
import errno
import ipaddress
import os
import re
import ssl
import sys
import urllib.request
import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from types import FrameType
from typing import Final
from urllib.parse import SplitResult, unquote_to_bytes, urlsplit

import aiohttp
import httpx
from aiohttp.http_exceptions import HttpProcessingError
from httpx_aiohttp import AiohttpTransport
from pydantic import SecretStr

from prisma_postgres_exporter import __version__
from prisma_postgres_exporter.api.decode import CLIENT_CLOSED, Answer, NoAnswer
from prisma_postgres_exporter.api.retry import Limits
from prisma_postgres_exporter.config import address_problem
from prisma_postgres_exporter.descriptors import why_none
from prisma_postgres_exporter.errors import ConfigurationError

_PACKAGE = __name__.rpartition(".")[0]
_DIGITS = re.compile(r"[0-9.]+")
_HOST = re.compile(r"[a-z0-9._-]+|[0-9a-f:.]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request: `target` is path and query, encoded; the answer's body may have `answer_limit_bytes`.

    `shown` is what messages call it: method and path, with the ids that are asked for and no other value.
    `body` is JSON; `secrets` are the parts of it that no message may show. `headers` go beside ours;
    `timeout_seconds` takes the place of the limits' total and read timeouts. With `is_once` it is put on the wire once
    at most; only a GET or a HEAD may be without.
    """

    method: str
    target: str
    shown: str
    answer_limit_bytes: int
    body: bytes | None = field(default=None, repr=False)
    secrets: tuple[SecretStr, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout_seconds: float | None = None
    is_once: bool = False


class Transport:
    """Connections to one origin with one credential, or with what each request brings. Redirects are never followed."""

    _is_used = _is_closed = False

    def __init__(
        self,
        token: SecretStr | None,
        *,
        base_url: str,
        limits: Limits,
        trust_env: bool,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._made_at = made_at()
        self._base_url = base_url.rstrip("/")
        self._limits = limits
        self._headers = httpx.Headers(  # masks the authorization in its repr
            {
                **({} if token is None else {"Authorization": f"Bearer {token.get_secret_value()}"}),
                "Accept": "application/json",
                "Accept-Encoding": "identity",  # a small compressed body can be gigabytes
                "User-Agent": f"prisma-postgres-exporter/{__version__}",
            }
        )
        self._headers_with_body = self._headers.copy()
        self._headers_with_body["Content-Type"] = "application/json"
        context = tls or _trusted(trust_env)

        def session(*middlewares: aiohttp.ClientMiddlewareType) -> aiohttp.ClientSession:
            return aiohttp.ClientSession(
                # As many connections as there can be attempts: none ever waits for another's.
                connector=aiohttp.TCPConnector(limit=limits.concurrency, ssl=context),
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("Content-Type",),  # of a body that is not there
                middlewares=middlewares,
            )

        way = environment_proxy(base_url) if trust_env else None
        proxy = httpx.Proxy(way.address, headers=way.headers) if way else None
        self._transport = AiohttpTransport(verify=context, client=session, proxy=proxy)
        # Its session is made by the first request that must not be repeated.
        self._once = AiohttpTransport(verify=context, client=lambda: session(_once), proxy=proxy)

    def __del__(self) -> None:
        if self._is_used and not self._is_closed:
            for transport in (self._transport, self._once):
                _drop(transport.client)
            # At the end: it may be made an error.
            message = "unclosed ManagementApi: use it with `async with`, or call aclose()"
            warnings.warn_explicit(message, ResourceWarning, *self._made_at, source=self)

    async def send(self, request: Request) -> Answer | NoAnswer:
        """Make one attempt, within the total timeout.

        aiohttp itself repeats a request once when a kept connection breaks before an answer: it cannot know that the
        server has closed it. That is for a GET or a HEAD alone: what a DELETE deleted would be reported as not found by
        its repetition, and what must not be done twice might be.

        A failure is a value: the libraries' exceptions hold the request with its token, so none of them
        may become the cause or context of ours.
        """
        if self._is_closed:
            return CLIENT_CLOSED
        self._is_used = True
        received = bytearray()
        try:
            async with asyncio.timeout(request.timeout_seconds or self._limits.total_timeout_seconds):
                return await self._exchange(request, received)
        except (httpx.HTTPError, aiohttp.ClientError, HttpProcessingError, OSError, UnicodeError) as exc:
            return _no_answer(exc, bytes(received), host=urlsplit(self._base_url).netloc)

    async def aclose(self) -> None:
        """Close every connection; whatever is sent afterwards gets no answer."""
        self._is_closed = True
        await self._transport.aclose()
        await self._once.aclose()

    async def _exchange(self, request: Request, received: bytearray) -> Answer:
        may_repeat = request.method in ("GET", "HEAD") and not request.is_once
        transport = self._transport if may_repeat else self._once
        headers = self._headers if request.body is None else self._headers_with_body
        if request.headers:
            headers = headers.copy()
            headers.update(request.headers)
        # The transport takes "pool" as the bound on connecting with the name look-up, which "connect" leaves out.
        connect_seconds = self._limits.connect_timeout_seconds
        read_seconds = request.timeout_seconds or self._limits.read_timeout_seconds
        timeouts = httpx.Timeout(read_seconds, connect=connect_seconds, pool=connect_seconds)
        response = await transport.handle_async_request(
            httpx.Request(
                request.method,
                self._base_url + request.target,
                headers=headers,
                content=request.body,
                extensions={"timeout": timeouts.as_dict()},
            )
        )
        try:
            return await _read(response, request.answer_limit_bytes, received)
        finally:
            await response.aclose()


def made_at() -> tuple[str, int]:
    """The file and line outside this package that the one who calls this was called from."""
    frame: FrameType | None = sys._getframe()
    while frame is not None and frame.f_globals.get("__name__", "").startswith(_PACKAGE):
        frame = frame.f_back
    return (frame.f_code.co_filename, frame.f_lineno) if frame is not None else (__file__, 1)


def _drop(session: object) -> None:
    """Close what was forgotten, of which aiohttp would warn too."""
    if isinstance(session, aiohttp.ClientSession) and session.connector is not None:
        closing = session.connector.close()
        session.detach()
        # Begun here, whatever loop runs or does not: what is left of it after that is only waiting.
        with suppress(StopIteration):
            closing.__await__().send(None)


async def _once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Keep aiohttp from repeating a request, by an error that it does not repeat for."""
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as exc:
        raise aiohttp.ClientConnectionError("the connection broke") from exc


async def _read(response: httpx.Response, limit_bytes: int, body: bytearray) -> Answer:
    """The whole answer; `body` has what came of it when it ends by an error."""
    if response.headers.get("content-encoding", "identity").strip().lower() not in ("identity", ""):
        return Answer(status=response.status_code, headers=response.headers, body=b"", flaw="compressed")
    try:
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > limit_bytes:
                return Answer(status=response.status_code, headers=response.headers, body=b"", flaw="too_large")
    except httpx.HTTPError:
        body += _left_behind(response)[: max(limit_bytes - len(body), 0)]
        raise
    return Answer(status=response.status_code, headers=response.headers, body=bytes(body))


def _left_behind(response: httpx.Response) -> bytes:
    """What came before the connection broke: aiohttp raises the error before it hands that out."""
    answered = getattr(response.stream, "_aiohttp_response", None)
    if not isinstance(answered, aiohttp.ClientResponse):
        return b""
    answered.content.set_exception(None)  # type: ignore[arg-type]  # with one nothing more can be read
    return answered.content.read_nowait()


@dataclass(frozen=True, slots=True)
class _Failure:
    kind: type[BaseException] | tuple[type[BaseException], ...]
    reason: str
    detail: str
    nothing_sent: bool = False


# From the most to the least special. Only what fails before there is a connection certainly sent nothing.
_FAILURES: Final = (
    _Failure(aiohttp.ClientProxyConnectionError, "proxy", "the proxy cannot be reached", True),
    _Failure(aiohttp.ClientHttpProxyError, "proxy", "the proxy refused", True),
    _Failure(aiohttp.ClientSSLError, "tls", "no trusted TLS connection to {host}", True),
    _Failure(aiohttp.ClientConnectorError, "unreachable", "cannot connect to {host}", True),
    _Failure(UnicodeError, "unreachable", "cannot connect to {host}: not the name of a host", True),
    _Failure(aiohttp.ConnectionTimeoutError, "connect_timeout", "no connection to {host} in time", True),
    _Failure(TimeoutError, "timeout", "no whole answer in time"),
    _Failure(aiohttp.ClientPayloadError, "cut_body", "the body was cut short"),
    _Failure((aiohttp.ClientResponseError, HttpProcessingError), "bad_http", "not an HTTP answer"),
    _Failure(Exception, "disconnected", "the connection broke"),
)


def _no_answer(exc: Exception, received: bytes, *, host: str) -> NoAnswer:
    # httpx-aiohttp calls every broken connection a connect timeout: what happened is in the cause.
    cause = exc.__cause__ if isinstance(exc, httpx.HTTPError) and exc.__cause__ else exc
    if why := _why_no_descriptor(cause):
        return NoAnswer(reason="no_descriptors", detail=f"cannot connect to {host}: {why}", nothing_sent=True)
    failure = next(failure for failure in _FAILURES if isinstance(cause, failure.kind))
    detail = failure.detail.format(host=host)
    why = _why_not_connected(cause) if isinstance(cause, aiohttp.ClientConnectorError) else None
    return NoAnswer(
        reason=failure.reason,
        detail=f"{detail}: {why}" if why else detail,
        nothing_sent=failure.nothing_sent,
        received=received,
    )


def _why_no_descriptor(error: BaseException) -> str | None:
    if not isinstance(error, aiohttp.ClientConnectorError):
        return None
    if isinstance(error, aiohttp.ClientConnectorDNSError):  # a look-up without a descriptor calls it a failure of DNS
        return why_none()
    return os.strerror(error.errno) if error.errno in (errno.EMFILE, errno.ENFILE) else None


def _why_not_connected(error: aiohttp.ClientConnectorError) -> str | None:
    # asyncio writes "Connect call failed" and a tuple where the system has words; a name's look-up has its own.
    # Numbers of TLS are not the system's.
    if error.errno and error.errno > 0 and not isinstance(error.os_error, ssl.SSLError):
        return os.strerror(error.errno)
    return error.strerror


def _trusted(trust_env: bool) -> ssl.SSLContext:
    said = [os.environ.get(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR")] if trust_env else []
    try:
        return _context(trust_env, tuple((path, _changed_at(path)) for path in said if path))
    except OSError as exc:  # that of ssl is one too
        raise ConfigurationError([f"SSL_CERT_FILE or SSL_CERT_DIR has no certificates: {exc.strerror}"]) from exc


@lru_cache(maxsize=1)
def _context(trust_env: bool, _said: tuple[tuple[str, int | None], ...]) -> ssl.SSLContext:
    """One for all clients, until the certificates change: reading them takes 20 ms and 1 MB."""
    return httpx.create_ssl_context(trust_env=trust_env)


def _changed_at(path: str) -> int | None:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """A proxy: its address without user and password, and the headers that hold them."""

    address: str
    headers: Mapping[str, str] = field(repr=False)


def proxy_in_use(base_url: str) -> str | None:
    """The proxy through which `ManagementApi(base_url=base_url)` asks, without user and password.

    It is that of `HTTPS_PROXY`, or else of `ALL_PROXY`; names in small letters come first. `None` when there is none,
    when `NO_PROXY` names the host, and for plain http, which is for loopback only.

    Raises:
        ConfigurationError: it is not an address of an http or https proxy, or `base_url` is not one of the API.
    """
    if problem := address_problem(base_url):
        raise ConfigurationError([problem])
    proxy = environment_proxy(base_url)
    return None if proxy is None else proxy.address


def environment_proxy(base_url: str) -> Proxy | None:
    """The proxy for a good `base_url`, as `proxy_in_use` says.

    Raises:
        ConfigurationError: it is not an address of an http or https proxy.
    """
    parts = urlsplit(base_url)
    # Plain http goes to loopback only, which no proxy can reach; aiohttp's own trust_env would read ~/.netrc too.
    if parts.scheme != "https" or urllib.request.proxy_bypass(parts.netloc):
        return None
    proxies: Mapping[str, str] = urllib.request.getproxies()
    address = proxies.get("https") or proxies.get("all")
    if not address:
        return None
    proxy = _proxy(address if "://" in address else f"http://{address}")
    if proxy is None:
        raise ConfigurationError(
            ["HTTPS_PROXY (or ALL_PROXY) is not the address of an http proxy, such as http://proxy.example.com:3128"]
        )
    return proxy


def _proxy(address: str) -> Proxy | None:
    try:
        parts: SplitResult = urlsplit(address)
        _ = parts.port
        if _DIGITS.fullmatch(parts.hostname or ""):
            ipaddress.ip_address(parts.hostname or "")
    except ValueError:
        return None
    # A path may be the rest of a password that has a slash: its beginning would pass for the host, and be shown.
    is_alone = parts.path in ("", "/") and not parts.query and not parts.fragment
    user, password = unquote_to_bytes(parts.username or ""), unquote_to_bytes(parts.password or "")
    if parts.scheme not in ("http", "https") or not _HOST.fullmatch(parts.hostname or "") or not is_alone:
        return None
    if b":" in user:  # basic authentication ends the user with one
        return None
    credentials = base64.b64encode(user + b":" + password).decode()
    return Proxy(
        address=f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}",
        headers={"Proxy-Authorization": f"Basic {credentials}"} if user or password else {},
    )
