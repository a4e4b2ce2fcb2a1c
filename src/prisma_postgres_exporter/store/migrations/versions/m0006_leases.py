"""Let several processes share the workspaces of one store, and see what the others wrote."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add sessions and leases, empty, and note of what is there that it was written before any generation."""
    op.add_column("workspaces", sa.Column("whole_generation", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("positions", sa.Column("generation", sa.BigInteger, nullable=False, server_default="0"))
    op.create_table(
        "sessions",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("claims", sa.Text, nullable=False),
        sa.Column("began_at_ms", sa.BigInteger, nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "leases",
        sa.Column("workspace_id", sa.Text, primary_key=True),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("session_id", sa.Text),
    )
