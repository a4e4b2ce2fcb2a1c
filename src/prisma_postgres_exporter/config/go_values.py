"""What Go's YAML takes a text for, by the type that it is read into."""

from __future__ import annotations

import re

from prisma_postgres_exporter.config.yaml_file import Plain

_BOOLEANS = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
}
_WHOLE = re.compile(r"([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|([0-9]|[1-9][0-9]+))")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_LARGEST = 2**63 - 1
_DURATION = re.compile(r"[-+]?(?:0|(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:ns|us|µs|μs|ms|s|m|h))+)")
_PART = re.compile(r"([0-9.]+)(ns|us|µs|μs|ms|s|m|h)")
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def go_text(value: object) -> object:
    """A text is what is written; nothing is an empty one."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float | Plain) else value


def go_flag(value: object) -> object:
    """A boolean is a word without quotes; nothing is false."""
    if isinstance(value, Plain):
        value = _BOOLEANS.get(value, value)
    if value is not None and not isinstance(value, bool):
        raise ValueError("must be true or false, without quotes")
    return bool(value)


def _whole(value: object) -> int | None:
    """The whole number, or the one to which another is cut; `None` for another text."""
    if value is None:
        return 0
    if isinstance(value, int | float) and not isinstance(value, bool):
        return int(value)
    if not isinstance(value, Plain):
        return None
    text = value if value.startswith(".") else value.replace("_", "")
    if (found := _WHOLE.fullmatch(text)) is not None:
        sign, *digits = found.groups()
        number = next(int(part, base) for part, base in zip(digits, (16, 2, 8, 10), strict=True) if part)
        number = -number if sign == "-" else number
    elif _FLOAT.fullmatch(text) and abs(float(text)) < _LARGEST:
        number = int(float(text))
    else:
        return None
    return number if -_LARGEST <= number <= _LARGEST else None


def go_count(value: object) -> int:
    """A whole number, to which others are cut."""
    number = _whole(value)
    if number is None:
        raise ValueError("not a number; write it without quotes")
    return number


def go_seconds(value: object) -> float:
    """A duration is a text with units, or whole nanoseconds."""
    nanoseconds = _whole(value)
    if nanoseconds is not None:
        return nanoseconds / 1e9
    if not isinstance(value, str) or not _DURATION.fullmatch(value):
        raise ValueError("not a duration like 1s or 100ms")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(value))
    if seconds * 1e9 > _LARGEST:
        raise ValueError("too long")
    return -seconds if value.startswith("-") else seconds
