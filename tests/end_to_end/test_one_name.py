"""One store, one instant, every door: a number of one name and subject is the same wherever it is told."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
import shutil
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from constant_life import Given, follow, say
from lived_store import CREATED_AT, ENDS_AT, live_discovery, live_round
from processes import parse_metrics, write_config
from store_values import database, discovered

from prisma_postgres_exporter.config import Config, load_config
from prisma_postgres_exporter.cost import HISTORY, charge
from prisma_postgres_exporter.documents import FORM_VERSION, collect_answer
from prisma_postgres_exporter.expose import ExporterHealth, Exposition, ServiceStatus, describe, web_app
from prisma_postgres_exporter.model import Discovered
from prisma_postgres_exporter.service import LedgerReader
from prisma_postgres_exporter.snapshot import Snapshot, take_snapshot
from prisma_postgres_exporter.store import Store

GIB = 2**30
BEGUN_AT = datetime(2026, 10, 22, 8, tzinfo=UTC)
NOW = datetime(2026, 11, 3, 16, tzinfo=UTC)
MONTH = f"{NOW:%Y-%m}"
GIVEN = Given(per_day=lambda day: 9_000_000 + day.day, storage_bytes=(60 * GIB, 7 * GIB))
COST = {"budgets": [{"name": "all", "monthly_usd": 100}, {"name": "one", "monthly_usd": 9, "databases": ["db_1"]}]}
PLANS = [{"workspace": "wksp_1", "plan": "Starter"}, {"workspace": "wksp_2", "plan": "Free"}]
LEVELS = ("workspace", "project", "database")
TELLING = {"level"}
"""Says which kind of row it is, in one door only."""
NAMED_ALIKE = {
    "workspace_month_to_date_operations": "operations",
    "workspace_month_average_storage_bytes": "mean_storage_bytes",
    "workspace_month_storage_covered_ratio": "storage_covered_ratio",
    "workspace_month_usage_complete": "is_usage_complete",
    "workspace_databases": "database_count",
    "workspace_up": "is_up",
    "workspace_usage_blocked": "is_usage_blocked",
    "database_up": "is_up",
    "budget_forecast_usd": "expected_usd",
}
"""Metrics whose key in a document is another one: their names say of what, and keys need not."""
BY_COMPONENT = {"workspace_month_to_date_cost_usd", "database_month_to_date_cost_usd"}
"""What is known of each part of a cost: `known_fee_usd` and so on in a document."""
METRICS_ALONE = {
    "database_info",
    "database_created_timestamp_seconds",
    "database_usage_timestamp_seconds",
    "database_last_success_timestamp_seconds",
    "database_window_operations",
    "database_revisions_total",
    "workspace_info",
    "workspace_month_operations_covered_ratio",
    "usage_period_start_timestamp_seconds",
    "workspace_unpriced",
    "workspace_usage_charges_usd",
    "workspace_forecast_month_operations",
    "workspace_forecast_month_average_storage_bytes",
    "workspace_forecast_month_cost_usd",
    "workspace_spend_limit_counted_usd",
    "workspace_limit_reached_timestamp_seconds",
    "budget_threshold_ratio",
}
"""What no document has as one number under one key: by label, or in another unit."""
Subject = tuple[str, ...]
Told = Mapping[tuple[Subject, str], Mapping[str, str]]


SLOW = pytest.mark.slow


@pytest.fixture(
    scope="module",
    params=["lived", "with-gaps", pytest.param("whole", marks=SLOW), pytest.param("just-begun", marks=SLOW)],
)
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Told:
    """What every door says at one instant of one store: by subject and name, the value by door.

    One store knows everything, one has gaps, in one databases came, went and moved, and one was begun in a month in
    which a database was created.
    """
    folder = tmp_path_factory.mktemp("told")
    url = f"sqlite:///{folder / 'store.db'}"
    plans = PLANS if request.param in {"lived", "just-begun"} else []
    config = write_config(folder / "config.yaml", cost={**COST, "workspaces": plans})
    if request.param == "lived":
        shutil.copy(request.getfixturevalue("lived_file"), folder / "store.db")
        now = ENDS_AT
    elif request.param == "just-begun":
        with closing(Store.open(url)) as store:
            begin(store)
        now = ENDS_AT
    else:
        days_from = BEGUN_AT.date() if request.param == "with-gaps" else date(2026, 1, 1)
        follow(url, GIVEN, [BEGUN_AT + number * timedelta(hours=8) for number in range(38)], days_from=days_from)
        now = NOW
    found: dict[tuple[Subject, str], dict[str, str]] = defaultdict(dict)
    for door, document in _documents(url, ("--config", str(config), "--store-url", url), now):
        subject = _subject(document)
        for name, value in document.items():
            if name not in TELLING and not isinstance(value, list | dict):
                found[subject, name][door] = _plain(value)
    return found


def test_a_number_has_one_value_wherever_it_is_told(told: Told) -> None:
    different = {key: doors for key, doors in told.items() if len(set(doors.values())) > 1}

    assert different == {}


def test_a_part_of_a_cost_is_in_the_metrics_where_it_is_in_documents(told: Told) -> None:
    """Of whom `/metrics` shows: workspaces, and databases that are there; never a 0 of what nobody read."""
    shown = {subject for (subject, _), said in told.items() if "metrics" in said and subject[0] and subject[4] == MONTH}
    parts = [f"known_{component}_usd" for component in ("fee", "operations", "storage")]
    told_in_json = [(subject, name) for subject in shown for name in parts if told.get((subject, name))]

    assert told_in_json
    for key in told_in_json:
        said = told[key]
        assert said.get("metrics", "") == said["collect"], (key, said)


def begin(store: Store) -> None:
    """The last days of a month in which a database of each workspace was created; no month before was followed."""
    now = ENDS_AT - timedelta(days=4)
    live_discovery(store, store.load(now), discovered(4, workspaces=2, at=now))
    young = tuple(database(number, workspace=number % 2 + 1, created_at=CREATED_AT) for number in (5, 6))
    live_discovery(store, store.load(now), Discovered(at=now, databases=young))
    while now <= ENDS_AT:
        live_round(store, store.load(now), now)
        now += timedelta(hours=12)


def test_every_door_is_asked_and_tells_what_others_tell_too(told: Told) -> None:
    doors: dict[str, int] = defaultdict(int)
    for said in told.values():
        for door in said:
            doors[door.split(" ")[0]] += len(said) > 1

    assert set(doors) == {"cost", "top", "compare", "report", "export", "collect", "/api/v1", "metrics", "page"}
    assert min(doors.values()) > 3, doors
    assert sum(len(said) > 2 for said in told.values()) > 100


def test_every_data_metric_has_its_key_or_is_known_to_have_none(told: Told) -> None:
    names = {family.name.removeprefix("prisma_postgres_") for family in describe() if "_exporter_" not in family.name}
    keys = {name for _, name in told}

    lacking = {name for name in names - METRICS_ALONE - BY_COMPONENT if _key(name) not in keys}
    assert lacking == set()
    assert names >= METRICS_ALONE


def _documents(url: str, options: Sequence[str], now: datetime) -> Iterable[tuple[str, dict[str, Any]]]:
    """Every document of every door."""

    def answer(*arguments: str) -> Any:
        printed = say(now, *arguments, *options).json
        assert (printed["version"], set(printed) >= {"data"}) == (FORM_VERSION, True)
        return printed["data"]

    def rows(*arguments: str) -> list[dict[str, Any]]:
        return list(csv.DictReader(io.StringIO(say(now, *arguments, *options).output)))

    for by in LEVELS:
        for month in (MONTH, "2026-10"):
            asked = ("--by", by, "--month", month)
            yield from _of("cost json", answer("cost", *asked, "--json"))
            yield from _of("cost csv", rows("cost", *asked, "--csv"))
            yield from _of("top json", answer("top", *asked, "--json"))
            yield from _of("top csv", rows("top", *asked, "--csv"))
        supposed = answer("cost", "--by", by, "--what-if", "operations=x1", "--json")
        yield from _of("cost what-if", [_without(row, "last_month_usd", "change_") for row in supposed])
        for change in answer("compare", "--by", by, "--json"):
            yield "compare json", {**change, "month": MONTH}
            yield from _of("compare json", [side for side in (change["month_before"], change["month_after"]) if side])
        for row in rows("compare", "--by", by, "--csv"):
            for side in ("month_before_", "month_after_"):
                if row[f"{side}workspace_id"]:
                    yield "compare csv", {name.removeprefix(side): row[name] for name in row if name.startswith(side)}
    for month in (MONTH, "2026-10"):
        report = answer("report", "--month", month, "--format", "json")
        yield "report total", {**report["total"], "month": month, "missing": report["missing"]}
        yield from _of("report budgets", [{**budget, "month": month} for budget in report["budgets"]])
        for workspace in report["workspaces"]:
            yield from _of("report json", [workspace, *workspace["projects"], *workspace["databases"]])
            yield from _of("report by-day", workspace["by_day"])
        yield from _of("report csv", rows("report", "--month", month, "--format", "csv"))
    for what, period in (("months", "month"), ("days", "day")):
        for row in rows("export", what):
            yield f"export {what}", {**_without(row, "read_at"), "period": row.pop(period)}
        for line in say(now, "export", what, "--format", "jsonl", *options).output.splitlines():
            document = json.loads(line)
            yield f"export {what} jsonl", {**_without(document, "read_at"), "period": document.pop(period)}
    yield from _served(url, load_config(config_path=options[1], store_url=url, environ={}), now)


def _served(url: str, config: Config, now: datetime) -> Iterable[tuple[str, dict[str, Any]]]:
    """What `collect`, the JSON API and the metrics say."""
    with closing(Store.open_to_read(url)) as store:
        state = store.load(now)
        costs = charge(state, config, store.workspace_days((now - HISTORY).date()), now)
    snapshot = take_snapshot(
        state,
        followed=state.databases.keys(),
        workspace_failures=dict.fromkeys(state.workspaces),
        silent_after=timedelta(hours=16),
        keep_last_value=timedelta(days=2),
        window_names=(),
        now=now,
        costs=costs,
    )
    collected = json.loads(collect_answer(snapshot).model_dump_json())
    assert collected["version"] == FORM_VERSION
    yield from _of("collect", [*collected["data"]["workspaces"], *collected["data"]["databases"]])
    yield from asyncio.run(_asked(config, snapshot, now))


async def _asked(config: Config, snapshot: Snapshot, now: datetime) -> list[tuple[str, dict[str, Any]]]:
    exposition = Exposition(ExporterHealth())
    exposition.render(snapshot)
    status = ServiceStatus(version="1", now_at=now, started_at=now, api_url="", store_url="", snapshot=snapshot)
    found: list[tuple[str, dict[str, Any]]] = []
    with closing(LedgerReader(lambda: config, lambda: now)) as ledger:
        app = web_app(exposition, lambda: status, None, snapshot=lambda: snapshot, ledger=ledger)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://exporter") as client:
            whole = (await client.get("/api/v1/cost")).json()
            part = (await client.get("/api/v1/cost?workspace=wksp_1")).json()
            assert (whole["total"]["days"] >= part["data"][0]["days"], part["total"]) == (True, None)
            for path in (
                "workspaces",
                "databases",
                f"databases/{snapshot.databases[0].database_id}",
                "budgets",
                *(f"cost?by={by}&month={month}" for by in LEVELS for month in (MONTH, "2026-10")),
                *(f"usage?by=month&group={by}&from=2026-10-01" for by in LEVELS),
                *(f"usage?by=day&group={by}&from=2026-10-01" for by in LEVELS),
            ):
                answer = (await client.get(f"/api/v1/{path}")).json()
                assert answer["version"] == FORM_VERSION
                data = answer["data"] if isinstance(answer["data"], list) else [answer["data"]]
                found += _of(f"/api/v1 {path}", data)
            for view in snapshot.workspaces:
                found += await _of_pages(client, view.workspace_id)
            metrics = parse_metrics((await client.get("/metrics")).text)
    for (name, labels), value in metrics.items():
        own = name.removeprefix("prisma_postgres_")
        if own in BY_COMPONENT:
            found.append(("metrics", {**dict(labels), f"known_{dict(labels)['component']}_usd": value}))
        elif "exporter_" not in name and own not in METRICS_ALONE and name.startswith("prisma_postgres_"):
            is_flag = _key(own).startswith("is_")
            found.append(("metrics", {**dict(labels), _key(own): bool(value) if is_flag else value}))
    return found


async def _of_pages(client: httpx.AsyncClient, workspace_id: str) -> Iterable[tuple[str, dict[str, Any]]]:
    """What the pages of a workspace and of its projects say of cost and operations."""

    async def page(path: str) -> str:
        answer: httpx.Response = await client.get(f"/{path}")
        assert answer.status_code == 200
        return answer.text

    whole = await page(f"workspaces/{workspace_id}")
    table = whole.partition('aria-label="Projects"')[2].partition("</tbody>")[0].partition("<tbody")[2]
    rows = table.split("</tr>")[:-1]
    costs = [_amount(row.rpartition('data-label="Cost">')[2].partition("<")[0]) for row in rows]
    so_far = _amount(_cards(whole)["November so far"])
    assert sum(map(Decimal, costs)) == Decimal(so_far)
    found = _of("page of workspace", [{"workspace_id": workspace_id, "known_usd": so_far}])
    for row, cost in zip(rows, costs, strict=True):
        ids = re.findall(r"projects/(\w+)", row)
        project = {"workspace_id": workspace_id, "project_id": ids[0] if ids else None}
        if not ids:
            continue  # its databases are all deleted: the sum has it
        cards = _cards(await page(f"projects/{ids[0]}"))
        operations = _amount(cards["Operations in November"])
        assert _amount(re.findall(r'data-label="Operations" title="([^"]*)"', row)[0]) == operations
        found += _of("page of workspace", [{**project, "known_usd": cost}])
        found += _of("page of project", [{**project, "known_usd": _amount(cards["Cost in November so far"])}])
        found += _of("page of project", [{**project, "operations": operations}])
    return found


def _cards(page: str) -> Mapping[str, str]:
    return dict(re.findall(r'<section class="card"><h2>([^<]*)</h2><p class="\w+">([^<]*)', page))


def _amount(said: str) -> str:
    return re.sub(r"^(at least |about |≥ |≈ )|[$,]", "", said)


def _of(door: str, documents: Iterable[Mapping[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    return [(door, dict(document)) for document in documents]


def _key(metric: str) -> str:
    """A metric's key in a document."""
    return NAMED_ALIKE.get(metric) or metric.split("_", 1)[1]


