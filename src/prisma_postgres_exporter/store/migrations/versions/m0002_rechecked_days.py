"""Remember which settled days were read once more."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add how far the settled days were read once more; what is there counts as done."""
    op.add_column("positions", sa.Column("checked_until", sa.Integer, nullable=False, server_default="0"))
    op.add_column("positions", sa.Column("recheck_at", sa.BigInteger))
    op.add_column("months", sa.Column("rechecked_difference_operations", sa.BigInteger))
    op.execute("UPDATE positions SET checked_until = known_until")
