"""Bring a store's tables to this version's, once, whoever opens it first."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Column, Connection, Engine, MetaData, Table, Text, inspect, select

from prisma_postgres_exporter import __version__
from prisma_postgres_exporter.errors import StoreMissing, StoreOutdated, StoreTooNew
from prisma_postgres_exporter.store.backend import Backend
from prisma_postgres_exporter.store.tables import store_state

HEAD = "0008"
"""The newest migration. Written down, so that a store that has it opens without loading Alembic."""

BEFORE_ROW_RULES = "0006a"
"""The newest migration that takes rows which break a rule: a store with such rows stays there until it is repaired."""

VERSION_TABLE = "store_version"
_version = Table(VERSION_TABLE, MetaData(), Column("version_num", Text))


def migrate(reader: Engine, writer: Engine, backend: Backend, *, where: str, to: str = HEAD) -> None:
    """Apply the missing migrations until `to` in one transaction, those before the row rules in one of their own.

    Raises:
        StoreTooNew: the store has a migration that this version does not know.
        StoreUnavailable: rows in it break a rule.
    """
    with reader.begin() as connection:
        revision = _revision(connection)
    if revision is not None and to <= revision <= HEAD:
        return
    for step in (BEFORE_ROW_RULES, HEAD):
        if step <= to:
            with writer.begin() as connection:
                backend.wait_long(connection)
                backend.lock_schema(connection)
                _upgrade(connection, where, step)
    # Connections know the tables as they were.
    writer.dispose()


def require_current(reader: Engine, *, where: str, oldest: str = HEAD) -> None:
    """Make sure that the tables are this version's, or not older than `oldest`, and change nothing.

    Raises:
        StoreMissing: there are no tables at all.
        StoreTooNew: the store has a migration that this version does not know.
        StoreOutdated: a migration is missing.
    """
    with reader.begin() as connection:
        revision = _revision(connection)
        if revision is None:
            raise StoreMissing(f"there is no store at {where} yet: `serve` and `collect` make it")
        if revision > HEAD:
            raise _too_new(connection, where, revision)
        if revision < oldest:
            raise StoreOutdated(
                f"{_tables(connection, where, revision)} and this version, {__version__}, reads schema {HEAD}:"
                " run `serve` or `collect` of this version once, to bring its tables up to date; where rows of it break"
                " a rule, `store repair` comes before"
            )


def _upgrade(connection: Connection, where: str, to: str) -> None:
    """Another process may have upgraded while this one waited for the lock: then nothing is left to do."""
    # 150 ms that no start needs but the first of a version.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    config.attributes["where"] = where

    revision = _revision(connection)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if revision is not None and revision not in known:
        raise _too_new(connection, where, revision)
    if revision is not None and revision >= to:
        return
    command.upgrade(config, to)
    connection.execute(store_state.update().values(made_by=__version__))


def _too_new(connection: Connection, where: str, revision: str) -> StoreTooNew:
    return StoreTooNew(
        f"{_tables(connection, where, revision)} and this version, {__version__}, knows none above {HEAD}:"
        " run the build that made it or a newer one, or give another store"
    )


def _tables(connection: Connection, where: str, revision: str) -> str:
    # Two builds of one version may differ in it.
    return f"the store at {where} has schema {revision}, made by version {_made_by(connection)},"


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(select(_version.c.version_num)).scalar_one_or_none()


def _made_by(connection: Connection) -> str:
    return str(connection.execute(select(store_state.c.made_by)).scalar_one())
