"""One round, in order: discover, plan, poll, post to the ledger, store, take the picture, show it."""

from prisma_postgres_exporter.cycle.collector import CYCLE_SPAN, Collector, CycleReport
from prisma_postgres_exporter.cycle.readers import CredentialState

__all__ = ["CYCLE_SPAN", "Collector", "CredentialState", "CycleReport"]
