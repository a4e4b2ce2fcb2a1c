"""The store: what is kept, in SQLite or Postgres; the only SQL."""

from prisma_postgres_exporter.store.store import Store

__all__ = ["Store"]
