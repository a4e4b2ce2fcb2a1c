"""The newest version on the registry: what changed, and whether the simulator still answers as it says."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
from drift import differences
from test_contract_simulator import check_every_status
from vendor_types import Contract, newest_contract

from prisma_postgres_exporter.simulator import ENDPOINTS


def test_what_changed_is_said_operation_by_operation_and_member_by_member(contract: Contract) -> None:
    old, new = contract.paths, copy.deepcopy(contract.paths)
    del new["/v1/me"]
    new["/v1/us"] = old["/v1/me"]
    usage = new["/v1/databases/{databaseId}/usage"]["properties"]["get"]["properties"]["responses"]["properties"]
    del usage["503"]
    body = usage["200"]["properties"]["content"]["properties"]["application/json"]
    body["properties"]["metrics"]["properties"]["storage"]["properties"]["used"]["type"] = "string"
    body["required"].remove("generatedAt")

    lines = differences(Contract(old), Contract(new))

    assert differences(Contract(old), Contract(old)) == []
    name = "GET /v1/databases/{databaseId}/usage"
    assert lines[:2] == ["- GET /v1/me", "+ GET /v1/us"]
    assert f"  {name}: 200.metrics.storage.used: number -> string" in lines
    assert f"  {name}: 200.generatedAt: string -> absent" in lines
    assert f"  {name}: 200.generatedAt?: absent -> string" in lines
    assert f"  {name}: 503: object -> absent" in lines


@pytest.mark.drift
async def test_the_newest_version_changes_nothing_that_the_simulator_answers(
    contract: Contract, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    version, newest = newest_contract(tmp_path / "newest")
    changes = differences(contract, newest)
    with capsys.disabled():
        print(f"\nthe registry's newest version is {version}, with {len(changes)} changes to the locked one")
        print("\n".join(changes))
    for call in ENDPOINTS:
        await check_every_status(newest, call)
