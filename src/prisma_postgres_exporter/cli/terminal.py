"""Standard output and error as people have them: any encoding, any names, a pipe that closes, a disk that is full."""

from __future__ import annotations

import codecs
import errno
import io
import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer

Style = Literal["red", "yellow", "green", "bold"]
_STYLES: dict[Style, int] = {"bold": 1, "red": 31, "green": 32, "yellow": 33}

ASCII = {"…": "...", "–": "-", "—": "-", "·": "-", "−": "-", "×": "x", "→": "->", "≤": "<=", "≥": ">=", "’": "'"}
"""What our own signs are where the terminal has ASCII alone."""

BOX = {**dict.fromkeys("─━═", "-"), **dict.fromkeys("│┃║", "|")}

LONGEST_WORD = 200
_UNPRINTABLE = re.compile(r"[^\x20-\x7e\r\n\t]")
_LONG_WORD = re.compile(rf"\S{{{LONGEST_WORD + 1},}}")

EXIT_NOT_WRITTEN = 1


def harmless(text: str) -> str:
    """Text on one line that does nothing to a terminal: anybody can give a database a name.

    What is not printable (line ends, escape sequences, marks that turn the direction of writing) is shown as Python
    writes it, `\\x1b`; so is what standard output's encoding does not have, which keeps two names apart.
    """
    if text.isprintable() and (text.isascii() or is_unicode()):
        return text
    if text in ASCII and not _has(sys.stdout.encoding, text):
        # A cell that is one of our own signs.
        return ASCII[text]
    return "".join(letter if _is_shown(letter) else ascii(letter)[1:-1] for letter in text)


def is_unicode() -> bool:
    """Whether standard output has every letter."""
    return codecs.lookup(sys.stdout.encoding or "utf-8").name.startswith("utf")


def pour(parts: Iterable[bytes]) -> None:
    """Write a document for programs to standard output, in UTF-8; on a terminal nothing in it does anything."""
    sys.stdout.flush()
    is_terminal = sys.stdout.isatty()
    for part in parts:
        shown = _UNPRINTABLE.sub(_escaped, part.decode()).encode() if is_terminal else part
        sys.stdout.buffer.write(shown)
    sys.stdout.buffer.flush()


def _is_shown(letter: str) -> bool:
    if not letter.isprintable():
        return False
    return letter.isascii() or is_unicode() or _has(sys.stdout.encoding, letter)


@lru_cache(maxsize=4_096)
def _has(encoding: str, letter: str) -> bool:
    try:
        letter.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def _escaped(found: re.Match[str]) -> str:
    letter = found[0]
    if letter.isprintable():
        return letter
    # As JSON escapes it: what is beyond 16 bits in two halves.
    halves = letter.encode("utf-16-be")
    return "".join(f"\\u{halves[at : at + 2].hex()}" for at in range(0, len(halves), 2))


def sentence(text: str) -> str:
    """Text that is `harmless`, and in which no name is longer than anybody reads."""
    return _LONG_WORD.sub(
        lambda word: f"{word[0][: LONGEST_WORD // 2]}…{word[0][-LONGEST_WORD // 2 :]}", harmless(text)
    )


def show(text: str, *, style: Style | None = None) -> None:
    """Print a line for people on standard output; only as `harmless` as its caller made it."""
    _write(sys.stdout, text, style)


def say(text: str, *, style: Style | None = None) -> None:
    """Tell a person on standard error, beside what is printed for programs; each line of it is a `sentence`."""
    _write(sys.stderr, "\n".join(map(sentence, text.split("\n"))), style)


def mark(word: str, style: Style, text: str, *, indent: str = "") -> None:
    """Print a line that begins with a word in colour on standard output; its text is made a `sentence`."""
    is_coloured = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    coloured = f"\x1b[{_STYLES[style]}m{word}\x1b[0m" if is_coloured else word
    sys.stdout.write(f"{indent}{coloured}  {sentence(text)}\n")


def _write(stream: TextIO, text: str, style: Style | None) -> None:
    # Not by `typer.echo`: it writes UTF-8 to a terminal that has ASCII alone.
    is_styled = style is not None and stream.isatty() and (style == "bold" or "NO_COLOR" not in os.environ)
    stream.write(f"\x1b[{_STYLES[style]}m{text}\x1b[0m\n" if is_styled and style else f"{text}\n")


class NotWritten(Exception):
    """Standard output takes no more. It is not an `OSError`: those are other files' and ways'."""

    def __init__(self, error: OSError) -> None:
        super().__init__(error.strerror)
        self.is_reader_gone = error.errno == errno.EPIPE


class _StandardOutput(io.FileIO):
    def write(self, written: Buffer, /) -> int:
        try:
            return super().write(written)
        except OSError as error:
            raise NotWritten(error) from error


def prepare_streams() -> None:
    """Make standard output and error fit to be written to.

    Standard output's errors are `NotWritten`. What an encoding does not have is written as ASCII. What goes to a closed
    one goes nowhere: its number would be the next file's.
    """
    codecs.register_error("plain", _plain)
    if sys.stdout is None:
        sys.stdout = _nowhere()
    else:
        _mark_errors_of_output()
    sys.stderr = sys.stderr or _nowhere()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and codecs.lookup(stream.encoding).name != "utf-8":
            stream.reconfigure(errors="plain")


def is_output_closed() -> bool:
    """Whether standard output was closed when the program began: what is printed goes nowhere."""
    return getattr(sys.stdout, "name", None) == os.devnull


@contextmanager
def told_if_not_written() -> Iterator[None]:
    """End with a sentence where standard output takes no more; silently where its reader has closed it.

    Raises:
        SystemExit: with 1, if not all was written.
    """
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except NotWritten as error:
        let_go()
        if not error.is_reader_gone:
            print(f"error: standard output cannot be written: {error}", file=sys.stderr)
        raise SystemExit(EXIT_NOT_WRITTEN) from None


def _nowhere() -> TextIO:
    return Path(os.devnull).open("w", encoding="utf-8")


def _mark_errors_of_output() -> None:
    stream = sys.stdout
    try:
        descriptor = stream.fileno()
    except io.UnsupportedOperation:
        return  # in memory
    if not isinstance(stream, io.TextIOWrapper):
        return
    stream.flush()
    raw = _StandardOutput(descriptor, "w", closefd=False)
    sys.stdout = io.TextIOWrapper(
        raw if stream.write_through else io.BufferedWriter(raw),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end]
    return "".join(ASCII.get(letter) or BOX.get(letter) or "?" for letter in letters), error.end


def let_go() -> None:
    """Stop writing to standard output, which takes no more.

    What is still buffered goes nowhere: else the interpreter tries again at its end, and complains.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
