"""What is wrong with an argument, found before anything is sent, and how the good ones are written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import SecretStr

from prisma_postgres_exporter.api.address import token_problems
from prisma_postgres_exporter.api.identifiers import normalised_id
from prisma_postgres_exporter.errors import RequestRefused


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseSource:
    """What a new database is filled with: what another database holds now."""

    database_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupSource:
    """What a database is filled with: a backup of this or another database."""

    database_id: str
    backup_id: str


def path_id(prefix: str, raw_id: str) -> str:
    """An id with its prefix.

    Raises:
        RequestRefused: not an id, or one of another kind (`invalid_id`).
    """
    try:
        return normalised_id(prefix, raw_id)
    except ValueError as exc:
        raise RequestRefused(f"{exc}: {raw_id!r:.140}", reason="invalid_id") from None


def timestamp(instant: datetime | None) -> str | None:
    """`2026-11-01T00:00:00.000Z`, the only form that usage takes."""
    if instant is None:
        return None
    if not is_aware(instant):
        raise wrong_argument("an instant must have a time zone")
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def is_aware(*instants: datetime) -> bool:
    """Whether each of them has a time zone."""
    return all(instant.utcoffset() is not None for instant in instants)


def page_size(limit: int | None, *, most: int | None = None) -> str | None:
    """How many entries a page shall hold, as text."""
    if limit is None:
        return None
    if limit < 1 or (most is not None and limit > most):
        raise wrong_argument(f"limit must be {'at least 1' if most is None else f'from 1 to {most}'}, not {limit}")
    return str(limit)


def sized_name(name: str, *, least: int, most: int) -> str:
    """A name of a length that the vendor takes, counted as it counts: in UTF-16 units."""
    length = len(name.encode("utf-16-le", "surrogatepass")) // 2
    if not least <= length <= most:
        raise wrong_argument(f"a name must have {least} to {most} characters, not {length}")
    return name


def source_document(source: DatabaseSource | BackupSource | None) -> Mapping[str, str] | None:
    """A source as the vendor writes it."""
    if source is None:
        return None
    database_id = path_id("db_", source.database_id)
    if isinstance(source, DatabaseSource):
        return {"type": "database", "databaseId": database_id}
    if not source.backup_id:
        raise wrong_argument("a backup id must not be empty")
    return {"type": "backup", "databaseId": database_id, "backupId": source.backup_id}


def branch(branch_id: str | None, branch_git_name: str | None) -> Mapping[str, str | None]:
    """A branch by its id or by its git name, or none."""
    if branch_id is not None and branch_git_name is not None:
        raise wrong_argument("give branch_id or branch_git_name, not both")
    chosen = None if branch_id is None else path_id("br_", branch_id)
    return {"branchId": chosen, "branchGitName": branch_git_name}


def access_token(token: str | SecretStr) -> SecretStr:
    """A token that goes into a body."""
    secret = token if isinstance(token, SecretStr) else SecretStr(token)
    for problem in token_problems(secret):
        raise wrong_argument(problem)
    return secret


def wrong_argument(message: str) -> RequestRefused:
    """The error for an argument that is refused before anything is sent."""
    return RequestRefused(message, reason="invalid_argument")
