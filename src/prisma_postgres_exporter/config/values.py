"""The configuration's values, their bounds and their defaults.

pydantic models: they are the schema of the YAML file too, so that there is one list of keys.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator

from prisma_postgres_exporter.config.address import ListenAddress, address_problem, is_of_this_machine
from prisma_postgres_exporter.config.durations import parse_duration
from prisma_postgres_exporter.config.prices import Money, PriceRow
from prisma_postgres_exporter.config.push import PushConfig
from prisma_postgres_exporter.config.section import Duration, Section
from prisma_postgres_exporter.config.store_url import store_url_problem

ADAPTIVE_INTERVALS = 18
ADAPTIVE_LONGEST = timedelta(minutes=90)
"""What bounds the age of an adaptive reading: so many intervals, and so long."""


def _pattern(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return re.compile(value)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"{value[:100]!r} is no regular expression: {error}") from None


def _secret(value: object) -> object:
    if isinstance(value, str | SecretStr):
        return value
    raise ValueError("a token is text; put it in quotes")


Pattern = Annotated[re.Pattern[str], BeforeValidator(_pattern)]


class CredentialConfig(Section):
    """One credential: exactly one of a file, the name of an environment variable, or the token itself."""

    name: str | None = None
    token_file: Path | None = None
    token_env: str | None = None
    token: Annotated[SecretStr, BeforeValidator(_secret)] | None = None

    @model_validator(mode="after")
    def _one_source(self) -> CredentialConfig:
        if sum(source is not None for source in (self.token_file, self.token_env, self.token)) != 1:
            raise ValueError("needs exactly one of token_file, token_env and token")
        return self


class Filter(Section):
    """Regular expressions, searched for in names and ids (regions: in the id)."""

    workspaces: tuple[Pattern, ...] = ()
    projects: tuple[Pattern, ...] = ()
    databases: tuple[Pattern, ...] = ()
    regions: tuple[Pattern, ...] = ()


class DiscoveryConfig(Section):
    """How often to look what exists, and which databases to follow."""

    interval: Duration = timedelta(minutes=10)
    subscription_interval: Duration = timedelta(hours=1)
    include: Filter = Filter()
    exclude: Filter = Filter()


class RollingWindow(Section):
    """A rolling window, named as it was written."""

    name: str
    width: timedelta


def rolling_windows(texts: Iterable[str]) -> tuple[RollingWindow, ...]:
    """Read rolling windows.

    Raises:
        ValueError: one is no duration, or two are equally wide.
    """
    windows: list[RollingWindow] = []
    for text in texts:
        width = parse_duration(text)
        same = next((window.name for window in windows if window.width == width), None)
        if same is not None:
            raise ValueError(f"{text!r} is as wide as {same!r}; leave one of them out")
        windows.append(RollingWindow(name=text, width=width))
    return tuple(windows)


class PollConfig(Section):
    """How often to read usage, at what pace (for each credential), and how long to believe it.

    One that is `adaptive` reads the open day when there should be news, and not in every interval.
    """

    interval: Duration = timedelta(minutes=5)
    adaptive: bool = False
    windows: tuple[RollingWindow, ...] = rolling_windows(("24h", "7d", "30d"))
    requests_per_second: Annotated[float, Field(gt=0, le=1_000, allow_inf_nan=False)] = 10.0
    concurrency: Annotated[int, Field(ge=1, le=256)] = 8
    connect_timeout: Duration = timedelta(seconds=5)
    read_timeout: Duration = timedelta(seconds=15)
    total_timeout: Duration = timedelta(seconds=30)
    keep_last_value: Duration = timedelta(days=1)
    settle_after: Duration = timedelta(hours=6)

    @field_validator("windows", mode="before")
    @classmethod
    def _windows(cls, value: object) -> object:
        if isinstance(value, list | tuple) and all(isinstance(text, str) for text in value):
            return rolling_windows(value)
        if isinstance(value, tuple):
            return value
        raise ValueError("windows are a list of durations, like [24h, 7d, 30d]")

    @property
    def read_within(self) -> timedelta:
        """How long after a reading of its open day a database is read again at the latest, where the budget allows."""
        longest = min(ADAPTIVE_INTERVALS * self.interval, ADAPTIVE_LONGEST) if self.adaptive else self.interval
        return max(self.interval, longest)

    def silent_for(self, intervals: int) -> timedelta:
        """How long nothing may have been read of a database whose last `intervals` readings did not come."""
        return self.read_within + (intervals - 1) * self.interval


class StoreConfig(Section):
    """Where the ledger is kept, and how long raw readings are; days and months are kept for ever."""

    url: str = "sqlite:///prisma-postgres-exporter.db"
    keep_readings: Duration = timedelta(days=30)

    @field_validator("url")
    @classmethod
    def _readable(cls, value: str) -> str:
        if problem := store_url_problem(value):
            raise ValueError(problem)
        return value


class WebConfig(Section):
    """Where to serve, to whom: `:9478` (every address), `127.0.0.1:9478`, `unix:FILE`, `systemd`, or several of them.

    `config_file` is a web configuration file of Prometheus' exporter-toolkit, and `users` the workspaces of those of
    its users who see some alone. `shard` is what one of several services on a store shows: everything, or what it
    collects. `max_series` bounds the samples of `/metrics`: beyond it the smallest databases are summed up. With
    `created` OpenMetrics says since when each database's counters count. `hosts` are the names that are answered to,
    all if there are none; with `enable_lifecycle` a program of this machine may reload the configuration by a POST.
    """

    listen: tuple[ListenAddress, ...] = (":9478",)
    config_file: Path | None = None
    users: dict[str, Annotated[tuple[str, ...], Field(min_length=1)]] = Field(default={})
    max_series: Annotated[int, Field(ge=1_000)] | None = None
    shard: Literal["all", "owned"] = "all"
    created: bool = False
    hosts: tuple[str, ...] = ()
    enable_lifecycle: bool = False

    @field_validator("hosts")
    @classmethod
    def _names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for host in value:
            if not re.fullmatch(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*", host):
                raise ValueError(
                    f"{host!r} is not a host's name; write it without scheme and port: exporter.example.com"
                )
        return value

    @field_validator("listen", mode="before")
    @classmethod
    def _one_or_several(cls, value: object) -> object:
        return [value] if isinstance(value, str) else value

    @field_validator("listen")
    @classmethod
    def _somewhere(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("needs an address")
        return value

    @model_validator(mode="after")
    def _users_have_passwords(self) -> WebConfig:
        if self.users and self.config_file is None:
            raise ValueError("users needs web.config_file, whose basic_auth_users have their passwords")
        return self

    @property
    def is_reachable(self) -> bool:
        """Whether others than programs of this machine may reach it."""
        return any(not is_of_this_machine(address) for address in self.listen)


class WorkspaceConfig(Section):
    """What the API does not tell of a workspace: `workspace` is its id or name.

    `plan` and `price_version` choose the prices instead of what the API says and what is in force;
    `prices` are prices of its own. `spend_limit_usd` is the vendor's limit on usage charges, against which count,
    besides ours, `other_usage_usd` (what a month of Compute and Accelerate costs) and `tax_percent` on all of them.
    """

    workspace: str
    plan: str | None = None
    price_version: str | None = None
    prices: PriceRow | None = None
    spend_limit_usd: Money | None = None
    tax_percent: Annotated[Money, Field(le=100)] | None = None
    other_usage_usd: Money | None = None


class BudgetConfig(Section):
    """An amount for a calendar month (UTC), for all databases that match: regular expressions on names and ids.

    Without any expression it is for everything. `thresholds` are parts of the amount, 1 is all of it.
    """

    name: Annotated[str, Field(min_length=1)]
    monthly_usd: Annotated[Money, Field(gt=0)]
    thresholds: tuple[Annotated[float, Field(gt=0, le=10, allow_inf_nan=False)], ...] = (0.5, 0.8, 1.0)
    workspaces: tuple[Pattern, ...] = ()
    projects: tuple[Pattern, ...] = ()
    databases: tuple[Pattern, ...] = ()


class FeeShare(StrEnum):
    """By what a workspace's fee is shared out to its databases."""

    OPERATIONS = "operations"
    STORAGE = "storage"
    EQUAL = "equal"


