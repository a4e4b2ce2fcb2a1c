"""The first days of an installation: what was not read yet is not told as a number, and a constant use is constant."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from constant_life import Given, backfill, follow, say
from processes import write_config

GIB = 2**30
INSTALLED_AT = datetime(2026, 11, 3, 6, tzinfo=UTC)
SOON = INSTALLED_AT + timedelta(minutes=5)


def october(day: date) -> int:
    """437,745,000 operations in October of two databases: 427.745 million over Pro's ten at 2.00 are 855.49."""
    return 7_060_403 + (day.month == 10 and day.day <= 7)


# 119.24 GiB on average, 69.24 over the 50 of Pro, at 1.50 are 103.86; with the fee of 49.00 in all 1,008.35.
DEAR = Given(per_day=october, storage_bytes=(60 * GIB, round(59.24 * GIB)))
STEADY = Given(per_day=lambda _: 1_000_000, storage_bytes=(60 * GIB,))


@pytest.fixture(scope="module")
def first_day(tmp_path_factory: pytest.TempPathFactory) -> Sequence[str]:
    """Options for the store of one round."""
    folder = tmp_path_factory.mktemp("first")
    url = f"sqlite:///{folder / 'store.db'}"
    follow(url, DEAR, [INSTALLED_AT])
    return ("--config", str(write_config(folder / "config.yaml")), "--store-url", url)


@pytest.fixture(scope="module")
def since_the_22nd(tmp_path_factory: pytest.TempPathFactory) -> Sequence[str]:
    """Options for a store that was begun on 22 October and followed for a month."""
    folder = tmp_path_factory.mktemp("steady")
    url = f"sqlite:///{folder / 'store.db'}"
    begun_at = datetime(2026, 10, 22, 8, tzinfo=UTC)
    follow(url, STEADY, [begun_at + number * timedelta(hours=8) for number in range(92)])
    return ("--config", str(write_config(folder / "config.yaml")), "--store-url", url)


def test_on_the_first_day_last_month_costs_at_least_what_is_known(first_day: Sequence[str]) -> None:
    table = say(SOON, "cost", "--month", "2026-10", *first_day)
    (row,) = say(SOON, "cost", "--month", "2026-10", "--json", *first_day).json["data"]
    report = say(SOON, "report", "--month", "2026-10", "--format", "json", *first_day).json["data"]

    assert "at least 904.49" in table.output
    assert "the whole month" not in table.output
    assert "0.00 GiB" not in table.output
    # To be pasted: with the flags that were given.
    command = "prisma-postgres-exporter backfill --from 2026-10-01 --to 2026-10-31"
    told = (
        f"Not all of it is known (0 % of the storage's time). To read it: {command} {' '.join(first_day)} (62 requests"
    )
    assert told in table.errors
    november = say(SOON, "cost", *first_day)
    assert "October 2026: " + told in november.errors
    html = say(SOON, "report", "--format", "html", *first_day).output
    assert f"{command} --config" in html
    for told in (row, report["workspaces"][0]):
        assert (told["operations"], told["days_known"], told["days"]) == (437_745_000, 62, 62)
        assert (told["mean_storage_bytes"], told["storage_gib_months"], told["storage_usd"]) == (None, None, None)
        assert (told["total_usd"], told["known_usd"], told["is_complete"]) == (None, "904.49", False)
        assert told["storage_covered_ratio"] == 0
    total = report["total"]
    assert (total["total_usd"], total["known_usd"], total["is_complete"]) == (None, "904.49", False)
    assert report["missing"] == {"from_day": "2026-10-01", "to_day": "2026-10-31", "requests": 62}


def test_a_month_that_was_never_read_is_not_read(first_day: Sequence[str]) -> None:
    (row,) = say(SOON, "cost", "--month", "2026-09", "--json", *first_day).json["data"]

    assert (row["operations"], row["days_known"], row["days"], row["is_complete"]) == (None, 0, 60, False)
    assert (row["total_usd"], row["mean_storage_bytes"]) == (None, None)
    assert say(SOON, "export", "focus", "--from", "2026-09", "--to", "2026-10", *first_day).code == 1


@pytest.mark.parametrize("months", [(), ("2026-09", "2026-10"), ("2026-10", "2026-11")])
def test_on_the_first_day_nothing_has_changed_yet(first_day: Sequence[str], months: Sequence[str]) -> None:
    for by in ("workspace", "project", "database"):
        for row in say(SOON, "compare", *months, "--by", by, "--json", *first_day).json["data"]:
            assert row["change_usd"] is None
            assert "times" not in " ".join(row["reasons"])
            assert "+" not in " ".join(row["reasons"])


def test_on_the_first_day_nothing_has_grown(first_day: Sequence[str]) -> None:
    for days in ("1", "7", "30"):
        for row in say(SOON, "top", "--days", days, "--sort", "growth", "--json", *first_day).json["data"]:
            assert (row["growth_operations"], row["growth_percent"]) == (None, None)


