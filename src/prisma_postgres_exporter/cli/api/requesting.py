"""`api request`: any operation of the API, as JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from prisma_postgres_exporter.cli.api.asking import ask
from prisma_postgres_exporter.cli.api.command import Work, command
from prisma_postgres_exporter.cli.api.options import YesOption
from prisma_postgres_exporter.cli.api.running import Session, changing, printed
from prisma_postgres_exporter.cli.printing import print_document
from prisma_postgres_exporter.errors import ConfigurationError

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


@command(is_revealing=True)
def request(
    method: Annotated[str, typer.Argument(help="GET, POST, PUT, PATCH or DELETE.", metavar="METHOD")],
    path: Annotated[str, typer.Argument(help="Like /v1/buckets.", metavar="PATH")],
    query: Annotated[
        list[str] | None, typer.Option("--query", help="A part of the query; may be repeated.", metavar="NAME=VALUE")
    ] = None,
    body: Annotated[
        str | None, typer.Option(help="JSON to send, or @FILE with it; @- is standard input.", metavar="JSON")
    ] = None,
    yes: YesOption = False,
) -> Work:
    """Make any request. Also one that has no command: Compute, buckets, environment variables.

    Prints the JSON of the answer as it came, with whatever secrets it holds. Everything but GET asks before.
    """
    method = method.upper()
    if method not in METHODS:
        raise ConfigurationError([f"{method}: is not a method; give {', '.join(METHODS[:-1])} or {METHODS[-1]}"])
    asked = dict(_pair(part) for part in query or ())
    sent = None if body is None else _document(body)

    async def work(session: Session) -> None:
        api = session.only("--workspace: say whose credential makes the request").api
        if method != "GET":
            ask(f"Send {method} {path}?", [f"whatever {method} {path} changes"], is_answered=yes)
        with changing("It may have been done all the same: look before trying again."):
            answered = await api.request(method, path, query=asked, body=sent)
        if answered is not None:
            document = json.dumps(answered, indent=2, ensure_ascii=False)
            if method == "GET":
                print_document(document)
                return
            with printed(f"{method} {path} was answered", "Look before you make it again."):
                print_document(document)

    return work


def _pair(part: str) -> tuple[str, str]:
    name, equals, value = part.partition("=")
    if not name or not equals:
        raise ConfigurationError([f"--query {part}: write it like limit=10"])
    return name, value


def _document(text: str) -> Any:
    try:
        if text.startswith("@"):
            text = sys.stdin.read() if text == "@-" else Path(text[1:]).read_text(encoding="utf-8")
        return json.loads(text)
    except OSError as error:
        raise ConfigurationError([f"--body {text}: cannot be read: {error.strerror}"]) from error
    except ValueError as error:
        raise ConfigurationError([f'--body: not JSON: {error}; write it like {{"key": "value"}}']) from error
