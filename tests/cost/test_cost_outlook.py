"""A workspace's outlook beside the truth of lives that go on as they were, whatever of them could be read."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from played_ledger import HOUR, NEVER, Life, Played, play, true_operations, true_storage

from builders import GIB, ONE_DAY
from longer import examples
from prisma_postgres_exporter.cost import placed_days
from prisma_postgres_exporter.cost.outlook import Outlook, outlook, outlook_of_part
from prisma_postgres_exporter.forecast import Forecast
from prisma_postgres_exporter.model import Move

OLD = datetime(2026, 1, 1, tzinfo=UTC)
INSTALLED = datetime(2026, 9, 15, 18, tzinfo=UTC)


def november(day: int, hour: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, tzinfo=UTC)


def life(key: int, gib: int, **changes: Any) -> Life:
    """A database of one size."""
    plain = Life(key=key, created_at=OLD, levels=[(OLD, gib * GIB)])
    return replace(plain, **changes)


def seen(played: Played, now: datetime, workspace: int = 1) -> Outlook:
    return outlook(workspace, played.states(workspace), played.days(workspace), now)


def seen_of(played: Played, keys: set[int], now: datetime) -> Outlook:
    """What is seen of some databases of the first workspace."""
    states = [state for state in played.states(1) if state.key in keys]
    return outlook_of_part(states, [row for (key, _), row in played.rows.items() if key in keys], now)


def assert_true(found: Forecast | None, truth: float, *, rel: float = 0.001) -> None:
    assert found is not None
    assert found.expected == pytest.approx(truth, rel=rel, abs=2)
    assert found.low - 2 <= truth <= found.high + 2


TWO = (life(1, 60, operations_a_day=8_000), life(2, 4, operations_a_day=2_000))


class TestPart:
    def test_a_part_without_some_days_of_a_database_is_expected_to_come_to_the_truth(self) -> None:
        """One fails for half of the month, one was deleted in it: neither are its days whole, nor does it go on."""
        now = november(26, 5)
        lives = (
            *TWO,
            life(3, 1, operations_a_day=500_000, deleted_at=november(9, 11)),
            life(4, 1, operations_a_day=100_000, fails=[(november(14), NEVER)]),
        )
        played = play(lives, installed_at=INSTALLED, now=now)

        for keys in ({1, 3, 4}, {3, 1}, {2, 4}, {4}):
            truth = true_operations([row for row in lives if row.key in keys], 1, now)
            assert_true(seen_of(played, keys, now).operations, truth, rel=0.01)

    def test_what_is_gone_has_no_more_to_come(self) -> None:
        now = november(20)
        lives = (TWO[0], replace(TWO[1], deleted_at=november(12)))
        found = seen_of(play(lives, installed_at=INSTALLED, now=now), {2}, now)

        # Of its last hour nobody read anything.
        assert_true(found.operations, 22_000)
        assert found.operations is not None
        assert found.operations.high <= 22_000 + 2_000 / 24

    def test_all_of_a_workspace_is_expected_to_come_to_what_the_workspace_is(self) -> None:
        """Also where some were followed later: their days before are lacking, and not 0."""
        now = november(22, 7)
        lives = (*TWO, life(3, 1, operations_a_day=50_000, first_seen_at=november(3)))
        played = play(lives, installed_at=INSTALLED, now=now)

        assert seen_of(played, {1, 2, 3}, now).operations == seen(played, now).operations

    def test_what_was_deleted_in_the_workspace_before_takes_nothing_from_a_project_that_moved(self) -> None:
        now = november(20)
        played = play(TWO, installed_at=INSTALLED, now=now)
        elsewhere = [
            replace(state, workspace_key=2, deleted_at=november(5)) for state in played.states(1) if state.key == 1
        ]
        of_two = [state for state in played.states(1) if state.key == 2]
        rows = [row for (key, _), row in played.rows.items() if key == 2]

        assert outlook_of_part([*elsewhere, *of_two], rows, now) == seen_of(played, {2}, now)

    def test_nothing_is_expected_of_no_database(self) -> None:
        assert outlook_of_part((), (), november(20)) == Outlook()


class TestStorage:
    @pytest.mark.parametrize("later", [timedelta(0), HOUR, 6 * HOUR, 7 * HOUR, 3 * ONE_DAY, 25 * ONE_DAY])
    def test_a_constant_level_is_exact_from_the_first_reading_on(self, later: timedelta) -> None:
        installed_at = november(15, 18)
        now = installed_at + later
        played = play(TWO, installed_at=installed_at, now=now)

        found = seen(played, now)

        assert_true(found.storage_bytes, 64 * GIB, rel=1e-9)
        assert found.missing is None

    def test_time_without_readings_takes_the_level_that_is_known(self) -> None:
        now = november(26, 5)
        down = [(november(20, 3), november(23, 7)), (november(24, 1), november(24, 5))]
        played = play(TWO, installed_at=INSTALLED, now=now, down=down)

        assert_true(seen(played, now).storage_bytes, 64 * GIB, rel=1e-9)

    def test_a_database_that_is_gone_has_no_time_to_come(self) -> None:
        lives = (TWO[0], replace(TWO[1], deleted_at=november(15, 12)), life(3, 30, deleted_at=november(16, 3)))
        for now in (november(16, 4), november(17), november(26, 5)):
            played = play(lives, installed_at=INSTALLED, now=now)

            assert_true(seen(played, now).storage_bytes, true_storage(lives, 1, now), rel=1e-6)

    def test_a_growing_database_that_is_gone_does_not_grow(self) -> None:
        grows = [
            (OLD, GIB),
            *((datetime(2026, 10, 1, tzinfo=UTC) + day * ONE_DAY, (1 + day) * GIB) for day in range(60)),
        ]
        lives = (TWO[0], life(2, 0, levels=grows, deleted_at=november(20)))
        now = november(22)
        played = play(lives, installed_at=INSTALLED, now=now)

        assert_true(seen(played, now).storage_bytes, true_storage(lives, 1, now), rel=1e-3)

    @pytest.mark.parametrize("hours_later", [1, 5, 12, 30, 60, 150])
    def test_an_import_is_a_step(self, hours_later: int) -> None:
        lives = (TWO[0], life(2, 0, levels=[(OLD, 4 * GIB), (november(20, 12), 44 * GIB)]))
        now = november(20, 12) + hours_later * HOUR
        played = play(lives, installed_at=INSTALLED, now=now)

        # For an hour nobody knew of it.
        assert_true(seen(played, now).storage_bytes, true_storage(lives, 1, now), rel=2e-3)

    def test_growth_goes_on(self) -> None:
        grows = [(OLD, 10 * GIB)] + [
            (datetime(2026, 9, 1, tzinfo=UTC) + hour * HOUR, 10 * GIB + hour * GIB // 24) for hour in range(100 * 24)
        ]
        lives = (life(1, 0, levels=grows), TWO[1])
        now = november(11)
        played = play(lives, installed_at=INSTALLED, now=now, every=3 * HOUR)

        assert_true(seen(played, now).storage_bytes, true_storage(lives, 1, now), rel=0.02)

    def test_a_database_that_moves_is_a_part_of_both(self) -> None:
        lives = (TWO[0], replace(TWO[1], moves=[(november(18, 11), 2)]), life(3, 7, moves=[(OLD, 2)]))
        for now in (november(18, 12), november(22, 12), november(30, 23)):
            played = play(lives, installed_at=INSTALLED, now=now)

            for workspace in (1, 2):
                truth = true_storage(lives, workspace, now)
                assert_true(seen(played, now, workspace).storage_bytes, truth, rel=1e-6)

    def test_a_failing_database_keeps_its_newest_level(self) -> None:
        lives = (
            TWO[0],
            replace(TWO[1], levels=[(OLD, 4 * GIB), (november(9), 20 * GIB)], fails=[(november(10), NEVER)]),
        )
        now = november(22)
        played = play(lives, installed_at=INSTALLED, now=now)

        assert_true(seen(played, now).storage_bytes, true_storage(lives, 1, now), rel=2e-3)

    @pytest.mark.parametrize("hours_later", [1, 13, 40])
    def test_days_that_were_not_read_after_a_step_are_between_those_beside_them(self, hours_later: int) -> None:
        down = [(november(10, 2), november(13, 3))]
        lives = (TWO[0], life(2, 0, levels=[(OLD, 80 * GIB), (november(9), 2 * GIB)]))
        now = november(13, 3) + hours_later * HOUR
        played = play(lives, installed_at=INSTALLED, now=now, down=down)

        assert_true(seen(played, now).storage_bytes, true_storage(lives, 1, now), rel=2e-3)

    def test_a_level_that_nobody_told_is_missing_and_not_0(self) -> None:
        played = play((TWO[0], replace(TWO[1], fails=[(OLD, NEVER)])), installed_at=november(3), now=november(22))

        missing = seen(played, november(22)).missing

        assert missing is not None
        assert "storage never reported, not in the forecast: db_2" in missing
        assert "operations never reported, not in the forecast: db_2" in missing
        nothing = play((replace(TWO[0], fails=[(OLD, NEVER)]),), installed_at=november(3), now=november(22))
        assert seen(nothing, november(22)).storage_bytes is None

    @examples(few=10, many=40)
    def test_constant_levels_are_exact_whatever_could_be_read(self, examples: int) -> None:
        @settings(max_examples=examples, deadline=None)
        @given(
            sizes=st.lists(st.integers(min_value=0, max_value=200), min_size=1, max_size=3),
            installed=st.integers(min_value=1, max_value=45 * 24),
            passed=st.integers(min_value=0, max_value=30 * 24),
            down=st.lists(st.tuples(st.integers(0, 60 * 24), st.integers(1, 200)), max_size=3),
            gone_after=st.none() | st.integers(min_value=1, max_value=45 * 24),
        )
        def holds(
            sizes: list[int],
            installed: int,
            passed: int,
            down: list[tuple[int, int]],
            gone_after: int | None,
        ) -> None:
            begin = datetime(2026, 10, 1, tzinfo=UTC)
            installed_at = begin + installed * HOUR
            now = installed_at + passed * HOUR
            lives = [life(key, size) for key, size in enumerate(sizes, 1)]
            if gone_after is not None and gone_after <= passed:
                lives[0] = replace(lives[0], deleted_at=installed_at + gone_after * HOUR)
            spans = [(installed_at + (1 + at) * HOUR, installed_at + (1 + at + length) * HOUR) for at, length in down]
            # A deletion is noticed with its instant: the simulated discovery of a stopped exporter comes later.
            played = play(lives, installed_at=installed_at, now=now, down=[span for span in spans if span[1] < now])

            found = seen(played, now).storage_bytes

            truth = true_storage(lives, 1, now)
            assert found is not None
            assert found.expected == pytest.approx(truth, rel=1e-6, abs=2)
            assert found.low <= found.expected <= found.high

        holds()


class TestOperations:
    def test_a_failing_database_is_estimated_and_named(self) -> None:
        for fails_from, now, days in (
            (november(12, 6), november(22, 12), 10),
            (datetime(2026, 10, 25, 6, tzinfo=UTC), november(6, 12), 6),
        ):
            lives = (TWO[0], replace(TWO[1], fails=[(fails_from, NEVER)]))
            played = play(lives, installed_at=INSTALLED, now=now)

            found = seen(played, now)

            assert_true(found.operations, 300_000, rel=0.02)
            assert found.missing == f"operations not reported, estimated from other days: db_2 ({days} days)"

    def test_weekdays_are_those_of_the_databases_that_could_be_read(self) -> None:
        rhythm = (1.2, 1.2, 1.2, 1.2, 1.2, 0.6, 0.4)
        lives = [
            life(1, 1, operations_a_day=80_000, rhythm=rhythm),
            life(2, 1, operations_a_day=20_000, rhythm=rhythm, fails=[(november(12, 6), NEVER)]),
        ]
        now = november(23, 9)
        played = play(lives, installed_at=INSTALLED, now=now, every=3 * HOUR)

        assert_true(seen(played, now).operations, true_operations(lives, 1, now), rel=0.02)

    def test_a_database_first_followed_later_lacks_its_days_before(self) -> None:
        lives = (TWO[0], replace(TWO[1], first_seen_at=november(3)))
        now = november(6, 12)
        played = play(lives, installed_at=INSTALLED, now=now)

        assert_true(seen(played, now).operations, 300_000, rel=0.01)

    def test_a_created_and_a_deleted_database_are_no_gaps(self) -> None:
        lives = (
            TWO[0],
            replace(TWO[1], deleted_at=november(12)),
            life(3, 1, operations_a_day=4_000, created_at=november(14, 6), levels=[(november(14, 6), GIB)]),
        )
        now = november(24, 12)
        played = play(lives, installed_at=INSTALLED, now=now)

        found = seen(played, now)

        assert_true(found.operations, true_operations(lives, 1, now), rel=0.02)
        assert found.missing is None

    @pytest.mark.parametrize("hours_later", [24, 30, 48, 150])
    def test_what_was_created_a_day_ago_goes_on(self, hours_later: int) -> None:
        lives = (TWO[0], replace(TWO[1], created_at=november(7, 13)))
        now = november(7, 13) + hours_later * HOUR
        played = play(lives, installed_at=INSTALLED, now=now)

        assert_true(seen(played, now).operations, true_operations(lives, 1, now), rel=0.02)

    @pytest.mark.parametrize(("a_day", "is_named"), [(600, True), (300, False)])
    def test_what_was_created_within_a_day_is_named_where_it_matters(self, a_day: int, *, is_named: bool) -> None:
        old, new = (
            replace(TWO[0], operations_a_day=5_000),
            replace(TWO[1], created_at=november(7, 13), operations_a_day=a_day),
        )
        lives = (old, new)
        now = november(8, 12)

        found = seen(play(lives, installed_at=INSTALLED, now=now), now)

        assert found.is_any_new is is_named
        said = "created within a day, their operations to come not in the forecast: db_2"
        assert found.missing == (said if is_named else None)
        assert_true(found.operations, true_operations(lives[:1], 1, now), rel=0.05)

    def test_what_was_deleted_does_not_go_on_in_what_was_created_on_that_day(self) -> None:
        lives = (
            replace(TWO[0], deleted_at=november(8, 16)),
            replace(TWO[1], created_at=november(8, 15), operations_a_day=10),
        )
        now = november(8, 18)

        found = seen(play(lives, installed_at=INSTALLED, now=now), now)

        assert found.is_any_new
        assert_true(found.operations, true_operations(lives, 1, now), rel=0.05)

    @pytest.mark.parametrize("day", [8, 15, 22])
    @pytest.mark.parametrize("a_day", [200, 2_000])
    def test_where_databases_come_and_go_as_many_come_as_went(self, a_day: int, day: int) -> None:
        previews = [
            Life(
                key=30 + number,
                created_at=november(1) + number * 36 * HOUR,
                deleted_at=november(1) + (number + 2 + number % 2) * 36 * HOUR,
                levels=[(OLD, GIB)],
                operations_a_day=a_day,
            )
            for number in range(-27, 21)
        ]
        lives = (replace(TWO[0], operations_a_day=2_000), *previews)
        now = november(day, 14)
        played = play([life for life in lives if life.created_at <= now], installed_at=INSTALLED, now=now)

        assert_true(seen(played, now).operations, true_operations(lives, 1, now), rel=0.1)

    def test_what_moved_away_does_not_go_on(self) -> None:
        lives = (TWO[0], replace(TWO[1], moves=[(november(18, 11), 2)]))
        now = november(22, 12)
        played = play(lives, installed_at=INSTALLED, now=now)

        assert_true(seen(played, now).operations, true_operations(lives, 1, now), rel=0.02)

    def test_a_day_of_which_most_is_not_known_is_a_gap(self) -> None:
        lives = (replace(TWO[0], fails=[(november(2), NEVER)]), TWO[1])
        now = november(8, 12)
        played = play(lives, installed_at=INSTALLED, now=now)

        assert_true(seen(played, now).operations, 300_000, rel=0.05)

    def test_a_stop_of_the_exporter_is_no_day_without_operations(self) -> None:
        now = november(22, 5)
        played = play(TWO, installed_at=INSTALLED, now=now - 3 * ONE_DAY)

        found = seen(played, now)

        assert_true(found.operations, 300_000, rel=0.02)
        assert found.missing == "operations not reported, estimated from other days: db_1 (3 days), db_2 (3 days)"

    def test_yesterday_that_was_read_a_minute_before_its_end_is_as_good_as_whole(self) -> None:
        now = november(22)
        played = play(TWO, installed_at=INSTALLED, now=now - timedelta(minutes=1))

        found = seen(played, now + timedelta(minutes=1))

        assert_true(found.operations, 300_000, rel=0.001)
        assert found.missing is None

    def test_with_fewer_than_seven_days_nothing_is_foretold(self) -> None:
        now = november(6)
        young = replace(TWO[0], created_at=november(1), levels=[(november(1), GIB)])

        assert seen(play((young,), installed_at=INSTALLED, now=now), now).operations is None

    def test_what_is_missing_is_named_the_longest_first_and_not_without_end(self) -> None:
        lives = [life(1, 1, operations_a_day=50_000)]
        lives += [life(key, 1, fails=[(november(10 + key), NEVER)]) for key in range(2, 7)]
        played = play(lives, installed_at=november(1), now=november(20))

        assert seen(played, november(20)).missing == (
            "operations not reported, estimated from other days: db_2 (8 days), db_3 (7 days), db_4 (6 days) and 2 more"
        )

    @examples(few=10, many=40)
    def test_steady_usage_lies_in_the_interval_whoever_fails(self, examples: int) -> None:
        @settings(max_examples=examples, deadline=None)
        @given(
            rates=st.lists(st.integers(min_value=100, max_value=100_000), min_size=2, max_size=4),
            failing_hours=st.integers(min_value=0, max_value=20 * 24),
            passed=st.integers(min_value=8 * 24, max_value=45 * 24),
        )
        def holds(rates: list[int], failing_hours: int, passed: int) -> None:
            now = datetime(2026, 10, 10, tzinfo=UTC) + passed * HOUR
            lives = [life(key, 1, operations_a_day=rate) for key, rate in enumerate(rates, 1)]
            lives[0] = replace(lives[0], fails=[(now - failing_hours * HOUR, NEVER)])
            played = play(lives, installed_at=INSTALLED, now=now, every=6 * HOUR)

            found = seen(played, now).operations

            assert_true(found, true_operations(lives, 1, now), rel=0.03)

        holds()


class TestNothingIsThere:
    """A workspace without a database now: what it used is what it will have used."""

    @pytest.mark.parametrize("left_at", [datetime(2026, 10, 25, 9, tzinfo=UTC), november(8, 9)])
    @pytest.mark.parametrize("now", [november(9), november(20, 5), november(30, 23)])
    @pytest.mark.parametrize("is_moved", [True, False])
    def test_nothing_is_to_come(self, left_at: datetime, now: datetime, is_moved: bool) -> None:
        gone = replace(TWO[0], moves=[(left_at, 2)]) if is_moved else replace(TWO[0], deleted_at=left_at)
        found = seen(play((gone,), installed_at=INSTALLED, now=now), now)

        assert found.missing is None
        assert_true(found.operations, true_operations((gone,), 1, now), rel=0.001)
        assert_true(found.storage_bytes, true_storage((gone,), 1, now), rel=0.001)
        assert found.operations is not None
        assert found.operations.high <= found.operations.expected * 1.02

    def test_what_was_not_read_before_its_end_is_estimated(self) -> None:
        gone = replace(TWO[0], deleted_at=november(12), fails=[(november(8), NEVER)])
        now = november(20)
        found = seen(play((gone,), installed_at=INSTALLED, now=now), now)

        assert_true(found.operations, true_operations((gone,), 1, now), rel=0.02)
        assert found.missing == "operations not reported, estimated from other days: db_1 (4 days)"


class TestAMoveThatWasNoticedLate:
    """A database was last seen in the old workspace on the 14th, and in the new one on the 18th."""

    MOVED_AT = november(18, 11)
    LIVES = (replace(TWO[1], moves=[(MOVED_AT, 2)]), life(3, 7, operations_a_day=8_000, moves=[(OLD, 2)]))
    NOW = november(26, 12)

    def told(self, workspace: int, now: datetime = NOW) -> Outlook:
        played = play(self.LIVES, installed_at=INSTALLED, now=now)
        move = Move(at=self.MOVED_AT, from_key=1, to_key=2, last_there_at=november(14, 11))
        states = [
            replace(
                state,
                moves=(move,),
                recent_days=tuple(
                    row
                    for (key, day), row in sorted(played.rows.items(), key=lambda entry: entry[1].day)
                    if key == state.key and (move.leaves_in_doubt(row.day) or row in state.recent_days)
                ),
            )
            if state.key == 2
            else state
            for state in played.states(workspace)
        ]
        return outlook(workspace, states, placed_days(workspace, played.days(workspace), states), now)

    def test_the_old_one_has_at_least_the_days_before_and_about_the_half_of_those_between(self) -> None:
        found = self.told(1)

        assert found.operations is not None
        # From the 14th on it may have been elsewhere; it is taken to have left on the 16th at eleven.
        assert (found.operations.low, found.operations.expected) == (26_000, 26_000 + round(2_000 * (2 + 11 / 24)))
        assert found.operations.high >= 26_000 + 2_000 * (4 + 11 / 24)
        assert_true(found.storage_bytes, 4 * GIB * (15 + 11 / 24) / 30, rel=0.01)
        assert found.missing == (
            "operations of a move, which may be another workspace's, estimated from other days: db_2 (2 days)"
        )

    def test_the_new_one_has_at_least_the_days_after(self) -> None:
        found = self.told(2)

        assert_true(found.operations, 240_000 + 2_000 * (14 + 13 / 24), rel=0.002)
        assert found.operations is not None
        assert found.operations.low <= 240_000 + 2_000 * (12 + 13 / 24)
        assert_true(found.storage_bytes, 7 * GIB + 4 * GIB * (14 + 13 / 24) / 30, rel=0.01)
        assert found.missing is not None
        assert "db_2 (3 days)" in found.missing

    def test_nothing_of_today_is_known_on_the_day_of_the_move(self) -> None:
        found = self.told(1, november(18, 12)).operations

        assert found is not None
        assert found.low == 26_000


def test_a_forecast_that_is_not_made_says_why() -> None:
    now = november(6)
    young = replace(TWO[0], created_at=november(1), levels=[(november(1), GIB)])

    found = seen(play((young,), installed_at=INSTALLED, now=now), now)

    assert (found.operations, found.missing) == (None, "enough days of operations: fewer than seven are known")

    # Nothing is estimated from other days where there are too few of them.
    late = replace(young, created_at=november(1) - timedelta(days=30))
    found = seen(play((late,), installed_at=november(4), now=now), now)

    assert (found.operations, found.missing) == (None, "enough days of operations: fewer than seven are known")

    # Days enough are there, but not of the one that makes most of them.
    read_once = [(datetime(2026, 10, 5, tzinfo=UTC), NEVER)]
    now = november(10)
    large = replace(TWO[0], fails=read_once)
    found = seen(play((large, TWO[1]), installed_at=datetime(2026, 10, 1, tzinfo=UTC), now=now), now)

    said = "fewer than seven hold most of what its databases usually do; not reported: db_1 (9 days)"
    assert (found.operations, found.missing) == (None, f"enough days of operations: {said}")
