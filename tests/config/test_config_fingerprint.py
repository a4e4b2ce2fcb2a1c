"""What of a configuration must be the same in all services on a store, and how a difference is said."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from prisma_postgres_exporter.config import Config, differences, fingerprints, lacks, load_config

WHOLE: dict[str, Any] = {
    "credentials": [{"name": "a", "token": "secret-token"}],
    "push": {
        "remote_write": {
            "url": "https://metrics.example.com/write?key=secret-a",
            "bearer_token": {"value": "secret-a"},
        },
        "labels": {"instance": "a", "site": "x"},
    },
}
WITH: dict[str, dict[str, Any]] = {
    "discovery.exclude": {"discovery": {"exclude": {"databases": ["test"]}}},
    "discovery.interval": {"discovery": {"interval": "9m"}},
    "poll.interval": {"poll": {"interval": "4m"}},
    "poll.adaptive": {"poll": {"adaptive": True}},
    "poll.windows": {"poll": {"windows": ["24h"]}},
    "store.keep_readings": {"store": {"keep_readings": "9d"}},
    "web.shard": {"web": {"shard": "owned"}},
    "web.max_series": {"web": {"max_series": 5000}},
    "push.otlp": {"push": {**WHOLE["push"], "otlp": {"endpoint": "https://otlp.example.com"}}},
    "push.remote_write": {"push": {**WHOLE["push"], "remote_write": {"url": "https://other.example.com/write"}}},
    "push.labels": {"push": {**WHOLE["push"], "labels": {"site": "y"}}},
    "cost.budgets": {"cost": {"budgets": [{"name": "b", "monthly_usd": "5"}]}},
}


def other_than(**sections: Any) -> Config:
    return Config.model_validate({**WHOLE, **sections})


@pytest.mark.parametrize("setting", WITH)
def test_a_setting_that_differs_is_named_alone(setting: str) -> None:
    one, two = fingerprints(other_than()), fingerprints(other_than(**WITH[setting]))
    [difference] = differences([("a", one), ("b", two), ("c", one)])
    assert difference.settings == (setting,)
    assert difference.groups == (("a", "c"), ("b",))
    assert str(difference) == (
        f"processes that share the store have different {setting}: a, c / b; give all of them the same configuration"
    )


def test_tokens_passwords_addresses_of_its_own_and_its_own_name_may_differ() -> None:
    other = other_than(
        credentials=[{"name": "b", "token": "secret-of-b"}],
        web={"listen": ":9999", "hosts": ["b"]},
        store={"url": "sqlite:///other.db"},
        push={
            "remote_write": {"url": "https://metrics.example.com/write?key=of-b", "bearer_token": {"value": "of-b"}},
            "labels": {"instance": "b", "site": "x"},
        },
    )
    assert fingerprints(other) == fingerprints(other_than())


def test_prices_count_and_not_the_file_that_they_come_from(tmp_path: Path) -> None:
    shipped = load_config(environ={"PRISMA_POSTGRES_TOKEN": "t"}, needed=())
    dearer = shipped.model_copy(
        update={
            "prices": (
                shipped.prices[0].model_copy(update={"usd_per_million_operations": Decimal(9)}),
                *shipped.prices[1:],
            )
        }
    )
    moved = shipped.model_copy(
        update={"cost": shipped.cost.model_copy(update={"prices_file": tmp_path / "prices.yaml"})}
    )
    assert fingerprints(moved) == fingerprints(shipped)
    assert [row.settings for row in differences([("a", fingerprints(shipped)), ("b", fingerprints(dearer))])] == [
        ("prices",)
    ]


def test_nothing_is_said_of_a_process_of_another_version_that_has_no_such_setting() -> None:
    prints = fingerprints(other_than())
    older = {name: value for name, value in prints.items() if name != "web.shard"}
    changed = {**prints, "web.shard": "0", "poll.interval": "0"}
    assert differences([("a", older), ("b", prints), ("c", {})]) == ()
    assert [row.settings for row in differences([("a", older), ("b", changed)])] == [("poll.interval",)]


def test_whoever_lacks_a_token_that_another_has_is_named_once_it_knows_its_own() -> None:
    everything = ("w1", "w2", "w3")
    assert lacks([("a", everything, True), ("b", everything, True), ("c", (), False)]) == ()
    found = lacks([("a", everything, True), ("b", ("w1",), True), ("c", ("w1", "w3"), True), ("d", ("w4",), False)])
    assert [(row.processes, row.workspaces) for row in found] == [
        (("b", "c"), ("w2",)),
        (("b",), ("w3",)),
        (("a", "b", "c"), ("w4",)),
    ]
    assert str(found[1]) == (
        "b has no token of w3, though another process that shares the store has: give all of them the same tokens"
    )
    (many,) = lacks([("a", [f"w{number:02}" for number in range(13)], True), ("b", (), True)])
    assert "w09 and 3 more, though" in str(many)
