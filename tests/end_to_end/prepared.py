"""Commands as processes that need not import the exporter first.

An interpreter takes a second to import the exporter, and the tests start hundreds of commands. One process imports
it once, as `python -m` would, and forks for each command: what comes out is a process of its own with its own
arguments, environment, working directory, output, signals and exit code.
"""

from __future__ import annotations

import array
import atexit
import functools
import gc
import importlib
import io
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

PACKAGE = "prisma_postgres_exporter"
# The command line, and what a command imports only when it opens a store, asks the vendor, serves or reports.
IMPORTED = (
    f"{PACKAGE}.cli",
    f"{PACKAGE}.documents",
    f"{PACKAGE}.service.doctor",
    f"{PACKAGE}.service.service",
    f"{PACKAGE}.simulator",
    "alembic.command",
    "psycopg",
    "sqlalchemy.dialects.sqlite",
    "sqlalchemy.dialects.postgresql",
)
LONGEST_REQUEST_BYTES = 128 * 1024
STATUS = "i"


class Prepared:
    """A command that was started here, with what `subprocess.Popen` offers for one."""

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        cwd: Path,
        environ: Mapping[str, str],
        separate: bool,
        stdout: int | None = None,
    ) -> None:
        """Start it; `separate` keeps standard error apart from standard output, which may go to a `stdout` of yours."""
        self.returncode: int | None = None
        self.stdout: IO[str] | None
        self.stderr: IO[str] | None
        self.stdout, output = _pipe() if stdout is None else (None, os.dup(stdout))
        self.stderr, errors = _pipe() if separate else (None, os.dup(output))
        self._supervisor, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        request = json.dumps([list(arguments), str(cwd), dict(environ)]).encode()
        socket.send_fds(_preparer(), [request], [theirs.fileno(), output, errors])
        theirs.close()
        os.close(output)
        os.close(errors)
        self.pid = self._receive()

    def poll(self) -> int | None:
        """Return the exit code, below zero where a signal ended it, `None` while it runs."""
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end, and return the exit code.

        Raises:
            subprocess.TimeoutExpired: it still runs.
        """
        code = self._look(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(PACKAGE, timeout or 0)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it as a crash would."""
        self.send_signal(signal.SIGKILL)

    def _look(self, seconds: float | None) -> int | None:
        if self.returncode is None:
            self._supervisor.settimeout(seconds)
            try:
                self.returncode = os.waitstatus_to_exitcode(self._receive())
            except (BlockingIOError, TimeoutError):
                return None
            self._supervisor.close()
        return self.returncode

    def _receive(self) -> int:
        number = array.array(STATUS, self._supervisor.recv(array.array(STATUS).itemsize))
        return number[0]


def _pipe() -> tuple[IO[str], int]:
    ours, theirs = os.pipe()
    return os.fdopen(ours, encoding="utf-8"), theirs


@functools.cache
def _preparer() -> socket.socket:
    """Start the process that forks, and return the way to it; it ends when this closes."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PRISMA_")}
    process = subprocess.Popen(
        (sys.executable, __file__, str(theirs.fileno())),
        pass_fds=(theirs.fileno(),),
        stdin=subprocess.DEVNULL,
        # A pipe, so that the streams are made as for the commands, which get pipes in its place.
        stdout=subprocess.PIPE,
        env={**kept, "COLUMNS": "200", "NO_COLOR": "1", "PYTHONUNBUFFERED": "1"},
    )
    theirs.close()

    def end() -> None:
        ours.close()
        process.communicate()

    atexit.register(end)
    return ours


# In the other process -----------------------------------------------------------------------------
def _serve(requests: socket.socket) -> None:
    """Fork for each request; return in a process that is to become the command."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the supervisors
    while True:
        request, descriptors, _flags, _address = socket.recv_fds(requests, LONGEST_REQUEST_BYTES, 3)
        if not request:
            os._exit(0)
        if os.fork() == 0:
            requests.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _supervise(request, *descriptors)
            return
        for descriptor in descriptors:
            os.close(descriptor)


def _supervise(request: bytes, supervised: int, output: int, errors: int) -> None:
    """Fork the command, report its id and its end; return in the command."""
    pid = os.fork()
    if pid == 0:
        os.close(supervised)
        _become(request, output, errors)
        return
    os.close(output)
    os.close(errors)
    # Signals to the whole group, as from a terminal, are for the command.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    _report(supervised, pid)
    _report(supervised, os.waitpid(pid, 0)[1])
    os._exit(0)


def _report(supervised: int, number: int) -> None:
    try:
        os.write(supervised, array.array(STATUS, [number]).tobytes())
    except BrokenPipeError:
        os._exit(0)


def _become(request: bytes, output: int, errors: int) -> None:
    arguments, cwd, environ = json.loads(request)
    for descriptor, standard in ((output, 1), (errors, 2)):
        os.dup2(descriptor, standard)
        os.close(descriptor)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environ)
    time.tzset()
    assert isinstance(sys.stdout, io.TextIOWrapper)
    sys.stdout.reconfigure(write_through=bool(environ.get("PYTHONUNBUFFERED")))
    sys.argv = ["", *arguments]
    sys.path.insert(0, cwd)  # as `python -m` does


if __name__ == "__main__":
    way = socket.socket(fileno=int(sys.argv[1]))
    del sys.path[0]  # the folder of this file
    for module in IMPORTED:
        importlib.import_module(module)
    gc.freeze()
    _serve(way)
    runpy.run_module(PACKAGE, run_name="__main__", alter_sys=True)
