"""What SQLite and Postgres do differently, behind the same few functions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Connection, Engine, Table
from sqlalchemy.engine import URL

from prisma_postgres_exporter.store import postgres, sqlite
from prisma_postgres_exporter.store.patience import Patience
from prisma_postgres_exporter.store.rows import Values


class Backend(Protocol):
    """An engine's own ways; the modules `sqlite` and `postgres` are the two there are."""

    READING: Mapping[str, Any]
    """Execution options of a transaction that reads: all of it sees one moment."""

    WRITING: Mapping[str, Any]
    """Execution options of a transaction that writes."""

    def create_engine(self, url: URL, *, is_read_only: bool, is_lasting: bool, patience: Patience) -> Engine:
        """Make the engine, and the file where the store is one; to read only, nothing is made or changed.

        No write to a file that is not `is_lasting` waits for the disk.

        Raises:
            StoreMissing: there is no file, and it is to be read only.
            StoreGone: there was a file, and it is missing or empty.
            StoreUnavailable: it is to be read only, and may not be read.
        """

    def require_makeable(self, url: URL) -> None:
        """Make sure that a store could be made there, and make nothing.

        Raises:
            StoreUnavailable, OSError: it could not.
        """

    def wait_long(self, connection: Connection) -> None:
        """Wait for the answers of this transaction as long as they take, as each may need to read whole tables."""

    def limit_stalling(self, connection: Connection) -> None:
        """Have a transaction that writes end if this process says nothing for a few seconds."""

    def confirm(self, connection: Connection) -> None:
        """Make sure, at the end of a transaction that read, that all of it saw one moment.

        Raises:
            StoreUnavailable: somebody wrote meanwhile.
        """

    def keep_others_out(self, url: URL) -> AbstractContextManager[None]:
        """Keep other services out, as long as the block lasts.

        Raises:
            StoreInUse: one is there already.
        """

    def is_kept_by(self, url: URL, process: int) -> bool | None:
        """Whether a process of this machine keeps others out, or was the last that did; `None` where nobody does."""

    def remember(self, url: URL) -> None:
        """Note beside the store that there is one, where it is a file that could get lost."""

    def adopt(self, url: URL) -> None:
        """Give the files of a store that an older version made what this one needs to keep them apart from others.

        Where others have it open it is left to the next opening.
        """

    def lock_schema(self, connection: Connection) -> None:
        """Wait until no other process migrates, and keep others from it until the transaction ends."""

    def lock_keys(self, connection: Connection) -> None:
        """Wait, not for ever, until nobody else gives out keys, and keep others from it until the transaction ends.

        Taken before the locks of workspaces, never after them.
        """

    def lock_workspaces(self, connection: Connection, ids: Collection[str]) -> None:
        """Wait for other writers of these workspaces, not for ever, and keep others out until the transaction ends."""

    def make_room(self, connection: Connection, instants: Collection[datetime]) -> None:
        """Prepare `readings` for rows read at these instants."""

    def defer_references(self, connection: Connection) -> None:
        """Let rows refer to what is not there until the transaction ends: then they may not."""

    def damage(self, connection: Connection) -> Iterator[str]:
        """Look for what the engine itself finds wrong with its files, a line each."""

    def is_doubtful(self, url: URL) -> bool:
        """Whether its files may not be whole: asked before it is opened."""

    def examine(self, engine: Engine, patience: Patience, seconds: float) -> bool:
        """Read everything that the engine can read without looking at rows; `False`: given up, as it took too long.

        Raises:
            StoreDamaged: something of it is damaged.
        """

    def size_bytes(self, connection: Connection) -> int:
        """How much room the store takes on its disk, about."""

    def upsert(self, connection: Connection, table: Table, rows: Sequence[Values]) -> None:
        """Write rows, values in the order of the table's columns; a row with the same primary key is replaced."""

    def copy(self, engine: Engine, path: Path, on_progress: Callable[[int, int], None]) -> None:
        """Copy the store as it is now into a new file, while others write; told are pages copied and in all.

        Raises:
            ConfigurationError: the engine has its own tools for that.
        """

    def prune_readings(self, engine: Engine, before_unix: int) -> int:
        """Remove older readings without keeping a writer waiting, and give their space back; return how many."""


def backend_of(url: URL) -> Backend:
    """Return the backend of a URL that `parse_url` accepted."""
    return sqlite if url.get_backend_name() == "sqlite" else postgres
