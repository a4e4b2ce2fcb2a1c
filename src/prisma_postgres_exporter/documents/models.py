"""The one JSON form of everything that the commands print for programs and the JSON API answers.

Amounts are USD as exact texts, instants RFC 3339 in UTC, days and months UTC. `null` is what was not reported, never 0.
A key has one meaning and one unit wherever it stands; the guide's table of keys is made from what is said here.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema

FORM_VERSION: Literal[1] = 1
"""Grows when a key goes, or changes its meaning or unit; a new key leaves it."""

Usd = Annotated[
    Decimal,
    PlainSerializer(lambda amount: f"{amount:.2f}" if amount == round(amount, 2) else f"{amount:f}", return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+)?$"}),
]
Month = Annotated[
    str,
    Field(pattern=r"^[0-9]{4}-[0-9]{2}$", description="The calendar month (UTC), like `2026-11`"),
]

PROJECT_ID = "Which project; `null` where it is about a whole workspace, or a fee that no database bears"
PROJECT_NAME = "Its newest name"
DATABASE_ID = "Which database; `null` where it is about more, or a fee that no database bears"
DATABASE_NAME = "Its newest name"
SPLIT = (
    "What `change_usd` is made of, in USD: `new_databases`, `gone_databases`, `operations`, `storage`, `plan`, "
    "`price`; they add up to it"
)
BOUNDS = (
    "Bounds between which `expected_usd` will be right four times out of five; of workspaces, `null` where not "
    "`is_expected_complete`"
)
IS_EXPECTED_COMPLETE = (
    "Whether all of it has a forecast; else what has none counts in `expected_usd` with what it cost so far, or "
    "databases may have cost more that were deleted before their workspace was followed: about so much is expected, of "
    "what is known"
)
TAKEN_AT = "When the numbers were put together"
COSTS_AT = (
    "When the costs were worked out, from the usage of then: up to a minute before `taken_at`, with 10,000 databases "
    "up to two; `null`: not yet"
)
UNTIL = "How far the month goes: now, or the last second of one that is over"
IS_OVER = "Whether the month is over"
NOT_FOLLOWED = (
    "The workspaces that the month is without: they were gone before it, so what the vendor bills for them is not known"
)
FOLLOWED_LATE = (
    "The workspaces that were first followed after the month began: what databases used that were deleted before that "
    "is not in it, so sums of the workspace and of its projects are at least so much"
)
DISCOVERY_GAPS = (
    "When nobody looked which databases a workspace has, for more than two hours of the month: what was used by those "
    "that came and went meanwhile is not in it, so sums of the workspace and of its projects are at least so much"
)
TOTAL = "All workspaces together; `null` where a part of them was asked for"
HAS_MORE = "Whether there are more rows than were asked for"
INCLUDED_OPERATIONS = "Operations that the price includes in a month, for all databases of the workspace together"
INCLUDED_STORAGE = "Storage that the price includes, as the month's mean over all databases of the workspace together"
DIFFERENCE = (
    "The vendor's month less the sum of our days, both until the same instant; of a workspace over all databases that "
    "its month has; 0: they agree; `null` until they can be compared"
)
IS_UP = "Whether it is read now; `null`: not tried yet"
FAILURE_REASON = "Why not, in one word"
STORAGE_BYTES = "Storage at the last reading"
DATABASE_COUNT = "How many databases it has"


class Document(BaseModel):
    """Everything that is answered."""

    model_config = ConfigDict(from_attributes=True, frozen=True)


class Place(Document):
    """Who a document is about."""

    workspace_id: str = Field(description="Which workspace")
    workspace_name: str = Field(description="Its newest name")
    project_id: str | None = Field(description=PROJECT_ID)
    project_name: str | None = Field(description=PROJECT_NAME)
    database_id: str | None = Field(description=DATABASE_ID)
    database_name: str | None = Field(description=DATABASE_NAME)


class Known(Document):
    """What was used in a month or day, deleted databases included, and how much of it is known."""

    operations: int | None = Field(
        description="Operations of the days that are known, at least so many; `null`: of none"
    )
    days_known: int = Field(description="Of `days` those that are known: read after their end; today, read lately")
    days: int = Field(
        description="Days (UTC) of databases: of each the days that are over, and of a month today where it was read. "
        "Today is known while its last reading is no older than two hours, of a month: or one part in a hundred of it"
    )
    storage_covered_ratio: float | None = Field(
        description="The part (0 to 1) of the databases' time of which a storage level is known; `null`: no database"
    )
    unplaced_databases: int = Field(
        description="Of how many databases that moved in the month days may belong here, in whole or in part, or to "
        "another workspace that held it: they count as not known in each"
    )
    is_usage_complete: bool = Field(description="Whether nothing of the usage is missing")
    usage_missing: list[str] = Field(
        description="What keeps `is_usage_complete` from being true: `days`, `storage`, `moved` (days of a moved "
        "database that may belong here or elsewhere), `unread` (nobody followed the workspace then), "
        "`followed_late` (databases deleted before it was first followed: in no count of days) or `discovery_gap` (the "
        "same of databases that came and went while nobody looked for databases for more than two hours)"
    )


class Used(Known, Place):
    """Who used what."""

    mean_storage_bytes: int | None = Field(
        description="Mean storage of the month or day so far, each database at its own mean of the time that is known; "
        "beside a database without any level a day is `null` where others are known in part, and of a month only what "
        "is known counts"
    )


class Priced(Document):
    """What it costs."""

    fee_usd: Usd | None = Field(description="Its part of the plan's fee; `null` where that is not known")
    operations_usd: Usd | None = Field(description="What is charged for operations; `null` where not all is known")
    storage_usd: Usd | None = Field(description="What is charged for storage; `null` where not all is known")
    total_usd: Usd | None = Field(description="The whole cost of the month so far; `null` where not all is known")
    known_usd: Usd | None = Field(
        description="What is known of the cost: at least so much; where `total_usd` is `null`, of one of several "
        "databases or projects of a workspace its share of what is known, about so much; `null`: no price"
    )
    known_fee_usd: Usd | None = Field(description="What is known of `fee_usd`, as `known_usd` is; `null`: nothing")
    known_operations_usd: Usd | None = Field(
        description="What is known of `operations_usd`, as `known_usd` is; `null`: nothing"
    )
    known_storage_usd: Usd | None = Field(
        description="What is known of `storage_usd`, as `known_usd` is; `null`: nothing"
    )
    is_complete: bool = Field(
        description="Whether `total_usd` is the whole cost: what can cost is known and has a price; where the plan is "
        "assumed, all usage too"
    )


class Compared(Document):
    """What it costs beside everything else, and beside last month."""

    share_percent: float | None = Field(description="Its part of `known_usd` of all")
    last_month_usd: Usd | None = Field(
        description="What the month before cost, whole: 0 if it was not there; `null` where not all is known"
    )
    last_month_known_usd: Usd | None = Field(
        description="What is known of `last_month_usd`, at least so much; `null`: nothing"
    )
    change_percent: float | None = Field(description="`change_usd` as a part of what the earlier month cost")


class Limits(Document):
    """The limits at which the vendor blocks a workspace's databases."""

    spend_limit_usd: Usd | None = Field(
        description="The configured limit on usage charges in a month; of workspaces, as are the four that follow"
    )
    spend_limit_counted_usd: Usd | None = Field(
        description="What counts against `spend_limit_usd` so far: charges, other usage and tax as configured"
    )
    is_spend_limit_counted_complete: bool = Field(
        description="Whether all charges are in `spend_limit_counted_usd`; else it is at least so much"
    )
    spend_limit_expected_usd: Usd | None = Field(description="What will count against it in the whole month")
    limits_reached_at: dict[str, datetime] = Field(
        description="When a limit will be reached in this month, or was, by its name: `free_operations`, "
        "`free_storage`, `spend_limit`"
    )


