"""Ask the API what a discovery asks, read the store, and let the diagnosis make sense of both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from prisma_postgres_exporter.config import Config, Credential, CredentialProblem, Tokens, claims, read_tokens
from prisma_postgres_exporter.cost import add_up
from prisma_postgres_exporter.diagnosis import (
    CredentialFacts,
    DatabaseFacts,
    Examination,
    Facts,
    Failure,
    Reason,
    Settings,
    Subject,
    UsageFacts,
    WorkspaceFacts,
    diagnose,
    find_subjects,
    nearest_subjects,
)
from prisma_postgres_exporter.errors import ApiError, ConfigurationError, MalformedAnswer, StoreError
from prisma_postgres_exporter.expose import ExporterHealth
from prisma_postgres_exporter.ledger.attention import period_of
from prisma_postgres_exporter.model import Database, Workspace, previous_month_start
from prisma_postgres_exporter.rounds import Inventory, VendorApi, read_inventory, why_left_out
from prisma_postgres_exporter.service import surroundings
from prisma_postgres_exporter.service.opening import api_maker, utc_now
from prisma_postgres_exporter.service.reading import open_to_read
from prisma_postgres_exporter.service.surroundings import Stored


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialReport:
    """What one credential turned out to be. `error` is why it could not list its workspace, if it could not.

    `workspace_id` is what the API said, or where it did not what the token itself says; `None` if neither did.
    """

    name: str
    workspace_id: str | None = None
    error: ApiError | ConfigurationError | None = None
    expires_at: datetime | None = None
    databases: int | None = None
    skew_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovery:
    """One look at everything. `readers` are the clients by workspace id, `problems` the tokens that cannot be used."""

    credentials: tuple[CredentialReport, ...]
    inventories: tuple[Inventory, ...]
    readers: Mapping[str, VendorApi]
    problems: tuple[CredentialProblem, ...] = ()


async def examine(
    config: Config, name: str | None = None, *, is_quick: bool = False, clock: Callable[[], datetime] = utc_now
) -> Examination:
    """Diagnose everything, or the workspace, project or database that `name` (or an id) means.

    Changes nothing. Makes the calls of one discovery, and for a database asked for by name one of usage; without a name
    each target of push gets an empty request, and what is around a service is looked at. With `is_quick` it says
    whether a service could run here, and no more: databases are counted, and one of each token is asked for its usage.

    Raises:
        ConfigurationError: `name` means nothing, or several things.
    """
    now = clock().replace(microsecond=0)
    tokens = await asyncio.to_thread(read_tokens, config)
    async with _discovered(config, tokens, is_quick=is_quick) as discovery:
        stored = await asyncio.to_thread(surroundings.read_store, config, now, is_to_be_written=is_quick)
        workspaces = {row.workspace.id: row for row in _workspaces(discovery, stored, config.poll.interval)}
        facts = Facts(
            now=now,
            settings=Settings(poll=config.poll, discovery_interval=config.discovery.interval),
            store=stored.facts,
            credentials=tuple(_credentials(discovery, workspaces, workspaces)),
            is_quick=is_quick,
        )
        if name is None:
            facts = await _with_surroundings(facts, config, tokens, discovery)
        if is_quick:
            return Examination(examined_at=now, findings=diagnose(facts))
        databases = tuple(_databases(config, discovery, stored, workspaces))
        subject = _resolve(name, databases, workspaces, discovery) if name is not None else None
        chosen = [database for database in databases if _is_of(database.database, subject)]
        if subject is not None and subject.kind == "database":
            chosen = [await _look_closer(config, discovery, one, now) for one in chosen]
        elif subject is None:
            # What was deleted long ago is found by its name; here it would only be in the way.
            chosen = [one for one in chosen if one.is_listed or one.state is not None]
        wanted = set(workspaces)
        if subject is not None:
            wanted &= {subject.id, *(one.database.workspace_id for one in chosen)}
        facts = replace(
            facts,
            credentials=tuple(_credentials(discovery, workspaces, wanted)),
            workspaces=tuple(workspaces[id_] for id_ in sorted(wanted)),
            databases=tuple(chosen),
        )
        return Examination(examined_at=now, subject=subject, findings=diagnose(facts))


async def _with_surroundings(facts: Facts, config: Config, tokens: Tokens, discovery: Discovery) -> Facts:
    every = config.push.interval
    owners = [report.workspace_id for report in discovery.credentials]
    # One of which nobody knows whose it is may be of any.
    is_known = not discovery.problems and None not in owners
    owned = frozenset(owner for owner in owners if owner is not None) if is_known else None
    targets = (surroundings.look_at_target(name, target, every) for name, target in config.push.targets.items())
    return replace(
        facts,
        configuration=surroundings.read_configuration(config, tokens),
        listens=tuple(
            [
                await asyncio.to_thread(surroundings.look_at_address, address, config.store.url, facts.store)
                for address in config.web.listen
            ]
        ),
        web=await asyncio.to_thread(surroundings.look_at_web, config.web, owned),
        pushes=tuple(await asyncio.gather(*targets)),
    )


@asynccontextmanager
async def _discovered(config: Config, tokens: Tokens, *, is_quick: bool) -> AsyncIterator[Discovery]:
    """Read what the credentials can see; one that fails is a report with its error."""
    make = api_maker(ExporterHealth())
    inventories: dict[str, Inventory] = {}
    readers: dict[str, VendorApi] = {}

    async def report(credential: Credential, clients: AsyncExitStack) -> CredentialReport:
        said = claims(credential.token)
        # Until the API says whose it is, as in the service.
        found = CredentialReport(name=credential.name, workspace_id=said.workspace_id, expires_at=said.expires_at)
        try:
            client = make(credential, config, len(tokens.credentials))
        except ConfigurationError as error:
            return replace(found, error=error)
        clients.push_async_callback(client.retire)
        try:
            me = await client.me()
            if me.workspace is None:
                raise MalformedAnswer("the credential belongs to no workspace", reason="no_workspace")
            found = replace(found, workspace_id=me.workspace.id)
            inventory = await read_inventory(client, Workspace(id=me.workspace.id, name=me.workspace.name))
            inventories.setdefault(me.workspace.id, inventory)
            readers.setdefault(me.workspace.id, client)
            if is_quick and inventory.databases:
                await client.usage(inventory.databases[0].id)
            found = replace(found, databases=len(inventory.databases))
        except ApiError as error:
            found = replace(found, error=error)
        return replace(found, skew_seconds=client.skew_seconds)

    async with AsyncExitStack() as clients:
        reports = await asyncio.gather(*(report(credential, clients) for credential in tokens.credentials))
        yield Discovery(
            credentials=tuple(reports),
            inventories=tuple(inventories[id_] for id_ in sorted(inventories)),
            readers=readers,
            problems=tokens.problems,
        )


def _workspaces(discovery: Discovery, stored: Stored, interval: timedelta) -> Iterator[WorkspaceFacts]:
    ledger_state = stored.ledger_state
    listed = {inventory.workspace.id: inventory.workspace for inventory in discovery.inventories}
    refused = {inventory.workspace.id: inventory.refused for inventory in discovery.inventories}
    claimed = {report.workspace_id for report in discovery.credentials if report.workspace_id is not None}
    for id_ in {*listed, *ledger_state.workspaces, *claimed}:
        known = ledger_state.workspaces.get(id_)
        workspace = listed.get(id_) or (known.workspace if known else Workspace(id=id_, name=id_))
        if known is not None:
            workspace = replace(workspace, plan=known.workspace.plan, usage_blocked=known.workspace.usage_blocked)
        gone_at = known.gone_at if known is not None and id_ not in listed else None
        yield WorkspaceFacts(
            workspace=workspace,
            failure=None if id_ in listed or gone_at is not None else _why_not_listed(id_, discovery),
            is_known=known is not None,
            gone_at=gone_at,
            refused=refused.get(id_, {}),
            cost=stored.costs.workspaces.get(id_),
            usage=add_up(stored.costs.used.get(id_, {}).values()),
            period=period_of(stored.moves.by_workspace.get(id_, {}).values(), interval),
        )


def _why_not_listed(workspace_id: str, discovery: Discovery) -> Failure:
    failed = [
        (report.workspace_id, report.name, Failure.of(report.error))
        for report in discovery.credentials
        if report.error is not None
    ]
    own = next((failure for id_, _, failure in failed if id_ == workspace_id), None)
    if own is not None:
        return own
    # A credential of which nobody knows whose it is may be this workspace's.
    unknown = [(name, failure) for id_, name, failure in failed if id_ is None]
    unknown += [(problem.name, _of_problem(problem)) for problem in discovery.problems]
    if not unknown:
        return Failure(reason=Reason.NO_CREDENTIAL, message="no credential is of this workspace")
    reasons = {failure.reason for _, failure in unknown}
    (name, first), *others = unknown
    return Failure(
        reason=reasons.pop() if len(reasons) == 1 else Reason.NO_CREDENTIAL,
        message=f"its credential is one of the {len(unknown)} that fail, or it has none"
        if others
        else f"credential {name}: {first.message}",
    )


def _of_problem(problem: CredentialProblem) -> Failure:
    return Failure(reason=Reason.UNAUTHORISED, message=problem.text)


def _databases(
    config: Config, discovery: Discovery, stored: Stored, workspaces: Mapping[str, WorkspaceFacts]
) -> Iterator[DatabaseFacts]:
    listed = {database.id: database for inventory in discovery.inventories for database in inventory.databases}
    for id_ in {**listed, **stored.known}:
        known = stored.known.get(id_)
        database = listed.get(id_) or (known.database if known else None)
        if database is None:
            continue
        workspace = workspaces[database.workspace_id]
        yield DatabaseFacts(
            database=database,
            backfill=f"{config.sources.program} backfill {config.sources.flags}",
            is_listed=None if workspace.failure is not None and id_ not in listed else id_ in listed,
            state=stored.ledger_state.databases.get(id_),
            deleted_at=known.deleted_at if known else None,
            gone_at=None if id_ in listed else workspace.gone_at,
            filtered_by=why_left_out(database, workspace_name=workspace.workspace.name, discovery=config.discovery),
        )


def _resolve(
    name: str,
    databases: Iterable[DatabaseFacts],
    workspaces: Mapping[str, WorkspaceFacts],
    discovery: Discovery,
) -> Subject:
    subjects = tuple(_subjects(databases, workspaces))
    found = find_subjects(name, subjects)
    if len(found) == 1:
        return found[0]
    if found:
        raise ConfigurationError([f"{name!r} is the name of {len(found)}; give the id of one:", *map(str, found)])
    unasked = [f"credential {report.name}: {report.error}" for report in discovery.credentials if report.error]
    nearest = [f"did you mean {subject}?" for subject in nearest_subjects(name, subjects)]
    raise ConfigurationError(
        [f"no workspace, project or database is called {name!r}, nor has it as its id", *nearest, *unasked]
    )


def _subjects(databases: Iterable[DatabaseFacts], workspaces: Mapping[str, WorkspaceFacts]) -> Iterable[Subject]:
    found: dict[tuple[str, str], Subject] = {}

    def add(subject: Subject) -> None:
        found[subject.kind, subject.id] = subject

    for id_, known in workspaces.items():
        add(Subject(kind="workspace", id=id_, name=known.workspace.name))
    # What is listed now comes last: of a project that was renamed or moved, its name and place now count.
    for facts in sorted(databases, key=lambda one: bool(one.is_listed)):
        database = facts.database
        workspace = workspaces[database.workspace_id].workspace.name
        add(Subject(kind="project", id=database.project_id, name=database.project_name, path=workspace))
        deleted = f", deleted {facts.deleted_at:%Y-%m-%d}" if facts.deleted_at and not facts.is_listed else ""
        path = f"{workspace} / {database.project_name}{deleted}"
        add(Subject(kind="database", id=database.id, name=database.name, path=path))
    return found.values()


def _is_of(database: Database, subject: Subject | None) -> bool:
    return subject is None or subject.id in (database.workspace_id, database.project_id, database.id)


def _credentials(
    discovery: Discovery, workspaces: Mapping[str, WorkspaceFacts], wanted: Collection[str]
) -> Iterator[CredentialFacts]:
    """Those of the wanted workspaces, and those that cannot say whose they are."""
    for problem in discovery.problems:
        yield CredentialFacts(name=problem.name, workspace=None, failure=_of_problem(problem), expires_at=None)
    for report in discovery.credentials:
        id_ = report.workspace_id
        if id_ is not None and id_ not in wanted:
            continue
        yield CredentialFacts(
            name=report.name,
            workspace=f"workspace {workspaces[id_].workspace.name} ({id_})" if id_ is not None else None,
            failure=Failure.of(report.error) if report.error is not None else None,
            expires_at=report.expires_at,
            databases=report.databases,
            skew_seconds=report.skew_seconds,
        )


async def _look_closer(config: Config, discovery: Discovery, facts: DatabaseFacts, now: datetime) -> DatabaseFacts:
    """Ask for the month to date, and read the days, revisions and events of one database."""
    with_usage = replace(facts, usage=await _ask_usage(discovery, facts))
    return await asyncio.to_thread(_read_history, config, with_usage, now)


async def _ask_usage(discovery: Discovery, facts: DatabaseFacts) -> UsageFacts | Failure | None:
    reader = discovery.readers.get(facts.database.workspace_id)
    if reader is None or not facts.is_listed:
        return None
    try:
        usage = await reader.usage(facts.database.id)
    except ApiError as error:
        return Failure.of(error)
    return UsageFacts(
        period_start_at=usage.period_start_at,
        period_end_at=usage.period_end_at,
        operations=usage.operations,
        storage_bytes=usage.storage_bytes,
        generated_at=usage.generated_at,
    )


def _read_history(config: Config, facts: DatabaseFacts, now: datetime) -> DatabaseFacts:
    id_, from_day = facts.database.id, previous_month_start(now).date()
    try:
        with closing(open_to_read(config)) as store:
            return replace(
                facts,
                days=tuple(store.days(id_, from_day, now.date())),
                revisions=tuple(store.revisions(id_, from_day, now.date())),
                events=tuple(store.events(subject_id=id_)),
            )
    except StoreError:
        # Said already, where the store was read for the first time.
        return replace(facts, days=())
