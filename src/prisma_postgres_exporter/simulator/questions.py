"""What a call asks, what its token may see, and the words in which it is refused."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, Protocol, TypeVar
from urllib.parse import parse_qsl

from prisma_postgres_exporter.simulator.clock import parsed
from prisma_postgres_exporter.simulator.registry import (
    BranchRecord,
    ConnectionRecord,
    DatabaseRecord,
    ProjectRecord,
    Registry,
    TokenRecord,
    WorkspaceRecord,
    exists,
    prefixed,
)
from prisma_postgres_exporter.simulator.vendor import Vendor

Json = dict[str, object]

DEFAULT_PAGE: Final = 100
LARGEST_BODY_BYTES: Final = 64 * 1024
CODES: Final = {
    401: "authentication-failed",
    402: "planLimitReached",
    403: "permission-denied",
    404: "resource-not-found",
    422: "validation-error",
    429: "rate-limit-exceeded",
    500: "internal-server-error",
    503: "internal-server-error",
}
"""The vendor's word for each refusal; every other one is a `client-error`."""

_CURSOR: Final = "after:"
FIRST_PAGE_CURSOR: Final = base64.urlsafe_b64encode(_CURSOR.encode()).decode()
"""A cursor that leads back to the beginning."""


class Listed(Protocol):
    """Something that a list holds."""

    @property
    def id(self) -> str:
        """What a cursor remembers of it."""


