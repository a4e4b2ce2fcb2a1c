"""One database on its way: listed, followed, read, kept, shown."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from prisma_postgres_exporter.config import format_duration
from prisma_postgres_exporter.diagnosis.facts import (
    ROUNDS_MISSED,
    DatabaseFacts,
    Failure,
    Settings,
    StoreFacts,
    UsageFacts,
)
from prisma_postgres_exporter.diagnosis.findings import Finding, Level, Reason, at, span, worst_of
from prisma_postgres_exporter.diagnosis.ledger import diagnose_ledger
from prisma_postgres_exporter.diagnosis.series import diagnose_series
from prisma_postgres_exporter.ledger.plan import LONGEST_WAIT, ROUND_SPAN
from prisma_postgres_exporter.model import DatabaseState
from prisma_postgres_exporter.reasons import BLOCKED, reason_in_words

CLOCK_TOLERANCE = timedelta(minutes=5)
NOT_LISTED = "its workspace cannot be listed just now"


def diagnose_database(facts: DatabaseFacts, settings: Settings, store: StoreFacts, now: datetime) -> Finding:
    """Say what is to be seen of one database at each step, up to the first that explains why there is no more."""
    children = tuple(_steps(facts, settings, store, now))
    own = _presence(facts, settings, store, now)
    return Finding(
        step="database",
        subject=f"{facts.database.name} ({facts.database.id})",
        text=own.text,
        level=own.level,
        reason=own.reason,
        facts={
            "database_id": facts.database.id,
            "database_name": facts.database.name,
            "project_id": facts.database.project_id,
            "workspace_id": facts.database.workspace_id,
            "created_at": facts.database.created_at.isoformat(),
            "status": facts.database.status,
        },
        children=children,
    )


def _presence(facts: DatabaseFacts, settings: Settings, store: StoreFacts, now: datetime) -> Finding:
    """Whether it is there, and followed."""
    # Whoever asks for it by name misses it; otherwise this is as it was ordered, or as things go.
    as_ordered = Level.PROBLEM if facts.is_named else Level.NOTE
    ended = _why_not_followed(facts)
    if ended is not None:
        return _finding(ended[0], as_ordered, ended[1])
    if facts.is_listed is False:
        text = "not in the API's list any more: deleted, or moved to a workspace without a credential"
        return _finding(f"{text}; the next discovery notes it", Level.PROBLEM, Reason.DELETED)
    if facts.state is None:
        return _not_kept(facts, settings, store, now)
    there = f"{facts.database.status}, made {at(facts.database.created_at)}"
    if facts.is_listed is None:
        return _finding(f"{there}, as the store has it: {NOT_LISTED}", Level.NOTE, None)
    is_ready = facts.database.status == "ready"
    return _finding(there, Level.OK if is_ready else Level.NOTE, None)


def _why_not_followed(facts: DatabaseFacts) -> tuple[str, Reason] | None:
    if facts.deleted_at is not None and not facts.is_listed:
        text = f"deleted: gone from the API's list since {at(facts.deleted_at)}; its usage stays in its month"
        return text, Reason.DELETED
    if facts.gone_at is not None:
        text = f"not followed since {at(facts.gone_at)}, when no credential listed its workspace any more"
        return f"{text}; its usage stays in its months", Reason.GONE
    if facts.filtered_by is not None and facts.is_listed is not False:
        return f"left out by {facts.filtered_by}: it is neither polled nor shown", Reason.FILTERED
    return None


def _finding(text: str, level: Level, reason: Reason | None) -> Finding:
    return Finding(step="database", subject="", text=text, level=level, reason=reason)


def _not_kept(facts: DatabaseFacts, settings: Settings, store: StoreFacts, now: datetime) -> Finding:
    if store.failure is not None:
        # Why was said once, where the store was looked for: it is one problem, however many databases there are.
        level = Level.PROBLEM if facts.is_named else Level.OK
        return _finding("listed by the API; no store says more of it", level, store.failure.reason)
    age = now - facts.database.created_at
    every = format_duration(settings.discovery_interval)
    if age <= 2 * settings.discovery_interval:
        text = f"made {span(age)} ago: the next discovery adds it, and there is one every {every}"
        return _finding(text, Level.NOTE, Reason.TOO_NEW)
    why = "the service that writes to this store may have no credential of its workspace, or leave it out"
    why = why if store.is_kept(settings, now) else "does the service run?"
    text = f"listed by the API for {span(age)}, and in no discovery that was stored: {why}"
    return _finding(text, Level.PROBLEM, Reason.NOT_DISCOVERED)


def _steps(facts: DatabaseFacts, settings: Settings, store: StoreFacts, now: datetime) -> Iterator[Finding]:
    state = facts.state
    if facts.usage is not None or (state is not None and facts.is_followed):
        yield _usage(facts, settings, store, now)
    if state is None:
        return
    yield diagnose_ledger(facts, state, now)
    if not facts.is_followed:
        return
    if state.last_success_at is not None and now - state.last_success_at <= settings.poll.keep_last_value:
        yield diagnose_series(state, settings, now, due=facts.next_reads)
    else:
        yield _no_series(state, settings)


def _no_series(state: DatabaseState, settings: Settings) -> Finding:
    kept = format_duration(settings.poll.keep_last_value)
    if state.last_success_at is None:
        text, reason = "no values: the API never answered for it", Reason.NEVER_ANSWERED
    else:
        text = f"no values: the last ones, of {at(state.last_success_at)}, were shown for {kept} and are too old now"
        reason = Reason.EXPIRED
    return Finding(
        step="series",
        subject=state.database.id,
        text=text,
        level=Level.PROBLEM if state.last_success_at or state.failing_since_at else Level.NOTE,
        reason=reason,
        facts={"shown": {}},
    )


def _usage(facts: DatabaseFacts, settings: Settings, store: StoreFacts, now: datetime) -> Finding:
    """What the API said now, and when it was read last."""
    seen = [*_answer_now(facts.usage, now), *_readings(facts, settings, store, now)]
    level = worst_of(finding.level for finding in seen)
    first = next(finding for finding in seen if finding.level is level)
    return Finding(
        step="usage",
        subject=facts.database.id,
        text=first.text,
        level=level,
        reason=first.reason,
        lines=tuple(finding.text for finding in seen if finding is not first),
        facts={name: value for finding in seen for name, value in finding.facts.items()},
    )


def _answer_now(usage: UsageFacts | Failure | None, now: datetime) -> Iterator[Finding]:
    if usage is None:
        return
    if isinstance(usage, Failure):
        text = f"the API does not answer for it now: {usage.message}"
        if usage.retry_after_seconds:
            until = now + min(timedelta(seconds=usage.retry_after_seconds), LONGEST_WAIT)
            text += f"; not to be asked again before {until:%H:%M} UTC, as the vendor asked"
        yield Finding(step="usage", subject="", text=text, level=Level.PROBLEM, reason=usage.reason)
        return
    operations = "no operations" if usage.operations is None else f"{usage.operations:,} operations"
    storage = "no storage" if usage.storage_bytes is None else f"{usage.storage_bytes / 2**30:,.3f} GiB"
    is_told = usage.operations is not None
    yield Finding(
        step="usage",
        subject="",
        text=f"the API says now: {operations} and {storage},"
        f" from {at(usage.period_start_at)} to {at(usage.period_end_at)}",
        level=Level.OK if is_told else Level.PROBLEM,
        reason=None if is_told else Reason.NOT_TOLD,
        facts={"api_operations": usage.operations, "api_storage_bytes": usage.storage_bytes},
    )
    if usage.generated_at is not None and usage.generated_at - now > CLOCK_TOLERANCE:
        behind = span(usage.generated_at - now)
        text = f"this machine's clock is {behind} behind the vendor's, so days are cut wrongly: set the clock"
        yield Finding(step="usage", subject="", text=text, level=Level.PROBLEM, reason=Reason.CLOCK_SET_BACK)


def _readings(facts: DatabaseFacts, settings: Settings, store: StoreFacts, now: datetime) -> Iterator[Finding]:
    state = facts.state
    if state is None or not facts.is_followed:
        return
    newest_at = max((row.read_at for row in state.recent_days), default=state.last_success_at)
    doubt = _why_not_read(facts, is_kept=store.is_kept(settings, now))
    text, level, reason = _last_reading(state, settings, doubt, now)
    yield Finding(
        step="usage",
        subject="",
        text=text,
        level=level,
        reason=reason,
        facts={
            "last_success_at": state.last_success_at.isoformat() if state.last_success_at else None,
            "usage_at": state.usage_at.isoformat() if state.usage_at else None,
            "failing_since_at": state.failing_since_at.isoformat() if state.failing_since_at else None,
            "failure_reason": state.failure_reason,
        },
    )
    if newest_at is not None and newest_at - now > CLOCK_TOLERANCE:
        text = (
            f"this machine's clock was set back: the newest reading is of {at(newest_at)},"
            f" {span(newest_at - now)} ahead; readings are passed over until then: set the clock"
        )
        yield Finding(step="usage", subject="", text=text, level=Level.PROBLEM, reason=Reason.CLOCK_SET_BACK)


def _why_not_read(facts: DatabaseFacts, *, is_kept: bool) -> str | None:
    """What may keep a database from being read that did not fail: nothing that is known while the service runs."""
    if facts.is_listed is None:
        return NOT_LISTED
    return None if is_kept else "does the service run?"


def _last_reading(
    state: DatabaseState, settings: Settings, doubt: str | None, now: datetime
) -> tuple[str, Level, Reason | None]:
    why_not = f": {doubt}" if doubt else ""
    last_at, poll = state.last_success_at, settings.poll
    last = f"the last reading was {span(now - last_at)} ago ({at(last_at)})" if last_at else "it never answered"
    if state.failing_since_at is not None:
        is_blocked = state.failure_reason == BLOCKED
        why = "blocked by the vendor" if is_blocked else "unavailable"
        # Which of the vendor's blocks it likely is stands with the workspace.
        means = f"{BLOCKED}: see its workspace" if is_blocked else reason_in_words(state.failure_reason or "not known")
        text = f"{why} since {at(state.failing_since_at)}; {last}; {means}"
        return text, Level.PROBLEM, Reason.BLOCKED if is_blocked else Reason.UNAVAILABLE
    is_overdue = now - (last_at or state.first_seen_at) > poll.silent_for(ROUNDS_MISSED) + ROUNDS_MISSED * ROUND_SPAN
    if last_at is None and not is_overdue:
        due = f"the first reading is due, there is a round every {settings.read_every}"
        return f"never read yet: {due if doubt != NOT_LISTED else doubt}", Level.NOTE, Reason.NOT_DUE
    if last_at is None:
        text = f"never answered, though it was first seen at {at(state.first_seen_at)}{why_not}"
        return text, Level.PROBLEM, Reason.NEVER_ANSWERED
    if is_overdue:
        return f"{last}, though it is read every {settings.read_every}{why_not}", Level.PROBLEM, Reason.NOT_READ
    return last, Level.OK, None
