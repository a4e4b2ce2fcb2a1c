"""The demo as somebody meets it: what it prints, what can be pasted, and what its ledger knows of its months."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from processes import DATA_PREFIX, exporter, fetch, run

from prisma_postgres_exporter.cli.demo import cost_of
from prisma_postgres_exporter.cli.options import own_command
from prisma_postgres_exporter.config import Config, PollConfig, StoreConfig
from prisma_postgres_exporter.model import EventKind, month_start, next_month_start, previous_month_start
from prisma_postgres_exporter.service import live_through_the_past
from prisma_postgres_exporter.simulator import ManualClock, demo_simulator, history_begins_at
from prisma_postgres_exporter.store import Store

TOTAL = f"{DATA_PREFIX}operations_total"
MID_MONTH = datetime(2026, 11, 17, 14, 30, tzinfo=UTC)
OTHER_STARTS = (
    datetime(2026, 11, 1, 0, 0, 30, tzinfo=UTC),
    datetime(2026, 11, 3, 5, tzinfo=UTC),
    datetime(2025, 12, 31, 21, tzinfo=UTC),
    datetime(2026, 2, 28, 9, tzinfo=UTC),
)
"""In the past, as `cost` takes no month that did not begin yet."""


def test_the_demo_says_what_to_look_at_and_to_try_and_leaves_nothing_behind(tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    with exporter("demo", cwd=tmp_path, environ={"TMPDIR": str(temporary)}, as_command_line=True) as running:
        running.wait_for("Ctrl-C ends the demo")
        said = running.output
        looked_at = re.findall(r"\n +\d\. (http\S+)", said)
        assert looked_at[0] == f"{running.url}/"
        assert [fetch(url).status for url in looked_at] == [200] * len(looked_at)
        pasted = [line.strip() for line in said.partition("Then try")[2].splitlines() if line.startswith("    ")]
        exports = [line for line in pasted if line.startswith("export ")]
        tried = [line for line in pasted if line not in exports]
        assert (len(exports), len(tried)) == (3, 3)
        answers = [pasted_into_a_shell([*exports, line], cwd=tmp_path) for line in tried]
        assert [answer.returncode for answer in answers] == [0, 0, 1], answers
        environ = dict(re.findall(r"export (\S+)=(\S+)", said))

        samples = running.scrape_when(lambda samples: samples.labels(TOTAL, "database_id"), "the first numbers")
        assert len(samples.labels(f"{DATA_PREFIX}info", "database_id")) >= 15
        assert len(samples.labels("prisma_postgres_workspace_info", "workspace_id")) == 3
        assert len(samples.labels("prisma_postgres_budget_spent_usd", "budget")) == 2
        assert samples.labels("prisma_postgres_workspace_spend_limit_usd", "workspace_id")
        assert sum(samples.named(f"{DATA_PREFIX}revisions_total").values()) == 1
        assert sum(value == 0 for value in samples.named(f"{DATA_PREFIX}up").values()) == 1
        differences = f"{DATA_PREFIX}reconciliation_difference_operations"
        up = {labels for (name, labels), value in samples.items() if name == f"{DATA_PREFIX}up" and value == 1}
        running.scrape_when(
            lambda now: all(now.get((differences, labels)) == 0 for labels in up), "ledger and vendor agree"
        )
        for command in (
            ("check", "--listen", "127.0.0.1:0"),
            ("api", "me"),
            ("backfill", "--from", f"{datetime.now(UTC) - timedelta(days=9):%Y-%m-%d}", "--dry-run"),
            # It exits with 1, as a database fails.
            ("collect",),
        ):
            answer = run(*command, cwd=tmp_path, environ=environ)
            assert answer.returncode == (command == ("collect",)), answer.stdout + answer.stderr
        for month in whole_months(datetime.now(UTC)):
            money = json.loads(run("cost", "--month", f"{month:%Y-%m}", "--json", cwd=tmp_path, environ=environ).stdout)
            assert all(row["is_complete"] for row in money["data"]), money
        # One database of the demo's world fails, as it is meant to, and nothing else is missing.
        found = list(walk(json.loads(run("doctor", "--json", cwd=tmp_path, environ=environ).stdout)["findings"]))
        [missing] = [finding for finding in found if finding["level"] == "problem"]
        assert missing["reason"] == "unavailable"
        running.send(signal.SIGINT)
        assert running.wait() == 0
    assert [path for path in tmp_path.rglob("*") if path != temporary] == []


def pasted_into_a_shell(lines: Sequence[str], *, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", "\n".join(lines)],
        cwd=cwd,
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def walk(findings: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for finding in findings:
        yield finding
        yield from walk(finding["findings"])


@pytest.mark.parametrize(
    ("started", "shown"),
    [
        (".venv/bin/prisma-postgres-exporter", "{folder}/.venv/bin/prisma-postgres-exporter"),
        ("my venv/bin/prisma-postgres-exporter", "'{folder}/my venv/bin/prisma-postgres-exporter'"),
        ("{bin}/prisma-postgres-exporter", "prisma-postgres-exporter"),
        ("/x/prisma_postgres_exporter/__main__.py", "/usr/bin/python3 -m prisma_postgres_exporter"),
    ],
)
def test_what_is_to_be_tried_is_called_as_the_demo_was(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, started: str, shown: str
) -> None:
    found = tmp_path / "prisma-postgres-exporter"
    found.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", [started.format(bin=tmp_path), "demo"])
    monkeypatch.setattr("sys.executable", "/usr/bin/python3")

    assert own_command() == shown.format(folder=tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("now", [MID_MONTH, *(pytest.param(start, marks=pytest.mark.slow) for start in OTHER_STARTS)])
def test_everything_is_known_of_the_demos_months_and_it_is_true(now: datetime, tmp_path: Path) -> None:
    vendor = demo_simulator(ManualClock(now))
    url = f"sqlite:///{tmp_path / 'demo.db'}"
    config = Config(store=StoreConfig(url=url), poll=PollConfig(requests_per_second=1_000), cost=cost_of(vendor))
    asyncio.run(live_through_the_past(vendor.vendor, config, since=history_begins_at(now), now=now))

    for month in whole_months(now):
        answer = run(
            "cost", "--month", f"{month:%Y-%m}", "--json", cwd=tmp_path, environ={"PRISMA_POSTGRES_STORE_URL": url}
        )
        told = json.loads(answer.stdout)
        assert told["followed_late"] == []
        assert told["discovery_gaps"] == []
        assert len(told["data"]) == 3
        for row in told["data"]:
            assert row["is_usage_complete"], row
            assert not row["is_plan_assumed"]
            assert (row["days_known"], row["storage_covered_ratio"]) == (row["days"], 1.0)
            true = vendor.world.workspace_operations(row["workspace_id"], month, next_month_start(month))
            assert 0.9999 * true < row["operations"] <= true
    store = Store.open_to_read(url)
    try:
        [revision] = store.revisions()
        events = list(store.events())
        states = store.load(now).databases
        previews = {row.database.id for row in store.databases() if row.database.name.startswith("pr-")}
    finally:
        store.close()
    [(broken, broken_at)] = vendor.vendor.behaviour.broken_since.items()
    failing = {id_: state.failing_since_at for id_, state in states.items() if state.failing_since_at is not None}
    if now - broken_at > timedelta(minutes=10):  # not in the first minutes of a day
        assert failing.keys() == {broken}
        assert timedelta(0) <= failing[broken] - broken_at.replace(microsecond=0) < timedelta(minutes=10)
    assert revision.operations_before < revision.operations_after
    assert {event.kind for event in events if event.subject_id in previews} == {EventKind.CREATED, EventKind.DELETED}


def test_a_demo_whose_port_is_taken_says_so_before_it_makes_its_world(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        listen = f"127.0.0.1:{other.getsockname()[1]}"
        refused = run("demo", "--listen", listen, cwd=tmp_path)
        nonsense = run("demo", "--listen", "nonsense", cwd=tmp_path)

    assert (refused.returncode, nonsense.returncode) == (2, 2)
    assert f"cannot listen on {listen}: in use by" in refused.stderr
    assert "--listen 127.0.0.1:0 takes a free one" in " ".join(refused.stderr.split())
    assert "Making three workspaces" not in refused.stdout + nonsense.stdout


def whole_months(now: datetime) -> list[datetime]:
    months = [previous_month_start(month_start(now))]
    while previous_month_start(months[-1]) > history_begins_at(now):
        months.append(previous_month_start(months[-1]))
    return months
