"""Every reason that the code can give is said in words."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import prisma_postgres_exporter
from prisma_postgres_exporter.reasons import MEANINGS, reason_in_words

SOURCE = Path(prisma_postgres_exporter.__file__).parent
ROOMS = ("api", "rounds", "config")
OF_COMMANDS = {"invalid_id", "invalid_argument", "database_failed", "not_ready"}
"""Refusals before anything is sent, and of `wait_until_ready`: no database of the exporter fails for them."""


def given() -> set[str]:
    """The texts that are given as a `reason`, or first to what takes a reason there, in the rooms that read."""
    found: set[str] = set()
    for path in (path for room in ROOMS for path in (SOURCE / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            texts = [word.value for word in node.keywords if word.arg == "reason"]
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            if name in {"Unfit", "Unusable", "_endless"}:
                texts += node.args[:1]
            if name == "_Failure" and len(node.args) > 1:
                texts.append(node.args[1])
            found.update(text.value for text in texts if isinstance(text, ast.Constant) and isinstance(text.value, str))
    return found


def test_every_reason_has_its_words() -> None:
    reasons = given() - OF_COMMANDS
    assert {"timeout", "absurd_number", "no_workspace", "malformed", "cursor_repeats", "empty"} <= reasons
    for reason in reasons | {"plan_limit_reached", "clock_skew", "wrong_period", "store_unavailable", "not_json"}:
        assert reason_in_words(reason).startswith(f"{reason}: "), reason


def test_what_to_do_is_a_line_of_a_log() -> None:
    assert max(map(len, MEANINGS.values())) < 170


@pytest.mark.parametrize("reason", ["unreachable", "connect_timeout", "tls", "proxy", "redirect", "not_json"])
def test_a_way_to_the_api_that_fails_says_what_to_look_at(reason: str) -> None:
    assert "check " in MEANINGS[reason]


def test_a_status_has_its_words_too() -> None:
    assert {"http_500", "http_502", "http_503", "http_504"} <= MEANINGS.keys(), "the manual lists them"
    assert reason_in_words("http_507") == (
        "http_507: the vendor's API has a fault; the exporter tries again on its own, "
        "see the vendor's status page if it lasts"
    )
    assert "refuses the request (451)" in reason_in_words("http_451")
    assert reason_in_words("of_a_newer_version") == "of_a_newer_version"
