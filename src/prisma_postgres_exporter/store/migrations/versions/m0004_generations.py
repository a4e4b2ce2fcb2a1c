"""Count the writes of each workspace instead of those of the whole store."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Begin each workspace's count with the store's, and drop what the store as a whole does not count any more."""
    op.add_column("workspaces", sa.Column("generation", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("workspaces", sa.Column("written_at", sa.BigInteger, nullable=False, server_default="0"))
    op.execute(
        "UPDATE workspaces SET generation = (SELECT generation FROM store_state),"
        " written_at = (SELECT COALESCE(written_at, 0) FROM store_state)"
    )
    op.drop_column("store_state", "generation")
    op.drop_column("store_state", "written_at")
