"""Why a month is not known whole, for people: only what applies, and whether it passes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from itertools import chain

from prisma_postgres_exporter.cost import TODAY_READ_WITHIN, Usage
from prisma_postgres_exporter.model import SHORT_GAP, DatabaseState, WorkspaceState, day_start, month_start
from prisma_postgres_exporter.reasons import reason_in_words
from prisma_postgres_exporter.report.months import LedgerMonth
from prisma_postgres_exporter.words import counted

ONE_DAY = timedelta(days=1)
NAMED = 5
"""The most databases or workspaces that are named in one sentence."""
UNREAD = "unread"
"""Days that `backfill` reads: the command says so."""

Names = tuple[str, str, str]
"""A database's project, its name, and its id."""

TODAY, FAILING, MOVED, NEW = "today", "failing", "moved", "new"
LASTING = {
    "deleted": "that {were} deleted",
    "gone": "of a workspace that is gone",
    "level": "of which a part of the time has no storage level",
}


def gap_sentences(month: LedgerMonth, *, is_beside: bool = False) -> Iterator[str]:
    """What is missing and no command gets, by cause, and when it will be there, if it will.

    Where the month `is_beside` another one, that one says why databases fail.
    """
    missing = [
        (month.ledger_state.workspaces[id_], month.ledger_state.databases[database_id], usage)
        for id_, used in month.costs.used.items()
        for database_id, usage in used.items()
        if not usage.is_complete
    ]
    # One that moved is missing in both of its workspaces.
    found = {(_cause(month, row, state, usage), state.key): state for row, state, usage in missing}
    causes = Counter(cause for cause, _ in found)
    lasting = [
        f"{counted(causes[cause], 'database')} {words.format(were=_were(causes[cause]))}"
        for cause, words in LASTING.items()
        if causes[cause]
    ]
    unread = sum(cost.is_unread and not month.costs.used[id_] for id_, cost in month.costs.workspaces.items())
    if unread:
        lasting.append(f"{counted(unread, 'workspace')} that nobody followed then")
    if lasting:
        yield f"No command gets what is missing of {', '.join(lasting)}."
    if causes[FAILING]:
        failing = [state for (cause, _), state in found.items() if cause == FAILING]
        yield _failing_sentence(failing, month, is_beside=is_beside)
    if causes[NEW]:
        their = "its" if causes[NEW] == 1 else "their"
        whose = counted(causes[NEW], "database")
        yield f"What is missing of {whose} created within the last hour comes with {their} next readings."
    if causes[TODAY]:
        known_at = day_start(month.until.date()) + ONE_DAY + SHORT_GAP
        whose = counted(causes[TODAY], "database")
        yield f"The rest of today of {whose} will be known from {known_at:%Y-%m-%d %H:%M} UTC on."
    unplaced = {state.key: state for _, state, usage in missing if usage.unplaced_databases}
    for (day, last), count in sorted(Counter(chain(*(_moved(row, month) for row in unplaced.values()))).items()):
        theirs, when = "it" if count == 1 else "they", f"on {day}" if day == last else f"between {day} and {last}"
        days = "that day" if day == last else "these days"
        yield f"{counted(count, 'database')} moved {when}: what {theirs} used on {days} may belong to either workspace."


def _failing_sentence(failing: Sequence[DatabaseState], month: LedgerMonth, *, is_beside: bool) -> str:
    """Of how many databases nothing can be read now, why, and what to do about each reason."""
    reasons = Counter(state.failure_reason for state in failing if state.failure_reason is not None).most_common()
    words = [f"{f'{count:,} with ' if len(reasons) > 1 else ''}{reason_in_words(reason)}" for reason, count in reasons]
    why = f" ({'; '.join(words)})" if words and not is_beside else ""
    again = "when it answers again" if len(failing) == 1 else "when they answer again"
    then = f"{again}, `backfill` reads what is missing" if month.is_over else f"what is missing comes {again}"
    return f"Nothing can be read now of {counted(len(failing), 'database')}{why}; {then}."


