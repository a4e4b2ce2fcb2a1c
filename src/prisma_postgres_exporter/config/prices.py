"""What the vendor charges: dated rows of data, from the package or from a file of the user's."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal
from importlib.resources import files
from itertools import pairwise
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

UNITS = {"MB": 10**6, "GB": 10**9, "MiB": 2**20, "GiB": 2**30}
PACKAGED = files("prisma_postgres_exporter.config") / "prices.yaml"


def _size(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    matched = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(MB|GB|MiB|GiB)", value) if isinstance(value, str) else None
    if matched is None:
        raise ValueError(f"{value!r} is not a valid size; write it like 500MB or 10GiB")
    return int(Decimal(matched[1]) * UNITS[matched[2]])


def _money(value: object) -> object:
    # A float of YAML is what was written: its shortest form is exact.
    return str(value) if isinstance(value, float) else value


Size = Annotated[int, BeforeValidator(_size), Field(ge=0)]
Money = Annotated[Decimal, BeforeValidator(_money), Field(ge=0, le=1_000_000, allow_inf_nan=False)]


class PriceRow(BaseModel):
    """One plan in one price version. `None` is not known, so that what depends on it has no cost.

    `from_` to `until` (the latter not included) is when the row is a plan's price unless a version is chosen.
    With `hard_stop` nothing is charged over what is included: the vendor blocks the databases. Sizes are bytes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, populate_by_name=True)

    plan: str = Field(min_length=1, description="The plan, by the vendor's name")
    version: str = Field(min_length=1, description="What this version of its prices is called")
    from_: Annotated[date | None, Field(alias="from")] = Field(
        default=None, description="The first day on which it is the plan's price"
    )
    until: date | None = Field(default=None, description="The first day on which it is no more")
    fee_usd: Money | None = Field(description="The fee of a month; `null`: not known")
    included_operations: Annotated[int, Field(ge=0)] = Field(description="Operations that the fee includes in a month")
    included_storage: Size = Field(description="Storage that the fee includes, like `10GiB` or `500MB`")
    usd_per_million_operations: Money | None = Field(default=None, description="The price of a million more operations")
    usd_per_gib_month: Money | None = Field(default=None, description="The price of a GiB more for a month")
    hard_stop: bool = Field(
        default=False,
        description="Nothing is charged over what is included: the vendor blocks the databases there",
    )
    source: str = Field(default="", description="Where it was read")
    read_on: date | None = Field(default=None, description="When it was read")

    @model_validator(mode="after")
    def _in_order(self) -> PriceRow:
        if self.from_ is not None and self.until is not None and self.from_ >= self.until:
            raise ValueError(f"until {self.until} is not after from {self.from_}")
        return self

    def is_in_force(self, day: date) -> bool:
        """Whether this is the price of its plan on `day`, where no version is chosen."""
        return (self.from_ is None or self.from_ <= day) and (self.until is None or day < self.until)


class PriceFile(BaseModel):
    """A file of prices."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    prices: tuple[PriceRow, ...] = Field(min_length=1)


def contradictions(rows: Iterable[PriceRow]) -> Iterator[tuple[int, str]]:
    """Yield what is wrong between rows, with the number of the row: two of a version, gaps and overlaps in time."""
    by_plan: dict[str, list[tuple[int, PriceRow]]] = defaultdict(list)
    seen: dict[tuple[str, str], int] = {}
    for number, row in enumerate(rows):
        key = row.plan.lower(), row.version
        if key in seen:
            yield number, f"plan {row.plan} has version {row.version} twice"
            continue
        seen[key] = number
        by_plan[row.plan.lower()].append((number, row))
    for plan, numbered in by_plan.items():
        numbered.sort(key=lambda entry: entry[1].from_ or date.min)
        for (_, earlier), (number, later) in pairwise(numbered):
            ends_on, begins_on = earlier.until, later.from_
            if ends_on is None or begins_on is None or ends_on > begins_on:
                yield (
                    number,
                    f"plan {plan}: versions {earlier.version} and {later.version} are in force on the same day",
                )
            elif ends_on < begins_on:
                yield number, f"plan {plan}: no price from {ends_on} to {begins_on}"
