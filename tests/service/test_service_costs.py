"""The costs in force: kept in the store by services, used by whoever has none of its own."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path

import pytest
import yaml
from structlog.testing import capture_logs

from longer import BOTH_ENGINES
from prisma_postgres_exporter.config import (
    Config,
    FeeShare,
    costs_document,
    differing_costs,
    load_config,
    with_costs,
)
from prisma_postgres_exporter.errors import StoreMissing, StoreTooNew, StoreUnavailable
from prisma_postgres_exporter.expose import ExporterHealth
from prisma_postgres_exporter.rounds import Collector
from prisma_postgres_exporter.service import costs_in_force, open_to_read, reading
from prisma_postgres_exporter.service.costs import CostKeeper
from prisma_postgres_exporter.service.opening import api_maker
from prisma_postgres_exporter.store import Store
from prisma_postgres_exporter.store.tables import cost_configuration

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
EVERYTHING = {
    "fee_share": "equal",
    "workspaces": [
        {
            "workspace": "Acme",
            "spend_limit_usd": 12.34,
            "prices": {
                "plan": "own",
                "version": "1",
                "from": "2026-01-01",
                "fee_usd": None,
                "included_operations": 5,
                "included_storage": "10GiB",
                "usd_per_million_operations": 0.001,
            },
        },
        {"workspace": "Globex", "plan": "pro"},
    ],
    "budgets": [
        {"name": "bäckers", "monthly_usd": 0.1, "thresholds": [0.25, 1], "databases": ["(?i)^a.*$", "b"]},
    ],
}


def configured(tmp_path: Path, **cost: object) -> Config:
    """A configuration with a `cost` section."""
    path = tmp_path / f"config-{len(list(tmp_path.iterdir()))}.yaml"
    path.write_text(yaml.safe_dump({"cost": cost}))
    return load_config(config_path=str(path), environ={"PRISMA_POSTGRES_TOKEN": "synthetic-token"})


@pytest.fixture(params=BOTH_ENGINES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    is_sqlite = request.param == "sqlite"
    url = f"sqlite:///{tmp_path / 'store.db'}" if is_sqlite else request.getfixturevalue("postgres_url")
    with closing(Store.open(url)) as opened:
        yield opened


def keeping(config: Config, store: Store, threads: ThreadPoolExecutor) -> Collector:
    """A collector with a clock that goes on, of which nothing is asked but what is in force and in the store."""
    minutes = count(1)
    return Collector(
        config=config,
        store=store,
        health=ExporterHealth(),
        clock=lambda: NOW + next(minutes) * timedelta(minutes=1),
        store_threads=threads,
        make_api=api_maker(ExporterHealth()),
    )


# The document -------------------------------------------------------------------------------------
def test_a_document_holds_every_key_of_the_section_and_gives_it_back(tmp_path: Path) -> None:
    config = configured(tmp_path, **EVERYTHING)

    text = costs_document(config)
    back = with_costs(load_config(environ={}), text)

    assert (back.cost, back.prices) == (config.cost, config.prices)
    assert back.cost.fee_share is FeeShare.EQUAL
    assert back.cost.budgets[0].databases == (re.compile("(?i)^a.*$"), re.compile("b"))
    assert back.cost.workspaces[0].spend_limit_usd == Decimal("12.34")
    assert differing_costs(back, config) == ()
    assert costs_document(back) == text
    assert "synthetic-token" not in text


def test_a_price_file_goes_along_as_its_rows(tmp_path: Path) -> None:
    row = {"plan": "own", "version": "1", "fee_usd": 7, "included_operations": 0, "included_storage": 0}
    prices = tmp_path / "prices.yaml"
    prices.write_text(yaml.safe_dump({"prices": [row]}))
    config = configured(tmp_path, prices_file=str(prices))
    text = costs_document(config)
    prices.unlink()

    assert with_costs(load_config(environ={}), text).prices == config.prices
    assert differing_costs(config, load_config(environ={})) == ("prices",)


@pytest.mark.parametrize(
    ("key", "value"),
    [("fee_share", "equal"), ("workspaces", EVERYTHING["workspaces"]), ("budgets", EVERYTHING["budgets"])],
)
def test_a_difference_is_named(key: str, value: object, tmp_path: Path) -> None:
    assert differing_costs(configured(tmp_path, **{key: value}), load_config(environ={})) == (key,)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"version": 2, "cost": {}, "prices": []}', "many"])
def test_a_document_of_another_kind_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - pydantic's, with a text of its own
        with_costs(load_config(environ={}), text)


# What reports use ---------------------------------------------------------------------------------
def test_without_a_section_the_stores_costs_are_used(store: Store, tmp_path: Path) -> None:
    service, plain = configured(tmp_path, **EVERYTHING), load_config(environ={})
    assert costs_in_force(store, plain) == (plain, None)
    store.keep_costs(costs_document(service), NOW)

    in_force, note = costs_in_force(store, plain)

    assert (in_force.cost, in_force.prices, note) == (service.cost, service.prices, None)


def test_a_section_that_was_given_wins_and_a_difference_is_said(store: Store, tmp_path: Path) -> None:
    service, own = configured(tmp_path, **EVERYTHING), configured(tmp_path, budgets=EVERYTHING["budgets"])
    store.keep_costs(costs_document(service), NOW)

    in_force, note = costs_in_force(store, own)
    same = costs_in_force(store, service)

    assert in_force is own
    assert note == (
        f"costs are those of {own.sources.cost}; those in the store, in force at the service since "
        "2026-11-23 12:00 UTC, differ in fee_share, workspaces"
    )
    assert same == (service, None)


def test_an_empty_section_that_was_given_means_the_defaults(store: Store, tmp_path: Path) -> None:
    store.keep_costs(costs_document(configured(tmp_path, **EVERYTHING)), NOW)
    empty = configured(tmp_path)

    in_force, note = costs_in_force(store, empty)

    assert in_force is empty
    assert note is not None


def test_costs_that_this_version_cannot_read_are_told(store: Store, tmp_path: Path) -> None:
    newer = json.loads(costs_document(load_config(environ={})))
    newer["cost"]["tax_of_tomorrow"] = 1
    store.keep_costs(json.dumps(newer), NOW)
    own = configured(tmp_path)

    with pytest.raises(StoreTooNew, match=r"was written by version .* or give a `cost` section of your own"):
        costs_in_force(store, load_config(environ={}))
    assert costs_in_force(store, own)[0] is own
    assert list(store.violations(NOW)) == []


# What services write ------------------------------------------------------------------------------
def keep(*keepers: CostKeeper) -> list[dict[str, object]]:
    with capture_logs() as logs:
        for keeper in keepers:
            asyncio.run(keeper.keep())
    return [dict(line) for line in logs]


def test_a_service_writes_its_costs_once_and_again_after_a_change(store: Store, tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as threads:
        collector = keeping(configured(tmp_path, **EVERYTHING), store, threads)
        keeper = CostKeeper(collector)

        first = keep(keeper)
        written = store.costs()
        nothing = keep(keeper, CostKeeper(collector))
        collector.reconfigure(configured(tmp_path, fee_share="storage"))
        second = keep(keeper)

    assert [line["event"] for line in (*first, *second)] == ["cost configuration stored"] * 2
    assert nothing == []
    assert written is not None
    assert written.document == costs_document(configured(tmp_path, **EVERYTHING))
    changed = store.costs()
    assert changed is not None
    assert changed.document == costs_document(collector.config)
    assert changed.written_at > written.written_at


def test_of_two_services_the_newest_wins_and_the_other_says_so_once(store: Store, tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as threads:
        one = CostKeeper(keeping(configured(tmp_path, **EVERYTHING), store, threads))
        other_config = configured(tmp_path, fee_share="storage")
        other = CostKeeper(keeping(other_config, store, threads))

        began = keep(one, other)
        warned = keep(one, other, one, other, one)

    assert [line["log_level"] for line in began] == ["info", "info"]
    assert [(line["log_level"], line["event"]) for line in warned] == [
        ("warning", "another service stored another cost configuration: reports use that one")
    ]
    assert one.rivalry is not None
    assert "give both the same `cost` section" in one.rivalry
    assert other.rivalry is None
    assert costs_in_force(store, load_config(environ={}))[0].cost == other_config.cost


def test_a_row_that_was_removed_is_written_again(store: Store, tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as threads:
        keeper = CostKeeper(keeping(configured(tmp_path, **EVERYTHING), store, threads))
        keep(keeper)
        with store._writer.begin() as connection:
            connection.execute(cost_configuration.delete())
        assert store.costs() is None
        keep(keeper)

    assert store.costs() is not None


def test_a_store_that_fails_is_written_later(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise StoreUnavailable("the disk is full")

    with ThreadPoolExecutor(1) as threads:
        keeper = CostKeeper(keeping(configured(tmp_path, **EVERYTHING), store, threads))
        with monkeypatch.context() as patch:
            patch.setattr(Store, "keep_costs", fail)
            [warned] = keep(keeper)
        later = keep(keeper)

    assert (warned["log_level"], warned["error"]) == ("warning", "the disk is full")
    assert [line["event"] for line in later] == ["cost configuration stored"]


# A place without a store --------------------------------------------------------------------------
def test_where_a_service_keeps_its_store_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = tmp_path / "service.db"
    theirs.touch()
    monkeypatch.setattr(reading, "SERVICES_FILE", theirs)
    monkeypatch.chdir(tmp_path)

    with pytest.raises(StoreMissing) as told:
        open_to_read(load_config(environ={}))

    assert str(told.value) == (
        f"no store here: {tmp_path}/prisma-postgres-exporter.db does not exist, or is empty (from the default, "
        f"relative to the current directory); the service's is at {theirs}: --store-url sqlite:///{theirs}"
    )
