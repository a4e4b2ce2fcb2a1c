"""The whole way: store, tokens, workspaces, projects and their databases, as a tree."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from prisma_postgres_exporter.config import LONGEST_WITHOUT_GAPS, format_duration
from prisma_postgres_exporter.cost import likely_block
from prisma_postgres_exporter.diagnosis.database import diagnose_database
from prisma_postgres_exporter.diagnosis.facts import (
    ConfigurationFacts,
    CredentialFacts,
    DatabaseFacts,
    Facts,
    ListenFacts,
    PushFacts,
    Settings,
    StoreFacts,
    WebFacts,
    WorkspaceFacts,
)
from prisma_postgres_exporter.diagnosis.findings import Finding, Level, Reason, at, span
from prisma_postgres_exporter.diagnosis.limits import Reached, reached_limits
from prisma_postgres_exporter.reasons import RENEWAL
from prisma_postgres_exporter.words import counted

CLOCK_TOLERANCE = timedelta(minutes=5)
EXPIRY_WARNING = timedelta(days=14)
RUNS = "see whether the service runs, and whether it writes to this store"
TO_CORRECT = frozenset({Reason.CONFIGURATION_WRONG, Reason.UNAUTHORISED, Reason.NOT_THE_API})
"""What no waiting helps against."""


def diagnose(facts: Facts) -> tuple[Finding, ...]:
    """Walk the way that a number takes, and say at each step what is to be seen, and why something is missing."""
    return (
        *(() if facts.configuration is None else _configuration(facts.configuration)),
        *map(_listen, facts.listens),
        *(() if facts.web is None else _web(facts.web)),
        _store(facts.store, facts.settings, facts.now, is_quick=facts.is_quick),
        *(_note("cost", text) for text in facts.store.cost_warnings if facts.configuration is not None),
        *map(_push, facts.pushes),
        *(_credential(credential, facts.now) for credential in facts.credentials),
        *_clock(facts.credentials),
        *_workspaces(facts),
    )


def _note(step: str, text: str) -> Finding:
    return Finding(step=step, subject="", text=text, level=Level.NOTE)


def _configuration(known: ConfigurationFacts) -> Iterator[Finding]:
    yield Finding(
        step="configuration",
        subject="",
        text=f"{counted(known.credentials, 'credential')}, API at {known.api_url}{known.way}",
        facts={"credentials": known.credentials, "api_url": known.api_url},
    )
    yield from (_note("configuration", warning) for warning in known.warnings)


def _listen(known: ListenFacts) -> Finding:
    text, level, advice, reason = "free", Level.OK, "", None
    if known.problem is not None:
        text, level, advice = known.problem, Level.WRONG, "choose another address or port (--listen, web.listen)"
    elif known.is_ours and known.is_on_this_store is False:
        text, level = f"in use by {known.holder}, a service on another store", Level.WRONG
        advice = "stop it, choose another address or port (--listen, web.listen), or name its store (--store-url)"
    elif known.is_ours and known.unhealthy is not None:
        text, level = f"in use by {known.holder}: a service runs there, not healthy: {known.unhealthy}", Level.PROBLEM
        reason = Reason.NOT_HEALTHY
    elif known.is_ours:
        text = f"in use by {known.holder}: a service already runs there"
    elif known.holder is not None:
        text, level = f"in use by {known.holder}", Level.WRONG
        advice = "stop it, or choose another address or port (--listen, web.listen)"
    return Finding(
        step="listen",
        subject=known.address,
        text=text,
        level=level,
        reason=Reason.ADDRESS_IN_USE if level is Level.WRONG else reason,
        advice=advice,
        facts={
            "address": known.address,
            "holder": known.holder,
            "is_ours": known.is_ours,
            "is_on_this_store": known.is_on_this_store,
            "unhealthy": known.unhealthy,
        },
    )


def _store(store: StoreFacts, settings: Settings, now: datetime, *, is_quick: bool) -> Finding:
    text, level, reason, advice = _store_state(store, settings, now, is_quick=is_quick)
    return Finding(
        step="store",
        subject=store.url,
        text=text,
        level=level,
        reason=reason,
        advice=advice,
        lines=(*_collectors(store), *map(str, store.differences), *map(str, store.lacks)),
        facts={
            "url": store.url,
            "generation": store.generation,
            "written_at": store.written_at.isoformat() if store.written_at else None,
            "collectors": None if store.collectors is None else list(store.collectors),
            "differing_settings": [
                {"settings": list(row.settings), "processes": [list(names) for names in row.groups]}
                for row in store.differences
            ],
            "differing_tokens": [
                {"workspaces_without_token": list(row.workspaces), "processes": list(row.processes)}
                for row in store.lacks
            ],
        },
    )


def _store_state(
    store: StoreFacts, settings: Settings, now: datetime, *, is_quick: bool
) -> tuple[str, Level, Reason | None, str]:
    if store.failure is not None:
        to_come = {Reason.STORE_MISSING: Level.OK, Reason.STORE_OUTDATED: Level.NOTE} if is_quick else {}
        level = to_come.get(store.failure.reason, Level.PROBLEM)
        return store.failure.message, level, store.failure.reason, store.failure.advice
    if store.written_at is None:
        level = Level.NOTE if is_quick else Level.PROBLEM
        return "empty: nothing was ever written to it", level, Reason.NOT_WRITTEN, RUNS
    newest_at = max(store.written_at, store.newest_reading_at or store.written_at)
    if newest_at - now > CLOCK_TOLERANCE:
        text = f"its newest entry is of {at(newest_at)}, {span(newest_at - now)} from now"
        return (
            text,
            Level.PROBLEM,
            Reason.CLOCK_SET_BACK,
            ("set this machine's clock; if that is right, `store repair` shows what a wrong clock left behind"),
        )
    last = f"{counted(store.databases, 'database')} known, last written {span(now - store.written_at)} ago"
    last = f"{last} ({at(store.written_at)})"
    if not is_quick and not store.is_kept(settings, now):
        return f"{last}; a running service writes every {settings.read_every}", Level.PROBLEM, Reason.NOT_WRITTEN, RUNS
    differing = Reason.SETTINGS_DIFFER if store.differences else Reason.TOKENS_DIFFER if store.lacks else None
    return last, Level.OK if differing is None else Level.NOTE, differing, ""


def _collectors(store: StoreFacts) -> Iterator[str]:
    counts = Counter(store.collected_by.values())
    for name in store.collectors or ():
        yield f"process {name} collects {counted(counts[name], 'workspace')}"


def _push(push: PushFacts) -> Finding:
    bad = Level.WRONG if push.is_wrong else Level.PROBLEM
    has_gaps = push.problem is None and push.every > LONGEST_WITHOUT_GAPS
    takes = f"takes an empty request; pushed every {format_duration(push.every)}"
    return Finding(
        step="push",
        subject=f"{push.name} {push.url}",
        text=takes if push.problem is None else f"does not take an empty request: {push.problem}",
        level=bad if push.problem is not None else Level.NOTE if has_gaps else Level.OK,
        reason=None if push.problem is None else Reason.PUSH_FAILING,
        lines=("Prometheus forgets a sample after 5 minutes: its series have gaps",) if has_gaps else (),
        advice=f"set push.interval to {format_duration(LONGEST_WITHOUT_GAPS)} or less" if has_gaps else "",
        facts={"target": push.name, "url": push.url},
    )


def _web(web: WebFacts) -> Iterator[Finding]:
    if web.path is not None:
        text, level, reason, advice = web.access, Level.OK, None, ""
        if web.problems:
            text, level, reason = "cannot be used", Level.WRONG, Reason.WEB_CONFIG_WRONG
            advice = "correct it: a running service keeps the one before, and the next start fails"
        elif web.not_in_force is not None:
            text, level, reason = f"{web.access}; but {web.not_in_force}", Level.PROBLEM, Reason.WEB_CONFIG_NOT_IN_FORCE
            advice = "see whether the service's user can read it and what it names"
        yield Finding(
            step="web",
            subject=web.path,
            text=text,
            level=level,
            reason=reason,
            lines=web.problems,
            advice=advice,
            facts={"path": web.path, "problems": list(web.problems)},
        )
    yield from (_note("web", note) for note in web.notes)


def _credential(credential: CredentialFacts, now: datetime) -> Finding:
    failure, expires_at = credential.failure, credential.expires_at
    lines: tuple[str, ...] = ()
    advice = failure.advice if failure else ""
    if expires_at is not None and expires_at - now < EXPIRY_WARNING:
        lines = (f"the token {'expired' if expires_at <= now else 'expires'} at {at(expires_at)}",)
        advice = RENEWAL
    level = Level.NOTE if lines else Level.OK
    if failure:
        level = Level.WRONG if failure.reason in TO_CORRECT else Level.PROBLEM
        lines += (f"its workspace: {credential.workspace}",) if credential.workspace else ()
    count = "" if credential.databases is None else f", {counted(credential.databases, 'database')}"
    return Finding(
        step="token",
        subject=credential.name,
        text=failure.message if failure else f"good for {credential.workspace}{count}",
        level=level,
        reason=failure.reason if failure else None,
        advice=advice,
        lines=lines,
        facts={"expires_at": expires_at.isoformat() if expires_at else None, "databases": credential.databases},
    )


def _clock(credentials: Iterable[CredentialFacts]) -> Iterator[Finding]:
    skews = [credential.skew_seconds for credential in credentials if credential.skew_seconds is not None]
    skew = timedelta(seconds=max(skews, key=abs, default=0.0))
    if abs(skew) > CLOCK_TOLERANCE:
        side = "ahead of" if skew > timedelta(0) else "behind"
        yield Finding(
            step="clock",
            subject="",
            text=f"this machine's clock is {span(skew)} {side} the Management API's: nothing is stored",
            level=Level.PROBLEM,
            reason=Reason.CLOCK_WRONG,
            advice="set this machine's clock (NTP)",
            facts={"skew_seconds": round(skew.total_seconds())},
        )


def _workspaces(facts: Facts) -> Iterator[Finding]:
    by_workspace: dict[str, list[DatabaseFacts]] = defaultdict(list)
    for database in facts.databases:
        by_workspace[database.database.workspace_id].append(database)
    for workspace in facts.workspaces:
        yield _workspace(workspace, by_workspace[workspace.workspace.id], facts)


def _workspace(known: WorkspaceFacts, databases: Iterable[DatabaseFacts], facts: Facts) -> Finding:
    workspace = known.workspace
    text, level, reason = _workspace_state(known, facts.store.collected_by.get(workspace.id))
    reached = tuple(reached_limits(known.cost, known.usage, facts.now)) if known.cost is not None else ()
    if reached and level is Level.OK:
        text, level, reason = f"{text}; {_passed(reached)}", Level.NOTE, Reason.LIMIT_REACHED
    by_project: dict[tuple[str, str], list[DatabaseFacts]] = defaultdict(list)
    for database in databases:
        by_project[database.database.project_name, database.database.project_id].append(database)
    return Finding(
        step="workspace",
        subject=f"{workspace.name} ({workspace.id})",
        text=text,
        level=Level.NOTE if level is Level.OK and known.refused else level,
        reason=reason,
        advice="; ".join(dict.fromkeys(limit.advice for limit in reached)) if reason is Reason.LIMIT_REACHED else "",
        lines=(
            *(
                f"{counted(count, 'record')} left out, which cannot be used: {why}"
                for why, count in known.refused.items()
            ),
            *_adaptive(known, facts.settings),
        ),
        facts={
            "workspace_id": workspace.id,
            "plan": workspace.plan,
            "usage_blocked": _is_blocked(known),
            "limits_reached_percent": {limit.name: limit.percent for limit in reached},
            "collected_by": facts.store.collected_by.get(workspace.id),
            "publication_period_seconds": None if known.period is None else int(known.period.total_seconds()),
        },
        children=tuple(
            Finding(
                step="project",
                subject=f"{name} ({id_})",
                text=_databases_of(found),
                facts={"project_id": id_},
                children=tuple(
                    diagnose_database(database, facts.settings, facts.store, facts.now)
                    for database in sorted(found, key=lambda one: (one.database.name, one.database.id))
                ),
            )
            for (name, id_), found in sorted(by_project.items())
        ),
    )


def _passed(reached: Sequence[Reached]) -> str:
    """What is used up, by our estimate, of a workspace of which the vendor does not say that it blocks it."""
    then = "the vendor blocks the databases then, and has not said yet that it did"
    passed = ", ".join(limit.text for limit in reached)
    return f"{passed}: {then}" if any(limit.is_block for limit in reached) else passed


def _databases_of(found: Sequence[DatabaseFacts]) -> str:
    deleted = sum(one.deleted_at is not None for one in found)
    there = counted(len(found) - deleted, "database")
    return f"{there}, {deleted:,} deleted" if deleted else there


def _adaptive(known: WorkspaceFacts, settings: Settings) -> Iterator[str]:
    if settings.poll.adaptive and known.is_known and known.gone_at is None:
        every = f"numbers move every {span(known.period)}" if known.period is not None else "no rhythm known yet"
        within = span(settings.poll.read_within)
        yield f"poll.adaptive: {every}, by stored readings; each open day is read within {within} whatever is known"


def _is_blocked(known: WorkspaceFacts) -> bool | None:
    """Whether the vendor blocks it, as pages and metrics say it."""
    return True if known.cost is not None and known.cost.is_blocked else known.workspace.usage_blocked


def _workspace_state(known: WorkspaceFacts, collected_by: str | None) -> tuple[str, Level, Reason | None]:
    workspace = known.workspace
    if known.failure is not None:
        return f"cannot be listed: {known.failure.message}", Level.PROBLEM, known.failure.reason
    if known.gone_at is not None:
        text = f"not followed since {at(known.gone_at)}: no credential lists it; its usage stays in its months"
        return text, Level.NOTE, Reason.GONE
    if _is_blocked(known):
        return (
            f"blocked: its databases stop answering; {likely_block(workspace.plan, known.cost)}",
            Level.PROBLEM,
            Reason.BLOCKED,
        )
    plan = f"plan {workspace.plan}" if workspace.plan else "plan not read yet"
    by = f", collected by {collected_by}" if collected_by is not None else ""
    return f"listed, {plan}{by}", Level.OK, None
