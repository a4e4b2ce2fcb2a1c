"""The same store gives the same money to everyone: what services write, and what reports elsewhere print."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path

import pytest
import yaml
from processes import Vendor, exporter, run, vendor, write_config

from longer import BOTH_ENGINES

TOKEN = {"PRISMA_POSTGRES_TOKEN": "simulator-token-1"}
BUDGETS = [{"name": "all", "monthly_usd": 100}]


@pytest.fixture(scope="module")
def api() -> Iterator[Vendor]:
    with vendor(workspaces=1, databases=3) as running:
        yield running


@pytest.fixture(params=BOTH_ENGINES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Sequence[str]:
    is_sqlite = request.param == "sqlite"
    url = f"sqlite:///{tmp_path / 'ledger.db'}" if is_sqlite else request.getfixturevalue("postgres_url")
    return ("--store-url", url)


def own_prices(folder: Path, fee_usd: int) -> Path:
    """A price file in which every plan costs this, so that money tells whose prices were used."""
    prices = [
        {
            "plan": plan,
            "version": "own",
            "fee_usd": fee_usd,
            "included_operations": 10**12,
            "included_storage": "9GiB",
        }
        for plan in ("free", "starter", "pro", "business")
    ]
    file = folder / f"prices-{fee_usd}.yaml"
    file.write_text(yaml.safe_dump({"prices": prices}))
    return file


def reported(*options: str, cwd: Path) -> tuple[set[str], list[str], str]:
    """The fees of a report, the names of its budgets, and what it said on standard error."""
    answer = run("report", "--format", "json", *options, cwd=cwd)
    assert answer.returncode == 0, answer.stderr
    whole = json.loads(answer.stdout)["data"]
    fees = {row["fee_usd"] for row in whole["workspaces"]}
    return fees, [budget["budget"] for budget in whole["budgets"]], answer.stderr


@pytest.mark.slow
def test_reports_of_everyone_have_the_services_money(api: Vendor, store: Sequence[str], tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    prices = own_prices(tmp_path, 7)
    config = write_config(tmp_path / "config.yaml", cost={"budgets": BUDGETS, "prices_file": str(prices)})
    options = ("--config", str(config), *store, "--api-url", api.url)
    with exporter("serve", *options, cwd=tmp_path, environ=TOKEN) as service:
        service.wait_for("cost configuration stored")
        service.scrape_when(lambda seen: seen.named("prisma_postgres_workspace_month"), "a month")
    services = reported("--config", str(config), *store, cwd=tmp_path)
    prices.unlink()

    [fee] = services[0]
    assert Decimal(fee) > 0
    assert services[1:] == (["all"], "")
    assert reported(*store, cwd=elsewhere) == services
    for form in ("html", "markdown", "csv"):
        page = run("report", "--format", form, *store, cwd=elsewhere)
        assert (page.returncode, page.stderr) == (0, "")
    plans = run("cost", "--what-if", "plan=own", *store, cwd=elsewhere)
    assert "no such plan; known are business, free, pro, starter" in plans.stderr


@pytest.mark.slow
def test_whoever_gives_costs_has_those_and_one_line_says_so(api: Vendor, store: Sequence[str], tmp_path: Path) -> None:
    config = write_config(tmp_path / "config.yaml", cost={"budgets": BUDGETS})
    own = write_config(tmp_path / "own.yaml", cost={"budgets": [{"name": "mine", "monthly_usd": 5}]})
    silent = write_config(tmp_path / "silent.yaml")
    collected = run("collect", "--config", str(config), *store, "--api-url", api.url, cwd=tmp_path, environ=TOKEN)
    assert collected.returncode == 0, collected.stderr

    _, budgets, said = reported("--config", str(own), *store, cwd=tmp_path)

    assert budgets == ["mine"]
    assert said.count("\n") == 1
    assert said.startswith(f"note: costs are those of {own}:1; those in the store, in force at the service since ")
    assert said.endswith(" UTC, differ in budgets\n")
    assert reported("--config", str(silent), *store, cwd=tmp_path)[1:] == (["all"], "")
    for command in (("cost",), ("top",), ("compare",), ("export", "focus")):
        assert run(*command, "--config", str(own), *store, cwd=tmp_path).stderr.count("note: costs are those") == 1
    assert run("export", "days", "--config", str(own), *store, cwd=tmp_path).stderr == ""


@pytest.mark.slow
def test_a_round_without_costs_does_not_undo_those_of_a_service(
    api: Vendor, store: Sequence[str], tmp_path: Path
) -> None:
    options = (*store, "--api-url", api.url)
    with_costs = write_config(tmp_path / "config.yaml", cost={"budgets": BUDGETS})
    reset = write_config(tmp_path / "reset.yaml", cost={})
    found = []
    for given in (("--config", str(with_costs)), (), ("--config", str(reset))):
        collected = run("collect", *given, *options, cwd=tmp_path, environ=TOKEN)
        assert collected.returncode == 0, collected.stderr
        found.append(reported(*store, cwd=tmp_path)[1])

    assert found == [["all"], ["all"], []]


def test_a_backup_has_the_costs(api: Vendor, tmp_path: Path) -> None:
    store = ("--store-url", f"sqlite:///{tmp_path / 'ledger.db'}")
    config = write_config(tmp_path / "config.yaml", cost={"budgets": BUDGETS})
    run("collect", "--config", str(config), *store, "--api-url", api.url, cwd=tmp_path, environ=TOKEN)
    copied = run("store", "backup", str(tmp_path / "copy.db"), *store, cwd=tmp_path)

    assert copied.returncode == 0, copied.stderr
    copy = ("--store-url", f"sqlite:///{tmp_path / 'copy.db'}")
    assert reported(*copy, cwd=tmp_path) == reported(*store, cwd=tmp_path)
    assert run("store", "check", *copy, cwd=tmp_path).returncode == 0
    assert "rows of cost_configuration" in run("store", "info", *copy, cwd=tmp_path).stdout


def test_reports_of_the_demo_have_its_budgets(tmp_path: Path) -> None:
    with exporter("demo", cwd=tmp_path, environ={"TMPDIR": str(tmp_path)}) as demo:
        url = demo.wait_for(r"PRISMA_POSTGRES_STORE_URL=(\S+)")
        _, budgets, said = reported("--store-url", url, cwd=tmp_path)

    assert "everything" in budgets
    assert said == ""