def _subject(document: Mapping[str, Any]) -> Subject:
    """Who or which budget a document is about, and of which day or month: of this one where it says none."""
    ids = tuple(document.get(name) or "" for name in ("workspace_id", "project_id", "database_id", "budget"))
    return (*ids, document.get("period") or document.get("month") or MONTH)


def _without(document: Mapping[str, Any], *beginnings: str) -> dict[str, Any]:
    return {name: value for name, value in document.items() if not name.startswith(beginnings)}


def _plain(value: object) -> str:
    """A value as text, the same for JSON and CSV."""
    if value is None or isinstance(value, bool):
        return "" if value is None else str(value).lower()
    text = str(value)
    try:
        return f"{float(text):.6f}"
    except ValueError:
        return text


def test_what_was_not_there_last_month_has_no_usage_then_cost_nothing_and_changes_by_its_cost(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    options = ("--config", str(write_config(tmp_path / "config.yaml", cost={"workspaces": PLANS})), "--store-url", url)
    with closing(Store.open(url)) as store:
        begin(store)

    table = say(ENDS_AT, "compare", "--by", "database", *options).output
    compared = say(ENDS_AT, "compare", "--by", "database", "--json", *options).json["data"]
    costs = say(ENDS_AT, "cost", "--by", "database", "--json", *options).json["data"]

    young = {row["database_id"]: row for row in compared if row["month_before"] is None}
    assert {id_: row["change_usd"] for id_, row in young.items()} == {"db_5": "0.00", "db_6": "8.43"}
    for row in costs:
        if row["database_id"] in young:
            assert (row["last_month_usd"], row["change_usd"]) == ("0.00", row["expected_usd"])
    # It was not there, so it cost nothing then. What was there and was read in part has no change.
    cost_table = say(ENDS_AT, "cost", "--by", "database", "--wide", *options).output
    assert _cells(table, "database 6 ") == [
        *("–", "156,960", "+152,640", "18 of 18", "–", "4.04"),
        *("0.00", "about 5.96", "about +8.43", "about 8.43"),
    ]
    assert _cells(cost_table, "database 6 ")[-3:] == ["0.00", "about +8.43", "–"]
    assert _cells(table, "database 4 ")[-4:] == ["about 4.00", "about 6.04", "–", "about 8.53"]
    assert _cells(cost_table, "database 4 ")[-3:] == ["about 4.00", "–", "–"]


def _cells(table: str, name: str) -> list[str]:
    """A line of a table, without the names before its numbers."""
    (line,) = (line for line in table.splitlines() if name in line)
    return re.split(r"\s{2,}", line.strip())[3:]
