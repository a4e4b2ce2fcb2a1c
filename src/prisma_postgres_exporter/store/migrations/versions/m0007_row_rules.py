"""Have the schema refuse rows that break a rule."""

from collections.abc import Iterator

import sqlalchemy as sa
from alembic import context, op

from prisma_postgres_exporter.errors import StoreUnavailable

revision = "0007"
down_revision = "0006a"

NAMED = 3
"""So many rows that break a rule are named; `store repair` shows all of them."""

_CHECKS = (
    (
        "cost_configuration",
        "costs_are_a_document",
        '"key" = 1 AND document LIKE \'{%"version"%}\'',
    ),
    (
        "events",
        "event_of_a_kind",
        (
            "subject IN ('workspace', 'project', 'database') AND kind IN ('created', 'found', 'renamed', "
            "'moved', 'deleted', 'returned')"
        ),
    ),
    (
        "readings",
        "reading_not_negative",
        "(operations IS NULL OR operations >= 0) AND (storage_bytes IS NULL OR storage_bytes >= 0)",
    ),
    (
        "workspaces",
        "generation_counts_writes",
        "generation >= 0",
    ),
    (
        "days",
        "closed_when_unchanged",
        "unchanged_seconds >= 0 AND read_at - unchanged_seconds >= (day + 1) * CAST(86400 AS BIGINT)",
    ),
    (
        "days",
        "day_of_24_hours",
        "storage_seconds BETWEEN 0 AND 86400",
    ),
    (
        "days",
        "day_read_after_it_began",
        "day >= 0 AND read_at >= day * CAST(86400 AS BIGINT)",
    ),
    (
        "days",
        "highest_not_below_the_newest",
        "operations_fallen >= 0",
    ),
    (
        "days",
        "operations_not_negative",
        "operations >= 0",
    ),
    (
        "days",
        "settled_after_unchanged",
        "settled_seconds IS NULL OR unchanged_seconds IS NOT NULL AND settled_seconds BETWEEN 0 AND unchanged_seconds",
    ),
    (
        "days",
        "storage_of_a_day_not_negative",
        "storage_bytes >= 0 AND storage_byte_seconds >= 0 AND (storage_seconds != 0 OR storage_byte_seconds = 0)",
    ),
    (
        "months",
        "month_read_whole",
        (
            "(operations IS NULL) = (read_at IS NULL) AND (operations IS NULL) = (period_end_at IS NULL) "
            "AND (operations IS NOT NULL OR difference_operations IS NULL) AND (operations IS NULL OR "
            "operations >= 0)"
        ),
    ),
    (
        "positions",
        "checked_only_what_is_known",
        "checked_until <= known_until",
    ),
    (
        "positions",
        "counters_not_negative",
        "operations_total >= 0 AND revisions_up >= 0 AND revisions_down >= 0",
    ),
    (
        "positions",
        "failure_with_its_time",
        "(failing_since_at IS NULL) = (failure_reason IS NULL)",
    ),
    (
        "positions",
        "storage_level_with_its_time",
        "(storage_bytes IS NULL) = (storage_at IS NULL) AND (storage_bytes IS NULL OR storage_bytes >= 0)",
    ),
    (
        "rolling",
        "window_over_some_time",
        "operations >= 0 AND period_end_at > period_start_at",
    ),
    (
        "revisions",
        "revision_is_a_change",
        (
            "operations_before >= 0 AND operations_after >= 0 AND operations_before != operations_after AND "
            "revised_at >= day * CAST(86400 AS BIGINT)"
        ),
    ),
)
_REFERENCES = (
    ("databases", "database_in_a_workspace", "workspace_key", "workspaces", "key"),
    ("plans", "plan_of_a_workspace", "workspace_key", "workspaces", "key"),
    ("days", "day_in_a_workspace", "workspace_key", "workspaces", "key"),
    ("days", "day_of_a_database", "database_key", "databases", "key"),
    ("months", "month_in_a_workspace", "workspace_key", "workspaces", "key"),
    ("months", "month_of_a_database", "database_key", "databases", "key"),
    ("positions", "state_of_a_database", "database_key", "databases", "key"),
    ("rolling", "window_of_a_database", "database_key", "databases", "key"),
    ("rolling", "window_with_a_name", "window_key", "windows", "key"),
    ("revisions", "revision_of_a_day", "day, database_key", "days", "day, database_key"),
)


