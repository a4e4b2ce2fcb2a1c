"""What was made for this process alone is gone when it ends, at whatever moment and in whatever way."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from prisma_postgres_exporter import ending
from prisma_postgres_exporter.cli import demo as demo_command
from prisma_postgres_exporter.cli.demo import demo
from prisma_postgres_exporter.ending import end_at_once, removed_at_the_end

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Ended(BaseException):
    """Stands for the end of this process."""


@pytest.fixture(autouse=True)
def process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def end(code: int) -> None:
        raise Ended(code)

    monkeypatch.setattr(os, "_exit", end)
    monkeypatch.setattr(demo_command, "configure_logs", lambda *_, **__: None)
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, taken in before.items():
        signal.signal(number, taken)


def test_an_end_at_once_removes_what_was_made_for_this_process(tmp_path: Path) -> None:
    folder, socket_file, other = (tmp_path / name for name in ("folder", "socket", "other"))
    folder.mkdir()
    for path in (folder / "ledger.db", socket_file, other):
        path.touch()
    with removed_at_the_end(folder), removed_at_the_end(socket_file):
        with pytest.raises(Ended, match="7"):
            end_at_once(7)
        assert list(tmp_path.iterdir()) == [other]


def test_what_was_not_made_yet_is_no_fault(tmp_path: Path) -> None:
    with removed_at_the_end(tmp_path / "folder"), pytest.raises(Ended, match="0"):
        end_at_once(0)


def test_a_folder_goes_that_a_thread_still_writes_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, remove, late = tmp_path / "folder", shutil.rmtree, iter(["ledger.db-wal", "ledger.db-shm"])

    def slowly(path: Path, **options: Any) -> None:
        remove(path, **options)
        for name in late:
            path.mkdir()
            (path / name).touch()
            return

    monkeypatch.setattr(shutil, "rmtree", slowly)
    with removed_at_the_end(folder):
        folder.mkdir()

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_ends_a_demo_at_once_while_it_makes_its_world(
    number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    async def make(_addresses: object, _format: object, folder: Path, _every: object) -> None:
        (folder / "demo.db").touch()
        os.kill(os.getpid(), number)
        raise AssertionError("it went on")

    monkeypatch.setattr(demo_command, "_demo", make)
    with pytest.raises(Ended, match="130"):
        demo(listen=["127.0.0.1:0"])

    assert list(tmp_path.iterdir()) == []
    assert not ending._made


def test_a_signal_between_the_making_of_the_folder_and_the_next_step_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    make_folder = Path.mkdir

    def made_and_told(path: Path, **options: Any) -> None:
        make_folder(path, **options)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Path, "mkdir", made_and_told)
    with pytest.raises(Ended):
        demo(listen=["127.0.0.1:0"])

    assert list(tmp_path.iterdir()) == []


def test_a_demo_that_is_to_outlive_its_terminal_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    went_on = []

    async def make(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGHUP)
        went_on.append(True)

    monkeypatch.setattr(demo_command, "_demo", make)
    demo(listen=["127.0.0.1:0"])

    assert went_on
    assert list(tmp_path.iterdir()) == []
