"""The mixin: what Jsonnet makes of it is what is shipped. Its rules are tried in tests/rules."""

from __future__ import annotations

import json

import _jsonnet
from dockerfile import ROOT

MIXIN = ROOT / "deploy" / "prometheus" / "mixin.libsonnet"
DASHBOARDS = ROOT / "grafana" / "dashboards"


def test_the_mixin_has_every_dashboard_as_it_is_shipped() -> None:
    shown = _evaluate("mixin.grafanaDashboards")

    assert shown == {path.name: json.loads(path.read_text(encoding="utf-8")) for path in DASHBOARDS.glob("*.json")}


def test_another_mixin_can_be_added_to_it_and_a_dashboard_changed() -> None:
    other = "{ grafanaDashboards+:: { 'prisma-postgres-cost.json'+: { refresh: '1h' }, 'mine.json': { uid: 'mine' } } }"

    shown = _evaluate(f"(mixin + {other}).grafanaDashboards")

    assert len(shown) == len(list(DASHBOARDS.glob("*.json"))) + 1
    assert shown["prisma-postgres-cost.json"]["refresh"] == "1h"
    assert shown["prisma-postgres-cost.json"]["uid"] == "prisma-postgres-cost"


def _evaluate(expression: str) -> dict[str, dict[str, object]]:
    snippet = f"local mixin = import {json.dumps(str(MIXIN))}; {expression}"
    value: dict[str, dict[str, object]] = json.loads(_jsonnet.evaluate_snippet("test", snippet))
    return value
