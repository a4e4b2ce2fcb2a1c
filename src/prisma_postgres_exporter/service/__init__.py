"""The composition root: everything put together, its schedule, its start and its end."""

from prisma_postgres_exporter.service.clients import Clients
from prisma_postgres_exporter.service.service import Service, collect_once

__all__ = ["Clients", "Service", "collect_once"]
