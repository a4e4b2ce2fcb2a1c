"""Connections that read a SQLite store with no more rights than its files give, and leave nothing beside it.

SQLite itself needs to write beside a database in WAL mode even to read it, unless a service has it open. So:

- Whoever may write the file and its directory reads as the service does, with locks.
- Where the files of an open store are there (`-wal` and `-shm`), they are used: a service may write meanwhile.
- A copy with a `-wal` alone is read with an index in memory. Nobody has it open: whoever had would have a `-shm`.
- A file alone is read as one that does not change. Nobody has it open, and `confirm` notices if somebody opened it
  meanwhile and changed it.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path

from prisma_postgres_exporter.errors import StoreGone, StoreMissing, StoreUnavailable
from prisma_postgres_exporter.store.sqlite_wal import require_own_wal

INODE = "inode"
BESIDE = ("-wal", "-shm", "-journal")
LOCK = ".lock"
Stamp = tuple[tuple[int, int, int] | None, ...]
"""What tells whether files changed: inode, size and time of change of each, `None` where it is not there."""


class Reader(sqlite3.Connection):
    """A connection that only reads; `stamp` is that of its files, where no lock keeps them as they are."""

    stamp: Stamp | None = None
    path = ""


def require_readable(path: str) -> None:
    """Make sure that there is a file which this user may read, with what SQLite keeps beside it.

    Raises:
        StoreMissing: there is none.
        StoreGone: there was one.
        StoreUnavailable: it may not be read.
    """
    require_kept(path)
    try:
        is_directory = Path(path).is_dir()
        Path(path).stat()
    except (FileNotFoundError, NotADirectoryError):
        raise StoreMissing(f"there is no store at {path} yet: `serve` and `collect` make it") from None
    if is_directory:
        raise StoreUnavailable(f"cannot read the store at {path}: it is a directory; name a file in it")
    for name in (path, *(f"{path}{suffix}" for suffix in BESIDE)):
        if Path(name).exists() and not _may(name, os.R_OK):
            raise StoreUnavailable(
                f"cannot read the store at {path}: permission denied for {Path(name).name}; let this user read the "
                "file, and the -wal and -shm beside it"
            )


def lock_of(path: str) -> Path:
    """The file that is locked while a service uses the store, and stays: by one name, as many links as lead there."""
    return Path(f"{os.path.realpath(path)}{LOCK}")


def require_kept(path: str) -> None:
    """Make sure that no store was lost there.

    Raises:
        StoreGone: there was one, and its file is missing or empty now, or another one without what belongs to it.
    """
    _require_remembered(path)
    require_own_wal(path)


def was_left_open(path: str) -> bool:
    """Whether whoever had it open last did not close it, which removes the `-wal`, or it is another file since."""
    try:
        found = Path(path).stat()
        lines = lock_of(path).read_text(errors="replace").splitlines()
    except OSError:
        # A new one is soon looked through, and what is wrong with another is said when it is opened.
        return True
    return f"{INODE} {found.st_ino}" not in lines or Path(f"{os.path.realpath(path)}-wal").exists()


def connect(path: str, *, timeout_seconds: float) -> Reader:
    """Connect as these files allow."""
    require_readable(path)
    real = os.path.realpath(path)
    query, stamp = _way(real)
    connection = sqlite3.connect(
        f"{Path(real).as_uri()}?{query}",
        uri=True,
        timeout=timeout_seconds,
        isolation_level=None,
        check_same_thread=False,
        factory=Reader,
    )
    connection.path, connection.stamp = real, stamp
    if "vfs" in query:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("PRAGMA query_only = ON")
    return connection


def has_changed(connection: Reader) -> bool:
    """Whether the files changed that were taken not to change: then what was read may be of two moments."""
    return connection.stamp is not None and connection.stamp != _stamp(connection.path)


def _require_remembered(path: str) -> None:
    lock, wal = lock_of(path), Path(f"{os.path.realpath(path)}-wal")
    try:
        # Before the file is looked at: this one is made once the store is whole.
        lines = lock.read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return
    except PermissionError:
        lines = []
    try:
        found = Path(path).stat()
    except FileNotFoundError:
        found = None
    if found is None or not found.st_size:
        raise StoreGone(
            f"the store at {path} is {'gone' if found is None else 'empty now'}, and no new one is made in its place:"
            f" put it there, or a backup of it without the -wal and -shm that are beside it; to begin anew, without its"
            f" history, remove {lock} too"
        )
    is_another = f"{INODE} {found.st_ino}" not in lines and any(line.startswith(INODE) for line in lines)
    # SQLite would write the pages of the one into the other.
    if is_another and wal.exists() and wal.stat().st_size:
        raise StoreGone(
            f"the store at {path} was replaced by another file, and {wal} is of the one before: stop the service that"
            f" uses it, then remove {wal.name} and {path}-shm; if all were copied here together, remove {lock}"
        )


def _way(path: str) -> tuple[str, Stamp | None]:
    """How to open the file, and its stamp where that takes no locks."""
    if _may(path, os.W_OK) and _may(str(Path(path).parent), os.W_OK | os.X_OK):
        return "mode=rw", None
    stamp = _stamp(path)
    _, wal, shm, journal = stamp
    if journal is not None or (wal is not None and shm is not None):
        return "mode=ro", None
    if wal is not None and wal[1] > 0:
        return "mode=ro&vfs=unix-none", stamp
    return "mode=ro&immutable=1", stamp


def _stamp(path: str) -> Stamp:
    return tuple(_stamp_of(name) for name in (path, *(f"{path}{suffix}" for suffix in BESIDE)))


def _stamp_of(name: str) -> tuple[int, int, int] | None:
    try:
        found = Path(name).stat()
    except OSError as error:
        if error.errno == errno.ENOENT:
            return None
        raise
    return found.st_ino, found.st_size, found.st_mtime_ns


def _may(path: str, mode: int) -> bool:
    # By the rights that count, those of the effective user.
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)
