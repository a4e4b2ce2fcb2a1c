"""Text of the vendor's without the secrets that it may repeat."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pydantic import SecretStr

# A connection string holds a password or a key wherever it turns up, whoever it belongs to.
_CONNECTION_STRING = re.compile(r"\b(?:postgres(?:ql)?|prisma(?:\+postgres)?)://[^\s\"'<>]*", re.IGNORECASE)


def concealed(text: str, tokens: Iterable[SecretStr]) -> str:
    """`text` with `[token]` and `[connection string]` where one stood."""
    text = _CONNECTION_STRING.sub("[connection string]", text)
    for token in tokens:
        text = text.replace(token.get_secret_value(), "[token]")
    return text
