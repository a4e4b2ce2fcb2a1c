"""What makes a token or an address unfit for use: one rule for the configuration and for the client."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

SYSTEMD = "systemd"
UNIX = "unix:"
LONGEST_SOCKET_PATH_BYTES = 107
"""What Linux takes: `sun_path` is 108 bytes with the one that ends it."""

_LISTEN = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^:\s\[\]\x00-\x1f\x7f\ud800-\udfff]*):(?P<port>\d{1,5})")
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
    is_plain = parts.username is None and parts.password is None and not parts.query and not parts.fragment
    if not is_plain or parts.path.rstrip("/").endswith("/v1"):
        return "the API's address must be without user, query, fragment and /v1, like https://api.prisma.io"
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


def host_and_port(listen: str) -> tuple[str, int]:
    """An address to listen on, without brackets; the host is empty for every address, port 0 is any free one.

    Raises:
        ValueError: it is no such address.
    """
    matched = _LISTEN.fullmatch(listen)
    if not matched or int(matched["port"]) > 65_535:
        raise ValueError(
            f"{listen!r} is not a valid address to listen on; "
            "write :9478, 127.0.0.1:9478, [::1]:9478, unix:FILE or systemd"
        )
    return matched["host"].strip("[]"), int(matched["port"])


def is_of_this_machine(listen: str) -> bool:
    """Whether only programs of this machine reach an address; of a socket of systemd nobody knows it."""
    if listen.startswith(UNIX):
        return True
    return listen != SYSTEMD and _is_loopback(host_and_port(listen)[0])


def _listen_address(listen: str) -> str:
    if listen.startswith(UNIX) and listen != UNIX:
        path = listen.removeprefix(UNIX).encode(errors="surrogatepass")
        if "\0" in listen or has_no_encoding(listen):
            raise ValueError(f"{listen!r} is not the path of a file")
        if len(path) > LONGEST_SOCKET_PATH_BYTES:
            raise ValueError(
                f"the path of a socket has at most {LONGEST_SOCKET_PATH_BYTES} bytes; choose a shorter one"
            )
    elif listen != SYSTEMD:
        host_and_port(listen)
    return listen


def has_no_encoding(text: str) -> bool:
    """Whether half a character stands in it, which no file and no server can be named by."""
    return any("\ud800" <= character <= "\udfff" for character in text)


ListenAddress = Annotated[str, AfterValidator(_listen_address)]
