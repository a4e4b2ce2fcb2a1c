"""The chart, rendered by Helm itself; no cluster is asked for anything."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import yaml
from dockerfile import ROOT

CHART = ROOT / "deploy" / "helm" / "prisma-postgres-exporter"
RELEASE = "prisma-postgres-exporter"
OPERATOR = "monitoring.coreos.com/v1"

Object = dict[str, Any]
Values = Mapping[str, Any]

NEEDS_HELM = pytest.mark.skipif(shutil.which("helm") is None and "CI" not in os.environ, reason="needs Helm 4")


class ChartRefused(AssertionError):
    """Helm did not render the chart; the text is what it said."""


def render(values: Values | None = None, *, templates: Sequence[str] = (), chart: str = str(CHART)) -> str:
    """Return the manifests of the chart, or of some of its templates, as Helm prints them.

    Raises:
        ChartRefused: Helm refused the values or the chart.
    """
    chosen = [argument for name in templates for argument in ("--show-only", f"templates/{name}")]
    return helm("template", RELEASE, chart, "--values=-", *chosen, stdin=json.dumps(values or {}))


def objects(values: Values | None = None, *, templates: Sequence[str] = ()) -> list[Object]:
    """Return every object of the chart."""
    return [found for found in yaml.safe_load_all(render(values, templates=templates)) if found]


def the(kind: str, found: Sequence[Object]) -> Object:
    """Return the only object of this kind."""
    (one,) = [each for each in found if each["kind"] == kind]
    return one


def helm(*arguments: str, stdin: str = "") -> str:
    """Run Helm with nothing of this user's settings, and return what it printed.

    Raises:
        ChartRefused: it failed.
    """
    with tempfile.TemporaryDirectory() as home:
        done = subprocess.run(
            ["helm", *arguments],
            input=stdin,
            env={"PATH": os.environ["PATH"], "HOME": home, "KUBECONFIG": os.devnull},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    if done.returncode != 0:
        raise ChartRefused(done.stderr)
    return done.stdout
