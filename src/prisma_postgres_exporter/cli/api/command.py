"""What makes a function a command of `api`: the options that they all have, and the clients to work with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import Enum
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Any

from prisma_postgres_exporter.cli.api.options import WorkspaceOption
from prisma_postgres_exporter.cli.api.running import Session, run
from prisma_postgres_exporter.cli.options import (
    ApiUrlOption,
    ConfigOption,
    CsvOption,
    JsonOption,
    RawOption,
    WideOption,
)
from prisma_postgres_exporter.cli.printing import Form, form

Work = Callable[[Session], Awaitable[None]]
"""What a command does with its credentials, once its arguments are known to be good."""


class Prints(Enum):
    """What a command prints on standard output, and so by which options its form is chosen."""

    NOTHING = ()
    ONE = (("as_json", JsonOption), ("as_csv", CsvOption), ("is_raw", RawOption))
    LIST = (*ONE, ("is_wide", WideOption))


def command(
    prints: Prints = Prints.NOTHING, *, of_workspace: bool = True, is_revealing: bool = False
) -> Callable[[Callable[..., Work]], Callable[..., None]]:
    """From a function that looks at its arguments and returns its work to one that Typer takes, and that does the work.

    What is printed in a form gets the form first. Without `of_workspace` there is no `--workspace`, or it is the
    function's own. `is_revealing` says that secrets may be printed without `--reveal`.
    """

    def made(function: Callable[..., Work]) -> Callable[..., None]:
        own = list(signature(function, eval_str=True).parameters.values())[prints is not Prints.NOTHING :]
        forms = [_option(name, kind, False) for name, kind in prints.value]
        shared = [_option("config", ConfigOption, None), _option("api_url", ApiUrlOption, None)]
        if of_workspace:
            shared.insert(0, _option("workspace", WorkspaceOption, None))

        @wraps(function)
        def called(**given: Any) -> None:
            chosen = form(**{option.name: given.pop(option.name) for option in forms}) if forms else Form.JSON
            where = {"workspace": None, **{option.name: given.pop(option.name) for option in shared}}
            work = function(chosen, **given) if forms else function(**given)
            run(work, **where, reveal=given.get("reveal", is_revealing), chosen=chosen)

        options = [option.replace(kind=Parameter.KEYWORD_ONLY) for option in (*own, *forms, *shared)]
        called.__annotations__ = {option.name: option.annotation for option in options}
        called.__signature__ = Signature(options)  # type: ignore[attr-defined]  # what Typer makes options of
        return called

    return made


def _option(name: str, kind: Any, default: object) -> Parameter:
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=kind)
