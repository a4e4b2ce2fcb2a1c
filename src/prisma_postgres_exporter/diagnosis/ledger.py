"""What the ledger holds of one database, and whether it agrees with the vendor's months."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from prisma_postgres_exporter.diagnosis.difference import Explanation, explain_month, named
from prisma_postgres_exporter.diagnosis.facts import DatabaseFacts
from prisma_postgres_exporter.diagnosis.findings import Finding, Level, Reason, at
from prisma_postgres_exporter.model import (
    DatabaseState,
    DayUsage,
    Event,
    MonthUsage,
    Revision,
    month_start,
    previous_month_start,
)
from prisma_postgres_exporter.words import counted

ONE_DAY = timedelta(days=1)
MOST_SHOWN = 10
NOT_BEGUN = "nothing was read yet"


def diagnose_ledger(facts: DatabaseFacts, state: DatabaseState, now: datetime) -> Finding:
    """Say which days are known and settled, what was revised, and why the vendor's month differs where it does."""
    unsettled = [row.day for row in state.recent_days if row.settled_at is None]
    there = {row.day for row in state.recent_days}
    after_known = range((now.date() - state.known_until).days)
    gaps = [day for day in (state.known_until + (1 + number) * ONE_DAY for number in after_known) if day not in there]
    missing = [day for day in gaps if day < now.date()]
    lines = [f"not settled: {named(unsettled)}"] if unsettled else []
    if missing:
        lines.append(f"not read yet, oldest first {facts.next_reads}: {named(missing)}")
    revised = state.revisions_up + state.revisions_down
    if revised:
        lines.append(f"revised {counted(state.revisions_up, 'time')} up, {state.revisions_down} down")
    is_ended = state.deleted_at is not None or not facts.is_followed
    return Finding(
        step="ledger",
        subject=state.database.id,
        text=f"{_read(state)}, counted from {state.counted_from}: {_counted(state)}" if _is_begun(state) else NOT_BEGUN,
        level=Level.NOTE if missing and not is_ended else Level.OK,
        reason=Reason.DAYS_MISSING if missing and not is_ended else None,
        lines=tuple(lines),
        facts={
            "operations_total": state.operations_total if state.has_counted else None,
            "counted_from": state.counted_from.isoformat(),
            "known_until": state.known_until.isoformat() if _is_whole_until(state) else None,
            "days_missing": [day.isoformat() for day in missing],
            "days_unsettled": [day.isoformat() for day in unsettled],
            "revisions_up": state.revisions_up,
            "revisions_down": state.revisions_down,
        },
        children=(*_months(facts, state, now), *_revisions(facts.revisions), *_events(facts.events)),
    )


def _is_begun(state: DatabaseState) -> bool:
    """Whether any day of its ledger was read."""
    return _is_whole_until(state) or bool(state.recent_days)


def _is_whole_until(state: DatabaseState) -> bool:
    """Whether the first day of its ledger was read: `known_until` is the day before it until then."""
    return state.known_until >= state.begins_on


def _read(state: DatabaseState) -> str:
    if _is_whole_until(state):
        return f"every day until {state.known_until}"
    return f"{counted(len(state.recent_days), 'day')} read, the first ({state.begins_on}) not yet"


def _counted(state: DatabaseState) -> str:
    return f"{state.operations_total:,} operations" if state.has_counted else "none of these days was read yet"


def _months(facts: DatabaseFacts, state: DatabaseState, now: datetime) -> Iterator[Finding]:
    for starts_at in (month_start(now), previous_month_start(now)):
        month = starts_at.date()
        if facts.days is None:
            yield from _unexplained(state, [row for row in state.months if row.month == month])
            continue
        explained = explain_month(state, month, facts.days, facts.revisions, now, backfill=facts.backfill)
        if explained is not None:
            yield _month(explained, facts.days)


def _unexplained(state: DatabaseState, rows: Iterable[MonthUsage]) -> Iterator[Finding]:
    for row in rows:
        if row.difference_operations:
            yield Finding(
                step="ledger",
                subject=f"{row.month:%Y-%m}",
                text=f"the vendor's month differs from the sum of the days by {row.difference_operations:+,}:"
                f" `doctor {state.database.id}` says why",
                level=Level.NOTE,
                facts={"month": f"{row.month:%Y-%m}", "difference_operations": row.difference_operations},
            )


def _month(explained: Explanation, days: Iterable[DayUsage]) -> Finding:
    month = f"{explained.month:%Y-%m}"
    count = sum(row.day.replace(day=1) == explained.month for row in days)
    vendor = "not read" if explained.vendor_operations is None else f"{explained.vendor_operations:,}"
    difference = explained.difference
    if difference is None:
        compared = "not compared yet"
    else:
        compared = "they agree" if difference == 0 else f"the difference is {difference:+,}"
    return Finding(
        step="ledger",
        subject=month,
        text=f"the vendor's month is {vendor}, the sum of {counted(count, 'day')} now"
        f" {explained.days_operations:,}; {compared}",
        level=explained.level,
        reason=_gravest([reason for reason, _ in explained.reasons]),
        lines=tuple(text for _, text in explained.reasons),
        facts={
            "month": month,
            "vendor_operations": explained.vendor_operations,
            "days_operations": explained.days_operations,
            "difference_operations": difference,
            "reasons": [reason.value for reason, _ in explained.reasons],
        },
    )


def _gravest(reasons: Sequence[Reason]) -> Reason | None:
    if Reason.VENDOR_DISAGREES in reasons:
        return Reason.VENDOR_DISAGREES
    return reasons[0] if reasons else None


def _revisions(revisions: tuple[Revision, ...]) -> Iterator[Finding]:
    if not revisions:
        return
    newest = sorted(revisions, key=lambda revision: (revision.revised_at, revision.day), reverse=True)
    lines = [
        f"{revision.day}: {revision.operations_before:,} → {revision.operations_after:,}, {at(revision.revised_at)}"
        for revision in newest
    ]
    yield Finding(
        step="ledger",
        subject="revisions",
        text=f"{len(revisions)} of days of these two months{_newest_of(lines)}",
        lines=tuple(lines[:MOST_SHOWN]),
        facts={
            "revisions": [
                {
                    "day": revision.day.isoformat(),
                    "revised_at": revision.revised_at.isoformat(),
                    "operations_before": revision.operations_before,
                    "operations_after": revision.operations_after,
                }
                for revision in newest
            ]
        },
    )


def _events(events: tuple[Event, ...]) -> Iterator[Finding]:
    if not events:
        return
    newest = sorted(events, key=lambda event: event.at, reverse=True)
    lines = [
        f"{at(event.at)}: {event.kind.value}" + (f" {event.before} → {event.after}" if event.before else "")
        for event in newest
    ]
    yield Finding(
        step="ledger",
        subject="events",
        text=f"{len(events)} noticed{_newest_of(lines)}",
        lines=tuple(lines[:MOST_SHOWN]),
        facts={
            "events": [
                {
                    "at": event.at.isoformat(),
                    "kind": event.kind.value,
                    "subject": event.subject,
                    "before": event.before,
                    "after": event.after,
                }
                for event in newest
            ]
        },
    )


def _newest_of(lines: list[str]) -> str:
    return f", the newest {MOST_SHOWN}" if len(lines) > MOST_SHOWN else ""
