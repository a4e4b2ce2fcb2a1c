"""`python -m prisma_postgres_exporter` is the command."""

from prisma_postgres_exporter.cli import main

main()
