"""The store: what is kept, in SQLite or Postgres; the only SQL."""

from prisma_postgres_exporter.store.costs import StoredCosts
from prisma_postgres_exporter.store.discovering import first_days
from prisma_postgres_exporter.store.leasing import SESSION_SECONDS, Session, Shares
from prisma_postgres_exporter.store.repairing import Change, Repair
from prisma_postgres_exporter.store.sharing import Claims
from prisma_postgres_exporter.store.store import Store
from prisma_postgres_exporter.store.summary import StoreSummary
from prisma_postgres_exporter.store.violations import Violation

__all__ = [
    "SESSION_SECONDS",
    "Change",
    "Claims",
    "Repair",
    "Session",
    "Shares",
    "Store",
    "StoreSummary",
    "StoredCosts",
    "Violation",
    "first_days",
]
