"""A database library's exceptions, translated once: what is wrong, where, and what to do."""

from __future__ import annotations

import errno
import os
import sqlite3
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from prisma_postgres_exporter.descriptors import why_none
from prisma_postgres_exporter.errors import StoreBroken, StoreDamaged, StoreDisconnected, StoreUnavailable
from prisma_postgres_exporter.reasons import MORE_DESCRIPTORS
from prisma_postgres_exporter.store.patience import is_silence

DAMAGED_ADVICE = (
    "the file is damaged: put a backup in its place and remove -wal and -shm beside it, or move all of them and the"
    " .lock away to begin anew"
)
READERS_ADVICE = (
    # the same, to whoever only reads
    ("no such file or directory", "give the address of the service's store"),
    ("unable to open database file", "let this user read the file, and the -wal and -shm beside it; or run it again"),
    ("readonly database", "somebody opened or closed the store just now: run it again"),
    ("permission denied for", "let this role read every table: GRANT SELECT ON ALL TABLES IN SCHEMA public TO it"),
    ("permission denied", "let this user read the file and enter its directory"),
)
ADVICE = (
    # a part of the library's message, lower case; what to do about it
    ("check constraint", "nothing was written; that is a bug, or `store check` finds what led to it: report it"),
    ("foreign key constraint", "nothing was written; that is a bug, or `store check` finds what led to it: report it"),
    ("too many open files", MORE_DESCRIPTORS),
    ("read-only file system", "its file system is mounted read-only: mount it writable, or put the store on another"),
    ("no such file or directory", "create its directory"),
    ("unable to open database file", "create its directory and let this user write in it"),
    ("readonly database", "let this user write the file and its directory"),
    ("read-only transaction", "give the address of the primary server, not of a replica"),
    ("disk is full", "make room on the disk"),
    ("no space left", "make room on the server's disk"),
    ("no locks available", "put it on a disk of this machine: over a network nobody could be kept out"),
    ("is locked", "another process is writing for too long: stop it, or wait"),
    ("lock timeout", "another process is writing for too long: stop it, or wait"),
    ("not a database", "it is some other file: move it away, or give another path"),
    ("malformed", DAMAGED_ADVICE),
    ("disk i/o error", "look whether the disk is full, over a quota, or broken"),
    ("authentication failed", "correct the user or the password in the store's URL"),
    ("no password supplied", "write the password into the store's URL"),
    ("too many connections for role", "close others of this role, or let it have more: ALTER ROLE … CONNECTION LIMIT"),
    ("too many connections for database", "close others to it, or let it have more: ALTER DATABASE … CONNECTION LIMIT"),
    ("connection slots are reserved", "raise max_connections, or wait"),
    ("is not permitted to log in", "let this role log in: ALTER ROLE … LOGIN"),
    ('role "', "create the role, or correct the user in the store's URL"),
    ('database "', "create it, or correct the store's URL"),
    ("permission denied for", "let this user create tables and write them"),
    ("permission denied", "let this user write in its directory"),
    ("already exists", "the database belongs to another program: give the store one of its own"),
    ("too many clients", "raise max_connections, or wait"),
    ("statement timeout", "let this role take longer: ALTER ROLE … SET statement_timeout = 0"),
    ("idle-in-transaction", "this process was stopped, or had too little of a processor: nothing was written"),
    ("connection", "start the server, or correct host and port in the store's URL"),
)


KINDS: Mapping[int, type[StoreUnavailable]] = {
    sqlite3.SQLITE_CORRUPT: StoreDamaged,
    sqlite3.SQLITE_NOTADB: StoreDamaged,
    sqlite3.SQLITE_IOERR: StoreBroken,
}


@contextmanager
def translated(doing: str, where: str, *, is_read_only: bool = False) -> Iterator[None]:
    """Turn what SQLAlchemy, SQLite, psycopg and the file system raise into `StoreUnavailable` or a kind of it.

    Whoever opened the store `is_read_only` is not told to get rights that only a writer needs.
    """
    try:
        yield
    except _raised() as exc:
        reason = _unsaid(exc, where, is_read_only) or _reason(exc)
        raise _kind(exc)(f"cannot {doing} the store at {where}: {reason}{_advice(reason, is_read_only)}") from exc


def _raised() -> tuple[type[Exception], ...]:
    # A store in a file does without psycopg, which takes 9 MB: what is not loaded raises nothing.
    psycopg = sys.modules.get("psycopg")
    return SQLAlchemyError, sqlite3.Error, OSError, *((psycopg.Error,) if psycopg is not None else ())


def _cause(exc: Exception) -> BaseException:
    return exc.orig if isinstance(exc, DBAPIError) and exc.orig is not None else exc


def _kind(exc: Exception) -> type[StoreUnavailable]:
    # The lowest byte is the kind, what is above it where it was met.
    code = getattr(_cause(exc), "sqlite_errorcode", 0) & 0xFF
    if isinstance(exc, DBAPIError) and exc.connection_invalidated and not is_silence(_cause(exc)):
        return StoreDisconnected
    return KINDS.get(code, StoreUnavailable)


def _reason(exc: Exception) -> str:
    cause = _cause(exc)
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror.lower()
    lines = str(cause).strip().splitlines()
    return lines[0].strip() if lines else type(cause).__name__


def _unsaid(exc: Exception, where: str, is_read_only: bool) -> str | None:
    """What is behind a failure whose library says no more than that something could not be opened, or written."""
    cause = _cause(exc)
    code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
    why = None
    if code == sqlite3.SQLITE_CANTOPEN or "could not translate host name" in str(cause):
        why = why_none()
    if why is None and not is_read_only and code in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}:
        with suppress(OSError):
            if os.statvfs(Path(where.partition(":///")[2]).parent).f_flag & os.ST_RDONLY:
                why = os.strerror(errno.EROFS)
    return why.lower() if why else None


def _advice(reason: str, is_read_only: bool) -> str:
    lowered = reason.lower()
    known = (*READERS_ADVICE, *ADVICE) if is_read_only else ADVICE
    return next((f"; {advice}" for part, advice in known if part in lowered), "")
