"""The whole service, killed at any moment under load, over and over.

`KILLS` says how often; the guide has the command for hundreds of times.
"""

from __future__ import annotations

import os
import random
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from faulted import Setting
from processes import Samples, assert_no_counter_fell, command, vendor

from prisma_postgres_exporter.store import Store
from reliability import Fault, record

USUAL_KILLS = 10
KILLS = int(os.environ.get("KILLS", USUAL_KILLS))
WATCHED_EVERY = 5
DATABASES = 12


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["SQLite", "Postgres"])
def test_killed_at_any_moment_it_loses_nothing(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}" if engine == "SQLite" else request.getfixturevalue("postgres_url")
    chance = random.Random(11)
    with vendor(workspaces=1, databases=DATABASES) as world:
        setting = Setting(tmp_path, world, url)
        options = setting.options
        shown: Samples | None = None
        for number in range(KILLS):
            # The first ones die while they make the store.
            with command("serve", *options, "--listen", "127.0.0.1:0", cwd=tmp_path) as starting:
                time.sleep(chance.random() * 1.5)
                assert starting.is_alive, starting.output
                starting.kill()
            assert "Traceback" not in starting.output, starting.output
            if number % WATCHED_EVERY == 0:
                shown = watched(setting, shown, chance)
        with setting.serving() as running:
            after = setting.known(running)
            assert shown is not None
            assert_no_counter_fell(shown, after)
            setting.wait_for_exact()
    if KILLS == USUAL_KILLS:
        remember(engine)


def remember(engine: str) -> None:
    record(
        Fault(
            part="process",
            tried=f"`kill -9` at any moment under load, {engine}",
            times=KILLS,
            seen="the next start goes on",
            lost="nothing",
            seconds=None,
        )
    )


def watched(setting: Setting, shown: Samples | None, chance: random.Random) -> Samples:
    """A life in which something is shown, and the rules of the store after its end."""
    with setting.serving() as running:
        samples = setting.known(running)
        if shown is not None:
            assert_no_counter_fell(shown, samples)
        time.sleep(chance.random())
        samples = running.scrape()
        running.kill()
    with closing(Store.open(setting.store_url)) as store:
        assert list(store.violations(datetime.now(UTC))) == []
    return samples