def test_after_a_backfill_the_bill_is_told_and_called_a_lower_bound(tmp_path: Path) -> None:
    """Every day of both databases is known; whether a third was deleted before the installation, nobody can know."""
    url = f"sqlite:///{tmp_path / 'store.db'}"
    options = ("--config", str(write_config(tmp_path / "config.yaml")), "--store-url", url)
    follow(url, DEAR, [INSTALLED_AT])

    assert backfill(url, DEAR, date(2026, 10, 1), date(2026, 10, 31), SOON) == 62

    table = say(SOON, "cost", "--month", "2026-10", *options)
    assert "at least 1,008.35" in table.output
    assert "every day of the databases that were there on 2026-11-03" in table.output
    assert "the whole month" not in table.output
    assert "% of known" in table.output
    assert "--from 2026-10" not in table.errors
    assert "Not in it: what was used by databases that were deleted before 2026-11-03" in table.errors
    for by in ("workspace", "project", "database"):
        answer = say(SOON, "cost", "--month", "2026-10", "--by", by, "--json", *options).json
        for told in (answer["total"], *(answer["data"] if by != "database" else ())):
            # A database that was deleted may have been in another project, and had a part of the fee.
            fee = None if by == "project" and told is not answer["total"] else "49.00"
            assert (told["fee_usd"], told["operations_usd"], told["storage_usd"]) == (fee, None, None)
            assert (told["known_operations_usd"], told["known_storage_usd"]) == ("855.49", "103.86")
            assert (told["total_usd"], told["known_usd"], told["is_complete"]) == (None, "1008.35", False)
    # What each database used is known, and of what it cost its share of what is known.
    assert all(told["is_usage_complete"] for told in answer["data"])
    assert {(told["total_usd"], told["is_complete"]) for told in answer["data"]} == {(None, False)}
    assert sum(Decimal(told["known_usd"]) for told in answer["data"]) == Decimal("1008.35")
    assert answer["total"]["usage_missing"] == ["followed_late"]
    # What was is compared with what is, over the databases that are known in both.
    (november,) = say(SOON, "cost", "--json", *options).json["data"]
    assert (november["last_month_usd"], november["last_month_known_usd"]) == (None, "1008.35")
    assert Decimal(november["change_usd"]) == Decimal(november["expected_usd"]) - Decimal("1008.35")
    running = say(SOON, "cost", "--wide", *options).output
    assert re.search(r"at least 1,008\.35 +about [+-]\d", running)
    focus = say(SOON, "export", "focus", "--from", "2026-10", "--to", "2026-10", *options)
    assert focus.code == 1
    assert "workspace Acme (wksp_1) costs at least what its rows say" in focus.errors
    billed = [Decimal(line["BilledCost"]) for line in csv.DictReader(io.StringIO(focus.output))]
    assert sum(billed) == Decimal("1008.35")
    # Nothing is expected of a month that is over: by plan it is what the bill would have been.
    for format_ in ("markdown", "html"):
        report = say(SOON, "report", "--month", "2026-10", "--format", format_, *options).output
        assert "at least 1,008.35" in report
        assert "every day of the databases that were there on 2026-11-03, UTC" in report.replace("Every", "every")
        assert "Everything of this month is known" not in report
        assert "% of known" in report
        assert "Expected of the whole month" not in report
        assert "forecast" not in report
    supposed = say(SOON, "cost", "--month", "2026-10", "--what-if", "operations=x1", "--json", *options).json
    assert (supposed["total"]["known_usd"], supposed["data"][0]["by_plan_usd"]) == ("1008.35", {})
    said = say(SOON, "cost", "--month", "2026-10", "--what-if", "operations=x1", *options).output
    assert "is not known, its usage is incomplete (without databases deleted before" in " ".join(said.split())


