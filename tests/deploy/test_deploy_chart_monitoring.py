"""What the chart gives Prometheus and Grafana: the shipped rules and dashboards, and a place to scrape."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from chart_value_sets import EVERYTHING, RUNBOOK
from dockerfile import ROOT
from helm_chart import NEEDS_HELM, Object, objects, the

pytestmark = NEEDS_HELM


@pytest.fixture(scope="module")
def whole() -> list[Object]:
    return objects(EVERYTHING)


def test_the_rules_are_the_shipped_ones_with_the_runbook_where_it_is_wanted(
    whole: list[Object], tmp_path: Path
) -> None:
    shipped = "https://github.com/prisma-postgres-exporter/prisma-postgres-exporter/blob/main/deploy/runbook.md"
    rules = ROOT / "deploy" / "prometheus" / "rules"
    texts = [
        (rules / name).read_text(encoding="utf-8").replace(shipped, RUNBOOK) for name in ("records.yaml", "alerts.yaml")
    ]
    spec = the("PrometheusRule", whole)["spec"]
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump(spec))

    checked = subprocess.run([_promtool(), "check", "rules", str(path)], capture_output=True, text=True, check=False)

    assert spec["groups"] == [group for text in texts for group in yaml.safe_load(text)["groups"]]
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_operator_scrapes_the_service_as_often_as_the_rules_need(whole: list[Object]) -> None:
    monitor = the("ServiceMonitor", whole)
    service = the("Service", whole)
    (endpoint,) = monitor["spec"]["endpoints"]

    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert endpoint["port"] in [port["name"] for port in service["spec"]["ports"]]
    assert (endpoint["path"], endpoint["interval"]) == ("/metrics", "60s")
    assert monitor["metadata"]["labels"]["release"] == "monitoring"
    assert monitor["metadata"]["namespace"] == "monitoring"
    assert monitor["spec"]["namespaceSelector"] == {"matchNames": ["default"]}
    given = EVERYTHING["serviceMonitor"]
    assert {key: endpoint[key] for key in ("scheme", "tlsConfig", "basicAuth")} == {
        key: given[key] for key in ("scheme", "tlsConfig", "basicAuth")
    }


def test_each_dashboard_is_a_config_map_that_grafanas_sidecar_finds(whole: list[Object]) -> None:
    maps = [found for found in whole if "grafana_dashboard" in found["metadata"]["labels"]]
    shown = {name: json.loads(text) for found in maps for name, text in found["data"].items()}

    assert shown == {
        path.name: json.loads(path.read_text(encoding="utf-8"))
        for path in (ROOT / "grafana" / "dashboards").glob("*.json")
    }
    assert {found["metadata"]["namespace"] for found in maps} == {"monitoring"}
    # kubectl apply keeps a copy in an annotation, and all annotations together may have 256 KiB.
    assert max(len(json.dumps(found)) for found in maps) < 256 * 1024


def _promtool() -> str:
    found = shutil.which("promtool")
    assert found, "promtool (Debian: prometheus) is needed to check the rules"
    return found
