"""What the forms of a report say in the same words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from functools import partial

from prisma_postgres_exporter.cost import (
    BLOCKING,
    Bill,
    BudgetState,
    By,
    CostRow,
    Usage,
    WorkspaceCost,
    add_up,
    likely_block,
    total_of,
    total_row,
)
from prisma_postgres_exporter.model import (
    SHORT_GAP,
    DiscoveryGap,
    Event,
    EventKind,
    WorkspaceDay,
    WorkspaceState,
    next_month_start,
    previous_month_start,
)
from prisma_postgres_exporter.report.amounts import (
    NONE,
    about,
    at_least,
    changed_money,
    cost_so_far,
    expected_cost,
    in_unit_of,
    least_count,
    mean_gib,
    money,
    percent,
)
from prisma_postgres_exporter.report.changing import Beside
from prisma_postgres_exporter.report.gaps import NAMED, Names, gap_sentences, told_apart
from prisma_postgres_exporter.report.months import LedgerMonth, Missing
from prisma_postgres_exporter.report.whole import MonthReport, WorkspaceReport
from prisma_postgres_exporter.words import counted, listed

NO_PROJECT = "fee (not shared out)"
LIMIT_NAMES = {
    "spend_limit": "Spend limit",
    "free_operations": "Free plan's operations limit",
    "free_storage": "Free plan's storage of the month",
}
FOLLOWED = {
    EventKind.DELETED: "not followed any more, as no credential lists it",
    EventKind.RETURNED: "followed again",
}
LEFT_OUT = "An estimate of the Postgres part of the invoice: Compute, Accelerate, tax and credit are not in it."


def knowledge(usage: Usage) -> str:
    """How much of what is missing in a sum is known: of the days, of the storage, or of both."""
    if usage.listed.operations is None:
        return "not read"
    parts = []
    if usage.days_known < usage.days:
        parts.append(f"{usage.days_known:,} of {usage.days:,} days of databases")
    if usage.storage_seconds_known < usage.storage_seconds:
        parts.append(f"{percent(usage.storage_seconds_known / usage.storage_seconds)} of the storage's time")
    if usage.unread:
        parts.append(f"{counted(usage.unread, 'workspace')} not read")
    if usage.followed_late:
        parts.append("without databases deleted before their workspace was followed")
    if usage.unwatched:
        parts.append("without databases that came and went while nobody looked")
    if not parts and usage.unplaced_databases:
        moved = counted(usage.unplaced_databases, "moved database")
        parts.append(f"{moved}, of which a part may belong here")
    return ", ".join(parts)


def until_sentence(report: MonthReport) -> str:
    """How much of the month is in it."""
    if not report.is_over:
        return f"The month so far, {so_far(report)}."
    whole = how_whole(report, report.total[0])
    return f"{whole[0].upper()}{whole[1:]}, UTC; from the ledger of {report.made_at:%Y-%m-%d %H:%M} UTC."


def so_far(month: LedgerMonth | MonthReport) -> str:
    """Until when a month that runs is told: now, or where nothing was read for long, the last reading."""
    read_at = month.last_read_at
    if read_at is None or read_at >= month.until - SHORT_GAP:
        return f"until {month.until:%Y-%m-%d %H:%M} UTC"
    return f"until {read_at:%Y-%m-%d %H:%M} UTC, the last reading"


def how_whole(month: LedgerMonth | MonthReport, usage: Usage) -> str:
    """What a month that is over is of: all of it, every day of the databases that were ever seen, or what is known."""
    if not usage.listed.is_complete:
        return "what is known of the month"
    if not usage.unlisted:
        return "the whole month"
    days = {row.first_seen_at.date() for row in month.followed_late}
    is_alike = len(days) == 1 and usage.followed_late >= month.workspace_count and not usage.unwatched
    there = f"were there on {days.pop()}" if is_alike else "are known"
    return f"every day of the databases that {there}"


def share_head(of_all: str = "%", *, is_whole: bool) -> str:
    """What stands above parts of a sum in percent: of one that is not known whole they are of what is known."""
    return of_all if is_whole else "% of known"


def missing_sentence(
    usage: Usage, missing: Missing | None, gaps: Sequence[str], *, is_being_read: bool = False
) -> str | None:
    """What is not known of a month, the command that gets it, if there is one, and why there is none for the rest.

    Where a service says it that reads these days by itself (`is_being_read`), no command is needed. What nobody can get
    any more, `absence_sentences` say.
    """
    usage = usage.listed
    if usage.is_complete and missing is None:
        return None
    if usage.is_complete and missing is not None:
        how = missing.being_read if is_being_read else f"To read them: {missing.command}"
        return f"Not every day of it was read. {how}"
    said = f"Not all of it is known ({knowledge(usage)})."
    if missing is not None:
        what = "the other days" if gaps else "it"
        gaps = (*gaps, missing.being_read if is_being_read else f"To read {what}: {missing.command}")
    return " ".join((said, *gaps))


def incomplete_sentence(rows: Iterable[CostRow]) -> str | None:
    """Which databases are not known whole, where they are few."""
    listed = [row for row in rows if row.database_id is not None]
    partly = [row for row in listed if not row.usage.is_complete]
    if not 0 < len(partly) <= NAMED:
        return None
    named = (
        f"{row.workspace_name} / "
        f"{told_apart(_names(row), (_names(other) for other in listed if other.workspace_id == row.workspace_id))} "
        f"({knowledge(row.usage)})"
        for row in partly
    )
    return f"Incomplete: {'; '.join(named)}"


def _names(row: CostRow) -> Names:
    return row.project_name or "", database_name(row), row.database_id or ""


def previous_sentences(previous: LedgerMonth | None) -> Iterator[str]:
    """What keeps the month before from being known, where a month stands beside it, and what is assumed of it."""
    if previous is None:
        return
    rows = previous.rows(By.WORKSPACE)
    gaps = tuple(gap_sentences(previous, is_beside=True))
    usage = add_up(row.usage for row in rows)
    # Of one that this month is late for too, this month's own sentence says it.
    late = [row for row in previous.followed_late if row.first_seen_at < next_month_start(previous.until)]
    starts_at = next_month_start(previous.until)
    unwatched = [(row, gap) for row, gap in previous.discovery_gaps if gap.to_at is not None and gap.to_at <= starts_at]
    absent = (*_late_sentences(late), *_gap_sentences(unwatched))
    for sentence in (missing_sentence(usage, previous.missing, gaps), assumed_sentence(rows), *absent):
        if sentence is not None:
            yield f"{previous.until:%B %Y}: {sentence}"


def gone_sentence(month: LedgerMonth, by: By) -> str | None:
    """What cost something in the month before and has no line in this one: only the totals have it."""
    if month.previous is None or by is By.WORKSPACE:
        return None
    places = {row.place for row in month.rows(by)}
    gone = [row for row in month.previous.rows(by) if row.place not in places and row.known_usd]
    if not gone:
        return None
    names = ", ".join(
        (row.database_name if by is By.DATABASE else row.project_name) or NO_PROJECT for row in gone[:NAMED]
    )
    more = f" and {len(gone) - NAMED:,} more" if len(gone) > NAMED else ""
    return f"In last month's total and in no line: {names}{more} ({cost_so_far(total_of(gone)[1])} USD)"


def assumed_sentence(rows: Iterable[CostRow]) -> str | None:
    """Of which workspaces the plan of the month was not read, so that the one first read since is assumed."""
    assumed = [row for row in rows if row.cost is not None and row.cost.plan_assumed_at is not None]
    if not assumed:
        return None
    names = ", ".join(f"{row.workspace_name} ({row.cost.plan})" for row in assumed[:NAMED] if row.cost is not None)
    more = f" and {len(assumed) - NAMED:,} more" if len(assumed) > NAMED else ""
    plural = "" if len(assumed) == 1 else "s"
    return (
        f"Plan{plural} assumed from a later reading, as none was read by the end of the month: {names}{more}. "
        "cost.workspaces[].plan names another."
    )


def absence_sentences(month: LedgerMonth | MonthReport) -> Iterator[str]:
    """What a month is without: workspaces that were gone when it began, and databases that were deleted before."""
    gone = [f"{row.workspace.name}, gone since {row.gone_at:%Y-%m-%d}" for row in month.not_followed]
    if gone:
        named = _named(gone, "; ")
        yield f"Not in it: {named}. No credential lists them, so what the vendor bills for them is not known."
    yield from _late_sentences(month.followed_late)
    yield from _gap_sentences(month.discovery_gaps)


def _late_sentences(late: Iterable[WorkspaceState]) -> Iterator[str]:
    by_day: dict[date, list[str]] = {}
    for row in late:
        by_day.setdefault(row.first_seen_at.date(), []).append(row.workspace.name)
    for day, names in sorted(by_day.items()):
        since = f"{day}, when {_named(names)} {'was' if len(names) == 1 else 'were'} first followed"
        yield f"Not in it: what was used by databases that were deleted before {since}. No command gets it."


def _gap_sentences(found: Iterable[tuple[WorkspaceState, DiscoveryGap]]) -> Iterator[str]:
    """One for all workspaces that nobody looked at in the same spans."""
    by_workspace: dict[str, list[DiscoveryGap]] = {}
    names: dict[str, str] = {}
    for row, gap in found:
        by_workspace.setdefault(row.workspace.id, []).append(gap)
        names[row.workspace.id] = row.workspace.name
    alike: dict[str, list[str]] = {}
    for id_, gaps in by_workspace.items():
        alike.setdefault(gap_spans(gaps), []).append(names[id_])
    for spans, of in alike.items():
        yield (
            f"{_named(of)}: nobody looked for databases {spans}. What was used by those that came and went meanwhile "
            "is not in it, and no command gets it."
        )


def gap_spans(gaps: Sequence[DiscoveryGap]) -> str:
    """From when to when nobody looked, or how often in which span."""
    first, last = gaps[0], gaps[-1]
    if len(gaps) > 1:
        until = "now" if last.to_at is None else f"{last.to_at:%Y-%m-%d %H:%M} UTC"
        return f"{len(gaps):,} times from {first.from_at:%Y-%m-%d %H:%M} to {until}"
    if first.to_at is None:
        return f"since {first.from_at:%Y-%m-%d %H:%M} UTC"
    return f"from {first.from_at:%Y-%m-%d %H:%M} to {first.to_at:%Y-%m-%d %H:%M} UTC"


def _named(names: Sequence[str], between: str = ", ") -> str:
    more = [f"{len(names) - NAMED:,} more"] if len(names) > NAMED else []
    return between.join([*names[:NAMED], *more])


def change_sentence(beside: Beside, until: datetime, *, is_over: bool) -> str | None:
    """How the month of `until` differs from the month before, and why."""
    last = beside.last_month_known_usd
    if beside.change_usd is None or last is None or not (beside.change_usd or last):
        return None
    part = f" ({beside.change_percent:+,} %)" if beside.change_percent else ""
    amount = changed_money(beside.change_usd, is_complete=beside.is_change_complete)
    change = f"{amount} USD{part}" if beside.change_usd else "no change"
    said = f"{'Against' if is_over else 'Expected, against'} {month_before(until)} ({last_month(beside)} USD): {change}"
    parts = [f"{name} {amount:+,.2f}" for name, amount in (beside.split or {}).items() if amount]
    return f"{said}: {', '.join(parts)}." if parts else f"{said}."


def month_before(until: datetime) -> str:
    """The name of the month before that of `until`, which "last month" means on the day of the report alone."""
    return f"{previous_month_start(until):%B}"


def last_month(beside: Beside) -> str:
    """What the month before cost, or at least so much, or about so much."""
    if beside.is_last_month_share and beside.last_month_usd is None and beside.last_month_known_usd is not None:
        return f"about {money(beside.last_month_known_usd)}"
    return at_least(beside.last_month_known_usd, is_complete=beside.last_month_usd is not None)


def workspace_name(row: CostRow) -> str:
    """A workspace's name, and whether it is gone."""
    is_gone = row.is_deleted and row.project_id is None and row.database_id is None
    return f"{row.workspace_name} (gone)" if is_gone else row.workspace_name


