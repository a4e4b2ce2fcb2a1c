"""One token as people keep it: in a file, in an environment variable, or as text."""

from __future__ import annotations

import codecs
import errno
import os
import re
import stat
from pathlib import Path
from typing import Literal

from pydantic import SecretStr

from prisma_postgres_exporter.config.address import token_problem
from prisma_postgres_exporter.reasons import MORE_DESCRIPTORS, RENEWAL

Reason = Literal["empty", "unreadable", "malformed", "missing", "no_descriptors"]
"""Why a token cannot be used, as a constant for labels."""

LONGEST_BYTES = 65_536

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_QUOTES = "\"'`\N{LEFT DOUBLE QUOTATION MARK}\N{RIGHT DOUBLE QUOTATION MARK}"
# A path keeps only one of the two slashes.
_CONNECTION_STRING = re.compile(r"(?:postgres(?:ql)?|prisma(?:\+postgres)?):/", re.IGNORECASE)
_JWT = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


class Unusable(Exception):
    """A token cannot be used; the text says what is wrong and what to do, and shows no part of the token."""

    def __init__(self, reason: Reason, text: str) -> None:
        super().__init__(text)
        self.reason: Reason = reason
        self.text = text


def token_of_text(text: str) -> SecretStr:
    """Read a token, without a byte order mark and white space around it.

    Raises:
        Unusable: it is empty, or cannot be a token.
    """
    bare = text.removeprefix("\ufeff").strip()
    if not bare:
        raise Unusable("empty", "the token is empty; put a service token there")
    if _CONNECTION_STRING.search(bare):
        raise Unusable(
            "malformed",
            f"this is a connection string, not a token: {RENEWAL}",
        )
    if bare[0] in _QUOTES or bare[-1] in _QUOTES:
        raise Unusable("malformed", "the token is in quotes; remove them")
    if len(bare.splitlines()) > 1:
        raise Unusable("malformed", "there is more than one line; leave one token and nothing else")
    if problem := token_problem(bare):
        raise Unusable("malformed", problem)
    return SecretStr(bare)


def token_of_variable(variable: str) -> SecretStr:
    """Read the token in an environment variable, as it is now.

    Raises:
        Unusable: it is not set or empty, or cannot be a token.
    """
    text = os.environ.get(variable, "")
    if not text.strip():
        raise Unusable("missing", "the environment variable is not set or is empty; set it to a service token")
    return token_of_text(text)


def token_of_file(path: Path) -> SecretStr:
    """Read the token in a file, as it is now: UTF-8, or UTF-16 with a byte order mark.

    Raises:
        Unusable: there is no such file, it cannot be read, or it holds no token.
    """
    return token_of_text(text_of_file(path))


def text_of_file(path: Path) -> str:
    """Read a file that holds a secret, as it is now: UTF-8, or UTF-16 with a byte order mark.

    Raises:
        Unusable: there is no such file, or it cannot be read.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise Unusable("unreadable", "this is a directory, not a file with a token; remove it")
        # Opening a pipe could block for ever.
        if not stat.S_ISREG(mode):
            raise Unusable("unreadable", "this is not a regular file; keep the token in one")
        with path.open("rb") as file:
            content = file.read(LONGEST_BYTES + 1)
    except (OSError, ValueError) as error:
        raise _not_read(path, error) from None
    if len(content) > LONGEST_BYTES:
        raise Unusable("malformed", "the file is too large for a token; leave one token and nothing else")
    try:
        return content.decode("utf-16" if content.startswith(_UTF16) else "utf-8-sig")
    except UnicodeDecodeError:
        raise Unusable("unreadable", "the file is not UTF-8 text; write the token as plain text") from None


def token_of_source(path: Path) -> SecretStr:
    """Read the token in a file that the configuration names; a directory here is one without any file to read.

    Raises:
        Unusable: there is no such file, it cannot be read, or it holds no token.
    """
    text = str(path)
    if _JWT.fullmatch(text) or _CONNECTION_STRING.match(text):
        raise Unusable("malformed", "token_file is a token or a connection string; give it the path of a file")
    try:
        if path.is_dir():
            os.listdir(path)
            raise Unusable("empty", "the directory has no file with a token in it; put one token into each file")
    except OSError as error:
        raise _not_read(path, error) from None
    return token_of_file(path)


def shown_path(path: Path) -> str:
    """Return a path to show to people and to use in labels: text that can be encoded, and no secret."""
    text = str(path)
    if _JWT.search(text) or _CONNECTION_STRING.match(text):
        return "token_file"
    return text.encode(errors="replace").decode()


def shown_variable(variable: str) -> str:
    """Return the name of an environment variable to show to people, unless it could be a token in its place."""
    return variable if _VARIABLE.fullmatch(variable) else "token_env"


def _not_read(path: Path, error: OSError | ValueError) -> Unusable:
    if isinstance(error, ValueError):
        return Unusable("missing", "this is not the path of a file; correct it")
    if isinstance(error, FileNotFoundError):
        if os.path.islink(path):
            return Unusable("unreadable", "the link leads to no file; correct or remove it")
        return Unusable("missing", "there is no such file or directory; create it or correct the path")
    if isinstance(error, PermissionError):
        return Unusable("unreadable", "no permission to read; give it to the user that the exporter runs as")
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return Unusable("no_descriptors", f"cannot be read: {error.strerror}; {MORE_DESCRIPTORS}")
    return Unusable(
        "unreadable", f"cannot be read: {error.strerror or type(error).__name__}; check the path and the disk"
    )
