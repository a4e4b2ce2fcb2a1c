"""`serve`: collect and serve until told to stop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from prisma_postgres_exporter.cli.logs import configure_logs
from prisma_postgres_exporter.cli.options import (
    ApiUrlOption,
    ConfigOption,
    ListenOption,
    LogFormatOption,
    StoreUrlOption,
    WebConfigFileOption,
    configuration,
)
from prisma_postgres_exporter.config import secrets_of

if TYPE_CHECKING:
    from prisma_postgres_exporter.service import Service


def serve(
    config: ConfigOption = None,
    api_url: ApiUrlOption = None,
    store_url: StoreUrlOption = None,
    listen: ListenOption = None,
    web_config_file: WebConfigFileOption = None,
    log_format: LogFormatOption = "console",
) -> None:
    """Collect usage and serve it on /metrics until SIGTERM or Ctrl-C.

    One secret is enough: a service token in PRISMA_POSTGRES_TOKEN (several separated by commas) or a
    file that PRISMA_POSTGRES_TOKEN_FILE names. SIGHUP reads the configuration again.
    The `cost` section in force is left in the store, so that reports elsewhere give the same money.
    """
    from prisma_postgres_exporter.service import Service

    load = configuration(config, api_url, store_url, listen, web_config_file)
    loaded = load()
    configure_logs(log_format, secrets=secrets_of(loaded))
    asyncio.run(_serve(Service(loaded, load=load)))


async def _serve(service: Service) -> None:
    await service.run()
