"""Whether a `-wal` belongs to the file beside it: SQLite writes the pages of any into any, and says nothing.

Every transaction that writes raises the file's version by one (`PRAGMA user_version`), which lies in the first page and
so brings that into the `-wal` with each commit. A `-wal` begins when all of the one before is in the file. So a file
that it belongs to has the version before its first one, its last one, or one between: a mixture of any of these becomes
the last. The format is that of https://sqlite.org/fileformat2.html#walformat.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import struct
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from prisma_postgres_exporter.errors import StoreGone

VERSIONS = 1 << 31
"""SQLite keeps it in 32 bits, with a sign; after the greatest comes 0, which stays until it is given a new one."""

LOOKS = 10
GROWN_AFTER_SECONDS = (0.0, 0.001, 0.004, 0.016)
HEADER_BYTES = 32
FRAME_HEADER_BYTES = 24
VERSION_AT = 60
CHECKED_BYTES = 8
BIG_ENDIAN_MAGIC = 0x377F0683
MAGICS = (0x377F0682, BIG_ENDIAN_MAGIC)
WORD = 0xFFFFFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Versions:
    """What a file may be at, both ends included."""

    first: int
    last: int

    def __contains__(self, version: int) -> bool:
        return (version - self.first) % VERSIONS <= (self.last - self.first) % VERSIONS


def next_version(version: int) -> int:
    """The version of the transaction after that one."""
    return (version + 1) % VERSIONS


def new_version() -> int:
    """A version to begin at that no other file is likely to be near: a copy is then not taken for what it is of."""
    return 1 + secrets.randbelow(VERSIONS - 1)


def version_of(path: str) -> int | None:
    """The version of the file itself, whatever is in its `-wal`; `None` where the file does not say.

    Through SQLite, as to close the file in any other way would drop the locks that this process has on it. Without
    locks it meets a checkpoint that makes the file longer: the first page says already how long that will be, and
    SQLite calls what is shorter malformed. So this is no place to tell that a file is damaged.
    """
    uri = f"{Path(os.path.realpath(path)).as_uri()}?mode=ro&immutable=1"
    for wait_seconds in GROWN_AFTER_SECONDS:
        time.sleep(wait_seconds)
        try:
            with closing(sqlite3.connect(uri, uri=True)) as connection:
                [(version,)] = connection.execute("PRAGMA user_version").fetchall()
        except sqlite3.DatabaseError:
            continue
        return int(version)
    return None


def require_own_wal(path: str) -> None:
    """Make sure that SQLite may open the file with the `-wal` that is beside it; nothing is changed.

    Raises:
        StoreGone: the `-wal` is of another file, or of this one before something else was written into it.
    """
    if not _is_own_wal(path):
        wal = f"{os.path.realpath(path)}-wal"
        raise StoreGone(
            f"the store at {path} is not the one that {wal} was written for: it was overwritten with another, say a"
            " backup, or is older or newer than what is beside it. Nothing was changed. To go on with the file as it"
            f" is, stop whatever uses it, move {wal} and {path}-shm away, and start; or put that store back"
        )


def _is_own_wal(path: str) -> bool:
    wal = Path(f"{os.path.realpath(path)}-wal")
    try:
        for _ in range(LOOKS):
            found = _versions_in(wal)
            if not found or (version := version_of(path)) is None:
                return True
            # It ends with one of these, as a crash may have left it: which one takes a sum over all of it.
            if any(version in Versions(first=(found[0] - 1) % VERSIONS, last=last) for last in set(found)):
                return True
            first = _first_version_in(wal)
            if found == _versions_in(wal):
                # Another first one: not even that was written to its end.
                return first != found[0]
    except OSError:
        # It cannot be read: opening it says so, as it does of what is no database.
        return True
    # Somebody who has it open goes on writing.
    return True


def _versions_in(wal: Path) -> list[int]:
    """The versions of all commits, and maybe of what a crash left half written: without checksums it is quick."""
    try:
        opened = wal.open("rb")
    except FileNotFoundError:
        return []
    with opened:
        return list(_committed(opened, is_checked=False))


def _first_version_in(wal: Path) -> int | None:
    """The version of the first commit that was written to its end; `None`: there is none."""
    try:
        opened = wal.open("rb")
    except FileNotFoundError:
        return None
    with opened:
        return next(_committed(opened, is_checked=True), None)


def _committed(opened: BinaryIO, *, is_checked: bool) -> Iterator[int]:
    """The version of each commit that has the first page, in their order."""
    header = opened.read(HEADER_BYTES)
    if len(header) < HEADER_BYTES:
        return
    magic, _, page_bytes, _, *salts = struct.unpack_from(">6I", header)
    if magic not in MAGICS or page_bytes < HEADER_BYTES:
        return
    order = ">" if magic == BIG_ENDIAN_MAGIC else "<"
    sums = _sum(order, header[: HEADER_BYTES - CHECKED_BYTES], (0, 0))
    version: int | None = None
    while len(frame := opened.read(FRAME_HEADER_BYTES)) == FRAME_HEADER_BYTES:
        page, pages, *rest = struct.unpack(">6I", frame)
        if rest[:2] != salts:
            return
        if is_checked or page == 1:
            content = opened.read(page_bytes)
            if len(content) < page_bytes:
                return
        else:
            opened.seek(page_bytes, os.SEEK_CUR)
        if is_checked:
            sums = _sum(order, content, _sum(order, frame[:CHECKED_BYTES], sums))
            if list(sums) != rest[2:]:
                return
        if page == 1:
            [version] = struct.unpack_from(">i", content, VERSION_AT)
        if pages and version is not None:
            yield version
            version = None


def _sum(order: str, content: bytes, sums: tuple[int, int]) -> tuple[int, int]:
    first, second = sums
    for even, odd in struct.iter_unpack(f"{order}II", content):
        first = (first + even + second) & WORD
        second = (second + odd + first) & WORD
    return first, second
