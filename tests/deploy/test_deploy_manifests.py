"""The plain manifests and the chart's copies are what they are made from."""

from __future__ import annotations

from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from helm_chart import CHART, NEEDS_HELM, OPERATOR
from kubernetes_manifests import FILES, MANIFESTS, SOURCES, copies, manifests

REMEDY = "run `python tests/deploy/kubernetes_manifests.py`"


def test_the_chart_holds_the_shipped_rules_and_dashboards_and_no_others() -> None:
    expected = copies()
    held = {path: path.read_text(encoding="utf-8") for folder in SOURCES for path in folder.iterdir()}

    assert len(expected) >= 6
    assert {path for path in expected if held.get(path) != expected[path]} == set(), REMEDY
    assert set(held) == set(expected), REMEDY
    assert {path.name for path in (CHART / "files").iterdir()} == {folder.name for folder in SOURCES}


@NEEDS_HELM
def test_the_plain_manifests_are_the_chart_rendered() -> None:
    expected = manifests()
    held = {path.name: path.read_text(encoding="utf-8") for path in MANIFESTS.glob("*.yaml")}

    assert {name for name in expected if held.get(name) != expected[name]} == set(), REMEDY
    assert set(held) == set(expected), REMEDY


@pytest.mark.parametrize("path", [MANIFESTS / name for name in FILES], ids=lambda path: path.name)
def test_kubernetes_takes_the_plain_manifests_in_any_namespace(path: Path) -> None:
    found = [each for each in yaml.safe_load_all(path.read_text(encoding="utf-8")) if each]

    assert found
    for each in found:
        assert "namespace" not in each["metadata"]
        assert each["metadata"]["labels"].get("app.kubernetes.io/managed-by") is None
        if each["apiVersion"] != OPERATOR:
            kubernetes_validate.validate(each, "1.37", strict=True)
