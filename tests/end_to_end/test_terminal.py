"""Commands at a terminal as people have them: its encoding, a full disk, a pipe that closes, hostile names."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import pytest

from prisma_postgres_exporter.cli import main, simulator
from prisma_postgres_exporter.cli.printing import print_document
from prisma_postgres_exporter.cli.terminal import harmless, sentence

MONTH = ("--month", "2026-11")


@pytest.fixture(scope="module")
def options(lived_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Sequence[str]:
    """The store of a month, with what nobody knows in it; commands here only read it."""
    return ("--store-url", f"sqlite:///{shutil.copy(lived_file, tmp_path_factory.mktemp('month'))}")


def run(
    *arguments: str, cwd: Path, stdout: int = subprocess.PIPE, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "prisma_postgres_exporter", *arguments]
    ours = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHONIOENC", "PRISMA_", "COV_"))}
    return subprocess.run(
        command,
        cwd=cwd,
        env={**ours, **(environ or {})},
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize("command", [("top", *MONTH), ("cost", *MONTH), ("export", "days"), ("--help",)])
def test_a_full_disk_is_told_in_a_line(command: Sequence[str], options: Sequence[str], tmp_path: Path) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        answer = run(*command, *(options if command[0] != "--help" else ()), cwd=tmp_path, stdout=full)
    finally:
        os.close(full)
    assert answer.returncode == 1
    assert answer.stderr.decode().splitlines()[-1] == (
        "error: standard output cannot be written: No space left on device"
    )
    assert b"Traceback" not in answer.stderr


@pytest.mark.parametrize("command", [("top", *MONTH), ("export", "days")])
def test_a_reader_that_has_enough_ends_it_in_silence(
    command: Sequence[str], options: Sequence[str], tmp_path: Path
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        answer = run(*command, *options, cwd=tmp_path, stdout=writing)
    finally:
        os.close(writing)
    assert answer.returncode == 1
    assert b"Traceback" not in answer.stderr
    assert b"Exception ignored" not in answer.stderr


def test_output_that_is_not_buffered_comes_before_what_is_said_after_it(options: Sequence[str], tmp_path: Path) -> None:
    reading, writing = os.pipe()
    with open(reading, encoding="utf-8") as both:
        command = [sys.executable, "-m", "prisma_postgres_exporter", "top", *MONTH, *options, "--limit", "1"]
        environ = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1"}
        subprocess.run(command, cwd=tmp_path, env=environ, stdout=writing, stderr=writing, timeout=60, check=True)
        os.close(writing)
        shown = both.read()
    assert shown.startswith("Top databases of 2026-11")
    assert "There is more" in shown


@pytest.mark.parametrize("error", [errno.EPIPE, errno.ENOSPC])
@pytest.mark.parametrize("filename", [None, "/var/lib/store.db"])
def test_an_error_of_something_else_is_not_told_as_standard_outputs(
    error: int, filename: str | None, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail() -> NoReturn:
        print("some output")
        raise OSError(error, os.strerror(error), filename)

    monkeypatch.setattr(simulator, "simulator", fail)
    monkeypatch.setattr(sys, "argv", ["prisma-postgres-exporter", "simulator"])
    with pytest.raises(SystemExit) as ended:
        main()

    assert ended.value.code == 1
    shown = capfd.readouterr()
    assert shown.out == "some output\n"
    assert shown.err == f"error: {f'{filename}: ' if filename else ''}{os.strerror(error)}\n"


def test_what_a_closed_standard_output_would_get_goes_into_no_file(options: Sequence[str], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "prisma_postgres_exporter", "top", *MONTH, *options]
    before = (path := Path(options[1].removeprefix("sqlite:///"))).read_bytes()
    closed = subprocess.run(
        ["sh", "-c", '"$@" >&-', "sh", *command], cwd=tmp_path, stderr=subprocess.PIPE, timeout=60, check=False
    )

    assert closed.returncode == 0
    assert b"Traceback" not in closed.stderr
    assert path.read_bytes() == before


@pytest.mark.slow
@pytest.mark.parametrize("command", [("report", *MONTH), ("export", "days")])
def test_a_file_that_cannot_be_written_is_named(command: Sequence[str], options: Sequence[str], tmp_path: Path) -> None:
    answer = run(*command, "--output", "/dev/full", *options, cwd=tmp_path)

    assert answer.returncode == 2
    assert answer.stderr.decode().splitlines()[-1] == (
        "error: --output /dev/full: cannot be written: No space left on device"
    )


@pytest.mark.slow
@pytest.mark.parametrize("command", [("top", *MONTH), ("cost", *MONTH)])
def test_a_locale_of_ascii_gets_ascii(command: Sequence[str], options: Sequence[str], tmp_path: Path) -> None:
    plain = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
    answer = run(*command, *options, cwd=tmp_path, environ=plain)
    assert b"Traceback" not in answer.stderr
    assert answer.returncode in {0, 1}
    assert answer.stdout.isascii()
    whole = run(*command, *options, cwd=tmp_path, environ={"PYTHONUTF8": "1"}).stdout.decode()
    assert not whole.isascii()
    assert answer.stdout.count(b"?") == whole.count("?"), "each sign of ours has one in ASCII"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("\x1b[2J\x1b]0;owned\x07", "\\x1b[2J\\x1b]0;owned\\x07"),
        ("abc\u202egnp.exe", "abc\\u202egnp.exe"),
        ("two\r\nlines", "two\\r\\nlines"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("日本 é ß", "日本 é ß"),
    ],
)
def test_no_name_reaches_into_the_terminal(name: str, shown: str) -> None:
    assert harmless(name) == shown


def test_a_name_in_a_sentence_is_cut_at_a_sane_length() -> None:
    assert sentence(f"database {'n' * 600} failed") == f"database {'n' * 100}…{'n' * 100} failed"
    assert sentence("database shop failed") == "database shop failed"


def test_json_and_csv_do_nothing_to_a_terminal_and_stay_what_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["\x1b]0;owned\x07", "\x7f", "\x9b31m", "abc\u202egnp.exe", "tag\U000e0001", "日本"]
    for is_terminal in (True, False):
        written = io.BytesIO()
        stream = io.TextIOWrapper(written, encoding="utf-8")
        monkeypatch.setattr(sys, "stdout", stream)
        monkeypatch.setattr(stream, "isatty", lambda is_terminal=is_terminal: is_terminal)
        print_document(json.dumps(names, ensure_ascii=False, indent=2))
        text = written.getvalue().decode()
        assert json.loads(text) == names
        assert all(letter.isprintable() or letter == "\n" for letter in text) is is_terminal


def test_an_encoding_that_lacks_letters_keeps_two_names_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="latin-1"))
    assert (harmless("日本"), harmless("中国"), harmless("Zürich")) == ("\\u65e5\\u672c", "\\u4e2d\\u56fd", "Zürich")
