"""One Management API client for each credential, kept while its token stays the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from prisma_postgres_exporter.api import CallObserver, Limits, ManagementApi
from prisma_postgres_exporter.config import Config, Credential, claims


class Clients:
    """The clients of all credentials, by credential name."""

    def __init__(self, observer: CallObserver) -> None:
        self._observer = observer
        self._made: dict[str, tuple[Credential, tuple[object, ...], ManagementApi]] = {}

    @property
    def by_name(self) -> Mapping[str, ManagementApi]:
        """The clients, in the order of the credentials."""
        return {name: client for name, (_, _, client) in self._made.items()}

    @property
    def expiries(self) -> Mapping[str, datetime]:
        """When the tokens that say so expire (UTC), by credential name."""
        ends = {name: claims(credential.token).expires_at for name, (credential, _, _) in self._made.items()}
        return {name: ends_at for name, ends_at in ends.items() if ends_at is not None}

    async def use(self, config: Config, credentials: Iterable[Credential]) -> bool:
        """Make clients for these credentials, close those that are not needed any more; whether any changed.

        Raises:
            ConfigurationError: a token or an address that cannot be used; nothing changed then.
        """
        limits = limits_of(config)
        settings = (config.api_url, limits)
        wanted: dict[str, tuple[Credential, tuple[object, ...], ManagementApi]] = {}
        made: list[ManagementApi] = []
        for credential in credentials:
            known = self._made.get(credential.name)
            if known is not None and known[:2] == (credential, settings):
                wanted[credential.name] = known
                continue
            client = ManagementApi(
                credential.token.reveal(), base_url=config.api_url, limits=limits, observer=self._observer
            )
            wanted[credential.name] = credential, settings, client
            made.append(client)
        kept = {id(client) for _, _, client in wanted.values()}
        left = [client for _, _, client in self._made.values() if id(client) not in kept]
        self._made = wanted
        for client in left:
            await client.aclose()
        return bool(made or left)

    async def close(self) -> None:
        """Close every client."""
        for client in self.by_name.values():
            await client.aclose()
        self._made = {}


def limits_of(config: Config) -> Limits:
    """The limits of one credential, as configured."""
    poll = config.poll
    return Limits(
        requests_per_second=poll.requests_per_second,
        concurrency=poll.concurrency,
        connect_timeout_seconds=poll.connect_timeout.total_seconds(),
        read_timeout_seconds=poll.read_timeout.total_seconds(),
        total_timeout_seconds=poll.total_timeout.total_seconds(),
    )
