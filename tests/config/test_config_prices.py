"""Price files, and what the configuration may choose from them."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from prisma_postgres_exporter.config import load_config
from prisma_postgres_exporter.errors import ConfigurationError

ROW = "{{ plan: {plan}, version: {version}, {rest} fee_usd: 1, included_operations: 1, included_storage: 1GiB }}"


def problems(tmp_path: Path, rows: list[str], *, cost: str = "") -> list[str]:
    prices = tmp_path / "prices.yaml"
    prices.write_text("prices:\n" + "".join(f"  - {row}\n" for row in rows))
    config = tmp_path / "config.yaml"
    config.write_text(f"cost:\n  prices_file: {prices}\n{cost}")
    try:
        load_config(config_path=str(config), environ={})
    except ConfigurationError as error:
        return list(error.problems)
    return []


def row(plan: str = "pro", version: str = "a", rest: str = "") -> str:
    return ROW.format(plan=plan, version=version, rest=rest)


def test_the_packaged_prices_are_the_vendors() -> None:
    rows = {(row.plan, row.version): row for row in load_config(environ={}).prices}
    pro = rows["pro", "2026-08"]
    assert (pro.fee_usd, pro.included_operations, pro.included_storage) == (Decimal(49), 10_000_000, 50 * 2**30)
    assert (pro.usd_per_million_operations, pro.usd_per_gib_month, pro.from_) == (
        Decimal(2),
        Decimal("1.5"),
        date(2026, 8, 28),
    )
    assert rows["free", "2025"].included_operations == 100_000
    assert all(row.source and row.read_on for row in rows.values())


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([row().replace("fee_usd: 1", "fee_usd: -1")], "prices.yaml:2: prices.0.fee_usd: "),
        ([row().replace("1GiB", "1 gig")], "'1 gig' is not a valid size; write it like 500MB or 10GiB"),
        ([row().replace("fee_usd", "fee_eur")], "prices.yaml:2: prices.0.fee_eur: no such key; did you mean fee_usd?"),
        ([row(), row()], "prices.yaml:3: plan pro has version a twice"),
        ([row(), row(version="b")], "versions a and b are in force on the same day"),
        (
            [row(rest="until: 2026-01-01,"), row(version="b", rest="from: 2026-02-01,")],
            "prices.yaml:3: plan pro: no price from 2026-01-01 to 2026-02-01",
        ),
        ([row(rest="from: 2026-02-01, until: 2026-01-01,")], "until 2026-01-01 is not after from 2026-02-01"),
    ],
)
def test_a_wrong_price_file_is_told_with_key_and_line(tmp_path: Path, rows: list[str], message: str) -> None:
    assert any(message in problem for problem in problems(tmp_path, rows)), problems(tmp_path, rows)


def test_versions_that_follow_each_other_are_right(tmp_path: Path) -> None:
    rows = [row(rest="until: 2026-02-01,"), row(version="b", rest="from: 2026-02-01,")]
    assert problems(tmp_path, rows) == []


@pytest.mark.parametrize(
    ("cost", "message"),
    [
        ("  workspaces: [{ workspace: a, plan: porr }]\n", "config.yaml:3: cost.workspaces.0.plan: no such plan"),
        ("  workspaces: [{ workspace: a, price_version: b }]\n", "cost.workspaces.0.price_version: no such version"),
        ("  budgets: [{ name: a, monthly_usd: 0 }]\n", "config.yaml:3: cost.budgets.0.monthly_usd: "),
        ("  budgets: [{ name: a, monthly_usd: 1 }, { name: a, monthly_usd: 2 }]\n", "several budgets are called a"),
        ("  budgets: [{ name: a, monthly_usd: 1, databases: ['('] }]\n", "is not a valid regular expression"),
    ],
)
def test_what_the_configuration_chooses_must_exist(tmp_path: Path, cost: str, message: str) -> None:
    found = problems(tmp_path, [row()], cost=cost)
    assert any(message in problem for problem in found), found


def test_a_price_file_that_is_missing_is_told(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("cost: { prices_file: nowhere.yaml }\n")
    with pytest.raises(ConfigurationError, match=r"nowhere\.yaml: cannot be read"):
        load_config(config_path=str(config), environ={})
