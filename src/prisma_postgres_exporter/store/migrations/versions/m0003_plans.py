"""Remember since when a workspace is on its plan."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the plans; those of today count since their workspace was first seen."""
    op.create_table(
        "plans",
        sa.Column("workspace_key", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("plan", sa.Text),
        sqlite_with_rowid=False,
    )
    op.execute(
        "INSERT INTO plans (workspace_key, at, plan) "
        "SELECT key, first_seen_at, plan FROM workspaces WHERE plan IS NOT NULL"
    )
