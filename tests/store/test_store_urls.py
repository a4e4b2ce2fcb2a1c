"""The store's URL: one meaning, never a password to be seen, and a refusal that says what to write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from psycopg.pq import Conninfo
from sqlalchemy.engine import make_url

from prisma_postgres_exporter.config import display_url, load_config, store_url_problem
from prisma_postgres_exporter.config.store_url import OPTIONS
from prisma_postgres_exporter.errors import ConfigurationError
from prisma_postgres_exporter.store import Store
from prisma_postgres_exporter.store.urls import parse_url, public_url

SECRET = "synthetic"
PARTS = st.lists(st.sampled_from([*"u@:/?#[]%&=, .5\n\u00e9", "%40", "password", "host", "[::1]", "5432"]), max_size=12)
URLS = st.builds(
    lambda scheme, parts: scheme + "".join(parts),
    st.sampled_from(["postgresql://", "postgres://", "postgresql+psycopg://", "sqlite:///", "sqlite://", "x://", ""]),
    PARTS,
)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("store.db", "a store is sqlite:///FILE or postgresql://USER@HOST/DATABASE"),
        ("postgresql://u:synthetic@host:port/db", "not a URL"),
        ("postgresql://u:synthetic@[::bad/x", "not a URL"),
        ("postgresql://u:synthetic/db", "not a URL"),
        ("mysql://u:synthetic@host/db", "a store is sqlite:///FILE or"),
        ("postgresql+asyncpg://host/db", "a store is sqlite:///FILE or"),
        ("sqlite://u:synthetic@host/db", "names no file"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite:///file:x", "names no file"),
        ("sqlite:///file:x?uri=true", "has no options"),
        ("sqlite:///a.db?timeout=soon", "has no options"),
        ("sqlite:///a\0b", "a character stands in it"),
        ("sqlite:///a\ud800b", "a character stands in it"),
        ("postgresql://u:synthetic%00more@host/db", "a character stands in it"),
        ("postgresql://u%00:synthetic@host/db", "a character stands in it"),
        ("postgresql://u:synthetic@host/d%00b", "a character stands in it"),
        ("postgresql://u:synthetic@host/d\0b", "a character stands in it"),
        ("postgresql://u:synthetic@\ud800/db", "a character stands in it"),
        ("postgresql://u:synthetic@host:99999/db", "its port is none"),
        ("postgresql://u:synthetic@host:0/db", "its port is none"),
        ("postgresql://u:synthetic@[::1]:65536", "its port is none"),
        ("postgresql://u@host/db?port=5432,70000&password=synthetic", "its port is none"),
        ("postgresql://u@host/db?PASSWORD=synthetic", "not one that Postgres knows; did you mean password?"),
        ("postgresql://u@host/db?PASSWORD=", "did you mean password?"),
        ("postgresql://u@host/db?synthetic", "not one that Postgres knows"),
        (
            "postgresql://u@host/db?password=synthetic&connect_timeout=soon",
            "connect_timeout behind the . must be a number",
        ),
    ],
)
def test_what_is_not_the_url_of_a_store_is_a_configuration_error(url: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem) as refused:
        Store.open(url)
    assert SECRET not in str(refused.value)
    assert SECRET not in display_url(url)


@pytest.mark.parametrize("character", [*"/?#[]@", " ", "\n"])
@pytest.mark.parametrize("before", ["", "5432", "[::1]:5"])
def test_a_password_that_ends_nobody_knows_where_is_refused_with_what_to_write(
    tmp_path: Path, character: str, before: str
) -> None:
    url = f"postgresql://u:{before}{character}{SECRET}@host:5432/db"
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump({"poll": {"interval": "5m"}, "store": {"url": url}}))
    assert f"{file}:4: store.url: where its password ends is not clear" in refusal(config_path=str(file))

    for said in (refusal(store_url=url), refusal(environ={"PRISMA_POSTGRES_STORE_URL": url}), display_url(url)):
        assert SECRET not in said
    assert "percent-encode the password" in refusal(store_url=url)
    assert "/ as %2F, ? as %3F, # as %23, [ as %5B, ] as %5D, @ as %40" in refusal(store_url=url)


def refusal(**given: Any) -> str:
    with pytest.raises(ConfigurationError) as refused:
        load_config(**{"environ": {}, **given})
    return str(refused.value)


@pytest.mark.parametrize(
    "url",
    ["postgresql://host/db?password=syn@thetic", "postgresql://u@host/d@b", "postgresql://u:p@h@synthetic/db"],
)
def test_a_second_at_sign_is_refused(url: str) -> None:
    assert "percent-encode" in (store_url_problem(url) or "")
    assert display_url(url) == "postgresql://…"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sqlite:///a.db", "sqlite:///a.db"),
        ("sqlite:////my dir/a@b#c.db?timeout=5", "sqlite:////my dir/a@b#c.db"),
        ("postgresql://me:synthetic@db:5432/usage", "postgresql://me@db:5432/usage"),
        ("postgres://me:syn%2F%23%40:thetic@[::1]/usage", "postgresql://me@[::1]/usage"),
        ("postgresql+psycopg://:synthetic@db", "postgresql://@db"),
        ("postgresql://db/usage?password=synthetic", "postgresql://db/usage"),
        ("postgresql:///usage?host=/run/postgresql&password=syn/the?tic", "postgresql:///usage"),
    ],
)
def test_a_good_url_is_shown_without_password_and_options(url: str, shown: str) -> None:
    assert store_url_problem(url) is None
    assert display_url(url) == shown


def test_every_option_of_libpq_is_known() -> None:
    assert {option.keyword.decode() for option in Conninfo.get_defaults()} <= OPTIONS


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u@h:65535/db?connect_timeout=-1&sslmode=verify-full&sslrootcert=/ca.pem",
        "postgresql://u@h/db?port=5432,,5433&hostaddr=192.0.2.1,,192.0.2.2",
        "postgresql:///db?service=mine",
    ],
)
def test_options_of_libpq_are_taken(url: str) -> None:
    assert store_url_problem(url) is None


@given(URLS)
@example("postgresql://u:12/x@h/d")
@example("postgresql://h:5/d?password=p@w")
@example("postgresql://u:p@[::1/d")
def test_what_is_accepted_reads_the_same_to_sqlalchemy_and_shows_nothing_it_takes_for_secret(url: str) -> None:
    shown = display_url(url)
    if store_url_problem(url) is not None:
        assert shown in {"postgresql://…", "sqlite://…", "an unknown URL"}
        return
    read, said = make_url(url), make_url(shown)
    assert said.password is None
    assert not said.query
    assert [read.username or None, read.host, read.port, read.database] == [
        said.username or None,
        said.host,
        said.port,
        said.database,
    ]
    if read.get_backend_name() == "postgresql":
        assert display_url(public_url(parse_url(url))) == public_url(parse_url(url)) != "postgresql://…"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_common_scheme_of_postgres_is_accepted(postgres_url: str, scheme: str) -> None:
    store = Store.open(postgres_url.replace("postgresql", scheme, 1) + "?sslmode=prefer")
    assert store.url.startswith("postgresql://exporter@127.0.0.1:")
    assert "sslmode" not in store.url
    store.ping()
    store.close()
