"""Who may have how many of the files and connections that may be open."""

from __future__ import annotations

import resource

import pytest

from prisma_postgres_exporter.config import Config
from prisma_postgres_exporter.descriptors import for_api, for_client, for_web, raise_limit, why_none
from prisma_postgres_exporter.service import limits_of
from short_of_descriptors import no_descriptors


@pytest.mark.parametrize(
    ("limit", "clients", "each"),
    [
        (resource.RLIM_INFINITY, 1_000, 16),
        (1_048_576, 1_000, 16),
        (1_024, 40, 16),
        (256, 40, 2),
        (64, 3, 5),
        (32, 2, 2),
        (32, 40, 1),
    ],
)
def test_all_clients_together_leave_room_for_the_web_server_and_the_store(
    monkeypatch: pytest.MonkeyPatch, limit: int, clients: int, each: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, limit))
    assert for_client(clients, 16) == limits_of(Config(), clients).concurrency == each
    affordable = for_api()
    if affordable is not None and affordable >= clients:
        assert clients * each + for_web() < limit


def test_the_limit_is_raised_as_far_as_the_system_lets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = [(1_024, 4_096)]

    def refused(_: int, wanted: tuple[int, int]) -> None:
        raise ValueError("current limit exceeds maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda _: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", refused)
    raise_limit()
    monkeypatch.setattr(resource, "setrlimit", lambda _, wanted: limits.append(wanted))
    raise_limit()
    assert limits[-1] == (4_096, 4_096)


def test_it_is_known_whether_a_file_can_be_opened() -> None:
    with no_descriptors():
        assert why_none() == "Too many open files"
    assert why_none() is None
