"""A running exporter with two workspaces behind a raw front, and what is asked of it before, in and after a fault."""

from __future__ import annotations

import html
import json
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from processes import (
    DATA_PREFIX,
    TOKEN_MARK,
    Exporter,
    Samples,
    Vendor,
    assert_nothing_is_missing,
    exporter,
    fetch,
    run,
    vendor,
    wait_until,
    write_config,
    write_tokens,
)
from raw_front import Behaviour, Choose, Front, Seen, front

from prisma_postgres_exporter.model import day_start

DATABASES = 6
STRUCK, WELL = "simulator-token-1", "simulator-token-2"
OWN = "prisma_postgres_exporter_"
TOTAL = f"{DATA_PREFIX}operations_total"
UP = f"{DATA_PREFIX}up"
LAST_SUCCESS = f"{DATA_PREFIX}last_success_timestamp_seconds"
POLL: Mapping[str, object] = {
    "interval": "1s",
    "requests_per_second": 1000,
    "windows": ["24h"],
    "connect_timeout": "1s",
    "read_timeout": "1s",
    "total_timeout": "2s",
}


class HeldClock:
    """The machine's time, that stands still while it is held."""

    def __init__(self) -> None:
        self._held_at: datetime | None = None

    def __call__(self) -> datetime:
        return self._held_at or datetime.now(UTC)

    @contextmanager
    def held(self) -> Iterator[datetime]:
        """Hold it; what is used until then is all that there is to read.

        At the next full second: what was read a moment ago is not of later than that.
        """
        held_at = self._held_at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)
        try:
            yield held_at
        finally:
            time.sleep(max(0.0, (held_at - datetime.now(UTC)).total_seconds()))
            self._held_at = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """The exporter, the front, the vendor behind it; `struck` and `well` are the databases of the two workspaces."""

    directory: Path
    options: Sequence[str]
    store_url: str
    environ: Mapping[str, str]
    clock: HeldClock
    vendor: Vendor
    front: Front
    service: Exporter
    struck: frozenset[str]
    well: frozenset[str]

    def of_struck(self, seen: Seen) -> bool:
        """Whether a request is one of the workspace that the fault is for."""
        return STRUCK in seen.headers.get("authorization", "")

    @contextmanager
    def fault(self, behaviour: Behaviour, chosen: Choose) -> Iterator[None]:
        """Treat these requests so."""
        self.front.chosen, self.front.behaviour, self.front.treated = chosen, behaviour, 0
        try:
            yield
        finally:
            self.front.behaviour = None
            # What a stall or a drip still holds.
            self.front.drop()

    def failures(self, samples: Samples) -> Mapping[str, float]:
        """Failed requests by reason."""
        found: dict[str, float] = {}
        for (name, labels), value in samples.items():
            if name == f"{OWN}api_request_failures_total":
                reason = dict(labels)["reason"]
                found[reason] = found.get(reason, 0) + value
        return found

    def read_after(self, ids: frozenset[str], at: float) -> Samples:
        """Wait until each of these databases was read after an instant."""
        return self.service.scrape_when(
            lambda samples: all((samples.value(LAST_SUCCESS, database_id=id_) or 0) > at for id_ in ids),
            f"{sorted(ids)} were read after {at}",
        )

    def read_until(self, at: datetime) -> Samples:
        """Wait until all that was used until then is in the ledger, and return what is shown of that."""
        wait_until(lambda: self._ledger() == self._truth(at), "the ledger to be the truth")
        self.read_after(self.struck | self.well, datetime.now(UTC).timestamp())
        return self.service.scrape()

    @property
    def page(self) -> str:
        """What the status page says."""
        return html.unescape(self.service.get("/").text)

    def doctor(self) -> tuple[set[str], str]:
        """What doctor finds missing, and all that it says."""
        answer = run("doctor", "--json", *self.options, cwd=self.directory, environ=self.environ)
        document = json.loads(answer.stdout)
        return {row["reason"] for row in _walk(document) if row["level"] in ("problem", "wrong")}, answer.stdout

    def well_again(self) -> float:
        """Wait until every database is up and was read again; returns the seconds that took."""
        since, at = time.monotonic(), datetime.now(UTC).timestamp()

        def is_well(samples: Samples) -> bool:
            ids = self.struck | self.well
            return all(
                samples.value(UP, database_id=id_) == 1 and (samples.value(LAST_SUCCESS, database_id=id_) or 0) > at
                for id_ in ids
            )

        self.service.scrape_when(is_well, "every database is up and was read again")
        return time.monotonic() - since

    def assert_nothing_was_lost(self, before: Samples | None = None, *, since: datetime | None = None) -> None:
        """What is in the ledger is what was used, of each database and day.

        Of counters that stood at `before` with all that was used until `since`: they grew by what was used meanwhile.
        """
        with self.clock.held() as at:
            after = self.read_until(at)
            if before is None or since is None:
                return
        assert_nothing_is_missing(before, after)
        for id_ in self.struck | self.well:
            total, total_before = (samples.value(TOTAL, database_id=id_) for samples in (after, before))
            assert total is not None
            assert total_before is not None
            assert total - total_before == self.vendor.world.operations(id_, since, at), id_

    def assert_store_is_sound(self) -> None:
        """The store finds no fault with itself."""
        answer = run("store", "check", "--store-url", self.store_url, cwd=self.directory, environ=self.environ)
        assert answer.returncode == 0, answer.stdout + answer.stderr

    def told(self, logged: int, what: str, reason: str) -> bool:
        """Whether a line of the log says so, behind its first `logged` characters."""
        lines = self.service.output[logged:].splitlines()
        return any(what in line and f"reason={reason}" in line for line in lines)

    def is_down(self, samples: Samples, ids: frozenset[str], reason: str, failed: float) -> bool:
        """Whether each of these is down, and more than `failed` requests failed for this reason."""
        are_down = all(samples.value(UP, database_id=id_) == 0 for id_ in ids)
        return are_down and self.failures(samples).get(reason, 0) > failed

    def wait_until_told(self, logged: int, reason: str) -> None:
        """Wait until log and page say why a workspace and its databases fail; the page may do so in words."""
        for what in ("workspace failing", "database failing"):
            wait_until(lambda what=what: self.told(logged, what, reason), f"{what} in the log")  # type: ignore[misc]
        wait_until(lambda: reason in self.page.lower(), "the reason on the page")

    def assert_no_secret(self) -> None:
        """No token is in anything that was shown."""
        shown = [self.service.output, *(self.service.get(path).text for path in ("/metrics", "/", "/-/ready"))]
        assert [text for text in shown if TOKEN_MARK in text] == []

    def _ledger(self) -> dict[tuple[str, str], int | None]:
        answer = fetch(f"{self.service.url}/api/v1/usage?from={_month_start()}", accept="application/json")
        assert answer.status == 200, answer.text
        return {(row["database_id"], row["period"]): row["operations"] for row in json.loads(answer.text)["data"]}

    def _truth(self, at: datetime) -> dict[tuple[str, str], int | None]:
        days = [_month_start() + timedelta(days=number) for number in range((at.date() - _month_start()).days + 1)]
        return {
            (id_, day.isoformat()): self.vendor.world.operations(
                id_, day_start(day), min(day_start(day) + timedelta(days=1), at)
            )
            for id_ in self.struck | self.well
            for day in days
        }