def database_name(row: CostRow) -> str:
    """A database's name, and whether it is gone."""
    if row.database_id is None:
        return NO_PROJECT
    return f"{row.database_name} (deleted)" if row.is_deleted else row.database_name or ""


def cost_sentences(workspace: WorkspaceReport) -> Iterator[str]:
    """The plan, what is included, and why something has no price."""
    cost = workspace.total.cost
    if cost is None:
        yield "Its plan and price in this month are not known."
        return
    if cost.plan is not None:
        at = cost.plan_assumed_at
        assumed = "" if at is None else f" (assumed: first read on {at:%Y-%m-%d})"
        yield f"Plan {cost.plan}{assumed}, prices {cost.price_version}."
    row = workspace.total
    charged = replace(row, usage=cost.charged(row.usage))
    if (included := cost.included_operations) and row.operations is not None:
        used, since = ((of.usage.operations_qualifier, of.operations) for of in (row, charged))
        yield f"{_beside_included(cost, used, since, included, 'operations')}."
    if (included := cost.included_storage_bytes) and row.mean_storage_bytes is not None:
        used, since = ((of.usage.mean_storage_qualifier, of.mean_storage_bytes) for of in (row, charged))
        said = _beside_included(cost, used, since, included, "storage", partial(in_unit_of, included))
        yield f"{said}, as the month's average."
    if cost.expected_bill is not None:
        low, high = cost.expected_bounds
        bounds = "" if low is None or high is None else f" ({money(low)} to {money(high)})"
        expected = about(cost.expected_bill.total, is_complete=cost.is_expected_complete)
        yield f"Expected of the whole month: {expected} USD{bounds}."
        if cost.forecast_missing is not None:
            yield f"The forecast had to do without {cost.forecast_missing}."
    yield from limit_sentences(cost, row.until)
    change = change_sentence(workspace.beside, row.until, is_over=cost.expected_bill is None)
    if change is not None:
        yield change
    if cost.unpriced is not None:
        yield f"{cost.unpriced}."


