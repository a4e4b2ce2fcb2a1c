"""Showing the snapshot: metrics as bytes rendered before, health checks, a status page."""

from typing import TYPE_CHECKING

from prisma_postgres_exporter.lazily import exported

if TYPE_CHECKING:
    from prisma_postgres_exporter.expose.access import Access
    from prisma_postgres_exporter.expose.cap import Room, SeriesCap, room
    from prisma_postgres_exporter.expose.catalogue import Description, describe
    from prisma_postgres_exporter.expose.health import ExporterHealth
    from prisma_postgres_exporter.expose.history import write_history
    from prisma_postgres_exporter.expose.ledger import Ledger
    from prisma_postgres_exporter.expose.render import Exposition
    from prisma_postgres_exporter.expose.report import report_page
    from prisma_postgres_exporter.expose.scrape import Scrape, take_scrape
    from prisma_postgres_exporter.expose.selection import Format
    from prisma_postgres_exporter.expose.status import CredentialStatus, PushStatus, Reload, RoundStatus, ServiceStatus
    from prisma_postgres_exporter.expose.web import web_app

__all__ = [
    "Access",
    "CredentialStatus",
    "Description",
    "ExporterHealth",
    "Exposition",
    "Format",
    "Ledger",
    "PushStatus",
    "Reload",
    "Room",
    "RoundStatus",
    "Scrape",
    "SeriesCap",
    "ServiceStatus",
    "describe",
    "report_page",
    "room",
    "take_scrape",
    "web_app",
    "write_history",
]

__getattr__ = exported(
    __name__,
    {
        "Access": "access",
        "CredentialStatus": "status",
        "Description": "catalogue",
        "ExporterHealth": "health",
        "Exposition": "render",
        "Format": "selection",
        "Ledger": "v1",
        "PushStatus": "status",
        "Room": "cap",
        "RoundStatus": "status",
        "Scrape": "scrape",
        "SeriesCap": "cap",
        "Reload": "status",
        "ServiceStatus": "status",
        "describe": "catalogue",
        "report_page": "report",
        "take_scrape": "scrape",
        "room": "cap",
        "web_app": "web",
        "write_history": "history",
    },
)
