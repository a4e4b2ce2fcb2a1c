"""Every secret that a configuration leads to, to be masked in what is written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from prisma_postgres_exporter.config.masking import SHORTEST
from prisma_postgres_exporter.config.push import SecretConfig
from prisma_postgres_exporter.config.store_url import url_secrets
from prisma_postgres_exporter.config.tokens import read_tokens
from prisma_postgres_exporter.config.values import Config
from prisma_postgres_exporter.errors import ConfigurationError


def secrets_of(config: Config) -> tuple[str, ...]:
    """Return tokens, the store's passwords and what pushes send along, as they are now."""
    found = {credential.token.get_secret_value() for credential in read_tokens(config).credentials}
    found.update(url_secrets(config.store.url), _push_secrets(config))
    return tuple(secret for secret in found if len(secret) >= SHORTEST)


def _push_secrets(config: Config) -> Iterator[str]:
    for target in config.push.targets.values():
        places: list[SecretConfig] = [*target.headers]
        places += [target.bearer_token] if target.bearer_token else []
        places += [target.basic_auth.password] if target.basic_auth else []
        yield from url_secrets(target.url)
        for place in places:
            with suppress(ConfigurationError):  # the push itself says that it cannot be read
                yield place.read("")
