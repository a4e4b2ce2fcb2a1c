"""The whole way: store, tokens, workspaces, projects and their databases, as a tree."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from prisma_postgres_exporter.cost import likely_block
from prisma_postgres_exporter.diagnosis.database import diagnose_database
from prisma_postgres_exporter.diagnosis.facts import (
    CredentialFacts,
    DatabaseFacts,
    Facts,
    PushFacts,
    Settings,
    StoreFacts,
    WebFacts,
    WorkspaceFacts,
)
from prisma_postgres_exporter.diagnosis.findings import Finding, Level, Reason, at, span

CLOCK_TOLERANCE = timedelta(minutes=5)
EXPIRY_WARNING = timedelta(days=14)


def diagnose(facts: Facts) -> tuple[Finding, ...]:
    """Walk the way that a number takes, and say at each step what is to be seen, and why something is missing."""
    return (
        _store(facts.store, facts.settings, facts.now),
        *(_push(push) for push in facts.pushes),
        *(_web(web) for web in (facts.web,) if web is not None),
        *(_credential(credential, facts.now) for credential in facts.credentials),
        *_workspaces(facts),
    )


def _store(store: StoreFacts, settings: Settings, now: datetime) -> Finding:
    def found(text: str, level: Level = Level.OK, reason: Reason | None = None) -> Finding:
        written_at = store.written_at.isoformat() if store.written_at else None
        facts = {
            "url": store.url,
            "generation": store.generation,
            "written_at": written_at,
            "collectors": None if store.collectors is None else list(store.collectors),
            "differing_settings": [
                {"settings": list(row.settings), "processes": [list(names) for names in row.groups]}
                for row in store.differences
            ],
            "differing_tokens": [
                {"workspaces_without_token": list(row.workspaces), "processes": list(row.processes)}
                for row in store.lacks
            ],
        }
        return Finding(
            step="store",
            subject=store.url,
            text=text,
            level=level,
            reason=reason,
            lines=(*_collectors(store), *map(str, store.differences), *map(str, store.lacks)),
            facts=facts,
        )

    if store.failure is not None:
        return found(store.failure.message, Level.MISSING, store.failure.reason)
    if store.written_at is None:
        return found("empty: nothing was ever written to it; does the service run?", Level.MISSING, Reason.NOT_WRITTEN)
    age = now - store.written_at
    last = f"last written {span(age)} ago ({at(store.written_at)})"
    if -age > CLOCK_TOLERANCE:
        text = f"last written at {at(store.written_at)}, {span(age)} from now: this machine's clock was set back"
        return found(text, Level.MISSING, Reason.CLOCK_SET_BACK)
    if not store.is_kept(settings, now):
        return found(
            f"{last}, though there is a round every {settings.read_every}: does the service run?",
            Level.MISSING,
            Reason.NOT_WRITTEN,
        )
    differing = Reason.SETTINGS_DIFFER if store.differences else Reason.TOKENS_DIFFER if store.lacks else None
    return found(last, Level.OK if differing is None else Level.NOTE, differing)


def _collectors(store: StoreFacts) -> Iterator[str]:
    counts = Counter(store.collected_by.values())
    for name in store.collectors or ():
        yield f"process {name} collects {counts[name]} workspace(s)"


def _push(push: PushFacts) -> Finding:
    return Finding(
        step="push",
        subject=f"{push.name} {push.url}",
        text="takes an empty request" if push.problem is None else f"does not take an empty request: {push.problem}",
        level=Level.OK if push.problem is None else Level.MISSING,
        reason=None if push.problem is None else Reason.PUSH_FAILING,
        facts={"target": push.name, "url": push.url},
    )


def _web(web: WebFacts) -> Finding:
    text, reason = web.access, None
    if web.problems:
        text = "cannot be used: correct it; a running service keeps the one before, and the next start fails"
        reason = Reason.WEB_CONFIG_WRONG
    elif web.not_in_force is not None:
        text = f"{web.access}; but {web.not_in_force}. Can the service's user read it and what it names?"
        reason = Reason.WEB_CONFIG_NOT_IN_FORCE
    return Finding(
        step="web",
        subject=web.path,
        text=text,
        level=Level.OK if reason is None else Level.MISSING,
        reason=reason,
        lines=web.problems,
        facts={"path": web.path, "problems": list(web.problems)},
    )


def _credential(credential: CredentialFacts, now: datetime) -> Finding:
    failure, expires_at = credential.failure, credential.expires_at
    lines: tuple[str, ...] = ()
    if expires_at is not None and expires_at - now < EXPIRY_WARNING:
        lines = (f"the token {'expired' if expires_at <= now else 'expires'} at {at(expires_at)}: replace it",)
    level = Level.MISSING if failure else Level.NOTE if lines else Level.OK
    return Finding(
        step="token",
        subject=credential.name,
        text=failure.message if failure else f"good for {credential.workspace}",
        level=level,
        reason=failure.reason if failure else None,
        lines=lines,
        facts={"expires_at": expires_at.isoformat() if expires_at else None},
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
    by_project: dict[tuple[str, str], list[DatabaseFacts]] = defaultdict(list)
    for database in databases:
        by_project[database.database.project_name, database.database.project_id].append(database)
    return Finding(
        step="workspace",
        subject=f"{workspace.name} ({workspace.id})",
        text=text,
        level=Level.NOTE if level is Level.OK and known.refused else level,
        reason=reason,
        lines=(
            *(f"{count} record(s) cannot be used and are left out: {why}" for why, count in known.refused.items()),
            *_adaptive(known, facts.settings),
        ),
        facts={
            "workspace_id": workspace.id,
            "plan": workspace.plan,
            "usage_blocked": workspace.usage_blocked,
            "collected_by": facts.store.collected_by.get(workspace.id),
            "publication_period_seconds": None if known.period is None else int(known.period.total_seconds()),
        },
        children=tuple(
            Finding(
                step="project",
                subject=f"{name} ({id_})",
                text=f"{len(found)} database(s)",
                facts={"project_id": id_},
                children=tuple(
                    diagnose_database(database, facts.settings, facts.store, facts.now)
                    for database in sorted(found, key=lambda one: (one.database.name, one.database.id))
                ),
            )
            for (name, id_), found in sorted(by_project.items())
        ),
    )


def _adaptive(known: WorkspaceFacts, settings: Settings) -> Iterator[str]:
    if settings.poll.adaptive and known.is_known and known.gone_at is None:
        moved = "tell no rhythm yet" if known.period is None else f"tell that numbers move every {span(known.period)}"
        within = span(settings.poll.read_within)
        yield f"poll.adaptive: stored readings {moved}; each open day is read within {within} whatever is known"


def _workspace_state(known: WorkspaceFacts, collected_by: str | None) -> tuple[str, Level, Reason | None]:
    workspace = known.workspace
    if known.failure is not None:
        return f"cannot be listed: {known.failure.message}", Level.MISSING, known.failure.reason
    if known.gone_at is not None:
        text = f"not followed since {at(known.gone_at)}: no credential lists it; its usage stays in its months"
        return text, Level.NOTE, Reason.GONE
    if workspace.usage_blocked:
        return (
            f"blocked: its databases stop answering; {likely_block(workspace.plan, known.cost)}",
            Level.MISSING,
            Reason.BLOCKED,
        )
    plan = f"plan {workspace.plan}" if workspace.plan else "plan not read yet"
    by = f", collected by {collected_by}" if collected_by is not None else ""
    return f"listed, {plan}{by}", Level.OK, None
