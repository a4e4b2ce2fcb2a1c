"""The rounds of every workspace: what exists, what to read, what it says, and storing it."""

from prisma_postgres_exporter.rounds.collector import Collector
from prisma_postgres_exporter.rounds.filters import is_followed, why_left_out
from prisma_postgres_exporter.rounds.interpret import CLOCK_SKEW, LARGEST_SKEW, interpret
from prisma_postgres_exporter.rounds.inventory import Inventory, read_inventory
from prisma_postgres_exporter.rounds.leases import Leases, Unshared
from prisma_postgres_exporter.rounds.readers import CredentialState, Reader, Readers
from prisma_postgres_exporter.rounds.turn import RoundReport, Turn
from prisma_postgres_exporter.rounds.vendor import MakeApi, VendorApi

__all__ = [
    "CLOCK_SKEW",
    "LARGEST_SKEW",
    "Collector",
    "CredentialState",
    "Inventory",
    "Leases",
    "MakeApi",
    "Reader",
    "Readers",
    "RoundReport",
    "Turn",
    "Unshared",
    "VendorApi",
    "interpret",
    "is_followed",
    "read_inventory",
    "why_left_out",
]
