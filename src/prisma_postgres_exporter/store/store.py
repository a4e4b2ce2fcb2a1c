"""The store as the rest of the program sees it."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import date, datetime
from pathlib import Path

from sqlalchemy import Connection, select
from sqlalchemy.engine import URL

from prisma_postgres_exporter.errors import StoreChanged, StoreDamaged, StoreError, StoreGone
from prisma_postgres_exporter.model import (
    DayUsage,
    Discovered,
    DiscoveryGap,
    Event,
    Happened,
    KnownDatabase,
    Lease,
    LedgerRows,
    LedgerState,
    LedgerUpdate,
    Moves,
    Revision,
    WorkspaceDay,
    WorkspaceState,
)
from prisma_postgres_exporter.store import history, identities, postgres
from prisma_postgres_exporter.store.auditing import audit
from prisma_postgres_exporter.store.backend import backend_of
from prisma_postgres_exporter.store.backup import replacing, require_elsewhere
from prisma_postgres_exporter.store.costs import StoredCosts, read_costs, write_costs
from prisma_postgres_exporter.store.discovering import holders, write_discovered
from prisma_postgres_exporter.store.failures import translated
from prisma_postgres_exporter.store.leasing import (
    Session,
    Shares,
    begin_session,
    end_session,
    read_shares,
    renew_session,
    require_lease,
    share_leases,
)
from prisma_postgres_exporter.store.loading import Newer, load_gaps, load_newer, load_states
from prisma_postgres_exporter.store.migrate import BEFORE_ROW_RULES, HEAD, migrate, require_current
from prisma_postgres_exporter.store.patience import Patience
from prisma_postgres_exporter.store.reconnecting import reconnecting
from prisma_postgres_exporter.store.recording import has_new_windows, write_update
from prisma_postgres_exporter.store.repairing import Repair, plan_repair, write_repair
from prisma_postgres_exporter.store.rows import unix_seconds
from prisma_postgres_exporter.store.summary import StoreState, StoreSummary, state_of, summarise
from prisma_postgres_exporter.store.tables import store_state, workspaces
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

    def __init__(self, url: URL, *, is_read_only: bool = False, is_lasting: bool = True) -> None:
        self.url = public_url(url)
        self._backend = backend_of(url)
        self._patience = Patience()
        self._is_read_only = is_read_only
        self.damage: StoreDamaged | None = None
        """What of it was found to be damaged: nothing is written from then on."""
        self._newest: dict[str, int] = {}
        """The newest generation of each workspace that a write of this process met: what is older was put over it."""
        with translated("open", self.url, is_read_only=is_read_only):
            self.is_doubtful = not is_read_only and self._backend.is_doubtful(url)
            """Whether it is to be examined: it was not closed, or put there, since it was open last."""
            self._engine = self._backend.create_engine(
                url, is_read_only=is_read_only, is_lasting=is_lasting, patience=self._patience
            )
        self._reader = self._engine.execution_options(**self._backend.READING)
        self._writer = self._engine.execution_options(
            **(self._backend.READING if is_read_only else self._backend.WRITING)
        )

    @classmethod
    def open(cls, url: str, *, is_lasting: bool = True) -> Store:
        """Open the store, make it if there is none, and bring its tables to this version's.

        `url` is `sqlite:///PATH`, or `postgresql://USER:PASSWORD@HOST/DATABASE` (`postgres://` too). One that is not
        `is_lasting` is made only to be thrown away: no write waits for its disk.

        Raises:
            ConfigurationError: `url` is not the URL of a store.
            StoreTooNew: a newer version made it.
            StoreGone: there was one, and its file is missing or empty.
            StoreUnavailable: it cannot be opened.
        """
        return cls._to_write(parse_url(url), HEAD, is_lasting=is_lasting)

    @classmethod
    def open_to_read(cls, url: str) -> Store:
        """Open a store that is there already, and never change it: beside a running service, say.

        `url` is as for `open`. Writing to it afterwards raises `StoreUnavailable`.

        Raises:
            ConfigurationError: `url` is not the URL of a store.
            StoreMissing: there is no store.
            StoreTooNew: a newer version made it.
            StoreOutdated: an older version made it and none has brought it up to date.
            StoreUnavailable: it cannot be opened, or not be read.
        """
        return cls._to_read(parse_url(url))

    @classmethod
    def open_to_repair(cls, url: str, *, is_applied: bool = False) -> Store:
        """Open a store for `repair` alone, also one that breaks rules which this version's tables would refuse.

        It has the tables of before these rules until it is repaired. Otherwise as `open` if `is_applied`, and as
        `open_to_read` if not.
        """
        parsed = parse_url(url)
        return cls._to_write(parsed, BEFORE_ROW_RULES) if is_applied else cls._to_read(parsed, BEFORE_ROW_RULES)

    @classmethod
    def require_makeable(cls, url: str) -> None:
        """Make sure that a store could be made where there is none, and make none.

        Raises:
            ConfigurationError: `url` is not the URL of a store.
            StoreUnavailable: it could not.
        """
        parsed = parse_url(url)
        with translated("make", public_url(parsed)):
            backend_of(parsed).require_makeable(parsed)

    @classmethod
    def require_writable(cls, url: str) -> None:
        """Make sure that the store that is there can be written, of whatever version it is; nothing is written.

        Raises:
            ConfigurationError: `url` is not the URL of a store.
            StoreUnavailable: it cannot.
        """
        with closing(cls(parse_url(url))) as store:
            store.ping()

    @classmethod
    def is_kept_by(cls, url: str, process: int) -> bool | None:
        """Whether a process of this machine is the store's one service, or was the last; `None` where several can be.

        Raises:
            ConfigurationError: `url` is not the URL of a store.
        """
        parsed = parse_url(url)
        return backend_of(parsed).is_kept_by(parsed, process)

    @reconnecting
    def load(self, now: datetime) -> LedgerState:
        """Return every workspace and followed database, and the deleted ones that have a row of this or last month."""
        with self._reading() as connection:
            return LedgerState(workspaces=load_states(connection, now))

    @reconnecting
    def load_workspaces(self, ids: Collection[str], now: datetime) -> Mapping[str, WorkspaceState]:
        """Return what `load` returns of these workspaces, by id; one that was never discovered is left out."""
        with self._reading() as connection:
            return load_states(connection, now, ids)

    @reconnecting
    def load_newer(self, held: Mapping[str, int], now: datetime) -> Mapping[str, Newer]:
        """Return what is newer than what is held, by workspace id: `held` are its generations, `{}` holds nothing."""
        with self._reading() as connection:
            return load_newer(connection, now, held)

    @reconnecting
    def record(
        self, update: LedgerUpdate, *, workspace_id: str, generation: int, at: datetime, lease: Lease | None = None
    ) -> int:
        """Write what readings of one workspace changed, and return its new generation.

        A `lease` is held until it is written: `None` is for commands that somebody runs beside the services.

        Raises:
            StoreChanged: the workspace is not at `generation` any more; nothing was written.
            LeaseLost: somebody else took the lease; nothing was written.
        """
        with self._writing() as connection:
            if has_new_windows(connection, update):
                self._backend.lock_keys(connection)
            if lease is not None:
                require_lease(connection, lease)
            self._claim(connection, {workspace_id: generation})
            write_update(connection, self._backend, update, generation=generation + 1)
            _count_write(connection, [workspace_id], at)
        return generation + 1

    @reconnecting
    def record_discovery(
        self, discovered: Discovered, *, generations: Mapping[str, int], lease: Lease | None = None
    ) -> None:
        """Write what a discovery found; `load_workspaces` gives the states that it makes.

        `generations` are those of every workspace that loses, gets or changes something, by id, as they were loaded;
        one that is not in it must be new. A database that moved keeps its key and history, one that came back is
        not deleted any more. Where it moved from counts a write too, if only the store knows that it was there.
        A `lease` is that of the workspace that was looked at: who holds the others sees that their generation grew.

        Raises:
            StoreChanged: a workspace is not at its generation any more; nothing was written.
            LeaseLost: somebody else took the lease; nothing was written.
            KeyError: a database's workspace was never discovered.
        """
        new = {row.id for row in discovered.workspaces} - generations.keys()
        with self._writing() as connection:
            if new or discovered.databases:
                self._backend.lock_keys(connection)
            if lease is not None:
                require_lease(connection, lease)
            left = holders(connection, discovered.databases) - generations.keys()
            self._claim(connection, {**generations, **dict.fromkeys(new)}, others=left)
            write_discovered(connection, self._backend, discovered)
            _count_write(connection, [*generations, *new, *left], discovered.at, is_whole=not discovered.is_unchanged)

    @property
    def is_shared(self) -> bool:
        """Whether several services can share it, each with the leases of its workspaces; else it is for one."""
        return self._backend is postgres

    @contextmanager
    def keep_others_out(self) -> Iterator[None]:
        """Keep other services from a store that cannot be shared, as long as the block lasts.

        Raises:
            StoreInUse: one is there already.
            StoreUnavailable: the file that says so cannot be locked.
        """
        with ExitStack() as kept:
            with translated("lock", f"{self.url}.lock"):
                kept.enter_context(self._backend.keep_others_out(self._engine.url))
            yield

    @reconnecting
    def shares(self) -> Shares:
        """Return which processes share the store, and what they collect; nothing of a store that is for one."""
        if not self.is_shared:
            return Shares()
        with self._reading() as connection:
            return read_shares(connection)

    @reconnecting
    def begin_session(self, session: Session) -> None:
        """Join the processes that share this store: until `SESSION_SECONDS` from now, and then as it is renewed."""
        with self._writing() as connection:
            begin_session(connection, session)

    @reconnecting
    def renew_session(self, session: Session) -> bool:
        """Let a session, and the leases that it holds, last for `SESSION_SECONDS` from now; `False`: it was over."""
        with self._writing() as connection:
            return renew_session(connection, session)

    @reconnecting
    def share_leases(self, session: Session, *, giving_back: Collection[str] = ()) -> Shares:
        """Give back leases, take what is this session's by right and free, and return what it holds then."""
        with self._writing() as connection:
            return share_leases(connection, session, giving_back=giving_back)

    @reconnecting
    def end_session(self, session: Session) -> None:
        """Give back every lease of a session, and end it."""
        with self._writing() as connection:
            end_session(connection, session)

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

    @reconnecting
    def discovery_gaps(self, since: datetime) -> Mapping[str, Sequence[DiscoveryGap]]:
        """Return when nobody looked for databases, of what ended after `since`, oldest first, by workspace id."""
        with self._reading() as connection:
            return load_gaps(connection, since)

    def databases(self) -> Iterator[KnownDatabase]:
        """Iterate over every database that was ever followed, deleted ones included, by key."""
        with self._reading() as connection:
            yield from identities.stream_databases(connection)

    @reconnecting
    def workspace_days(self, from_day: date) -> tuple[WorkspaceDay, ...]:
        """Return each workspace's days from `from_day` on, summed over its databases, by day and workspace key."""
        with self._reading() as connection:
            return tuple(history.workspace_days(connection, from_day))

    @reconnecting
    def open_day_moves(self, since: datetime) -> Moves:
        """Return when the open days of the databases that exist were found to have moved, since then at most."""
        with self._reading() as connection:
            return history.open_day_moves(connection, since)

    def events(
        self, from_at: datetime | None = None, to_at: datetime | None = None, *, subject_id: str | None = None
    ) -> Iterator[Event]:
        """Iterate over what discoveries noticed, oldest first, `from_at` included and `to_at` not.

        `subject_id` is the id of one workspace, project or database; `None` is all of them.
        """
        with self._reading() as connection:
            yield from history.stream_events(connection, from_at, to_at, subject_id)

    def newest(
        self,
        *,
        workspace_id: str | None = None,
        project_id: str | None = None,
        database_id: str | None = None,
        from_day: date,
        most: int,
    ) -> Happened:
        """Return the newest revisions of days from `from_day` on and the newest events of what is chosen."""
        with self._reading() as connection:
            return history.newest(
                connection,
                workspace_id=workspace_id,
                project_id=project_id,
                database_id=database_id,
                from_day=from_day,
                most=most,
            )

    @reconnecting
    def costs(self) -> StoredCosts | None:
        """Return the cost configuration that a service left here; `None`: none has yet."""
        with self._reading() as connection:
            return read_costs(connection)

    @reconnecting
    def keep_costs(self, document: str, at: datetime) -> None:
        """Leave the cost configuration in force here, in the place of what is there."""
        with self._writing() as connection:
            write_costs(connection, self._backend, document, at)

    def state(self) -> StoreState:
        """Return how often and when the store was written to."""
        with self._reading() as connection:
            return state_of(connection)

    def summary(self) -> StoreSummary:
        """Return what the store holds, in numbers; counting reads every table."""
        with self._reading() as connection:
            self._backend.wait_long(connection)
            return summarise(connection, self._backend)

    def violations(self, now: datetime) -> Iterator[Violation]:
        """Iterate over what breaks a rule of `invariants.INVARIANTS`, as it is found; a sound store yields nothing.

        Reads the whole store, all from one moment of it, while others write; `now` (UTC) tells the future.
        """
        with self._reading() as connection:
            self._backend.wait_long(connection)
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
            ConfigurationError: the store is on a Postgres server, or the file is there and not `is_forced`, or is one
                of the store's own.
        """
        broken: tuple[Violation, ...] = ()
        if not self.is_shared:
            require_elsewhere(path, Path(self._engine.url.database or ""))
        with translated("back up", self.url), suppress(_Unsound), replacing(path, is_forced=is_forced) as draft:
            self._backend.copy(self._reader, draft, on_progress)
            with closing(Store._to_read(URL.create("sqlite+pysqlite", database=str(draft)))) as copied:
                broken = tuple(copied.violations(now))
            if broken:
                raise _Unsound
        return broken

    @reconnecting
    def prune(self, readings_before: datetime) -> int:
        """Remove raw readings that are older, and return how many; no total depends on them.

        Works in short transactions, so that others can write meanwhile. Postgres keeps up to a week more.
        """
        with self._changing("prune"):
            return self._backend.prune_readings(self._writer, unix_seconds(readings_before))

    def repair(self, now: datetime, *, is_applied: bool = False) -> Repair:
        """Return what has to change so that no rule is broken, and change it in one transaction if `is_applied`.

        `now` (UTC) tells the future: what was written later is set right, so it has to be the time. A store that
        is open to read only can tell what would change.
        """
        if not is_applied:
            with self._reading() as connection:
                self._backend.wait_long(connection)
                return plan_repair(connection, self._backend, now)
        with self._changing("write"):
            with self._writer.begin() as connection:
                self._backend.wait_long(connection)
                self._backend.lock_keys(connection)
                self._backend.lock_workspaces(connection, connection.execute(select(workspaces.c.id)).scalars().all())
                done = write_repair(connection, self._backend, now)
            if not done.remaining:
                migrate(self._reader, self._writer, self._backend, where=self.url)
            return done

    @reconnecting
    def ping(self) -> None:
        """Check that the store can be written: take the lock that a write takes, and write nothing."""
        with self._changing("write"), self._writer.connect() as connection:
            self._backend.lock_keys(connection)
            connection.execute(store_state.update().values(made_by=store_state.c.made_by))
            connection.rollback()

    def examine(self, *, seconds: float = math.inf) -> bool:
        """Look whether the files are whole; `False`: given up after so many seconds, or as this process is to end.

        Raises:
            StoreDamaged: they are not.
        """
        with self._translated("read"):
            return self._backend.examine(self._reader, self._patience, seconds)

    def note(self, error: StoreError) -> None:
        """Write no more if that is damage which somebody else in this process met."""
        if isinstance(error, StoreDamaged):
            self.damage = self.damage or error

    def hurry(self) -> None:
        """Give up soon what a server does not answer, as this process is to end."""
        self._patience.hurry()

    def close(self) -> None:
        """Close every connection; an open iteration keeps its own until it ends."""
        self._engine.dispose()

    @classmethod
    def _to_write(cls, url: URL, revision: str, *, is_lasting: bool = True) -> Store:
        store = cls(url, is_lasting=is_lasting)
        try:
            with translated("open", store.url):
                store._backend.adopt(store._engine.url)
                migrate(store._reader, store._writer, store._backend, where=store.url, to=revision)
                store._backend.remember(store._engine.url)
        except BaseException:
            store.close()
            raise
        return store

    @classmethod
    def _to_read(cls, url: URL, oldest: str = HEAD) -> Store:
        store = cls(url, is_read_only=True)
        try:
            with translated("open", store.url, is_read_only=True):
                require_current(store._reader, where=store.url, oldest=oldest)
        except BaseException:
            store.close()
            raise
        return store

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with self._translated("read"), self._reader.begin() as connection:
            yield connection
            self._backend.confirm(connection)

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self._changing("write"), self._writer.begin() as connection:
            self._backend.limit_stalling(connection)
            yield connection

    @contextmanager
    def _changing(self, doing: str) -> Iterator[None]:
        if self.damage is not None:
            raise StoreDamaged(*self.damage.args)
        with self._translated(doing):
            yield

    @contextmanager
    def _translated(self, doing: str) -> Iterator[None]:
        try:
            with translated(doing, self.url, is_read_only=self._is_read_only):
                yield
        except StoreDamaged as error:
            self.note(error)
            raise

    def _claim(
        self, connection: Connection, generations: Mapping[str, int | None], *, others: Iterable[str] = ()
    ) -> None:
        """Take the write locks of workspaces, and go on only if nobody wrote since these generations were loaded.

        The locks of `others` are taken too, whatever their generation.
        """
        self._backend.lock_workspaces(connection, {*generations, *others})
        query = select(workspaces.c.id, workspaces.c.generation).where(workspaces.c.id.in_(list(generations)))
        stored = dict(connection.execute(query).all())
        for id_, generation in generations.items():
            now_at = stored.get(id_)
            newest = max(generation or 0, self._newest.get(id_, 0))
            if not self.is_shared and now_at is not None and now_at < newest:
                # Nobody undoes a write. (A server may fail over to one that had not got all of them.)
                raise StoreGone(
                    f"the store at {self.url} is older than what this process wrote to it (workspace {id_} is at"
                    f" generation {now_at}, and was at {newest}): a copy was put over it while it was in use."
                    " Nothing is written: stop, put the newest backup in its place, and start"
                )
            if now_at != generation:
                raise StoreChanged(
                    f"workspace {id_} in the store at {self.url} is at generation {now_at}, not {generation}:"
                    " another process wrote to it"
                )
            self._newest[id_] = newest


def _count_write(connection: Connection, workspace_ids: Iterable[str], at: datetime, *, is_whole: bool = False) -> None:
    generation = workspaces.c.generation + 1
    counted = {"generation": generation, "written_at": unix_seconds(at)}
    connection.execute(
        workspaces.update()
        .where(workspaces.c.id.in_(list(workspace_ids)))
        .values(counted | ({"whole_generation": generation} if is_whole else {}))
    )