class CostConfig(Section):
    """What it costs: prices, how the fee is shared out, what the API does not tell of workspaces, and budgets."""

    prices_file: Path | None = None
    fee_share: FeeShare = FeeShare.OPERATIONS
    workspaces: tuple[WorkspaceConfig, ...] = ()
    budgets: tuple[BudgetConfig, ...] = ()

    @field_validator("budgets")
    @classmethod
    def _names_differ(cls, value: tuple[BudgetConfig, ...]) -> tuple[BudgetConfig, ...]:
        names = [budget.name for budget in value]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"several budgets are called {', '.join(twice)}; give each a name of its own")
        return value


class Sources(Section):
    """Where values come from: a flag, a variable, or a file with the line; `None` where it is the default.

    `flags` are the flags that were given, as they are typed, without passwords: another command needs them too.
    """

    store_url: str | None = None
    cost: str | None = None
    flags: str = ""


class Config(Section):
    """Everything that can be configured. `prices` are the rows of the price file that `cost` names.

    `sources` say where it comes from. `warnings` are lines for people: nothing that stops the service.
    """

    api_url: str = "https://api.prisma.io"
    credentials: tuple[CredentialConfig, ...] = ()
    discovery: DiscoveryConfig = DiscoveryConfig()
    poll: PollConfig = PollConfig()
    store: StoreConfig = StoreConfig()
    web: WebConfig = WebConfig()
    push: PushConfig = PushConfig()
    cost: CostConfig = CostConfig()
    prices: tuple[PriceRow, ...] = Field(default=(), exclude=True)
    sources: Sources = Field(default=Sources(), exclude=True)
    warnings: tuple[str, ...] = Field(default=(), exclude=True)

    @field_validator("api_url")
    @classmethod
    def _reachable(cls, value: str) -> str:
        if problem := address_problem(value):
            raise ValueError(problem)
        return value.rstrip("/")
