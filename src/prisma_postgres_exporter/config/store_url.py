"""The store's URL as text: what is wrong with it, and how it is shown; SQLAlchemy reads what passes here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote

ENCODED = {"/": "%2F", "?": "%3F", "#": "%23", "[": "%5B", "]": "%5D", "@": "%40"}
"""Characters that end a part of a URL, and how they are written in a user or a password."""

_SCHEME = re.compile(r"(sqlite)(?:\+pysqlite)?://|postgres(?:ql(?:\+psycopg)?)?://")
_HOST = r"(?:\[[0-9A-Fa-f:.]+(?:%\w+)?\]|[^\[\]/:?#\s]*)"
_SERVER = re.compile(rf"{_HOST}(?::[0-9]{{1,5}})?(?:/[^?\s]*)?(?:\?\S*)?", re.ASCII)
_SECRET = re.compile(r"password|secret|token|key", re.IGNORECASE)
_FORMS = "sqlite:///FILE or postgresql://USER@HOST/DATABASE"


def store_url_problem(url: str) -> str | None:
    """Why `url` is not a store's, or could be read in two ways, without showing it; `None` for a good one.

    In one that passes every parser finds the same password.
    """
    scheme = _SCHEME.match(url)
    if scheme is None:
        return f"a store is {_FORMS}"
    rest = url[scheme.end() :]
    if scheme[1]:
        return None if not rest or rest.startswith("/") else f"it names no file; write {_FORMS}"
    login, at, server = rest.rpartition("@")
    if at and re.search(r"[\s/?#\[\]@]", login):
        codes = ", ".join(f"{character} as {code}" for character, code in ENCODED.items())
        return f"where its password ends is not clear: percent-encode the password, the user and other values ({codes})"
    if not _SERVER.fullmatch(server):
        return "not a URL: host, port or database cannot be read; write postgresql://USER@HOST:5432/DATABASE"
    return None


def display_url(url: str) -> str:
    """Return a store's URL without password and options, to show to people; of a wrong one its scheme alone."""
    scheme = _SCHEME.match(url)
    if scheme is None:
        return "an unknown URL"
    engine, rest = scheme[1] or "postgresql", url[scheme.end() :]
    if store_url_problem(url) is not None:
        return f"{engine}://…"
    if engine == "sqlite":
        return f"sqlite://{rest.partition('?')[0]}"
    login, at, server = rest.partition("?")[0].rpartition("@")
    return f"{engine}://{login.partition(':')[0]}{at}{server}"


def url_secrets(url: str) -> Iterator[str]:
    """Yield what is secret in a good URL, as it is written and as it is meant: its password, and keys in its query."""
    before, _, query = url.partition("?")
    written = [before.partition("://")[2].rpartition("@")[0].partition(":")[2]]
    written += [
        value for name, _, value in (option.partition("=") for option in query.split("&")) if _SECRET.search(name)
    ]
    for value in written:
        yield from (value, unquote(value))
