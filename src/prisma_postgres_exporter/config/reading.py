"""Reading a file within bounds of size and time: a pipe is read too, and one into which nobody writes given up."""

from __future__ import annotations

import os
import select
import stat
import time

WRITER_SECONDS = 10.0
"""How long whoever writes into a pipe, as in `--config <(…)`, may say nothing."""


class NobodyWrites(OSError):
    """A pipe had nothing to read for too long."""

    def __init__(self) -> None:
        super().__init__(None, f"it is a pipe, and nothing came for {WRITER_SECONDS:.0f} seconds")


def content_of(path: str, most_bytes: int) -> bytes:
    """Return what a file begins with, at most so many bytes.

    Raises:
        NobodyWrites: it is a pipe without a writer.
        OSError: it cannot be read.
        ValueError: it is not the path of a file.
    """
    # Opening a pipe would wait for its writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return _until_end(descriptor, most_bytes)
        return _of_pipe(descriptor, most_bytes)
    finally:
        os.close(descriptor)


def is_pipe(path: str) -> bool:
    """Whether it is a pipe, which can be read once."""
    try:
        return stat.S_ISFIFO(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False


def _until_end(descriptor: int, most_bytes: int) -> bytes:
    content = b""
    while len(content) < most_bytes and (read := os.read(descriptor, most_bytes - len(content))):
        content += read
    return content


def _of_pipe(descriptor: int, most_bytes: int) -> bytes:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    content = b""
    give_up_at = time.monotonic() + WRITER_SECONDS
    while len(content) < most_bytes:
        # To read one that nobody has opened to write yet is to find its end.
        if not content and not poll.poll(max(give_up_at - time.monotonic(), 0) * 1000):
            raise NobodyWrites
        try:
            read = os.read(descriptor, most_bytes - len(content))
        except BlockingIOError:
            if not poll.poll(max(give_up_at - time.monotonic(), 0) * 1000):
                raise NobodyWrites from None
            continue
        if not read:
            break
        content += read
        give_up_at = time.monotonic() + WRITER_SECONDS
    return content