class Changed(Document):
    """What a month costs against an earlier one."""

    change_usd: Usd | None = Field(
        description="What the month costs (one that runs: is expected to) less what the earlier did, if both are known "
        "of all databases that were ever seen; what was not there in one of them cost 0 in it"
    )


class UsageDocument(Used):
    """What a workspace, project or database used in a day or month."""

    period: str = Field(description="The day (UTC), like `2026-11-05`, or month, like `2026-11`")


class MonthDocument(Limits, Priced, Used):
    """What a workspace, project or database used and cost in a month."""

    month: Month
    is_deleted: bool = Field(description="Whether it is gone; of a month that is over, by its end")
    plan: str | None = Field(description="The plan that is charged at the end of the month, or now")
    is_plan_assumed: bool = Field(
        description="Whether `plan` is assumed: it was first read after the month, and the configuration names none"
    )
    price_version: str | None = Field(description="Which version of the plan's prices")
    storage_gib_months: float | None = Field(description="What is billed of storage so far: GiB over the whole month")
    expected_usd: Usd | None = Field(description="What the whole month will cost; `null` of one that is over")
    is_expected_complete: bool = Field(description=IS_EXPECTED_COMPLETE)
    low_usd: Usd | None = Field(description=BOUNDS)
    high_usd: Usd | None = Field(description=BOUNDS)
    forecast_missing: str | None = Field(description="What the workspace's forecast had to do without; `null`: nothing")
    unpriced: str | None = Field(description="Why there is no cost, or no whole one, though usage is known")


