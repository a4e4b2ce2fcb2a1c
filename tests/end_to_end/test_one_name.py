"""One store, one instant, every door: a number of one name and subject is the same wherever it is told."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from constant_life import Given, follow, say
from processes import parse_metrics, write_config

from prisma_postgres_exporter.config import load_config
from prisma_postgres_exporter.cost import HISTORY, charge
from prisma_postgres_exporter.expose import ExporterHealth, Exposition, ServiceStatus, web_app
from prisma_postgres_exporter.service import LedgerReader
from prisma_postgres_exporter.snapshot import take_snapshot
from prisma_postgres_exporter.store import Store

GIB = 2**30
BEGUN_AT = datetime(2026, 10, 22, 8, tzinfo=UTC)
NOW = datetime(2026, 11, 3, 16, tzinfo=UTC)
GIVEN = Given(per_day=lambda day: 9_000_000 + day.day, storage_bytes=(60 * GIB, 7 * GIB))
NOT_NUMBERS = {"month", "plan", "reasons", "cost", "name", "read_at", "level", "rank", "period"}
METRICS = {
    "month_to_date_operations": "month_to_date_operations",
    "month_storage_covered_ratio": "storage_covered_ratio",
    "month_average_storage_bytes": "month_average_storage_bytes",
    "included_operations": "included_operations",
    "storage_bytes": "storage_bytes",
}
Subject = tuple[str, str, str]


@pytest.mark.parametrize("days_from", [date(2026, 1, 1), BEGUN_AT.date()])
async def test_a_number_has_one_value_wherever_it_is_told(days_from: date, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    config = write_config(tmp_path / "config.yaml")
    options = ("--config", str(config), "--store-url", url)
    instants = [BEGUN_AT + number * timedelta(hours=8) for number in range(38)]
    follow(url, GIVEN, instants, days_from=days_from)
    told: dict[tuple[Subject, str], dict[str, str]] = defaultdict(dict)

    def tell(door: str, documents: Iterable[Mapping[str, Any]]) -> None:
        for document in documents:
            subject = tuple(document.get(f"{name}_id") or "" for name in ("workspace", "project", "database"))
            for name, value in document.items():
                if name not in NOT_NUMBERS and not isinstance(value, list | dict):
                    told[subject, name][door] = _plain(value)  # type: ignore[index]  # three ids

    for by in ("workspace", "project", "database"):
        tell(f"cost {by}", say(NOW, "cost", "--by", by, "--json", *options).json)
        tell(f"cost {by} csv", _rows(say(NOW, "cost", "--by", by, "--csv", *options).output))
        tell(f"top {by}", say(NOW, "top", "--by", by, "--json", *options).json["data"])
        compared = say(NOW, "compare", "--by", by, "--json", *options).json["data"]
        tell(f"compare {by}", (_of_later_month(row) for row in compared))
    (workspace,) = say(NOW, "report", "--format", "json", *options).json["workspaces"]
    tell("report", [workspace, *workspace["projects"], *workspace["databases"]])
    tell("report csv", _rows(say(NOW, "report", "--format", "csv", *options).output))
    tell("export months", _rows(say(NOW, "export", "months", "--from", "2026-11", *options).output))
    for path, documents in (await _served(url)).items():
        tell(path, documents)

    different = {key: doors for key, doors in told.items() if len(set(doors.values())) > 1}
    assert different == {}
    assert len(told) > 100
    assert sum(len(doors) > 1 for doors in told.values()) > 60


async def _served(url: str) -> dict[str, list[dict[str, Any]]]:
    """What the JSON API and the metrics say."""
    config = load_config(store_url=url, environ={})
    with closing(Store.open_to_read(url)) as store:
        state = store.load(NOW)
        costs = charge(state, config, store.workspace_days((NOW - HISTORY).date()), NOW)
    snapshot = take_snapshot(
        state,
        followed=state.databases.keys(),
        workspace_failures={},
        interval=timedelta(hours=8),
        keep_last_value=timedelta(days=2),
        window_names=(),
        now=NOW,
        costs=costs,
    )
    exposition = Exposition(ExporterHealth())
    exposition.render(snapshot)
    status = ServiceStatus(version="1", now_at=NOW, started_at=NOW, api_url="", store_url="")
    found: dict[str, list[dict[str, Any]]] = {}
    with closing(LedgerReader(lambda: config, lambda: NOW)) as ledger:
        app = web_app(exposition, lambda: status, None, snapshot=lambda: snapshot, ledger=ledger)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://exporter") as client:
            for path in (
                "workspaces",
                "databases",
                *(f"cost?by={by}" for by in ("workspace", "project", "database")),
                *(f"usage?by=month&group={by}" for by in ("workspace", "project", "database")),
            ):
                found[path] = (await client.get(f"/api/v1/{path}")).json()["data"]
            metrics = parse_metrics((await client.get("/metrics")).text)
    found["metrics"] = [
        {**dict(labels), METRICS[name.removeprefix("prisma_postgres_workspace_")]: value}
        for (name, labels), value in metrics.items()
        if name.removeprefix("prisma_postgres_workspace_") in METRICS
    ] + [
        {**dict(labels), METRICS[name.removeprefix("prisma_postgres_database_")]: value}
        for (name, labels), value in metrics.items()
        if name.removeprefix("prisma_postgres_database_") in METRICS
    ]
    return found


def _of_later_month(row: Mapping[str, Any]) -> dict[str, Any]:
    """A comparison's numbers of the later month, by the names that they have elsewhere."""
    ids = {name: value for name, value in row.items() if name.endswith("_id")}
    return {**ids, **{name.removesuffix("_after"): value for name, value in row.items() if name.endswith("_after")}}


def _rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def _plain(value: object) -> str:
    """A value as text, the same for JSON and CSV."""
    if value is None or isinstance(value, bool):
        return "" if value is None else str(value).lower()
    text = str(value)
    try:
        return f"{float(text):.6f}"
    except ValueError:
        return text
