"""From what a person wrote to the one project, database, connection or workspace that is meant."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from prisma_postgres_exporter.cli.api.listing import Found
from prisma_postgres_exporter.cli.api.running import Session
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
        return await _get(session, lambda api, id_: api.branch(id_), name)
    if project is None:
        raise ConfigurationError([f"{name!r}: a name of a branch needs its project: add --project, or give its id"])
    within = await find_project(session, project)
    async for branch in within.api.branches(within.thing.id, git_name=name):
        return Found(branch, within.api)
    known = [branch.git_name async for branch in within.api.branches(within.thing.id)]
    raise ConfigurationError(
        [f"{name!r}: no branch of project {within.thing.name!r} has that name; there are {', '.join(known) or 'none'}"]
    )


async def find_integration(session: Session, integration_id: str) -> Found[Integration]:
    """The integration of an id, with whatever credential reaches it."""
    return await _get(session, lambda api, id_: api.integration(id_), integration_id)


async def find_service_token(found: Found[Workspace], name: str) -> ServiceToken:
    """The service token of a workspace that is meant, by id or name."""
    tokens = [token async for token in found.api.service_tokens(found.thing.id)]
    meant = [token for token in tokens if token.id == name] or [token for token in tokens if token.name == name]
    if len(meant) == 1:
        return meant[0]
    if not meant:
        raise ConfigurationError([f"{name!r}: no service token has that id or name; see `api service-tokens list`"])
    ids = ", ".join(token.id for token in meant)
    raise ConfigurationError([f"{name!r}: {len(meant)} service tokens have that name; give an id: {ids}"])


async def _find(session: Session, kind: _Kind[T], name: str) -> Found[T]:
    is_like_an_id = name.startswith(kind.prefixes)
    if is_like_an_id:
        try:
            return await _get(session, kind.get, name)
        except NotFound:
            # Anybody can give a thing a name that looks like an id.
            pass
        except RequestRefused as error:
            if error.reason != "invalid_id":
                raise
    things: dict[str, Found[T]] = {}
    for reach in session.reaches:
        # One that fails could hide another thing of that name: an id is needed then.
        async for thing in kind.entries(reach.api):
            things[thing.id] = Found(thing, reach.api)
    subjects = {
        id_: Subject(kind=kind.name, id=id_, name=found.thing.name, path=kind.path(found.thing))
        for id_, found in things.items()
    }
    meant = find_subjects(name, subjects.values())
    if len(meant) == 1:
        return things[meant[0].id]
    if is_like_an_id and not meant:
        raise NotFound(f"there is no {kind.name} with the id or name {name!r}", reason="http_404", status=404)
    raise ConfigurationError(_several(name, meant) if meant else _none(name, kind.name, subjects.values()))


async def _get(session: Session, get: Callable[[ManagementApi, str], Coroutine[Any, Any, U]], id_: str) -> Found[U]:
    failed: ApiError | None = None
    for reach in session.reaches:
        try:
            return Found(await get(reach.api, id_), reach.api)
        except ApiError as error:
            # A credential that could not be asked may be the one that reaches it.
            failed = error if failed is None or isinstance(failed, NotFound) else failed
    raise failed or ConfigurationError([f"{id_}: there is no credential"])


def _several(name: str, meant: tuple[Subject, ...]) -> list[str]:
    shown = [f"  {subject}" for subject in islice(meant, SHOWN)]
    more = [f"  and {len(meant) - SHOWN} more"] if len(meant) > SHOWN else []
    return [f"{name!r}: {len(meant)} {meant[0].kind}s have that name; give the id of the one you mean", *shown, *more]


def _none(name: str, kind: str, subjects: Iterable[Subject]) -> list[str]:
    nearest = nearest_subjects(name, subjects)
    hint = f"did you mean {' or '.join(map(str, nearest))}?" if nearest else f"`api {kind}s list` shows what there is"
    return [f"{name!r}: no {kind} has that id or name; {hint}"]


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
