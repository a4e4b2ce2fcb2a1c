"""Alerts on their whole way: simulator, service, Prometheus with the shipped rules, Alertmanager, a receiver."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from monitoring import Alert, Monitoring, as_alert, monitoring
from processes import Exporter, command, exporter, fetch, run, wait_until, write_config, write_tokens
from test_prometheus import needs_program

from prisma_postgres_exporter.model import day_start

HISTORY_DAYS = 15
ONE_DAY = timedelta(days=1)
USUAL_OPERATIONS = 20_000
BURST = 1_000_000_000
EVALUATIONS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendor:
    """A simulator in a process of its own: one workspace, in which only `database_id` is used."""

    url: str
    workspace_id: str
    idle_database_id: str
    project_id: str
    database_id: str
    database_name: str

    def make_operations(self, operations: int, at: datetime | None = None) -> None:
        """Let the database make operations, now or in the past."""
        wish = {"database": self.database_id, "operations": operations}
        when = {} if at is None else {"at": at.isoformat()}
        answer = fetch(f"{self.url}/simulator/usage", method="POST", document={**wish, **when})
        assert answer.status == 204, answer.text


@pytest.mark.slow
@needs_program("prometheus")
@needs_program("promtool")
@needs_program("prometheus-alertmanager")
def test_a_jump_that_breaks_a_budget_and_a_limit_sends_exactly_its_alerts(tmp_path: Path) -> None:
    with _vendor(tmp_path) as api, _service(api, tmp_path) as service:
        history = tmp_path / "history.om"
        _backfill(api, history, tmp_path)
        port = service.url.rpartition(":")[2]
        # One service under two names stands for two replicas that show one store.
        targets = (f"127.0.0.1:{port}", f"localhost:{port}")
        with monitoring(targets, history, tmp_path / "monitoring") as seen:
            _wait_for_calm(seen)
            api.make_operations(BURST)
            _wait_for_costs(service, api)

            _wait_for(seen, _broken(api), _messages(api))
            annotations = seen.receiver.received("firing")["/team", _jump(api)]
            service.kill()
            down = as_alert({"alertname": "PrismaPostgresExporterDown"})
            _wait_for(seen, {*_broken(api), down}, {*_messages(api), ("/on-call", down)})

            assert api.database_name in annotations["summary"]
            assert annotations["runbook_url"].endswith("/deploy/runbook.md#prismapostgresoperationsjump")
            assert seen.ever_fired() == {*_broken(api), down}
            assert seen.receiver.received("resolved") == {}
            assert seen.failing_rules() == []


def _broken(api: Vendor) -> set[Alert]:
    """What fires when a burst costs more than the budget and more than the spend limit."""
    limit = {"workspace_id": api.workspace_id, "limit": "spend_limit"}
    return {
        as_alert({"alertname": "PrismaPostgresBudgetThreshold", "budget": "shop", "threshold": "0.5"}),
        as_alert({"alertname": "PrismaPostgresBudgetThreshold", "budget": "shop", "threshold": "1"}),
        as_alert({"alertname": "PrismaPostgresBudgetForecast", "budget": "shop"}),
        as_alert({"alertname": "PrismaPostgresLimitAhead", **limit}),
        as_alert({"alertname": "PrismaPostgresLimitImminent", **limit}),
        _jump(api),
    }


def _messages(api: Vendor) -> set[tuple[str, Alert]]:
    """What the Alertmanager makes of it: nothing that a worse alert says already."""
    limit = {"workspace_id": api.workspace_id, "limit": "spend_limit"}
    return {
        ("/team", as_alert({"alertname": "PrismaPostgresBudgetThreshold", "budget": "shop", "threshold": "1"})),
        ("/team", _jump(api)),
        ("/on-call", as_alert({"alertname": "PrismaPostgresLimitImminent", **limit})),
    }


def _jump(api: Vendor) -> Alert:
    ids = {"workspace_id": api.workspace_id, "project_id": api.project_id, "database_id": api.database_id}
    return as_alert({"alertname": "PrismaPostgresOperationsJump", **ids})


def _wait_for_calm(seen: Monitoring) -> None:
    """Wait until the rules were evaluated for longer than they wait, on everything they need, without an alert."""
    expressions = (
        "count_over_time(budget:prisma_postgres_budget_spent_usd:ratio[1m])",
        "count_over_time(budget:prisma_postgres_budget_forecast_usd:ratio[1m])",
        "count_over_time(database:prisma_postgres_database_day_to_date_operations:same_weekday[1m])",
    )

    def has_evaluated() -> bool:
        found = [seen.values(expression) for expression in expressions]
        return all(values and min(values) >= EVALUATIONS for values in found)

    wait_until(has_evaluated, "evaluations on all that the rules need", 60)
    assert seen.ever_fired() == set()
    assert seen.receiver.received("firing") == {}


def _wait_for_costs(service: Exporter, api: Vendor) -> None:
    """Let the service work costs out as soon as it knows of the burst: else it does once a minute."""
    metrics = ("prisma_postgres_database_day_to_date_operations", "prisma_postgres_database_month_to_date_operations")
    service.scrape_when(
        lambda samples: all((samples.value(metric, database_id=api.database_id) or 0) >= BURST for metric in metrics),
        "the burst",
    )
    assert service.post("/-/reload").status == 200


def _wait_for(seen: Monitoring, firing: set[Alert], messages: set[tuple[str, Alert]]) -> None:
    """Wait until these alerts fire and these messages came, and see that there are no others."""
    wait_until(
        lambda: seen.firing() >= firing and set(seen.receiver.received("firing")) >= messages,
        f"{firing} to fire and {messages} to come",
        60,
    )
    assert seen.firing() == firing
    assert set(seen.receiver.received("firing")) == messages


@contextmanager
def _vendor(directory: Path) -> Iterator[Vendor]:
    options = ("--workspaces", "1", "--databases", "4", "--idle-share", "1", "--revised-share", "0")
    with command("simulator", "--port", "0", *options, cwd=directory) as running:
        url = running.wait_for(r"Management API at (http://\S+)")
        world = json.loads(fetch(f"{url}/simulator/world").text)
        (workspace,) = world["workspaces"]
        database, idle, *_ = sorted(world["databases"], key=lambda found: found["created_at"])
        api = Vendor(
            url=url,
            workspace_id=workspace["id"],
            project_id=database["project_id"],
            database_id=database["id"],
            database_name=database["name"],
            idle_database_id=idle["id"],
        )
        for day in range(1, HISTORY_DAYS + 1):
            api.make_operations(USUAL_OPERATIONS, at=day_start(datetime.now(UTC).date()) - day * ONE_DAY)
        yield api


@contextmanager
def _service(api: Vendor, directory: Path) -> Iterator[Exporter]:
    write_tokens(directory / "tokens", one="simulator-token-1")
    cost = {
        "workspaces": [{"workspace": api.workspace_id, "spend_limit_usd": 7_000}],
        "budgets": [
            {"name": "shop", "monthly_usd": 5_000, "thresholds": [0.5, 1.0]},
            {"name": "idle", "monthly_usd": 10_000, "databases": [f"^{api.idle_database_id}$"]},
        ],
    }
    config = write_config(directory / "config.yaml", credentials=[{"token_file": str(directory / "tokens")}], cost=cost)
    with exporter("serve", "--config", str(config), "--api-url", api.url, cwd=directory) as running:
        running.scrape_when(
            lambda samples: samples.value("prisma_postgres_budget_spent_usd", budget="shop"), "the first cost"
        )
        yield running


def _backfill(api: Vendor, history: Path, directory: Path) -> None:
    """Read two weeks into the ledger, and write all of them but yesterday for Prometheus."""
    today = datetime.now(UTC).date()
    options = ("--config", str(directory / "config.yaml"), "--api-url", api.url)
    days = ("--from", str(today - HISTORY_DAYS * ONE_DAY), "--to", str(today - 2 * ONE_DAY))
    done = run("backfill", *options, *days, "--openmetrics", str(history), cwd=directory)
    assert done.returncode == 0, done.stderr
