"""`api …`: the whole Management API at a terminal."""

from __future__ import annotations

import typer

from prisma_postgres_exporter.cli.api.backups import app as backups
from prisma_postgres_exporter.cli.api.branches import app as branches
from prisma_postgres_exporter.cli.api.connections import app as connections
from prisma_postgres_exporter.cli.api.databases import app as databases
from prisma_postgres_exporter.cli.api.integrations import app as integrations
from prisma_postgres_exporter.cli.api.projects import app as projects
from prisma_postgres_exporter.cli.api.requesting import request
from prisma_postgres_exporter.cli.api.rows import IDENTITY, REGION, USAGE
from prisma_postgres_exporter.cli.api.running import EXIT_CODES, WHERE_TOKENS_ARE
from prisma_postgres_exporter.cli.api.usage import usage
from prisma_postgres_exporter.cli.api.workspaces import app as workspaces
from prisma_postgres_exporter.cli.api.workspaces import me, regions, service_tokens
from prisma_postgres_exporter.cli.options import examples
from prisma_postgres_exporter.cli.printing import keys

app = typer.Typer(
    rich_markup_mode=None,
    help="All of Prisma Postgres: projects, branches, databases, connections, backups, usage, credentials. `request` "
    "reaches the rest of the Management API.\n\n"
    "NAME is an id, or a name if only one thing has it. Tables are for people; --json and --csv have every key and "
    "stay as they are. Whatever deletes or overwrites shows what will be lost, and asks.\n\n"
    f"Tokens come from {WHERE_TOKENS_ARE}.\n\n" + EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(projects, name="projects")
app.add_typer(branches, name="branches")
app.add_typer(databases, name="databases")
app.add_typer(connections, name="connections")
app.add_typer(backups, name="backups")
app.add_typer(workspaces, name="workspaces")
app.add_typer(service_tokens, name="service-tokens")
app.add_typer(integrations, name="integrations")
app.command(epilog=keys(USAGE))(usage)
app.command(epilog=keys(REGION))(regions)
app.command(epilog=keys(IDENTITY))(me)
app.command(
    epilog=examples("api request GET /v1/buckets", "api request POST /v1/environment-variables --body @variable.json")
)(request)
