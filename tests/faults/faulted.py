"""A service in front of a simulated vendor, made to suffer, and what must hold of it and its ledger afterwards."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from processes import (
    DATA_PREFIX,
    Exporter,
    Samples,
    Vendor,
    assert_no_counter_fell,
    exporter,
    run,
    wait_until,
    write_config,
    write_tokens,
)

from prisma_postgres_exporter.model import day_start
from prisma_postgres_exporter.store import Store

OWN = "prisma_postgres_exporter_"
TOTAL = f"{DATA_PREFIX}operations_total"
LONGEST_SECONDS = 90.0


@dataclass(frozen=True, slots=True)
class Setting:
    """What a service runs on: it is started again as often as one likes."""

    directory: Path
    vendor: Vendor
    store_url: str
    interval: str = "1s"

    @property
    def options(self) -> Sequence[str]:
        """The options of every command."""
        write_tokens(self.directory / "tokens", **{f"w{n}": token for n, token in enumerate(self.vendor.world.tokens)})
        config = write_config(
            self.directory / "config.yaml",
            credentials=[{"token_file": str(self.directory / "tokens")}],
            poll={"interval": self.interval, "requests_per_second": 1000, "windows": ["24h"]},
            discovery={"interval": "5s"},
        )
        return ("--config", str(config), "--api-url", self.vendor.url, "--store-url", self.store_url)

    @contextmanager
    def serving(self) -> Iterator[Exporter]:
        """Run the service."""
        with exporter("serve", *self.options, cwd=self.directory) as running:
            yield running

    def known(self, running: Exporter) -> Samples:
        """Wait until it shows a counter of every database."""
        ids = set(self.vendor.database_ids)
        return running.scrape_when(lambda samples: samples.labels(TOTAL, "database_id") == ids, "every database")

    def goes_on(self, running: Exporter, before: Samples) -> float:
        """Wait until every counter grows again, and none fell or is missing; returns how many seconds that took."""
        began, last = time.monotonic(), running.scrape()
        keys = [key for key in before if key[0] == TOTAL]

        def grown() -> Samples | None:
            assert running.is_alive, f"it ended:\n{running.output}"
            samples = running.scrape()
            return samples if all(samples.get(key, 0) > last[key] for key in keys) else None

        assert_kept(before, wait_until(grown, "every counter to go on", LONGEST_SECONDS))
        return time.monotonic() - began

    def assert_told(self, running: Exporter, before: Samples, text: str, *, healthy: int = 200) -> None:
        """The page, the counter, the log and the health say it, within seconds; what was shown still is."""
        wait_until(lambda: text in running.get("/").text, f"{text!r} on the page", LONGEST_SECONDS)
        running.wait_for(re.escape(text))
        errors = before.value(f"{OWN}store_errors_total") or 0
        after = running.scrape_when(
            lambda samples: (samples.value(f"{OWN}store_errors_total") or 0) > errors, "the counter of errors"
        )
        assert_kept(before, after)
        answer = running.get("/-/healthy")
        assert answer.status == healthy
        assert (text in answer.text) == (healthy != 200)
        assert running.get("/-/ready").status == 200

    def assert_examined(self, text: str) -> None:
        """`check` and `doctor` say it, and end with another status than 0."""
        for command in ("check", "doctor"):
            done = run(command, *self.options, cwd=self.directory)
            assert done.returncode != 0
            assert text in " ".join((done.stdout + done.stderr).split()), done.stdout + done.stderr

    def assert_exact(self) -> None:
        """Every day since the month began is in the ledger and is what was used; no rule of the store is broken."""
        assert_exact(self.store_url, self.vendor)
        checked = run("store", "check", "--store-url", self.store_url, cwd=self.directory)
        assert checked.returncode == 0, checked.stdout

    def wait_for_exact(self) -> None:
        """Wait until no day of the month is missing any more, and make sure that all are right."""
        wait_until(lambda: not _missing(self.store_url, self.vendor), "every day of the month", LONGEST_SECONDS)
        self.assert_exact()


def assert_kept(before: Samples, after: Samples) -> None:
    """Everything is still shown, and no counter fell."""
    assert [key for key in before.named(DATA_PREFIX) if key not in after] == []
    assert_no_counter_fell(before, after)


def assert_exact(url: str, vendor: Vendor, *, asked_seconds: float = 10.0) -> None:
    """Every day of the ledger is what was used, the open one up to the moment of its reading."""
    assert _missing(url, vendor) == set()
    with closing(Store.open_to_read(url)) as store:
        ids = {known.key: known.database.id for known in store.databases()}
        days = list(store.days())
    used = vendor.world.operations
    for row in days:
        begins, ends, id_ = day_start(row.day), day_start(row.day) + timedelta(days=1), ids[row.database_key]
        if row.read_at >= ends:
            assert row.operations == used(id_, begins, ends), f"{id_} {row.day}"
        else:
            asked_at = max(begins, row.read_at - timedelta(seconds=asked_seconds))
            least, most = used(id_, begins, asked_at), used(id_, begins, row.read_at + timedelta(seconds=1))
            assert least <= row.operations <= most, f"{id_} {row.day}"


def _missing(url: str, vendor: Vendor) -> set[tuple[str, int]]:
    """The days of this month of which the ledger has no row, by database."""
    today = datetime.now(UTC).date()
    with closing(Store.open_to_read(url)) as store:
        ids = {known.key: known.database.id for known in store.databases()}
        found = {(ids[row.database_key], row.day.day) for row in store.days(None, today.replace(day=1), today)}
    return {(id_, number) for id_ in vendor.database_ids for number in range(1, today.day + 1)} - found
