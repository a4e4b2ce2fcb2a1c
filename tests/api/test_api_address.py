from __future__ import annotations

import traceback

import pytest
from pydantic import SecretStr

from prisma_postgres_exporter.api import Limits, ManagementApi
from prisma_postgres_exporter.config import load_config
from prisma_postgres_exporter.errors import ConfigurationError


@pytest.mark.parametrize(
    "address",
    [
        "http://api.prisma.io",
        "http://localhost.example.com",
        "http://127.0.0.1.example.com",
        "http://10.0.0.1",
        "http://0.0.0.0:80",
        "ftp://localhost",
        "api.prisma.io",
        "https://",
        "https://user:hunter2@api.prisma.io",
        "https://api.prisma.io?token=hunter2",
        "https://api.prisma.io/#hunter2",
        "https://api.prisma.io:port",
        "https://[::1",
        "https://api.prisma.io/a b",
        "https://h/ a",
        "",
    ],
)
def test_an_address_that_would_leak_the_token_is_refused_without_being_shown(address: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        ManagementApi("test-token-1", base_url=address)

    assert "hunter2" not in "".join(traceback.format_exception(caught.value))
    with pytest.raises(ConfigurationError) as configured:
        load_config(api_url=address or " ", environ={})
    assert "the API's address" in str(configured.value)


@pytest.mark.parametrize(
    "address",
    [
        "https://api.prisma.io",
        "https://proxy.example.com/prisma/",
        "http://localhost:8080",
        "http://127.0.0.1:1",
        "http://127.8.8.8",
        "http://127.0.0.2",
        "http://[::1]:9000",
    ],
)
async def test_https_and_plain_http_to_loopback_are_accepted(address: str) -> None:
    async with ManagementApi("test-token-1", base_url=address):
        assert load_config(api_url=address, environ={}).api_url == address.rstrip("/")


@pytest.mark.parametrize("token", ["", "secret\n", "sec\rret", "sec ret", "sécret", "secret\0", "secret\x7f", "密"])
@pytest.mark.parametrize("holder", [str, SecretStr])
def test_a_token_that_no_header_can_carry_is_refused_without_being_shown(token: str, holder: type) -> None:
    with pytest.raises(ConfigurationError) as caught:
        ManagementApi(holder(token))

    shown = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True, limit=-1).format())
    assert "the token" in str(caught.value)
    assert not token or (token not in shown and repr(token)[1:-1] not in shown)


def test_every_problem_is_told_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        ManagementApi("", base_url="http://api.prisma.io")

    assert len(caught.value.problems) == 2


@pytest.mark.parametrize("value", [0, -1, float("inf"), float("nan")])
def test_limits_must_be_positive_and_finite(value: float) -> None:
    with pytest.raises(ConfigurationError, match="requests_per_second"):
        Limits(requests_per_second=value)