T = TypeVar("T", bound=Listed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A status, a JSON body (empty for 204) and further headers."""

    body: bytes
    status: int = 200
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Refused(Exception):
    """An answer with an error body; the code follows from the status unless it is named."""

    def __init__(self, status: int, message: str, hint: str | None = None, *, code: str | None = None) -> None:
        super().__init__(message)
        told = {"code": code or CODES.get(status, "client-error"), "message": message}
        self.answer: Final = Answer(
            status=status, body=encoded({"error": told if hint is None else {**told, "hint": hint}})
        )


def encoded(document: object) -> bytes:
    """A document as the body of an answer."""
    return json.dumps(document, separators=(",", ":")).encode()


def not_found(subject: str) -> Refused:
    """There is no such thing, or not for this token."""
    return Refused(404, f"No such {subject}")


class Fields:
    """The fields of a JSON object, each taken as the kind it must be; `status` refuses anything else."""

    def __init__(self, document: Mapping[str, object], status: int) -> None:
        self._document = document
        self._status = status

    def __contains__(self, name: str) -> bool:
        return name in self._document

    def refuse_others(self, *known: str) -> None:
        """Refuse fields that this call does not know."""
        if unknown := sorted(set(self._document) - set(known)):
            raise self.invalid(f"unknown field {unknown[0]}")

    def text(self, name: str, *, least: int = 1, most: int = 256) -> str | None:
        """A text, `None` where it was left out."""
        value = self._document.get(name)
        if value is None:
            return None
        if not isinstance(value, str) or not least <= len(value) <= most:
            raise self.invalid(f"{name} must be text of {least} to {most} characters")
        return value

    def needed(self, name: str, *, least: int = 1, most: int = 256) -> str:
        """A text that must be there."""
        value = self.text(name, least=least, most=most)
        if value is None:
            raise self.invalid(f"{name} is missing")
        return value

    def flag(self, name: str, *, default: bool) -> bool:
        """True or false."""
        value = self._document.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.invalid(f"{name} must be true or false")
        return value

    def fields(self, name: str) -> Fields | None:
        """An object within, `None` where it was left out."""
        value = self._document.get(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise self.invalid(f"{name} must be an object")
        return Fields(value, self._status)

    def invalid(self, message: str) -> Refused:
        """What was sent makes no sense."""
        return Refused(self._status, message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A request by somebody whose token is good; ids fill the braces of the path, with their prefixes or without.

    `invalid_status` is how this call refuses nonsense. A lookup that finds nothing, or what another workspace holds,
    refuses the question.
    """

    vendor: Vendor
    token: TokenRecord
    now_ms: int
    ids: Mapping[str, str]
    invalid_status: int
    query: str = ""
    body: bytes = field(default=b"", repr=False)

    @property
    def id(self) -> str:
        """The first id in the path."""
        return self.ids["id"]

    @property
    def registry(self) -> Registry:
        """Everything there is, whoever may see it."""
        return self.vendor.world.registry

    @property
    def workspace(self) -> WorkspaceRecord:
        """The token's own workspace."""
        return self.registry.workspaces[self.token.workspace_id]

    @property
    def is_about_own_workspace(self) -> bool:
        """Whether the path names the token's workspace."""
        return prefixed("wksp_", self.id) == self.token.workspace_id

    def parameters(self) -> Mapping[str, str]:
        """The query, the last of equal names winning."""
        return dict(parse_qsl(self.query, keep_blank_values=True))

    def instant(self, name: str) -> int | None:
        """A parameter that is an ISO date-time, in milliseconds."""
        parameters = self.parameters()
        if name not in parameters:
            return None
        instant_ms = parsed(parameters[name])
        if instant_ms is None:
            raise self.invalid(f"{name} must be an ISO date-time")
        return instant_ms

    def limit(self, *, default: int = DEFAULT_PAGE, most: int = 10**9) -> int:
        """How many entries a page shall hold."""
        text = self.parameters().get("limit", str(default))
        if not (text.isascii() and text.isdigit() and 0 < len(text) < 10 and 0 < int(text) <= most):
            raise self.invalid(f"limit must be a whole number from 1 to {most}")
        return int(text)

    def fields(self) -> Fields:
        """The JSON object in the body."""
        if len(self.body) > LARGEST_BODY_BYTES:
            raise Refused(413, "The body is too large")
        try:
            document = json.loads(self.body)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise self.invalid("the body must be a JSON object")
        return Fields(document, self.invalid_status)

    def invalid(self, message: str) -> Refused:
        """What was sent makes no sense."""
        return Refused(self.invalid_status, message)

    def page(
        self,
        following: Callable[[str | None], Iterable[T]],
        document: Callable[[Question, T], Json],
        *,
        most: int = 10**9,
    ) -> bytes:
        """`{"data": […], "pagination": {…}}`: what comes after the entry that the cursor names.

        A cursor names the last entry of a page, so that nothing that comes or goes shifts the rest. `following` is
        given its id, `None` for the first page.

        Raises:
            KeyError: from `following`, for an id that it does not know: the cursor is refused.
        """
        limit = min(self.limit(most=most), self.vendor.behaviour.largest_page)
        cursor = self.parameters().get("cursor")
        try:
            shown = list(islice(following(_after(cursor) if cursor else None), limit + 1))
        except (KeyError, ValueError) as exc:
            raise self.invalid("cursor is not one of ours") from exc
        more = len(shown) > limit
        next_cursor = base64.urlsafe_b64encode(f"{_CURSOR}{shown[limit - 1].id}".encode()).decode() if more else None
        documents = [document(self, record) for record in shown[:limit]]
        return encoded({"data": documents, "pagination": {"nextCursor": next_cursor, "hasMore": more}})

    def own_workspace(self) -> WorkspaceRecord:
        """The workspace that the path names."""
        if not self.is_about_own_workspace:
            raise not_found("workspace")
        return self.workspace

    def project(self, project_id: str, *, elsewhere: int = 404) -> ProjectRecord:
        """A project; `elsewhere` is the status for one that another workspace holds."""
        project = self.registry.projects.get(prefixed("proj_", project_id))
        if project is None or not exists(project, self.now_ms):
            raise not_found("project")
        self._refuse_elsewhere(project, "project", elsewhere)
        return project

    def database(self, database_id: str, *, elsewhere: int = 404) -> DatabaseRecord:
        """A database; `elsewhere` is the status for one that another workspace holds."""
        database = self.registry.databases.get(prefixed("db_", database_id))
        if database is None or not exists(database, self.now_ms):
            raise not_found("database")
        self._refuse_elsewhere(self.registry.projects[database.project_id], "database", elsewhere)
        self.refuse_blocked()
        return database

    def branch(self, branch_id: str) -> BranchRecord:
        """A branch."""
        branch = self.registry.branches.get(prefixed("br_", branch_id))
        if branch is None or not exists(branch, self.now_ms):
            raise not_found("branch")
        self._refuse_elsewhere(self.registry.projects[branch.project_id], "branch", 404)
        return branch

    def connection(self) -> ConnectionRecord:
        """The connection that the path names."""
        connection = self.registry.connection(self.id, self.now_ms)
        if connection is None:
            raise not_found("connection")
        database = self.registry.databases[connection.database_id]
        if not exists(database, self.now_ms):
            raise not_found("connection")
        self._refuse_elsewhere(self.registry.projects[database.project_id], "connection", 404)
        return connection

    def refuse_blocked(self) -> None:
        """Refuse what is about databases while the workspace is blocked, if this vendor does."""
        if self.vendor.behaviour.refuses_blocked and self.workspace.blocked.at(self.now_ms):
            raise Refused(402, "This workspace is blocked", "Upgrade the plan")

    def _refuse_elsewhere(self, project: ProjectRecord, subject: str, status: int) -> None:
        if project.workspace_ids.at(self.now_ms) != self.token.workspace_id:
            if status == 404:
                raise not_found(subject)
            raise Refused(status, f"The {subject} does not belong to this token's workspace")


def rest(entries: Iterable[T], after: str | None) -> Iterable[T]:
    """The entries that come after the one with the id `after`.

    Raises:
        KeyError: there is no such entry.
    """
    if after is None:
        return entries
    listed = list(entries)
    place = next((place for place, entry in enumerate(listed, start=1) if entry.id == after), None)
    if place is None:
        raise KeyError(after)
    return listed[place:]


def _after(cursor: str) -> str | None:
    """The id that a cursor holds; a `ValueError` for one that is not from here."""
    try:
        mark, _, id_ = base64.urlsafe_b64decode(cursor).decode().rpartition(_CURSOR)
    except binascii.Error as exc:
        raise ValueError(cursor) from exc
    if mark:
        raise ValueError(cursor)
    return id_ or None
