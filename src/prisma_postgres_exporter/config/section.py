"""What every section of the configuration is made of."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict

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
