"""From a decoded body to a result: one function for each shape that an answer can have."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError, create_model

from prisma_postgres_exporter.api.schemas import Backup, Backups, BackupsAnswer, Metric, Metrics, Usage, UsageAnswer
from prisma_postgres_exporter.api.wire import Envelope, Identified, ListAnswer, Page, PageAnswer, Refused, Wire

T = TypeVar("T")
W = TypeVar("W", bound=Wire)
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


def paged(model: type[W]) -> Shape[Page[W]]:
    """`{"data": […], "pagination": {"nextCursor", "hasMore"}}`"""
    sort = _sorter(model)

    def shape(document: object) -> Page[W]:
        answer = _page_answer(document)
        # An empty cursor ends the list too, whatever hasMore says.
        cursor = answer.pagination.next_cursor if answer.pagination.has_more else None
        entries, refused = sort(answer.data)
        return Page(entries=entries, next_cursor=cursor or None, refused=refused)

    return shape


def listed(model: type[W]) -> Shape[tuple[W, ...]]:
    """`{"data": […]}`, a list without pages; a record that does not fit is left out."""
    sort = _sorter(model)
    return lambda document: sort(_list_answer(document).data)[0]


def nothing(_document: object) -> None:
    """An answer without a body."""


def backups(document: object) -> Backups:
    """`{"data": […], "meta": {"backupRetentionDays"}, "pagination": {"hasMore"}}`: a list without a cursor."""
    answer = _backups_answer(document)
    entries, refused = _sort_backups(answer.data)
    return Backups(
        entries=entries,
        retention_days=answer.meta.backup_retention_days,
        has_more=answer.pagination.has_more,
        refused=refused,
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


def _sorter(model: type[W]) -> Callable[[Iterable[object]], tuple[tuple[W, ...], tuple[Refused, ...]]]:
    validate = _validator(model)
    validate_id = _validator(create_model("Identified", __base__=Identified, id=(str, model.model_fields["id"])))

    def id_of(record: object) -> str | None:
        try:
            return validate_id(record).id
        except Unfit:
            return None

    def sort(records: Iterable[object]) -> tuple[tuple[W, ...], tuple[Refused, ...]]:
        entries: list[W] = []
        refused: list[Refused] = []
        for record in records:
            try:
                entries.append(validate(record))
            except Unfit as exc:
                refused.append(Refused(id=id_of(record), reason=str(exc)))
        return tuple(entries), tuple(refused)

    return sort


def _validator(shape: type[T]) -> Shape[T]:
    adapter: TypeAdapter[T] = TypeAdapter(shape)

    def validate(document: object) -> T:
        try:
            return adapter.validate_python(document)
        except ValidationError as exc:
            problem = exc.errors(include_input=False, include_context=False, include_url=False)[0]
        # Outside the except block: a validation error holds the body, and a body can hold passwords.
        place = ".".join(str(step) for step in problem["loc"]) or "the whole"
        raise Unfit("wrong_shape", f"{place}: {problem['type']}")

    return validate


_list_answer: Shape[ListAnswer] = _validator(ListAnswer)
_page_answer: Shape[PageAnswer] = _validator(PageAnswer)
_usage_answer: Shape[UsageAnswer] = _validator(UsageAnswer)
_backups_answer: Shape[BackupsAnswer] = _validator(BackupsAnswer)
_sort_backups = _sorter(Backup)
