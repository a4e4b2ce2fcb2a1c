"""Mistakes of whoever uses the client, each told with its place before anything is sent."""

from __future__ import annotations

import re
from typing import Any

import pytest
from api_fakes import TOKEN, ApiFor

from prisma_postgres_exporter.api import ManagementApi, ManagementApiSync
from prisma_postgres_exporter.errors import ClientClosed, ConfigurationError, RequestRefused, Unavailable

NOWHERE = "http://127.0.0.1:9"
EITHER = pytest.mark.parametrize("client", [ManagementApi, ManagementApiSync])


@EITHER
def test_a_client_of_several_tokens_is_refused(monkeypatch: pytest.MonkeyPatch, client: Any) -> None:
    monkeypatch.setenv("PRISMA_POSTGRES_TOKEN", "token-a, token-b")
    with pytest.raises(ConfigurationError, match="PRISMA_POSTGRES_TOKEN: there are 2 tokens; give one"):
        client.from_env()


@EITHER
def test_a_level_of_the_log_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, client: Any) -> None:
    monkeypatch.setenv("PRISMA_POSTGRES_LOG", "nonsense")
    with pytest.raises(ConfigurationError, match="PRISMA_POSTGRES_LOG=nonsense: is not a level: debug or info"):
        client(TOKEN)


async def test_an_argument_that_is_refused_is_told_with_the_method_it_was_for(api_for: ApiFor) -> None:
    nothing: Any = None
    with pytest.raises(RequestRefused) as caught:
        await api_for(NOWHERE).database(nothing)
    assert (caught.value.reason, caught.value.operation) == ("invalid_id", "database")
    assert caught.value.endpoint == "GET /v1/databases/{id}"

    with pytest.raises(RequestRefused) as caught:
        api_for(NOWHERE).projects(limit=0)
    assert (caught.value.operation, caught.value.endpoint) == ("projects", "GET /v1/projects")


@pytest.mark.parametrize(
    ("value", "shown"), [("bkt_1", "bkt_1"), ("postgres://u:pass-word@h/db", "{bucketId}"), (TOKEN, "[token]")]
)
async def test_an_error_names_the_id_that_was_asked_for_and_no_other_value(
    api_for: ApiFor, value: str, shown: str
) -> None:
    with pytest.raises(Unavailable) as caught:
        await api_for(NOWHERE).request("GET", "/v1/buckets/{bucketId}", values={"bucketId": value})

    assert str(caught.value).startswith(f"GET /v1/buckets/{shown}: cannot connect to 127.0.0.1:9: ")
    assert caught.value.endpoint == "GET /v1/buckets/{bucketId}"


def test_a_client_that_is_closed_says_what_to_do() -> None:
    api = ManagementApiSync(TOKEN, base_url=NOWHERE)
    api.close()
    with pytest.raises(ClientClosed, match="GET /v1/me: the client is closed; make a new one") as caught:
        api.me()
    assert not isinstance(caught.value, Unavailable)

    assert (caught.value.reason, caught.value.operation) == ("client_closed", "me")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"bucketId": "a", "x": "b"}, "x is not in the path /v1/buckets/{bucketId}"),
        ({}, "the path /v1/buckets/{bucketId} needs a value for each of: bucketId"),
    ],
)
async def test_values_that_do_not_fit_a_path_are_named(api_for: ApiFor, values: dict[str, str], said: str) -> None:
    with pytest.raises(RequestRefused, match=re.escape(said)):
        await api_for(NOWHERE).request("GET", "/v1/buckets/{bucketId}", values=values)
