"""The schemas are the vendor's types, no more and no less."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from vendor_types import Contract, problems

LOCKS = [Path(__file__).parent / "package-lock.json", Path(__file__).parent / "vendor_cli" / "package-lock.json"]


def test_every_operation_of_the_types_has_a_schema(contract: Contract) -> None:
    assert len(contract.operations) == 118
    usage = contract.find("GET", "/v1/databases/{id}/usage")
    assert str(usage) == "GET /v1/databases/{databaseId}/usage"
    assert set(usage.answers) == {200, 400, 401, 404, 500, 503}
    assert set(usage.query["properties"]) == {"startDate", "endDate"}


def test_a_fixed_word_beats_a_parameter(contract: Contract) -> None:
    assert contract.find("GET", "/v1/regions/postgres?x=1").path == "/v1/regions/postgres"
    with pytest.raises(KeyError):
        contract.find("PUT", "/v1/databases")


def test_a_body_is_held_against_its_schema(contract: Contract) -> None:
    usage = contract.find("GET", "/v1/databases/db_1/usage").answer(200)
    instant = "2026-11-01T00:00:00.000Z"
    body = {
        "period": {"start": instant, "end": instant},
        "metrics": {"operations": {"used": 1, "unit": "ops"}, "storage": {"used": 1.5, "unit": "GiB"}},
        "generatedAt": instant,
    }
    assert problems(usage, body, exact=True) == []
    assert problems(usage, {**body, "more": 1}) == []
    assert problems(usage, {**body, "more": 1}, exact=True)
    assert problems(usage, {**body, "generatedAt": "2026-11-01"})
    assert problems(usage, {**body, "metrics": {}})
    assert problems(contract.find("DELETE", "/v1/databases/db_1").answer(204), {})


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.parent.name)
def test_a_lock_file_pins_every_package_by_hash_and_names_no_registry(lock: Path) -> None:
    packages = {name: package for name, package in json.loads(lock.read_text())["packages"].items() if name}
    assert packages
    assert all(package["integrity"].startswith("sha512-") for package in packages.values())
    assert not [name for name, package in packages.items() if "resolved" in package]
    assert not re.search(r"registry|\.npmrc", lock.read_text())
