"""Ids in one spelling: with their prefix."""

from __future__ import annotations

import re

_PREFIXES = ("wksp_", "proj_", "db_", "con_", "br_", "usr_", "itgr_")
# Ids become path segments, labels and keys: nothing that needs escaping in any of them.
_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")


def normalised_id(prefix: str, raw_id: str) -> str:
    """`raw_id` with `prefix` (`db_` …), which the vendor accepts and sends with or without it.

    Raises:
        ValueError: not an id, or one of another kind.
    """
    if not _ID.fullmatch(raw_id):
        raise ValueError("not an id")
    if raw_id.startswith(prefix):
        return raw_id
    if raw_id.startswith(_PREFIXES):
        raise ValueError(f"an id of another kind, expected {prefix}…")
    return prefix + raw_id
