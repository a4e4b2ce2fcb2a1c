"""What makes a token or an address of the API unfit for use: one rule for the configuration and for the client."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

# What RFC 6750 allows in a bearer token is less; what a header can carry safely is this.
_VISIBLE = re.compile(r"[\x21-\x7e]+")


def token_problem(token: str) -> str | None:
    """Why `token` cannot be sent in a header, without showing it; `None` for a good one."""
    if not token:
        return "the token is empty; put a service token there"
    if not _VISIBLE.fullmatch(token):
        return "the token has a space or another character that no token has; copy it again"
    return None


def address_problem(url: str) -> str | None:
    """Why the API cannot be reached at `url`, without showing it: it could hold a password; `None` if it can."""
    try:
        parts = urlsplit(url)
        host, scheme, _ = parts.hostname or "", parts.scheme, parts.port
    except ValueError:
        return "the API's address is not a URL; write one like https://api.prisma.io"
    if scheme not in ("http", "https") or not host:
        return "the API's address must begin with https:// and have a host"
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        return "the API's address must be without user, query and fragment, like https://api.prisma.io"
    if not _VISIBLE.fullmatch(url):
        return "the API's address has a space or another character that no address has"
    if scheme == "http" and not _is_loopback(host):
        return "the API's address must begin with https://: plain http is for this machine only, it shows the token"
    return None


def push_address_problem(url: str, *, shows_secret: bool) -> str | None:
    """Why nothing can be pushed to `url`, without showing it; `None` if it can.

    With `shows_secret` something secret goes along, which plain http would show to others.
    """
    try:
        parts = urlsplit(url)
        host, scheme, _ = parts.hostname or "", parts.scheme, parts.port
    except ValueError:
        return "the address is not a URL; write one like https://metrics.example.com/api/v1/write"
    if scheme not in ("http", "https") or not host or not _VISIBLE.fullmatch(url):
        return "the address must begin with https:// or http://, have a host, and no space"
    if parts.username is not None or parts.password is not None or parts.fragment:
        return "the address must be without user, password and fragment; put the login into basic_auth"
    if scheme == "http" and shows_secret and not _is_loopback(host):
        return "the address must begin with https://: plain http would show the token or password to others"
    return None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
