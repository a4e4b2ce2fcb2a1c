"""Bring what 0006a adds to a store that had the row rules before it."""

import sqlalchemy as sa
from alembic import op

from prisma_postgres_exporter.store.migrations.versions import m0006a_moves

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add it where it is missing."""
    if all(column["name"] != "last_there_at" for column in sa.inspect(op.get_bind()).get_columns("events")):
        m0006a_moves.upgrade()
