"""Flags over environment over file, with every problem found in one go.

pydantic-settings reads such sources too, but neither knows the line of a key nor the nearest known
name of a wrong one; reading three short lists is less than teaching it both.
"""

from __future__ import annotations

import difflib
import re
import shlex
import stat
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from prisma_postgres_exporter.config.prices import PACKAGED, PriceFile, PriceRow, contradictions
from prisma_postgres_exporter.config.store_url import display_url
from prisma_postgres_exporter.config.token_text import shown_path
from prisma_postgres_exporter.config.values import PROGRAM, Config, Sources
from prisma_postgres_exporter.config.yaml_file import NO_TEXT, Key, read_yaml
from prisma_postgres_exporter.errors import ConfigurationError
from prisma_postgres_exporter.words import plainly

ENVIRONMENT = {
    "PRISMA_POSTGRES_TOKEN": ("credentials",),
    "PRISMA_POSTGRES_TOKEN_FILE": ("credentials",),
    "PRISMA_POSTGRES_CONFIG": (),
    "PRISMA_POSTGRES_API_URL": ("api_url",),
    "PRISMA_POSTGRES_STORE_URL": ("store", "url"),
    "PRISMA_POSTGRES_LISTEN": ("web", "listen"),
    "PRISMA_POSTGRES_WEB_CONFIG_FILE": ("web", "config_file"),
    "PRISMA_POSTGRES_POLL_INTERVAL": ("poll", "interval"),
    "PRISMA_POSTGRES_WINDOWS": ("poll", "windows"),
    "PRISMA_POSTGRES_LOG": (),
}
"""Every variable that is read, with the key it sets; the client reads that of its log itself."""

FLAGS = {
    "--api-url": ("api_url",),
    "--store-url": ("store", "url"),
    "--listen": ("web", "listen"),
    "--web-config-file": ("web", "config_file"),
}
"""Every flag that sets a key; they win over variables."""

VENDORS_TOKEN = "PRISMA_SERVICE_TOKEN"  # noqa: S105  # a variable's name, no token
VENDORS_URL = "PRISMA_MANAGEMENT_API_URL"
PREFIX = "PRISMA_POSTGRES_"
MOST_PROBLEMS = 100

# What Kubernetes adds for every Service of the namespace:
# https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
_SERVICE_LINK = re.compile(
    r"[A-Z0-9_]+_(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]+)?|PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:ADDR|PORT|PROTO))?)"
)


