"""SIGTERM ends every command from its first moment on, also where a server says nothing."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from processes import DEADLINE_SECONDS, EXPORTER, Running, command, ended, vendor

from prisma_postgres_exporter.simulator import Fault, FaultKind

ROOT = Path(__file__).parents[2]
INTERRUPTED = 130
COMMANDS = (
    ("serve", "--listen", "127.0.0.1:0"),
    ("demo", "--listen", "127.0.0.1:0"),
    ("simulator", "--port", "0"),
    ("collect",),
    ("backfill",),
    ("check",),
    ("doctor",),
    ("cost",),
    ("store", "check"),
    ("api", "workspaces", "list"),
)
AS_COMMAND_LINE = """
sys.modules["prisma_postgres_exporter.cli"] = types.SimpleNamespace(main=load)
__main__.main()
"""
"""What a program does that has its own `load` instead of the commands."""


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
def test_a_signal_from_before_the_first_line_ends_a_command(words: tuple[str, ...], tmp_path: Path) -> None:
    """The kernel keeps it, as for the image's entry point, which starts the program with the signal blocked."""
    with _blocked():
        popen = subprocess.Popen(
            (*EXPORTER, *words),
            cwd=tmp_path,
            env={**os.environ, "PRISMA_POSTGRES_TOKEN": "x", "PRISMA_POSTGRES_API_URL": "http://127.0.0.1:9"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    running = Running(popen)
    with ended(running):
        running.send(signal.SIGTERM)

        assert (running.wait(), running.output) == (INTERRUPTED, "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("imports", [1, 5, 25, 125, 400, 700])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_the_service_is_loaded_ends_it(number: signal.Signals, imports: int, tmp_path: Path) -> None:
    told = _run(
        f"""
left = {imports}

def count(event, _):
    global left
    left -= event == "import"
    if left == 0:
        left = -1
        os.kill(os.getpid(), {int(number)})

sys.argv[1:] = ["serve", "--listen", "127.0.0.1:0"]
sys.addaudithook(count)
__main__.main()
""",
        cwd=tmp_path,
        environ={"PRISMA_POSTGRES_TOKEN": "x", "PRISMA_POSTGRES_API_URL": "http://127.0.0.1:9"},
    )

    assert told == (INTERRUPTED, "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_reaches_a_finalizer_ends_a_command(number: signal.Signals) -> None:
    """Python prints what a finalizer raises, and goes on."""
    told = _run(
        f"""
class Finalized:
    def __del__(self):
        os.kill(os.getpid(), {int(number)})

def load():
    Finalized()
    print("it went on")

{AS_COMMAND_LINE}
"""
    )

    assert told == (INTERRUPTED, "")


@pytest.mark.parametrize("register", ["atexit.register", "threading._register_atexit"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_after_a_command_is_done_ends_what_is_left(number: signal.Signals, register: str) -> None:
    told = _run(
        f"""
import atexit, threading

def load():
    {register}(os.kill, os.getpid(), {int(number)})

{AS_COMMAND_LINE}
"""
    )

    assert told == (INTERRUPTED, "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_the_interpreter_ends_changes_nothing(number: signal.Signals) -> None:
    """Python puts the handlers away before it is gone: the signal would be the end that is told."""
    told = _run(
        f"""
class Last:
    def __del__(self, kill=os.kill, pid=os.getpid()):
        kill(pid, {int(number)})

def load():
    sys.modules["last"] = Last()

{AS_COMMAND_LINE}
"""
    )

    assert told == (0, "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("is_told", [True, False])
def test_a_signal_that_a_library_swallows_while_it_is_loaded_is_one_all_the_same(
    number: signal.Signals, is_told: bool
) -> None:
    """As pydantic does while it builds a model: it tells of the interrupt as an error of the model."""
    code, output = _run(
        f"""
def load():
    try:
        if {is_told}:
            os.kill(os.getpid(), {int(number)})
        raise KeyboardInterrupt
    except KeyboardInterrupt as interrupt:
        raise ValueError("Error building the model") from interrupt

{AS_COMMAND_LINE}
"""
    )

    assert (code, "Traceback" in output) == ((INTERRUPTED, False) if is_told else (1, True))


@pytest.mark.slow
@pytest.mark.parametrize(("said", "code"), [("Making three workspaces", INTERRUPTED), ("Ctrl-C ends the demo", 0)])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_demo_that_is_ended_leaves_nothing(number: signal.Signals, said: str, code: int, tmp_path: Path) -> None:
    environ = {"TMPDIR": str(tmp_path)}
    with command("demo", "--listen", f"unix:{tmp_path}/web", cwd=tmp_path, environ=environ) as running:
        running.wait_for(said)
        running.send(number)

        assert running.wait() == code, running.output
    assert list(tmp_path.iterdir()) == []


def test_the_installed_program_begins_where_the_module_does() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert project["scripts"] == {"prisma-postgres-exporter": "prisma_postgres_exporter.__main__:main"}


@pytest.mark.slow
def test_a_command_that_waits_for_a_silent_server_ends_all_the_same(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(30)
        url = f"postgresql://somebody@127.0.0.1:{silent.getsockname()[1]}/ledger"
        with command("store", "check", "--store-url", url, cwd=tmp_path) as running:
            connection, _ = silent.accept()
            with connection:
                connection.recv(1)
                running.send(signal.SIGTERM)

                assert running.wait() == INTERRUPTED, running.output


def test_a_service_that_waits_for_its_vendor_ends_in_order(tmp_path: Path) -> None:
    with vendor(workspaces=1, databases=2) as upstream:
        upstream.faults.add(Fault(kind=FaultKind.SLOW, call="usage", seconds=60))
        environ = {"PRISMA_POSTGRES_TOKEN": next(iter(upstream.world.tokens)), "PRISMA_POSTGRES_API_URL": upstream.url}
        with command("serve", "--listen", "127.0.0.1:0", cwd=tmp_path, environ=environ) as running:
            upstream.wait_for_calls("usage")
            running.send(signal.SIGTERM)

            assert running.wait() == 0, running.output
    assert "stopped" in running.output
    assert "abandoned" not in running.output


@contextmanager
def _blocked() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _run(program: str, *, cwd: Path | None = None, environ: Mapping[str, str] | None = None) -> tuple[int, str]:
    """The exit code and everything that is written by a program that calls the entry point."""
    whole = f"import os, sys, types\nfrom prisma_postgres_exporter import __main__\n{program}"
    done = subprocess.run(
        [sys.executable, "-c", whole],
        cwd=cwd,
        env={**os.environ, **(environ or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )
    return done.returncode, done.stdout
