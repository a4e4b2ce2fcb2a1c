"""Questions to the ledger beside the collector: a few wait, and more are told to come back; a page never waits long."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest
from lived_store import ENDS_AT

from prisma_postgres_exporter.config import load_config
from prisma_postgres_exporter.errors import StoreUnavailable, TooBusy
from prisma_postgres_exporter.expose import ExporterHealth, Exposition, ServiceStatus, web_app
from prisma_postgres_exporter.expose.visible import visible_ledger
from prisma_postgres_exporter.report import Chosen, LedgerMonth, MonthCosts
from prisma_postgres_exporter.service import LedgerReader
from prisma_postgres_exporter.service.ledger_reader import COSTS_KEPT, FAILURE_KEPT, MOST_WAITING
from prisma_postgres_exporter.snapshot import Snapshot
from prisma_postgres_exporter.store import Store


async def test_more_questions_than_may_wait_are_refused_and_the_others_answered(url: str) -> None:
    config = load_config(store_url=url, environ={})
    with closing(LedgerReader(lambda: config, lambda: ENDS_AT)) as reader:
        asked = [reader.month(ENDS_AT) for _ in range(MOST_WAITING + 4)]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        again = await reader.month(ENDS_AT)

    answered = [answer for answer in answers if isinstance(answer, LedgerMonth)]
    assert len(answered) == MOST_WAITING + 1
    assert sum(isinstance(answer, TooBusy) for answer in answers) == 3
    assert {answer.name for answer in (*answered, again)} == {"2026-11"}


async def test_what_the_ledger_never_saw_is_unknown_and_what_is_anothers_too(url: str) -> None:
    with closing(Store.open_to_read(url)) as store:
        database = next(iter(store.databases())).database
    there = Chosen(workspace_id=database.workspace_id, project_id=database.project_id, database_id=database.id)
    with reader_of(url, Clock()) as reader:
        assert await reader.unknown(there) == ()
        assert await reader.unknown(replace(there, project_id="no")) == ("project 'no'",)
        assert len(await visible_ledger(reader, frozenset({"wksp_other"})).unknown(there)) == 3


async def test_what_is_expected_of_all_databases_of_a_workspace_is_what_its_limits_are_made_of(url: str) -> None:
    with reader_of(url, Clock()) as reader:
        month = await reader.month(ENDS_AT)
        # One that left is none of its databases any more.
        states = month.ledger_state.databases.values()
        left = {
            row.workspace_key for state in states for row in state.months if row.workspace_key != state.workspace_key
        }
        rows = month.ledger_state.workspaces.items()
        costs = {id_: month.costs.workspaces[id_] for id_, row in rows if row.key not in left}
        found = {id_: await reader.outlook(Chosen(workspace_id=id_)) for id_ in costs}
        elsewhere = await visible_ledger(reader, frozenset()).outlook(Chosen(workspace_id=next(iter(costs))))

    assert {id_: ahead.operations for id_, ahead in found.items()} == {
        id_: cost.expected_operations for id_, cost in costs.items()
    }
    assert any(ahead.operations for ahead in found.values())
    assert elsewhere.operations is None


@pytest.fixture
def url(lived_file: Path, tmp_path: Path) -> str:
    """A store that lived for a month."""
    return f"sqlite:///{shutil.copy(lived_file, tmp_path)}"


class Openings:
    """Stores that are opened: counted, and refused or held up where a test wants it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self.error: StoreUnavailable | None = None
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.begun = threading.Event()
        self._open: Callable[[str], Store] = Store.open_to_read
        monkeypatch.setattr(Store, "open_to_read", self)

    def __call__(self, url: str) -> Store:
        self.count += 1
        self.begun.set()
        self.may_go_on.wait()
        if self.error is not None:
            raise self.error
        return self._open(url)


class Clock:
    def __init__(self) -> None:
        self.now = ENDS_AT

    def __call__(self) -> datetime:
        return self.now


def reader_of(url: str, clock: Clock, *, patience_seconds: float = 600) -> closing[LedgerReader]:
    config = load_config(store_url=url, environ={})
    return closing(LedgerReader(lambda: config, clock, patience_seconds=patience_seconds))


async def test_the_costs_of_many_pages_are_read_once(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    openings = Openings(monkeypatch)
    with reader_of(url, Clock()) as reader:
        found = await asyncio.gather(*(reader.costs() for _ in range(3 * MOST_WAITING)))

    assert openings.count == 1
    assert isinstance(found[0], MonthCosts)
    assert all(costs is found[0] for costs in found)


async def test_costs_of_a_page_do_not_wait_for_a_question_of_a_program(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    openings, others = Openings(monkeypatch), threading.Event()
    held_up = openings.may_go_on = threading.Event()
    others.set()
    with reader_of(url, Clock(), patience_seconds=20) as reader:
        question = asyncio.create_task(reader.month(ENDS_AT))
        await asyncio.to_thread(openings.begun.wait)
        openings.may_go_on = others
        costs, is_answered = await reader.costs(), question.done()
        held_up.set()
        await question

    assert isinstance(costs, MonthCosts)
    assert not is_answered


async def test_a_page_does_not_wait_for_a_store_that_does_not_answer(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    openings, clock = Openings(monkeypatch), Clock()
    openings.may_go_on.clear()
    with reader_of(url, clock, patience_seconds=0.01) as reader:
        status = ServiceStatus(
            version="1",
            now_at=ENDS_AT,
            started_at=ENDS_AT,
            api_url="",
            store_url="",
            snapshot=Snapshot(taken_at=ENDS_AT),
        )
        app = web_app(Exposition(ExporterHealth()), lambda: status, None, ledger=reader)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://exporter") as client:
            # A question of a program hangs too, and is not in the way.
            question = asyncio.create_task(reader.month(ENDS_AT))
            pages = [await client.get("/") for _ in range(3)]
            openings.may_go_on.set()
            await question
            while (known := await reader.costs()) is None:
                pass
            openings.may_go_on.clear()
            clock.now += COSTS_KEPT
            later = await client.get("/")
            openings.may_go_on.set()

    assert [(page.status_code, "The ledger is being read." in page.text) for page in pages] == [(200, True)] * 3
    assert isinstance(known, MonthCosts)
    assert openings.count == 3
    assert f"worked out at {known.until:%Y-%m-%d %H:%M} UTC" in later.text


async def test_a_failure_is_kept_for_some_seconds_and_what_was_known_stays(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    openings, clock = Openings(monkeypatch), Clock()
    with reader_of(url, clock) as reader:
        openings.error = StoreUnavailable("no answer")
        assert [await reader.costs() for _ in range(5)] == ["no answer"] * 5
        assert openings.count == 1

        openings.error = None
        clock.now += FAILURE_KEPT
        known = await reader.costs()
        assert isinstance(known, MonthCosts)
        assert await reader.costs() is known

        openings.error = StoreUnavailable("away again")
        clock.now += COSTS_KEPT + timedelta(seconds=1)
        for _ in range(5):
            costs = await reader.costs()
            assert isinstance(costs, MonthCosts)
            assert (costs.until, costs.lines) == (known.until, known.lines)
            assert costs.notes == ("The ledger cannot be read now: away again", *known.notes)
        assert openings.count == 3
