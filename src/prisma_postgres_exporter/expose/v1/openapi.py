"""The OpenAPI 3.1 document, made from the same models that read requests and write answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from prisma_postgres_exporter import __version__
from prisma_postgres_exporter.expose.v1.parameters import Parameters
from prisma_postgres_exporter.expose.v1.problems import MEDIA_TYPE, Problem

REFERENCES = "#/components/schemas/{model}"
REASONS = {
    400: "A parameter that is not known, is given twice, or has a value that is not accepted.",
    404: "There is no such database.",
    405: "Only GET and HEAD are answered.",
    422: "The parameters contradict each other, or ask for a time that has not begun.",
    503: "Nothing is known yet, the ledger cannot be read now, or too many questions wait: see `Retry-After`.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One path: what it takes, what it answers, and which problems it has."""

    path: str
    name: str
    summary: str
    parameters: type[Parameters]
    answer: type[BaseModel]
    problems: Sequence[int] = (400, 503)


def openapi_document(operations: Sequence[Operation]) -> dict[str, Any]:
    """Return the document of these operations."""
    models: list[type[BaseModel]] = [Problem, *(operation.answer for operation in operations)]
    _, definitions = models_json_schema(
        [(model, "serialization") for model in dict.fromkeys(models)], ref_template=REFERENCES
    )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "prisma-postgres-exporter",
            "version": __version__,
            "description": "Read-only: what the exporter knows of Prisma Postgres, the same numbers as in its metrics. "
            "Amounts are USD as exact texts, instants RFC 3339 in UTC, days and months UTC, sizes bytes. "
            "`null` means not reported, never 0.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": {operation.path: {"get": _operation(operation)} for operation in operations},
        "components": {"schemas": definitions["$defs"]},
    }


def _operation(operation: Operation) -> dict[str, Any]:
    return {
        "operationId": operation.name,
        "summary": operation.summary,
        "parameters": list(_parameters(operation)),
        "responses": {
            "200": {
                "description": (operation.answer.__doc__ or "").partition("\n")[0],
                "content": {"application/json": {"schema": _reference(operation.answer)}},
            },
            **{
                str(status): {
                    "description": REASONS[status],
                    "content": {MEDIA_TYPE: {"schema": _reference(Problem)}},
                }
                for status in sorted({*operation.problems, 405})
            },
        },
    }


def _parameters(operation: Operation) -> Iterator[Mapping[str, Any]]:
    if "{database_id}" in operation.path:
        yield {"name": "database_id", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
    schema = operation.parameters.model_json_schema(ref_template=REFERENCES)
    definitions = schema.get("$defs", {})
    for name, described in schema.get("properties", {}).items():
        yield {
            "name": name,
            "in": "query",
            "required": False,
            "description": described.get("description", ""),
            "schema": _plain(described, definitions),
        }


def _plain(described: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """A parameter's schema without `null`, which a query cannot say, and without references."""
    default = described.get("default")
    chosen = next((part for part in described.get("anyOf", ()) if part.get("type") != "null"), described)
    reference = chosen.get("$ref")
    if reference is not None:
        chosen = definitions[reference.rpartition("/")[2]]
    plain = {key: value for key, value in chosen.items() if key not in {"title", "description", "default"}}
    return plain if default is None else {**plain, "default": default}


def _reference(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": REFERENCES.format(model=model.__name__)}