def upgrade() -> None:
    """Look for rows that would be refused, and where there are none add the rules: no row is written."""
    connection = op.get_bind()
    if broken := list(_broken_rows(connection)):
        raise StoreUnavailable(
            f"cannot bring the store at {context.config.attributes['where']} up to date, as rows in it break rules that"
            f" it keeps from now on: {'; '.join(broken)}. Nothing was changed. `store repair` shows how they can be set"
            " right, and with --apply does it"
        )
    rules: dict[str, list[str]] = {}
    for table, name, condition in _CHECKS:
        rules.setdefault(table, []).append(f"CONSTRAINT {name} CHECK ({condition})")
    for table, name, columns, target, key in _REFERENCES:
        rules.setdefault(table, []).append(
            f"CONSTRAINT {name} FOREIGN KEY({columns}) REFERENCES {target} ({key}) DEFERRABLE INITIALLY IMMEDIATE"
        )
    add = _add_to_file if connection.dialect.name == "sqlite" else _add_to_server
    add(connection, rules)


def _broken_rows(connection: sa.Connection) -> Iterator[str]:
    for table, rule, condition in _CHECKS:
        yield from _named(connection, table, rule, f"NOT ({condition})")
    for table, rule, columns, target, key in _REFERENCES:
        pairs = zip(columns.split(", "), key.split(", "), strict=True)
        same = " AND ".join(f"parent.{theirs} = {table}.{own}" for own, theirs in pairs)
        # All names are of our own tables.
        missing = f"NOT EXISTS (SELECT 1 FROM {target} AS parent WHERE {same})"  # noqa: S608
        yield from _named(connection, table, rule, missing)


def _named(connection: sa.Connection, table: str, rule: str, is_broken: str) -> Iterator[str]:
    columns = sa.inspect(connection).get_pk_constraint(table)["constrained_columns"]
    query = f"SELECT {', '.join(columns)} FROM {table} WHERE {is_broken} LIMIT {NAMED}"  # noqa: S608
    for row in connection.execute(sa.text(query)):
        named = ", ".join(f"{column} {value}" for column, value in zip(columns, row, strict=True))
        yield f"{table}, {named}: {rule.replace('_', '-')}"


def _add_to_server(connection: sa.Connection, rules: dict[str, list[str]]) -> None:
    """Add all rules of a table at once: it is read once, and locked until the migration is done."""
    connection.execute(sa.text("ALTER TABLE databases DROP CONSTRAINT IF EXISTS databases_workspace_key_fkey"))
    for table, added in rules.items():
        connection.execute(sa.text(f"ALTER TABLE {table} {', '.join(f'ADD {rule}' for rule in added)}"))


def _add_to_file(connection: sa.Connection, rules: dict[str, list[str]]) -> None:
    """Add the rules to the text of the tables and copy no row: years of them would take minutes, and twice the disk.

    It is SQLite's own procedure for changes that touch no row (https://www.sqlite.org/lang_altertable.html, 7).
    """
    [version] = connection.exec_driver_sql("PRAGMA schema_version").scalars()
    connection.exec_driver_sql("PRAGMA writable_schema = ON")
    tables = sa.table("sqlite_master", sa.column("type"), sa.column("name"), sa.column("sql"))
    for table, added in rules.items():
        own = sa.and_(tables.c.type == "table", tables.c.name == table)
        text = connection.execute(sa.select(tables.c.sql).where(own)).scalar_one()
        # The rule that was there without a name.
        text = text.replace(', \n\tFOREIGN KEY(workspace_key) REFERENCES workspaces ("key")', "")
        definition, after = text.rsplit(")", 1)
        connection.execute(tables.update().where(own).values(sql=f"{definition}, {', '.join(added)}){after}"))
    connection.exec_driver_sql(f"PRAGMA schema_version = {version + 1}")
    # Reads the text again: if it could not be, all of this is undone.
    connection.exec_driver_sql("PRAGMA writable_schema = RESET")
    for table in rules:
        connection.exec_driver_sql(f"SELECT 1 FROM {table} LIMIT 1")  # noqa: S608
