"""The cost configuration in force as a document: what a service leaves in the store for reports."""

from __future__ import annotations

import json
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from prisma_postgres_exporter.config.prices import PriceRow
from prisma_postgres_exporter.config.values import Config, CostConfig

ONLY_HERE = "prices_file"
"""A path means something on its own machine only: what it holds is in the document."""


class _Document(BaseModel):
    """`version` is raised where an older reader would charge otherwise. `prices` are the rows in force."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    version: Literal[1] = 1
    cost: CostConfig
    prices: Annotated[tuple[PriceRow, ...], Field(min_length=1)]


def costs_document(config: Config) -> str:
    """Return the `cost` section and the prices as JSON: everything that money depends on, and no secret."""
    document = _Document(cost=config.cost, prices=config.prices)
    return json.dumps(document.model_dump(mode="json", by_alias=True), sort_keys=True, ensure_ascii=False)


def with_costs(config: Config, text: str) -> Config:
    """Return the configuration with the costs of a document.

    Raises:
        ValueError: this version cannot read it.
    """
    document = _Document.model_validate_json(text)
    return config.model_copy(update={"cost": document.cost, "prices": document.prices})


def differing_costs(one: Config, other: Config) -> tuple[str, ...]:
    """Return the keys of `cost` in which two configurations differ, `prices` where the rows do."""
    keys = [key for key in CostConfig.model_fields if key != ONLY_HERE]
    different = [key for key in keys if getattr(one.cost, key) != getattr(other.cost, key)]
    return (*different, *(["prices"] if one.prices != other.prices else []))
