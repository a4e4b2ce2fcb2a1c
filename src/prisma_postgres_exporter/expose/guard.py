"""Who may ask what: the names that the server answers to, and who may make it do something."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection

from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from prisma_postgres_exporter.expose.visible import USER, seen

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?")
_BROWSERS = ("origin", "referer", "sec-fetch-site", "sec-fetch-mode", "sec-fetch-dest")
"""What browsers send with a POST, old ones `Referer` alone with that of a form, and programs do not."""
_PROXIES = ("forwarded", "via", "x-real-ip", "x-client-ip", "x-cluster-client-ip", "true-client-ip", "cf-connecting-ip")
_PROXIES_BEGIN = ("x-forwarded-", "x-original-", "x-envoy-")
"""What a proxy adds to a request that it passes on: it is of this machine, and whoever asks need not be."""


class KnownHosts:
    """Refuses a request for another name than `hosts`, if there are any; addresses and localhost are always known.

    A page of a stranger whose name leads to this machine by DNS rebinding is read by a browser as the stranger's
    own: only its name tells that it is not.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        self._app = app
        self._hosts = {"localhost", *(host.lower() for host in hosts)} if hosts else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "http":
            asked = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
            if len(asked) > 1 or (not asked and scope.get("http_version") == "1.1"):
                # https://www.rfc-editor.org/rfc/rfc9112#section-3.2
                await PlainTextResponse("a request has one Host header\n", status_code=400)(scope, receive, send)
                return
            refusals = filter(None, map(self._refusal, asked))
            if (refusal := next(refusals, None)) is not None:
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _refusal(self, asked: str) -> PlainTextResponse | None:
        """The answer to a request for a host; it does not repeat the host."""
        matched = _HOST.fullmatch(asked)
        if matched is None and asked:
            return PlainTextResponse("the Host header names no host\n", status_code=400)
        name = matched[1].lower().rstrip(".") if matched else ""
        if self._hosts is None or name in self._hosts or _is_address(name):
            return None
        return PlainTextResponse("this name is not one of web.hosts\n", status_code=421)


def why_not_to_reload(request: Request) -> str | None:
    """Why a request may not reload the configuration; `None`: it is of a program of this machine, or of a user."""
    if any(name in request.headers for name in _BROWSERS):
        return "the request came from a browser"
    if USER in request.scope:
        return None if seen(request.scope) is None else "this user sees some workspaces alone"
    if _is_proxied(request):
        return "the request came through a proxy; ask on this machine without it, or send SIGHUP"
    if request.client is None or not _is_loopback(request.client.host):
        return "the request came from another machine; ask on this one, or send SIGHUP"
    return None


def is_of_this_machine(request: Request) -> bool:
    """Whether a program of this machine asks, no browser and no proxy."""
    is_direct = not any(name in request.headers for name in _BROWSERS) and not _is_proxied(request)
    return is_direct and request.client is not None and _is_loopback(request.client.host)


def _is_proxied(request: Request) -> bool:
    """Whether a proxy passed it on, which nothing says where it adds no header.

    nginx adds none unless it is told to, but speaks HTTP/1.0 then, which programs have not done for long:
    https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_http_version
    """
    is_old = request.scope.get("http_version") == "1.0"
    return is_old or any(name in _PROXIES or name.startswith(_PROXIES_BEGIN) for name in request.headers)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    # What listens on every address has those of IPv4 written as addresses of IPv6.
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback
