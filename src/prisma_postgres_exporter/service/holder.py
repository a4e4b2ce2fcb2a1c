"""Who listens on an address already."""

from __future__ import annotations

import http.client
import os
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from prisma_postgres_exporter.config import UNIX, host_and_port

PATIENCE_SECONDS = 1.0
MOST_READ = 1_000
NOT_HEALTHY = b"not healthy: "
LISTENING = "0A"
"""https://docs.kernel.org/networking/proc_net_tcp.html"""

OURS = "prisma-postgres-exporter"
_PROGRAMS = (OURS.encode(), OURS.replace("-", "_").encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who listens on an address, and whether that is this program; `process` where this user may see it.

    `unhealthy` is why it says that it is not healthy, if it does.
    """

    text: str
    is_ours: bool
    process: int | None = None
    unhealthy: str | None = None


def holder_of(address: str) -> Holder:
    """Say who listens on an address that is in use.

    Programs of other users and of other containers are told by what they answer alone.
    """
    process = next(_processes(address), None)
    is_ours = any(name in command for name in _PROGRAMS for command in process[1]) if process else False
    answers_as_ours, unhealthy = _health(address)
    is_ours = is_ours or answers_as_ours
    if process is None:
        return Holder(text=f"another {OURS if is_ours else 'program'}", is_ours=is_ours, unhealthy=unhealthy)
    number, [command, *_] = process
    program = OURS if is_ours else os.fsdecode(command).rpartition("/")[2]
    text = f"{program if program.isprintable() else 'a program'} (process {number})"
    return Holder(text=text, is_ours=is_ours, process=number, unhealthy=unhealthy)


def connected(address: str, timeout_seconds: float) -> socket.socket:
    """A connection to an address that is listened on.

    Raises:
        OSError: nobody listens there.
    """
    if address.startswith(UNIX):
        plain = socket.socket(socket.AF_UNIX)
        plain.settimeout(timeout_seconds)
        plain.connect(address.removeprefix(UNIX))
        return plain
    host, port = host_and_port(address)
    return socket.create_connection((host or "localhost", port), timeout_seconds)


def _processes(address: str) -> Iterator[tuple[int, list[bytes]]]:
    """Processes with the socket, as far as this user may see them, each with its arguments; none but on Linux."""
    sockets = {f"socket:[{inode}]" for inode in _inodes(address)}
    for process in Path("/proc").glob("[0-9]*") if sockets else ():
        try:
            if any(os.readlink(file) in sockets for file in (process / "fd").iterdir()):
                yield int(process.name), (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue  # it has ended, or is another user's


def _inodes(address: str) -> Iterator[str]:
    """Of the sockets that listen there, as Linux numbers them."""
    if address.startswith(UNIX):
        yield from (row[6] for row in _table("unix") if row[-1] == address.removeprefix(UNIX))
        return
    port = f":{host_and_port(address)[1]:04X}"
    yield from (row[9] for row in (*_table("tcp"), *_table("tcp6")) if row[3] == LISTENING and row[1].endswith(port))


def _table(name: str) -> list[list[str]]:
    try:
        return [line.split() for line in Path("/proc/net", name).read_text().splitlines()[1:]]
    except OSError:
        return []  # not Linux


def _health(address: str) -> tuple[bool, str | None]:
    """Ask for the health, behind TLS too, whoever its certificate is of: nothing secret is sent.

    Returns whether it answers as this program does, and why it is not healthy, if it says so.
    """
    unverified = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
    for context in (None, unverified):
        try:
            with connected(address, PATIENCE_SECONDS) as plain:
                connection = http.client.HTTPConnection("localhost")
                connection.sock = plain if context is None else context.wrap_socket(plain)
                connection.request("GET", "/-/healthy", headers={"Connection": "close"})
                answer = connection.getresponse()
                said = answer.read(MOST_READ)
                asks = answer.headers.get("WWW-Authenticate", "")
                connection.close()
        except (OSError, http.client.HTTPException):
            continue
        if said.startswith(NOT_HEALTHY):
            told = said.removeprefix(NOT_HEALTHY).decode(errors="replace").strip()
            return True, "".join(letter for letter in told if letter.isprintable())
        if said == b"healthy\n" or OURS in asks:
            return True, None
    return False, None
