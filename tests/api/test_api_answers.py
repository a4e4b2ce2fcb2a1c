from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prisma_postgres_exporter.api import operations
from prisma_postgres_exporter.api.arguments import normalised_id
from prisma_postgres_exporter.api.decode import Answer, Reading, shown_once
from prisma_postgres_exporter.api.models import Usage
from prisma_postgres_exporter.api.operations import Operation
from prisma_postgres_exporter.errors import (
    ApiError,
    CredentialRefused,
    MalformedAnswer,
    NotAllowed,
    NotFound,
    PlanLimitReached,
    RequestRefused,
    Throttled,
    Unavailable,
)

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
PERIOD = '{"start":"2026-11-01T00:00:00.000Z","end":"2026-11-23T12:00:00.000Z"}'
GOOD_USAGE = (
    '{"period":' + PERIOD + ',"metrics":{"operations":{"used":12,"unit":"ops"},"storage":{"used":1.5,"unit":"GiB"}},'
    '"generatedAt":"2026-11-23T11:59:00Z"}'
)


def read(operation: Operation[Any], body: bytes | str, *, status: int = 200, **headers: str) -> Any:
    content = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return reading(operation).result(Answer(status=status, headers=named, body=content))


def reading(operation: Operation[Any]) -> Reading[Any]:
    return Reading(
        operation=operation.name,
        endpoint=operation.endpoint,
        shown=operation.endpoint,
        success=operation.success,
        shape=operation.shape,
        now=NOW,
        conceal=lambda text: text.replace("hunter2", "[token]"),
        is_shown_once=operation.is_shown_once,
    )


def usage_with(*, operations_used: str = "12", storage_used: str = "1.5", unit: str = "ops") -> str:
    return (
        f'{{"period":{PERIOD},"metrics":{{"operations":{{"used":{operations_used},"unit":"{unit}"}},'
        f'"storage":{{"used":{storage_used},"unit":"GiB"}}}}}}'
    )


def refusal(operation: Operation[Any], body: bytes | str, *, status: int = 200, **headers: str) -> ApiError:
    with pytest.raises(ApiError) as caught:
        read(operation, body, status=status, **headers)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert caught.value.endpoint == operation.endpoint
    return caught.value


