"""The sockets that are listened on: addresses, files, and what systemd passes on."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from prisma_postgres_exporter.config import SYSTEMD, UNIX, host_and_port
from prisma_postgres_exporter.ending import removed_at_the_end
from prisma_postgres_exporter.errors import ConfigurationError
from prisma_postgres_exporter.service.holder import holder_of

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
                stack.enter_context(removed_at_the_end(Path(address.removeprefix(UNIX))))
        yield listeners


def require_listenable(addresses: Iterable[str]) -> None:
    """Make sure, before anything is made or opened, that each address could be listened on.

    Raises:
        ConfigurationError: one cannot be.
    """
    for address in addresses:
        with _refused_with_its_holder(address):
            require_free(address)


def require_free(address: str) -> None:
    """Make sure that an address could be listened on, and do not listen; systemd's sockets come with the start alone.

    Raises:
        OSError: it could not; `EADDRINUSE` where somebody else does.
    """
    if address.startswith(UNIX):
        path = Path(address.removeprefix(UNIX))
        _require_unheard(path)
        if path.exists() and not path.is_socket():
            raise FileExistsError(errno.EEXIST, "there is a file that is not a socket")
        if not os.access(path.parent, os.W_OK | os.X_OK):
            code = errno.EACCES if path.parent.is_dir() else errno.ENOENT
            raise OSError(code, os.strerror(code))
    elif address != SYSTEMD:
        _bound(*host_and_port(address)).close()


def url_of(listener: socket.socket, *, is_tls: bool) -> str:
    """Where a listener is asked, as people write it; `unix:FILE` for a file."""
    if listener.family == socket.AF_UNIX:
        return f"{UNIX}{listener.getsockname()}"
    host, port, *_ = listener.getsockname()
    shown = "localhost" if host in {"", "::", "0.0.0.0"} else host  # noqa: S104  # a comparison, nothing is bound
    return f"http{'s' if is_tls else ''}://{f'[{shown}]' if ':' in shown else shown}:{port}"


def _listeners(address: str) -> list[socket.socket]:
    with _refused_with_its_holder(address):
        if address == SYSTEMD:
            listeners = _of_systemd()
        elif address.startswith(UNIX):
            listeners = [_file(Path(address.removeprefix(UNIX)))]
        else:
            listeners = [_bound(*host_and_port(address))]
        for listener in listeners:
            listener.listen(BACKLOG)
            listener.setblocking(False)
    return listeners


@contextlib.contextmanager
def _refused_with_its_holder(address: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = f"cannot listen on {address}: {error.strerror}"
        if error.errno == errno.EADDRINUSE:
            why = f"cannot listen on {address}: in use by {holder_of(address).text}"
        advice = "choose another address or port (--listen 127.0.0.1:0 takes a free one)"
        raise ConfigurationError([f"web.listen: {why}; {advice}"]) from error


def _bound(host: str, port: int) -> socket.socket:
    is_dual = not host and socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if is_dual or ":" in host else socket.AF_INET
    # asyncio turns Nagle's algorithm off only where it sees that this is TCP; with it each small scrape takes 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not is_dual)
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    return listener


def _file(path: Path) -> socket.socket:
    """A socket in a file, for its user and group; one that nobody listens on any more is replaced."""
    _require_unheard(path)
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


def _require_unheard(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


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
            raise ConfigurationError(["web.listen: the socket from systemd is not a stream socket: use ListenStream="])
    return listeners
