"""Random bodies from the vendor's schemas: good ones, and good ones with one thing wrong."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

from hypothesis import strategies as st
from vendor_types import Schema

_PREFIXES = {"workspace": "wksp_", "project": "proj_", "database": "db_", "branch": "br_", "createdByUser": "usr_"}
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
_CUID = st.text(_LETTERS, min_size=1, max_size=25)
_INSTANTS = st.integers(1_000_000_000_000, 7_000_000_000_000).map(
    lambda ms: f"{datetime.fromtimestamp(ms / 1000, UTC).replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"
)
_STRINGS = st.builds("{}://u{}:pass@h/db".format, st.sampled_from(["postgres", "postgresql", "prisma+postgres"]), _CUID)
_EMPTY: st.SearchStrategy[list[object]] = st.builds(list)
_JSON: st.SearchStrategy[Any] = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 5), st.text(max_size=5), _EMPTY, st.builds(dict, a=_EMPTY)
)


def bodies(schema: Schema, *, owner: str = "", name: str = "", is_exact: bool = False) -> st.SearchStrategy[Any]:
    """Bodies that fit `schema`, with unknown members, unknown words and both spellings of ids.

    An optional member is there, null or left out. With `is_exact` there is nothing but what the types say. `name` is
    the member that the value stands for, in a thing `owner`.
    """
    kind = schema.get("type")
    alternatives = schema.get("anyOf") or [{**schema, "type": one} for one in (kind if isinstance(kind, list) else ())]
    if alternatives:
        return st.one_of([bodies(part, owner=owner, name=name, is_exact=is_exact) for part in alternatives])
    if "const" in schema:
        return st.just(schema["const"])
    if "enum" in schema:
        return st.sampled_from(schema["enum"] if is_exact else [*schema["enum"], "a-word-of-tomorrow"])
    makers: Mapping[str, Callable[[], st.SearchStrategy[Any]]] = {
        "object": lambda: _objects(schema, owner=name or owner, is_exact=is_exact),
        "array": lambda: st.lists(bodies(schema["items"], owner=name or owner, is_exact=is_exact), max_size=3),
        "string": lambda: _strings(schema, owner, name),
        "number": lambda: st.integers(0, 60_000) | st.floats(0, 60_000) if name == "used" else st.integers(0, 65_535),
        "boolean": st.booleans,
        "null": st.none,
    }
    return makers[str(kind)]() if kind else _JSON


def _objects(schema: Schema, *, owner: str, is_exact: bool) -> st.SearchStrategy[dict[str, Any]]:
    properties: Mapping[str, Schema] = schema.get("properties", {})
    required = set(schema.get("required", ()))
    said = properties.get("type", {}).get("const", owner)
    members = {name: bodies(inner, owner=said, name=name, is_exact=is_exact) for name, inner in properties.items()}
    known = st.fixed_dictionaries(
        {name: value for name, value in members.items() if name in required},
        optional={
            name: value if is_exact else st.none() | value for name, value in members.items() if name not in required
        },
    )
    unknown = st.dictionaries(st.sampled_from(["tomorrow", "password2"]), _JSON, max_size=int(not is_exact))
    return st.builds(lambda new, old: {**new, **old}, unknown, known)


def _strings(schema: Schema, owner: str, name: str) -> st.SearchStrategy[str]:
    if schema.get("format") == "date-time":
        return _INSTANTS
    if schema.get("format") == "uri":
        return st.builds("https://api.prisma.io/v1/{}".format, _CUID)
    if name == "connectionString":
        return _STRINGS
    if name == "defaultConnectionId" or (name, owner) == ("id", "connection"):
        return st.sampled_from(["", "con_", "conn_"]).flatmap(lambda prefix: _CUID.map(prefix.__add__))
    prefix = _PREFIXES.get(owner if name == "id" else name.removesuffix("Id"), "")
    if name == "id" or name.endswith("Id"):
        return st.sampled_from(["", prefix]).flatmap(lambda prefix: _CUID.map(prefix.__add__))
    return st.text(max_size=12)


@st.composite
def broken(draw: st.DrawFn, good: st.SearchStrategy[Any]) -> bytes:
    """A good body with one value of another kind, one member less, or its end cut off."""
    document = draw(good)
    text = json.dumps(document).encode()
    document = json.loads(text)
    if draw(st.integers(0, 5)) == 0:
        return text[: draw(st.integers(0, len(text)))]
    places: list[Callable[[Any], None]] = []
    _collect(document, places)
    if not places:
        return json.dumps(draw(_JSON)).encode()
    draw(st.sampled_from(places))(draw(_JSON))
    return json.dumps(document).encode()


def _collect(value: Any, places: list[Callable[[Any], None]]) -> None:
    keys: list[Any] = (
        list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    )
    for key in keys:
        places.append(partial(value.__setitem__, key))
        if isinstance(value, dict):
            places.append(partial(_without, value, key))
        _collect(value[key], places)


def _without(members: dict[str, Any], name: str, _: object) -> None:
    del members[name]
