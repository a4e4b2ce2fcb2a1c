"""Find out what exists: credentials to workspaces, projects and databases, and what changed since."""

from prisma_postgres_exporter.discover.changes import find_changes
from prisma_postgres_exporter.discover.filters import is_followed, why_left_out
from prisma_postgres_exporter.discover.inventory import (
    CredentialReport,
    Discovery,
    Inventory,
    discover,
    read_subscriptions,
)

__all__ = [
    "CredentialReport",
    "Discovery",
    "Inventory",
    "discover",
    "find_changes",
    "is_followed",
    "read_subscriptions",
    "why_left_out",
]
