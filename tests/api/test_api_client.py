"""The client's calls, lists and retries, on a real socket and stepping time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from typing import TypeVar

import pytest
from api_fakes import ApiFor, SteppingTime, Witness
from hostile import Behaviour, SeenRequest, answer, half, hostile_server, reset, routed

from prisma_postgres_exporter.api import Refused, WorkspaceReference
from prisma_postgres_exporter.errors import (
    ApiError,
    CredentialRefused,
    MalformedAnswer,
    PlanLimitReached,
    RequestRefused,
    Throttled,
    Unavailable,
)

T = TypeVar("T")

USAGE = {
    "period": {"start": "2026-11-01T00:00:00.000Z", "end": "2026-11-23T12:00:00.000Z"},
    "metrics": {"operations": {"used": 12, "unit": "ops"}, "storage": {"used": 1, "unit": "GiB"}},
}
USAGE_ENDPOINT = "GET /v1/databases/{id}/usage"
WORKSPACE = {"id": "wksp_1", "type": "workspace", "name": "Acme", "createdAt": "2026-01-01T00:00:00Z"}
PROJECT = {"id": "proj_1", "name": "Shop", "createdAt": "2026-01-01T00:00:00Z", "workspace": WORKSPACE}
DATABASE = {
    "id": "db_1",
    "name": "shop",
    "status": "ready",
    "createdAt": "2026-01-01T00:00:00Z",
    "isDefault": True,
    "project": {"id": "proj_1", "name": "Shop"},
    "region": {"id": "us-east-1", "name": "US East"},
}


async def listed(entries: AsyncIterator[T]) -> list[T]:
    return [entry async for entry in entries]


def page(entries: list[object], next_cursor: str | None) -> Behaviour:
    return answer({"data": entries, "pagination": {"nextCursor": next_cursor, "hasMore": next_cursor is not None}})


async def test_every_reading_call_asks_the_right_path(api_for: ApiFor) -> None:
    replies: dict[str, object] = {
        "/v1/me": {"data": {"user": None, "workspace": WORKSPACE, "credential": {"type": "service_token", "id": None}}},
        "/v1/workspaces/wksp_1": {"data": WORKSPACE},
        "/v1/workspaces/wksp_1/subscription": {"data": {"planName": "Starter", "usageBlocked": False}},
        "/v1/projects/proj_1": {"data": PROJECT},
        "/v1/databases/db_1": {"data": DATABASE},
        "/v1/databases/db_1/usage": USAGE,
        "/v1/regions": {"data": [{"id": "us-east-1", "name": "US East", "product": "postgres"}]},
        "/v1/workspaces": {"data": [WORKSPACE], "pagination": {"hasMore": False, "nextCursor": None}},
        "/v1/projects": {"data": [PROJECT], "pagination": {"hasMore": False, "nextCursor": None}},
        "/v1/databases": {"data": [DATABASE], "pagination": {"hasMore": False, "nextCursor": None}},
    }
    async with hostile_server(routed(lambda request: answer(replies[request.path]))) as server:
        api = api_for(server)

        assert (await api.me()).workspace == WorkspaceReference(id="wksp_1", name="Acme")
        assert (await api.workspace("1")).name == "Acme"
        assert (await api.subscription("wksp_1")).plan_name == "Starter"
        assert (await api.project("1")).workspace.name == "Acme"
        assert (await api.database("1")).region is not None
        assert (await api.usage("1")).operations == 12
        assert [region.id for region in await api.regions(product="postgres")] == ["us-east-1"]
        assert [workspace.id for workspace in await listed(api.workspaces())] == ["wksp_1"]
        assert [project.id for project in await listed(api.projects())] == ["proj_1"]
        assert [database.id for database in await listed(api.databases("1", limit=7))] == ["db_1"]

    assert {request.path for request in server.requests} == set(replies)
    assert server.requests[-1].query == {"projectId": "proj_1", "limit": "7"}


async def test_a_window_is_sent_in_utc_milliseconds(api_for: ApiFor) -> None:
    two_hours_east = timezone(timedelta(hours=2))
    async with hostile_server(answer(USAGE)) as server:
        await api_for(server).usage(
            "db_1",
            start_at=datetime(2026, 11, 1, 2, tzinfo=two_hours_east),
            end_at=datetime(2026, 11, 1, 23, 59, 59, 999_999, tzinfo=UTC),
        )

    assert server.requests[0].query == {"startDate": "2026-11-01T00:00:00.000Z", "endDate": "2026-11-01T23:59:59.999Z"}


@pytest.mark.parametrize(
    ("start_at", "end_at"),
    [
        (datetime(2026, 11, 1), None),  # noqa: DTZ001 - the naive instant is what is refused
        (None, datetime(2026, 11, 1)),  # noqa: DTZ001
        (datetime(2026, 11, 1), datetime(2026, 11, 2, tzinfo=UTC)),  # noqa: DTZ001
        (datetime(2026, 11, 2, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)),
    ],
)
async def test_a_window_that_means_nothing_is_refused_before_it_is_sent(
    api_for: ApiFor, start_at: datetime | None, end_at: datetime | None
) -> None:
    async with hostile_server(answer(USAGE)) as server:
        with pytest.raises(RequestRefused) as caught:
            await api_for(server).usage("db_1", start_at=start_at, end_at=end_at)

    assert caught.value.reason == "invalid_argument"
    assert server.requests == []


@pytest.mark.parametrize("raw_id", ["", "..", "a/b", "a?b", "a%2fb", "db 1", "proj_1", "é", "x" * 500])
async def test_an_id_that_is_none_is_refused_before_it_is_sent(api_for: ApiFor, raw_id: str) -> None:
    async with hostile_server(answer(USAGE)) as server:
        with pytest.raises(RequestRefused) as caught:
            await api_for(server).usage(raw_id)

    assert caught.value.reason == "invalid_id"
    assert server.requests == []


async def test_a_list_is_read_page_after_page(api_for: ApiFor) -> None:
    cursors: dict[str | None, str | None] = {None: "a&b", "a&b": "ü =", "ü =": None}

    def choose(request: SeenRequest) -> Behaviour:
        cursor = request.query.get("cursor")
        return page([{**WORKSPACE, "id": f"w{list(cursors).index(cursor)}"}], cursors[cursor])

    async with hostile_server(routed(choose)) as server:
        workspaces = await listed(api_for(server).workspaces(limit=1))

    assert [workspace.id for workspace in workspaces] == ["wksp_w0", "wksp_w1", "wksp_w2"]
    assert [request.query.get("limit") for request in server.requests] == ["1", "1", "1"]


async def test_no_page_is_fetched_before_it_is_wanted(api_for: ApiFor) -> None:
    async with hostile_server(page([WORKSPACE], "more")) as server:
        async for _workspace in api_for(server).workspaces():
            break

    assert len(server.requests) == 1


@pytest.mark.parametrize("cycle", [["a"], ["a", "b", "c"]])
async def test_a_repeating_cursor_ends_the_list_with_an_error(api_for: ApiFor, cycle: list[str]) -> None:
    following: dict[str | None, str] = {None: cycle[0]}
    following.update(zip(cycle, [*cycle[1:], cycle[0]], strict=True))
    async with hostile_server(
        routed(lambda request: page([WORKSPACE], following[request.query.get("cursor")]))
    ) as server:
        with pytest.raises(MalformedAnswer) as caught:
            await listed(api_for(server).workspaces())

    assert (caught.value.reason, caught.value.endpoint) == ("cursor_repeats", "GET /v1/workspaces")
    assert len(server.requests) == len(cycle) + 1


@pytest.mark.parametrize("entries", [[], [WORKSPACE]])
async def test_an_endless_list_ends_with_an_error(api_for: ApiFor, entries: list[object]) -> None:
    async with hostile_server(
        routed(lambda request: page(entries, str(int(request.query.get("cursor", "0")) + 1)))
    ) as server:
        with pytest.raises(MalformedAnswer) as caught:
            await listed(api_for(server, pages=50).workspaces())

    assert caught.value.reason == "endless_list"
    assert len(server.requests) == 50


async def test_a_page_that_fails_ends_the_list_with_its_error(api_for: ApiFor) -> None:
    async with hostile_server(page([WORKSPACE], "more"), answer(b"", status=401)) as server:
        with pytest.raises(CredentialRefused):
            await listed(api_for(server).workspaces())


async def test_a_limit_below_one_is_refused(api_for: ApiFor) -> None:
    with pytest.raises(RequestRefused):
        api_for("http://127.0.0.1:1").workspaces(limit=0)


@pytest.mark.parametrize(
    "troubles",
    [
        [reset] * 4,  # the pool asks once more by itself when a connection breaks before an answer
        [half(USAGE, framing="length")] * 2,
        [answer(b"", status=500)] * 2,
        [answer(b"<html>", status=502)] * 2,
        [answer(b"", status=408)] * 2,
        [answer(b"", status=425)] * 2,
    ],
)
async def test_passing_trouble_is_tried_again_with_growing_waits(
    api_for: ApiFor, time: SteppingTime, witness: Witness, troubles: list[Behaviour]
) -> None:
    async with hostile_server(*troubles, answer(USAGE)) as server:
        reading = await api_for(server).usage("db_1")

    assert reading.operations == 12
    assert time.waits == [0.25, 0.5]
    assert [failure is None for _endpoint, failure in witness.attempts] == [False, False, True]


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 409, 410, 413, 418, 422, 431, 451])
async def test_any_other_4xx_is_asked_once(api_for: ApiFor, time: SteppingTime, status: int) -> None:
    async with hostile_server(answer({"error": {"code": "no", "message": "no"}}, status=status)) as server:
        with pytest.raises(ApiError):
            await api_for(server).usage("db_1")

    assert (len(server.requests), time.waits) == (1, [])


async def test_a_malformed_answer_is_asked_for_once(api_for: ApiFor) -> None:
    async with hostile_server(answer(b"<html>")) as server:
        with pytest.raises(MalformedAnswer):
            await api_for(server).usage("db_1")

    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [200, 402, 403, 429, 503])
async def test_a_blocked_workspace_is_asked_once(api_for: ApiFor, status: int) -> None:
    async with hostile_server(answer({"error": {"code": "planLimitReached", "message": "x"}}, status=status)) as server:
        with pytest.raises(PlanLimitReached):
            await api_for(server).usage("db_1")

    assert len(server.requests) == 1


async def test_usage_that_is_being_computed_is_asked_for_again_when_the_vendor_says(
    api_for: ApiFor, time: SteppingTime
) -> None:
    later = answer({"error": {"code": "unavailable", "message": "later"}}, status=503, headers={"Retry-After": "7"})
    async with hostile_server(later, answer(USAGE)) as server:
        await api_for(server).usage("db_1")

    assert time.waits == [7]


async def test_usage_that_stays_unavailable_says_when_to_come_back(
    api_for: ApiFor, time: SteppingTime, witness: Witness
) -> None:
    later = answer({"error": {"code": "unavailable", "message": "later"}}, status=503, headers={"Retry-After": "600"})
    async with hostile_server(later) as server:
        with pytest.raises(Unavailable) as caught:
            await api_for(server).usage("db_1")

    assert (caught.value.retry_after_seconds, caught.value.code) == (600, "unavailable")
    assert time.waits == [60, 60, 60]
    assert witness.attempts == [(USAGE_ENDPOINT, "http_503")] * 4


@pytest.mark.parametrize(
    ("retry_after", "wait_seconds"),
    [
        ("2", 2),
        ("Mon, 23 Nov 2026 12:00:09 GMT", 9),
        ("999999", 60),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 60),
        ("soon", 0.25),
        ("-1", 0.25),
        ("0", 0.25),
    ],
)
async def test_too_many_requests_slows_every_call_down(
    api_for: ApiFor, time: SteppingTime, witness: Witness, retry_after: str, wait_seconds: float
) -> None:
    refused = answer(b"", status=429, headers={"Retry-After": retry_after})
    async with hostile_server(refused, answer(USAGE)) as server:
        api = api_for(server, requests_per_second=10)
        await api.usage("db_1")
        await api.usage("db_1")
        await api.usage("db_1")

    assert time.waits[0] == pytest.approx(wait_seconds, abs=0.01)
    assert time.waits[1:] == pytest.approx([0.2, 0.2], abs=0.02)  # ten a second became five
    assert time.waits[2] < time.waits[1]  # and each success brings some of it back
    ((endpoint, throttled_seconds),) = witness.throttles
    assert endpoint == USAGE_ENDPOINT
    assert throttled_seconds == pytest.approx(wait_seconds, abs=0.01)


async def test_a_client_that_is_always_refused_gives_up(api_for: ApiFor, witness: Witness) -> None:
    async with hostile_server(answer(b"", status=429, headers={"Retry-After": "5"})) as server:
        with pytest.raises(Throttled) as caught:
            await api_for(server, attempts=3).usage("db_1")

    assert caught.value.retry_after_seconds == 5
    assert len(server.requests) == 3
    assert witness.throttles == [(USAGE_ENDPOINT, 5)] * 3


async def test_with_a_longest_wait_a_longer_one_ends_the_call_at_once_and_says_when_to_come_back(
    api_for: ApiFor, time: SteppingTime
) -> None:
    later = answer(b"", status=503, headers={"Retry-After": "600"})
    soon = answer(b"", status=503, headers={"Retry-After": "4"})
    async with hostile_server(soon, later, answer(USAGE)) as server:
        api = api_for(server, longest_wait_seconds=5.0)
        with pytest.raises(Unavailable) as caught:
            await api.usage("db_1")

        assert caught.value.retry_after_seconds == 600
        assert time.waits == [4]
        assert (await api.usage("db_1")).operations == 12


async def test_with_a_longest_wait_one_databases_hour_holds_its_neighbours_back_no_longer(
    api_for: ApiFor, time: SteppingTime, witness: Witness
) -> None:
    refused = answer(b"", status=429, headers={"Retry-After": "3600"})

    def choose(request: SeenRequest) -> Behaviour:
        return refused if "db_slow" in request.path else answer(USAGE)

    async with hostile_server(routed(choose)) as server:
        api = api_for(server, longest_wait_seconds=5.0)
        began_at = time.seconds
        with pytest.raises(Throttled) as caught:
            await api.usage("db_slow")
        assert (caught.value.retry_after_seconds, time.seconds) == (3600, began_at)

        for number in range(60):
            await api.usage(f"db_{number}")
        assert time.seconds - began_at == pytest.approx(5, abs=0.1)

        with pytest.raises(Throttled):
            await api.usage("db_slow")
        await api.usage("db_1")
        assert time.seconds - began_at == pytest.approx(5, abs=0.1)  # a rare refusal concerns its own call

    assert witness.throttles == [(USAGE_ENDPOINT, 5), (USAGE_ENDPOINT, 0)]


async def test_rare_refusals_cost_the_client_little_of_its_rate(
    api_for: ApiFor, time: SteppingTime, witness: Witness
) -> None:
    chance = random.Random(5)
    refused = answer(b"", status=429, headers={"Retry-After": "1"})
    async with hostile_server(
        routed(lambda _request: refused if chance.random() < 0.0125 else answer(USAGE))
    ) as server:
        api = api_for(server, requests_per_second=60, longest_wait_seconds=5.0)
        began_at = time.seconds

        async def work() -> None:
            for _ in range(250):
                await api.usage("db_1")

        await asyncio.gather(*(work() for _ in range(8)))

    # On stepping time one call's own second of waiting passes for everybody: it is left out.
    own_seconds = time.waits.count(1.0)
    assert own_seconds > 10
    assert len(server.requests) / (time.seconds - began_at - own_seconds) >= 0.85 * 60
    assert sum(seconds for _endpoint, seconds in witness.throttles) <= 2


async def test_the_pages_of_a_list_show_what_its_entries_leave_out(api_for: ApiFor) -> None:
    def choose(request: SeenRequest) -> Behaviour:
        if request.query.get("cursor") is None:
            return page([DATABASE, {**DATABASE, "id": "bad", "createdAt": "9999-01-01T00:00:00Z"}], "more")
        return page([{**DATABASE, "id": "db_2"}, DATABASE], None)

    async with hostile_server(routed(choose)) as server:
        listing = api_for(server).databases()

        assert [database.id for database in await listed(listing)] == ["db_1", "db_2", "db_1"]
        assert [database.id for database in await listed(listing)] == ["db_1", "db_2", "db_1"]
        assert [one.id for one in listing.refused] == ["db_bad"]
        pages = await listed(listing.pages())

    assert [[database.id for database in one.entries] for one in pages] == [["db_1"], ["db_2", "db_1"]]
    assert [one.refused for one in pages] == [(Refused(id="db_bad", reason="createdAt: value_error"),), ()]


async def test_usage_carries_the_vendors_clock_and_the_client_how_far_ours_is_from_it(
    api_for: ApiFor, time: SteppingTime
) -> None:
    # Ours says 12:00:00.
    script = [
        answer(USAGE),
        answer(USAGE, headers={"Date": "Mon, 23 Nov 2026 11:59:30 GMT"}),
        answer(USAGE, headers={"Date": "Mon, 23 Nov 2026 11:59:30 GMT", "Age": "90"}),
        answer(b"", status=404, headers={"Date": "Mon, 23 Nov 2026 12:00:05 GMT"}),
        answer(USAGE, headers={"Date": "Fri, 31 Dec 9999 23:59:59 GMT"}),
    ]
    dates: list[datetime | None] = []
    skews: list[float | None] = []
    async with hostile_server(*script) as server:
        api = api_for(server)
        assert api.skew_seconds is None
        for _ in script:
            with suppress(ApiError):
                dates.append((await api.usage("db_1")).answered_at)
            skews.append(api.skew_seconds)

    at = datetime(2026, 11, 23, 12, tzinfo=UTC)
    assert dates == [None, at - timedelta(seconds=30), at + timedelta(seconds=60), None]
    assert skews == [None] + [pytest.approx(seconds, abs=0.01) for seconds in (30, 30, -5, -5)]  # the middle of three


async def test_usage_of_a_repeated_attempt_carries_the_date_of_the_last_answer(
    api_for: ApiFor, time: SteppingTime
) -> None:
    first = answer(b"", status=503, headers={"Retry-After": "7", "Date": "Mon, 23 Nov 2026 12:00:00 GMT"})
    async with hostile_server(first, answer(USAGE, headers={"Date": "Mon, 23 Nov 2026 12:00:07 GMT"})) as server:
        usage = await api_for(server).usage("db_1")

    assert usage.answered_at == datetime(2026, 11, 23, 12, 0, 7, tzinfo=UTC)
