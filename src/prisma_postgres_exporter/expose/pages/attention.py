"""What a person should see first: what fails, what blocks, what will, and what another plan would save."""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from prisma_postgres_exporter.cost import BLOCKING, BudgetState, Saving, WorkspaceCost, likely_block
from prisma_postgres_exporter.expose.pages.drawing import about, cut, distance, least, usd, why
from prisma_postgres_exporter.expose.pages.listing import Asked, is_failing
from prisma_postgres_exporter.expose.pages.use import Meter, meters, stops
from prisma_postgres_exporter.expose.status import ServiceStatus
from prisma_postgres_exporter.model import next_month_start, previous_month_start
from prisma_postgres_exporter.reasons import BLOCKED
from prisma_postgres_exporter.report import NONE, CostLine, spend_sentence
from prisma_postgres_exporter.snapshot import DatabaseView, Snapshot, WorkspaceView

NOT_BLOCKED = "by our estimate: the vendor blocks the databases then, and has not said yet that it did"
BLOCKS = "By our estimate the vendor then blocks its databases {}."
NOT_AT_ITS_LOW_END = "At the low end of the forecast this month does not reach it."
NOT_DOCUMENTED = "what the vendor does then is not documented"
BLOCK = "The vendor blocks its workspace"
NOT_READ = "Not read in time: the log says what failed, the command plan whether the pace suffices"
LAST_READ = "The last numbers read are shown."
NAMED = 3
MOST_LINES = 5
"""How many are named of those of whom the same is said."""