def test_of_a_month_that_was_read_in_part_each_change_says_how_much_it_is_of(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    options = ("--config", str(write_config(tmp_path / "config.yaml")), "--store-url", url)
    follow(url, DEAR, [INSTALLED_AT])
    assert backfill(url, DEAR, date(2026, 10, 1), date(2026, 10, 1), SOON) == 2

    partly = say(SOON, "compare", *options).output
    (row,) = say(SOON, "compare", "--json", *options).json["data"]
    backfill(url, DEAR, date(2026, 10, 2), date(2026, 10, 2), SOON)
    whole = say(SOON, "compare", *options).output

    assert (row["compared_days_known"], row["compared_days"]) == (2, 4)
    assert "Operations change: over those of the same 2 days that both months know." in partly
    assert re.search(r"days compared.*\n.* 2 of 4 ", partly)
    assert "Operations change: over the same 2 days." in whole
    assert "days compared" not in whole


def test_a_month_that_was_read_from_the_22nd_on_is_not_divided_by_all_its_days(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    options = ("--config", str(write_config(tmp_path / "config.yaml")), "--store-url", url)
    begun_at, stopped_at = datetime(2026, 10, 22, 8, tzinfo=UTC), datetime(2026, 10, 31, 16, tzinfo=UTC)
    follow(url, STEADY, [begun_at + number * timedelta(hours=8) for number in range(29)], days_from=begun_at.date())

    for at in (stopped_at, datetime(2026, 11, 2, 12, tzinfo=UTC)):
        for by in ("workspace", "project", "database"):
            (row,) = say(at, "cost", "--month", "2026-10", "--by", by, "--json", *options).json["data"]
            assert row["mean_storage_bytes"] == 60 * GIB
            lived = 31 if at.month == 11 else 30 + 16 / 24
            assert row["storage_covered_ratio"] == pytest.approx((9 + 16 / 24) / lived, abs=1e-5)
            assert (row["is_complete"], row["total_usd"]) == (False, None)
            # The vendor's month until then: the last day is not over.
            assert (row["operations"], row["days_known"]) == (30_666_666, 31 if at == stopped_at else 30)
            (row,) = say(at, "compare", "2026-09", "2026-10", "--by", by, "--json", *options).json["data"]
            assert row["change_usd"] is None
            assert "times" not in " ".join(row["reasons"])
        for days in (1, 3, 7, 14, 30):
            (grown,) = say(at, "top", "--month", "2026-10", "--days", f"{days}", "--json", *options).json["data"]
            assert grown["growth_operations"] in {0, None}
            assert (grown["growth_operations"] is None) == (grown["growth_days"] == 0)


def test_a_constant_use_has_not_grown(since_the_22nd: Sequence[str]) -> None:
    at = datetime(2026, 11, 21, 16, tzinfo=UTC)

    for by in ("workspace", "project", "database"):
        (row,) = say(at, "compare", "2026-10", "2026-11", "--by", by, "--json", *since_the_22nd).json["data"]
        assert "times" not in " ".join(row["reasons"])
        assert {row[side]["mean_storage_bytes"] for side in ("month_before", "month_after")} == {60 * GIB}
        for days in (1, 7, 14, 28):
            (grown,) = say(at, "top", "--days", f"{days}", "--by", by, "--json", *since_the_22nd).json["data"]
            assert grown["growth_operations"] in {0, None}
            assert (grown["growth_operations"] is None) == (grown["growth_days"] == 0)
    (october,) = say(at, "cost", "--month", "2026-10", "--json", *since_the_22nd).json["data"]
    # The days from the 1st on were read too: 21 million at 2.00 and 10 GiB at 1.50 over what Pro includes, and its fee.
    assert (october["operations"], october["known_usd"], october["total_usd"]) == (31_000_000, "106.00", None)
    (week,) = say(at, "top", "--json", *since_the_22nd).json["data"]
    assert (week["growth_days"], week["growth_operations"]) == (7, 0)


@pytest.mark.parametrize(
    ("arguments", "title"),
    [
        ((), "databases of 2026-11 by operations, until 2026-11-21 16:00 UTC; growth over 7 days to 2026-11-20"),
        (
            ("--days", "1", "--by", "project"),
            "projects of 2026-11 by operations, until 2026-11-21 16:00 UTC; growth over 1 day to 2026-11-20",
        ),
        (
            ("--month", "2026-10", "--sort", "growth"),
            (
                "databases of 2026-10 by growth, every day of the databases that were there on 2026-10-22; "
                "growth over 7 days to 2026-10-31"
            ),
        ),
    ],
)
def test_the_title_of_top_says_which_days_are_compared(
    arguments: Sequence[str], title: str, since_the_22nd: Sequence[str]
) -> None:
    said = say(datetime(2026, 11, 21, 16, tzinfo=UTC), "top", *arguments, *since_the_22nd)

    assert said.output.splitlines()[0] == f"Top {title}, same weekdays"


def test_reports_need_no_more_of_a_configuration_than_store_and_costs(first_day: Sequence[str], tmp_path: Path) -> None:
    config = write_config(tmp_path / "wrong.yaml", poll={"interval": "soon"})

    for command in (("cost",), ("top",), ("compare",), ("report", "--format", "csv"), ("export", "days")):
        said = say(SOON, *command, *first_day, "--config", str(config))
        assert said.code == 0, said.errors
        assert "poll.interval" in said.errors
        assert "not needed here, ignored" in " ".join(said.errors.split())


def test_a_plan_that_was_first_read_after_the_month_is_said_to_be_assumed(
    first_day: Sequence[str], tmp_path: Path
) -> None:
    """The first reading is of 3 November: of October nobody knows the plan; the numbers are those of today's."""
    for by in ("workspace", "project", "database"):
        (october, *_) = say(SOON, "cost", "--month", "2026-10", "--by", by, "--json", *first_day).json["data"]
        (november, *_) = say(SOON, "cost", "--by", by, "--json", *first_day).json["data"]
        assert (october["plan"], october["is_plan_assumed"]) == ("Pro", True)
        assert (november["plan"], november["is_plan_assumed"]) == ("Pro", False)
    assumed = "Plan assumed from a later reading, as none was read by the end of the month: Acme (Pro)."
    table = say(SOON, "cost", "--month", "2026-10", *first_day).output
    report = say(SOON, "report", "--month", "2026-10", *first_day).output
    assert assumed in " ".join(table.split())
    assert assumed.replace("(", "").replace(")", "") in re.sub(r"[\\()]", "", " ".join(report.split()))
    assert "Plan Pro (assumed: first read on 2026-11-03), prices" in report
    running, compared = say(SOON, "cost", *first_day), say(SOON, "compare", *first_day)
    focus = say(SOON, "export", "focus", "--from", "2026-10", "--to", "2026-10", *first_day)
    assert "assumed" not in running.output
    for errors, named in (
        (running.errors, "October 2026"),
        (compared.errors, "2026-10"),
        (focus.errors, "2026-10"),
    ):
        assert f"{named}: {assumed}" in errors
    other = write_config(tmp_path / "named.yaml", cost={"workspaces": [{"workspace": "Acme", "plan": "Pro"}]})
    (row,) = say(SOON, "cost", "--month", "2026-10", "--json", *first_day, "--config", str(other)).json["data"]
    assert row["is_plan_assumed"] is False


def test_where_no_plan_has_a_cost_of_the_whole_month_the_reason_is_said(first_day: Sequence[str]) -> None:
    for month in ("2026-10", "2026-11"):
        said = say(SOON, "cost", "--month", month, "--what-if", "plan=pro", *first_day).output

        (reason,) = re.findall(r"^Acme: what other plans would cost .*$", said, re.MULTILINE)
        assert "its usage is incomplete (" in reason
        assert not re.search(r"cheapest first:\s*$", said, re.MULTILINE)


def test_a_ranking_by_growth_says_that_none_is_known(first_day: Sequence[str]) -> None:
    assert "No growth is known" in say(SOON, "top", "--sort", "growth", *first_day).errors
    assert "No growth is known" not in say(SOON, "top", *first_day).errors


def test_a_reports_total_is_the_sum_of_what_its_workspaces_are_expected_to_cost(since_the_22nd: Sequence[str]) -> None:
    at = datetime(2026, 11, 21, 12, tzinfo=UTC)
    told = say(at, "report", "--format", "json", *since_the_22nd).json["data"]

    assert told["total"]["expected_usd"] == told["workspaces"][0]["expected_usd"] is not None


def test_only_what_is_missing_is_named(first_day: Sequence[str]) -> None:
    """Every day of October is in the vendor's month, and no level of it was read."""
    said = " ".join(say(SOON, "cost", "--month", "2026-10", *first_day).errors.split())

    assert "Not all of it is known (0 % of the storage's time)." in said
    assert "No command gets what is missing" not in said
    assert "days of databases" not in said


def test_the_limits_of_a_month_are_named(first_day: Sequence[str], tmp_path: Path) -> None:
    limits = [{"workspace": "Acme", "spend_limit_usd": 20}]
    options = (*first_day, "--config", str(write_config(tmp_path / "limit.yaml", cost={"workspaces": limits})))
    counted = "Spend limit: at least 855.49 of 20.00 USD; fee, Compute, Accelerate and tax not counted."

    for command in ("cost", "report"):
        said = " ".join(say(SOON, command, "--month", "2026-10", *options).output.split())
        assert counted in said
        assert "Spend limit: reached, by our estimate." in said
    supposed = say(SOON, "cost", "--month", "2026-10", "--what-if", "plan=free", *first_day).output
    assert re.search(
        r"Acme on Free: the vendor stops its databases on or before 2026-10-\d\d, until 2026-11-01", supposed
    )


def test_a_table_says_what_its_total_is_of_and_what_budgets_there_are(first_day: Sequence[str], tmp_path: Path) -> None:
    budgets = [{"name": "all of it", "monthly_usd": 2_000}]
    options = (*first_day, "--config", str(write_config(tmp_path / "budget.yaml", cost={"budgets": budgets})))

    assert re.search(r"\ball 2\b", say(SOON, "top", "--limit", "1", *options).output)
    assert not re.search(r"\ball 2\b", say(SOON, "top", *options).output)
    assert re.search(r"Budget all of it: at least [\d.,]+ of 2,000\.00 USD spent", say(SOON, "cost", *options).output)
    assert "mean GiB" in say(SOON, "cost", *options).output
