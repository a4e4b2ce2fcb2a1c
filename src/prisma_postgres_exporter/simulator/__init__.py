"""The Management API in a box: a world that is the truth, a vendor that tells it late, faults, and a server."""

from prisma_postgres_exporter.simulator.admin import SeenCall
from prisma_postgres_exporter.simulator.app import Simulator, benchmark_simulator, serve_simulator
from prisma_postgres_exporter.simulator.calls import ENDPOINTS
from prisma_postgres_exporter.simulator.clock import Clock, ManualClock, from_ms, system_clock
from prisma_postgres_exporter.simulator.demo import demo_simulator, history_begins_at
from prisma_postgres_exporter.simulator.direct import DirectApi
from prisma_postgres_exporter.simulator.faults import Fault, FaultKind, Faults
from prisma_postgres_exporter.simulator.founding import WorldShape
from prisma_postgres_exporter.simulator.vendor import (
    REALISTIC,
    PeriodRefused,
    StorageMeaning,
    Vendor,
    VendorBehaviour,
    VendorUsage,
)
from prisma_postgres_exporter.simulator.world import Stay, World

__all__ = [
    "ENDPOINTS",
    "REALISTIC",
    "Clock",
    "DirectApi",
    "Fault",
    "FaultKind",
    "Faults",
    "ManualClock",
    "PeriodRefused",
    "SeenCall",
    "Simulator",
    "Stay",
    "StorageMeaning",
    "Vendor",
    "VendorBehaviour",
    "VendorUsage",
    "World",
    "WorldShape",
    "benchmark_simulator",
    "demo_simulator",
    "from_ms",
    "history_begins_at",
    "serve_simulator",
    "system_clock",
]
