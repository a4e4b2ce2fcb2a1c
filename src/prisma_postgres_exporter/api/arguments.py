"""What is wrong with an argument, found before anything is sent, and how the good ones are written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

from pydantic import SecretStr

from prisma_postgres_exporter.config import token_problem
from prisma_postgres_exporter.errors import RequestRefused

_PREFIXES = ("wksp_", "proj_", "db_", "br_", "usr_", "itgr_")
# Ids become path segments, labels and keys: nothing that needs escaping in any of them.
_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[\x20-\x7e]*")
_OURS = (
    "authorization",
    "host",
    "content-length",
    "content-type",
    "transfer-encoding",
    "connection",
    "accept-encoding",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EmptySource:
    """A new database begins empty: what the vendor does without a source too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseSource:
    """What a new database is filled with: what another database holds now."""

    database_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupSource:
    """What a database is filled with: a backup of this or another database."""

    database_id: str
    backup_id: str


Source = EmptySource | DatabaseSource | BackupSource


def normalised_id(prefix: str, raw_id: str) -> str:
    """`raw_id` with `prefix` (`db_` …), which the vendor accepts and sends with or without it.

    With an empty prefix it stays as it is: the vendor varies that of connections, and says not to normalise it.

    Raises:
        ValueError: not an id, or one of another kind.
    """
    if not _ID.fullmatch(raw_id):
        raise ValueError("not an id")
    if prefix and raw_id.startswith(prefix):
        return raw_id
    if raw_id.startswith(_PREFIXES):
        raise ValueError(f"an id of another kind, expected {prefix}…" if prefix else "an id of another kind")
    return prefix + raw_id


def path_id(prefix: str, raw_id: str) -> str:
    """An id with its prefix, or with an empty prefix as it is.

    Raises:
        RequestRefused: not an id, or one of another kind (`invalid_id`).
    """
    try:
        return normalised_id(prefix, raw_id)
    except ValueError as exc:
        raise RequestRefused(f"{exc}: {_harmless(raw_id)!r:.140}", reason="invalid_id") from None
    except TypeError:  # of a caller without types: a None that it was given
        raise RequestRefused(f"not an id: {raw_id!r:.140}", reason="invalid_id") from None


def _harmless(raw_id: str) -> str:
    # What was pasted in the place of an id may be a connection string or a token.
    return raw_id if _ID.fullmatch(raw_id) else re.split("[:@?]", raw_id)[0][:16] + "…"


def filled_path(template: str, values: Mapping[str, str]) -> str:
    """A path of the API: each `{name}` of `template` with its value, escaped.

    Raises:
        RequestRefused: not a path, a name without a value or a value without a name (`invalid_argument`).
    """
    if not re.fullmatch(r"/[!-~]*", template) or re.search(r"[?#]|/\.{1,2}(/|$)|//", template):
        raise wrong_argument("a path must be like /v1/buckets/{bucketId}, without query and fragment")
    names = re.findall(r"\{(\w+)\}", template)
    if surplus := [name for name in values if name not in names]:
        raise wrong_argument(f"{', '.join(surplus)} is not in the path {template}")
    if set(names) != set(values):
        raise wrong_argument(f"the path {template} needs a value for each of: {', '.join(names) or 'nothing'}")
    if any(value in ("", ".", "..") for value in values.values()):
        raise wrong_argument("a value in a path must not be empty, . or ..")
    return re.sub(r"\{(\w+)\}", lambda match: quote(values[match[1]], safe=""), template)


def shown_path(template: str, values: Mapping[str, str]) -> str:
    """The path as a message may show it: what is an id in its place, and the `{name}` of what is not."""
    shown = {name: value for name, value in values.items() if _ID.fullmatch(value)}
    return re.sub(r"\{(\w+)\}", lambda match: shown.get(match[1], match[0]), template)


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


def source_document(source: Source | None) -> Mapping[str, str] | None:
    """A source as the vendor writes it."""
    if source is None:
        return None
    if isinstance(source, EmptySource):
        return {"type": "empty"}
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
    chosen = branch_id if branch_id in (None, "unassigned") else path_id("br_", branch_id)
    return {"branchId": chosen, "branchGitName": branch_git_name}


def access_token(token: str | SecretStr) -> SecretStr:
    """A token that goes into a body."""
    secret = token if isinstance(token, SecretStr) else SecretStr(token)
    if problem := token_problem(secret.get_secret_value()):
        raise wrong_argument(problem)
    return secret


def extra_headers(headers: Mapping[str, str]) -> Mapping[str, str]:
    """Headers to send besides ours, of which none may take the place."""
    for name, value in headers.items():
        if not _HEADER.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise wrong_argument(f"the header {name!r:.100} has a character that no header has")
        if name.lower() in _OURS:
            raise wrong_argument(f"the header {name} is the client's own")
    return dict(headers)


def wrong_argument(message: str) -> RequestRefused:
    """The error for an argument that is refused before anything is sent."""
    return RequestRefused(message, reason="invalid_argument")