def load_config(
    *,
    environ: Mapping[str, str],
    config_path: str | None = None,
    api_url: str | None = None,
    store_url: str | None = None,
    listen: str | Sequence[str] | None = None,
    web_config_file: str | None = None,
    needed: Collection[str] | None = None,
    look_beside: Callable[[Config], Iterable[str]] = lambda config: (),
    program: str = PROGRAM,
) -> Config:
    """Read the configuration; a flag that is `None` was not given. `program` is how this one is started in a shell.

    What is wrong in other sections than the `needed` ones (`None`: all are needed) is a warning, and those sections
    are the defaults. Where something is wrong, what of it is sound is given to `look_beside`, which yields what is
    wrong with the files that it names: who mends it is told of all at once.

    Raises:
        ConfigurationError: with one line for every problem: what, where, and what to do; then the warnings, which
            are not enough to raise it.
    """
    problems: list[str] = []
    path = config_path or environ.get("PRISMA_POSTGRES_CONFIG") or None
    places: dict[Key, str] = {}
    values: dict[str, object] = {}
    if path is not None:
        values, found = read_yaml(path, places)
        problems.extend(found)
        _find_web_file(values, Path(path))
    warnings = list(_unknown_variables(environ, _token_variables(values)))
    for variable, value in environ.items():
        if ENVIRONMENT.get(variable) and value:
            warnings.extend(_discarded(values, places, variable))
            _set_from_environment(values, places, variable, value)
    if environ.get(VENDORS_TOKEN) and not environ.get("PRISMA_POSTGRES_TOKEN"):
        warnings.extend(_discarded(values, places, VENDORS_TOKEN))
        _set_from_environment(values, places, VENDORS_TOKEN, environ[VENDORS_TOKEN])
    if environ.get(VENDORS_URL) and not environ.get("PRISMA_POSTGRES_API_URL"):
        _set(values, places, ("api_url",), environ[VENDORS_URL], VENDORS_URL)
    flags = {
        "--api-url": api_url,
        "--store-url": store_url,
        "--listen": listen or None,
        "--web-config-file": web_config_file,
    }
    for flag, given in flags.items():
        if given is not None:
            _set(values, places, FLAGS[flag], given, flag)
    try:
        config = Config.model_validate(values)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_input=False)
        # One line for each value: what is no text is wrong in other ways too.
        noted = tuple(problem.partition(NO_TEXT)[0] for problem in problems if NO_TEXT in problem)
        found_wrong = [line for line in described(errors, places) if not line.startswith(noted)]
        wrong = {str(details["loc"][0]) if details["loc"] else "" for details in errors}
        if needed is None or problems or not wrong.isdisjoint({"", *needed}):
            problems.extend(found_wrong)
            config = _sound(values, errors)
        else:
            warnings.extend(f"{line}; not needed here, ignored" for line in found_wrong)
            config = Config.model_validate({key: value for key, value in values.items() if key not in wrong})
    prices, found = _read_prices(config)
    problems.extend(found or _unknown_prices(config, prices, places))
    if problems:
        raise ConfigurationError([*problems, *look_beside(config), *warnings])
    warnings.extend(_open_files(config))
    warnings.extend(_same_names(config))
    sources = Sources(
        store_url=places.get(("store", "url")),
        cost=places.get(("cost",)),
        flags=_typed(path, api_url, config.store.url),
        program=program,
        file=str(Path(path).absolute()) if path is not None else None,
    )
    return config.model_copy(update={"prices": prices, "sources": sources, "warnings": tuple(warnings)})


def _sound(values: Mapping[str, object], errors: Sequence[ErrorDetails]) -> Config:
    """What is left without the keys that are wrong, or without their sections."""
    for depth in (2, 1):
        wrong = {details["loc"][:depth] for details in errors}
        left: dict[str, object] = {}
        for name, section in values.items():
            if (name,) in wrong:
                continue
            if isinstance(section, dict):
                left[name] = {key: value for key, value in section.items() if (name, key) not in wrong}
            elif all(name != key[0] for key in wrong if key):
                left[name] = section
        with suppress(ValidationError):
            return Config.model_validate(left)
    return Config()


def _find_web_file(values: Mapping[str, object], path: Path) -> None:
    """A web configuration file that a file names is beside it, as what it names itself is beside it."""
    web = values.get("web")
    if isinstance(web, dict) and isinstance(named := web.get("config_file"), str) and named:
        web["config_file"] = str(path.parent / named)


def _typed(config_path: str | None, api_url: str | None, store_url: str | None) -> str:
    """The flags that were given, to be typed again, and where the store is: it means the same in every directory."""
    shown = display_url(_absolute(store_url)) if store_url else None
    flags = {"--config": config_path, "--api-url": api_url, "--store-url": shown}
    return " ".join(f"{flag} {shlex.quote(value)}" for flag, value in flags.items() if value)


def _absolute(url: str) -> str:
    """A store's URL that means the same in every directory."""
    scheme, is_file, path = url.partition(":///")
    return f"{scheme}:///{Path(path).absolute()}" if is_file and scheme.startswith("sqlite") else url


def _unknown_variables(environ: Mapping[str, str], named: Collection[str]) -> Iterator[str]:
    for variable, value in sorted(environ.items()):
        is_known = variable in ENVIRONMENT or variable in named
        if variable.startswith(PREFIX) and not is_known and not _is_service_link(variable, value):
            yield f"{variable}: unknown variable, ignored{_nearest(variable, ENVIRONMENT)}"


