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
        raise ValueError(f"{value[:100]!r} is not a valid regular expression: {error}") from None


def _secret(value: object) -> object:
    if isinstance(value, str | SecretStr):
        return value
    raise ValueError("a token is text; put it in quotes")


Pattern = Annotated[re.Pattern[str], BeforeValidator(_pattern)]


class CredentialConfig(Section):
    """One credential: exactly one of a file, the name of an environment variable, or the token itself."""

    name: str | None = Field(default=None, description="What labels, logs and messages call it")
    token_file: Path | None = Field(
        default=None,
        description="A file with one token, or a directory with one token a file; read again when it changes",
    )
    token_env: str | None = Field(default=None, description="The environment variable that holds the token")
    token: Annotated[SecretStr, BeforeValidator(_secret)] | None = Field(
        default=None, description="The token itself; prefer the other two"
    )

    @model_validator(mode="after")
    def _one_source(self) -> CredentialConfig:
        if sum(source is not None for source in (self.token_file, self.token_env, self.token)) != 1:
            raise ValueError("needs exactly one of token_file, token_env and token")
        return self


class Filter(Section):
    """Regular expressions, searched for in names and ids (regions: in the id)."""

    workspaces: tuple[Pattern, ...] = Field(default=(), description="Names or ids of workspaces")
    projects: tuple[Pattern, ...] = Field(default=(), description="Names or ids of projects")
    databases: tuple[Pattern, ...] = Field(default=(), description="Names or ids of databases")
    regions: tuple[Pattern, ...] = Field(default=(), description="Ids of regions")


class DiscoveryConfig(Section):
    """How often to look what exists, and which databases to follow."""

    interval: Duration = Field(default=timedelta(minutes=10), description="How often to look which databases exist")
    subscription_interval: Duration = Field(
        default=timedelta(hours=1),
        description="How often to read plan and block of each workspace; while it is blocked, every two minutes",
    )
    include: Filter = Field(
        default=Filter(),
        description="What to follow: where there are patterns of a kind, one of them must match",
    )
    exclude: Filter = Field(default=Filter(), description="What not to follow, whatever `include` says")


class RollingWindow(Section):
    """A rolling window, named as it was written."""

    name: str
    width: timedelta


