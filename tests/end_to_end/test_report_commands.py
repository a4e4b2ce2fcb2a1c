"""`top`, `report`, `compare` and `export` as processes, on a ledger that has lived for a month."""

from __future__ import annotations

import csv
import io
import json
import shutil
import sqlite3
import subprocess
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from lived_store import live, live_discovery, live_round
from processes import EXPORTER, run, write_config
from store_values import database

from longer import BOTH_ENGINES
from prisma_postgres_exporter.model import Discovered, Workspace
from prisma_postgres_exporter.store import Store

MONTH = ("--month", "2026-11")
WHAT = ("days", "months", "revisions", "events", "focus")


@pytest.fixture(scope="module", params=BOTH_ENGINES)
def options(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Sequence[str]:
    """The store of a month in which one database was made, one moved and one deleted; commands here only read it."""
    folder = tmp_path_factory.mktemp("lived")
    if request.param == "sqlite":
        url = f"sqlite:///{shutil.copy(request.getfixturevalue('lived_file'), folder)}"
    else:
        url = request.getfixturevalue("module_postgres_url")
        with closing(Store.open(url)) as store:
            live(store)
    # What Free costs is known, whatever of its usage is; of the last days nobody read what Starter used.
    plans = [{"workspace": "wksp_1", "plan": "Starter"}, {"workspace": "wksp_2", "plan": "Free"}]
    config = write_config(folder / "config.yaml", cost={"workspaces": plans})
    return ("--config", str(config), "--store-url", url)


def documents(*arguments: str, cwd: Path, returncode: int = 0) -> list[dict[str, str]]:
    answer = run(*arguments, cwd=cwd)
    assert answer.returncode == returncode, answer.stderr
    return list(csv.DictReader(io.StringIO(answer.stdout)))


def by_place(rows: Sequence[dict[str, str]], key: str) -> dict[tuple[str, str], str]:
    return {(row["workspace_id"], row["database_id"]): row[key] for row in rows}


def test_every_report_tells_the_same_numbers(options: Sequence[str], tmp_path: Path) -> None:
    cost = documents("cost", *options, *MONTH, "--by", "database", "--csv", cwd=tmp_path)
    ranked = documents("top", *options, *MONTH, "--limit", "100", "--csv", cwd=tmp_path)
    levels = documents("report", *options, *MONTH, "--format", "csv", cwd=tmp_path)
    compared = documents("compare", "2026-10", "2026-11", *options, "--by", "database", "--csv", cwd=tmp_path)
    days = documents("export", "days", *options, "--from", "2026-11", "--to", "2026-11", cwd=tmp_path)

    months = documents("export", "months", *options, "--from", "2026-11", "--to", "2026-11", cwd=tmp_path)

    operations = by_place(cost, "operations")
    assert len(operations) == len(cost) == 5, "four databases, one of them held by two workspaces"
    assert by_place(ranked, "operations") == operations
    assert by_place([row for row in levels if row["level"] == "database"], "operations") == operations
    held = [row for row in compared if row["month_after_operations"]]
    assert by_place(held, "month_after_operations") == operations
    assert sum(int(row["operations"]) for row in days) == sum(int(row["days_operations"]) for row in months)
    known = [Decimal(row["known_usd"]) for row in levels if row["level"] == "workspace"]
    assert any(known)
    assert sum(known) == sum(Decimal(row["known_usd"]) for row in ranked)
    assert by_place(months, "operations") == operations


def test_a_report_for_people_names_what_happened(options: Sequence[str], tmp_path: Path) -> None:
    answer = run("report", *options, *MONTH, cwd=tmp_path)
    whole = json.loads(run("report", *options, *MONTH, "--format", "json", cwd=tmp_path).stdout)["data"]

    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.startswith("# Prisma Postgres in November 2026\n")
    assert "deleted." in answer.stdout
    assert "(deleted)" in answer.stdout
    assert whole["month"] == "2026-11"
    days = {
        workspace["workspace_id"]: sum(day["operations"] is not None for day in workspace["by_day"])
        for workspace in whole["workspaces"]
    }
    assert days == {"wksp_1": 23, "wksp_2": 14}, "the second workspace has a database since the 10th"


def test_compare_says_why(options: Sequence[str], tmp_path: Path) -> None:
    answer = run("compare", "2026-10", "2026-11", *options, "--by", "database", cwd=tmp_path)

    assert answer.returncode == 0, answer.stderr
    assert "created on 2026-11-05" in answer.stdout
    assert "deleted on 2026-11-20" in answer.stdout
    assert "moved here from" in answer.stdout


@pytest.mark.parametrize("what", WHAT)
def test_every_format_has_the_same_rows(what: str, options: Sequence[str], tmp_path: Path) -> None:
    rows = documents("export", what, *options, cwd=tmp_path, returncode=int(what == "focus"))
    lines = run("export", what, *options, "--format", "jsonl", cwd=tmp_path).stdout.splitlines()
    file = tmp_path / "rows.parquet"
    written = run("export", what, *options, "--format", "parquet", "--output", str(file), cwd=tmp_path)

    assert rows
    assert [json.loads(line).keys() for line in lines] == [row.keys() for row in rows]
    assert pq.read_table(file).num_rows == len(rows)
    assert f"{len(rows)} rows of {what} written to {file}" in written.stderr
    assert ("workspace workspace 1 (wksp_1) is left out" in written.stderr) == (what == "focus")


@pytest.mark.slow
def test_a_workspace_that_was_gone_before_the_month_is_named_and_has_no_row(lived_file: Path, tmp_path: Path) -> None:
    file = shutil.copy(lived_file, tmp_path)
    with closing(sqlite3.connect(file)) as connection:
        gone_at = int(datetime(2026, 10, 20, tzinfo=UTC).timestamp())
        connection.execute("UPDATE workspaces SET gone_at = ? WHERE id = 'wksp_1'", (gone_at,))
        connection.commit()
    config = write_config(tmp_path / "config.yaml", cost={"workspaces": [{"workspace": "wksp_2", "plan": "Free"}]})
    options = ("--config", str(config), "--store-url", f"sqlite:///{file}")

    for command in (("cost", *MONTH, "--csv"), ("export", "focus", "--from", "2026-11", "--to", "2026-11")):
        shown = run(*command, *options, cwd=tmp_path)
        assert shown.returncode == 0, shown.stderr
        assert "Not in it: workspace 1, gone since 2026-10-20." in shown.stderr
        assert "wksp_2" in shown.stdout
        assert "wksp_1" not in shown.stdout
    report = run("report", *MONTH, *options, cwd=tmp_path)
    assert "Not in it: workspace 1, gone since 2026-10-20." in report.stdout


def test_days_of_a_moved_database_stay_with_the_workspace_that_held_them(
    options: Sequence[str], tmp_path: Path
) -> None:
    days = documents("export", "days", *options, cwd=tmp_path)

    holders = [row["workspace_id"] for row in days if row["database_id"] == "db_3"]
    assert sorted(set(holders)) == ["wksp_1", "wksp_2"]
    assert holders == sorted(holders)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("export", "--from", "2026-13"), "--from 2026-13: not a day; write it like 2026-08-31, or a month"),
        (("export", "--from", "2026-11-02", "--to", "2026-11-01"), "--from 2026-11-02 is after --to 2026-11-01"),
        (("export", "--from", "2999-01"), "--from 2999-01: has not begun; today is "),
        (("export", "dais"), "'dais' is not one of 'days', 'months', 'revisions', 'events', 'focus'"),
        (("export", "-o", "nowhere/x.csv"), "--output nowhere/x.csv: cannot be written: No such file or directory"),
        (("compare", "2026-11", "2026-10"), "2026-11 is not before 2026-10: give the earlier month first"),
        (("compare", "october"), "MONTH october: not a month; write it like 20"),
        (("top", "--sort", "price"), "'price' is not one of 'operations', 'storage', 'cost', 'growth'"),
        (("top", "--json", "--csv"), "--json and --csv: give one of them"),
        (("report", "--month", "2999-01"), "--month 2999-01: has not begun"),
    ],
)
def test_wrong_arguments_are_told(
    arguments: Sequence[str], message: str, options: Sequence[str], tmp_path: Path
) -> None:
    answer = run(*arguments, *options, cwd=tmp_path)

    assert answer.returncode == 2
    assert message in " ".join(answer.stderr.replace("│", " ").split())


