"""From a decoded body to a result: one function for each shape that an answer can have."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from prisma_postgres_exporter.api.schemas import Backups, BackupsAnswer, Metric, Metrics, Usage, UsageAnswer
from prisma_postgres_exporter.api.wire import Envelope, Page, PageAnswer

T = TypeVar("T")
Shape = Callable[[object], T]

GIBIBYTE = 2**30
MOST_OPERATIONS = 2**53  # beyond it a JSON number is not exact
MOST_STORAGE_GIB = 65_536


class Unfit(Exception):
    """A decoded body that the contract does not allow; `reason` is the error's short constant."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def enveloped(model: type[Envelope[T]]) -> Shape[T]:
    """`{"data": {…}}`"""
    validate = _validator(model)
    return lambda document: validate(document).data


def paged(model: type[PageAnswer[T]]) -> Shape[Page[T]]:
    """`{"data": […], "pagination": {"nextCursor", "hasMore"}}`"""
    validate = _validator(model)

    def shape(document: object) -> Page[T]:
        answer = validate(document)
        # An empty cursor ends the list too, whatever hasMore says.
        cursor = answer.pagination.next_cursor if answer.pagination.has_more else None
        return Page(entries=tuple(answer.data), next_cursor=cursor or None)

    return shape


def listed(model: type[Envelope[list[T]]]) -> Shape[tuple[T, ...]]:
    """`{"data": […]}`, a list without pages."""
    validate = _validator(model)
    return lambda document: tuple(validate(document).data)


def nothing(_document: object) -> None:
    """An answer without a body."""


def backups(document: object) -> Backups:
    """`{"data": […], "meta": {"backupRetentionDays"}, "pagination": {"hasMore"}}`: a list without a cursor."""
    answer = _backups_answer(document)
    return Backups(
        entries=tuple(answer.data),
        retention_days=answer.meta.backup_retention_days,
        has_more=answer.pagination.has_more,
    )


def usage(document: object) -> Usage:
    """The bare usage body, its units and bounds checked.

    Raises:
        Unfit: a wrong shape or unit, a negative, infinite or absurd number, a period that ends before it starts.
    """
    answer = _usage_answer(document)
    if answer.period.start > answer.period.end:
        raise Unfit("bad_period", "the period ends before it starts")
    metrics = answer.metrics or Metrics()
    operations = _bounded(metrics.operations, unit="ops", most=MOST_OPERATIONS)
    storage_gib = _bounded(metrics.storage, unit="GiB", most=MOST_STORAGE_GIB)
    return Usage(
        period_start_at=answer.period.start,
        period_end_at=answer.period.end,
        operations=None if operations is None else round(operations),
        storage_bytes=None if storage_gib is None else round(storage_gib * GIBIBYTE),
        generated_at=answer.generated_at,
    )


def _bounded(metric: Metric | None, *, unit: str, most: int) -> int | float | None:
    if metric is None or metric.used is None:
        return None
    if metric.unit != unit:
        raise Unfit("wrong_unit", f"expected the unit {unit}")
    if not 0 <= metric.used <= most:
        raise Unfit("absurd_number", f"not between 0 and {most} {unit}")
    return metric.used


def _validator(shape: type[T]) -> Shape[T]:
    adapter: TypeAdapter[T] = TypeAdapter(shape)

    def validate(document: object) -> T:
        try:
            return adapter.validate_python(document)
        except ValidationError as exc:
            problem = exc.errors(include_input=False, include_context=False, include_url=False)[0]
        # Outside the except block: a validation error holds the body, and a body can hold passwords.
        place = ".".join(str(step) for step in problem["loc"]) or "the answer"
        raise Unfit("wrong_shape", f"{place}: {problem['type']}")

    return validate


_usage_answer: Shape[UsageAnswer] = _validator(UsageAnswer)
_backups_answer: Shape[BackupsAnswer] = _validator(BackupsAnswer)