def _beside_included(
    cost: WorkspaceCost,
    used: tuple[str, int | None],
    charged: tuple[str, int | None],
    included: int,
    what: str,
    write: Callable[[int], str] = "{:,}".format,
) -> str:
    """What is used, and what of it counts, beside what is included: no limit of a plan that charges for more.

    Each is what is said before an amount and the amount.
    """
    qualifier, amount = charged
    if amount is None:
        said = "not known"
    elif amount > included and not cost.is_stopping:
        over = write(amount - included)
        said = f"{qualifier}{write(amount)} {what}, {over} over the {write(included)} that are included"
    else:
        said = f"{qualifier}{write(amount)} of {write(included)} included {what} ({percent(amount / included)})"
    if used[1] is not None and used[1] != amount and cost.charged_since is not None:
        since = f"since the upgrade on {cost.charged_since:%Y-%m-%d}"
        said = f"{used[0]}{write(used[1])} {what}; {since}: {said}"
    return f"{said[0].upper()}{said[1:]}"


def spend_sentence(cost: WorkspaceCost, write: Callable[[Decimal | None], str] = money, unit: str = " USD") -> str:
    """How much of a spend limit is used, and what the vendor counts that is not in it; empty where there is none."""
    limit, bill = cost.spend_limit, cost.bill
    if limit is None or bill is None:
        return ""
    counted = None if bill.known_charges is None else write(limit.counted(bill.known_charges))
    used = "" if counted is None else f"{'' if bill.are_charges_known else 'at least '}{counted} of "
    return f"Spend limit: {used}{write(limit.usd)}{unit}; {listed(('fee', *limit.not_counted))} not counted."


