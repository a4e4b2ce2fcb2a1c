"""A vendor that answers one workspace badly: it is told why, keeps its numbers and loses none; the other is read on."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
import raw_front
from processes import assert_no_counter_fell, wait_until
from raw_front import Behaviour, Seen
from scene import UP, Scene, scene

from prisma_postgres_exporter.reasons import reason_in_words
from reliability import Fault, record

pytestmark = pytest.mark.slow


@dataclass(frozen=True, slots=True)
class Case:
    """What is done to answers, and the reason that is told."""

    tried: str
    behaviour: Behaviour
    reason: str


EVERY_ANSWER = (
    Case("every answer to a workspace stalls", raw_front.stall, "timeout"),
    Case("every answer to a workspace drips, byte after byte", raw_front.drip, "timeout"),
    Case("every connection of a workspace is reset", raw_front.reset, "disconnected"),
    Case("every connection of a workspace is closed without an answer", raw_front.hang_up, "disconnected"),
    Case("half of each body, then the end", raw_front.half, "cut_body"),
    Case("half of each body, with no length said", raw_front.half_unsaid, "not_json"),
    Case("a gzip bomb of 1 GiB in the place of each answer", raw_front.bomb, "compressed"),
    Case("bodies without an end", raw_front.endless, "too_large"),
    Case("heads without an end", raw_front.endless_head, "bad_http"),
    Case("a sign-in page (HTML, status 200) in the place of each answer", raw_front.html, "not_json"),
    Case("a gateway's error page (HTML, status 502) in the place of each answer", raw_front.html_error, "http_502"),
    Case("another protocol's greeting in the place of each answer", raw_front.not_http, "bad_http"),
)
LISTS = (
    Case("a list of databases whose pages do not end", raw_front.endless_pages(), "endless_list"),
    Case("a list of databases whose cursor repeats", raw_front.repeated_cursor, "cursor_repeats"),
)
SLOW_PAGE_SECONDS = 0.8
"""Less than a call may take; a thousand of them take a quarter of an hour."""

ONE_DATABASE = (
    Case("the usage of one database stalls", raw_front.stall, "timeout"),
    Case("the usage of one database drips, byte after byte", raw_front.drip, "timeout"),
    Case("half of each body of one database's usage, then the end", raw_front.half, "cut_body"),
)


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """One service that lives through all of it."""
    with scene(tmp_path_factory.mktemp("vendor")) as running:
        yield running
        running.assert_store_is_sound()
        running.assert_no_secret()


@pytest.mark.parametrize("case", EVERY_ANSWER, ids=lambda case: case.tried)
def test_a_workspace_that_is_answered_badly_is_told_of_and_made_up_for(seen: Scene, case: Case) -> None:
    seconds = struck(seen, case)

    record(answered(case.tried, f"`{case.reason}`", seconds))


def test_a_redirect_never_takes_the_token_along(seen: Scene) -> None:
    with listener() as thief:
        case = Case(
            "a redirect of each request to another server", raw_front.redirect(f"{thief.url}/v1/me"), "redirect"
        )
        seconds = struck(seen, case)

    assert thief.connections == 0
    record(answered(case.tried, "`redirect`; the other server is never connected to", seconds))


@pytest.mark.parametrize("case", LISTS, ids=lambda case: case.tried)
def test_a_list_that_does_not_end_leaves_its_databases_read(seen: Scene, case: Case) -> None:
    def is_list(asked: Seen) -> bool:
        return seen.of_struck(asked) and asked.path == "/v1/databases"

    logged = len(seen.service.output)
    with seen.fault(case.behaviour, is_list):
        wait_until(lambda: seen.told(logged, "workspace failing", case.reason), "the workspace is said to fail")
        seen.read_after(seen.struck | seen.well, datetime.now(UTC).timestamp())
        missing, text = seen.doctor()
        assert missing
        assert "GET /v1/databases" in text
        wait_until(lambda: case.reason in seen.page, "the reason on the page")
    seconds = seen.well_again()
    wait_until(lambda: "workspace recovered" in seen.service.output[logged:], "the workspace recovers")
    seen.assert_nothing_was_lost()
    record(answered(case.tried, f"`{case.reason}`; usage of its databases is read on", seconds))


def test_a_list_whose_pages_are_slow_and_do_not_end_keeps_no_usage_from_being_read(seen: Scene) -> None:
    def is_list(asked: Seen) -> bool:
        return seen.of_struck(asked) and asked.path == "/v1/databases"

    with seen.fault(raw_front.endless_pages(seconds=SLOW_PAGE_SECONDS), is_list):
        for _ in range(3):
            seen.front.treated = 0
            wait_until(lambda: seen.front.treated > 2, "pages of the list")
            seen.read_after(seen.struck | seen.well, datetime.now(UTC).timestamp())
    seconds = seen.well_again()
    seen.assert_nothing_was_lost()
    record(answered("a list of databases of slow pages without an end", "usage of its databases is read on", seconds))


@pytest.mark.parametrize("case", ONE_DATABASE, ids=lambda case: case.tried)
def test_a_database_that_is_answered_badly_hurts_no_other(seen: Scene, case: Case) -> None:
    one = min(seen.struck)
    others = (seen.struck | seen.well) - {one}

    def is_its_usage(asked: Seen) -> bool:
        return asked.path == f"/v1/databases/{one}/usage"

    logged = len(seen.service.output)
    with seen.fault(case.behaviour, is_its_usage):
        seen.service.scrape_when(lambda samples: samples.value(UP, database_id=one) == 0, "it is down")
        samples = seen.read_after(others, datetime.now(UTC).timestamp())
        assert [id_ for id_ in others if samples.value(UP, database_id=id_) != 1] == []
        wait_until(lambda: seen.told(logged, "database failing", case.reason), "the line in the log")
        wait_until(lambda: case.reason in seen.page, "the reason on the page")
        assert reason_in_words(case.reason) in seen.doctor()[1]
    seconds = seen.well_again()
    assert seen.service.output[logged:].count("database failing") == 1
    seen.assert_nothing_was_lost()
    record(answered(case.tried, f"`{case.reason}`; the others of its workspace are read on", seconds))


def test_an_answer_with_another_content_type_is_used_as_it_is(seen: Scene) -> None:
    logged = len(seen.service.output)
    with seen.fault(raw_front.other_type, seen.of_struck):
        wait_until(lambda: seen.front.treated > 20, "answers of another type")
        seen.read_after(seen.struck | seen.well, datetime.now(UTC).timestamp())
        assert seen.service.output[logged:] == ""
    seconds = seen.well_again()
    seen.assert_nothing_was_lost()
    record(answered("answers in JSON that say they are a picture", "nothing: they are used", seconds))


def struck(seen: Scene, case: Case) -> float:
    """Do it to every answer of one workspace; returns how long it took from its end until all was well."""
    with seen.clock.held() as held_at:
        before = seen.read_until(held_at)
    failed, logged = seen.failures(before).get(case.reason, 0), len(seen.service.output)
    with seen.fault(case.behaviour, seen.of_struck):
        down = seen.service.scrape_when(
            lambda samples: seen.is_down(samples, seen.struck, case.reason, failed), "the workspace is down"
        )
        # Metrics, log, page and doctor say the same.
        seen.wait_until_told(logged, case.reason)
        missing, text = seen.doctor()
        assert missing
        assert f"{case.reason}: " in text or reason_in_words(case.reason) in text
        # What was known stays, and the neighbour is read on.
        assert_no_counter_fell(before, down)
        fresh = seen.read_after(seen.well, datetime.now(UTC).timestamp())
        assert [id_ for id_ in seen.well if fresh.value(UP, database_id=id_) != 1] == []
        assert seen.service.get("/-/healthy").status == 200
    seconds = seen.well_again()
    # Once for each that fails, however often it was tried.
    lines = seen.service.output[logged:].splitlines()
    assert sum("database failing" in line for line in lines) == len(seen.struck)
    assert sum("workspace failing" in line for line in lines) == 1
    seen.assert_nothing_was_lost(before, since=held_at)
    return seconds


def answered(tried: str, said: str, seconds: float) -> Fault:
    return Fault(part="vendor", tried=tried, times=1, seen=said, lost="nothing", seconds=seconds)


class listener:  # noqa: N801
    """A server that counts who connects."""

    def __enter__(self) -> listener:
        self.connections = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._count, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def _count(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            connection.close()
