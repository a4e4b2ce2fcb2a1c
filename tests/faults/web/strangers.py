"""Strangers at the web server's port, who speak in bytes."""

from __future__ import annotations

import contextlib
import re
import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import psutil

PATIENCE_SECONDS = 60.0
A_REQUEST = b"GET /metrics HTTP/1.1\r\nHost: exporter\r\n\r\n"
A_CHECK = b"GET /-/ready HTTP/1.1\r\nHost: exporter\r\n\r\n"


def connect_deaf(url: str, source: str) -> socket.socket:
    """A connection of a client that takes next to nothing of an answer before it reads."""
    parts = urlsplit(url)
    deaf = socket.socket()
    deaf.settimeout(PATIENCE_SECONDS)
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
    deaf.bind((source, 0))
    deaf.connect((parts.hostname, parts.port or 80))
    return deaf


def connect(url: str, source: str = "127.0.0.1") -> socket.socket:
    """A connection from an address of this machine, which waits long for an answer."""
    parts = urlsplit(url)
    assert parts.hostname
    return socket.create_connection(
        (parts.hostname, parts.port or 80), timeout=PATIENCE_SECONDS, source_address=(source, 0)
    )


@contextlib.contextmanager
def crowd(url: str, size: int, source: str = "127.0.0.1") -> Iterator[list[socket.socket]]:
    """So many connections at once; those that cannot be had any more are missing."""
    with contextlib.ExitStack() as stack:
        connections = []
        for _ in range(size):
            with contextlib.suppress(ConnectionError):
                connections.append(stack.enter_context(connect(url, source)))
        yield connections


def answer(connection: socket.socket) -> bytes:
    """Everything until the other side closes."""
    parts = []
    with contextlib.suppress(ConnectionError):
        while part := connection.recv(65_536):
            parts.append(part)
    return b"".join(parts)


def asked(url: str, request: bytes) -> bytes:
    """The whole answer to some bytes, after which nothing more is sent."""
    with connect(url) as connection:
        with contextlib.suppress(OSError):
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
        return answer(connection)


def status_of(text: bytes) -> int | None:
    """The status of the first answer, `None` where there is none."""
    matched = re.match(rb"HTTP/1\.1 (\d{3}) ", text)
    return int(matched[1]) if matched else None


def is_closed(connection: socket.socket) -> bool:
    """Whether the other side has closed it by now; what it said before is read."""
    connection.setblocking(False)
    try:
        while connection.recv(65_536):
            pass
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
    else:
        return True
    finally:
        connection.settimeout(PATIENCE_SECONDS)


def resident_bytes(pid: int) -> int:
    """What a process has in memory."""
    return int(psutil.Process(pid).memory_info().rss)


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Until now."""
        return time.monotonic() - self._began
