"""What people call their projects and databases, the awkward ones included."""

from __future__ import annotations

from typing import Final

AWKWARD: Final = (
    'the "main" one',
    "two\nlines",
    "back\\slash\\",
    "\N{FOX FACE} café \N{HEAVY BLACK HEART}\N{VARIATION SELECTOR-16}",
    "n" * 10_000,
    '{a="b"} 1',
    " spaces around ",
    "\N{RIGHT-TO-LEFT OVERRIDE}backwards",
    "carriage\r\nreturn\tand tab",
    "'; DROP TABLE databases; --",
    "<script>alert(1)</script>",
    "#comment",
)

_WORKSPACES: Final = ("Acme", "Globex", "Initech", "Umbrella", "Hooli", "Stark", "Wayne", "Wonka")
_PROJECTS: Final = ("webshop", "billing", "accounts", "search", "analytics", "mobile", "portal", "intranet")
_DATABASES: Final = ("orders", "users", "events", "catalogue", "sessions", "invoices", "mail", "metrics", "jobs")
_STAGES: Final = ("production", "staging", "test", "demo", "eu", "us", "archive")


def workspace_name(position: int) -> str:
    """`Acme`, later `Acme 2`."""
    return _numbered(_WORKSPACES, position, " ")


def project_name(position: int) -> str:
    """`webshop`, later `webshop-2`."""
    return _numbered(_PROJECTS, position, "-")


def database_name(bits: int) -> str:
    """`orders-production`: not unique, as in life."""
    return f"{_DATABASES[bits % len(_DATABASES)]}-{_STAGES[bits // 16 % len(_STAGES)]}"


def branch_name(bits: int) -> str:
    """`feature/1f3a`: the git branch that a preview database is made for."""
    return f"feature/{bits % 2**16:04x}"


def _numbered(names: tuple[str, ...], position: int, joint: str) -> str:
    turn, place = divmod(position, len(names))
    return f"{names[place]}{joint}{turn + 1}" if turn else names[place]
