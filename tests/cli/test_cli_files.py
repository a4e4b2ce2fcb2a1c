"""What `--output` writes: a file whole or not at all, and what is no file stays what it is."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from prisma_postgres_exporter.cli.files import write_whole
from prisma_postgres_exporter.errors import ConfigurationError

PARTS = (b"first\n", b"second\n" * 50_000)


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "report.csv"
    path.write_text("old")
    write_whole(path, PARTS, option="--output")
    assert path.read_bytes() == b"".join(PARTS)
    assert path.stat().st_mode & 0o777 == 0o644
    assert os.listdir(tmp_path) == ["report.csv"]


def test_half_a_file_is_never_there(tmp_path: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield b"half"
        raise ValueError("no more")

    path = tmp_path / "report.csv"
    path.write_text("old")
    with pytest.raises(ValueError, match="no more"):
        write_whole(path, broken(), option="--output")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["report.csv"]


def test_a_link_is_followed(tmp_path: Path) -> None:
    target, link = tmp_path / "target.csv", tmp_path / "link.csv"
    target.write_text("old")
    link.symlink_to("target.csv")
    write_whole(link, PARTS, option="--output")
    assert link.is_symlink()
    assert target.read_bytes() == b"".join(PARTS)


def test_a_pipe_is_written_to_and_stays_a_pipe(tmp_path: Path) -> None:
    path, read = tmp_path / "pipe", bytearray()
    os.mkfifo(path)
    reader = threading.Thread(target=lambda: read.extend(path.read_bytes()))
    reader.start()
    write_whole(path, PARTS, option="--output")
    reader.join()
    assert path.is_fifo()
    assert bytes(read) == b"".join(PARTS)


def test_a_full_device_is_told_and_stays_a_device() -> None:
    path = Path("/dev/full")
    with pytest.raises(ConfigurationError, match="--output /dev/full: cannot be written: No space left on device"):
        write_whole(path, PARTS, option="--output")
    assert path.is_char_device()


def test_where_it_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be written: No such file or directory"):
        write_whole(tmp_path / "nowhere" / "report.csv", PARTS, option="--output")