def limit_sentences(cost: WorkspaceCost, until: datetime) -> Iterator[str]:
    """How much of a spend limit is used, the limits of the month that were reached or will be, and a block."""
    if (spent := spend_sentence(cost)) and cost.bill is not None and cost.bill.known_charges is not None:
        yield spent
    for name, at in cost.limits:
        named = LIMIT_NAMES.get(name, name)
        then = "" if name in BLOCKING else "; what the vendor does then is not documented"
        if at <= until:
            yield f"{named}: reached, by our estimate{then}."
        else:
            will = "will likely" if cost.is_only_likely(name, at, until) else "will"
            yield f"{named}: {will} be reached on {at:%Y-%m-%d %H:%M} UTC, by our estimate{then}."
    if cost.is_blocked:
        yield f"Blocked by the vendor: {likely_block(cost.plan, cost)}."


def ahead_sentences(report: MonthReport) -> Iterator[str]:
    """What whoever decides should know first: what fails, what will be blocked and when, what would save money."""
    yield from report.failing
    for workspace in report.workspaces:
        cost, name, until = workspace.total.cost, workspace_name(workspace.total), report.until
        if cost is not None and cost.is_blocked:
            yield f"{name}: the vendor blocks its databases: {likely_block(cost.plan, cost)}."
        for limit, at in cost.limits if cost is not None and not report.is_over else ():
            if cost is not None and cost.is_blocked and limit in BLOCKING and at <= until:
                continue
            named = LIMIT_NAMES.get(limit, limit)
            then = "the vendor blocks its databases" if limit in BLOCKING else "what happens is not documented"
            will = "will likely" if cost is not None and cost.is_only_likely(limit, at, until) else "will"
            when = "is reached" if at <= until else f"{will} be reached on {at:%Y-%m-%d}"
            yield f"{name}: the {named[0].lower()}{named[1:]} {when}, by our estimate; then {then}."
    for id_, saving in report.savings.items():
        month = f"{report.month:%B}" if report.is_over else month_before(report.until)
        yield (
            f"{report.names[id_]}: what it used in {month} costs {money(saving.would_usd)} USD on {saving.plan}, "
            f"instead of {money(saving.own_usd)} USD on {saving.own_plan}."
        )