ONE_OUTAGE = timedelta(minutes=15)
ONE_MINUTE = timedelta(minutes=1)
SOON = timedelta(hours=3)
"""Before this an instant is said to the minute, after it to the hour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """A line that is `bad`, `warn`, `save` (money) or `note`: about what, what it is, and what to do.

    `path` is a page of ours, below the first one, or `None`; `since_at` is since when. `reason` is the short constant
    that metrics, logs and `doctor` have for it, `command` what compares plans. `is_at_console`: what to do about it is
    done in the vendor's console. `is_cut`: each name in the subject is cut already. `is_longest`:
    of several `since_at` is the first one's, and others fail since later.
    """

    tone: str
    subject: str
    text: str
    path: str | None = None
    since_at: datetime | None = None
    reason: str = ""
    command: str = ""
    is_at_console: bool = False
    is_cut: bool = False
    is_longest: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """A limit or budget that is reached `at` an instant, which is past where it was; `todo` is what to do about it.

    `is_block`: the vendor blocks the workspace, by whichever of its limits.
    """

    at: datetime
    title: str
    subject: str
    text: str
    todo: str
    path: str
    is_at_console: bool = False
    is_block: bool = False

    def alert(self, now: datetime, *, is_here: bool = False) -> Alert:
        """The same as a line, on the page that it is about or on another; the title has the date of what is ahead."""
        has_title = is_here or self.at > now
        return Alert(
            tone="bad" if self.is_block else "warn",
            subject=self.title if has_title else self.subject,
            text=f"{self.text} {self.todo}".rstrip(),
            path=None if is_here else self.path,
            is_at_console=self.is_at_console,
            is_cut=has_title,
        )


def reaches(snapshot: Snapshot, now: datetime) -> list[Reach]:
    """Return what is reached in this month, the nearest first."""
    stopped = blocked(snapshot)
    found = [
        *(
            reach
            for view in snapshot.workspaces
            for reach in _limits(view, view.cost or WorkspaceCost(), now, is_blocked=view.workspace_id in stopped)
        ),
        *(reach for budget in snapshot.budgets if (reach := _budget(budget, now)) is not None),
    ]
    return sorted(found, key=lambda reach: (not reach.is_block, reach.at))


def blocked(snapshot: Snapshot) -> Set[str]:
    """The ids of the workspaces that the vendor blocks."""
    return {view.workspace_id for view in snapshot.workspaces if view.is_usage_blocked}


def alerts(
    status: ServiceStatus, snapshot: Snapshot | None, reached: Iterable[Reach], lines: Iterable[CostLine]
) -> Sequence[Alert]:
    """Return what is wrong, the gravest first, and what could be better; what is said alike is said once.

    Of the limits and budgets those of `reached` are told.
    """
    # What is ahead has its date in its title.
    reaches_said = [reach.alert(status.now_at) for reach in reached]
    savings = (saving_alert(line, line.saving, status) for line in lines if line.saving is not None)
    return [
        *map(_together, _alike(_of_the_service(status))),
        *_the_first((alert for alert in reaches_said if not alert.is_cut), "A limit or budget is reached, too."),
        *_the_first((alert for alert in reaches_said if alert.is_cut), "A limit or budget is reached later."),
        *map(_together, _alike(_failures(status, snapshot))),
        *_the_first(savings, "Last month would have cost less on another plan."),
        *(Alert(tone="note", subject="", text=note) for note in status.notes),
    ]


def _alike(alerts: Iterable[Alert]) -> Sequence[Sequence[Alert]]:
    """What is said alike together, in the order of the first ones."""
    alike: dict[tuple[str, str], list[Alert]] = defaultdict(list)
    for alert in alerts:
        alike[alert.tone, alert.text].append(alert)
    return list(alike.values())


def _the_first(alerts: Iterable[Alert], later: str) -> Iterator[Alert]:
    """A line each for the first ones, and one for all others: there can be one of every workspace."""
    alike = _alike(alerts)
    yield from map(_together, alike[:MOST_LINES])
    rest = sum(map(len, alike[MOST_LINES:]))
    if rest:
        yield Alert(
            tone=alike[MOST_LINES][0].tone, subject=f"{rest:,} more", text=later, path="#workspaces", is_cut=True
        )


def _together(alike: Sequence[Alert]) -> Alert:
    first, *rest = alike
    if not rest:
        return first
    names = [alert.subject if alert.is_cut else cut(alert.subject) for alert in alike[:NAMED]]
    more = f" and {len(alike) - NAMED:,} more" if len(alike) > NAMED else ""
    since_at, is_longest = _first([alert.since_at for alert in alike if alert.since_at is not None], ONE_MINUTE)
    reason = ", ".join(sorted({alert.reason for alert in alike if alert.reason}))
    return replace(
        first,
        subject=f"{', '.join(names)}{more}",
        # All of them are in a table below.
        path="#workspaces" if more and all((alert.path or "").startswith("workspaces/") for alert in alike) else None,
        since_at=since_at,
        reason=reason,
        is_cut=True,
        is_longest=is_longest or any(alert.is_longest for alert in alike),
    )


def _first(instants: Sequence[datetime], apart: timedelta) -> tuple[datetime | None, bool]:
    """The first one, and whether others are later by more than so much.

    Of one workspace an outage is noticed within some minutes.
    """
    if not instants:
        return None, False
    return min(instants), max(instants) - min(instants) > apart


def _failures(status: ServiceStatus, snapshot: Snapshot | None) -> Iterator[Alert]:
    if snapshot is not None:
        yield from _of_workspaces(status, snapshot.workspaces)
        # What fails as its whole workspace does is said with that.
        as_a_whole = {(view.workspace_id, view.failure_reason) for view in snapshot.workspaces if view.failure_reason}
        alone = [row for row in snapshot.databases if (row.workspace_id, row.failure_reason) not in as_a_whole]
        yield from of_databases(alone, status)


def saving_alert(line: CostLine, saving: Saving, status: ServiceStatus) -> Alert:
    """What another plan would have saved last month, and the command that compares all of them, ready to be pasted."""
    month, id_ = previous_month_start(status.now_at), line.workspace_id or ""
    text = (
        f"What it used in {month:%B} would have cost {usd(saving.would_usd)} on {saving.plan}, instead of "
        f"{usd(saving.own_usd)} on {saving.own_plan}."
    )
    told_apart = [view.workspace_name for view in (status.snapshot.workspaces if status.snapshot else ())]
    is_clear = told_apart.count(line.name) == 1 and line.name.isprintable() and cut(line.name) == line.name
    named = line.name if is_clear else id_
    what = ("cost", status.store_flag, f"--workspace {shlex.quote(named)} --month {month:%Y-%m} --what-if")
    command = " ".join(part for part in (status.program, *what, f"plan={saving.plan.lower()}") if part)
    # Of a store that is not this user's to read there is nothing to type.
    command = "" if status.is_part else command
    return Alert(
        tone="save", subject=line.name, text=text, path=f"workspaces/{id_}", command=command, is_at_console=True
    )


def of_databases(
    views: Sequence[DatabaseView], status: ServiceStatus, workspaces: Iterable[WorkspaceView] = ()
) -> Iterator[Alert]:
    """What fails, databases that fail alike together.

    Why one of `workspaces` is blocked is said with it: of others a page says it by itself.
    """
    blocks = {held.workspace_id: f"{BLOCK}: {likely_block(held.plan, held.cost)}" for held in workspaces}
    alike: dict[tuple[str, str], list[DatabaseView]] = defaultdict(list)
    for view in views:
        if is_failing(view):
            block = blocks.get(view.workspace_id, BLOCK)
            alike[view.workspace_name, _why_failing(view, status.waits.get(view.database_id), block)].append(view)
    for (workspace, said), failing in sorted(alike.items(), key=lambda entry: (-len(entry[1]), entry[0])):
        if len(failing) == 1:
            (view,) = failing
            subject, path = view.database_name or view.database_id, f"databases/{view.database_id}"
        else:
            subject = f"{len(failing):,} databases of {workspace}"
            path = Asked(is_failing=True).link("databases")
        since_at, is_longest = _first([_failing_since(view) for view in failing], ONE_OUTAGE)
        yield Alert(
            tone="bad",
            subject=subject,
            text=f"{said}.{f' {LAST_READ}' if any(view.last_success_at for view in failing) else ''}",
            path=path,
            since_at=since_at,
            is_longest=is_longest,
            reason=", ".join(sorted({view.failure_reason for view in failing if view.failure_reason})),
            is_at_console=any(view.failure_reason == BLOCKED for view in failing),
        )


def of_workspace(view: WorkspaceView, status: ServiceStatus) -> Iterator[Alert]:
    """What is wrong with a workspace as a whole; what its first round has not read yet is not."""
    path, name = f"workspaces/{view.workspace_id}", view.workspace_name or view.workspace_id
    if view.failure_reason:
        is_at_console = view.failure_reason == BLOCKED
        said = BLOCK if is_at_console else why(view.failure_reason)
        text = f"{said}. Its databases cannot be listed; the last numbers read are shown."
        yield Alert(
            tone="bad", subject=name, text=text, path=path, reason=view.failure_reason, is_at_console=is_at_console
        )
    if _is_read(view, status) and view.cost is not None and view.cost.unpriced is not None:
        text = f"Cost not known: {view.cost.unpriced}."
        yield Alert(tone="warn", subject=name, text=text, path=path)


def _of_workspaces(status: ServiceStatus, views: Sequence[WorkspaceView]) -> Iterator[Alert]:
    said = {(view.workspace_id, view.failure_reason) for view in views}
    for credential in status.credentials:
        if not credential.is_up and (credential.workspace_id, credential.code) not in said:
            of = f" of {credential.workspace_name}" if credential.workspace_name else ""
            yield Alert(
                tone="bad",
                subject=f"Credential {credential.name}{of}",
                text=f"{why(credential.code or credential.reason or 'not tried yet')}.",
                since_at=credential.failing_since_at,
                reason=credential.code or "",
            )
    for view in views:
        yield from of_workspace(view, status)


def _is_read(view: WorkspaceView, status: ServiceStatus) -> bool:
    """Whether the costs that are shown were worked out after a round of it; within one second nobody knows."""
    costs_at = status.snapshot.costs_at if status.snapshot is not None else None
    return view.workspace_id in status.collected_by or any(
        row.workspace_id == view.workspace_id
        and costs_at is not None
        and row.first_ended_at is not None
        and row.first_ended_at < costs_at
        for row in status.rounds
    )


def _of_the_service(status: ServiceStatus) -> Iterator[Alert]:
    if status.unhealthy_reason is not None:
        yield Alert(tone="bad", subject="Not healthy", text=status.unhealthy_reason)
    elif status.not_ready_reason is not None:
        yield Alert(tone="note", subject="Starting", text="the first numbers are being read.")
    if status.store_error is not None and (status.is_part or status.store_error != status.unhealthy_reason):
        yield Alert(tone="bad", subject="Store", text=f"failing: {status.store_error}")
    if status.reload_error is not None:
        text = f"the one before is in force: {status.reload_error}"
        since_at = status.reload_failing_since_at
        yield Alert(tone="bad", subject="Configuration not reloaded", text=text, since_at=since_at)
    for push in status.pushes:
        if push.failing_since_at is not None:
            since_at, text = push.failing_since_at, push.problem or "failing"
            yield Alert(tone="bad", subject=f"Push to {push.target}", text=text, since_at=since_at)


def _why_failing(view: DatabaseView, wait_until: datetime | None, block: str) -> str:
    said = block if view.failure_reason == BLOCKED else why(view.failure_reason) if view.failure_reason else NOT_READ
    return said if wait_until is None else f"{said}; not asked before {wait_until:%H:%M} UTC, as the vendor asked"


def _failing_since(view: DatabaseView) -> datetime:
    """When its open day failed first, or when it was read last, if at all."""
    return view.failing_since_at or view.last_success_at or view.created_at


# Limits and budgets -------------------------------------------------------------------------------
def _limits(view: WorkspaceView, cost: WorkspaceCost, now: datetime, *, is_blocked: bool) -> Iterator[Reach]:
    name, path = cut(view.workspace_name or view.workspace_id), f"workspaces/{view.workspace_id}"
    until = f"until {_date(next_month_start(now))}"
    operations, storage = map(_said, meters(view), ("operations", "storage"))
    if is_blocked:
        used = f"Free plan: {operations} used." if stops(view) else spend_sentence(cost, usd, "")
        if view.month_to_date_operations is None:
            used = ""
        text = f"{f'{used} ' if used else ''}The vendor blocks its databases: {likely_block(view.plan, cost)}."
        yield Reach(
            at=now,
            title=f"{name}: blocked",
            subject=name,
            text=text,
            todo="",
            path=path,
            is_at_console=True,
            is_block=True,
        )
    for limit, at in _live_limits(view, cost, now).items():
        if is_blocked and limit in BLOCKING:
            continue  # it is, whichever it was by
        is_reached = at <= now
        is_likely = cost.is_only_likely(limit, at, now)
        when, likely = "" if is_reached else f" on {_day(at)}", "likely " if is_likely else ""
        perhaps = f" {NOT_AT_ITS_LOW_END}" if is_likely else ""
        blocks = f"Reached, {NOT_BLOCKED}." if is_reached else BLOCKS.format(until)
        if limit == "free_operations":
            title = f"{name}: all operations used" if is_reached else f"{name}: {likely}blocked{when}"
            text = f"Free plan: {operations} used. {blocks}"
            todo = "Upgrade the plan." if is_reached else "Upgrade the plan, or cut its operations."
        elif limit == "free_storage":
            title = f"{name}: the month's Free storage {likely}used up{when}"
            text = f"Free plan: {storage} on average so far; {NOT_DOCUMENTED}."
            todo = "Upgrade the plan, or delete data."
        else:
            title = (
                f"{name}: spend limit reached" if is_reached else f"{name}: {likely}blocked{when}, by its spend limit"
            )
            text = f"{spend_sentence(cost, usd, '')} {blocks}"
            todo = "Raise the limit." if is_reached else "Raise the limit, or cut its usage."
        text = f"{text}{perhaps}"
        yield Reach(at=at, title=title, subject=name, text=text, todo=todo, path=path, is_at_console=True)


def _live_limits(view: WorkspaceView, cost: WorkspaceCost, now: datetime) -> Mapping[str, datetime]:
    """The limits of the costs, which are a little older than what is used: one that is passed by now is reached."""
    limits, used, most = dict(cost.limits), view.month_to_date_operations, cost.included_operations
    if cost.is_stopping and used is not None and most is not None and used >= most:
        limits["free_operations"] = min(limits.get("free_operations", now), now)
    return limits


def _budget(budget: BudgetState, now: datetime) -> Reach | None:
    """A budget is reached where it is spent, or on the straight way from now to what is expected."""
    spent, expected, limit = budget.spent_usd, budget.expected_usd, budget.limit_usd
    if spent is None:
        return None
    if spent >= limit:
        at, title = now, f"Budget {cut(budget.name)}: spent"
    elif expected is not None and expected >= limit > spent:
        at = now + (next_month_start(now) - now) * float((limit - spent) / (expected - spent))
        at = max(at, now + ONE_MINUTE)
        title = f"Budget {cut(budget.name)}: spent on {_day(at)}"
    else:
        return None
    known = least(spent, budget.is_complete, budget.is_share)
    said = f"{known} of {usd(limit)} spent, {about(expected, budget.is_expected_complete)}"
    return Reach(
        at=at,
        title=title,
        subject=f"Budget {budget.name}",
        text=f"{said} expected by the end of the month.",
        todo="A budget stops nothing: see below which databases spend it.",
        path="#databases",
    )


def _said(meter: Meter | None, what: str) -> str:
    if meter is None or not meter.included:
        return f"{NONE} {what}"
    return f"{meter.used} of {meter.included} {what} ({meter.percent})"


def _day(at: datetime) -> str:
    return f"{at:%A}, {_date(at)}"


def _date(at: datetime) -> str:
    return f"{at.day} {at:%B}"


def days_left(reach: Reach, now: datetime) -> str:
    """How soon, and about when at the expected pace, which differs from hour to hour."""
    if reach.at <= now:
        return "blocked now" if reach.is_block else "reached"
    at = reach.at if reach.at - now < SOON else (reach.at + timedelta(minutes=30)).replace(minute=0)
    return f"{distance(reach.at, now)}, about {at:%Y-%m-%d %H:%M} UTC"
