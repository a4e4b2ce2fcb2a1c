"""`backfill` as a process: beside a service, killed, cut off, with bad input, and into a real Prometheus."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode

import pytest
from processes import (
    DATA_PREFIX,
    Exporter,
    Vendor,
    command,
    exporter,
    fetch,
    program,
    run,
    vendor,
    wait_until,
    write_config,
    write_tokens,
)
from test_prometheus import needs_program

from longer import BOTH_ENGINES
from ports import free_port
from prisma_postgres_exporter.model import day_start
from prisma_postgres_exporter.simulator import Fault, FaultKind
from prisma_postgres_exporter.store import Store

ONE_DAY = timedelta(days=1)
DATABASES = 4
DAYS = 20


@pytest.fixture
def api() -> Iterator[Vendor]:
    with vendor(workspaces=2, databases=DATABASES) as running:
        yield running


@pytest.fixture(params=BOTH_ENGINES)
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgres":
        url = request.getfixturevalue("postgres_url")
        assert isinstance(url, str)
        return url
    return f"sqlite:///{tmp_path / 'ledger.db'}"


@pytest.fixture
def options(tmp_path: Path, api: Vendor, store_url: str) -> list[str]:
    write_tokens(tmp_path / "tokens", one="simulator-token-1", two="simulator-token-2")
    config = write_config(tmp_path / "config.yaml", credentials=[{"token_file": str(tmp_path / "tokens")}])
    return ["--config", str(config), "--api-url", api.url, "--store-url", store_url]


def last_day() -> date:
    """The last day of the month before the last: nothing reads so far back by itself."""
    return (datetime.now(UTC).date().replace(day=1) - ONE_DAY).replace(day=1) - ONE_DAY


def span() -> list[str]:
    return ["--from", str(last_day() - (DAYS - 1) * ONE_DAY), "--to", str(last_day())]


def ledger(store_url: str, *, to_day: date | None = None) -> dict[tuple[int, date], int]:
    store = Store.open(store_url)
    try:
        return {(row.database_key, row.day): row.operations for row in store.days(to_day=to_day or last_day())}
    finally:
        store.close()


def truth(api: Vendor, store_url: str) -> dict[tuple[int, date], int]:
    store = Store.open(store_url)
    try:
        states = store.load(datetime.now(UTC)).databases
    finally:
        store.close()
    days = [last_day() - back * ONE_DAY for back in range(DAYS)]
    return {
        (state.key, day): api.world.operations(id_, day_start(day), day_start(day) + ONE_DAY)
        for id_, state in states.items()
        for day in days
        if day >= state.database.created_at.date()
    }


@pytest.mark.slow
def test_days_of_the_past_come_into_the_ledger_beside_a_running_service(
    options: list[str], store_url: str, api: Vendor, tmp_path: Path
) -> None:
    with exporter("serve", *options, cwd=tmp_path) as service:
        before = counters(service)

        done = run("backfill", *options, *span(), cwd=tmp_path)

        assert done.returncode == 0, done.stderr
        assert re.search(r"\d+ days to be read, one request each", done.stderr)
        assert f"0 failed\n{len(truth(api, store_url))} days read into the ledger; no days missing." in done.stderr
        # The counter moves by what is used now, and by no day of the past.
        yesterday = day_start(datetime.now(UTC).date() - ONE_DAY)
        used_since = {id_: api.world.operations(id_, yesterday, datetime.now(UTC)) for id_ in before}
        assert all(counters(service)[id_] - value < used_since[id_] for id_, value in before.items())
    assert ledger(store_url) == truth(api, store_url)

    asked = api.simulator.requests["usage"]
    again = run("backfill", *options, *span(), cwd=tmp_path)
    assert again.returncode == 0
    assert f"all in the ledger ({len(truth(api, store_url))} days)" in again.stderr
    assert api.simulator.requests["usage"] == asked


@pytest.mark.slow
def test_many_that_write_the_same_days_at_once_leave_an_exact_ledger(
    options: list[str], store_url: str, api: Vendor, tmp_path: Path
) -> None:
    fast = ["--requests-per-second", "50"]
    with exporter("serve", *options, cwd=tmp_path) as service:
        before = counters(service)
        with ExitStack() as both:
            writers = [
                both.enter_context(command("backfill", *options, *span(), *fast, cwd=tmp_path)) for _ in range(2)
            ]
            collected = [run("collect", *options, cwd=tmp_path) for _ in range(2)]
            assert [writer.wait(60) for writer in writers] == [0, 0], [writer.output for writer in writers]
        assert [done.returncode for done in collected] == [0, 0], [done.stderr for done in collected]
        # And the service goes on writing.
        wait_until(
            lambda: all(counters(service)[id_] > value for id_, value in before.items()), "every counter to go on"
        )
        assert service.get("/-/healthy").status == 200
    assert ledger(store_url) == truth(api, store_url)
    assert run("store", "check", *options[:2], *options[4:], cwd=tmp_path).returncode == 0


def counters(service: Exporter) -> dict[str, float]:
    """The counter of every database, once all are there."""
    name = f"{DATA_PREFIX}operations_total"
    samples = service.scrape_when(lambda seen: len(seen.labels(name, "database_id")) == DATABASES, "every counter")
    return {dict(labels)["database_id"]: value for (found, labels), value in samples.items() if found == name}


def test_a_killed_backfill_goes_on_where_it_was(
    options: list[str], store_url: str, api: Vendor, tmp_path: Path
) -> None:
    slowly = ["--requests-per-second", "1000"]
    with command("backfill", *options, *span(), "--requests-per-second", "2", cwd=tmp_path) as killed:
        # Some reads of its first part are made by now, and nothing of it is stored.
        api.wait_for_calls("usage")
        killed.kill()
    assert run("backfill", *options, *span(), *slowly, cwd=tmp_path).returncode == 0
    assert ledger(store_url) == truth(api, store_url)


def test_a_dry_run_says_what_it_would_take_and_reads_nothing(
    options: list[str], store_url: str, api: Vendor, tmp_path: Path
) -> None:
    done = run("backfill", *options, *span(), "--dry-run", "--requests-per-second", "2", cwd=tmp_path)

    assert done.returncode == 0
    assert f"{DATABASES} databases, {last_day() - (DAYS - 1) * ONE_DAY} to {last_day()} (UTC): no days" in done.stderr
    assert "At 2.0 requests a second for each workspace that takes " in done.stderr
    assert api.simulator.requests["usage"] == 0
    assert "warning: no store here" in done.stderr
    assert not (tmp_path / "ledger.db").exists()
    assert ledger(store_url) == {}
    assert "warning" not in run("backfill", *options, *span(), "--dry-run", cwd=tmp_path).stderr


def test_a_dry_run_of_one_database_does_not_tell_of_several(tmp_path: Path) -> None:
    environ = {"PRISMA_POSTGRES_TOKEN": "simulator-token-1"}
    with vendor(workspaces=1, databases=1) as api:
        done = run("backfill", "--api-url", api.url, *span(), "--dry-run", cwd=tmp_path, environ=environ)

    assert done.returncode == 0
    assert f"1 database, {last_day() - (DAYS - 1) * ONE_DAY} to " in done.stderr


def test_one_database_can_be_chosen_by_its_name(
    options: list[str], store_url: str, api: Vendor, tmp_path: Path
) -> None:
    chosen = api.world.databases(datetime.now(UTC))[0]
    api.world.rename_database(chosen.id, "the only one", at=datetime.now(UTC))

    assert run("backfill", *options, *span(), "--database", "the only one", cwd=tmp_path).returncode == 0

    assert len({key for key, _ in ledger(store_url)}) == 1


def test_without_the_vendor_it_says_so_and_leaves_with_one(
    options: list[str], store_url: str, api: Vendor, tmp_path: Path
) -> None:
    assert run("collect", *options, cwd=tmp_path).returncode == 0
    known = ledger(store_url)
    api.stop()

    done = run("backfill", *options, *span(), cwd=tmp_path)

    assert done.returncode == 1
    assert "failed: credential one: " in done.stderr
    assert "Run the same command again" in done.stderr
    assert ledger(store_url) == known


def test_what_the_vendor_refuses_is_told_with_what_to_do_first(options: list[str], api: Vendor, tmp_path: Path) -> None:
    """Not "run the same command again": nothing would be read."""
    assert run("collect", *options, cwd=tmp_path).returncode == 0
    api.faults.add(Fault(kind=FaultKind.PLAN_LIMIT, call="usage"))

    done = run("backfill", *options, *span(), cwd=tmp_path)

    assert done.returncode == 1
    assert "cannot be read now: plan_limit_reached: the vendor blocks the workspace" in done.stderr
    assert "Run the same command again after that" in done.stderr
    assert "to read them" not in done.stderr
    assert run("collect", *options, cwd=tmp_path).returncode == 1
    said = run("backfill", *options, *span(), "--dry-run", cwd=tmp_path).stderr
    assert f"to be read ({DATABASES * DAYS} of them of databases that fail now), one request each" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--from", "yesterday"], "--from yesterday: not a day; write it like 20"),
        (["--from", "2999-01-01"], "--from 2999-01-01: that day is not over yet"),
        (["--from", "2026-02-01", "--to", "2026-01-01"], "--from 2026-02-01 is after --to 2026-01-01"),
        (["--from", "2026-01-01", "--step", "2d"], "--step 2d: longer than a day"),
        (["--from", "2026-01-01", "--step", "often"], "--step 'often' is not a valid duration (30s"),
    ],
)
def test_wrong_arguments_are_told_before_anything_is_asked(arguments: list[str], message: str, tmp_path: Path) -> None:
    done = run("backfill", *arguments, cwd=tmp_path, environ={"PRISMA_POSTGRES_TOKEN": "simulator-token-1"})

    assert done.returncode == 2
    assert message in done.stderr
    assert not (tmp_path / "prisma-postgres-exporter.db").exists()


def test_a_database_that_nobody_knows_is_told_with_the_nearest_name(
    options: list[str], api: Vendor, tmp_path: Path
) -> None:
    chosen = api.world.databases(datetime.now(UTC))[0]
    api.world.rename_database(chosen.id, "production", at=datetime.now(UTC))

    done = run("backfill", *options, *span(), "--database", "prodution", cwd=tmp_path)

    assert done.returncode == 2
    assert "--database prodution: there is none of this name or id; did you mean production?" in done.stderr


@needs_program("prometheus")
@needs_program("promtool")
@pytest.mark.slow
def test_history_loads_into_a_real_prometheus(options: list[str], store_url: str, api: Vendor, tmp_path: Path) -> None:
    written = tmp_path / "history.om"
    assert run("backfill", *options, *span(), "--openmetrics", str(written), cwd=tmp_path).returncode == 0
    stored = tmp_path / "stored"

    loaded = subprocess.run(
        ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(written), str(stored)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert loaded.returncode == 0, loaded.stderr
    address = f"127.0.0.1:{free_port()}"
    (tmp_path / "prometheus.yml").write_text("global: {}\n")
    arguments = [
        f"--config.file={tmp_path / 'prometheus.yml'}",
        f"--storage.tsdb.path={stored}",
        "--storage.tsdb.retention.time=10y",
        f"--web.listen-address={address}",
    ]
    with program("prometheus", *arguments, cwd=tmp_path) as running:
        running.wait_for("Server is ready to receive web requests")
        end = day_start(last_day() + ONE_DAY)
        used = query(address, f"increase({DATA_PREFIX}operations_total[{DAYS}d:1h])", at=end)
        previous = query(address, f"{DATA_PREFIX}previous_day_operations", at=end)
        storage = query(address, f"last_over_time({DATA_PREFIX}storage_bytes[1h])", at=end)

    days = truth(api, store_url)
    ids = {position_id for position_id, _ in days}
    assert len(used) == len(previous) == len(storage) == len(ids) == DATABASES
    assert sorted(previous.values()) == sorted(days[key, last_day()] for key in ids)
    totals = sorted(sum(value for (of, _), value in days.items() if of == key) for key in ids)
    # Prometheus extrapolates an increase to the edges of its range.
    assert sorted(used.values()) == pytest.approx(totals, rel=0.1)


def query(address: str, expression: str, *, at: datetime) -> dict[str, float]:
    """The value of an expression by database."""
    parameters = urlencode({"query": expression, "time": at.timestamp()})

    def answered() -> dict[str, float] | None:
        answer = json.loads(fetch(f"http://{address}/api/v1/query?{parameters}").text)
        assert answer["status"] == "success", answer
        result = answer["data"]["result"]
        return {row["metric"]["database_id"]: float(row["value"][1]) for row in result} or None

    return wait_until(answered, expression)