def test_usage_is_read_in_whole_operations_and_bytes() -> None:
    assert read(operations.USAGE, GOOD_USAGE) == Usage(
        period_start_at=datetime(2026, 11, 1, tzinfo=UTC),
        period_end_at=datetime(2026, 11, 23, 12, tzinfo=UTC),
        operations=12,
        storage_bytes=3 * 2**29,
        generated_at=datetime(2026, 11, 23, 11, 59, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    "metrics",
    [
        "null",
        "{}",
        '{"operations":null,"storage":null}',
        '{"operations":{"used":null,"unit":"ops"},"storage":{"unit":"GiB"}}',
        '{"operations":{},"storage":{"used":null}}',
    ],
)
def test_a_number_that_was_not_told_is_none_and_never_zero(metrics: str) -> None:
    reading = read(operations.USAGE, f'{{"period":{PERIOD},"metrics":{metrics}}}')

    assert (reading.operations, reading.storage_bytes, reading.generated_at) == (None, None, None)


@pytest.mark.parametrize(
    ("used", "expected"),
    [
        ("0", 0),
        ("-0", 0),
        ("-0.0", 0),
        ("1.0", 1),
        ("12.6", 13),
        ("1e3", 1000),
        ("5e-324", 0),
        ("2147483648", 2**31),
        ("9007199254740991.0", 2**53 - 1),
        ("9007199254740992", 2**53),
        ("9007199254740992.0", 2**53),
    ],
)
def test_operations_are_whole(used: str, expected: int) -> None:
    reading = read(operations.USAGE, usage_with(operations_used=used))

    assert reading.operations == expected
    assert type(reading.operations) is int


@given(st.integers(0, 2**53), st.floats(0, 65_536))
def test_every_honest_number_survives(used: int, storage_gib: float) -> None:
    reading = read(operations.USAGE, usage_with(operations_used=str(used), storage_used=json.dumps(storage_gib)))

    assert reading.operations == used
    assert reading.storage_bytes == round(storage_gib * 2**30)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (usage_with(operations_used="NaN"), "not_json"),
        (usage_with(operations_used="-Infinity"), "not_json"),
        (usage_with(operations_used="1e999"), "absurd_number"),
        (usage_with(operations_used="1e300"), "absurd_number"),
        (usage_with(operations_used="9" * 400), "absurd_number"),
        (usage_with(operations_used="9" * 5000), "not_json"),
        (usage_with(operations_used="9007199254740993"), "absurd_number"),
        (usage_with(operations_used="9223372036854775807"), "absurd_number"),
        (usage_with(operations_used="9223372036854775808"), "absurd_number"),
        (usage_with(operations_used="18446744073709551616"), "absurd_number"),
        (usage_with(operations_used="1e308"), "absurd_number"),
        (usage_with(operations_used="-1e308"), "absurd_number"),
        (usage_with(operations_used="-5e-324"), "absurd_number"),
        (usage_with(storage_used="1e308"), "absurd_number"),
        (usage_with(storage_used="1e999"), "absurd_number"),
        (usage_with(storage_used="9223372036854775808"), "absurd_number"),
        (usage_with(storage_used="65536.00000000001"), "absurd_number"),
        (usage_with(storage_used="NaN"), "not_json"),
        (usage_with(storage_used="true"), "wrong_shape"),
        (usage_with(storage_used='"5"'), "wrong_shape"),
        (usage_with(operations_used="-1"), "absurd_number"),
        (usage_with(storage_used="-0.001"), "absurd_number"),
        (usage_with(storage_used="65537"), "absurd_number"),
        (usage_with(operations_used='"12"'), "wrong_shape"),
        (usage_with(operations_used="true"), "wrong_shape"),
        (usage_with(operations_used="[12]"), "wrong_shape"),
        (usage_with(unit="kops"), "wrong_unit"),
        (usage_with(unit="\\ud800"), "wrong_unit"),
        (f'{{"period":{PERIOD},"metrics":{{"operations":{{"used":1}}}}}}', "wrong_unit"),
        (f'{{"period":{PERIOD},"metrics":[]}}', "wrong_shape"),
        ('{"metrics":{}}', "wrong_shape"),
        ('{"period":null}', "wrong_shape"),
        ('{"period":{"start":"2026-11-02T00:00:00Z","end":"2026-11-01T00:00:00Z"}}', "bad_period"),
        ('{"period":{"start":"2026-11-01T00:00:00","end":"2026-11-02T00:00:00Z"}}', "wrong_shape"),
        ('{"period":{"start":"2026-11-01","end":"2026-11-02T00:00:00Z"}}', "wrong_shape"),
        ('{"period":{"start":1761955200,"end":"2026-11-02T00:00:00Z"}}', "wrong_shape"),
        ('{"period":{"start":"1999-12-31T23:59:59.999Z","end":"2026-11-02T00:00:00Z"}}', "wrong_shape"),
        ('{"period":{"start":"2026-11-01T00:00:00Z","end":"9999-12-31T23:59:59Z"}}', "wrong_shape"),
        ('{"period":{"start":"0001-01-01T00:00:00+14:00","end":"2026-11-02T00:00:00Z"}}', "wrong_shape"),
        ('{"data":' + GOOD_USAGE + "}", "wrong_shape"),
        ("[]", "wrong_shape"),
        ("null", "wrong_shape"),
        ("12", "wrong_shape"),
        ("", "not_json"),
        (GOOD_USAGE[:-1], "not_json"),
        (GOOD_USAGE + "}", "not_json"),
        ("<!doctype html><title>Sign in</title>", "not_json"),
        ("\ufeff" + GOOD_USAGE, "not_json"),
        (GOOD_USAGE.encode("utf-16"), "not_json"),
        (GOOD_USAGE.replace("ops", "o\0ps"), "not_json"),
        (b'{"period":"\xff\xfe"}', "not_json"),
        ("[" * 30_000, "not_json"),
        ('{"a":' * 30_000, "not_json"),
        ("[" * 30_000 + "]" * 30_000, "not_json"),
        (GOOD_USAGE.replace('"generatedAt"', '"period":' + PERIOD + ',"generatedAt"'), "not_json"),
    ],
)
def test_a_usage_answer_outside_the_contract_is_malformed(body: str | bytes, reason: str) -> None:
    error = refusal(operations.USAGE, body)

    assert isinstance(error, MalformedAnswer)
    assert error.reason == reason


