"""Make the first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the first tables."""
    op.create_table(
        "store_state",
        sa.Column("key", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("generation", sa.BigInteger, nullable=False),
        sa.Column("made_by", sa.Text, nullable=False),
        sa.Column("written_at", sa.BigInteger),
    )
    op.execute("INSERT INTO store_state (key, generation, made_by) VALUES (1, 0, '')")
    _create_subjects()
    _create_ledger()
    _create_records()


def _create_subjects() -> None:
    op.create_table(
        "workspaces",
        sa.Column("key", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("plan", sa.Text),
        sa.Column("usage_blocked", sa.Boolean),
        sa.Column("first_seen_at", sa.BigInteger, nullable=False),
        sa.Column("gone_at", sa.BigInteger),
    )
    op.create_table(
        "databases",
        sa.Column("key", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("workspace_key", sa.Integer, sa.ForeignKey("workspaces.key"), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("project_name", sa.Text, nullable=False),
        sa.Column("region", sa.Text),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("is_default", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("first_seen_at", sa.BigInteger, nullable=False),
        sa.Column("counted_from", sa.Integer, nullable=False),
        sa.Column("deleted_at", sa.BigInteger),
    )
    op.create_table(
        "positions",
        sa.Column("database_key", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("known_until", sa.Integer, nullable=False),
        sa.Column("operations_total", sa.BigInteger, nullable=False),
        sa.Column("revisions_up", sa.BigInteger, nullable=False),
        sa.Column("revisions_down", sa.BigInteger, nullable=False),
        sa.Column("storage_bytes", sa.BigInteger),
        sa.Column("storage_at", sa.BigInteger),
        sa.Column("usage_at", sa.BigInteger),
        sa.Column("last_success_at", sa.BigInteger),
        sa.Column("failing_since_at", sa.BigInteger),
        sa.Column("failure_reason", sa.Text),
    )
    op.create_table(
        "windows",
        sa.Column("key", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("name", sa.Text, nullable=False, unique=True),
    )


def _create_ledger() -> None:
    op.create_table(
        "days",
        sa.Column("day", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("database_key", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("workspace_key", sa.Integer, nullable=False),
        sa.Column("operations", sa.BigInteger, nullable=False),
        sa.Column("operations_fallen", sa.BigInteger, nullable=False),
        sa.Column("storage_bytes", sa.BigInteger, nullable=False),
        sa.Column("storage_byte_seconds", sa.BigInteger, nullable=False),
        sa.Column("storage_seconds", sa.Integer, nullable=False),
        sa.Column("read_at", sa.BigInteger, nullable=False),
        sa.Column("unchanged_seconds", sa.BigInteger),
        sa.Column("settled_seconds", sa.BigInteger),
        sa.Column("is_counted", sa.Boolean, nullable=False),
        sqlite_with_rowid=False,
    )
    unsettled = sa.text("settled_seconds IS NULL")
    op.create_index(
        "days_unsettled", "days", ["day", "database_key"], sqlite_where=unsettled, postgresql_where=unsettled
    )
    op.create_table(
        "months",
        sa.Column("month", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("database_key", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("workspace_key", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("days", sa.SmallInteger, nullable=False),
        sa.Column("days_operations", sa.BigInteger, nullable=False),
        sa.Column("storage_byte_seconds", sa.Numeric(24, 0).with_variant(sa.Text, "sqlite"), nullable=False),
        sa.Column("storage_seconds", sa.Integer, nullable=False),
        sa.Column("operations", sa.BigInteger),
        sa.Column("difference_operations", sa.BigInteger),
        sa.Column("period_end_at", sa.BigInteger),
        sa.Column("read_at", sa.BigInteger),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "rolling",
        sa.Column("database_key", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("window_key", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("operations", sa.BigInteger, nullable=False),
        sa.Column("period_start_at", sa.BigInteger, nullable=False),
        sa.Column("period_end_at", sa.BigInteger, nullable=False),
        sa.Column("read_at", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )


def _create_records() -> None:
    op.create_table(
        "readings",
        sa.Column("read_at", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("database_key", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("window_key", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("period_start_at", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("period_end_at", sa.BigInteger, nullable=False),
        sa.Column("operations", sa.BigInteger),
        sa.Column("storage_bytes", sa.BigInteger),
        sqlite_with_rowid=False,
        postgresql_partition_by="RANGE (read_at)",
    )
    op.create_table(
        "revisions",
        sa.Column("day", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("database_key", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("revised_at", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("operations_before", sa.BigInteger, nullable=False),
        sa.Column("operations_after", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "events",
        sa.Column("at", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("subject", sa.Text, primary_key=True),
        sa.Column("subject_id", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("workspace_id", sa.Text, nullable=False),
        sa.Column("before", sa.Text),
        sa.Column("after", sa.Text),
        sqlite_with_rowid=False,
    )
