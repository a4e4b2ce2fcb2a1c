"""The tokens that the configuration points at, read from where they are kept."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from prisma_postgres_exporter.config.secret import Secret
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
    token: Secret


def require_credentials(config: Config) -> None:
    """Make sure that there is a credential.

    Raises:
        ConfigurationError: there is none.
    """
    if not config.credentials:
        raise ConfigurationError([NO_CREDENTIAL])


def read_tokens(config: Config) -> tuple[Credential, ...]:
    """Read every token now; called again, it sees files that changed. The same token twice counts once.

    Raises:
        ConfigurationError: with every file that cannot be read and every token that cannot be one.
    """
    credentials: dict[str, Credential] = {}
    problems: list[str] = []
    tokens: set[Secret] = set()
    for number, source in enumerate(config.credentials, start=1):
        default = source.name or f"token-{number}"
        try:
            for name, text in _texts(source, default):
                token = Secret(text.strip())
                problem = _problem(token)
                if problem is not None:
                    problems.append(f"credential {name}: {problem}")
                elif token not in tokens:
                    tokens.add(token)
                    unique = name if name not in credentials else f"{name}-{number}"
                    credentials[unique] = Credential(name=unique, token=token)
        except OSError as error:
            problems.append(f"credential {default}: {source.token_file} cannot be read: {error.strerror}")
    if problems:
        raise ConfigurationError(problems)
    return tuple(credentials.values())


def _texts(source: CredentialConfig, name: str) -> Iterator[tuple[str, str]]:
    if source.token is not None:
        yield name, source.token.reveal()
    elif source.token_env is not None:
        yield name, os.environ.get(source.token_env, "")
    elif source.token_file is not None and source.token_file.is_dir():
        # Kubernetes keeps a secret's versions beside it, under names that begin with a dot.
        files = sorted(path for path in source.token_file.iterdir() if not path.name.startswith(".") and path.is_file())
        if not files:
            raise ConfigurationError([f"credential {name}: {source.token_file} has no file with a token in it"])
        for path in files:
            yield path.name, _read(path)
    elif source.token_file is not None:
        yield name, _read(source.token_file)


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def _problem(token: Secret) -> str | None:
    text = token.reveal()
    if not text:
        return "the token is empty"
    if any(not "!" <= character <= "~" for character in text):
        return "the token has a space, a line break or a character that no token has; one token a file"
    return None
