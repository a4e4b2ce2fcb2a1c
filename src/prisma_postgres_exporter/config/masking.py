"""Take secrets out of a text, in whatever form they are in it."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from urllib.parse import quote

MASK = "***"
SHORTEST = 6
"""The mask of a shorter one would cut ordinary words, and tell it by that."""

_PLAIN = re.compile(r"[A-Za-z0-9]+")
_CHARACTER = "[A-Za-z0-9+/_-]"
_FORM = {" ": "+"}
_URLSAFE = {"+": "-", "/": "_"}


class Mask:
    """Masks secrets: as they are, percent-encoded in whole or in part, and in base64 of either alphabet.

    In base64 also where they are a part of what was encoded, as the password of `Authorization: Basic` is.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        """The longest first: a secret may be a part of another."""
        ordered = sorted({secret for secret in secrets if secret}, key=len, reverse=True)
        self._forms = tuple(form for secret in ordered for form in _forms(secret))

    def __call__(self, text: str) -> str:
        """The text without them."""
        for part, pattern in self._forms:
            # A search for a constant first: nearly no text has any, and there may be thousands.
            if part in text:
                text = re.sub(pattern(), MASK, text)
        return text


def _forms(secret: str) -> Iterator[tuple[str, Callable[[], str]]]:
    """A part that every writing of a form has, and what makes the pattern of them all."""
    yield _longest_part(secret), partial(_written, secret)
    if len(secret) < SHORTEST:
        return
    octets = secret.encode(errors="surrogatepass")
    for before in range(3):
        # What stands before and after it in the same three octets is not known, and changes the characters there.
        encoded = b64encode(bytes(before) + octets).decode()
        is_shared = (before + len(octets)) % 3 > 0
        sure = encoded.rstrip("=")[before + 1 if before else 0 : -1 if is_shared else None]
        yield _longest_part(sure), partial(_in_base64, sure, is_shared_before=before > 0, is_shared_after=is_shared)


def _longest_part(text: str) -> str:
    """What is written in one way only; empty if there is nothing of that kind."""
    return max(_PLAIN.findall(text), key=len, default="")


def _in_base64(text: str, *, is_shared_before: bool, is_shared_after: bool) -> str:
    before = _CHARACTER if is_shared_before else ""
    after = f"{_CHARACTER}?(?:=|%3[Dd]){{0,2}}" if is_shared_after else ""
    return f"{before}{_written(text, _URLSAFE)}{after}"


def _written(text: str, others: Mapping[str, str] = _FORM) -> str:
    """The pattern of characters as they are, percent-encoded, or as the `others` that stand for them."""
    return "".join(
        character
        if _PLAIN.fullmatch(character)
        # Percent-encoded first: that of a percent sign begins with one.
        else f"(?:(?i:{quote(character, safe='', errors='surrogatepass')})|{re.escape(character)}"
        f"|{re.escape(others.get(character, character))})"
        for character in text
    )
