"""Ports for programs that cannot pick a free one and tell it."""

from __future__ import annotations

import os
import socket

FIRST, COUNT = 20_000, 10_000
"""Below the ports that systems give to those who ask for any: nobody else takes one between the look and the start."""

_taken: set[int] = set()


def free_port() -> int:
    """Return a port of 127.0.0.1 on which nobody listens, another one each time."""
    # Workers have process ids one after the other: each begins elsewhere.
    begin = os.getpid() * 97
    for step in range(COUNT):
        port = FIRST + (begin + step) % COUNT
        if port not in _taken and _is_free(port):
            _taken.add(port)
            return port
    raise RuntimeError(f"no port is free from {FIRST} on")


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
