"""The one exception tree, split by what the caller can do.

ExporterError
├── ConfigurationError         fix the configuration; `problems` lists every one
├── ApiError                   what the Management API, or the way to it, answered
│   ├── CredentialRefused      replace the credential (401)
│   ├── NotAllowed             the credential may not do this (403)
│   ├── NotFound               the thing is gone, or was never there (404)
│   ├── RequestRefused         the request itself is wrong (any other 4xx)
│   ├── PlanLimitReached       tell a human: the workspace is blocked
│   ├── DatabaseFailed         tell a human: the database did not become ready
│   ├── Unavailable            wait: overloaded, down, unreachable or too slow
│   │   └── Throttled          wait: too many requests (429)
│   ├── ClientClosed           make a new client: this one was closed
│   └── MalformedAnswer        report it: the answer is not what the contract says
├── TooBusy                    wait: too many questions to the ledger
└── StoreError
    ├── StoreUnavailable       wait, or make room: it cannot be read or written now
    │   ├── StoreDisconnected  try again: the connection was lost in the middle
    │   ├── StoreMissing       run the service first: there is none yet
    │   ├── StoreOutdated      run `serve` or `collect` once: an older version made it
    │   └── StoreBroken        look at the disk: it does not pass by itself
    │       ├── StoreGone      put the file back, or a backup of it: it was deleted, replaced or emptied
    │       └── StoreDamaged   put a backup in its place: what is in the file is malformed
    ├── StoreTooNew            run the version that made it, or a newer one
    ├── StoreChanged           load again: another process wrote in between
    ├── LeaseLost              stop: another process collects the workspace now
    └── StoreInUse             stop the other service, or give this one a store of its own
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import SecretStr


class ExporterError(Exception):
    """Everything this package raises on purpose."""


class ConfigurationError(ExporterError):
    """The configuration cannot be used; `problems` has one line for each thing to fix."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


class ApiError(ExporterError):
    """A call to the Management API failed.

    `reason` is a short constant for labels and logs (`timeout`, `http_503`, `not_json` …).
    `operation` is the client's method, `endpoint` the method and the path with its parameters' names, where the message
    has their ids, `credential` the client's own name. `status`, `code`, `hint` and `request_id` are the answer's own,
    `None` where there was none; so is `retry_after_seconds`, up to a day, however long was waited. `is_outcome_unknown`
    says that a change may have been carried out all the same: look before it is made again.
    `shown_once` are the connection strings, or the token, in a success that could not be read: they come this once.
    No message holds a token, a header or a query string.
    """

    def __init__(
        self,
        message: str,
        *,
        reason: str,
        operation: str = "",
        endpoint: str = "",
        status: int | None = None,
        request_id: str | None = None,
        code: str | None = None,
        hint: str | None = None,
        retry_after_seconds: float | None = None,
        is_outcome_unknown: bool = False,
        shown_once: tuple[SecretStr, ...] = (),
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.operation = operation
        self.endpoint = endpoint
        self.status = status
        self.request_id = request_id
        self.code = code
        self.hint = hint
        self.retry_after_seconds = retry_after_seconds
        self.is_outcome_unknown = is_outcome_unknown
        self.shown_once = shown_once
        self.credential: str | None = None


class CredentialRefused(ApiError):
    """401: the token is wrong, expired or revoked."""


class NotAllowed(ApiError):
    """403: the token is good and may not do this."""


class NotFound(ApiError):
    """404: deleted, moved to another workspace, or never there."""


class RequestRefused(ApiError):
    """Any other 4xx: the request is wrong and will stay wrong."""


class PlanLimitReached(ApiError):
    """`error.code` is `planLimitReached`, whatever the status: the workspace is blocked."""


class DatabaseFailed(ApiError):
    """A database that was waited for has the status `failure`."""


class Unavailable(ApiError):
    """5xx, a timeout or a broken connection, after the retries: wait and try again."""


class Throttled(Unavailable):
    """429 after the retries."""


class ClientClosed(ApiError):
    """The client was closed before or meanwhile: waiting does not help."""


class MalformedAnswer(ApiError):
    """A success status with a body that the contract does not allow."""


class StoreError(ExporterError):
    """The store failed."""


class StoreUnavailable(StoreError):
    """The store cannot be opened, read or written now."""


class StoreDisconnected(StoreUnavailable):
    """The connection to the store was lost in the middle: what was asked for may have been done, or not."""


class StoreMissing(StoreUnavailable):
    """There is no store, and it was opened to be read only."""


class StoreOutdated(StoreUnavailable):
    """An older version made the store, and it was opened to be read only."""


class StoreBroken(StoreUnavailable):
    """The disk of the store does not read or write, or it is one of the kinds below: a service is unhealthy then."""


class StoreGone(StoreBroken):
    """The file that held the store was deleted, replaced or emptied: nothing is written, and no new one is made."""


class StoreDamaged(StoreBroken):
    """What is in the file is no whole store: nothing is written to it any more, as that could make it worse."""


class StoreTooNew(StoreError):
    """The store was made by a newer version of this program."""


class StoreChanged(StoreError):
    """Another process wrote to the store since it was loaded; nothing was written."""


class LeaseLost(StoreError):
    """The lease of a workspace is another process's now, or nobody's; nothing was written."""


class StoreInUse(StoreError):
    """Another service uses the store, which is for one at a time."""


class TooBusy(ExporterError):
    """Too many questions wait to be answered."""

    def __str__(self) -> str:
        return "too many questions to the ledger wait already; ask again later, or for less"
