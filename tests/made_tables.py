"""What is made from the code: tables of the manual, and a part of the chart's schema; run this to write them anew."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import configuration_page
from api_page import operations_table
from prisma_postgres_exporter.documents import keys_table
from prisma_postgres_exporter.expose import Description, describe
from prisma_postgres_exporter.reasons import MEANINGS

ROOT = Path(__file__).parents[1]
GUIDE = ROOT / "deploy" / "guide"
CHART_SCHEMA = ROOT / "deploy" / "helm" / "prisma-postgres-exporter" / "values.schema.json"


def metrics_table() -> str:
    """Every metric with its labels and its HELP."""
    rows = [f"| `{metric.name}`<br>{_kind(metric)} | {metric.help} |\n" for metric in describe()]
    return "| metric | what it says |\n|---|---|\n" + "".join(rows)


def reasons_table() -> str:
    """Every reason with what it means and what to do."""
    rows = [f"| `{reason}` | {meaning} |\n" for reason, meaning in MEANINGS.items()]
    return "| reason | what it means, and what to do |\n|---|---|\n" + "".join(rows)


def _kind(metric: Description) -> str:
    return f"{metric.kind} by {', '.join(metric.labels)}" if metric.labels else metric.kind


TABLES: Mapping[str, tuple[Path, Callable[[], str]]] = {
    "metrics-table": (GUIDE / "metrics.md", metrics_table),
    "reasons-table": (GUIDE / "troubleshooting.md", reasons_table),
    "json-table": (GUIDE / "json.md", keys_table),
    "configuration-table": (GUIDE / "configuration.md", configuration_page.keys_table),
    "secrets-table": (GUIDE / "configuration.md", configuration_page.secrets_table),
    "environment-table": (GUIDE / "configuration.md", configuration_page.environment_table),
    "operations-table": (ROOT / "src/prisma_postgres_exporter/api/README.md", operations_table),
}
"""By the mark around it: the page that it stands on, and its maker."""


def with_table(text: str, mark: str, table: str) -> str:
    """A page with a table anew.

    Raises:
        ValueError: the page has no such mark, or several.
    """
    around = re.compile(rf"(<!-- {mark} -->\n).*?(<!-- /{mark} -->)", re.S)
    text, count = around.subn(lambda found: f"{found[1]}{table}{found[2]}", text)
    if count != 1:
        raise ValueError(f"{count} places for {mark}")
    return text


def with_configuration(text: str) -> str:
    """The schema of the chart's values with that of `config` anew."""
    schema = json.loads(text)
    schema["properties"]["config"] = configuration_page.keys_schema()
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    CHART_SCHEMA.write_text(with_configuration(CHART_SCHEMA.read_text(encoding="utf-8")), encoding="utf-8")
    for mark, (page, made) in TABLES.items():
        page.write_text(with_table(page.read_text(encoding="utf-8"), mark, made()), encoding="utf-8")
