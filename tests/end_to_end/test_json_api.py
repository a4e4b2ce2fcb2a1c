"""The JSON API of a running service: the numbers of the metrics and of the commands, and answers to anything."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from processes import DATA_PREFIX, Exporter, exporter, run, vendor, wait_until, write_config

from longer import BOTH_ENGINES

TOKENS = {"PRISMA_POSTGRES_TOKEN": "simulator-token-1,simulator-token-2"}
DATABASES = 6
COST_PARTS = ("fee", "operations", "storage")
FUZZING = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "404", "422"]
"""
Asked = tuple[Exporter, Sequence[str]]


@pytest.fixture(params=BOTH_ENGINES)
def asked(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Asked]:
    """A service that has read everything once and then leaves it, and the options of commands on its store."""
    is_sqlite = request.param == "sqlite"
    store = f"sqlite:///{tmp_path / 'ledger.db'}" if is_sqlite else str(request.getfixturevalue("postgres_url"))
    cost = {"budgets": [{"name": "all", "monthly_usd": 100}]}
    poll = {"interval": "1h", "requests_per_second": 1000, "windows": ["24h"]}
    config = write_config(tmp_path / "config.yaml", poll=poll, discovery={"interval": "1h"}, cost=cost)
    options = ("--config", str(config), "--store-url", store)
    with (
        vendor(workspaces=2, databases=DATABASES) as upstream,
        exporter("serve", *options, "--api-url", upstream.url, cwd=tmp_path, environ=TOKENS) as service,
    ):
        today = datetime.now(UTC).date()

        def has_read_every_day() -> bool:
            days = get(service, "usage", **{"from": str(today.replace(day=1))})["data"]
            return sum(row["operations"] is not None for row in days) == DATABASES * today.day

        def shows_what_is_stored() -> bool:
            page = get(service, "databases")
            # Month and plan are read by themselves: what a database costs may come after its days.
            are_costed = all(row["known_usd"] is not None for row in page["data"])
            return len(page["data"]) == DATABASES and page["taken_at"] > stored_at and are_costed

        wait_until(has_read_every_day, "every day of the month")
        stored_at = datetime.now(UTC).isoformat(timespec="seconds")
        wait_until(shows_what_is_stored, "what is stored is shown")
        yield service, options


def get(service: Exporter, path: str, **parameters: str) -> Any:
    query = urllib.parse.urlencode(parameters)
    answer = service.get(f"/api/v1/{path}" + (f"?{query}" if query else ""))
    assert answer.status == 200, answer.text
    return json.loads(answer.text)


def test_the_numbers_are_those_of_the_metrics(asked: Asked) -> None:
    service, _ = asked
    databases, workspaces = get(service, "databases")["data"], get(service, "workspaces")["data"]
    [budget] = get(service, "budgets")["data"]
    shown = service.scrape()

    assert len(databases) == DATABASES
    for name in ("month_to_date_operations", "operations_total", "storage_bytes"):
        for row in databases:
            assert row[name] == shown.value(f"{DATA_PREFIX}{name}", database_id=row["database_id"]), name
    for row in databases:
        cost = f"{DATA_PREFIX}month_to_date_cost_usd"
        for component in COST_PARTS:
            value = shown.value(cost, database_id=row["database_id"], component=component)
            # The metric is what is known of it; the part of a bill is given where all of it is known.
            assert row[f"{component}_usd"] is None or value == float(row[f"{component}_usd"])
        parts = [
            shown.value(cost, database_id=row["database_id"], component=name)
            for name in ("fee", "operations", "storage")
        ]
        known = sum(part or 0 for part in parts)
        assert float(row["known_usd"]) == pytest.approx(known)
    for row in workspaces:
        value = shown.value("prisma_postgres_workspace_month_to_date_operations", workspace_id=row["workspace_id"])
        assert row["operations"] == value
    assert float(budget["spent_usd"]) == shown.value("prisma_postgres_budget_spent_usd", budget="all")


def test_costs_are_those_of_the_command(asked: Asked, tmp_path: Path) -> None:
    service, options = asked
    for by in ("workspace", "project", "database"):
        answered = get(service, "cost", by=by)
        printed = json.loads(run("cost", *options, "--by", by, "--json", cwd=tmp_path).stdout)["data"]
        moving = ("usd", "bytes", "storage", "percent", "complete")
        same, said = (
            sorted(({key: row[key] for key in row if not any(part in key for part in moving)} for row in rows), key=str)
            for rows in (answered["data"], printed)
        )
        assert same == said
        # The storage part grows by the second between the two readings.
        totals = [sum((Decimal(row["known_usd"]) for row in rows), Decimal(0)) for rows in (answered["data"], printed)]
        assert abs(totals[0] - totals[1]) <= Decimal("0.05")