class CostDocument(Compared, Changed, MonthDocument):
    """A row of `cost`, beside all others and beside the month before."""


class SupposedDocument(CostDocument):
    """A row of `cost --what-if`."""

    by_plan_usd: dict[str, Usd] | None = Field(
        description="What the whole month would cost on each plan, the cheapest first; of workspaces"
    )
    is_by_plan_complete: bool | None = Field(
        description="Whether `by_plan_usd` is of everything that may cost, as `is_expected_complete`; else it is about "
        "so much on each plan that charges for usage"
    )


class LevelDocument(CostDocument):
    """A row of `report --format csv`."""

    level: Literal["workspace", "project", "database"] = Field(description="What the row is about")


class RankedDocument(MonthDocument):
    """A row of `top`. Growth compares the last whole days with the same weekdays before them."""

    rank: int = Field(description="Its place, from 1")
    operations_percent: float | None = Field(description="Its part of the `operations` of all")
    recent_operations: int | None = Field(description="Operations of the last whole days, of those known in both spans")
    earlier_operations: int | None = Field(description="The same of the days before; `null`: none is known in both")
    growth_days: int = Field(
        description="How many days of databases are known in both spans: those on which one lived in either"
    )
    growth_operations: int | None = Field(description="`recent_operations` less `earlier_operations`")
    growth_percent: float | None = Field(description="The growth as a part of `earlier_operations`")


class ChangeDocument(Changed, Place):
    """A row of `compare`: a workspace, project or database in two months."""

    month_before: MonthDocument | None = Field(description="The earlier month; `null`: it was not there")
    month_after: MonthDocument | None = Field(
        description="The later month; `null`: it was not there, or not followed any more"
    )
    operations_change: int | None = Field(
        description="The later month's operations less the earlier one's, both known whole of the databases that are "
        "known; of a month that runs, over the same days that both know"
    )
    compared_days_known: int | None = Field(
        description="Over how many of `compared_days` the change of a month that runs is: those known in both months"
    )
    compared_days: int | None = Field(
        description="The days of databases that lived in either of the spans that are compared; `null`: both months "
        "are over, and compared whole"
    )
    reasons: list[str] = Field(description="Why, in words")


class WorkspaceDocument(Limits, Priced, Used):
    """A workspace now, with its month so far."""

    month: Month
    plan: str | None = Field(description=MonthDocument.model_fields["plan"].description)
    reported_plan: str | None = Field(description="The plan that the vendor says it is on now")
    is_up: bool | None = Field(description=IS_UP)
    failure_reason: str | None = Field(description=FAILURE_REASON)
    is_usage_blocked: bool | None = Field(
        description="Whether the vendor blocks its databases: its subscription says so, or the vendor refuses to "
        "list or read them for that"
    )
    database_count: int = Field(description=DATABASE_COUNT)
    storage_bytes: int | None = Field(description=STORAGE_BYTES)
    included_operations: int | None = Field(description=INCLUDED_OPERATIONS)
    included_storage_bytes: int | None = Field(description=INCLUDED_STORAGE)
    reconciliation_difference_operations: int | None = Field(description=DIFFERENCE)
    expected_usd: Usd | None = Field(description=MonthDocument.model_fields["expected_usd"].description)
    is_expected_complete: bool = Field(description=IS_EXPECTED_COMPLETE)
    low_usd: Usd | None = Field(description=BOUNDS)
    high_usd: Usd | None = Field(description=BOUNDS)
    unpriced: str | None = Field(description=MonthDocument.model_fields["unpriced"].description)


