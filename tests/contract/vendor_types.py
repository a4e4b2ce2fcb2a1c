"""The vendor's published types as JSON schemas: what each operation takes and what it answers."""

from __future__ import annotations

import fcntl
import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from jsonschema import Draft7Validator, FormatChecker

Schema = Mapping[str, Any]

SDK: Final = "@prisma/management-api-sdk"
_HERE: Final = Path(__file__).parent
_QUIETLY: Final = ("--ignore-scripts", "--no-audit", "--no-fund")
_SOURCES: Final = ("package.json", "package-lock.json", "tsconfig.json", "vendor.ts")
_FORMAT: Final = re.compile(r"Format: (\S+)")
_FORMATS: Final = FormatChecker(())


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the API. `path` is the vendor's template; a schema that is `None` stands for "no body"."""

    method: str
    path: str
    summary: str
    path_parameters: Schema
    query: Schema
    request: Schema | None
    is_request_required: bool
    answers: Mapping[int, Schema | None]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    def answer(self, status: int) -> Schema | None:
        """The schema of a status' body.

        Raises:
            KeyError: the vendor does not declare the status for this operation.
        """
        return self.answers[status]


class Contract:
    """Every operation of the API, by method and path."""

    def __init__(self, paths: dict[str, Any]) -> None:
        self.paths: Final = paths
        self.operations: Final = tuple(
            _operation(method.upper(), path, declared)
            for path, methods in paths.items()
            for method, declared in methods["properties"].items()
            if "responses" in declared.get("properties", {})
        )

    def find(self, method: str, path: str) -> Operation:
        """The operation of a request: `path` is one that was sent, or a template with any names in its braces.

        Raises:
            KeyError: there is no such operation.
        """
        wanted = path.partition("?")[0].strip("/").split("/")
        fitting = [operation for operation in self.operations if operation.method == method.upper()]
        # A fixed word beats a parameter: /v1/regions/postgres is no region's id.
        for operation in sorted(fitting, key=lambda operation: operation.path.count("{")):
            parts = operation.path.strip("/").split("/")
            if len(parts) == len(wanted) and all(
                part.startswith("{") or part == word for part, word in zip(parts, wanted, strict=True)
            ):
                return operation
        raise KeyError(f"{method} {path}")


def problems(schema: Schema | None, document: Any, *, exact: bool = False) -> list[str]:
    """What is wrong with a decoded body, `None` being no body at all; `exact` refuses members that are not declared."""
    if schema is None:
        return [] if document is None else ["a body where the vendor sends none"]
    validator = Draft7Validator(closed(schema) if exact else schema, format_checker=_FORMATS)
    return [f"{error.json_path}: {error.message[:300]}" for error in _leaves(validator.iter_errors(document))]


def body_problems(schema: Schema | None, body: bytes) -> list[str]:
    """What is wrong with a body as it was sent, members that are not declared included."""
    return problems(schema, json.loads(body) if body else None, exact=True)


