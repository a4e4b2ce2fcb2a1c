"""The tokens that the configuration points at: those that can be used, and why others cannot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, count
from pathlib import Path

from pydantic import SecretStr

from prisma_postgres_exporter.config.token_text import (
    Reason,
    Unusable,
    shown_path,
    shown_variable,
    token_of_file,
    token_of_source,
    token_of_text,
    token_of_variable,
)
from prisma_postgres_exporter.config.values import Config, CredentialConfig
from prisma_postgres_exporter.errors import ConfigurationError

NO_CREDENTIAL = (
    "no credential: put a service token into PRISMA_POSTGRES_TOKEN, or its file's path into "
    "PRISMA_POSTGRES_TOKEN_FILE, or run `demo`, which needs none"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A token with the name that logs, labels and messages give it."""

    name: str
    token: SecretStr


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialProblem:
    """Why the credential `name` cannot be used.

    `text` says what is wrong, what to do, and where, and shows no part of the token. `reason` is a constant for labels:
    `empty`, `unreadable`, `malformed` or `missing`. As text it is a whole line for people.
    """

    name: str
    reason: Reason
    text: str

    def __str__(self) -> str:
        return f"credential {self.name}: {self.text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """What was read: credentials to use and problems to show, in the order of the configuration, files by name.

    No name is in both or twice. `repeated` are the names of those whose token another one has, with the name under
    which it counts.
    """

    credentials: tuple[Credential, ...]
    problems: tuple[CredentialProblem, ...] = ()
    repeated: tuple[tuple[str, str], ...] = ()


def require_credentials(config: Config) -> None:
    """Make sure that a credential is configured.

    Raises:
        ConfigurationError: there is none; with the configuration's warnings, one of which may be the cause.
    """
    if not config.credentials:
        raise ConfigurationError([NO_CREDENTIAL, *config.warnings])


def read_tokens(config: Config) -> Tokens:
    """Read every token now; called again, it sees files that changed.

    Each file of a directory is a credential by itself, except those whose names begin with a dot. The same token twice
    counts once, under its first name. What cannot be used is a problem, and the others go on.
    """
    places = [place for number, source in enumerate(config.credentials, start=1) for place in _places(source, number)]
    credentials: dict[SecretStr, Credential] = {}
    problems: list[CredentialProblem] = []
    repeated: list[tuple[str, str]] = []
    for name, place in _named(places):
        try:
            token = place.read()
        except Unusable as unusable:
            text = f"{unusable.text} ({place.where})"
            problems.append(CredentialProblem(name=name, reason=unusable.reason, text=text))
        else:
            first = credentials.setdefault(token, Credential(name=name, token=token))
            if first.name != name:
                repeated.append((name, first.name))
    return Tokens(credentials=tuple(credentials.values()), problems=tuple(problems), repeated=tuple(repeated))


def require_usable(tokens: Tokens) -> tuple[Credential, ...]:
    """Return the credentials that can be used, of which there is at least one.

    Raises:
        ConfigurationError: there is none; with every problem.
    """
    if not tokens.credentials:
        raise ConfigurationError([str(problem) for problem in tokens.problems] or [NO_CREDENTIAL])
    return tokens.credentials


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where one token is kept, how it is read, and what it may be called, the best name first.

    `number` is that of its source in the configuration, from 1.
    """

    names: tuple[str, ...]
    number: int
    where: str
    read: Callable[[], SecretStr]
    is_in_directory: bool = False


def _places(source: CredentialConfig, number: int) -> Iterator[_Place]:
    place = partial(_Place, names=(source.name or f"token-{number}",), number=number)
    if source.token is not None:
        where = "in PRISMA_POSTGRES_TOKEN, or credentials.token"
        yield place(where=where, read=partial(_of_secret, source.token))
    elif source.token_env is not None:
        yield place(where=shown_variable(source.token_env), read=partial(token_of_variable, source.token_env))
    elif source.token_file is not None:
        files = _files(source.token_file)
        for path in files:
            name = shown_path(Path(path.name))
            yield _Place(
                names=(name, f"{shown_path(Path(path.parent.absolute().name))}/{name}"),
                number=number,
                where=shown_path(path),
                read=partial(token_of_file, path),
                is_in_directory=True,
            )
        if not files:
            yield place(where=shown_path(source.token_file), read=partial(token_of_source, source.token_file))


def _of_secret(secret: SecretStr) -> SecretStr:
    return token_of_text(secret.get_secret_value())


def _files(path: Path) -> Sequence[Path]:
    """Return what lies in a directory, by name; nothing where it is a file or cannot be listed."""
    try:
        # Kubernetes keeps a secret's versions beside it, under names that begin with a dot.
        return sorted(file for file in path.iterdir() if not file.name.startswith("."))
    except (OSError, ValueError):
        return ()


def _named(places: Sequence[_Place]) -> Iterator[tuple[str, _Place]]:
    """Give each place a name of its own, whether it can be read or not.

    A name of the configuration wins. A file has its plain name, or where several files would have it, all of them
    have their directory's name before it: neither the order nor any other file changes a name.
    """
    files = Counter(name for place in places if place.is_in_directory for name in place.names)
    names: dict[str, int] = {}
    for index, place in sorted(enumerate(places), key=lambda pair: pair[1].is_in_directory):
        wanted = (name for name in place.names if not place.is_in_directory or files[name] == 1)
        numbered = (f"{place.names[-1]}-{number}" for number in count(place.number))
        names[next(name for name in chain(wanted, numbered) if name not in names)] = index
    return ((name, places[index]) for name, index in sorted(names.items(), key=lambda pair: pair[1]))
