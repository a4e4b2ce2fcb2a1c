"""The client against the vendor's types: whatever they allow is accepted, and whatever else comes is an `ApiError`."""

from __future__ import annotations

import inspect
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr
from vendor_bodies import bodies, broken
from vendor_types import Contract, Schema, problems

import longer
from prisma_postgres_exporter.api import OPERATIONS, ManagementApi, Operation, Page
from prisma_postgres_exporter.api.decode import Answer, Reading
from prisma_postgres_exporter.errors import ApiError

NOW = datetime(2026, 11, 23, tzinfo=UTC)
every_operation = pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
# Elsewhere of the vendor's API: reached with `request()` alone.
NOT_OF_POSTGRES = (
    "/v1/agent-approvals",
    "/v1/apps",
    "/v1/auth",
    "/v1/buckets",
    "/v1/builds",
    "/v1/deployments",
    "/v1/domains",
    "/v1/environment-variables",
    "/v1/scm-installations",
    "/v1/services",
    "/v1/source-repositories",
)
OF_BRANCHES = ("/alchemy-state", "/application-topology")


def read(operation: Operation[Any], status: int, body: bytes) -> Any:
    reading = Reading(
        operation=operation.name,
        endpoint=operation.endpoint,
        shown=operation.endpoint,
        success=operation.success,
        shape=operation.shape,
        now=NOW,
        conceal=lambda text: text,
        is_shown_once=operation.is_shown_once,
    )
    return reading.result(Answer(status=status, headers={}, body=body))


def success_of(contract: Contract, operation: Operation[Any]) -> tuple[int, Schema | None]:
    answers = contract.find(operation.method, operation.path).answers
    return next((status, schema) for status, schema in answers.items() if status < 300)


def settled(document: Any) -> Any:
    """A usage whose period runs forwards: the types cannot say so."""
    if isinstance(document, dict) and "period" in document:
        start, end = sorted((document["period"]["start"], document["period"]["end"]))
        document["period"] |= {"start": start, "end": end}
    return document


def secrets_in(value: object) -> list[str]:
    if isinstance(value, SecretStr):
        return [value.get_secret_value()]
    if isinstance(value, BaseModel):
        return [found for name in type(value).model_fields for found in secrets_in(getattr(value, name))]
    return [found for inner in value for found in secrets_in(inner)] if isinstance(value, tuple) else []


def test_every_operation_of_prisma_postgres_has_a_method(contract: Contract) -> None:
    modelled = {str(contract.find(operation.method, operation.path)) for operation in OPERATIONS.values()}
    others = {
        str(operation)
        for operation in contract.operations
        if operation.path.startswith(NOT_OF_POSTGRES) or any(part in operation.path for part in OF_BRANCHES)
    }

    assert len(modelled) == len(OPERATIONS) == 44
    assert modelled | others == {str(operation) for operation in contract.operations}
    assert not modelled & others


@every_operation
def test_the_vendors_statuses_are_in_the_docstring(contract: Contract, operation: Operation[Any]) -> None:
    declared = contract.find(operation.method, operation.path).answers
    told = inspect.getdoc(getattr(ManagementApi, operation.name)) or ""

    assert {status for status in declared if status in operation.success} != set()
    assert [status for status in declared if status != 401 and str(status) not in told] == []


@every_operation
@longer.examples(few=5, many=20)
def test_every_body_that_the_types_allow_is_accepted(
    contract: Contract, operation: Operation[Any], examples: int
) -> None:
    status, schema = success_of(contract, operation)
    if schema is None:
        assert read(operation, status, b"") is None
        return

    @settings(deadline=None, max_examples=examples, suppress_health_check=list(HealthCheck))
    @given(bodies(schema).map(settled))
    def accepts(document: Any) -> None:
        result = read(operation, status, json.dumps(document).encode())

        assert result is not None
        assert not (isinstance(result, Page) and result.refused)
        strings = [text for text in json_strings(document) if "://u" in text]
        # Every one of today's members is kept; the deprecated ones repeat them.
        assert not operation.is_shown_once or not strings or secrets_in(result)

    accepts()


@every_operation
@longer.examples(few=8, many=25)
def test_every_other_body_is_an_api_error_and_no_connection_string_is_lost(
    contract: Contract, operation: Operation[Any], examples: int
) -> None:
    status, schema = success_of(contract, operation)
    told: set[tuple[str, int | None, str]] = set()

    @settings(
        deadline=None,
        max_examples=examples * 6 if operation.is_shown_once else examples,
        suppress_health_check=list(HealthCheck),
    )
    @given(broken(bodies(schema or {"type": "object"}).map(settled)))
    def survives(body: bytes) -> None:
        try:
            found = secrets_in(read(operation, status, body))
        except ApiError as refused:
            found = [secret.get_secret_value() for secret in refused.shown_once]
            told.add((refused.operation, refused.status, refused.endpoint))
        assert found or not operation.is_shown_once or b"pass@h/db" not in body

    survives()
    assert told <= {(operation.name, status, operation.endpoint)}


@every_operation
@longer.examples(few=5, many=20)
def test_every_declared_error_is_an_api_error_with_what_the_vendor_says(
    contract: Contract, operation: Operation[Any], examples: int
) -> None:
    declared = contract.find(operation.method, operation.path).answers
    refusals = {status: schema for status, schema in declared.items() if status >= 400 and schema is not None}

    @settings(deadline=None, max_examples=examples, suppress_health_check=list(HealthCheck))
    @given(
        st.sampled_from(sorted(refusals)).flatmap(lambda status: st.tuples(st.just(status), bodies(refusals[status])))
    )
    def is_told(answer: tuple[int, Any]) -> None:
        status, document = answer
        with pytest.raises(ApiError) as caught:
            read(operation, status, json.dumps(document).encode())
        assert caught.value.status == status
        assume(document["error"]["code"].isascii() and document["error"]["code"].isprintable())
        assert caught.value.code == (document["error"]["code"] or None)

    is_told()


@every_operation
def test_the_generator_makes_what_the_types_allow(contract: Contract, operation: Operation[Any]) -> None:
    _, schema = success_of(contract, operation)

    @settings(deadline=None, max_examples=5, suppress_health_check=list(HealthCheck))
    @given(bodies(schema or {"type": "null"}, is_exact=True))
    def fits(document: Any) -> None:
        assert problems(schema, document, exact=True) == []

    fits()


def json_strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [found for one in inner for found in json_strings(one)]
