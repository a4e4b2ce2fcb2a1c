"""The one JSON form: a key has one meaning, and the OpenAPI document says what the models say."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import Any

import httpx
import pytest

from prisma_postgres_exporter.documents import (
    ANSWERS,
    ChangeDocument,
    CostDocument,
    Document,
    RankedDocument,
    documents_csv,
    kinds,
    meanings,
)
from prisma_postgres_exporter.expose.v1 import json_api


def test_a_key_has_one_meaning_and_one_type_of_value() -> None:
    kinds_of: dict[str, set[str]] = {}
    for kind in kinds():
        for name, part in kind.model_json_schema(mode="serialization")["properties"].items():
            kinds_of.setdefault(name, set()).update(_types(part))

    assert len(meanings()) > 80
    assert {name: found for name, found in kinds_of.items() if name != "data" and len(found - {"null"}) > 1} == {}


def test_every_answer_has_a_version_and_its_data() -> None:
    for answer in ANSWERS:
        assert answer.model_fields.keys() >= {"version", "data"}
        schema = answer.model_json_schema(mode="serialization")
        assert schema["properties"]["version"]["const"] == 1


async def test_the_openapi_document_has_the_models_themselves() -> None:
    app = json_api(lambda: None, None)  # type: ignore[arg-type]  # the ledger is not asked
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://exporter") as client:
        document = (await client.get("/openapi.json")).json()
    schemas = document["components"]["schemas"]
    models = {kind.__name__: kind for kind in kinds()}

    shown = schemas.keys() & models.keys()
    assert shown >= {"CostDocument", "DatabaseDocument", "WorkspaceDocument", "UsageDocument", "BudgetDocument"}
    for name in shown:
        assert schemas[name]["properties"].keys() == models[name].model_fields.keys(), name
    answered = [
        re.sub(".*/", "", path["get"]["responses"]["200"]["content"]["application/json"]["schema"]["$ref"])
        for path in document["paths"].values()
    ]
    assert set(answered) <= {answer.__name__ for answer in ANSWERS}


@pytest.mark.parametrize("kind", [CostDocument, RankedDocument, ChangeDocument])
def test_csv_has_a_header_without_rows_and_a_column_for_each_key(kind: type[Document]) -> None:
    (header,) = csv.reader(io.StringIO(b"".join(documents_csv(kind, [])).decode()))

    flat = {name for name in kind.model_fields if not name.startswith("month_")}
    assert flat <= set(header)
    assert len(header) == len(set(header))


def test_csv_puts_the_keys_of_a_month_behind_its_own() -> None:
    change = ChangeDocument.model_validate(
        {
            **dict.fromkeys(ChangeDocument.model_fields),
            "workspace_id": "wksp_1",
            "workspace_name": "Acme, Inc.",
            "reasons": ["created", "deleted"],
        }
    )
    (row,) = csv.DictReader(io.StringIO(b"".join(documents_csv(ChangeDocument, [change])).decode()))

    assert (row["workspace_name"], row["reasons"]) == ("Acme, Inc.", "created; deleted")
    assert (row["month_before_operations"], row["month_after_total_usd"]) == ("", "")
    assert json.loads(change.model_dump_json())["month_before"] is None


def _types(part: dict[str, Any]) -> set[str]:
    """What values a key may have, by the names of JSON schema."""
    if "anyOf" in part:
        return {name for each in part["anyOf"] for name in _types(each)}
    return {part.get("format") or part.get("type") or "object"}
