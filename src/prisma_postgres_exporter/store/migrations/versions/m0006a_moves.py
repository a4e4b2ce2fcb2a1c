"""Keep until when a database that moved was seen in the workspace before."""

import sqlalchemy as sa
from alembic import op

revision = "0006a"
down_revision = "0006"


def upgrade() -> None:
    """Add the instant, which nobody noted before: of older moves the day on which they were noticed decides."""
    op.add_column("events", sa.Column("last_there_at", sa.BigInteger))
    moved = sa.text("kind = 'moved'")
    op.create_index("events_moved", "events", ["subject_id"], sqlite_where=moved, postgresql_where=moved)
