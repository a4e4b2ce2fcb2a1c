"""A server on a raw socket in front of a vendor: it passes requests on, or does to some of them what a test wants."""

from __future__ import annotations

import gzip
import http.client
import json
import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

DRIP_SECONDS = 0.1
HEAD_BYTES = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A request as it came; `tls` is what its connection was opened with."""

    tls: ssl.SSLContext | None
    target: str
    headers: Mapping[str, str]
    head: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path


@dataclass(frozen=True, slots=True, kw_only=True)
class Honest:
    """What the vendor itself answers."""

    status: int
    headers: Mapping[str, str]
    body: bytes


Behaviour = Callable[[socket.socket, Honest], None]
Choose = Callable[[Seen], bool]


@dataclass(slots=True)
class Front:
    """Listens on one port for as long as it runs; `behaviour` is done to the requests that `chosen` names.

    `requests` are those that came, `treated` how many were not passed on, `connections` how many were opened.
    """

    upstream: str
    tls: ssl.SSLContext | None = None
    host: str = "127.0.0.1"
    port: int = 0
    behaviour: Behaviour | None = None
    chosen: Choose = lambda _seen: True
    requests: list[Seen] = field(default_factory=list)
    treated: int = 0
    connections: int = 0
    _listener: socket.socket | None = None
    _open: set[socket.socket] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _ended: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}" if self.tls is None else f"https://localhost:{self.port}"

    def listen(self) -> None:
        """Take connections, on the same port each time."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((self.host, self.port))
        listener.listen(128)
        self.port = listener.getsockname()[1]
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def refuse(self) -> None:
        """Close every connection, and take none."""
        listener, self._listener = self._listener, None
        if listener is not None:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self.drop()

    def drop(self) -> None:
        """Close every connection."""
        with self._lock:
            connections, self._open = self._open, set()
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def stop(self) -> None:
        """End."""
        self._ended.set()
        self.refuse()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        with plain, suppress(OSError, http.client.HTTPException):
            plain.settimeout(60)
            tls = self.tls
            connection = plain if tls is None else tls.wrap_socket(plain, server_side=True)
            with self._lock:
                self._open.add(connection)
            try:
                with connection:
                    while (seen := _read_head(connection, tls)) is not None:
                        self.requests.append(seen)
                        self._answer(connection, seen)
            finally:
                with self._lock:
                    self._open.discard(connection)

    def _answer(self, connection: socket.socket, seen: Seen) -> None:
        behaviour = self.behaviour
        if behaviour is None or not self.chosen(seen):
            honest = self._ask(seen)
            connection.sendall(whole(honest))
            return
        self.treated += 1
        behaviour(connection, self._ask(seen))

    def _ask(self, seen: Seen) -> Honest:
        parts = urlsplit(self.upstream)
        asked = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
        try:
            # Cursors of ours mean nothing to the vendor.
            target = re.sub(r"cursor=front-\d+&?", "", seen.target).rstrip("?&")
            headers = {name: value for name, value in seen.headers.items() if name in ("authorization", "accept")}
            asked.request("GET", target, headers=headers)
            answer = asked.getresponse()
            return Honest(status=answer.status, headers=dict(answer.getheaders()), body=answer.read())
        finally:
            asked.close()


@contextmanager
def front(upstream: str, *, tls: ssl.SSLContext | None = None) -> Iterator[Front]:
    """Run one."""
    running = Front(upstream, tls)
    running.listen()
    try:
        yield running
    finally:
        running.stop()


def _read_head(connection: socket.socket, tls: ssl.SSLContext | None) -> Seen | None:
    head = b""
    while b"\r\n\r\n" not in head:
        part = connection.recv(HEAD_BYTES)
        if not part:
            return None
        head += part
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}
    return Seen(tls=tls, target=first.split(" ")[1], headers=headers, head=head)


# What is done to a request --------------------------------------------------------------------------
def head(
    honest: Honest, *lines: str, status: int | None = None, without: tuple[str, ...] = ("content-length",)
) -> bytes:
    """The head of an answer, with the vendor's headers but for those that are left out."""
    leaving_out = {*without, "content-length", "transfer-encoding", "connection"}
    kept = [f"{name}: {value}" for name, value in honest.headers.items() if name.lower() not in leaving_out]
    return "\r\n".join((f"HTTP/1.1 {status or honest.status} Status", *kept, *lines, "", "")).encode("latin-1")


