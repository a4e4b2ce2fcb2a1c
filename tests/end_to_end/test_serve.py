"""`serve` as a process: killed, stopped, misled, and cut off from its vendor and its store."""

from __future__ import annotations

import json
import re
import resource
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest
from processes import (
    DATA_PREFIX,
    TOKEN_MARK,
    Exporter,
    Running,
    Samples,
    Vendor,
    assert_no_counter_fell,
    assert_nothing_is_missing,
    command,
    exporter,
    fetch,
    replace_file,
    vendor,
    wait_until,
    write_config,
    write_tokens,
)

from longer import BOTH_ENGINES
from prisma_postgres_exporter.model import month_start
from prisma_postgres_exporter.simulator import Fault, FaultKind

TOTAL = f"{DATA_PREFIX}operations_total"
UP = f"{DATA_PREFIX}up"
INFO = f"{DATA_PREFIX}info"
LAST_SUCCESS = f"{DATA_PREFIX}last_success_timestamp_seconds"
OWN = "prisma_postgres_exporter_"
HANGING_SECONDS = 60
"""Longer than any wait of these tests."""


@pytest.fixture
def two_workspaces() -> Iterator[Vendor]:
    """A vendor with two workspaces and six databases."""
    with vendor(workspaces=2, databases=6) as running:
        yield running


@contextmanager
def serving(directory: Path, api_url: str, *, store_url: str = "sqlite:///ledger.db") -> Iterator[Exporter]:
    """Run `serve` with `config.yaml` and `tokens` of the directory; no token is in anything that it showed."""
    config = directory / "config.yaml"
    if not config.exists():
        write_config(config, credentials=[{"token_file": str(directory / "tokens")}])
    options = ("--config", str(config), "--api-url", api_url, "--store-url", store_url)
    with exporter("serve", *options, cwd=directory, as_command_line=True) as running:
        try:
            yield running
        finally:
            assert_no_token(running)


def assert_no_token(running: Exporter) -> None:
    shown = [running.output]
    if running.is_alive:
        shown += [running.get(path).text for path in ("/metrics", "/", "/-/ready", "/-/healthy")]
        shown += [*psutil.Process(running.pid).cmdline(), psutil.Process(running.pid).name()]
    assert [text for text in shown if TOKEN_MARK in text] == []


def everything_of(running: Exporter, count: int) -> Samples:
    """Wait until every database was read once."""
    return running.scrape_when(
        lambda samples: len(samples.labels(TOTAL, "database_id")) == count, f"{count} databases were read"
    )


@contextmanager
def simulator(directory: Path) -> Iterator[tuple[Running, str, list[str]]]:
    """Run the `simulator` command; gives it with its URL and its tokens."""
    with command("simulator", "--port", "0", "--databases", "20", cwd=directory) as running:
        url = running.wait_for(r"Management API at (\S+)")
        yield running, url, running.wait_for(r"tokens: (\S+)\n").split(",")