@given(st.binary(max_size=200))
def test_no_bytes_are_anything_but_a_result_or_a_malformed_answer(body: bytes) -> None:
    assert isinstance(refusal(operations.USAGE, body), MalformedAnswer)


@pytest.mark.parametrize(
    ("status", "kind", "reason"),
    [
        (400, RequestRefused, "http_400"),
        (401, CredentialRefused, "http_401"),
        (402, RequestRefused, "http_402"),
        (403, NotAllowed, "http_403"),
        (404, NotFound, "http_404"),
        (408, Unavailable, "http_408"),
        (409, RequestRefused, "http_409"),
        (425, Unavailable, "http_425"),
        (429, Throttled, "http_429"),
        (500, Unavailable, "http_500"),
        (503, Unavailable, "http_503"),
        (599, Unavailable, "http_599"),
        (301, MalformedAnswer, "redirect"),
        (204, MalformedAnswer, "unexpected_status"),
        (206, MalformedAnswer, "unexpected_status"),
        (700, MalformedAnswer, "unexpected_status"),
    ],
)
@pytest.mark.parametrize("body", ["", "<html>", "null", "[]", '{"error":null}', '{"error":{"code":7}}', GOOD_USAGE])
def test_each_status_has_its_error_whatever_the_body(status: int, kind: type[ApiError], reason: str, body: str) -> None:
    error = refusal(operations.USAGE, body, status=status)

    assert type(error) is kind
    assert (error.reason, error.status, error.code) == (reason, status, None)


def test_an_error_carries_the_vendors_words() -> None:
    body = '{"error":{"code":"badWindow","message":"No\\nsuch window","hint":"Use ISO"}}'
    error = refusal(operations.USAGE, body, status=400, retry_after="3")

    assert (error.code, error.hint, error.retry_after_seconds) == ("badWindow", "Use ISO", 3)
    assert str(error) == "GET /v1/databases/{id}/usage answered 400 (badWindow: No such window)"


def test_the_vendors_words_are_cut_and_hold_no_secret() -> None:
    body = json.dumps({"error": {"code": "c" * 900, "message": "x" * 290 + "hunter2" + "y" * 9000, "hint": "hunter2"}})
    error = refusal(operations.USAGE, body, status=400)

    assert "hunter" not in f"{error}{error.hint}"
    assert len(str(error)) < 500


@pytest.mark.parametrize("status", [200, 201, 400, 401, 402, 403, 404, 429, 500, 503])
def test_a_blocked_workspace_is_told_by_the_code_before_the_status(status: int) -> None:
    body = '{"error":{"code":"planLimitReached","message":"Upgrade"}}'
    error = refusal(operations.USAGE, body, status=status)

    assert isinstance(error, PlanLimitReached)
    assert error.reason == "plan_limit_reached"


def test_an_unread_error_body_leaves_the_status_to_speak() -> None:
    flawed = Answer(status=502, headers={}, body=b"", flaw="too_large")

    with pytest.raises(Unavailable) as caught:
        reading(operations.ME).result(flawed)

    assert caught.value.reason == "http_502"


def test_an_answer_without_a_body_is_a_result_where_the_contract_says_so() -> None:
    assert read(operations.DELETE_DATABASE, b"", status=204) is None


DATABASE = {
    "id": "clx1",
    "type": "database",
    "name": "shop",
    "status": "ready",
    "createdAt": "2026-01-02T03:04:05.678+02:00",
    "project": {"id": "proj_clx2", "url": "…", "name": "Shop"},
}


def test_ids_get_their_prefix_and_missing_optional_fields_are_tolerated() -> None:
    database = read(operations.DATABASE, json.dumps({"data": DATABASE}))

    assert (database.id, database.project.id) == ("db_clx1", "proj_clx2")
    assert (database.region, database.is_default, database.logical_id) == (None, False, None)
    assert database.created_at == datetime(2026, 1, 2, 1, 4, 5, 678000, tzinfo=UTC)