def whole(honest: Honest, *lines: str, body: bytes | None = None, status: int | None = None) -> bytes:
    """An answer, as long as it says."""
    content = honest.body if body is None else body
    without = tuple(line.partition(":")[0].lower() for line in lines)
    return head(honest, *lines, f"Content-Length: {len(content)}", status=status, without=without) + content


def stall(connection: socket.socket, _honest: Honest) -> None:
    """Take the request, and say nothing until the client goes."""
    connection.recv(1)


def drip(connection: socket.socket, honest: Honest) -> None:
    """The whole answer, byte after byte: no single wait is long."""
    for byte in whole(honest):
        connection.sendall(bytes([byte]))
        time.sleep(DRIP_SECONDS)


def reset(connection: socket.socket, _honest: Honest) -> None:
    """A reset in the place of an answer."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def hang_up(connection: socket.socket, _honest: Honest) -> None:
    """An orderly end without a word."""
    connection.shutdown(socket.SHUT_RDWR)


def half(connection: socket.socket, honest: Honest) -> None:
    """Half of the body that was promised."""
    answer = whole(honest)
    connection.sendall(answer[: len(answer) - len(honest.body) // 2 - 1])
    connection.shutdown(socket.SHUT_RDWR)


def half_unsaid(connection: socket.socket, honest: Honest) -> None:
    """Half of a body whose length nobody said."""
    connection.sendall(head(honest, "Connection: close") + honest.body[: len(honest.body) // 2])
    connection.shutdown(socket.SHUT_RDWR)


def bomb(connection: socket.socket, honest: Honest) -> None:
    """A gigabyte of zeros in a megabyte."""
    connection.sendall(whole(honest, "Content-Encoding: gzip", body=_bomb()))


def endless(connection: socket.socket, honest: Honest) -> None:
    """The body, and then blanks for ever."""
    connection.sendall(head(honest, "Connection: close") + honest.body)
    while True:
        connection.sendall(b" " * HEAD_BYTES)


def endless_head(connection: socket.socket, _honest: Honest) -> None:
    """Header lines for ever."""
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"X-More: and more\r\n" * 1_000)


def endless_pages(*, seconds: float = 0.0) -> Behaviour:
    """Each page of a list says that there is another, after so long."""
    count = iter(range(10**9))

    def behave(connection: socket.socket, honest: Honest) -> None:
        time.sleep(seconds)
        connection.sendall(whole(honest, body=_with_cursor(honest, f"front-{next(count)}")))

    return behave


def repeated_cursor(connection: socket.socket, honest: Honest) -> None:
    """Each page of a list says that the same one is the next."""
    connection.sendall(whole(honest, body=_with_cursor(honest, "front-1")))


def other_type(connection: socket.socket, honest: Honest) -> None:
    """The answer, called a picture."""
    connection.sendall(whole(honest, "Content-Type: image/png"))


def html(connection: socket.socket, honest: Honest) -> None:
    """A page for a person, as a hotel's network has, with a status of success."""
    body = b"<!doctype html><title>Welcome</title><script>alert(1)</script><p>Please sign in."
    connection.sendall(whole(honest, "Content-Type: text/html", body=body, status=200))


def html_error(connection: socket.socket, honest: Honest) -> None:
    """A gateway's page for a person."""
    connection.sendall(whole(honest, "Content-Type: text/html", body=b"<h1>Bad Gateway</h1>", status=502))


def redirect(to: str) -> Behaviour:
    """A redirect to another server."""

    def behave(connection: socket.socket, honest: Honest) -> None:
        connection.sendall(whole(honest, f"Location: {to}", body=b"", status=307))

    return behave


def not_http(connection: socket.socket, _honest: Honest) -> None:
    """Another protocol's greeting."""
    connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
    connection.shutdown(socket.SHUT_RDWR)


def _with_cursor(honest: Honest, cursor: str) -> bytes:
    document = json.loads(honest.body)
    if "pagination" not in document:
        return honest.body
    return json.dumps({**document, "pagination": {"nextCursor": cursor, "hasMore": True}}).encode()


def _bomb() -> bytes:
    return _BOMB


_BOMB = gzip.compress(bytes(2**20), 9) * 1_024