class DatabaseDocument(Priced, Used):
    """A database now, with its month so far in the workspace that has it."""

    month: Month
    project_id: str = Field(description=PROJECT_ID)
    project_name: str = Field(description=PROJECT_NAME)
    database_id: str = Field(description=DATABASE_ID)
    database_name: str = Field(description=DATABASE_NAME)
    region: str | None = Field(description="Where it is, by the vendor's name")
    status: str = Field(description="The vendor's word for its state")
    is_default: bool = Field(description="Whether it is its project's default database")
    created_at: datetime = Field(description="When it was created")
    is_up: bool | None = Field(description=IS_UP)
    failing_since_at: datetime | None = Field(description="Since when it is not read; `null`: it is")
    failure_reason: str | None = Field(description=FAILURE_REASON)
    operations_total: int | None = Field(description="Our counter: never falls, counts nothing twice")
    day_to_date_operations: int | None = Field(description="The open day (UTC), the vendor's word")
    previous_day_operations: int | None = Field(description="Yesterday, once the whole day was read")
    month_to_date_operations: int | None = Field(
        description="The vendor's own number for the month, in whatever workspace; `null` where it is too old to show"
    )
    previous_month_operations: int | None = Field(description="Last month, read after its end, the vendor's own number")
    windows: dict[str, int] = Field(description="Operations by rolling window; they overlap")
    storage_bytes: int | None = Field(description=STORAGE_BYTES)
    usage_at: datetime | None = Field(description="How far the newest usage reaches")
    last_success_at: datetime | None = Field(description="When it was last read")
    revisions_up: int = Field(description="How often a closed day grew")
    revisions_down: int = Field(description="How often a closed day, or the open one, fell")
    reconciliation_difference_operations: int | None = Field(description=DIFFERENCE)


class BudgetDocument(Document):
    """A budget in a month."""

    budget: str = Field(description="The budget's name")
    limit_usd: Usd = Field(description="The amount for a month")
    thresholds: list[float] = Field(description="Parts of the amount to be told of")
    database_count: int = Field(description=DATABASE_COUNT)
    spent_usd: Usd | None = Field(
        description="What is known to be spent, at least so much; `null`: nothing has a price"
    )
    spent_covered_ratio: float | None = Field(
        description="The part (0 to 1) of the databases' days, or of their time with a storage level if that is less, "
        "that is in `spent_usd`"
    )
    is_complete: bool = Field(description=Priced.model_fields["is_complete"].description)
    expected_usd: Usd | None = Field(description=MonthDocument.model_fields["expected_usd"].description)
    is_expected_complete: bool = Field(description=IS_EXPECTED_COMPLETE)


class EventDocument(Document):
    """What a discovery noticed."""

    at: datetime = Field(description="When it was noticed")
    kind: str = Field(description="`created`, `found`, `renamed`, `moved`, `deleted` or `returned`")
    subject: str = Field(description="`workspace`, `project` or `database`")
    subject_id: str = Field(description="Which one")
    workspace_id: str = Field(description=Place.model_fields["workspace_id"].description)
    before: str | None = Field(description="The name or workspace before")
    after: str | None = Field(description="The name or workspace after")


class MissingDocument(Document):
    """Days that were not read and may be read still."""

    from_day: date = Field(description="The first day (UTC) that `backfill` has to read")
    to_day: date = Field(description="The last one")
    requests: int = Field(description="How many requests that takes")