def test_an_empty_ledger_is_told_and_gives_no_report(tmp_path: Path) -> None:
    options = ("--store-url", f"sqlite:///{tmp_path / 'store.db'}")
    Store.open(options[1]).close()

    commands = [("top",), ("report",), ("compare",), ("cost",), *(("export", what) for what in WHAT)]
    answers = {command: run(*command, *options, cwd=tmp_path) for command in commands}

    assert {command: answer.returncode for command, answer in answers.items()} == dict.fromkeys(commands, 1)
    for answer in answers.values():
        assert answer.stdout == ""
        assert "is empty: nothing was read yet; run `collect` or `serve`" in answer.stderr


def test_a_reader_that_leaves_early_is_no_failure_to_talk_about(options: Sequence[str], tmp_path: Path) -> None:
    with subprocess.Popen(
        (*EXPORTER, "export", *options), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()

    assert said == ""


def test_an_export_of_everything_begins_where_something_is_known(tmp_path: Path) -> None:
    """A workspace without databases has a fee and no days; of the month before the first day there is a sum."""
    url = f"sqlite:///{tmp_path / 'store.db'}"
    at = datetime(2026, 1, 15, 12, tzinfo=UTC)
    empty, used = Workspace(id="wksp_1", name="empty"), Workspace(id="wksp_2", name="used")
    with closing(Store.open(url)) as store:
        live_discovery(store, store.load(at), Discovered(at=at, workspaces=(empty,)))
        later = at + timedelta(days=31)
        row = database(1, workspace=2, created_at=at)
        live_discovery(store, store.load(later), Discovered(at=later, workspaces=(empty, used), databases=(row,)))
        live_round(store, store.load(later), later)
    plan = {"plan": "Starter", "price_version": "2026-08"}
    plans = [{"workspace": name, **plan} for name in ("wksp_1", "wksp_2")]
    config = write_config(tmp_path / "config.yaml", cost={"workspaces": plans})
    options = ("--config", str(config), "--store-url", url, "--to", "2026-02")

    focus = documents("export", "focus", *options, cwd=tmp_path, returncode=1)
    months = documents("export", "months", *options, cwd=tmp_path)

    assert [(row["BillingAccountId"], row["BillingPeriodStart"][:7]) for row in focus] == [
        ("wksp_1", "2026-01"),
        ("wksp_1", "2026-02"),
    ]
    assert [(row["month"], row["days_held"]) for row in months] == [("2026-01", "0"), ("2026-02", "5")]
