"""The JSON API as an application: every refusal is a problem, and the widest question leaves others their turn."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any, cast

import httpx
import pytest
from expose_views import A_DATABASE, A_SNAPSHOT, A_WORKSPACE, NOW, snapshot_of
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from prisma_postgres_exporter.cost import By, CostRow
from prisma_postgres_exporter.documents import Databases, UsageRows, Workspaces, database_document
from prisma_postgres_exporter.documents.models import DatabaseDocument
from prisma_postgres_exporter.errors import StoreError, TooBusy
from prisma_postgres_exporter.expose.ledger import Ledger
from prisma_postgres_exporter.expose.v1 import json_api
from prisma_postgres_exporter.expose.v1 import questions as v1_questions
from prisma_postgres_exporter.expose.v1.writing import written
from prisma_postgres_exporter.report import Chosen, LedgerMonth, UsageRow
from prisma_postgres_exporter.snapshot import Snapshot
from prisma_postgres_exporter.words import listed

PATHS = ("/workspaces", "/databases", "/databases/db_a", "/usage", "/cost", "/budgets", "/openapi.json")


class OneLedger:
    """Answers every question with the same rows, or with an error."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.months: list[datetime] = []

    def now(self) -> datetime:
        return NOW

    async def month(self, until: datetime) -> LedgerMonth:
        if self.error is not None:
            raise self.error
        self.months.append(until)
        return cast(LedgerMonth, self)

    def rows(self, by: By) -> tuple[CostRow, ...]:
        return ()

    async def days(self, *asked: object, **options: object) -> tuple[list[UsageRow], date | None]:
        return [], None

    async def unknown(self, chosen: Chosen) -> tuple[str, ...]:
        return chosen.unknown(["wksp_a"], [("wksp_a", "proj_a", "db_a")])


@asynccontextmanager
async def asking(
    ledger: OneLedger | None = None, snapshot: Callable[[], Snapshot | None] = lambda: A_SNAPSHOT
) -> AsyncIterator[httpx.AsyncClient]:
    app = json_api(snapshot, cast(Ledger, ledger or OneLedger()))
    # What failed is raised to the server as well, for its log.
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://exporter") as client:
        yield client


def problem(answer: httpx.Response) -> str:
    """What is told, once it is seen that it is a problem as RFC 9457 has it."""
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    told = answer.json()
    assert (told["type"], told["status"], told.keys()) == (
        "about:blank",
        answer.status_code,
        {"type", "title", "status", "detail"},
    )
    return str(told["detail"])


@pytest.mark.parametrize(
    ("question", "named"),
    [
        ("/databases?workspace=no", "workspace 'no'"),
        ("/databases?project=no&workspace=wksp_a", "project 'no'"),
        ("/usage?workspace=no&database=none", "workspace 'no', no database 'none'"),
        ("/usage?workspace=wksp_a", None),
        ("/cost?workspace=no", "workspace 'no'"),
        ("/cost?by=project&project=no", "project 'no'"),
    ],
)
async def test_a_filter_that_names_what_is_not_there_is_told_so(question: str, named: str | None) -> None:
    async with asking() as client:
        answer = await client.get(question)

    assert answer.status_code == (404 if named else 200)
    assert named is None or problem(answer).startswith(f"there is no {named} here; /api/v1/workspaces and ")


@pytest.mark.parametrize("path", PATHS)
async def test_no_path_takes_a_parameter_that_it_does_not_know_or_one_twice(path: str) -> None:
    async with asking() as client:
        unknown, twice = await client.get(f"{path}?cursor=1"), await client.get(f"{path}?limit=1&by=2&limit=3&by=4")

    assert (unknown.status_code, twice.status_code) == (400, 400)
    assert problem(unknown).startswith("there is no parameter 'cursor'; ")
    assert problem(twice) == "limit was given more than once; by was given more than once"


