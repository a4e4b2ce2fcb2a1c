"""Which format and coding a request gets, from its Accept and Accept-Encoding headers (RFC 9110)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from prisma_postgres_exporter.expose.selection import Format

HEADERS_KEPT = 16
"""A Prometheus says the same each time: so many headers are not read anew."""

_OPENMETRICS = "application/openmetrics-text"
_TEXT = "text/plain"


@lru_cache(HEADERS_KEPT)
def choose_format(accept: str) -> Format:
    """The format that the client likes best of those we have; text 0.0.4 where it names none of them.

    A client that knows only a newer OpenMetrics gets 1.0.0, labelled as such. Of equally liked
    formats the first named wins.
    """
    ranges = [accepted for accepted in _parse(accept) if accepted.quality > 0]
    for is_capped in (False, True):
        offers = [(accepted.quality, offer) for accepted in ranges if (offer := _offer(accepted, is_capped=is_capped))]
        if offers:
            return max(offers, key=lambda offer: offer[0])[1]
    return Format.TEXT


@lru_cache(HEADERS_KEPT)
def is_gzip_wanted(accept_encoding: str) -> bool:
    """Whether gzip is accepted, and liked no less than the plain bytes."""
    qualities = {accepted.value: accepted.quality for accepted in _parse(accept_encoding)}
    anything_else = qualities.get("*", 0.0)
    gzip = qualities.get("gzip", qualities.get("x-gzip", anything_else))
    return gzip > 0 and gzip >= qualities.get("identity", 0.0)


@dataclass(frozen=True, slots=True)
class _Accepted:
    """One entry of a header: its value in lower case, its `version` parameter or an empty string, its q."""

    value: str
    version: str
    quality: float


def _parse(header: str) -> Iterator[_Accepted]:
    for entry in header.split(","):
        value, *parameters = entry.split(";")
        named = dict(_parameter(parameter) for parameter in parameters)
        if value.strip():
            yield _Accepted(value.strip().lower(), named.get("version", ""), _quality(named.get("q", "1")))


def _parameter(parameter: str) -> tuple[str, str]:
    name, _, value = parameter.partition("=")
    return name.strip().lower(), value.strip().strip('"')


def _quality(text: str) -> float:
    """A q-value; what is none is taken as a refusal."""
    try:
        quality = float(text)
    except ValueError:
        return 0.0
    return quality if 0 <= quality <= 1 else 0.0


def _offer(accepted: _Accepted, *, is_capped: bool) -> Format | None:
    if accepted.value == _OPENMETRICS:
        is_known = accepted.version in {"", "1.0.0"}
        return Format.OPENMETRICS if is_known or (is_capped and _is_newer(accepted.version)) else None
    if accepted.value == _TEXT:
        return Format.TEXT if accepted.version in {"", "0.0.4"} else None
    return Format.TEXT if accepted.value in {"text/*", "*/*"} else None


def _is_newer(version: str) -> bool:
    major = version.partition(".")[0]
    return major.isdecimal() and int(major) >= 1
