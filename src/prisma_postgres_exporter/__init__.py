"""Usage collector and Prometheus exporter for Prisma Postgres."""

__version__ = "0.1.0"
