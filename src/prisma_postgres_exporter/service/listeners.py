"""The sockets that are listened on: addresses, files, and what systemd passes on."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from prisma_postgres_exporter.config import SYSTEMD, UNIX, host_and_port
from prisma_postgres_exporter.errors import ConfigurationError

FIRST_OF_SYSTEMD = 3
"""https://www.freedesktop.org/software/systemd/man/latest/sd_listen_fds.html"""

BACKLOG = 512
SOCKET_FILE_MODE = 0o660


@contextlib.contextmanager
def opened_listeners(addresses: Sequence[str]) -> Iterator[list[socket.socket]]:
    """Listen on each address while the context lasts; the files of sockets are taken away at its end.

    Raises:
        ConfigurationError: one cannot be listened on.
    """
    with contextlib.ExitStack() as stack:
        listeners: list[socket.socket] = []
        for address in addresses:
            listeners += [stack.enter_context(listener) for listener in _listeners(address)]
            if address.startswith(UNIX):
                stack.callback(Path(address.removeprefix(UNIX)).unlink, missing_ok=True)
        for listener in listeners:
            listener.listen(BACKLOG)
            listener.setblocking(False)
        yield listeners


def url_of(listener: socket.socket, *, is_tls: bool) -> str:
    """Where a listener is asked, as people write it; `unix:FILE` for a file."""
    if listener.family == socket.AF_UNIX:
        return f"{UNIX}{listener.getsockname()}"
    host, port, *_ = listener.getsockname()
    shown = "localhost" if host in {"", "::", "0.0.0.0"} else host  # noqa: S104  # a comparison, nothing is bound
    return f"http{'s' if is_tls else ''}://{f'[{shown}]' if ':' in shown else shown}:{port}"


def _listeners(address: str) -> list[socket.socket]:
    if address == SYSTEMD:
        return _of_systemd()
    try:
        if address.startswith(UNIX):
            return [_file(Path(address.removeprefix(UNIX)))]
        return [_address(*host_and_port(address))]
    except OSError as error:
        why = f"cannot listen on {address}: {error.strerror}; choose another address or port"
        raise ConfigurationError([f"web.listen: {why}"]) from error


def _address(host: str, port: int) -> socket.socket:
    if not host and socket.has_dualstack_ipv6():
        listener = socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    else:
        listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    # asyncio turns Nagle's algorithm off only where it sees that this is TCP; with it each small scrape takes 40 ms.
    return socket.socket(listener.family, listener.type, socket.IPPROTO_TCP, fileno=listener.detach())


def _file(path: Path) -> socket.socket:
    """A socket in a file, for its user and group; one that nobody listens on any more is replaced."""
    with socket.socket(socket.AF_UNIX) as probe:
        with contextlib.suppress(OSError):
            probe.connect(str(path))
            raise ConfigurationError([f"web.listen: another process listens on {path}"])
        with contextlib.suppress(FileNotFoundError):
            if stat.S_ISSOCK(path.lstat().st_mode):
                path.unlink()
    listener = socket.socket(socket.AF_UNIX)
    try:
        listener.bind(str(path))
        path.chmod(SOCKET_FILE_MODE)
    except OSError:
        listener.close()
        raise
    return listener


def _of_systemd() -> list[socket.socket]:
    count = os.environ.get("LISTEN_FDS", "") if os.environ.get("LISTEN_PID") == str(os.getpid()) else ""
    if not count.isdigit() or int(count) < 1:
        raise ConfigurationError(
            ["web.listen: systemd passed no socket on (LISTEN_FDS): start this with a .socket unit, or name an address"]
        )
    listeners = [socket.socket(fileno=FIRST_OF_SYSTEMD + number) for number in range(int(count))]
    for listener in listeners:
        listener.set_inheritable(False)
        if listener.type != socket.SOCK_STREAM:
            raise ConfigurationError(["web.listen: systemd passed on a socket that is no stream: use ListenStream="])
    return listeners
