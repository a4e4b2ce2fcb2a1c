"""Services that die in every way, over and over: what they kept, what they showed, and how often they asked.

`FAILOVERS` says how often one of them dies; the guide has the command for a hundred times.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fleet import TTL_SECONDS, Fleet, fleet
from processes import DATA_PREFIX, Labels, Vendor, vendor

from postgres import PostgresServer, find_programs, postgres_server
from prisma_postgres_exporter.model import day_start
from prisma_postgres_exporter.store import Store

TIMES = int(os.environ.get("FAILOVERS", "5"))
TAKEOVER_SECONDS = TTL_SECONDS + 5
COUNTED_SECONDS = 40
TOTAL = f"{DATA_PREFIX}operations_total"


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """A server that can be restarted."""
    with postgres_server(find_programs()) as running:
        yield running


class Watch:
    """What was shown of every counter so far, by whomever: none may fall."""

    def __init__(self) -> None:
        self._highest: dict[Labels, float] = {}

    def look(self, running: Fleet) -> None:
        for member in running.members.values():
            if not member.running.is_alive or member.is_stopped:
                continue
            for (name, labels), value in member.running.scrape().items():
                if name == TOTAL:
                    # Another one may be some seconds behind.
                    own = frozenset({*labels, ("member", member.name)})
                    assert value >= self._highest.get(own, 0.0), (
                        f"{dict(own)} fell from {self._highest[own]} to {value}"
                    )
                    self._highest[own] = value


@pytest.mark.slow
def test_whatever_dies_the_ledger_is_exact_no_counter_falls_and_no_epoch_has_two_writers(
    tmp_path: Path, server: PostgresServer
) -> None:
    dice = random.Random(7)
    with (
        vendor(workspaces=6, databases=12, projects_per_workspace=1) as six,
        server.fresh_database() as url,
        fleet(tmp_path, url, six) as running,
    ):
        running.wait_for_owners({"a", "b", "c"}, 3 * TAKEOVER_SECONDS)
        running.witness()
        watch = Watch()
        for number in range(TIMES):
            ending = [killed, stopped, cut_off, restarted, upgraded][number % 5]
            ending(running, dice.choice("abc"), server, dice)
            watch.look(running)
        for member in running.members.values():
            member.running.send(signal.SIGTERM)
            assert member.running.wait() == 0
        running.assert_one_writer_an_epoch()
        assert_exact(url, six)
        checked = subprocess.run(
            [sys.executable, "-m", "prisma_postgres_exporter", "store", "check", "--store-url", url],
            capture_output=True,
            text=True,
            check=False,
        )
        assert checked.returncode == 0, checked.stdout


@pytest.mark.slow
def test_three_ask_no_more_than_one_does(tmp_path: Path, server: PostgresServer) -> None:
    asked: dict[str, int] = {}
    with vendor(workspaces=6, databases=24, projects_per_workspace=1) as six:
        for names in ("a", "abc"):
            (tmp_path / names).mkdir()
            with server.fresh_database() as url, fleet(tmp_path / names, url, six, names=names) as running:
                running.wait_for_owners(set(names), 3 * TAKEOVER_SECONDS)
                first = running.members["a"].running
                first.scrape_when(lambda samples: len(samples.labels(TOTAL, "database_id")) == 24, "every database")
                # Days of the month that nobody has read yet come first.
                time.sleep(10)
                before = six.simulator.requests["usage"]
                time.sleep(COUNTED_SECONDS)
                asked[names] = six.simulator.requests["usage"] - before
    # Two of a hundred more; each database may be at the edge of the time once.
    assert asked["a"] > 24 * 10
    assert asked["abc"] <= 1.02 * asked["a"] + 24, asked


def killed(running: Fleet, name: str, _server: PostgresServer, _dice: random.Random) -> None:
    running.members[name].running.kill()
    running.wait_for_owners({"a", "b", "c"} - {name}, TAKEOVER_SECONDS)
    running.start(name)
    running.wait_for_owners({"a", "b", "c"}, 3 * TAKEOVER_SECONDS)


def stopped(running: Fleet, name: str, _server: PostgresServer, dice: random.Random) -> None:
    member = running.members[name]
    member.running.send(signal.SIGSTOP)
    member.is_stopped = True
    began = time.monotonic()
    running.wait_for_owners({"a", "b", "c"} - {name}, TAKEOVER_SECONDS)
    time.sleep(max(0.0, dice.choice([12, 20, 60]) - (time.monotonic() - began)))
    member.running.send(signal.SIGCONT)
    member.is_stopped = False
    running.wait_for_owners({"a", "b", "c"}, 3 * TAKEOVER_SECONDS)


def cut_off(running: Fleet, name: str, _server: PostgresServer, _dice: random.Random) -> None:
    running.members[name].proxy.cut()
    running.wait_for_owners({"a", "b", "c"} - {name}, TAKEOVER_SECONDS)
    running.members[name].proxy.mend()
    running.wait_for_owners({"a", "b", "c"}, 3 * TAKEOVER_SECONDS)


def restarted(running: Fleet, _name: str, server: PostgresServer, _dice: random.Random) -> None:
    server.stop()
    server.start()
    running.wait_for_owners({"a", "b", "c"}, 3 * TAKEOVER_SECONDS)


def upgraded(running: Fleet, _name: str, _server: PostgresServer, _dice: random.Random) -> None:
    for name in ("a", "b", "c"):
        running.members[name].running.send(signal.SIGTERM)
        assert running.members[name].running.wait() == 0
        running.start(name)
        running.wait_for_owners({"a", "b", "c"}, 3 * TAKEOVER_SECONDS)


def assert_exact(url: str, six: Vendor) -> None:
    """Every day of the ledger is what was used, the open one up to the moment of its reading."""
    with closing(Store.open_to_read(url)) as store:
        keys = {known.database.id: known for known in store.databases()}
        ids = {state.key: id_ for id_, state in store.load(datetime.now(UTC)).databases.items()}
        days = list(store.days())
    assert len(keys) == 12
    assert {ids[row.database_key] for row in days} == set(keys)
    for row in days:
        begins, ends = day_start(row.day), day_start(row.day) + timedelta(days=1)
        used = six.world.operations
        id_ = ids[row.database_key]
        if row.read_at >= ends:
            assert row.operations == used(id_, begins, ends), f"{id_} {row.day}"
        else:
            asked_at = row.read_at - timedelta(seconds=TTL_SECONDS)
            assert used(id_, begins, asked_at) <= row.operations <= used(id_, begins, row.read_at), f"{id_} {row.day}"
