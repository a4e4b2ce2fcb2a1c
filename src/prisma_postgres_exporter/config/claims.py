"""What a token says of itself."""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import SecretStr

_PREFIX = "wksp_"

# A hint that nobody verified: only what could be an id, and is safe in a label.
_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What a token says of itself, unverified. `None` where it does not say.

    `workspace_id` has its prefix (`wksp_…`), `expires_at` is UTC.
    """

    workspace_id: str | None = None
    expires_at: datetime | None = None


def claims(token: SecretStr) -> Claims:
    """Read the claims of a JWT; a token that is none says nothing."""
    try:
        body = token.get_secret_value().split(".")[1]
        said = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        if not isinstance(said, dict):
            return Claims()
        return Claims(workspace_id=_workspace_id(said), expires_at=_expires_at(said.get("exp")))
    except (IndexError, ValueError, binascii.Error, RecursionError):
        return Claims()


def _workspace_id(said: dict[str, object]) -> str | None:
    own, subject = said.get("workspace_id"), said.get("sub")
    if not isinstance(own, str) and isinstance(subject, str) and subject.startswith("workspace:"):
        own = subject.removeprefix("workspace:")
    if not isinstance(own, str):
        return None
    bare = own.removeprefix(_PREFIX)
    return _PREFIX + bare if _ID.fullmatch(bare) else None


def _expires_at(seconds: object) -> datetime | None:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return None
