"""Write the chart's copies of rules and dashboards, and the plain manifests that are the chart, rendered.

    python tests/deploy/kubernetes_manifests.py

A chart holds nothing from outside its folder. Links would not survive a folder that is copied into another repository,
nor a checkout on Windows, so these are copies, written here and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dockerfile import ROOT
from helm_chart import CHART, render

MANIFESTS = ROOT / "deploy" / "kubernetes"
SOURCES = {
    CHART / "files" / "rules": sorted((ROOT / "deploy" / "prometheus" / "rules").glob("*.yaml")),
    CHART / "files" / "dashboards": sorted((ROOT / "grafana" / "dashboards").glob("*.json")),
}
OF_HELM = re.compile(r"^(?:# Source: .*| +(?:helm\.sh/chart|app\.kubernetes\.io/managed-by): .*)\n", re.MULTILINE)
HEADER = """\
# {purpose}
# Made from the chart in deploy/helm by tests/deploy/kubernetes_manifests.py: change the chart, not this file.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """One file: what it is for, the values that the chart is rendered with, and which templates; empty: all."""

    purpose: str
    values: Mapping[str, Any]
    templates: Sequence[str] = field(default=())


OPERATED = {"enabled": True, "labels": {"release": "kube-prometheus-stack"}}
POSTGRES = {"kind": "postgres", "postgres": {"existingSecret": "prisma-postgres-ledger"}}
FILES = {
    "demo.yaml": Manifest(
        purpose="The demo: a simulated vendor and the exporter in one process, without an account.",
        values={"demo": {"enabled": True}},
    ),
    "exporter.yaml": Manifest(
        purpose="One replica with its ledger on a volume. It waits for the Secret prisma-postgres-token.",
        values={"store": {"sqlite": {"keep": False}}},
    ),
    "exporter-postgres.yaml": Manifest(
        purpose="Two replicas that share a ledger in Postgres. They wait for the Secrets prisma-postgres-token and "
        "prisma-postgres-ledger.",
        values={"replicas": 2, "store": POSTGRES, "podDisruptionBudget": {"enabled": True}},
    ),
    "network-policy.yaml": Manifest(
        purpose="In: the metrics port. Out: DNS, HTTPS, Postgres.",
        values={"store": POSTGRES, "networkPolicy": {"enabled": True}},
        templates=("networkpolicy.yaml",),
    ),
    "prometheus-operator.yaml": Manifest(
        purpose="Scraping and rules for the Prometheus Operator; `release` is what its Prometheus selects by.",
        values={"serviceMonitor": OPERATED, "prometheusRule": OPERATED},
        templates=("servicemonitor.yaml", "prometheusrule.yaml"),
    ),
    "dashboards.yaml": Manifest(
        purpose="The dashboards for the sidecar of Grafana's chart.",
        values={"dashboards": {"enabled": True}},
        templates=("dashboards.yaml",),
    ),
}


def main() -> None:
    """Write every copy and every manifest, and take away what is no longer made."""
    _write(copies())
    _write({MANIFESTS / name: text for name, text in manifests().items()})


def copies() -> dict[Path, str]:
    """Return the text of each file that the chart must have a copy of, by the copy's path."""
    return {
        folder / source.name: source.read_text(encoding="utf-8")
        for folder, sources in SOURCES.items()
        for source in sources
    }


def manifests() -> dict[str, str]:
    """Return the text of each manifest by its file's name."""
    return {name: _plain(manifest) for name, manifest in FILES.items()}


def _plain(manifest: Manifest) -> str:
    """Render, and leave out what only Helm needs."""
    text = OF_HELM.sub("", render(manifest.values, templates=manifest.templates))
    documents = [document.strip("\n") for document in re.split(r"^---$", text, flags=re.MULTILINE)]
    body = "\n---\n".join(document for document in documents if document)
    return f"{HEADER.format(purpose=manifest.purpose)}{body}\n"


def _write(texts: Mapping[Path, str]) -> None:
    for folder in {path.parent for path in texts}:
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.iterdir():
            if path not in texts and path.suffix in {".yaml", ".json"}:
                path.unlink()
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