@contextmanager
def scene(
    directory: Path,
    *,
    tls: ssl.SSLContext | None = None,
    environ: Mapping[str, str] | None = None,
    as_command_line: bool = False,
) -> Iterator[Scene]:
    """Run one, and wait until everything was read; `as_command_line` as of `exporter`."""
    clock = HeldClock()
    with vendor(workspaces=2, databases=DATABASES, clock=clock) as upstream, front(upstream.url, tls=tls) as before:
        write_tokens(directory / "tokens", struck=STRUCK, well=WELL)
        config = write_config(
            directory / "config.yaml",
            credentials=[{"token_file": str(directory / "tokens")}],
            poll=POLL,
            discovery={"interval": "1s"},
        )
        store_url = f"sqlite:///{directory}/ledger.db"
        options = ("--config", str(config), "--api-url", before.url, "--store-url", store_url)
        environ = environ or {}
        with exporter("serve", *options, cwd=directory, environ=environ, as_command_line=as_command_line) as service:
            struck, well = (_databases_of(upstream, token) for token in (STRUCK, WELL))
            service.scrape_when(
                lambda samples: samples.labels(TOTAL, "database_id") == struck | well, "every database was read"
            )
            yield Scene(
                directory=directory,
                options=options,
                store_url=store_url,
                environ=environ,
                clock=clock,
                vendor=upstream,
                front=before,
                service=service,
                struck=struck,
                well=well,
            )


def _databases_of(upstream: Vendor, token: str) -> frozenset[str]:
    now, workspace_id = datetime.now(UTC), upstream.world.tokens[token]
    return frozenset(row.id for row in upstream.world.databases(now, workspace_id=workspace_id))


def _month_start() -> date:
    return datetime.now(UTC).date().replace(day=1)


def _walk(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for finding in document["findings"]:
        yield finding
        yield from _walk(finding)