def _token_variables(values: Mapping[str, object]) -> frozenset[str]:
    """The variables that the file's credentials name, whether the rest of it is right or not."""
    credentials = values.get("credentials")
    sources = [source for source in credentials if isinstance(source, dict)] if isinstance(credentials, list) else []
    return frozenset(name for source in sources if isinstance(name := source.get("token_env"), str))


def _is_service_link(variable: str, value: str) -> bool:
    # PRISMA_POSTGRES_PORT=9478 is a user's mistake, PRISMA_POSTGRES_PORT=tcp://10.0.0.1:9478 is Kubernetes.
    is_address = variable.endswith("_PORT") and value.startswith(("tcp://", "udp://", "sctp://"))
    return is_address or _SERVICE_LINK.fullmatch(variable) is not None


def _nearest(given: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(given, list(known), n=1, cutoff=0.5)
    return f"; did you mean {near[0]}?" if near else f"; known are {', '.join(sorted(known))}"


# Prices -----------------------------------------------------------------------------------------
def _read_prices(config: Config) -> tuple[tuple[PriceRow, ...], list[str]]:
    """Return the rows of the configured price file, or of the packaged one, and the file's problems."""
    return _read_price_file(str(config.cost.prices_file)) if config.cost.prices_file else _packaged_prices()


@cache
def _packaged_prices() -> tuple[tuple[PriceRow, ...], list[str]]:
    return _read_price_file(str(PACKAGED))


def _read_price_file(path: str) -> tuple[tuple[PriceRow, ...], list[str]]:
    places: dict[Key, str] = {}
    values, problems = read_yaml(path, places)
    if problems:
        return (), problems
    try:
        rows = PriceFile.model_validate(values).prices
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        return (), described(found, places, PriceFile)
    wrong = [f"{places['prices', number]}: {message}" for number, message in contradictions(rows)]
    return rows, wrong


def _unknown_prices(config: Config, prices: Iterable[PriceRow], places: Mapping[Key, str]) -> Iterator[str]:
    """Yield plans and versions that the configuration chooses and no row has."""
    plans = sorted({row.plan.lower() for row in prices})
    for number, workspace in enumerate(config.cost.workspaces):
        key: Key = ("cost", "workspaces", number)
        if workspace.prices is not None:
            continue
        plan = workspace.plan.lower() if workspace.plan else None
        if plan is not None and plan not in plans:
            place = places.get((*key, "plan"), "")
            yield f"{place}: cost.workspaces.{number}.plan: no such plan{_nearest(plan, plans)}"
            continue
        versions = sorted({row.version for row in prices if plan in {None, row.plan.lower()}})
        if workspace.price_version is not None and workspace.price_version not in versions:
            place = places.get((*key, "price_version"), "")
            nearest = _nearest(workspace.price_version, versions)
            yield f"{place}: cost.workspaces.{number}.price_version: no such version{nearest}"


# Environment and flags --------------------------------------------------------------------------
def _set_from_environment(values: dict[str, object], places: dict[Key, str], variable: str, value: str) -> None:
    key = ENVIRONMENT.get(variable, ("credentials",))
    given: object = value
    if variable == "PRISMA_POSTGRES_TOKEN_FILE":
        given = [*_from_environment(values, places), {"token_file": value}]
    elif key == ("credentials",):
        tokens = [part.strip() for part in value.split(",") if part.strip()]
        given = [*_from_environment(values, places), *({"token": token} for token in tokens)]
    elif variable in {"PRISMA_POSTGRES_WINDOWS", "PRISMA_POSTGRES_LISTEN"}:
        given = [part.strip() for part in value.split(",")]
    _set(values, places, key, given, variable)


def _discarded(values: Mapping[str, object], places: Mapping[Key, str], variable: str) -> Iterator[str]:
    """What the file says of credentials and a variable takes the place of."""
    is_of_file = not places.get(("credentials",), "").startswith("PRISMA_")
    if ENVIRONMENT.get(variable, ("credentials",)) == ("credentials",) and values.get("credentials") and is_of_file:
        yield f"{variable}: takes the place of the file's credentials, which are not used; give only one of the two"


def _from_environment(values: dict[str, object], places: dict[Key, str]) -> list[object]:
    """Credentials that another variable gave already; those of the file give way."""
    given = values.get("credentials")
    is_from_environment = places.get(("credentials",), "").startswith("PRISMA_")
    return given if is_from_environment and isinstance(given, list) else []


def _set(values: dict[str, object], places: dict[Key, str], key: tuple[str, ...], value: object, place: str) -> None:
    section = values
    for name in key[:-1]:
        inner = section.get(name)
        section[name] = dict(inner) if isinstance(inner, dict) else {}
        section = section[name]  # type: ignore[assignment]  # made a dict in the line above
    section[key[-1]] = value
    for known in [known for known in places if known[: len(key)] == key]:
        del places[known]
    places[key] = place


# Messages ---------------------------------------------------------------------------------------
def described(errors: Sequence[ErrorDetails], places: Mapping[Key, str], root: type[BaseModel] = Config) -> list[str]:
    """A line for each problem that pydantic found: file and line, key, what is wrong."""
    lines = [_describe(details, places, root) for details in errors[:MOST_PROBLEMS]]
    left_out = len(errors) - len(lines)
    return [*lines, f"and {left_out:,} more problems"] if left_out else lines


def _describe(details: ErrorDetails, places: Mapping[Key, str], root: type[BaseModel] = Config) -> str:
    key: Key = details["loc"]
    place = next((places[key[:end]] for end in range(len(key), -1, -1) if key[:end] in places), "")
    name = ".".join(map(str, key))
    message = plainly(details)
    if details["type"] == "extra_forbidden":
        elsewhere = [dotted for dotted in _dotted_keys(root) if dotted.rpartition(".")[2] == key[-1]]
        meant = f"; did you mean {' or '.join(filter(None, (', '.join(elsewhere[:-1]), *elsewhere[-1:])))}?"
        message = f"no such key{meant if elsewhere else _nearest(str(key[-1]), _known_keys(key[:-1], root))}"
    return ": ".join(part for part in (place, name if name != place else "", message) if part)


def _known_keys(key: Key, root: type[BaseModel]) -> list[str]:
    model = root
    for name in key:
        if isinstance(name, int):
            continue
        annotation = model.model_fields[name].annotation
        inner = [part for part in (annotation, *get_args(annotation)) if isinstance(part, type)]
        model = next(part for part in inner if issubclass(part, BaseModel))
    return [field.alias or name for name, field in model.model_fields.items() if name not in _hidden(model)]


def _hidden(model: type[BaseModel]) -> set[str]:
    """The fields that no file has."""
    return {"warnings"} | ({"prices", "sources"} if model is Config else set())


def _dotted_keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Every key in a section, as `web.listen`; not those of entries of a list, of which it takes a list to have one."""
    for name, field in model.model_fields.items():
        if name in _hidden(model):
            continue
        parts = [field.annotation, *(get_args(field.annotation) if get_origin(field.annotation) is not tuple else ())]
        section = next((part for part in parts if isinstance(part, type) and issubclass(part, BaseModel)), None)
        if section is None:
            yield f"{prefix}{field.alias or name}"
        else:
            yield from _dotted_keys(section, f"{prefix}{field.alias or name}.")


def _same_names(config: Config) -> Iterator[str]:
    for name, times in Counter(credential.name for credential in config.credentials if credential.name).items():
        if times > 1:
            yield (
                f"credentials: {times} are called {name}: all but the first get their place in the list added;"
                " give each a name of its own"
            )


def _open_files(config: Config) -> Iterator[str]:
    for path in [credential.token_file for credential in config.credentials if credential.token_file is not None]:
        try:
            mode = path.stat().st_mode
        except (OSError, ValueError):
            # Reading the tokens says what is wrong with it.
            continue
        if stat.S_ISREG(mode) and mode & stat.S_IROTH:
            yield f"{shown_path(path)}: everyone on this machine can read this token; chmod 600 it"
