"""What every section of the configuration is made of."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Annotated, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationInfo, field_validator

from prisma_postgres_exporter.config.durations import parse_duration


def _duration(value: object) -> object:
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not a valid duration (30s, 5m, 1h30m, 7d)")
    return parse_duration(value)


Duration = Annotated[timedelta, BeforeValidator(_duration)]


class Section(BaseModel):
    """Frozen, without unknown keys, and without values in its errors: one could be a secret."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, hide_input_in_errors=True)

    @field_validator("*", mode="before")
    @classmethod
    def _no_yes_for_a_number(cls, value: object, info: ValidationInfo) -> object:
        """YAML's `yes` is true, which pydantic takes for 1."""
        annotation = cls.model_fields[info.field_name or ""].annotation
        if isinstance(value, bool) and _kinds(annotation) & {int, float, Decimal}:
            raise ValueError("must be a number, not yes or no")
        return value


def _kinds(annotation: object) -> set[object]:
    return {annotation}.union(*(_kinds(part) for part in get_args(annotation)))
