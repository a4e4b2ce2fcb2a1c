"""The forecast: what it knows, what it never says, and how it behaves when usage does."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prisma_postgres_exporter.forecast import Forecast, forecast_operations, steady_growth
from prisma_postgres_exporter.model import day_start
from prisma_postgres_exporter.simulator import World, WorldShape

JUNE = datetime(2026, 6, 1, tzinfo=UTC)
"""A Monday, and the first of thirty days."""
WORKING_WEEK = [100, 100, 100, 100, 100, 20, 10]

counts = st.integers(min_value=0, max_value=10**12)
known_days = st.lists(counts, min_size=7, max_size=100)
any_days = st.lists(st.none() | counts, max_size=100)
instants = st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=1500)).map(
    lambda since: datetime(2024, 1, 1, tzinfo=UTC) + since
)


def operations(days: Sequence[int | None], *, today: int | None = 0, now: datetime = JUNE) -> Forecast:
    forecast = forecast_operations(days, today_operations=today, now=now)
    assert forecast is not None
    return forecast


def used_before_today(days: Sequence[int | None], now: datetime) -> int:
    return sum(day or 0 for day in days[-(now.day - 1) :]) if now.day > 1 else 0


class TestWhatIsSaid:
    def test_nothing_is_said_before_seven_days_are_known(self) -> None:
        assert forecast_operations([5] * 6, today_operations=5, now=JUNE) is None
        assert forecast_operations([None] * 60 + [5, None] * 6, today_operations=5, now=JUNE) is None
        assert forecast_operations([5] * 7, today_operations=0, now=JUNE) is not None

    @given(days=any_days, today=st.none() | counts, now=instants)
    def test_it_is_ordered_and_never_below_what_is_used(
        self, days: list[int | None], today: int | None, now: datetime
    ) -> None:
        forecast = forecast_operations(days, today_operations=today, now=now)

        if forecast is None:
            assert len(days) - days.count(None) < 7
        else:
            assert used_before_today(days, now) + (today or 0) <= forecast.low <= forecast.expected <= forecast.high

    @given(days=known_days, today=counts, now=instants)
    def test_it_is_the_truth_at_the_end_of_the_last_day(
        self, days: list[int | None], today: int, now: datetime
    ) -> None:
        last_day = now.replace(day=monthrange(now.year, now.month)[1])
        end = last_day.replace(hour=23, minute=59, second=59, microsecond=999_999)
        truth = used_before_today(days, end) + today

        forecast = operations(days, today=today, now=end)

        assert forecast.expected == pytest.approx(truth, rel=1e-9, abs=1)
        assert forecast.high - forecast.low <= 1e-5 * (truth + max(day or 0 for day in days)) + 2

    @given(days=known_days, now=instants)
    def test_the_same_question_in_another_time_zone_has_the_same_answer(
        self, days: list[int | None], now: datetime
    ) -> None:
        elsewhere = now.astimezone(timezone(timedelta(hours=-9)))

        assert operations(days, now=now) == operations(days, now=elsewhere)

    @given(st.lists(st.integers(min_value=0, max_value=10**9), min_size=7, max_size=90), instants)
    def test_a_thousand_times_the_usage_is_a_thousand_times_the_forecast(self, days: list[int], now: datetime) -> None:
        one = operations(days, today=None, now=now)
        thousand = operations([day * 1000 for day in days], today=None, now=now)

        assert thousand.expected == pytest.approx(one.expected * 1000, rel=1e-6, abs=1000)


class TestOperations:
    def test_an_even_usage_goes_on(self) -> None:
        assert operations([10] * 62).expected == 300
        assert operations([10] * 62, today=5, now=JUNE + timedelta(days=14, hours=12)).expected == 300

    def test_no_usage_stays_none(self) -> None:
        assert operations([0] * 62) == Forecast(low=0, expected=0, high=0)

    def test_weekdays_are_known(self) -> None:
        # 1 June 2026 is a Monday, and so is the first of 63 days before it; four weeks, a Monday and a Tuesday.
        assert operations(WORKING_WEEK * 9).expected == pytest.approx(4 * sum(WORKING_WEEK) + 200, rel=0.01)

        # On Saturday the 27th: what is left is a Saturday, a Sunday, a Monday and a Tuesday.
        before = [*WORKING_WEEK * 9, *WORKING_WEEK * 4][:-2]
        forecast = operations(before, now=JUNE + timedelta(days=26))
        assert forecast.expected == pytest.approx(4 * sum(WORKING_WEEK) + 200, rel=0.01)

    def test_the_days_known_count_as_they_are(self) -> None:
        burst_in_june = [10] * 70 + [5_000] + [10] * 8
        usual = operations([10] * 79, now=JUNE + timedelta(days=9))
        forecast = operations(burst_in_june, now=JUNE + timedelta(days=9))

        assert forecast.expected - usual.expected == pytest.approx(4_990, rel=0.02)

    def test_an_outlier_does_not_become_the_usual_day(self) -> None:
        days = [100 + day % 5 for day in range(55)] + [100_000] + [100 + day % 5 for day in range(6)]

        assert operations(days).expected < 1.5 * 30 * 102

    def test_growth_goes_on(self) -> None:
        growing = [round(1_000 * 1.02**day) for day in range(62)]
        truth = sum(1_000 * 1.02**day for day in range(62, 92))
        run_rate = 30 * sum(growing[-28:]) / 28

        forecast = operations(growing)

        assert run_rate < forecast.expected < 1.2 * truth
        assert abs(forecast.expected - truth) < 0.7 * abs(run_rate - truth)

    def test_a_new_level_is_believed_within_two_weeks(self) -> None:
        forecast = operations([1_000 + day % 7 for day in range(48)] + [4_000 + day % 7 for day in range(14)])

        assert forecast.expected == pytest.approx(30 * 4_000, rel=0.2)

    @pytest.mark.parametrize("shifted", [17_000, 800])
    @pytest.mark.parametrize("days_ago", range(4, 15))
    def test_a_new_level_that_no_day_of_the_weeks_before_reached_is_believed_from_its_fourth_day(
        self, shifted: int, days_ago: int
    ) -> None:
        before = [3_400 + 97 * (day * day % 7) for day in range(84 - days_ago)]
        since = [shifted + 31 * (day * day % 5) for day in range(days_ago)]
        on_the_28th = JUNE + timedelta(days=27)

        to_come = operations([*before, *since], now=on_the_28th).expected - sum([*before, *since][-27:])

        assert to_come == pytest.approx(3 * shifted, rel=0.15 if shifted > 3_400 else 0.5)

    def test_a_burst_of_three_days_and_one_that_an_earlier_day_reached_are_no_new_level(self) -> None:
        before = [3_400 + 97 * (day * day % 7) for day in range(80)]
        calm = operations(before, now=JUNE).expected

        assert operations([*before, *[17_000] * 3], now=JUNE).expected < 2.5 * calm
        busy = [*before[:70], 18_000, *before[:9]]
        assert operations([*busy, *[17_000] * 4], now=JUNE).expected < 4 * calm

    def test_the_rest_of_today_follows_todays_pace_as_the_day_goes_by(self) -> None:
        noon = JUNE + timedelta(days=29, hours=12)
        late = JUNE + timedelta(days=29, hours=23)
        before = [240] * 29

        assert operations(before, today=120, now=noon).expected == 29 * 240 + 240
        assert 29 * 240 + 480 < operations(before, today=480, now=noon).expected < 29 * 240 + 960
        assert operations(before, today=0, now=late).expected - 29 * 240 < 2

    def test_a_today_that_is_not_known_is_a_usual_day(self) -> None:
        assert operations([10] * 62, today=None, now=JUNE + timedelta(hours=20)).expected == 300

    def test_a_gap_counts_as_the_usual_weekday_and_the_time_before_the_first_day_as_nothing(self) -> None:
        tenth = JUNE + timedelta(days=9)

        assert operations([10] * 60 + [None, None] + [10] * 7, now=tenth).expected == 300
        assert operations([None] * 60 + [None, None] + [10] * 7, now=tenth).expected == 280

    def test_the_interval_narrows_as_the_month_goes_by(self) -> None:
        days = [100 + 37 * day % 61 for day in range(100)]
        widths = []
        for day in (0, 10, 20, 29):
            forecast = operations(days[: 70 + day], now=JUNE + timedelta(days=day))
            widths.append(forecast.high - forecast.low)

        assert widths == sorted(widths, reverse=True)
        assert widths[-1] < widths[0] / 4

    def test_a_usage_that_varies_more_has_a_wider_interval(self) -> None:
        calm = operations([100 + day % 3 for day in range(62)])
        wild = operations([100 * (1 + (day * day) % 13) for day in range(62)])

        assert (wild.high - wild.low) / wild.expected > (calm.high - calm.low) / calm.expected


class TestOperationsOfWhichAPartIsKnown:
    def test_what_is_not_used_yet_of_past_days_is_estimated_at_those_days(self) -> None:
        tenth = JUNE + timedelta(days=9)
        days = [10] * 60 + [10, 20, 10, 10, 10, 10, 10, 10, 10]
        unknown = [0.0, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.2]

        forecast = forecast_operations(days, today_operations=0, now=tenth, used=88, unknown=unknown)
        without = forecast_operations(days, today_operations=0, now=tenth, used=88, unknown=[0.0] * 9)

        assert forecast is not None
        assert without is not None
        assert forecast.expected - without.expected == 10 + 2
        assert forecast.low >= 88

    def test_unknown_days_before_the_first_known_one_are_like_its_first_week(self) -> None:
        days: list[int | None] = [None] * 62 + WORKING_WEEK
        tenth = JUNE + timedelta(days=9)

        forecast = forecast_operations(
            days, today_operations=0, now=tenth, used=0, unknown=[1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
        )
        without = forecast_operations(days, today_operations=0, now=tenth, used=0, unknown=[0.0] * 9)

        assert forecast is not None
        assert without is not None
        assert forecast.expected - without.expected == WORKING_WEEK[5] + WORKING_WEEK[6]

    def test_what_is_unknown_of_today_is_estimated(self) -> None:
        noon = JUNE + timedelta(days=9, hours=12)
        forecast = forecast_operations(
            [10] * 69, today_operations=5, now=noon, used=90 + 3, unknown=[0.0] * 9, unknown_today=0.4
        )

        assert forecast is not None
        assert forecast.expected == 300


def levels(*sizes: float) -> list[tuple[float, float]]:
    return [(float(day), float(size)) for day, size in enumerate(sizes)]


class TestGrowth:
    @given(st.floats(min_value=0, max_value=1e15), st.integers(min_value=0, max_value=60))
    def test_what_does_not_change_does_not_grow(self, size: float, days: int) -> None:
        assert steady_growth(levels(*[size] * days)).per_day == 0

    def test_what_grows_goes_on_growing(self) -> None:
        assert steady_growth(levels(*range(1_000, 1_400, 10))).per_day == pytest.approx(10, rel=0.25)
        assert steady_growth(levels(*range(1_400, 1_000, -10))).per_day == pytest.approx(-10, rel=0.25)

    def test_weekends_are_no_steps(self) -> None:
        by_week = accumulate(([100] * 5 + [0, 0]) * 8, initial=10_000)

        assert steady_growth(levels(*by_week)).per_day == pytest.approx(500 / 7, rel=0.3)

    @pytest.mark.parametrize("ago", range(1, 28))
    def test_a_step_is_no_slope(self, ago: int) -> None:
        before = [1_000.0] * (40 - ago)

        assert steady_growth(levels(*before, *[5_000] * ago)).per_day == 0
        assert steady_growth(levels(*before, 3_000, *[5_000] * ago)).per_day == 0
        assert steady_growth(levels(*before, *[200] * ago)).per_day == 0

    def test_after_a_step_growth_is_that_of_the_days_since(self) -> None:
        growing = [100 + 10 * day for day in range(40)]
        moved = [size + (50_000 if day >= 30 else 0) for day, size in enumerate(growing)]

        assert steady_growth(levels(*moved)).per_day == pytest.approx(10, rel=0.25)
        assert steady_growth(levels(*moved[:34])).per_day == 0

    def test_single_days_that_stray_do_not_turn_the_slope(self) -> None:
        sizes = [10_000 + 10 * day + (8 if day % 5 == 0 else 0) for day in range(40)]

        assert steady_growth(levels(*sizes)).per_day == pytest.approx(10, rel=0.3)

    def test_gaps_weigh_by_their_time(self) -> None:
        known = [(float(day), 1_000.0 + 10 * day) for day in range(40) if day not in {20, 21, 22, 30}]

        assert steady_growth(known).per_day == pytest.approx(10, rel=0.25)

    def test_the_longer_a_level_is_seen_not_to_move_the_less_it_strays(self) -> None:
        widths = [steady_growth(levels(*[1_000] * days)).stray(10) for days in (1, 3, 10, 25)]

        assert widths == sorted(widths, reverse=True)
        assert widths[0] > 4 * widths[-1] > 0


def test_over_simulated_worlds_it_is_clearly_nearer_than_the_run_rate() -> None:
    world = World(
        seed=11,
        shape=WorldShape(workspaces=1, projects_per_workspace=2, databases=12, idle_share=0.0),
        begins_at=datetime(2025, 6, 1, tzinfo=UTC),
    )
    march = date(2026, 3, 1)
    errors = run_rate_errors = 0.0
    for database in world.databases(datetime(2026, 1, 1, tzinfo=UTC)):
        starts = [day_start(march + ahead * timedelta(days=1)) for ahead in range(-59, 31)]
        days = [world.operations(database.id, start, start + timedelta(days=1)) for start in starts]
        truth = sum(days[59:90])
        for past in range(1, 31):
            known = days[: 59 + past]
            forecast = forecast_operations(known, today_operations=0, now=day_start(march + past * timedelta(days=1)))
            assert forecast is not None
            errors += abs(forecast.expected - truth) / truth
            run_rate_errors += abs(sum(known[59:]) / past * 31 - truth) / truth

    assert errors < 0.75 * run_rate_errors
