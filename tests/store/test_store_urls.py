from __future__ import annotations

import pytest

from prisma_postgres_exporter.errors import ConfigurationError
from prisma_postgres_exporter.store import Store


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("store.db", "not a URL"),
        ("postgresql://u:synthetic@host:port/db", "not a URL"),
        ("mysql://host/db", "'mysql' is not supported; use sqlite or postgresql"),
        ("postgresql+asyncpg://host/db", "is not supported"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite:///file:x?uri=true", "names no file"),
    ],
)
def test_what_is_not_the_url_of_a_store_is_a_configuration_error(url: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem) as refused:
        Store.open(url)
    assert "synthetic" not in str(refused.value)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_common_scheme_of_postgres_is_accepted(postgres_url: str, scheme: str) -> None:
    store = Store.open(postgres_url.replace("postgresql", scheme, 1) + "?sslmode=prefer")
    assert store.url.startswith("postgresql://exporter:***@127.0.0.1:")
    assert "sslmode" not in store.url
    store.ping()
    store.close()