def quality_sentences(workspace: WorkspaceReport) -> Iterator[str]:
    """How far the numbers can be relied on."""
    if not workspace.total.usage.is_complete:
        yield f"Not all of it is known: {knowledge(workspace.total.usage)}."
    if not workspace.databases or all(row.database_id is None for row in workspace.databases):
        return  # nothing to be compared
    found = workspace.difference
    of = f"Of {found.compared:,} of {found.compared + found.others:,} databases the" if found.others else "The"
    if found.operations is None:
        yield "The vendor's month cannot be compared with our days yet."
    elif found.operations == 0:
        yield f"{of} vendor's month is exactly the sum of our days."
    else:
        yield f"{of} vendor's month is {found.operations:+,} operations from the sum of our days."
    if workspace.revised_days:
        days, change = counted(workspace.revised_days, "day"), workspace.revised_operations
        yield f"The vendor revised {days} of databases, by {change:+,} operations together."


def events_sentence(events: Sequence[Event]) -> str:
    """How many things of each kind were noticed."""
    kinds = Counter((event.subject, event.kind) for event in events)
    told = [f"{counted(number, subject)} {kind}" for (subject, kind), number in sorted(kinds.items())]
    return f"{counted(len(events), 'event')}, listed at the end: {', '.join(told)}."


def event_sentence(event: Event, names: Mapping[str, str]) -> str:
    """What was noticed. A workspace is never seen deleted: no credential lists it any more, or one does again."""
    if event.subject == "workspace" and event.kind in FOLLOWED:
        return f"{event.at:%Y-%m-%d}: workspace {names.get(event.subject_id, event.subject_id)} {FOLLOWED[event.kind]}."
    before, after = (names.get(text, text) if text is not None else None for text in (event.before, event.after))
    change = f" from {before} to {after}" if before is not None and after is not None else ""
    return f"{event.at:%Y-%m-%d}: {event.subject} {names.get(event.subject_id, event.subject_id)} {event.kind}{change}."


def bill_parts(bill: Bill) -> Iterator[str]:
    """Fee, operations and storage in USD; of one that is not known whole what is known, a dash where nothing is."""
    for whole, known in zip(bill.parts, bill.known_parts, strict=True):
        yield money(known) if whole is not None or known is None else f"{bill.qualifier}{money(known)}"


def bill_sentence(bill: Bill) -> str:
    """A cost and its parts."""
    fee, operations, storage = bill_parts(bill)
    return f"{cost_so_far(bill)} USD (fee {fee}, operations {operations}, storage {storage})"