class TotalDocument(Compared, Changed, Priced, Known):
    """All workspaces together."""

    mean_storage_bytes: int | None = Field(description=Used.model_fields["mean_storage_bytes"].description)
    expected_usd: Usd | None = Field(description=MonthDocument.model_fields["expected_usd"].description)
    is_expected_complete: bool = Field(description=IS_EXPECTED_COMPLETE)
    change_split_usd: dict[str, Usd] | None = Field(description=SPLIT)


class ReportedWorkspaceDocument(CostDocument):
    """A workspace in a report, with everything in it."""

    change_split_usd: dict[str, Usd] | None = Field(description=SPLIT)
    included_operations: int | None = Field(description=INCLUDED_OPERATIONS)
    included_storage_bytes: int | None = Field(description=INCLUDED_STORAGE)
    reconciliation_difference_operations: int | None = Field(description=DIFFERENCE)
    revised_days: int = Field(description="Days of databases that the vendor changed afterwards")
    revised_operations: int = Field(description="By how much together")
    by_day: list[UsageDocument] = Field(description="Its days")
    events: list[EventDocument] = Field(description="What was noticed in the month")
    projects: list[CostDocument] = Field(description="Its projects, the most expensive first")
    databases: list[CostDocument] = Field(description="Databases")


class ReportDocument(Document):
    """A month's report."""

    month: Month
    made_at: datetime = Field(description=TAKEN_AT)
    total: TotalDocument = Field(description=TOTAL)
    missing: MissingDocument | None = Field(description="What `backfill` could still read; `null`: nothing")
    workspaces: list[ReportedWorkspaceDocument] = Field(description="Workspaces")
    budgets: list[BudgetDocument] = Field(description="The budgets of the configuration in force")


class CollectedDocument(Document):
    """What `collect` found and knows."""

    filtered: int = Field(description="How many databases the configuration leaves out")
    workspaces: list[WorkspaceDocument] = Field(description="Workspaces")
    databases: list[DatabaseDocument] = Field(description="Databases")


class Answer(Document):
    """What is around every answer: `data` is a list, or one thing."""

    version: Annotated[Literal[1], Field(description="Of this form: grows when a key goes or changes its meaning")] = (
        FORM_VERSION
    )


class OfSnapshot(Answer):
    """What `/metrics` shows at one instant."""

    taken_at: datetime = Field(description=TAKEN_AT)
    costs_at: datetime | None = Field(description=COSTS_AT)


class NotFollowedDocument(Document):
    """A workspace that was gone before a month."""

    workspace_id: str = Field(description=Place.model_fields["workspace_id"].description)
    workspace_name: str = Field(description=Place.model_fields["workspace_name"].description)
    gone_at: datetime = Field(description="When no credential listed it any more")


class FollowedLateDocument(Document):
    """A workspace that was first followed after a month began."""

    workspace_id: str = Field(description=Place.model_fields["workspace_id"].description)
    workspace_name: str = Field(description=Place.model_fields["workspace_name"].description)
    first_seen_at: datetime = Field(description="When it was first followed")


class DiscoveryGapDocument(Document):
    """A span in which nobody looked which databases a workspace has."""

    workspace_id: str = Field(description=Place.model_fields["workspace_id"].description)
    workspace_name: str = Field(description=Place.model_fields["workspace_name"].description)
    from_at: datetime = Field(description="When somebody looked last before, to half an hour")
    to_at: datetime | None = Field(description="When somebody looked again; `null`: nobody has")


class OfMonth(Answer):
    """A month of the ledger."""

    until: datetime = Field(description=UNTIL)
    is_over: bool = Field(description=IS_OVER)
    not_followed: list[NotFollowedDocument] = Field(description=NOT_FOLLOWED)
    followed_late: list[FollowedLateDocument] = Field(description=FOLLOWED_LATE)
    discovery_gaps: list[DiscoveryGapDocument] = Field(description=DISCOVERY_GAPS)


class Workspaces(OfSnapshot):
    """Every workspace, by id."""

    data: list[WorkspaceDocument]


class Databases(OfSnapshot):
    """Databases by workspace, project and database id."""

    data: list[DatabaseDocument]
    next_after: str | None = Field(description="The `after` to go on with; `null` at the end")


