"""What can be exposed, in a list: for the guide's table of metrics and the tests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from prisma_postgres_exporter.expose.families import BUDGETS, DATABASES, WORKSPACES
from prisma_postgres_exporter.expose.health import OWN_METRICS
from prisma_postgres_exporter.expose.lines import Kind


@dataclass(frozen=True, slots=True)
class Description:
    """One metric family: its full name, kind, label names and HELP."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str


def describe() -> Iterator[Description]:
    """Every family, in the order of the exposition: databases, workspaces, budgets, own ones (not `process_*`)."""
    for family in DATABASES.families:
        yield Description(family.name, family.kind, family.labels, family.help)
    for workspace_family in WORKSPACES.families:
        yield Description(workspace_family.name, workspace_family.kind, workspace_family.labels, workspace_family.help)
    for budget_family in BUDGETS.families:
        yield Description(budget_family.name, budget_family.kind, budget_family.labels, budget_family.help)
    for metric in OWN_METRICS:
        yield Description(metric.full_name, metric.kind, metric.labels, metric.help)
