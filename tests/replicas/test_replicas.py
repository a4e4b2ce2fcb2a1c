"""Several services on one Postgres: who collects what, what each shows, and what happens when one dies."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from fleet import TTL_SECONDS, Fleet, fleet
from processes import DATA_PREFIX, Vendor, vendor, wait_until

from prisma_postgres_exporter.store import Store

TOTAL = f"{DATA_PREFIX}operations_total"
TAKEOVER_SECONDS = TTL_SECONDS + 5


@pytest.fixture
def six_workspaces() -> Iterator[Vendor]:
    """A vendor with six workspaces and twelve databases."""
    with vendor(workspaces=6, databases=12, projects_per_workspace=1) as running:
        yield running


@pytest.fixture
def three(tmp_path: Path, postgres_url: str, six_workspaces: Vendor) -> Iterator[Fleet]:
    """Three services that share them."""
    with fleet(tmp_path, postgres_url, six_workspaces) as running:
        running.wait_for_owners({"a", "b", "c"}, 3 * TAKEOVER_SECONDS)
        running.witness()
        yield running


def test_three_share_the_workspaces_and_each_shows_everything(three: Fleet) -> None:
    for member in three.members.values():
        member.running.scrape_when(lambda samples: len(samples.labels(TOTAL, "database_id")) == 12, "every database")
    three.assert_one_writer_an_epoch()