def rolling_windows(texts: Iterable[str]) -> tuple[RollingWindow, ...]:
    """Read rolling windows; the narrowest comes first, however they are written.

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
    return tuple(sorted(windows, key=lambda window: window.width))


class PollConfig(Section):
    """How often to read usage, at what pace (for each credential), and how long to believe it.

    One that is `adaptive` reads the open day when there should be news, and not in every interval.
    """

    interval: Duration = Field(
        default=timedelta(minutes=5),
        description="How often the open day of each database is read; two intervals without a reading make its `up` 0",
    )
    adaptive: bool = Field(
        default=False,
        description="Read the open day when there should be news, and not in every interval: about a fifth of the "
        "requests ([how](requests.md))",
    )
    windows: tuple[RollingWindow, ...] = Field(
        default=rolling_windows(("24h", "7d", "30d")),
        description="Rolling windows, of any width from 1s to 366d; each is read when 1/96 of its width has passed",
    )
    requests_per_second: Annotated[float, Field(gt=0, le=1_000, allow_inf_nan=False)] = Field(
        default=10.0, description="The request budget of each credential"
    )
    concurrency: Annotated[int, Field(ge=1, le=256)] = Field(
        default=8, description="Requests under way at once, for each credential"
    )
    connect_timeout: Duration = Field(default=timedelta(seconds=5), description="Time to connect")
    read_timeout: Duration = Field(default=timedelta(seconds=15), description="Time between two pieces of an answer")
    total_timeout: Duration = Field(default=timedelta(seconds=30), description="Time for one try in all")
    keep_last_value: Duration = Field(
        default=timedelta(days=1),
        description="How long the last values of a database that stopped answering are shown",
    )
    settle_after: Duration = Field(
        default=timedelta(hours=6), description="A closed day is final when readings this far apart agree"
    )

    @field_validator("windows", mode="before")
    @classmethod
    def _windows(cls, value: object) -> object:
        if isinstance(value, list | tuple) and all(isinstance(text, str) for text in value):
            return rolling_windows(value)
        if isinstance(value, tuple):
            return value
        raise ValueError("windows are a list of durations, like [24h, 7d, 30d]")

    @property
    def most_calls(self) -> int:
        """How many requests of a credential may be under way: half are for workers in the place of those that hang."""
        return 2 * self.concurrency

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

    url: str = Field(
        default="sqlite:///prisma-postgres-exporter.db",
        description="The ledger: `sqlite:///FILE` (`sqlite:////ABSOLUTE/FILE`) or "
        "`postgresql://USER:PASSWORD@HOST/DATABASE`; in user and password `/ ? # [ ] @` are percent-encoded "
        "(`%2F %3F %23 %5B %5D %40`)",
    )
    keep_readings: Duration = Field(
        default=timedelta(days=30), description="How long raw readings are kept; days and months are kept for ever"
    )

    @field_validator("url")
    @classmethod
    def _readable(cls, value: str) -> str:
        if problem := store_url_problem(value):
            raise ValueError(problem)
        return value


class WebConfig(Section):
    """Where to serve, and what to whom."""

    listen: tuple[ListenAddress, ...] = Field(
        default=(":9478",),
        description="Where to serve: `:9478` (every address), `127.0.0.1:9478`, `[::1]:9478`, `unix:FILE`, `systemd` "
        "(the sockets that a `.socket` unit passes on), or a list of them",
    )
    config_file: Path | None = Field(
        default=None,
        description="TLS, client certificates and users, in the format of Prometheus' exporter-toolkit, "
        "relative to the folder of this file; read again when it changes ([how](security.md))",
    )
    users: dict[str, Annotated[tuple[str, ...], Field(min_length=1)]] = Field(
        default={},
        description="The workspaces of those users who see some alone: `{alice: [wksp_…]}`; others see everything, "
        "and `none` among the workspaces is what belongs to none",
    )
    max_series: Annotated[int, Field(ge=1_000)] | None = Field(
        default=None,
        description="The most series that `/metrics` may have; beyond it the smallest databases are "
        "[summed up](metrics.md#a-bound-on-series)",
    )
    shard: Literal["all", "owned"] = Field(
        default="all",
        description="What one of several services on a Postgres shows on `/metrics`: `all`, or the workspaces that it "
        "collects itself (`owned`)",
    )
    created: bool = Field(
        default=False,
        description="OpenMetrics with `_created` for the databases' counters, for a Prometheus with the feature "
        "`created-timestamp-zero-ingestion`",
    )
    hosts: tuple[str, ...] = Field(
        default=(),
        description="The names that are answered to (`exporter.example.com`), besides addresses and `localhost`: "
        "others get 421, which keeps out pages that DNS rebinding leads here. Empty: any name",
    )
    enable_lifecycle: bool = Field(
        default=False,
        description="Whether `POST /-/reload` reads the configuration again, for programs of this machine; SIGHUP "
        "always does",
    )

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
    """What the API does not report of a workspace."""

    workspace: str = Field(description="Its id or name")
    plan: str | None = Field(default=None, description="Its plan, instead of what the API says")
    price_version: str | None = Field(
        default=None,
        description="The version of its prices, instead of those in force: older workspaces may keep older ones",
    )
    prices: PriceRow | None = Field(
        default=None, description="Prices of its own (Enterprise), instead of `plan` and `price_version`"
    )
    spend_limit_usd: Money | None = Field(
        default=None, description="The vendor's limit on usage charges; at it the databases are blocked"
    )
    tax_percent: Annotated[Money, Field(le=100)] | None = Field(
        default=None,
        description="The tax on all usage, which counts against the limit too; 0 for workspaces that Vercel bills",
    )
    other_usage_usd: Money | None = Field(
        default=None,
        description="What a month of Compute and Accelerate costs: it counts against the limit too, from the 1st on",
    )


class BudgetConfig(Section):
    """An amount for a calendar month (UTC), for all databases that match: regular expressions on names and ids.

    Each kind of expression that is given must match; without any it is for everything.
    """

    name: Annotated[str, Field(min_length=1)] = Field(description="Its name, which no other budget has")
    monthly_usd: Annotated[Money, Field(gt=0)] = Field(description="The amount")
    thresholds: tuple[Annotated[float, Field(gt=0, le=10, allow_inf_nan=False)], ...] = Field(
        default=(0.5, 0.8, 1.0), description="At which parts of the amount to be told; 1 is all of it"
    )
    workspaces: tuple[Pattern, ...] = Field(default=(), description="Names or ids of workspaces that it is for")
    projects: tuple[Pattern, ...] = Field(default=(), description="Names or ids of projects that it is for")
    databases: tuple[Pattern, ...] = Field(default=(), description="Names or ids of databases that it is for")


class FeeShare(StrEnum):
    """By what a workspace's fee is shared out to its databases."""

    OPERATIONS = "operations"
    STORAGE = "storage"
    EQUAL = "equal"


class CostConfig(Section):
    """What it costs: prices, how the fee is shared out, what the API does not report of workspaces, and budgets."""

    prices_file: Path | None = Field(
        default=None,
        description="A price file of your own, in the form of the "
        "[packaged one](../../src/prisma_postgres_exporter/config/prices.yaml)",
    )
    fee_share: FeeShare = Field(
        default=FeeShare.OPERATIONS,
        description="By what a workspace's fee is shared out to its databases: `operations`, `storage` or `equal`",
    )
    workspaces: tuple[WorkspaceConfig, ...] = Field(
        default=(), description="What the API does not report of workspaces"
    )
    budgets: tuple[BudgetConfig, ...] = Field(
        default=(),
        description="Amounts for a calendar month (UTC), for all databases that match: each kind of pattern that is "
        "given must match, without any it is for everything",
    )

    @field_validator("budgets")
    @classmethod
    def _names_differ(cls, value: tuple[BudgetConfig, ...]) -> tuple[BudgetConfig, ...]:
        names = [budget.name for budget in value]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"several budgets are called {', '.join(twice)}; give each a name of its own")
        return value


PROGRAM = "prisma-postgres-exporter"


class Sources(Section):
    """Where values come from: a flag, a variable, or a file with the line; `None` where it is the default.

    `file` is the absolute path of the file, if there is one.
    `flags` are the flags that were given, as they are typed, without passwords: another command needs them too, and
    those for the file and the store that the environment named. `program` is what it begins with.
    """

    store_url: str | None = None
    cost: str | None = None
    flags: str = ""
    program: str = PROGRAM
    file: str | None = None


class Config(Section):
    """Everything that can be configured. `prices` are the rows of the price file that `cost` names.

    `sources` say where it comes from. `warnings` are lines for people: nothing that stops the service.
    """

    api_url: str = Field(
        default="https://api.prisma.io",
        description="Where the Management API is; https only, plain http for this machine",
    )
    credentials: tuple[CredentialConfig, ...] = Field(
        default=(),
        description="Service tokens, one for each workspace; each entry has exactly one of `token_file`, `token_env` "
        "and `token`",
    )
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
