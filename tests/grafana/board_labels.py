"""Which labels a dashboard's query gives, from the exposition's catalogue."""

from __future__ import annotations

from board_files import Query
from linter_rules import parsed
from promql_parser import AggregateExpr
from rule_labels import KEEP_LABELS, LabelFinder, Labels

from prisma_postgres_exporter.expose import describe

# What Prometheus itself and the library of the exporter's own metrics show.
_OTHERS: dict[str, Labels] = {
    "ALERTS": frozenset({"alertname", "alertstate", "severity", "workspace_id", "database_id", "budget", "limit"}),
    "process_start_time_seconds": frozenset(),
    "process_resident_memory_bytes": frozenset(),
    "process_cpu_seconds_total": frozenset(),
}


class _Finder(LabelFinder):
    """As for the rules; but a panel may add up everything, which leaves no label."""

    def _aggregated(self, expr: AggregateExpr) -> Labels:
        if expr.modifier is not None:
            return super()._aggregated(expr)
        labels = self.labels_of(expr.expr) or frozenset()
        return labels if str(expr.op) in KEEP_LABELS else frozenset()


def labels_of(query: Query) -> Labels | None:
    """Return the labels that a query's series have.

    Raises:
        LabelProblem: it uses what the exporter does not show.
    """
    return _Finder(_shown()).labels_of(parsed(query))


def _shown() -> dict[str, Labels]:
    shown = {metric.name: frozenset(metric.labels) for metric in describe()}
    buckets = {f"{metric.name}_bucket": frozenset({"le"}) for metric in describe() if metric.kind == "histogram"}
    return shown | buckets | _OTHERS