async def test_everything_that_is_wrong_is_told_at_once() -> None:
    async with asking() as client:
        answer = await client.get("/usage?by=wek&from=2026-02-30&databse=x&workspace=")

    assert problem(answer).split("; ") == [
        "from='2026-02-30' is not a day that exists",
        "by='wek' is not accepted",
        "known are day and month",
        "workspace='' must not be empty",
        "there is no parameter 'databse'",
        "did you mean database? known are from, to, by, group, workspace, project and database",
    ]


@pytest.mark.parametrize("path", [*PATHS, "/nowhere", "/docs", "/redoc", "/docs/oauth2-redirect", "/", "/usage/"])
async def test_what_the_router_refuses_is_a_problem_too(path: str) -> None:
    async with asking() as client:
        for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"):
            answer = await client.request(method, path)
            if path in PATHS:
                assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
                assert problem(answer) == "only GET and HEAD are answered: nothing can be changed here"
            else:
                assert answer.status_code == 404
                assert "openapi.json says what there is" in problem(answer)


async def test_head_is_answered_as_get() -> None:
    async with asking() as client:
        for path in ("/databases", "/databases/db_a", "/openapi.json", "/databases?limit=0", "/databases/absent"):
            asked, told = await client.get(path), await client.head(path)
            assert (told.status_code, told.headers) == (asked.status_code, asked.headers)


@pytest.mark.parametrize(
    ("error", "status", "retry_after", "said"),
    [
        (TooBusy(), 503, "5", str(TooBusy())),
        (StoreError("x.db is locked"), 503, "5", "x.db is locked"),
        (RuntimeError("a secret"), 500, None, "this is a fault of the exporter; its log says more"),
    ],
)
async def test_what_cannot_be_read_is_a_problem(
    error: Exception, status: int, retry_after: str | None, said: str
) -> None:
    async with asking(OneLedger(error)) as client:
        answer = await client.get("/cost")

    assert (answer.status_code, answer.headers.get("retry-after")) == (status, retry_after)
    assert problem(answer) == said


async def test_before_anything_is_known_a_question_is_to_be_asked_again() -> None:
    async with asking(snapshot=lambda: None) as client:
        answer = await client.get("/databases")

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert problem(answer) == "nothing is known yet: the store was not read back"


async def test_the_document_names_each_parameter_and_problem_that_there_is_and_no_other() -> None:
    async with asking() as client:
        document = (await client.get("/openapi.json")).json()
        told = {path: (await client.get(f"{path}?x=1")).json()["detail"] for path in document["paths"]}
    schemas = document["components"]["schemas"]

    assert (document["openapi"], document["servers"]) == ("3.1.0", [{"url": "/api/v1"}])
    assert set(_references(document)) <= schemas.keys() - {"HTTPValidationError", "ValidationError"}
    for path, methods in document["paths"].items():
        operation = methods["get"]
        queries = [row["name"] for row in operation.get("parameters", ()) if row["in"] == "query"]
        assert (listed(queries) or "this address takes none") in told[path]
        for status, answer in operation["responses"].items():
            assert list(answer["content"]) == ["application/json" if status == "200" else "application/problem+json"]
            assert status != "422" or path in ("/usage", "/cost")
    # No query can say `null`.
    assert "null" not in json.dumps([methods["get"].get("parameters", ()) for methods in document["paths"].values()])


def _references(part: Any) -> list[str]:
    if isinstance(part, dict):
        own = [part["$ref"].rpartition("/")[2]] if "$ref" in part else []
        return own + [name for each in part.values() for name in _references(each)]
    return [name for each in part for name in _references(each)] if isinstance(part, list) else []


async def test_however_many_ask_one_answer_is_made_at_a_time_and_the_loop_goes_on() -> None:
    began, entered, may_end = asyncio.Event(), 0, threading.Event()
    loop = asyncio.get_running_loop()

    def snapshot() -> Snapshot:
        nonlocal entered
        entered += 1
        loop.call_soon_threadsafe(began.set)
        assert may_end.wait(30)
        return A_SNAPSHOT

    async with asking(snapshot=snapshot) as client:
        asked = [asyncio.create_task(client.get(path)) for path in ("/databases", "/workspaces", "/budgets") * 3]
        await began.wait()
        # Every other question has come to its turn by now.
        for _ in range(100):
            await asyncio.sleep(0)
        assert entered == 1
        may_end.set()
        answers = await asyncio.gather(*asked)

    assert entered == len(asked)
    assert {answer.status_code for answer in answers} == {200}


