"""From what a person wrote to the one project, database, connection or workspace that is meant."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from prisma_postgres_exporter.cli.api.listing import Found
from prisma_postgres_exporter.cli.api.running import OF_THE_CALLER, Session, warn_unused
from prisma_postgres_exporter.diagnosis import Subject, find_subjects, nearest_subjects
from prisma_postgres_exporter.errors import ApiError, ConfigurationError, NotFound, RequestRefused

if TYPE_CHECKING:
    from prisma_postgres_exporter.api import (
        Branch,
        Connection,
        Database,
        Integration,
        ManagementApi,
        Project,
        ServiceToken,
        Workspace,
    )

SHOWN = 10


class Thing(Protocol):
    """Something with an id and a name."""

    @property
    def id(self) -> str:
        """With its prefix."""

    @property
    def name(self) -> str:
        """Not unique."""


T = TypeVar("T", bound=Thing)
U = TypeVar("U")


@dataclass(frozen=True, slots=True)
class _Kind(Generic[T]):
    name: str
    prefixes: tuple[str, ...]
    get: Callable[[ManagementApi, str], Coroutine[Any, Any, T]]
    entries: Callable[[ManagementApi], AsyncIterator[T]]
    path: Callable[[T], str]


async def find_workspace(session: Session, name: str | None) -> Found[Workspace]:
    """The workspace that is meant; without a name the one there is."""
    if name is None:
        api = session.only("--workspace: say which workspace is meant").api
        async for workspace in api.workspaces():
            return Found(workspace, api)
        raise ConfigurationError(["the credential opens no workspace"])
    return await _find(session, _WORKSPACE, name)


def one_workspace(name: str | None, option: str | None) -> str | None:
    """The workspace of an argument or of `--workspace`.

    Raises:
        ConfigurationError: both are given, and differ.
    """
    if name is not None and option is not None and name != option:
        raise ConfigurationError([f"{name} and --workspace {option}: give one of them"])
    return name or option


async def find_project(session: Session, name: str) -> Found[Project]:
    """The project that is meant."""
    return await _find(session, _PROJECT, name)


async def find_database(session: Session, name: str, *, project: str | None = None) -> Found[Database]:
    """The database that is meant, among those of a project if that is named."""
    if project is None:
        return await _find(session, _DATABASE, name)
    within = await find_project(session, project)
    kind = replace(_DATABASE, entries=lambda api: api.project_databases(within.thing.id))
    found = await _find(session.of(within.api), kind, name)
    if found.thing.project.id != within.thing.id:
        is_in = f"is in project {found.thing.project.name!r} ({found.thing.project.id})"
        raise ConfigurationError([f"--project {project}: database {found.thing.name!r} ({found.thing.id}) {is_in}"])
    return found


async def find_connection(session: Session, name: str, *, database: str | None = None) -> Found[Connection]:
    """The connection that is meant, among those of a database if that is named."""
    if database is None:
        return await _find(session, _CONNECTION, name)
    within = await find_database(session, database)
    kind = replace(_CONNECTION, entries=lambda api: api.connections(within.thing.id))
    return await _find(session.of(within.api), kind, name)


async def find_branch(session: Session, name: str, *, project: str | None) -> Found[Branch]:
    """The branch that is meant: by id, or by its git name in a project."""
    if name.startswith("br_"):
        try:
            return await with_any(session, lambda api: api.branch(name))
        except NotFound:
            if project is None:
                raise _no_such(name, "branch", "`api branches list --project NAME` shows what there is") from None
    if project is None:
        raise ConfigurationError([f"{name!r}: a name of a branch needs its project: add --project, or give its id"])
    within = await find_project(session, project)
    async for branch in within.api.branches(within.thing.id, git_name=name):
        return Found(branch, within.api)
    known = [branch.git_name async for branch in within.api.branches(within.thing.id)]
    raise _no_such(name, "branch", f"project {within.thing.name!r} has {', '.join(known) or 'none'}")


async def find_integration(session: Session, integration_id: str) -> Found[Integration]:
    """The integration of an id, with whatever credential reaches it."""
    try:
        return await with_any(session, lambda api: api.integration(integration_id))
    except NotFound:
        raise _no_such(integration_id, "integration", "`api integrations list` shows what there is") from None


async def find_service_token(found: Found[Workspace], name: str) -> ServiceToken:
    """The service token of a workspace that is meant, by id or name."""
    tokens = [token async for token in found.api.service_tokens(found.thing.id)]
    meant = [token for token in tokens if token.id == name] or [token for token in tokens if token.name == name]
    if len(meant) == 1:
        return meant[0]
    if not meant:
        raise _no_such(name, "service token", "`api service-tokens list` shows what there is")
    ids = ", ".join(token.id for token in meant)
    raise ConfigurationError([f"{name!r}: {len(meant)} service tokens have that name; give an id: {ids}"])


async def _find(session: Session, kind: _Kind[T], name: str) -> Found[T]:
    if name.startswith(kind.prefixes):
        try:
            return await with_any(session, lambda api: kind.get(api, name))
        except NotFound:
            # Anybody can give a thing a name that looks like an id.
            pass
        except RequestRefused as error:
            if error.reason != "invalid_id":
                raise
    things: dict[str, Found[T]] = {}
    failed: list[ApiError] = []
    for reach in session.reaches:
        try:
            async for thing in kind.entries(reach.api):
                things[thing.id] = Found(thing, reach.api)
        except ApiError as error:
            failed.append(error)
    subjects = {
        id_: Subject(kind=kind.name, id=id_, name=found.thing.name, path=kind.path(found.thing))
        for id_, found in things.items()
    }
    meant = find_subjects(name, subjects.values())
    is_found = len(meant) == 1
    if is_found and (kind is _WORKSPACE or meant[0].id in {name, f"{kind.prefixes[0]}{name}"}):
        warn_unused(failed)
    elif failed:
        # One that fails could hide another thing of that name.
        if len(session.reaches) > 1:
            failed[-1].add_note(f"Could not look in every workspace for {name!r}: give an id, or --workspace.")
        session.failures += failed
        raise failed[-1]
    if is_found:
        return things[meant[0].id]
    if meant:
        raise ConfigurationError(_several(name, meant))
    nearest = nearest_subjects(name, subjects.values())
    hint = (
        f"did you mean {' or '.join(map(str, nearest))}?" if nearest else f"`api {kind.name}s list` shows what there is"
    )
    raise _no_such(name, kind.name, hint)


async def with_any(session: Session, call: Callable[[ManagementApi], Coroutine[Any, Any, U]]) -> Found[U]:
    """What the first credential that succeeds is answered.

    Raises:
        ApiError: none does; not a `NotFound` where one could not be asked: it may be the one that reaches it.
    """
    failed: list[ApiError] = []
    for reach in session.reaches:
        try:
            return Found(await call(reach.api), reach.api)
        except ApiError as error:
            if error.reason in OF_THE_CALLER:
                raise
            failed.append(error)
    others = [error for error in failed if not isinstance(error, NotFound)]
    session.failures += others
    raise (others or failed)[-1]


def _no_such(name: str, kind: str, hint: str) -> NotFound:
    return NotFound(f"{name!r}: no {kind} has that id or name; {hint}", reason="http_404", status=404)


def _several(name: str, meant: tuple[Subject, ...]) -> list[str]:
    shown = [f"  {subject}" for subject in islice(meant, SHOWN)]
    more = [f"  and {len(meant) - SHOWN} more"] if len(meant) > SHOWN else []
    return [f"{name!r}: {len(meant)} {meant[0].kind}s have that name; give the id of the one you mean", *shown, *more]


_WORKSPACE: _Kind[Workspace] = _Kind(
    "workspace", ("wksp_",), lambda api, id_: api.workspace(id_), lambda api: api.workspaces(), lambda _: ""
)
_PROJECT: _Kind[Project] = _Kind(
    "project",
    ("proj_",),
    lambda api, id_: api.project(id_),
    lambda api: api.projects(),
    lambda project: f"workspace {project.workspace.name!r}",
)
_DATABASE: _Kind[Database] = _Kind(
    "database",
    ("db_",),
    lambda api, id_: api.database(id_),
    lambda api: api.databases(),
    lambda database: (
        f"project {database.project.name!r}" + (f", branch {database.branch_id}" if database.branch_id else "")
    ),
)
_CONNECTION: _Kind[Connection] = _Kind(
    "connection",
    ("con_", "conn_"),
    lambda api, id_: api.connection(id_),
    lambda api: api.connections(),
    lambda connection: f"database {connection.database.name!r}",
)