@pytest.fixture(params=BOTH_ENGINES)
def store_url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty store, on both engines."""
    if request.param == "sqlite":
        return "sqlite:///ledger.db"
    url: str = request.getfixturevalue("postgres_url")
    return url


def test_killed_and_started_again_it_shows_everything_before_the_vendor_answers(tmp_path: Path, store_url: str) -> None:
    with simulator(tmp_path) as (vendor_process, url, tokens):
        write_tokens(tmp_path / "tokens", **{f"workspace-{number}": token for number, token in enumerate(tokens)})
        databases = len(_documents(url))
        with serving(tmp_path, url, store_url=store_url) as first:
            everything_of(first, databases)
            # From here on each round is under way for long: the kill strikes in the middle of one.
            slow = {"kind": "slow", "call": "usage", "seconds": HANGING_SECONDS}
            assert fetch(f"{url}/simulator/faults", method="POST", document=slow).status == 201
            _wait_for_calls(url, "usage")
            before = first.scrape()
            first.kill()
        vendor_process.send(signal.SIGSTOP)
        with serving(tmp_path, url, store_url=store_url) as second:
            assert second.get("/-/ready").status == 200
            after = second.scrape()
            assert_nothing_is_missing(before, after)
            vendor_process.send(signal.SIGCONT)
            assert fetch(f"{url}/simulator/faults", method="DELETE").status == 204
            read_again_at = datetime.now(UTC).timestamp()

            def has_been_read_again(samples: Samples) -> bool:
                assert_no_counter_fell(after, samples)
                read_at = [value for (name, _), value in samples.items() if name == LAST_SUCCESS]
                return len(read_at) == databases and min(read_at) > read_again_at

            second.scrape_when(has_been_read_again, "every database was read again")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_in_the_middle_of_a_round_ends_it_at_once_with_0_and_keeps_what_was_read(
    tmp_path: Path, two_workspaces: Vendor, number: signal.Signals
) -> None:
    write_tokens(tmp_path / "tokens", one="simulator-token-1", two="simulator-token-2")
    hanging, *others = two_workspaces.database_ids
    two_workspaces.faults.add(Fault(kind=FaultKind.SLOW, call="usage", database_id=hanging, seconds=HANGING_SECONDS))
    with serving(tmp_path, two_workspaces.url) as running:
        # Each of the others is asked for several windows; the first round ends only with the one that hangs.
        wait_until(lambda: two_workspaces.simulator.requests["usage"] > len(others), "readings")
        running.send(number)
        assert running.wait(8) == 0
    two_workspaces.stop()
    with serving(tmp_path, two_workspaces.url) as again:
        assert again.scrape().labels(TOTAL, "database_id") != set()


@pytest.mark.slow
def test_a_signal_in_the_middle_of_a_discovery_ends_it_at_once_with_0(tmp_path: Path, two_workspaces: Vendor) -> None:
    write_tokens(tmp_path / "tokens", one="simulator-token-1")
    two_workspaces.faults.add(Fault(kind=FaultKind.SLOW, call="me", seconds=HANGING_SECONDS))
    with serving(tmp_path, two_workspaces.url) as running:
        wait_until(lambda: two_workspaces.simulator.requests["me"], "a discovery")
        running.send(signal.SIGTERM)
        assert running.wait(8) == 0


def test_a_second_signal_leaves_at_once(tmp_path: Path, two_workspaces: Vendor) -> None:
    write_tokens(tmp_path / "tokens", one="simulator-token-1")
    with serving(tmp_path, two_workspaces.url) as running, closing(sqlite3.connect(tmp_path / "ledger.db")) as other:
        everything_of(running, 3)
        # Another program keeps the store to itself: the round under way waits to write, and the first signal with it.
        other.execute("BEGIN IMMEDIATE")
        two_workspaces.wait_for_calls("usage")
        running.send(signal.SIGTERM)
        running.wait_for("stopping")
        running.send(signal.SIGTERM)
        assert running.wait(3) == 130


@pytest.mark.slow
def test_a_wrong_token_is_down_with_a_reason_and_the_others_go_on(tmp_path: Path, two_workspaces: Vendor) -> None:
    write_tokens(tmp_path / "tokens", good="simulator-token-1", wrong="simulator-token-of-nobody")
    with serving(tmp_path, two_workspaces.url) as running:
        samples = everything_of(running, 3)
        assert samples.value(f"{OWN}credential_up", credential="good") == 1
        assert samples.value(f"{OWN}credential_up", credential="wrong") == 0
        page = running.get("/").text
        assert re.search(r"wrong.*401", page, re.DOTALL)
        running.scrape_when(lambda later: (later.value(f"{OWN}rounds_total") or 0) > 2, "further rounds")
        assert running.output.count("credential failing") == 1


@pytest.mark.slow
def test_a_replaced_token_file_is_noticed(tmp_path: Path, two_workspaces: Vendor) -> None:
    tokens = write_tokens(tmp_path / "tokens", only="simulator-token-of-nobody")
    with serving(tmp_path, two_workspaces.url) as running:
        running.scrape_when(
            lambda samples: samples.value(f"{OWN}credential_up", credential="only") == 0, "the wrong token is refused"
        )
        replace_file(tokens / "only", "simulator-token-2")
        samples = everything_of(running, 3)
        assert samples.value(f"{OWN}credential_up", credential="only") == 1


@pytest.mark.slow
def test_a_bad_configuration_is_refused_with_its_problems_and_a_good_one_takes_its_place(
    tmp_path: Path, two_workspaces: Vendor
) -> None:
    write_tokens(tmp_path / "tokens", one="simulator-token-1", two="simulator-token-2")
    credentials = [{"token_file": str(tmp_path / "tokens")}]
    with serving(tmp_path, two_workspaces.url) as running:
        everything_of(running, 6)
        good = running.scrape().value(f"{OWN}config_reload_success")
        write_config(tmp_path / "config.yaml", credentials=credentials, pol={}, discovery={"interval": "soon"})
        answer = running.post("/-/reload")
        assert (good, answer.status) == (1, 500)
        assert "did you mean poll?" in answer.text
        assert "discovery.interval" in answer.text
        running.scrape_when(lambda samples: samples.value(f"{OWN}config_reload_success") == 0, "the refusal shows")
        running.send(signal.SIGHUP)
        wait_until(lambda: running.output.count("configuration not reloaded") == 2, "the second refusal")
        before = everything_of(running, 6)
        running.scrape_when(lambda after: _rounds(after) > _rounds(before) + 1, "rounds go on")

        hidden = two_workspaces.database_ids[0]
        write_config(
            tmp_path / "config.yaml", credentials=credentials, discovery={"exclude": {"databases": [f"^{hidden}$"]}}
        )
        running.send(signal.SIGHUP)
        running.wait_for("configuration reloaded")
        after = everything_of(running, 5)
        assert hidden not in after.labels(INFO, "database_id")
        assert after.value(f"{OWN}config_reload_success") == 1
        assert running.post("/-/reload").text == "reloaded\n"

        # What a restart alone can change is named to whoever asked, and on the page, until it is taken back.
        store = {"keep_readings": "9d"}
        write_config(tmp_path / "config.yaml", credentials=credentials, store=store)
        answer = running.post("/-/reload")
        named = fetch(f"{running.url}/").text
        write_config(tmp_path / "config.yaml", credentials=credentials)
        assert (answer.status, running.post("/-/reload").text) == (200, "reloaded\n")
        assert "store.keep_readings" in answer.text
        assert "store.keep_readings" in named
        assert "store.keep_readings" not in fetch(f"{running.url}/").text


@pytest.mark.slow
def test_it_is_ready_and_healthy_while_the_vendor_is_down(tmp_path: Path, two_workspaces: Vendor) -> None:
    two_workspaces.stop()
    write_tokens(tmp_path / "tokens", one="simulator-token-1")
    with serving(tmp_path, two_workspaces.url) as running:
        assert running.get("/-/healthy").status == 200
        wait_until(lambda: running.get("/-/ready").status == 200, "it is ready")
        samples = running.scrape_when(
            lambda samples: bool(samples.named(f"{OWN}api_request_failures_total")), "the vendor is down"
        )
        assert not samples.named(DATA_PREFIX)
        # Nobody has said yet whether the token is good.
        assert samples.value(f"{OWN}credential_up", credential="one") is None


@pytest.mark.slow
def test_a_store_that_cannot_be_written_keeps_the_snapshot_and_recovers(tmp_path: Path, two_workspaces: Vendor) -> None:
    write_tokens(tmp_path / "tokens", one="simulator-token-1", two="simulator-token-2")
    with serving(tmp_path, two_workspaces.url) as running:
        before = everything_of(running, 6)
        unlimited = resource.prlimit(running.pid, resource.RLIMIT_FSIZE)
        # A file size limit of nothing is a full disk that root has too.
        resource.prlimit(running.pid, resource.RLIMIT_FSIZE, (0, unlimited[1]))
        after = running.scrape_when(
            lambda samples: (samples.value(f"{OWN}store_errors_total") or 0) >= 2, "the store failed twice"
        )
        assert_nothing_is_missing(before, after)
        assert "cannot write the store" in running.get("/").text
        assert running.output.count("store not writable") == 1
        resource.prlimit(running.pid, resource.RLIMIT_FSIZE, unlimited)
        running.wait_for("store writable again")
        later = running.scrape_when(
            lambda samples: (
                sum(samples[key] for key in before if key[0] == TOTAL)
                > sum(value for key, value in before.items() if key[0] == TOTAL)
            ),
            "the counters go on",
        )
        assert_no_counter_fell(before, later)


@pytest.mark.slow
def test_a_database_that_answers_404_disappears_when_discovery_agrees(tmp_path: Path, two_workspaces: Vendor) -> None:
    write_tokens(tmp_path / "tokens", one="simulator-token-1", two="simulator-token-2")
    gone, *others = two_workspaces.database_ids
    with serving(tmp_path, two_workspaces.url) as running:
        before = everything_of(running, 6)
        two_workspaces.faults.add(Fault(kind=FaultKind.NOT_FOUND, call="usage", database_id=gone))
        failing = running.scrape_when(lambda samples: samples.value(UP, database_id=gone) == 0, "the database fails")
        two_workspaces.wait_for_calls("databases")
        for _ in range(2):
            two_workspaces.wait_for_calls("databases")
        assert failing.value(TOTAL, database_id=gone) == running.scrape().value(TOTAL, database_id=gone)
        assert_no_counter_fell(before, failing)

        two_workspaces.world.delete_database(gone, at=datetime.now(UTC))
        after = running.scrape_when(
            lambda samples: gone not in samples.labels(INFO, "database_id"), "the database is gone"
        )
        assert [key for key in after if ("database_id", gone) in key[1]] == []
        assert after.labels(TOTAL, "database_id") == set(others)
        # With another workspace it may have moved: the next discovery knows.
        running.scrape_when(
            lambda samples: samples.value(f"{OWN}events_total", subject="database", kind="deleted") == 1,
            "it is deleted",
        )


@pytest.mark.parametrize(
    "zone",
    [
        "America/New_York",
        *(
            pytest.param(zone, marks=pytest.mark.slow)
            for zone in ("CST-8", "UTC0", '"Europe/Rome"', "Nowhere/Atlantis")
        ),
    ],
)
def test_it_runs_in_every_time_zone_of_the_machine(zone: str, tmp_path: Path, two_workspaces: Vendor) -> None:
    write_tokens(tmp_path / "tokens", one="simulator-token-1", two="simulator-token-2")
    config = write_config(tmp_path / "config.yaml", credentials=[{"token_file": str(tmp_path / "tokens")}])
    options = ("--config", str(config), "--api-url", two_workspaces.url, "--store-url", "sqlite:///ledger.db")
    # An interpreter of its own: a time zone is read when one starts.
    with exporter("serve", *options, cwd=tmp_path, environ={"TZ": zone}, as_command_line=True) as running:
        before = everything_of(running, 6)
        running.scrape_when(lambda after: _rounds(after) > _rounds(before) + 4, "rounds go on")
        assert "Traceback" not in running.output
        begins_at = before.value(
            "prisma_postgres_usage_period_start_timestamp_seconds", workspace_id=_workspace(before)
        )
        assert begins_at == month_start(datetime.now(UTC)).timestamp()


def _workspace(samples: Samples) -> str:
    return min(samples.labels("prisma_postgres_workspace_info", "workspace_id"))


def _rounds(samples: Samples) -> float:
    return samples.value(f"{OWN}rounds_total") or 0.0


def _documents(url: str) -> list[object]:
    databases: list[object] = json.loads(fetch(f"{url}/simulator/world").text)["databases"]
    return databases


def _wait_for_calls(url: str, name: str) -> None:
    def calls() -> int:
        count: int = json.loads(fetch(f"{url}/simulator/requests").text)["counts"][name]
        return count

    before = calls()
    wait_until(lambda: calls() > before, f"a call of {name}")
