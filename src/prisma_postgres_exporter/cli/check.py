"""`check`: the quick part of `doctor`, for before anything runs: whether a service could run here."""

from __future__ import annotations

from prisma_postgres_exporter.cli.doctor import DoctorJsonOption, diagnosed
from prisma_postgres_exporter.cli.options import (
    ApiUrlOption,
    ConfigOption,
    ListenOption,
    StoreUrlOption,
    WebConfigFileOption,
    configuration,
)


def check(
    as_json: DoctorJsonOption = False,
    config: ConfigOption = None,
    api_url: ApiUrlOption = None,
    store_url: StoreUrlOption = None,
    listen: ListenOption = None,
    web_config_file: WebConfigFileOption = None,
) -> None:
    """Check configuration, addresses, tokens, store and clock, and print every problem at once, with what to do.

    Makes no store, migrates none, and keeps no address. `doctor` says the same, and why a number is missing.

    Exits with 0 if all is well, 1 if something fails now (the vendor, the store), 2 if the configuration or a token
    has to be corrected.
    """
    diagnosed(configuration(config, api_url, store_url, listen, web_config_file), as_json=as_json, is_quick=True)