def test_usage_is_that_of_the_ledger_by_day_and_month_for_every_group(asked: Asked, tmp_path: Path) -> None:
    service, options = asked
    exported = csv.DictReader(io.StringIO(run("export", "days", *options, cwd=tmp_path).stdout))
    days = {(row["day"], row["database_id"]): int(row["operations"]) for row in exported}
    first = min(day for day, _ in days)

    by_database = get(service, "usage", **{"from": first})
    assert {(row["period"], row["database_id"]): row["operations"] for row in by_database["data"]} == days
    assert by_database["next_from"] is None
    for group in ("project", "workspace"):
        rows = get(service, "usage", **{"from": first, "group": group})["data"]
        assert sum(row["operations"] for row in rows) == sum(days.values())
        assert all(row["database_id"] is None for row in rows)
    [one, *_] = get(service, "databases")["data"]
    own = get(service, "usage", **{"from": first, "database": one["database_id"], "group": "workspace"})["data"]
    assert sum(row["operations"] for row in own) == sum(
        count for (_, id_), count in days.items() if id_ == one["database_id"]
    )
    assert get(service, "usage", **{"from": "2020-01-01"}) == {"version": 1, "data": [], "next_from": "2021-01-01"}
    month = get(service, "usage", by="month", group="workspace")["data"]
    assert sum(row["operations"] for row in month) == sum(
        row["operations"] for row in get(service, "cost", by="workspace")["data"]
    )


def test_pages_of_databases_are_the_whole_list(asked: Asked) -> None:
    service, _ = asked
    whole = [row["database_id"] for row in get(service, "databases")["data"]]
    page = get(service, "databases", limit="4")
    rest = get(service, "databases", limit="4", after=page["next_after"])

    assert [row["database_id"] for row in page["data"] + rest["data"]] == whole
    assert rest["next_after"] is None
    [row] = [get(service, f"databases/{id_}")["data"] for id_ in whole[:1]]
    assert row == get(service, "databases")["data"][0]


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("usage?by=week", 400, "by='week' is not accepted; known are day and month"),
        ("usage?group=databse", 400, "did you mean database? known are workspace, project and database"),
        ("usage?frm=2026-11-01", 400, "there is no parameter 'frm'; did you mean from?"),
        ("usage?from=2026-02-30", 400, "from='2026-02-30' is not a day that exists"),
        ("usage?from=yesterday", 400, "from='yesterday' is not a valid day; write it like 2026-11-05"),
        ("usage?by=day&by=month", 400, "by was given more than once"),
        ("usage?from=2999-01-01", 422, "from=2999-01-01 is after to="),
        ("cost?month=2026-13", 400, "month='2026-13' is not a valid month; write it like 2026-11"),
        ("cost?month=2099-01", 422, "month=2099-01 has not begun; this month is "),
        ("cost?project=proj_1", 422, "project is of no use by=workspace"),
        ("databases?limit=0", 400, "limit='0' must be at least 1"),
        ("databases/db_unknown", 404, "there is no database 'db_unknown' now"),
        ("workspaces?limit=1", 400, "there is no parameter 'limit'; this address takes none"),
        ("nowhere", 404, "there is nothing at this address; /api/v1/openapi.json says what there is"),
    ],
)
def test_what_is_wrong_is_told(path: str, status: int, said: str, lasting: Exporter) -> None:
    answer = lasting.get(f"/api/v1/{path}")
    problem = json.loads(answer.text)

    assert (answer.status, problem["status"], problem["type"]) == (status, status, "about:blank")
    assert said in problem["detail"]


def test_a_ledger_that_cannot_be_read_is_told_and_the_rest_goes_on(tmp_path: Path) -> None:
    config = write_config(tmp_path / "config.yaml", poll={"interval": "1h", "requests_per_second": 1000})
    with (
        vendor(workspaces=1, databases=2) as upstream,
        exporter("serve", "--config", str(config), "--api-url", upstream.url, cwd=tmp_path, environ=TOKENS) as service,
    ):
        service.scrape_when(lambda seen: len(seen.labels(f"{DATA_PREFIX}up", "database_id")) == 2, "both databases")
        for file in tmp_path.glob("prisma-postgres-exporter.db*"):
            file.rename(tmp_path / f"away-{file.name}")
        answer = service.get("/api/v1/usage")

        assert answer.status == 503, answer.text
        assert "prisma-postgres-exporter.db" in json.loads(answer.text)["detail"]
        assert len(get(service, "databases")["data"]) == 2


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exporter]:
    """One service for every question that it refuses, and for those that are made up."""
    folder = tmp_path_factory.mktemp("json-api")
    config = write_config(folder / "config.yaml", poll={"interval": "1h", "requests_per_second": 1000})
    with (
        vendor(workspaces=2, databases=DATABASES) as upstream,
        exporter("serve", "--config", str(config), "--api-url", upstream.url, cwd=folder, environ=TOKENS) as service,
    ):
        service.scrape_when(lambda seen: len(seen.labels(f"{DATA_PREFIX}up", "database_id")) == DATABASES, "all")
        yield service


@pytest.mark.slow
def test_whatever_is_asked_the_answer_is_as_the_document_says(lasting: Exporter, tmp_path: Path) -> None:
    settings = tmp_path / "schemathesis.toml"
    settings.write_text(FUZZING)
    arguments = ("--config-file", str(settings), "run", f"{lasting.url}/api/v1/openapi.json", "--checks", "all")
    bounds = ("--max-examples", "40", "--phases", "coverage,fuzzing", "--no-color", "--seed", "1")
    tried = subprocess.run(
        (sys.executable, "-m", "schemathesis.cli", *arguments, *bounds),
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert tried.returncode == 0, tried.stdout + tried.stderr
    assert "6 selected / 6 total" in tried.stdout
