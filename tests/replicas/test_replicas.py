"""Several services on one Postgres: who collects what, what each shows, and what happens when one dies."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from fleet import TTL_SECONDS, Fleet, fleet
from pooler import NEEDS_PGBOUNCER, pooler
from processes import DATA_PREFIX, Vendor, run, vendor

from postgres import find_programs, postgres_server

TOTAL = f"{DATA_PREFIX}operations_total"
TAKEOVER_SECONDS = TTL_SECONDS + 5
GRACE_SECONDS = 30.0
"""What Kubernetes and the systemd unit give it."""


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


@pytest.mark.slow
def test_three_share_the_workspaces_and_each_shows_everything(three: Fleet) -> None:
    for member in three.members.values():
        member.running.scrape_when(lambda samples: len(samples.labels(TOTAL, "database_id")) == 12, "every database")
        goes_on_everywhere(three, member.name)
    owners = three.owners()
    names = {member.name: f":{member.running.pid}" for member in three.members.values()}
    page = three.members["a"].running.get("/").text
    assert all(f"{socket.gethostname()}{names[name]} collects 2 workspaces" in page for name in "bc")
    assert "not read yet" not in page
    told = run(
        "doctor",
        "--json",
        "--config",
        "config.yaml",
        "--store-url",
        three.store_url,
        cwd=three.directory,
        environ={"PRISMA_POSTGRES_API_URL": three.vendor.url},
    ).stdout
    assert told.count("collected by") == len(owners) == 6
    three.assert_one_writer_an_epoch()


@pytest.mark.slow
def test_what_a_killed_one_collected_is_taken_over_in_time(three: Fleet) -> None:
    lost = {id_ for id_, name in three.owners().items() if name == "a"}
    three.members["a"].running.kill()
    owners = three.wait_for_owners({"b", "c"}, TAKEOVER_SECONDS)
    assert {owners[id_] for id_ in lost} <= {"b", "c"}
    goes_on_everywhere(three, "b")
    three.assert_one_writer_an_epoch()


@pytest.mark.slow
def test_one_that_ends_gives_its_workspaces_back_at_once(three: Fleet) -> None:
    leaving = three.members["a"].running
    leaving.send(signal.SIGTERM)
    assert leaving.wait() == 0
    assert "a" not in three.owners().values()
    assert three.query("SELECT count(*) FROM sessions") == [(2,)]
    three.wait_for_owners({"b", "c"}, TTL_SECONDS / 2)
    three.assert_one_writer_an_epoch()


@pytest.mark.slow
def test_one_that_was_stopped_and_wakes_up_writes_nothing_after_its_successor(three: Fleet) -> None:
    stopped = three.members["a"].running
    stopped.send(signal.SIGSTOP)
    three.wait_for_owners({"b", "c"}, TAKEOVER_SECONDS)
    goes_on_everywhere(three, "b")
    stopped.send(signal.SIGCONT)
    three.wait_for_owners({"a", "b", "c"}, 3 * TAKEOVER_SECONDS)
    goes_on_everywhere(three, "a")
    three.assert_one_writer_an_epoch()


@pytest.mark.slow
def test_one_that_is_cut_off_from_the_store_lets_go_and_comes_back(three: Fleet) -> None:
    three.members["a"].proxy.cut()
    three.wait_for_owners({"b", "c"}, TAKEOVER_SECONDS)
    goes_on_everywhere(three, "b")
    before = sum(three.vendor.simulator.requests.values())
    three.members["a"].proxy.mend()
    assert sum(three.vendor.simulator.requests.values()) >= before
    three.wait_for_owners({"a", "b", "c"}, 3 * TAKEOVER_SECONDS)
    goes_on_everywhere(three, "a")
    three.assert_one_writer_an_epoch()


@pytest.mark.slow
def test_all_of_them_outlive_a_restart_of_the_server(tmp_path: Path, six_workspaces: Vendor) -> None:
    with (
        postgres_server(find_programs()) as server,
        server.fresh_database() as url,
        fleet(tmp_path, url, six_workspaces) as running,
    ):
        running.wait_for_owners({"a", "b", "c"}, 3 * TAKEOVER_SECONDS)
        running.witness()
        server.stop()
        server.start()
        running.wait_for_owners({"a", "b", "c"}, 3 * TAKEOVER_SECONDS)
        for name in running.members:
            goes_on_everywhere(running, name)
        running.assert_one_writer_an_epoch()


@pytest.mark.slow
def test_a_signal_ends_one_whose_store_says_nothing(tmp_path: Path, postgres_url: str, six_workspaces: Vendor) -> None:
    with fleet(tmp_path, postgres_url, six_workspaces, names="a") as running:
        running.wait_for_owners({"a"}, TAKEOVER_SECONDS)
        ending = running.members["a"].running
        ending.scrape_when(lambda samples: len(samples.labels(TOTAL, "database_id")) == 12, "every database")
        running.members["a"].proxy.cut()
        ending.send(signal.SIGTERM)
        assert ending.wait(GRACE_SECONDS) == 0
        assert "leases not given back: they end by themselves" in ending.output


@pytest.mark.slow
@NEEDS_PGBOUNCER
def test_they_share_behind_a_pooler_that_hands_out_a_connection_for_each_transaction(
    tmp_path: Path, postgres_url: str, six_workspaces: Vendor
) -> None:
    with pooler(postgres_url) as url, fleet(tmp_path, url, six_workspaces, names="ab") as running:
        running.wait_for_owners({"a", "b"}, 3 * TAKEOVER_SECONDS)
        running.witness()
        goes_on_everywhere(running, "a")
        running.members["b"].running.kill()
        running.wait_for_owners({"a"}, TAKEOVER_SECONDS)
        goes_on_everywhere(running, "a")
        running.assert_one_writer_an_epoch()
        assert "prepared statement" not in running.members["a"].running.output


def goes_on_everywhere(running: Fleet, name: str) -> None:
    """Every database is read anew, and this one shows it."""
    member = running.members[name].running
    success = f"{DATA_PREFIX}last_success_timestamp_seconds"
    begun = max(value for (metric, _), value in member.scrape().items() if metric == success)
    member.scrape_when(
        lambda samples: min(value for (metric, _), value in samples.items() if metric == success) > begun,
        "every database to be read anew",
    )