def failing_sentences(month: LedgerMonth) -> Iterator[str]:
    """Which databases fail, and since when: what is known of today is of what was read."""
    failing = [
        f"{row.workspace.name} / {told_apart(_own_names(state), map(_own_names, there))}, {_read_until(state)}"
        for row in month.ledger_state.workspaces.values()
        if not row.is_gone
        for there in ([state for state in row.databases.values() if state.deleted_at is None],)
        for state in there
        if state.failing_since_at is not None
    ]
    if failing and not month.is_over:
        more = f"; and {len(failing) - NAMED:,} more" if len(failing) > NAMED else ""
        theirs = "it" if len(failing) == 1 else "they"
        yield f"Not read now: {'; '.join(sorted(failing)[:NAMED])}{more}. What {theirs} used since is not in it."


def told_apart(names: Names, others: Iterable[Names]) -> str:
    """A database's name; with its project where another one has it too, with its id where that does not help."""
    project, name, id_ = names
    same = [other for other in others if other[1] == name]
    if len(same) <= 1:
        return name or id_
    is_alone = sum(other[0] == project for other in same) == 1
    return f"{project} / {name}" + ("" if is_alone else f" ({id_})")


def _own_names(state: DatabaseState) -> Names:
    return state.database.project_name, state.database.name, state.database.id


def _read_until(state: DatabaseState) -> str:
    return f"last read until {state.usage_at:%Y-%m-%d %H:%M} UTC" if state.usage_at is not None else "never read"


def _moved(state: DatabaseState, month: LedgerMonth) -> Iterator[tuple[date, date]]:
    """The days, first and last, that each of its moves leaves in doubt, of those that reach into the month."""
    for move in state.unplaced_moves(month.month, month.until.date()):
        first, end = move.unplaced_days
        yield first, end - ONE_DAY


def _cause(month: LedgerMonth, workspace: WorkspaceState, state: DatabaseState, usage: Usage) -> str:
    """The first that applies."""
    is_todays = not month.is_over and _is_only_today_missing(state, usage, month.until)
    causes = (
        ("gone", month.ledger_state.is_gone(state)),
        (MOVED, usage.unplaced_databases > 0 and not is_todays),
        ("deleted", state.deleted_at is not None),
        (NEW, not month.is_over and _is_new(state, month.until)),
        (UNREAD, any(True for _ in month.unread_days(state, (workspace.key,)))),
        (FAILING, state.failing_since_at is not None and _is_to_come(month, workspace, state)),
        (TODAY, is_todays),
    )
    return next((cause for cause, applies in causes if applies), "level")


def _is_to_come(month: LedgerMonth, workspace: WorkspaceState, state: DatabaseState) -> bool:
    """Whether something of it is there to be read: of a month that is over, a day that was not."""
    return not month.is_over or any(True for _ in month.lacking_days(state, (workspace.key,)))


def _is_new(state: DatabaseState, now: datetime) -> bool:
    """Whether it is so young that what is missing of it is too little to be missed once it was read twice."""
    return state.failing_since_at is None and now - state.database.created_at <= SHORT_GAP


def _is_only_today_missing(state: DatabaseState, usage: Usage, now: datetime) -> bool:
    """Whether nothing is missing but of today, and of yesterday until it is read an hour after its end."""
    today_at = day_start(now.date())
    if today_at == month_start(now):
        return True
    since_at = max(month_start(now), state.database.created_at)
    levels = sum(row.storage_seconds for row in state.months if row.month == month_start(now).date())
    may_come = today_at
    for row in state.recent_days:
        if row.day == now.date():
            levels -= row.storage_seconds
        elif row.day == now.date() - ONE_DAY and row.read_at < today_at + SHORT_GAP:
            levels -= row.storage_seconds
            may_come -= ONE_DAY
    is_yesterday_open = may_come < today_at
    is_today_open = state.usage_at is not None and now - state.usage_at > TODAY_READ_WITHIN
    return (
        usage.days - usage.days_known <= is_yesterday_open + is_today_open
        and (may_come - since_at).total_seconds() - levels <= SHORT_GAP.total_seconds()
    )


def _were(count: int) -> str:
    return "was" if count == 1 else "were"
