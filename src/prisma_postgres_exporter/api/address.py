"""What makes a token or an address unfit for use."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from pydantic import SecretStr

# What RFC 6750 allows in a bearer token is less; what a header can carry safely is this.
_TOKEN = re.compile(r"[\x21-\x7e]+")


def token_problems(token: SecretStr) -> tuple[str, ...]:
    """Why `token` cannot be sent in a header, without showing it."""
    secret = token.get_secret_value()
    if not secret:
        return ("the token is empty",)
    if not _TOKEN.fullmatch(secret):
        return ("the token has characters that no token has (space, line end, or outside ASCII)",)
    return ()


def base_url_problems(base_url: str) -> tuple[str, ...]:
    """Why the API cannot be asked at `base_url`; it is not shown, because it could hold a password."""
    try:
        parts = urlsplit(base_url)
        host, scheme, _ = parts.hostname or "", parts.scheme, parts.port
    except ValueError:
        return ("the API's address is not a URL",)
    if scheme not in ("http", "https") or not host:
        return ("the API's address must begin with https:// and have a host",)
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        return ("the API's address must have no user, query or fragment",)
    if not re.fullmatch(r"[\x21-\x7e]+", base_url):
        return ("the API's address has characters that no address has",)
    if scheme == "http" and not _is_loopback(host):
        return ("the API's address must begin with https://: plain http would show the token to the network",)
    return ()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
