"""Which series a database shows, and why others of it are absent."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from prisma_postgres_exporter.diagnosis.difference import named
from prisma_postgres_exporter.diagnosis.facts import Settings
from prisma_postgres_exporter.diagnosis.findings import Finding, Level, Reason
from prisma_postgres_exporter.model import DatabaseState, day_start, month_start
from prisma_postgres_exporter.snapshot import INTERVALS_MISSED, DatabaseView, view_database

PREFIX = "prisma_postgres_database_"
ONE_DAY = timedelta(days=1)
JUST_NOW = timedelta(hours=1)
"""So long after midnight, or after its creation, a number of the new day or month may not have been read yet."""

Absence = tuple[str, Level, Reason, str]
"""A series that is absent: its name, and why."""


def diagnose_series(state: DatabaseState, settings: Settings, now: datetime, *, due: str) -> Finding:
    """Say what a database that is followed and has answered shows, and why the rest is absent.

    `due` is when what is not read yet will be.
    """
    view = view_database(
        state,
        workspace_name="",
        silent_after=settings.poll.silent_for(INTERVALS_MISSED),
        keep_last_value=settings.poll.keep_last_value,
        window_names=[window.name for window in settings.poll.windows],
        now=now,
    )
    values = _values(view)
    absences = tuple(_absences(view, state, settings, due, now))
    children = tuple(
        Finding(step="series", subject=f"{PREFIX}{name}", text=text, level=level, reason=reason)
        for name, level, reason, text in absences
    )
    shown = {f"{PREFIX}{name}": value for name, value in values.items()}
    return Finding(
        step="series",
        subject=state.database.id,
        text=f"{len(values)} shown, {len(absences)} absent",
        lines=tuple(f"{name} {value:,}" for name, value in shown.items()),
        facts={"shown": shown},
        children=children,
    )


def _values(view: DatabaseView) -> dict[str, int]:
    found = {
        "up": None if view.is_up is None else int(view.is_up),
        "operations_total": view.operations_total,
        "day_to_date_operations": view.day_to_date_operations,
        "previous_day_operations": view.previous_day_operations,
        "month_to_date_operations": view.month_to_date_operations,
        "previous_month_operations": view.previous_month_operations,
        **{f'window_operations{{window="{name}"}}': operations for name, operations in view.rolling},
        "storage_bytes": view.storage_bytes,
        "reconciliation_difference_operations": view.reconciliation_difference_operations,
    }
    return {name: value for name, value in found.items() if value is not None}


def _absences(
    view: DatabaseView, state: DatabaseState, settings: Settings, due: str, now: datetime
) -> Iterator[Absence]:
    is_young = now - max(state.database.created_at, state.first_seen_at) < JUST_NOW
    yield from _day_absences(view, state, due, now, is_young=is_young)
    yield from _month_absences(view, state, due, now, is_young=is_young)
    shown = {name for name, _ in view.rolling}
    for window in settings.poll.windows:
        if window.name not in shown:
            name = f'window_operations{{window="{window.name}"}}'
            yield _not_read(name, "the window was not read yet", due, is_missing=not is_young)
    if view.storage_bytes is None:
        yield "storage_bytes", Level.NOTE, Reason.NOT_TOLD, "the vendor told no storage in any reading of an open day"
    if view.reconciliation_difference_operations is None:
        text = f"the month and its days were not compared yet; {_unknown_days(state, now)}"
        yield "reconciliation_difference_operations", Level.NOTE, Reason.NOT_DUE, text


def _day_absences(
    view: DatabaseView, state: DatabaseState, due: str, now: datetime, *, is_young: bool
) -> Iterator[Absence]:
    yesterday = now.date() - ONE_DAY
    # What falls due at midnight is read within the next rounds.
    is_due = now - day_start(now.date()) >= JUST_NOW and not is_young
    if view.day_to_date_operations is None:
        yield _not_read("day_to_date_operations", "the open day was not read yet", due, is_missing=is_due)
    if view.previous_day_operations is None:
        if state.database.created_at.date() > yesterday:
            yield _too_new("previous_day_operations", "the database was made today")
        elif all(row.day != yesterday for row in state.recent_days):
            yield _not_read("previous_day_operations", "yesterday is not in the ledger yet", due, is_missing=is_due)
        else:
            text = "yesterday was not read yet since it ended"
            yield _not_read("previous_day_operations", text, due, is_missing=is_due)


def _month_absences(
    view: DatabaseView, state: DatabaseState, due: str, now: datetime, *, is_young: bool
) -> Iterator[Absence]:
    month = month_start(now)
    is_due = now - month >= JUST_NOW and not is_young
    if view.month_to_date_operations is None:
        yield _not_read("month_to_date_operations", "the month was not read yet", due, is_missing=is_due)
    if view.previous_month_operations is None:
        if state.database.created_at >= month:
            yield _too_new("previous_month_operations", "the database was made this month")
        else:
            text = "the month before was not read yet since it ended"
            yield _not_read("previous_month_operations", text, due, is_missing=is_due)


def _not_read(name: str, text: str, due: str, *, is_missing: bool) -> Absence:
    if is_missing:
        return name, Level.PROBLEM, Reason.NOT_READ, text
    return name, Level.NOTE, Reason.NOT_DUE, f"{text}: it is due {due}"


def _too_new(name: str, text: str) -> Absence:
    return name, Level.NOTE, Reason.TOO_NEW, text


def _unknown_days(state: DatabaseState, now: datetime) -> str:
    there = {row.day for row in state.recent_days}
    first = state.known_until + ONE_DAY
    days = [first + number * ONE_DAY for number in range((now.date() - first).days)]
    unknown = [day for day in days if day not in there]
    return f"missing are {named(unknown)}" if unknown else "they are, as soon as they are read together"