@pytest.mark.parametrize(
    "change",
    [
        {"region": "us-east-1"},
        {"region": {"id": 1}},
        {"source": {"type": "database", "databaseId": "clone:of/x"}},
        {"source": {"type": "backup", "backupId": 7}},
        {"branchId": "a b"},
        {"defaultConnectionId": "db_x"},
        {"logicalId": []},
    ],
)
def test_what_nothing_depends_on_does_not_cost_the_record(change: dict[str, object]) -> None:
    page = {"data": [{**DATABASE, **change}], "pagination": {"hasMore": False}}
    (database,) = read(operations.DATABASES, json.dumps(page)).entries

    assert read(operations.DATABASE, json.dumps({"data": {**DATABASE, **change}})) == database
    assert database == read(operations.DATABASE, json.dumps({"data": DATABASE}))


def test_passwords_in_connections_are_not_kept() -> None:
    connections = [{"directConnection": {"pass": "hunter2"}, "endpoints": {"direct": {"connectionString": "hunter2"}}}]
    database = read(operations.DATABASE, json.dumps({"data": {**DATABASE, "connections": connections}}))

    assert "hunter2" not in repr(database)
    assert "hunter2" not in database.model_dump_json()


@pytest.mark.parametrize(
    "change",
    [
        {"id": None},
        {"id": 7},
        {"id": ""},
        {"id": "../me"},
        {"id": "db_a b"},
        {"id": "db_" + "x" * 500},
        {"id": "proj_clx1"},
        {"name": 7},
        {"createdAt": "yesterday"},
        {"createdAt": "2026-01-02"},
        {"project": None},
        {"project": "proj_clx2"},
        {"isDefault": "false"},
        {"status": 7},
    ],
)
def test_a_database_of_the_wrong_shape_is_malformed_and_its_values_are_not_shown(change: dict[str, object]) -> None:
    error = refusal(operations.DATABASE, json.dumps({"data": {**DATABASE, "extra": "hunter2", **change}}))

    assert (type(error), error.reason) == (MalformedAnswer, "wrong_shape")
    assert next(iter(change)).lower() in str(error).lower().replace("_", "")
    assert "yesterday" not in str(error)


@pytest.mark.parametrize("name", ["\0", "a\ud800b", "\udfff"])
def test_a_name_that_cannot_be_stored_is_mended(name: str) -> None:
    database = read(operations.DATABASE, json.dumps({"data": {**DATABASE, "name": name, name: name}}))

    assert "\ufffd" in database.name
    database.name.encode()


@pytest.mark.parametrize("name", ['"quoted"', "two\nlines", "back\\slash", "🐘" * 10_000, ""])
def test_any_other_name_is_kept_as_it_is(name: str) -> None:
    assert read(operations.DATABASE, json.dumps({"data": {**DATABASE, "name": name}})).name == name


@pytest.mark.parametrize(
    ("pagination", "cursor", "is_cut"),
    [
        ({"hasMore": True, "nextCursor": "c"}, "c", False),
        ({"hasMore": False, "nextCursor": "c"}, None, False),
        ({"hasMore": True, "nextCursor": None}, None, True),
        ({"hasMore": True, "nextCursor": ""}, None, True),
        ({"hasMore": True}, None, True),
        ({"hasMore": False}, None, False),
    ],
)
def test_a_list_goes_on_with_a_cursor_and_more_and_is_cut_where_the_cursor_is_missing(
    pagination: dict[str, object], cursor: str | None, is_cut: bool
) -> None:
    page = read(operations.DATABASES, json.dumps({"data": [], "pagination": pagination}))

    assert (page.next_cursor, page.is_cut) == (cursor, is_cut)


@pytest.mark.parametrize(
    "body",
    [
        {"data": []},
        {"data": [], "pagination": None},
        {"data": [], "pagination": {"nextCursor": "c"}},
        {"data": [], "pagination": {"hasMore": True, "nextCursor": 7}},
        {"data": [], "pagination": {"hasMore": True, "nextCursor": "c" * 5000}},
        {"data": [], "pagination": {"hasMore": True, "nextCursor": "\ud800"}},
        {"data": None, "pagination": {"hasMore": False}},
        {"data": {}, "pagination": {"hasMore": False}},
        [],
    ],
)
def test_a_list_that_does_not_say_where_it_ends_is_malformed(body: object) -> None:
    assert refusal(operations.DATABASES, json.dumps(body)).reason == "wrong_shape"


