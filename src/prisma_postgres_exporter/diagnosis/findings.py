"""What a diagnosis found: a tree of findings, its exit code, its JSON and its lines for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from prisma_postgres_exporter.diagnosis.naming import Subject
from prisma_postgres_exporter.words import counted

INDENT = "  "


class Level(StrEnum):
    """How a finding is to be taken, the gravest last.

    `NOTE` explains itself, or passes by itself; `PROBLEM` keeps a number away; `WRONG` does so until the configuration
    or a token is corrected.
    """

    OK = "ok"
    NOTE = "note"
    PROBLEM = "problem"
    WRONG = "wrong"


EXIT_CODES: Mapping[Level, int] = {Level.OK: 0, Level.NOTE: 0, Level.PROBLEM: 1, Level.WRONG: 2}


class Reason(StrEnum):
    """Why something is missing, or differs."""

    CONFIGURATION_WRONG = "configuration_wrong"
    ADDRESS_IN_USE = "address_in_use"
    UNAUTHORISED = "unauthorised"
    NOT_ALLOWED = "not_allowed"
    NOT_THE_API = "not_the_api"
    API_UNREACHABLE = "api_unreachable"
    API_REFUSED = "api_refused"
    NO_CREDENTIAL = "no_credential"
    STORE_MISSING = "store_missing"
    STORE_OUTDATED = "store_outdated"
    STORE_UNAVAILABLE = "store_unavailable"
    NOT_WRITTEN = "not_written"
    NOT_HEALTHY = "not_healthy"
    CLOCK_SET_BACK = "clock_set_back"
    CLOCK_WRONG = "clock_wrong"
    GONE = "gone"
    DELETED = "deleted"
    FILTERED = "filtered"
    TOO_NEW = "too_new"
    NOT_DISCOVERED = "not_discovered"
    BLOCKED = "blocked"
    LIMIT_REACHED = "limit_reached"
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

    `step` is where on the way it stands: configuration, listen, web, store, cost, push, token, clock, workspace,
    project, database, usage, ledger or series. `text` is a sentence for people, `advice` what to do, `lines` what it
    rests on, `facts` the same for programs: text, whole numbers, truth values, `None`, and lists and mappings of them.
    """

    step: str
    subject: str
    text: str
    level: Level = Level.OK
    reason: Reason | None = None
    advice: str = ""
    lines: tuple[str, ...] = ()
    facts: Mapping[str, object] = field(default_factory=dict)
    children: tuple[Finding, ...] = ()

    @property
    def worst(self) -> Level:
        """The gravest level of the finding and of everything below it."""
        return worst_of((self.level, *(child.worst for child in self.children)))

    def document(self) -> dict[str, object]:
        """It and everything below it as JSON."""
        return {
            "step": self.step,
            "subject": self.subject,
            "level": self.level.value,
            "reason": self.reason.value if self.reason else None,
            "text": self.text,
            "advice": self.advice or None,
            "lines": list(self.lines),
            "facts": dict(self.facts),
            "findings": [child.document() for child in self.children],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line for people, not broken yet; with a `level` it begins a finding."""

    indent: str
    text: str
    level: Level | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What was found at `examined_at` (UTC), of `subject` where a part was asked for by name."""

    examined_at: datetime
    findings: tuple[Finding, ...]
    subject: Subject | None = None

    @property
    def worst(self) -> Level:
        """The gravest level of all."""
        return worst_of(finding.worst for finding in self.findings)

    def document(self) -> dict[str, object]:
        """All of it as JSON."""
        return {
            "examined_at": self.examined_at.isoformat(),
            "subject": asdict(self.subject) if self.subject else None,
            "level": self.worst.value,
            "findings": [finding.document() for finding in self.findings],
        }

    def lines(self) -> Iterator[Line]:
        """Every finding, a parent before its children; without a database's name, those that are well are counted."""
        is_short = self.subject is None or self.subject.kind != "database"
        return _lines(self.findings, INDENT, is_short=is_short)

    @property
    def summary(self) -> str:
        """How many problems and notes there are."""
        levels = [finding.level for finding in walk(self.findings)]
        problems, notes = levels.count(Level.PROBLEM) + levels.count(Level.WRONG), levels.count(Level.NOTE)
        return f"{counted(problems, 'problem')}, {counted(notes, 'note')}"


def wrong_configuration(problems: Iterable[str]) -> tuple[Finding, ...]:
    """A finding for each line of a `ConfigurationError`."""
    return tuple(
        Finding(step="configuration", subject="", text=problem, level=Level.WRONG, reason=Reason.CONFIGURATION_WRONG)
        for problem in problems
    )


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


def _lines(findings: Iterable[Finding], indent: str, *, is_short: bool) -> Iterator[Line]:
    well = 0
    for finding in findings:
        if is_short and finding.worst is Level.OK and finding.step in ("database", "usage", "ledger", "series"):
            # One of which no store says more is not called well.
            well += finding.step == "database" and finding.reason is None
            continue
        is_ok = finding.level is Level.OK
        reason = f" [{finding.reason.value}]" if finding.reason is not None and not is_ok else ""
        head = f"{finding.step} {finding.subject}".strip()
        yield Line(indent=indent, text=f"{head}: {finding.text}{reason}", level=finding.level)
        further = finding.lines if not (is_short and is_ok) or finding.step == "workspace" else ()
        for text in (*further, *([f"→ {finding.advice}"] if finding.advice else [])):
            yield Line(indent=f"{indent}{2 * INDENT}", text=text)
        yield from _lines(finding.children, indent + INDENT, is_short=is_short)
    if well:
        yield Line(indent=indent, text=f"{counted(well, 'database')} well", level=Level.OK)
