"""The composition root: everything put together, its schedule, its start and its end."""

from typing import TYPE_CHECKING

from prisma_postgres_exporter.lazily import exported

if TYPE_CHECKING:
    from prisma_postgres_exporter.service.backfilling import Backfilling, open_backfill
    from prisma_postgres_exporter.service.costs import costs_in_force
    from prisma_postgres_exporter.service.doctor import examine
    from prisma_postgres_exporter.service.estimating import Estimate, estimate
    from prisma_postgres_exporter.service.ledger_reader import LedgerReader, read_month
    from prisma_postgres_exporter.service.limits import limits_of
    from prisma_postgres_exporter.service.listeners import require_listenable
    from prisma_postgres_exporter.service.looking import Found, look, stored_changes_per_day
    from prisma_postgres_exporter.service.once import Collected, collect_once
    from prisma_postgres_exporter.service.opening import Opened, api_maker, opened
    from prisma_postgres_exporter.service.past import live_through_the_past
    from prisma_postgres_exporter.service.reading import open_to_read
    from prisma_postgres_exporter.service.service import Service

__all__ = [
    "Backfilling",
    "Collected",
    "Estimate",
    "Found",
    "LedgerReader",
    "Opened",
    "Service",
    "api_maker",
    "collect_once",
    "costs_in_force",
    "estimate",
    "examine",
    "limits_of",
    "live_through_the_past",
    "look",
    "open_backfill",
    "open_to_read",
    "opened",
    "read_month",
    "require_listenable",
    "stored_changes_per_day",
]

__getattr__ = exported(
    __name__,
    {
        "Backfilling": "backfilling",
        "Collected": "once",
        "Estimate": "estimating",
        "Found": "looking",
        "LedgerReader": "ledger_reader",
        "Opened": "opening",
        "Service": "service",
        "api_maker": "opening",
        "collect_once": "once",
        "costs_in_force": "costs",
        "estimate": "estimating",
        "examine": "doctor",
        "limits_of": "limits",
        "live_through_the_past": "past",
        "look": "looking",
        "stored_changes_per_day": "looking",
        "open_backfill": "backfilling",
        "open_to_read": "reading",
        "opened": "opening",
        "read_month": "ledger_reader",
        "require_listenable": "listeners",
    },
)