@given(st.text(max_size=20))
def test_a_normalised_id_is_stable_and_safe_in_a_path(raw_id: str) -> None:
    try:
        once = normalised_id("db_", raw_id)
    except ValueError:
        return
    assert normalised_id("db_", once) == once
    assert once.startswith("db_")
    assert not set(once) & set("/?#%. \n")


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2000-01-01T00:00:00Z", datetime(2000, 1, 1, tzinfo=UTC)),
        ("2200-12-31T23:59:59.999Z", datetime(2200, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)),
        ("1999-12-31T23:59:59-00:01", datetime(2000, 1, 1, 0, 0, 59, tzinfo=UTC)),
        ("2201-01-01T00:00:00+23:59", datetime(2200, 12, 31, 0, 1, tzinfo=UTC)),
        ("2026-11-01T00:00:00-23:59:59.999999", datetime(2026, 11, 1, 23, 59, 59, 999_999, tzinfo=UTC)),
        ("2000-01-01T00:00:00+00:01", None),
        ("2200-12-31T23:59:59-00:01", None),
        ("0001-01-01T00:00:00Z", None),
        ("0001-01-01T00:00:00+23:59", None),
        ("9999-12-31T23:59:59.999Z", None),
        ("9999-12-31T23:59:59-23:59", None),
        ("1970-01-01T00:00:00Z", None),
        ("2026-11-01T00:00:00+24:00", None),
        ("2026-11-01T00:00:00+99:99", None),
        ("10000-01-01T00:00:00Z", None),
        ("2026-02-29T00:00:00Z", None),
        ("", None),
        ("\ud800", None),
        (1761955200, None),
        (True, None),
        ([], None),
    ],
)
def test_only_an_instant_of_these_centuries_is_one(text: object, instant: datetime | None) -> None:
    body = json.dumps({"data": {**DATABASE, "createdAt": text}})
    if instant is None:
        assert refusal(operations.DATABASE, body).reason == "wrong_shape"
    else:
        assert read(operations.DATABASE, body).created_at == instant


NULLS = dict.fromkeys(("status", "isDefault", "region", "defaultConnectionId", "branchId", "logicalId"))


@pytest.mark.parametrize("change", [{}, NULLS])
def test_null_is_the_same_as_absent_where_a_field_may_be_missing(change: dict[str, object]) -> None:
    document = {name: value for name, value in DATABASE.items() if name not in NULLS}
    database = read(operations.DATABASE, json.dumps({"data": document | change}))

    assert (database.status, database.is_default, database.region) == ("unknown", False, None)


def test_a_region_without_a_name_a_token_without_a_type_and_a_connection_without_a_kind_are_tolerated() -> None:
    me = {"user": {"email": "a@example.com"}, "workspace": {"id": "1", "name": "Acme"}, "credential": {"name": "ci"}}
    database = {"id": "1", "name": "shop"}
    connection = {"id": "1", "name": "app", "database": database, "endpoints": None}

    assert read(operations.ME, json.dumps({"data": me})).workspace.id == "wksp_1"
    assert read(operations.CONNECTION, json.dumps({"data": connection})).kind is None
    assert read(operations.DATABASE, json.dumps({"data": {**DATABASE, "region": {"id": "r"}}})).region.id == "r"
    assert read(operations.REGIONS, json.dumps({"data": [{"id": "us-east-1"}]})).entries[0].name is None
    regions = read(operations.REGIONS, json.dumps({"data": [{"id": "us-east-1"}, {"name": "nowhere"}]}))
    assert ([region.id for region in regions], len(regions)) == (["us-east-1"], 1)
    assert [refused.reason for refused in regions.refused] == ["id: missing"]


def test_what_a_new_project_holds_knows_whom_it_belongs_to() -> None:
    connection = {"id": "con_1", "name": "default", "kind": "postgres", "createdAt": "2026-01-02T03:04:05Z"}
    database = {**DATABASE, "connections": [connection, connection | {"database": {"id": "db_2", "name": "other"}}]}
    del database["project"]
    project = {"id": "clx2", "name": "Shop", "workspace": {"id": "1", "name": "Acme"}, "database": database}
    created = read(operations.CREATE_PROJECT, json.dumps({"data": project}), status=201)

    assert (created.database.project.id, created.database.project.name) == ("proj_clx2", "Shop")
    assert [held.database.id for held in created.database.connections] == ["db_clx1", "db_2"]
    assert read(operations.CREATE_PROJECT, json.dumps({"data": project | {"database": None}}), status=201)


