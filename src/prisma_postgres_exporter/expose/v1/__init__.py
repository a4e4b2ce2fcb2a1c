"""The JSON API at `/api/v1`: read-only, for Grafana's Infinity data source and for scripts."""

from prisma_postgres_exporter.expose.v1.app import json_api

__all__ = ["json_api"]
