"""`cost` as a process: what it prints of a real store, and of wrong arguments."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from constant_life import Given, follow, say
from lived_store import BEGINS_AT, live_discovery, live_round
from processes import DATA_PREFIX, exporter, run, vendor, write_config
from store_values import discovered

from prisma_postgres_exporter.store import Store

TOKENS = {"PRISMA_POSTGRES_TOKEN": "simulator-token-1,simulator-token-2"}
DATABASES = 6


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sequence[str]]:
    """A store with a round in it, and a configuration with a budget; commands here only read the store."""
    tmp_path = tmp_path_factory.mktemp("ledger")
    cost = {"budgets": [{"name": "all", "monthly_usd": 100}, {"name": "unused", "monthly_usd": 1, "databases": ["^$"]}]}
    config = write_config(tmp_path / "config.yaml", poll={"interval": "5m", "requests_per_second": 1000}, cost=cost)
    store = ("--store-url", f"sqlite:///{tmp_path / 'ledger.db'}")
    with vendor(workspaces=2, databases=DATABASES) as api:
        arguments = ("--config", str(config), *store)
        assert run("collect", *arguments, "--api-url", api.url, cwd=tmp_path, environ=TOKENS).returncode == 0
        with exporter("serve", *arguments, "--api-url", api.url, cwd=tmp_path, environ=TOKENS) as service:
            name = f"{DATA_PREFIX}month_to_date_cost_usd"
            service.scrape_when(lambda seen: len(seen.labels(name, "database_id")) == DATABASES, "every cost")
            shown = service.scrape()
            assert shown.value("prisma_postgres_budget_limit_usd", budget="all") == 100
            assert shown.value("prisma_postgres_budget_spent_usd", budget="unused") is None
            service.wait_for("budget 'unused' matches nothing")
        yield arguments


def test_every_form_says_the_same(options: Sequence[str], tmp_path: Path) -> None:
    workspaces = json.loads(run("cost", *options, "--json", cwd=tmp_path).stdout)["data"]
    table = run("cost", *options, cwd=tmp_path)
    listed = run("cost", *options, "--by", "database", "--csv", cwd=tmp_path).stdout
    databases = list(csv.DictReader(io.StringIO(listed)))

    assert len(workspaces) == 2
    assert len(databases) == DATABASES
    # The hours before the first reading are not known: it is at least so much.
    known = [Decimal(row["known_usd"]) for row in workspaces]
    assert sum(Decimal(row["known_usd"]) for row in databases) == sum(known)
    assert all(f"{amount:,.2f}" in table.stdout for amount in known)
    assert "Compute, Accelerate, tax and credit are not in it" in table.stdout
    assert table.returncode == 0


@pytest.fixture(scope="module")
def ten_days(tmp_path_factory: pytest.TempPathFactory) -> Sequence[str]:
    """Options for a store that has ten days of November, of 18 million operations each on Pro."""
    folder = tmp_path_factory.mktemp("constant")
    url = f"sqlite:///{folder / 'store.db'}"
    given = Given(per_day=lambda _: 9_000_000, storage_bytes=(2**30, 2**30))
    follow(url, given, [datetime(2026, 11, 1, tzinfo=UTC) + number * timedelta(hours=8) for number in range(31)])
    return ("--config", str(write_config(folder / "config.yaml")), "--store-url", url)


def test_the_total_says_where_the_month_is_meant_to_end(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    at = BEGINS_AT + timedelta(days=20)
    with closing(Store.open(url)) as store:
        live_discovery(store, store.load(BEGINS_AT), discovered(4, workspaces=2, at=BEGINS_AT))
        for number in range(41):
            now = BEGINS_AT + number * timedelta(hours=12)
            live_round(store, store.load(now), now)
    plans = [{"workspace": f"wksp_{number}", "plan": "Starter"} for number in (1, 2)]
    config = write_config(tmp_path / "config.yaml", cost={"workspaces": plans})

    def lines(*arguments: str) -> list[str]:
        return say(at, "cost", *arguments, "--config", str(config), "--store-url", url).output.splitlines()

    rows = say(at, "cost", "--json", "--config", str(config), "--store-url", url).json["data"]
    low, high = (f"{sum(Decimal(row[side]) for row in rows):,.2f}" for side in ("low_usd", "high_usd"))

    assert len(rows) == 2
    (total,) = (line for line in lines() if line.startswith("total"))
    assert f"{low} - {high}" in total
    for by in ("workspace", "project"):
        assert any(line.endswith(f" USD ({low} to {high})") for line in lines("--by", by))
    assert not any(line.startswith("Expected of") for line in lines("--month", "2026-10"))


@pytest.mark.parametrize("minutes", [4, 300])
def test_what_another_plan_would_cost(minutes: int, ten_days: Sequence[str]) -> None:
    at = datetime(2026, 11, 11, tzinfo=UTC) + timedelta(minutes=minutes)
    table = say(at, "cost", *ten_days, "--what-if", "plan=business", "--what-if", "operations=x2")
    own = say(at, "cost", *ten_days, "--json").json["data"]
    supposed = say(at, "cost", *ten_days, "--json", "--what-if", "operations=x2").json["data"]

    offers = r"^Acme, the whole month by plan, cheapest first: business 1,159.00, "
    assert re.search(offers, table.output + table.errors, re.MULTILINE)
    # As the vendor writes its plans, beside those that the vendor has named.
    assert "Business" in table.output
    assert "business" not in table.output.partition("cheapest first")[0]
    assert "Last month's cost is the real one: the change is from it to what is supposed" in table.output + table.errors
    assert sum(row["operations"] for row in supposed) == 2 * sum(row["operations"] for row in own)


def test_one_workspace_alone_is_told_and_supposed(options: Sequence[str], tmp_path: Path) -> None:
    every = json.loads(run("cost", *options, "--json", cwd=tmp_path).stdout)
    [first, _] = every["data"]
    for name in (first["workspace_id"], first["workspace_name"]):
        alone = json.loads(run("cost", *options, "--json", "--workspace", name, cwd=tmp_path).stdout)
        assert [row["workspace_id"] for row in alone["data"]] == [first["workspace_id"]]
        assert (alone["data"][0]["known_usd"], alone["data"][0]["share_percent"]) == (first["known_usd"], 100)
    supposed = run("cost", *options, "--what-if", "plan=business", "--workspace", first["workspace_name"], cwd=tmp_path)

    assert supposed.returncode == 0
    assert supposed.stdout.count("the whole month by plan, cheapest first") == 1
    assert first["workspace_name"] in supposed.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--workspace", "Acma"), "--workspace: no workspace of the ledger is called 'Acma', nor has it as its id"),
        (("--month", "november"), "--month november: not a month; write it like 20"),
        (("--month", "2999-01"), "--month 2999-01: has not begun; this month is "),
        (("--what-if", "plan=porr"), "--what-if plan=porr: no such plan; known are business, free, pro, starter"),
        (("--json", "--csv"), "--json and --csv: give one of them"),
    ],
)
def test_wrong_arguments_are_told(
    arguments: Sequence[str], message: str, options: Sequence[str], tmp_path: Path
) -> None:
    answer = run("cost", *arguments, *options, cwd=tmp_path)

    assert answer.returncode == 2
    assert message in answer.stderr
    assert answer.stderr.count("error:") == 1


def test_without_a_store_it_says_so(tmp_path: Path) -> None:
    answer = run("cost", cwd=tmp_path)

    assert answer.returncode == 1
    assert "prisma-postgres-exporter.db" in answer.stderr
    assert list(tmp_path.iterdir()) == []


def test_check_names_what_fits_nothing(options: Sequence[str], tmp_path: Path) -> None:
    answer = run("check", *options, "--api-url", "http://127.0.0.1:9", cwd=tmp_path, environ=TOKENS)

    assert "budget 'unused' matches nothing; look at its expressions" in answer.stdout


def test_a_month_that_is_over_is_whole(options: Sequence[str], tmp_path: Path) -> None:
    month = f"{datetime.now(UTC).year - 1}-01"

    answer = run("cost", *options, "--month", month, "--json", cwd=tmp_path)

    assert answer.returncode == 0
    assert all(row["expected_usd"] is None for row in json.loads(answer.stdout)["data"])


def test_what_is_said_of_workspaces_is_in_the_order_of_the_table(options: Sequence[str], tmp_path: Path) -> None:
    names = [row["workspace_name"] for row in json.loads(run("cost", *options, "--json", cwd=tmp_path).stdout)["data"]]
    included = {"included_operations": 10**12, "included_storage": "1000GiB"}
    for dearest, other in (names, names[::-1]):
        told = [
            {
                "workspace": name,
                "spend_limit_usd": 1,
                "prices": {"plan": "own", "version": "1", "fee_usd": fee, **included},
            }
            for name, fee in ((dearest, 900), (other, 1))
        ]
        config = write_config(tmp_path / "limits.yaml", cost={"workspaces": told})
        shown = run("cost", "--config", str(config), *options[2:], cwd=tmp_path).stdout
        limits = [line.partition(":")[0] for line in shown.splitlines() if ": Spend limit: " in line]

        assert limits == [dearest, other], shown