def database_path(row: CostRow) -> str:
    """A database's project and name."""
    return f"{row.project_name} / {database_name(row)}" if row.database_id is not None else database_name(row)


def use(row: CostRow) -> tuple[str, ...]:
    """Operations, mean storage so far in GiB, fee, charges and cost of a line."""
    usage, bill, mean = row.usage, row.bill, mean_gib(row)
    if bill is None:
        return (least_count(usage), mean, *[NONE] * 4)
    return (least_count(usage), mean, *bill_parts(bill), cost_cell(row))


def cost_cell(row: CostRow) -> str:
    """What a line cost so far; a dash where nobody read what it used."""
    return cost_so_far(row.bill) if row.is_any_cost_known else NONE


def total_rows(report: MonthReport) -> Iterator[tuple[str, ...]]:
    """The lines of all workspaces, and their total where there are several."""
    for workspace in report.workspaces:
        row = workspace.total
        yield workspace_name(row), *use(row), *_ahead(row, report), *_beside(workspace.beside)
    if len(report.workspaces) > 1:
        total = total_row([workspace.total for workspace in report.workspaces], By.WORKSPACE)
        yield "Total", *use(total), *_ahead(total, report), *_beside(report.beside)


def _ahead(row: CostRow, report: MonthReport) -> tuple[str, ...]:
    return () if report.is_over else (expected_cost(row),)


def unknown_sentences(report: MonthReport) -> Iterator[str]:
    """What is not known of a month."""
    missing = missing_sentence(report.total[0], report.missing, report.gaps)
    partly = {
        day.period
        for workspace in report.workspaces
        for day in workspace.days
        if day.operations is not None and (not day.are_operations_known or day.mean_storage_qualifier)
    }
    if partly:
        yield (
            f"{counted(len(partly), 'day')} {'has' if len(partly) == 1 else 'have'} at least so much: a part of the "
            "use of a database is missing, as on a day on which one was created or deleted."
        )
    if missing is not None:
        yield missing
    yield from report.failing
    yield from absence_sentences(report)


def beside_sentences(report: MonthReport) -> Iterator[str]:
    """What is assumed of a month, and what is not known of the one before it."""
    assumed = assumed_sentence(workspace.total for workspace in report.workspaces)
    if assumed is not None:
        yield assumed
    yield from previous_sentences(report.previous)


def budget_cells(budget: BudgetState) -> tuple[str, str, str]:
    """Limit, spent and expected."""
    spent = _spent(budget, budget.spent_usd, is_complete=budget.is_complete)
    expected = about(budget.expected_usd, is_complete=budget.is_expected_complete)
    return money(budget.limit_usd), f"{spent}{_over(budget)}", expected


def budget_sentence(budget: BudgetState, *, is_over: bool) -> str:
    """What is spent of a budget in a month, by how much that is too much, and what is expected if it still runs."""
    spent = _spent(budget, budget.spent_usd, is_complete=budget.is_complete)
    said = f"Budget {budget.name}: {spent} of {money(budget.limit_usd)} USD spent{_over(budget)}"
    if is_over or budget.expected_usd is None:
        return f"{said}."
    return f"{said}, {about(budget.expected_usd, is_complete=budget.is_expected_complete)} expected."


def _over(budget: BudgetState) -> str:
    if budget.spent_usd is None or budget.spent_usd <= budget.limit_usd:
        return ""
    return f", over by {_spent(budget, budget.spent_usd - budget.limit_usd, is_complete=budget.is_complete)}"


def _spent(budget: BudgetState, amount: Decimal | None, *, is_complete: bool) -> str:
    if amount is not None and budget.is_share and not is_complete:
        return f"about {money(amount)}"
    return at_least(amount, is_complete=is_complete)


def day_level(day: WorkspaceDay | None) -> int | None:
    """The mean level of a workspace's day, of the time that is known; `None` where a database has none."""
    return day.storage_bytes if day is not None and day.storage_seconds and day.is_storage_known else None


def _beside(beside: Beside) -> tuple[str, str, str]:
    share = NONE if beside.share_percent is None else f"{beside.share_percent:.1f}"
    return share, last_month(beside), changed_money(beside.change_usd, is_complete=beside.is_change_complete)