async def test_months_go_on_after_as_many_rows_as_there_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    row = UsageRow(
        period="2026-01",
        workspace_id="wksp_a",
        workspace_name="Acme",
        project_id=None,
        project_name=None,
        database_id=None,
        database_name=None,
        operations=1,
        days_known=1,
        days=1,
        is_usage_complete=True,
        storage_covered_ratio=None,
        mean_storage_bytes=None,
    )
    monkeypatch.setattr(v1_questions, "usage_of_month", lambda month, group, chosen: [row] * 5_001)
    ledger = OneLedger()
    async with asking(ledger) as client:
        page = (await client.get("/usage?by=month&from=2026-01-01")).json()
        rest = (await client.get(f"/usage?by=month&from={page['next_from']}&to=2026-03-31")).json()

    assert (len(page["data"]), page["next_from"]) == (10_002, "2026-03-01")
    assert (len(rest["data"]), rest["next_from"]) == (5_001, None)
    assert len(ledger.months) == 3


@settings(max_examples=30)
@given(st.lists(st.text() | st.just('"data":[],"data":[]'), max_size=4), st.none() | st.text())
def test_rows_are_written_as_the_whole_would_be(names: list[str], next_after: str | None) -> None:
    views = [replace(A_DATABASE, database_name=name.encode("utf-8", "ignore").decode()) for name in names]
    rows = [database_document(view, NOW) for view in views]
    for answer in (
        Databases(taken_at=NOW, costs_at=None, data=rows, next_after=next_after),
        Workspaces(taken_at=NOW, costs_at=NOW, data=[]),
        UsageRows(data=[], next_from=date(2026, 11, 1)),
    ):
        assert written(answer) == answer.model_dump_json().encode()


async def test_each_row_is_written_by_itself() -> None:
    lengths: list[int] = []

    class Row(DatabaseDocument):
        def model_dump_json(self, **options: Any) -> str:
            text = super().model_dump_json(**options)
            lengths.append(len(text))
            return text

    row = database_document(A_DATABASE, NOW)
    rows = [Row.model_validate(row.model_dump()) for _ in range(3)]
    answer = Databases.model_construct(version=1, taken_at=NOW, costs_at=None, data=rows, next_after=None)
    assert json.loads(written(answer))["data"] == [json.loads(row.model_dump_json())] * 3
    assert lengths == [len(row.model_dump_json())] * 3


async def test_nothing_of_a_question_goes_into_somebodys_traces(monkeypatch: pytest.MonkeyPatch) -> None:
    spans, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    async with asking() as client:
        assert (await client.get("/databases?workspace=of-a-customer")).status_code == 404
        assert (await client.get("/databases?wrkspace=of-a-customer")).status_code == 400

    assert spans.get_finished_spans() == ()


async def test_pages_are_the_whole_whatever_their_length() -> None:
    snapshot = snapshot_of([replace(A_DATABASE, database_id=f"db_{number:02}") for number in range(23)], [A_WORKSPACE])
    snapshot = replace(snapshot, taken_at=datetime(2026, 11, 23, tzinfo=UTC))
    async with asking(snapshot=lambda: snapshot) as client:
        for limit in (1, 7, 23, 24):
            found, after = [], ""
            while True:
                page = (await client.get(f"/databases?limit={limit}{after}")).json()
                found += [row["database_id"] for row in page["data"]]
                assert len(page["data"]) <= limit
                if page["next_after"] is None:
                    break
                after = f"&after={page['next_after']}"
            assert found == [view.database_id for view in snapshot.databases]
