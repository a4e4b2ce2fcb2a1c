"""Which labels a PromQL expression gives, from those that the exporter's metrics have."""

from __future__ import annotations

from collections.abc import Mapping

from promql_parser import (
    AggModifierType,
    AggregateExpr,
    BinaryExpr,
    BinModifier,
    Call,
    Expr,
    LabelModifier,
    LabelModifierType,
    MatrixSelector,
    NumberLiteral,
    ParenExpr,
    StringLiteral,
    SubqueryExpr,
    UnaryExpr,
    VectorMatchCardinality,
    VectorSelector,
)

Labels = frozenset[str]
SCRAPE_LABELS = frozenset({"job", "instance"})
SET_OPERATORS = ("and", "or", "unless")
KEEP_LABELS = ("topk", "bottomk")
ADD_LABEL = ("label_replace", "label_join")


class LabelProblem(Exception):
    """An expression uses a metric or a label that does not exist, or joins what can never match."""


class LabelFinder:
    """Finds the labels of expressions; `metrics` are the labels of each known metric, without those of a scrape."""

    def __init__(self, metrics: Mapping[str, Labels]) -> None:
        self._metrics = {name: labels | SCRAPE_LABELS for name, labels in metrics.items()}
        self._metrics["up"] = SCRAPE_LABELS

    def record(self, name: str, labels: Labels) -> None:
        """Know a recorded series from now on; it has the labels of its expression and no others."""
        self._metrics[name] = labels

    def labels_of(self, expr: Expr) -> Labels | None:
        """Return the labels of an expression's series, `None` for a scalar.

        Raises:
            LabelProblem: it uses what does not exist, or joins what can never match.
        """
        if isinstance(expr, NumberLiteral | StringLiteral):
            return None
        if isinstance(expr, ParenExpr | UnaryExpr):
            return self.labels_of(expr.expr)
        if isinstance(expr, SubqueryExpr):
            return self.labels_of(expr.expr)
        if isinstance(expr, MatrixSelector):
            return self._selected(expr.vector_selector)
        return self._series_of(expr)

    def _series_of(self, expr: Expr) -> Labels | None:
        if isinstance(expr, VectorSelector):
            return self._selected(expr)
        if isinstance(expr, Call):
            return self._called(expr)
        if isinstance(expr, AggregateExpr):
            return self._aggregated(expr)
        if isinstance(expr, BinaryExpr):
            return self._joined(expr)
        raise LabelProblem(f"{expr}: of an unknown kind")

    def _selected(self, expr: VectorSelector) -> Labels:
        if expr.name not in self._metrics:
            raise LabelProblem(f"{expr}: no metric of that name")
        labels = self._metrics[expr.name]
        _demand({matcher.name for matcher in expr.matchers.matchers}, labels, expr)
        return labels

    def _called(self, expr: Call) -> Labels | None:
        found = [self.labels_of(argument) for argument in expr.args]
        if expr.func.name == "time":
            return None
        if expr.func.name in {"absent", "vector"} or not expr.args:
            return frozenset()
        labels = next(labels for labels in found if labels is not None)
        if expr.func.name in ADD_LABEL:
            added = expr.args[1]
            assert isinstance(added, StringLiteral)
            return labels | {added.val}
        return labels

    def _aggregated(self, expr: AggregateExpr) -> Labels:
        labels = self.labels_of(expr.expr)
        if labels is None or expr.modifier is None or expr.modifier.type != AggModifierType.By:
            raise LabelProblem(f"{expr}: say by which labels, so that none that a scrape adds is left")
        by = frozenset(expr.modifier.labels)
        _demand(by, labels, expr)
        return labels if str(expr.op) in KEEP_LABELS else by

    def _joined(self, expr: BinaryExpr) -> Labels | None:
        left, right = self.labels_of(expr.lhs), self.labels_of(expr.rhs)
        if left is None or right is None:
            return left if right is None else right
        modifier = expr.modifier
        on = _on(modifier.matching) if modifier is not None and modifier.matching is not None else None
        if str(expr.op) == "or" and on is None:
            # Series of the right side stand beside those of the left.
            return left | right
        if on is None and left != right:
            raise LabelProblem(f"{expr}: {sorted(left)} never matches {sorted(right)}; say on which labels")
        _demand(on or frozenset(), left & right, expr)
        if on is None or str(expr.op) in SET_OPERATORS:
            return left
        if modifier is not None and modifier.card == VectorMatchCardinality.OneToMany:
            return right | _brought(modifier, left, expr)
        if modifier is not None and modifier.card == VectorMatchCardinality.ManyToOne:
            return left | _brought(modifier, right, expr)
        return on


def _brought(modifier: BinModifier, one_side: Labels, expr: BinaryExpr) -> Labels:
    """The labels that a join takes over from its one side."""
    labels = frozenset(modifier.group_labels or ())
    _demand(labels, one_side, expr)
    return labels


def _on(matching: LabelModifier) -> Labels:
    if matching.type != LabelModifierType.Include:
        raise LabelProblem("ignoring: a scrape may add any label, so say on which labels")
    return frozenset(matching.labels)


def _demand(wanted: set[str] | Labels, labels: Labels, expr: Expr) -> None:
    missing = sorted(set(wanted) - labels)
    if missing:
        raise LabelProblem(f"{expr}: no label {', '.join(missing)}; there are {', '.join(sorted(labels))}")
