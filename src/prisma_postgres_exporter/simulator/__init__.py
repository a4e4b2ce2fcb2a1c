"""The Management API in a box: a deterministic world, a vendor that behaves like one, and faults on request."""

from prisma_postgres_exporter.simulator.app import Simulator
from prisma_postgres_exporter.simulator.clocks import ManualClock, system_clock
from prisma_postgres_exporter.simulator.faults import Fault, FaultKind, Faults
from prisma_postgres_exporter.simulator.server import serve_simulator
from prisma_postgres_exporter.simulator.vendor import VendorBehaviour
from prisma_postgres_exporter.simulator.world import SimDatabase, World, WorldShape

__all__ = [
    "Fault",
    "FaultKind",
    "Faults",
    "ManualClock",
    "SimDatabase",
    "Simulator",
    "VendorBehaviour",
    "World",
    "WorldShape",
    "serve_simulator",
    "system_clock",
]
