"""The tables of the guide's page on configuration, made from the models."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from itertools import groupby
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from prisma_postgres_exporter.config import Config, format_duration
from prisma_postgres_exporter.config.loading import ENVIRONMENT, FLAGS, VENDORS_TOKEN, VENDORS_URL
from prisma_postgres_exporter.config.push import HeaderConfig, SecretConfig
from prisma_postgres_exporter.config.values import RollingWindow

OF_THEIR_OWN = {
    "PRISMA_POSTGRES_TOKEN": "Service tokens, separated by commas",
    "PRISMA_POSTGRES_TOKEN_FILE": "A file with one token, or a directory with one token a file, read again on change",
    "PRISMA_POSTGRES_CONFIG": "The configuration file",
    "PRISMA_POSTGRES_LOG": "`debug` logs every request to the API and every answer without its body, `info` one line "
    "for each attempt; secrets are left out",
    VENDORS_TOKEN: "Read where `PRISMA_POSTGRES_TOKEN` is not set",
    VENDORS_URL: "Read where `PRISMA_POSTGRES_API_URL` is not set",
}
"""Variables that say something else than the key which they set."""

HEADER = "| key | default | what it is |\n|---|---|---|\n"
WRITTEN_AS_TEXT = (RollingWindow, SecretConfig, HeaderConfig)


def keys_table() -> str:
    """Every key of the configuration file, a table for each section."""
    sections = groupby(keys(), key=lambda row: re.split(r"[.\[]", row[0])[0])
    return "\n".join(f"### {name}\n\n{HEADER}{''.join(_row(*row) for row in rows)}" for name, rows in sections)


def secrets_table() -> str:
    """The keys of a secret."""
    return HEADER + "".join(_row(key, field) for key, field in keys(SecretConfig))


def environment_table() -> str:
    """Every variable and flag that sets a key or says something of its own."""
    keys_of: dict[str, tuple[str, ...]] = {
        **ENVIRONMENT,
        VENDORS_TOKEN: ENVIRONMENT["PRISMA_POSTGRES_TOKEN"],
        VENDORS_URL: ENVIRONMENT["PRISMA_POSTGRES_API_URL"],
    }
    flags = {key: flag for flag, key in FLAGS.items()}
    named = dict(keys())
    rows = []
    for variable, path in keys_of.items():
        key = ".".join(path)
        flag = "--config" if variable == "PRISMA_POSTGRES_CONFIG" else flags.get(path, "")
        meaning = OF_THEIR_OWN.get(variable) or named[key].description
        rows.append(f"| `{variable}` | {flag and f'`{flag}`'} | {key and f'`{key}`'} | {meaning} |\n")
    return "| variable | flag | key | what it is |\n|---|---|---|---|\n" + "".join(rows)


def keys(model: type[BaseModel] = Config, prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every key that can be written, as a path; `[]` is each of a list."""
    for name, field in model.model_fields.items():
        if field.exclude:
            continue
        key = prefix + (field.alias or name)
        inside = _model(field.annotation)
        if field.description:
            yield key, field
        if inside is not None:
            is_list = get_origin(field.annotation) is tuple
            yield from keys(inside, f"{key}{'[]' if is_list else ''}.")
        elif not field.description:
            raise ValueError(f"{key} says nothing of what it is")


def keys_schema(model: type[BaseModel] = Config) -> dict[str, Any]:
    """The file's keys as a JSON schema, closed where a section is; what a value may be the exporter says itself."""
    properties: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        if not field.exclude:
            inside = _model(field.annotation)
            schema = {} if inside is None else keys_schema(inside)
            is_list = inside is not None and get_origin(field.annotation) is tuple
            properties[field.alias or name] = {"type": "array", "items": schema} if is_list else schema
    return {
        "type": "object",
        "additionalProperties": model.model_config.get("extra") != "forbid",
        "properties": properties,
    }


def _model(annotation: Any) -> type[BaseModel] | None:
    """The section that a key holds, or a list of; windows are written as texts."""
    for part in (annotation, *get_args(annotation)):
        if isinstance(part, type) and issubclass(part, BaseModel) and part not in WRITTEN_AS_TEXT:
            return part
    return None


def _row(key: str, field: FieldInfo) -> str:
    return f"| `{key}` | {_default(field)} | {field.description} |\n"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    written = _written(field.get_default(call_default_factory=True))
    return f"`{written}`" if written else ""


def _written(value: Any) -> str:
    """A value as it is written in the file, nothing where it is empty."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, timedelta):
        return format_duration(value)
    if isinstance(value, RollingWindow):
        return value.name
    if isinstance(value, tuple):
        return _written(value[0]) if len(value) == 1 else f"[{', '.join(map(_written, value))}]" if value else ""
    return "" if value is None or value == {} or isinstance(value, BaseModel) else str(value)
