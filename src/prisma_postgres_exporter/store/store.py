"""The store as the rest of the program sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import date, datetime
from pathlib import Path

from sqlalchemy import Connection, select
from sqlalchemy.engine import URL

from prisma_postgres_exporter.errors import StoreChanged
from prisma_postgres_exporter.model import (
    BilledMonth,
    Book,
    DayUsage,
    Discovered,
    Event,
    KnownDatabase,
    LedgerRows,
    Posting,
    Revision,
    WorkspaceDay,
)
from prisma_postgres_exporter.store import history, identities
from prisma_postgres_exporter.store.auditing import audit
from prisma_postgres_exporter.store.backend import backend_of
from prisma_postgres_exporter.store.backup import replacing
from prisma_postgres_exporter.store.discovering import write_discovered
from prisma_postgres_exporter.store.failures import translated
from prisma_postgres_exporter.store.loading import load_book
from prisma_postgres_exporter.store.migrate import migrate, require_current
from prisma_postgres_exporter.store.recording import write_posting
from prisma_postgres_exporter.store.rows import unix_seconds
from prisma_postgres_exporter.store.summary import StoreState, StoreSummary, state_of, summarise
from prisma_postgres_exporter.store.tables import store_state
from prisma_postgres_exporter.store.urls import parse_url, public_url
from prisma_postgres_exporter.store.violations import Violation


class _Unsound(Exception):  # it is no error of anybody's: it ends a block
    """The copy breaks a rule."""


class Store:
    """One open store. Every call is one transaction; several processes may share a store.

    Instants are kept in whole seconds, so a caller that compares what it holds with what `load`
    returns cuts them before it writes.

    Every method raises `StoreUnavailable` when the store cannot be reached, read or written now;
    nothing is half written then, and the next call may succeed.
    """

    def __init__(self, url: URL, *, is_read_only: bool = False) -> None:
        self.url = public_url(url)
        self._backend = backend_of(url)
        with translated("open", self.url):
            self._engine = self._backend.create_engine(url, is_read_only=is_read_only)
        self._reader = self._engine.execution_options(**self._backend.READING)
        self._writer = self._engine.execution_options(
            **(self._backend.READING if is_read_only else self._backend.WRITING)
        )

    @classmethod
    def open(cls, url: str) -> Store:
        """Open the store, make it if there is none, and bring its tables to this version's.

        `url` is `sqlite:///PATH`, or `postgresql://USER:PASSWORD@HOST/DATABASE` (`postgres://` too).

        Raises:
            ConfigurationError: `url` is not the URL of a store.
            StoreTooNew: a newer version made it.
            StoreUnavailable: it cannot be opened.
        """
        store = cls(parse_url(url))
        try:
            with translated("open", store.url):
                migrate(store._reader, store._writer, store._backend, where=store.url)
        except BaseException:
            store.close()
            raise
        return store

    @classmethod
    def open_to_read(cls, url: str) -> Store:
        """Open a store that is there already, and never change it: beside a running service, say.

        `url` is as for `open`. Writing to it afterwards raises `StoreUnavailable`.

        Raises:
            ConfigurationError: `url` is not the URL of a store.
            StoreMissing: there is no store.
            StoreTooNew: a newer version made it.
            StoreUnavailable: it cannot be opened, or an older version made it and none has brought it up to date.
        """
        return cls._to_read(parse_url(url))

    def load(self, now: datetime) -> Book:
        """Return every followed workspace and database, and the deleted ones that have a row of this or last month."""
        with self._reading() as connection:
            return load_book(connection, now)

    def record(self, posting: Posting, *, at: datetime, generation: int) -> int:
        """Write what a cycle learned, and return the new generation.

        Raises:
            StoreChanged: the store is not at `generation` any more; nothing was written.
        """
        with self._writing(generation, at) as connection:
            write_posting(connection, self._backend, posting)
        return generation + 1

    def record_discovery(self, discovered: Discovered, *, generation: int) -> int:
        """Write what a discovery found, and return the new generation; `load` gives the book it makes.

        A database that moved keeps its key and history, one that came back is not deleted any more.

        Raises:
            StoreChanged: the store is not at `generation` any more; nothing was written.
            KeyError: a database's workspace was never discovered.
        """
        with self._writing(generation, discovered.at) as connection:
            write_discovered(connection, self._backend, discovered)
        return generation + 1

    def days(
        self, database_id: str | None = None, from_day: date | None = None, to_day: date | None = None
    ) -> Iterator[DayUsage]:
        """Iterate over the ledger's days, both ends included, by day and then database key.

        Rows are read as they are asked for, all from one moment of the store; `None` is no limit.
        """
        with self._reading() as connection:
            if database_id is None:
                yield from history.stream_days(connection, from_day, to_day)
            else:
                yield from history.stream_database_days(connection, database_id, from_day, to_day)

    def revisions(
        self, database_id: str | None = None, from_day: date | None = None, to_day: date | None = None
    ) -> Iterator[Revision]:
        """Iterate over the revisions of these days (not: noticed on them), both ends included.

        By day, database key and when they were noticed; `None` is no limit.
        """
        with self._reading() as connection:
            yield from history.stream_revisions(connection, database_id, from_day, to_day)

    def months(self, month: date) -> Iterator[BilledMonth]:
        """Iterate over every database's usage in the month that `month` lies in, deleted ones included, by key.

        A database that moved has a row for each workspace that held it: the days of each are its own.
        """
        with self._reading() as connection:
            yield from identities.stream_billed_months(connection, month)

    def databases(self) -> Iterator[KnownDatabase]:
        """Iterate over every database that was ever followed, deleted ones included, by key."""
        with self._reading() as connection:
            yield from identities.stream_databases(connection)

    def workspace_days(self, from_day: date) -> tuple[WorkspaceDay, ...]:
        """Return each workspace's days from `from_day` on, summed over its databases, by day and workspace key."""
        with self._reading() as connection:
            return tuple(history.workspace_days(connection, from_day))

    def events(
        self, from_at: datetime | None = None, to_at: datetime | None = None, *, subject_id: str | None = None
    ) -> Iterator[Event]:
        """Iterate over what discoveries noticed, oldest first, `from_at` included and `to_at` not.

        `subject_id` is the id of one workspace, project or database; `None` is all of them.
        """
        with self._reading() as connection:
            yield from history.stream_events(connection, from_at, to_at, subject_id)

    def state(self) -> StoreState:
        """Return how often and when the store was written to."""
        with self._reading() as connection:
            return state_of(connection)

    def summary(self) -> StoreSummary:
        """Return what the store holds, in numbers; counting reads every table."""
        with self._reading() as connection:
            return summarise(connection, self._backend)

    def violations(self, now: datetime) -> Iterator[Violation]:
        """Iterate over what breaks a rule of `invariants.INVARIANTS`, as it is found; a sound store yields nothing.

        Reads the whole store, all from one moment of it, while others write; `now` (UTC) tells the future.
        """
        with self._reading() as connection:
            yield from audit(connection, self._backend, now)

    def ledger_rows(self, pairs: Iterable[tuple[int, date]]) -> LedgerRows:
        """Return what exists of these (database key, day): the days, and the rows of the months they lie in."""
        wanted = frozenset(pairs)
        with self._reading() as connection:
            return LedgerRows(
                looked_up=wanted,
                days=history.look_up_days(connection, wanted),
                months=history.look_up_months(connection, wanted),
            )

    def backup(
        self,
        path: Path,
        now: datetime,
        *,
        is_forced: bool = False,
        on_progress: Callable[[int, int], None] = lambda copied, total: None,
    ) -> tuple[Violation, ...]:
        """Copy the store as it is now into the file `path`, while others write, and check the copy.

        SQLite only. The file appears when the copy is whole and breaks no rule; otherwise what it breaks is
        returned and the file stays what it was. `on_progress` is told the pages copied and how many there are.

        Raises:
            ConfigurationError: the store is on a Postgres server, or the file is there and not `is_forced`.
        """
        broken: tuple[Violation, ...] = ()
        with translated("back up", self.url), suppress(_Unsound), replacing(path, is_forced=is_forced) as draft:
            self._backend.copy(self._reader, draft, on_progress)
            with closing(Store._to_read(URL.create("sqlite+pysqlite", database=str(draft)))) as copied:
                broken = tuple(copied.violations(now))
            if broken:
                raise _Unsound
        return broken

    def prune(self, readings_before: datetime) -> int:
        """Remove raw readings that are older, and return how many; no total depends on them.

        Works in short transactions, so that others can write meanwhile. Postgres keeps up to a week more.
        """
        with translated("prune", self.url):
            return self._backend.prune_readings(self._writer, unix_seconds(readings_before))

    def ping(self) -> None:
        """Check that the store can be written: take the lock that a write takes, and write nothing."""
        with translated("write", self.url), self._writer.connect() as connection:
            self._backend.lock_writing(connection)
            connection.execute(store_state.update().values(generation=store_state.c.generation))
            connection.rollback()

    def close(self) -> None:
        """Close every connection; an open iteration keeps its own until it ends."""
        self._engine.dispose()

    @classmethod
    def _to_read(cls, url: URL) -> Store:
        store = cls(url, is_read_only=True)
        try:
            with translated("open", store.url):
                require_current(store._reader, where=store.url)
        except BaseException:
            store.close()
            raise
        return store

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with translated("read", self.url), self._reader.begin() as connection:
            yield connection

    @contextmanager
    def _writing(self, generation: int, at: datetime) -> Iterator[Connection]:
        """Take the write lock, and write only if nobody has since `generation` was loaded."""
        with translated("write", self.url), self._writer.begin() as connection:
            self._backend.lock_writing(connection)
            stored = connection.execute(select(store_state.c.generation)).scalar_one()
            if stored != generation:
                raise StoreChanged(
                    f"the store at {self.url} is at generation {stored}, not {generation}: another process wrote to it"
                )
            yield connection
            connection.execute(store_state.update().values(generation=generation + 1, written_at=unix_seconds(at)))