def closed(schema: Any) -> Any:
    """The schema with no members but those that are declared."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, Mapping):
        return schema
    inner = {key: closed(part) for key, part in schema.items()}
    if schema.get("type") == "object" and schema.get("properties") and "additionalProperties" not in schema:
        return {**inner, "additionalProperties": False}
    return inner


def pinned_contract(cache: Path) -> Contract:
    """The contract of the locked version, made once for a cache directory whatever number of workers asks for it."""

    def build(folder: Path) -> None:
        (folder / "schemas.json").write_text(json.dumps(generated(folder)))
        shutil.rmtree(folder / "node_modules")

    folder = installed(cache, [_HERE / name for name in _SOURCES], then=build)
    return Contract(json.loads((folder / "schemas.json").read_text()))


def installed(cache: Path, sources: Sequence[Path], *options: str, then: Callable[[Path], None]) -> Path:
    """A folder with the packages that a lock file pins and what `then` makes of them, kept until a source changes."""
    key = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:16]
    ready = cache / f"npm-{key}"
    with (cache / "building").open("w") as building:
        fcntl.flock(building, fcntl.LOCK_EX)
        if not ready.exists():
            folder = _fresh_folder(cache / f"npm-{key}.part", sources)
            _run(folder, "npm", "ci", *_QUIETLY, *options)
            then(folder)
            folder.rename(ready)
    return ready


def newest_contract(folder: Path) -> tuple[str, Contract]:
    """The version that the configured registry calls the latest, and its contract; `folder` is an empty directory."""
    _fresh_folder(folder, [_HERE / name for name in _SOURCES])
    _run(folder, "npm", "install", *_QUIETLY, f"{SDK}@latest")
    manifest = json.loads((folder / "node_modules" / SDK / "package.json").read_text())
    return manifest["version"], Contract(generated(folder))


def generated(folder: Path) -> dict[str, Any]:
    """The schemas of every path, from the packages installed in a folder."""
    text = _run(
        folder,
        *("npx", "--no-install", "ts-json-schema-generator", "--tsconfig", "tsconfig.json", "--path", "vendor.ts"),
        *("--type", "Contract", "--expose", "none", "--no-top-ref", "--additional-properties"),
    )
    document = json.loads(text)
    if document.get("definitions"):
        raise AssertionError("the schemas refer to definitions: resolve them before they are cut apart")
    paths: dict[str, Any] = _with_formats(document["properties"])
    return paths


def _operation(method: str, path: str, declared: Mapping[str, Any]) -> Operation:
    members = declared["properties"]
    parameters = members["parameters"].get("properties", {})
    body = members.get("requestBody", {}).get("properties")
    return Operation(
        method=method,
        path=path,
        summary=declared.get("description", ""),
        path_parameters=parameters.get("path", _NOTHING),
        query=parameters.get("query", _NOTHING),
        request=None if body is None else _content(body),
        is_request_required=body is not None and "requestBody" in declared.get("required", ()),
        answers={
            int(status): _content(answer.get("properties", {}))
            for status, answer in members["responses"]["properties"].items()
        },
    )


_NOTHING: Final[Schema] = {"type": "object", "properties": {}}


def _content(message: Mapping[str, Any]) -> Schema | None:
    kinds = message.get("content", {}).get("properties", {})
    schema: Schema | None = kinds.get("application/json")
    return schema


def _with_formats(schema: Any) -> Any:
    """The types keep a string's format in its description only."""
    if isinstance(schema, list):
        return [_with_formats(part) for part in schema]
    if not isinstance(schema, Mapping):
        return schema
    inner = {key: _with_formats(part) for key, part in schema.items()}
    told = _FORMAT.search(text) if isinstance(text := schema.get("description"), str) else None
    return {**inner, "format": told[1]} if told and "type" in schema else inner


def _leaves(errors: Iterator[Any]) -> Iterator[Any]:
    """Of alternatives that all fail, what is wrong with the one that fits best."""
    for error in errors:
        if error.context:
            by_branch: dict[int, list[Any]] = {}
            for inner in error.context:
                by_branch.setdefault(inner.schema_path[0], []).append(inner)
            yield from _leaves(iter(max(by_branch.values(), key=lambda found: max(len(e.path) for e in found))))
        else:
            yield error


def _fresh_folder(folder: Path, sources: Iterable[Path]) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for source in sources:
        shutil.copy(source, folder / source.name)
    return folder


def _run(folder: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(f"{' '.join(command)}: {done.stderr or done.stdout}")
    return done.stdout


def _is_date_time(text: object) -> bool:
    return not isinstance(text, str) or ("T" in text and datetime.fromisoformat(text).tzinfo is not None)


def _is_uri(text: object) -> bool:
    return not isinstance(text, str) or bool(urlsplit(text).scheme)


_FORMATS.checks("date-time", raises=ValueError)(_is_date_time)
_FORMATS.checks("uri", raises=ValueError)(_is_uri)
