"""From a name that a person wrote to the workspace, project, database or connection that is meant."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

PREFIXES = {"workspace": "wksp_", "project": "proj_", "database": "db_", "connection": "con_"}
NEAREST = 5


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Subject:
    """Something that has an id and a name; `kind` is a key of `PREFIXES`, `path` what holds it."""

    kind: str
    id: str
    name: str
    path: str = ""

    def __str__(self) -> str:
        """Return it for people."""
        return f"{self.kind} {self.name!r} ({self.id}){f' in {self.path}' if self.path else ''}"


def find_subjects(name: str, subjects: Iterable[Subject]) -> tuple[Subject, ...]:
    """Return what `name` may mean, the surest kind of match only.

    An id (with or without its prefix) is one thing. Names need not be unique: all that have it exactly,
    else all that have it in other letters' cases.
    """
    subjects = sorted(set(subjects))
    for is_meant in (
        lambda subject: name in (subject.id, subject.id.removeprefix(PREFIXES[subject.kind])),
        lambda subject: subject.name == name,
        lambda subject: subject.name.casefold() == name.casefold(),
    ):
        found = tuple(subject for subject in subjects if is_meant(subject))
        if found:
            return found
    return ()


def nearest_subjects(name: str, subjects: Iterable[Subject]) -> tuple[Subject, ...]:
    """Return those whose names or ids are most like `name`, at most `NEAREST`."""
    subjects = sorted(set(subjects))
    by_text: dict[str, list[Subject]] = {}
    for subject in subjects:
        for text in (subject.name, subject.id):
            by_text.setdefault(text.casefold(), []).append(subject)
    wanted = name.casefold()
    close = [text for text in by_text if wanted in text] or get_close_matches(wanted, by_text, n=NEAREST, cutoff=0.5)
    found = dict.fromkeys(subject for text in close for subject in by_text[text])
    return tuple(found)[:NEAREST]