def test_a_bad_record_does_not_cost_the_others_and_its_values_are_not_shown() -> None:
    bad: list[object] = [
        {**DATABASE, "id": "bad1", "createdAt": "hunter2"},
        {**DATABASE, "id": "db_bad2", "project": None},
        {**DATABASE, "id": "proj_bad3"},
        {**DATABASE, "id": 7},
        {"hunter2": "hunter2"},
        None,
        "hunter2",
        [DATABASE],
        {**DATABASE, "id": "db_bad4", "name": {"hunter2": 1}},
    ]
    body = {"data": [DATABASE, *bad, {**DATABASE, "id": "clx9"}], "pagination": {"hasMore": True, "nextCursor": "c"}}
    page = read(operations.DATABASES, json.dumps(body))

    assert [entry.id for entry in page.entries] == ["db_clx1", "db_clx9"]
    assert page.next_cursor == "c"
    assert [(refused.id, refused.reason) for refused in page.refused] == [
        ("db_bad1", "createdAt: value_error"),
        ("db_bad2", "project: missing"),
        (None, "id: value_error"),
        (None, "id: string_type"),
        (None, "id: missing"),
        (None, "the whole: model_type"),
        (None, "the whole: model_type"),
        (None, "the whole: model_type"),
        ("db_bad4", "name: string_type"),
    ]


def test_a_bad_backup_or_region_does_not_cost_the_others() -> None:
    good = {"id": "b1", "backupType": "full", "createdAt": "2026-01-02T03:04:05Z", "status": "completed", "size": 1}
    found = read(
        operations.BACKUPS,
        json.dumps({"data": [good, {"id": "b2"}, {"id": "b3", "createdAt": "2026-01-02T03:04:05Z"}]})[:-1]
        + ',"pagination":{"hasMore":false}}',
    )
    regions = read(operations.REGIONS, json.dumps({"data": [{"id": "a", "name": "A"}, {"id": 7}, None]}))

    assert [backup.id for backup in found.entries] == ["b1", "b3"]
    assert [(refused.id, refused.reason) for refused in found.refused] == [("b2", "createdAt: missing")]
    assert [region.id for region in regions] == ["a"]


_SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9)
)
_RECORDS = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*DATABASE, "region", "connections", "pass"]), inner, max_size=8)
    ),
    max_leaves=12,
)


@given(st.lists(_RECORDS | st.just(DATABASE), max_size=6))
def test_every_record_of_a_page_is_an_entry_or_refused(records: list[object]) -> None:
    page = read(operations.DATABASES, json.dumps({"data": records, "pagination": {"hasMore": False}}))

    assert len(page.entries) + len(page.refused) == len(records)
    assert len(page.entries) >= records.count(DATABASE)


STRINGS = ("postgres://u:p@direct.example.com/db?a=1&b=2", "prisma+postgres://accelerate.example.com/?api_key=k")


def created(*, escaped: bool) -> bytes:
    """A new connection with two strings, as one serialiser or another writes it."""
    ways = {"direct": {"connectionString": STRINGS[0]}, "accelerate": {"connectionString": STRINGS[1]}}
    text = json.dumps({"data": {"id": "con_1", "endpoints": ways}})
    return (text.replace("/", "\\/").replace("&", "\\u0026") if escaped else text).encode()


@pytest.mark.parametrize("escaped", [False, True])
def test_of_a_body_that_ends_too_early_only_whole_strings_are_kept(escaped: bool) -> None:
    body = created(escaped=escaped)
    kept = [tuple(one.get_secret_value() for one in shown_once(body[:size])) for size in range(len(body) + 1)]

    assert set(kept) == {(), STRINGS[:1], STRINGS}
    assert kept == sorted(kept, key=len)


def test_the_value_of_a_token_is_found_in_a_body_that_ends_too_early() -> None:
    body = b'{"data": {"id": "tok_1", "value": "the-token", "name": "graf'

    assert [one.get_secret_value() for one in shown_once(body)] == ["the-token"]


def test_a_whole_string_is_found_in_a_body_that_is_not_json() -> None:
    body = f"<p>{STRINGS[0]}</p><p>{STRINGS[1]}".encode()

    assert [one.get_secret_value() for one in shown_once(body)] == [STRINGS[0]]