class OneDatabase(OfSnapshot):
    """One database."""

    data: DatabaseDocument


class Budgets(OfSnapshot):
    """Every budget of the configuration."""

    data: list[BudgetDocument]


class CollectAnswer(OfSnapshot):
    """What `collect --json` prints."""

    data: CollectedDocument


class UsageRows(Answer):
    """Usage by time, the oldest first."""

    data: list[UsageDocument]
    next_from: date | None = Field(description="The `from` to go on with; `null` at the end")


class CostRows(OfMonth):
    """Costs, the highest first."""

    data: list[CostDocument]
    total: TotalDocument | None = Field(description=TOTAL)


class SupposedCostRows(OfMonth):
    """What `cost --what-if --json` prints."""

    data: list[SupposedDocument]
    total: TotalDocument | None = Field(description=TOTAL)


class Ranking(OfMonth):
    """What `top --json` prints, the first one first."""

    data: list[RankedDocument]
    has_more: bool = Field(description=HAS_MORE)


class Comparison(OfMonth):
    """What `compare --json` prints, the largest change in cost first; `until` and `is_over` are of the later month."""

    data: list[ChangeDocument]
    has_more: bool = Field(description=HAS_MORE)


class ReportAnswer(OfMonth):
    """What `report --format json` prints."""

    data: ReportDocument


class PlanDocument(Document):
    """What a configuration will ask and take: an ordinary day, and the start with an empty store."""

    workspace_count: int = Field(description="How many workspaces are collected")
    database_count: int = Field(description=DATABASE_COUNT)
    changes_per_day: float = Field(description="How often a day the vendor is taken to publish news of a database")
    changes_source: str = Field(
        description="Where `changes_per_day` comes from: `given` as an option, `stored` (readings of the last "
        "day in the store) or `assumed`"
    )
    latency_seconds: float = Field(description="How long the API takes to answer; measured, or taken for granted")
    requests_per_hour: float = Field(description="Requests to the API on an ordinary day, all workspaces together")
    least_requests_per_hour: float = Field(
        description="The same with numbers that never move, where `changes_per_day` is assumed"
    )
    most_requests_per_hour: float = Field(
        description="The same with numbers that move with every reading, where `changes_per_day` is assumed"
    )
    usage_requests_per_hour: float = Field(description="Of `requests_per_hour` those for usage")
    largest_capacity_ratio: float = Field(
        description="The part of its pace that the largest workspace needs; from 1 on its numbers become older"
    )
    mean_age_seconds: float = Field(
        description="How old the newest reading of a database's open day is, on average, in the largest workspace"
    )
    longest_age_seconds: float = Field(description="The same, at most")
    longest_age_is_at_most: bool = Field(
        description="Whether the longest of a day may be less by a third or more, as reads wait for each other"
    )
    mean_delay_seconds: float = Field(
        description="From what the vendor publishes of an open day to the reading that shows it, on average"
    )
    mean_delay_is_at_most: bool = Field(
        description="Whether `mean_delay_seconds` is a bound: with `poll.adaptive` it hangs on when news comes"
    )
    first_numbers_seconds: float | None = Field(
        description="From the start until every database shows something; `null`: more than two days"
    )
    filled_seconds: float | None = Field(
        description="From the start until every day of the running month and every window was read once, second "
        "readings of closed days apart; `null`: more than two days"
    )
    series: int = Field(description="Samples of one scrape of everything")
    databases_with_series: int = Field(description="Databases that `web.max_series` leaves series of their own")
    resident_bytes: int = Field(description="Memory of the process, resident: an estimate")
    cpu_cores: float = Field(description="Cores that collecting takes on average, scrapes apart")
    store_bytes: int = Field(description="Size of the store, as SQLite, after 30 days")


class PlanAnswer(Answer):
    """What `plan --json` prints."""

    data: PlanDocument


ANSWERS: tuple[type[Answer], ...] = (
    CostRows,
    SupposedCostRows,
    Ranking,
    Comparison,
    ReportAnswer,
    CollectAnswer,
    Workspaces,
    Databases,
    OneDatabase,
    UsageRows,
    Budgets,
    PlanAnswer,
)
"""Everything that is printed or answered."""
