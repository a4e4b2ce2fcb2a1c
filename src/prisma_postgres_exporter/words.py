"""Things in sentences: how many, which, and what is wrong with one."""

from collections.abc import Mapping, Sequence
from typing import Any

LIST = "must be a list: [a, b], or one entry a line, each after a dash"
KEYS = "must be keys and values: one `key: value` a line, further in than its name"
TEXT = "must be text: put it in quotes where it looks like a number"
NUMBER, WHOLE_NUMBER = "must be a number", "whole number"
PLAIN = {
    "tuple_type": LIST,
    "list_type": LIST,
    "set_type": LIST,
    "dict_type": KEYS,
    "model_type": KEYS,
    "model_attributes_type": KEYS,
    "string_type": TEXT,
    "pattern_type": "must be a regular expression",
    "pattern_regex": "is not a regular expression that can be read",
    "path_type": "must be the path of a file",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "float_type": NUMBER,
    "float_parsing": NUMBER,
    "decimal_type": NUMBER,
    "decimal_parsing": NUMBER,
    "finite_number": "must be a number that is not infinite",
    "int_type": f"must be a {WHOLE_NUMBER}",
    "int_parsing": f"must be a {WHOLE_NUMBER}",
    "int_parsing_size": f"must be a smaller {WHOLE_NUMBER}",
    "int_from_float": f"must be a {WHOLE_NUMBER}",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "multiple_of": "must be a multiple of {multiple_of}",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "too_short": "must have at least {min_length} entries",
    "too_long": "must have at most {max_length} entries",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
    "date_type": "must be a day like 2026-11-05",
    "date_parsing": "must be a day like 2026-11-05",
    "date_from_datetime_parsing": "must be a day like 2026-11-05",
    "missing": "is missing",
    "extra_forbidden": "is not known",
}
"""What is wrong with a value that a person wrote, by pydantic's kind of error."""


def counted(count: int, noun: str) -> str:
    """A number of things for people: `no databases`, `1 database`, `1,200 databases`."""
    return f"{f'{count:,}' if count else 'no'} {noun}{'' if count == 1 else 's'}"


def listed(names: Sequence[str]) -> str:
    """Things one after the other: `operations, storage and tax`."""
    return " and ".join(part for part in (", ".join(names[:-1]), *names[-1:]) if part)


def plainly(error: Mapping[str, Any]) -> str:
    """What pydantic found wrong with a value, without a word of Python: `error` is one of its `errors()`."""
    limits = {name: f"{limit:,}" if type(limit) is int else limit for name, limit in error.get("ctx", {}).items()}
    if limits.get("min_length") == "1":
        return "must not be empty"
    said = PLAIN.get(error["type"])
    return said.format(**limits) if said is not None else str(error["msg"]).removeprefix("Value error, ")
