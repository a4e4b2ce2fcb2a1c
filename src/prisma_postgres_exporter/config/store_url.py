"""The store's URL as text: what is wrong with it, and how it is shown; SQLAlchemy reads what passes here."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from urllib.parse import parse_qsl, unquote

from prisma_postgres_exporter.config.address import has_no_encoding

ENCODED = {"/": "%2F", "?": "%3F", "#": "%23", "[": "%5B", "]": "%5D", "@": "%40"}
"""Characters that end a part of a URL, and how they are written in a user or a password."""

OPTIONS = frozenset(
    {
        *("application_name", "channel_binding", "client_encoding", "connect_timeout", "dbname"),
        *("fallback_application_name", "gssdelegation", "gssencmode", "gsslib", "host", "hostaddr", "keepalives"),
        *("keepalives_count", "keepalives_idle", "keepalives_interval", "krbsrvname", "load_balance_hosts"),
        *("max_protocol_version", "min_protocol_version", "oauth_client_id", "oauth_client_secret", "oauth_issuer"),
        *("oauth_scope", "options", "passfile", "password", "port", "replication", "require_auth", "requirepeer"),
        *("scram_client_key", "scram_server_key", "service", "ssl_max_protocol_version", "ssl_min_protocol_version"),
        *("sslcert", "sslcertmode", "sslcompression", "sslcrl", "sslcrldir", "sslkey", "sslkeylogfile", "sslmode"),
        *("sslnegotiation", "sslpassword", "sslrootcert", "sslsni", "target_session_attrs", "tcp_user_timeout", "user"),
    }
)
"""What libpq takes behind the `?`: https://www.postgresql.org/docs/current/libpq-connect.html."""

_NUMBERS = re.compile(r"connect_timeout|keepalives.*|tcp_user_timeout")
_SCHEME = re.compile(r"(sqlite)(?:\+pysqlite)?://|postgres(?:ql(?:\+psycopg)?)?://")
_HOST = r"(?:\[[0-9A-Fa-f:.]+(?:%\w+)?\]|[^\[\]/:?#\s]*)"
_SERVER = re.compile(rf"{_HOST}(?::[0-9]{{1,5}})?(?:/[^?\s]*)?(?:\?\S*)?", re.ASCII)
_PORT = re.compile(rf"{_HOST}:([0-9]+)", re.ASCII)
LAST_PORT = 65_535
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
    if "\0" in url or has_no_encoding(url) or (not scheme[1] and "%00" in url):
        # libpq would read up to it.
        return "a character stands in it that no file, user, password or database has (NUL, or half of one)"
    if scheme[1]:
        return _problem_of_file(rest)
    return _problem_of_server(rest)


def _problem_of_server(rest: str) -> str | None:
    login, at, server = rest.rpartition("@")
    if at and re.search(r"[\s/?#\[\]@]", login):
        codes = ", ".join(f"{character} as {code}" for character, code in ENCODED.items())
        return f"where its password ends is not clear: percent-encode the password, the user and other values ({codes})"
    if not _SERVER.fullmatch(server):
        return "not a URL: host, port or database cannot be read; write postgresql://USER@HOST:5432/DATABASE"
    port = _PORT.match(server)
    options = parse_qsl(server.partition("?")[2], keep_blank_values=True)
    ports = [one for name, value in options if name == "port" for one in value.split(",") if one]
    if not all(_is_port(one) for one in (*ports, *([port[1]] if port else []))):
        return "its port is none: write a number from 1 to 65535"
    return next(filter(None, (_option_problem(name, value) for name, value in options)), None)


def _problem_of_file(rest: str) -> str | None:
    path, _, query = rest.partition("?")
    if path and not path.startswith("/"):
        return f"it names no file; write {_FORMS}"
    if any(name != "timeout" or not _is_number(value) for name, value in parse_qsl(query, keep_blank_values=True)):
        return "a store in a file has no options; write sqlite:///FILE"
    return None


def _option_problem(name: str, value: str) -> str | None:
    if name not in OPTIONS:
        # It is not shown: what ends up there may be half of a password.
        near = difflib.get_close_matches(name.lower(), OPTIONS, n=1)
        return f"an option behind the ? is not one that Postgres knows{f'; did you mean {near[0]}?' if near else ''}"
    if _NUMBERS.fullmatch(name) and not _is_number(value):
        return f"{name} behind the ? must be a number"
    return None


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and 1 <= int(text) <= LAST_PORT


def _is_number(text: str) -> bool:
    return re.fullmatch(r"-?\d{1,9}", text, re.ASCII) is not None


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
