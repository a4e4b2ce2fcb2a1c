"""Which proxy the environment wants the API to be asked through."""

from __future__ import annotations

import base64
import ipaddress
import re
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote_to_bytes, urlsplit

from prisma_postgres_exporter.api.address import base_url_problems
from prisma_postgres_exporter.errors import ConfigurationError

_DIGITS = re.compile(r"[0-9.]+")
_HOST = re.compile(r"[a-z0-9._-]+|[0-9a-f:.]+")


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
    if problems := base_url_problems(base_url):
        raise ConfigurationError(problems)
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
