"""What a diagnosis found: a tree of findings, each with a level and a reason."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum


class Level(StrEnum):
    """How a finding is to be taken. `NOTE` is something that explains itself, or passes by itself."""

    OK = "ok"
    NOTE = "note"
    MISSING = "missing"


class Reason(StrEnum):
    """Why something is missing, or differs."""

    UNAUTHORISED = "unauthorised"
    NOT_ALLOWED = "not_allowed"
    API_UNREACHABLE = "api_unreachable"
    API_REFUSED = "api_refused"
    NO_CREDENTIAL = "no_credential"
    STORE_MISSING = "store_missing"
    STORE_UNAVAILABLE = "store_unavailable"
    NOT_WRITTEN = "not_written"
    CLOCK_SET_BACK = "clock_set_back"
    CLOCK_AHEAD = "clock_ahead"
    GONE = "gone"
    DELETED = "deleted"
    FILTERED = "filtered"
    TOO_NEW = "too_new"
    NOT_DISCOVERED = "not_discovered"
    BLOCKED = "blocked"
    UNAVAILABLE = "unavailable"
    NEVER_ANSWERED = "never_answered"
    NOT_DUE = "not_due"
    EXPIRED = "expired"
    NOT_READ = "not_read"
    NOT_TOLD = "not_told"
    DAYS_MISSING = "days_missing"
    UNSETTLED = "unsettled"
    REVISED_AFTERWARDS = "revised_afterwards"
    READ_AFTERWARDS = "read_afterwards"
    MOVED = "moved"
    VENDOR_DISAGREES = "vendor_disagrees"
    SETTINGS_DIFFER = "settings_differ"
    TOKENS_DIFFER = "tokens_differ"
    PUSH_FAILING = "push_failing"
    WEB_CONFIG_WRONG = "web_config_wrong"
    WEB_CONFIG_NOT_IN_FORCE = "web_config_not_in_force"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    `step` is where on the way it stands: store, push, web, token, workspace, project, database, usage, ledger or
    series. `text` is a sentence for people, `lines` what it rests on, `facts` the same for programs:
    text, whole numbers, truth values, `None`, and lists and mappings of them.
    """

    step: str
    subject: str
    text: str
    level: Level = Level.OK
    reason: Reason | None = None
    lines: tuple[str, ...] = ()
    facts: Mapping[str, object] = field(default_factory=dict)
    children: tuple[Finding, ...] = ()

    @property
    def worst(self) -> Level:
        """The gravest level of the finding and of everything below it."""
        return worst_of((self.level, *(child.worst for child in self.children)))


def worst_of(levels: Iterable[Level]) -> Level:
    """The gravest of some levels, `OK` of none."""
    return max(levels, key=list(Level).index, default=Level.OK)


def walk(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Every finding of some trees, a parent before its children."""
    for finding in findings:
        yield finding
        yield from walk(finding.children)


def at(instant: datetime) -> str:
    """An instant for people."""
    return f"{instant:%Y-%m-%d %H:%M:%S} UTC"


def span(duration: timedelta) -> str:
    """A span of time for people: its largest two parts."""
    seconds = int(abs(duration).total_seconds())
    parts = []
    for name, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {name}")
    return " ".join(parts[:2]) or "0 s"
