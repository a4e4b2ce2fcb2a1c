"""One picture of what is stored, as it is shown: pure, from the book and the instant it is taken at."""

from prisma_postgres_exporter.snapshot.taking import Snapshot, take_snapshot
from prisma_postgres_exporter.snapshot.views import DatabaseView, WorkspaceView, view_database

__all__ = ["DatabaseView", "Snapshot", "WorkspaceView", "take_snapshot", "view_database"]
