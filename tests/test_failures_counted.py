"""Every failure of a running service is counted: each `except` and each warning in its source leads to a counter."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from prisma_postgres_exporter import rounds
from prisma_postgres_exporter.expose.health import OWN_METRICS

SOURCE = Path(rounds.__file__).parents[1]
ROOMS = ("rounds", "service", "expose")
OF_COMMANDS = frozenset(
    {
        "service.backfilling",
        "service.doctor",
        "service.holder",
        "service.once",
        "service.past",
        "service.reading",
        "service.surroundings",
    }
)
"""What they run into is printed to whoever typed the command."""

COUNTED_BY: Final[Mapping[str, str]] = {
    "rounds.attempts:_note_width": "window_widened",
    "rounds.collector:_run": "store_errors_total",
    "rounds.collector:_log_failures": "reading_failures_total",
    "rounds.collector:_note_polling": "reading_failures_total",
    "rounds.discovery:_discover_with": "discovery_failures_total",
    "rounds.polling:_read": "reading_failures_total",
    "rounds.polling:_refused": "reading_failures_total",
    "rounds.polling:_broken": "reading_failures_total",
    "rounds.readers:use": "credential_up",
    "rounds.readers:identify": "api_request_failures_total",
    "rounds.stored:_record": "reading_failures_total",
    "rounds.stored:prune": "store_errors_total",
    "rounds.stored:_note_failure": "store_errors_total",
    "service.costs:keep": "store_errors_total",
    "service.display:_read_days": "store_errors_total",
    "service.leasing:_live_session": "lease",
    "service.pushing:_send_next": "push_failures_total",
    "service.service:_watch_clock": "clock_skew_seconds",
    "service.service:_tell_reload": "config_reload_success",
    "expose.pages.serving:_told": "store_errors_total",
    "expose.visible:costs": "store_errors_total",
    "expose.access:_login": "web_refused_total",
    "service.http_protocol:data_received": "web_refused_total",
    "service.web:_accept": "web_refused_total",
    "service.web:_accept_next": "web_refused_total",
    "service.web:_turn_away": "web_refused_total",
    "service.web_lock:_content": "web_config_reload_success",
    "service.web_lock:_why_unreadable": "web_config_reload_success",
}
"""Where the counter is not in the same function: the name of the metric that tells of it."""

NO_FAILURE: Final[Mapping[str, str]] = {
    "service.service:_on_loop_fault": "it ends, and its supervisor counts its starts",
    "rounds.collector:close": "it ends, and nobody scrapes any more: the log says what is lost",
    "service.leasing:_run": "it ends",
    "service.pushing:_send_the_last": "it ends",
    "service.service:_end_at_once": "it ends",
    "service.service:_let_rounds_end": "it ends",
    "service.costs:costs_in_force": "of a command, which prints it",
    "service.costs:is_in_store": "another version's costs are others",
    "service.costs:_keep": "somebody decided otherwise: it is on the status page until they agree",
    "service.service:_note_lacks": "somebody has fewer tokens: it is on the status page until all have the same",
    "service.looking:stored_changes_per_day": "there is no store yet: the plan says that it assumes",
    "service.service:_note_differences": "somebody decided otherwise: it is on the status page until they agree",
    "service.display:_say_if_exceeded": "a scrape has as many samples as it has",
    "service.display:_warn": "costs say how much of them is known",
    "service.listeners:_file": "it does not start",
    "service.listeners:_require_unheard": "nobody listens there, as is wanted",
    "service.web_seen:why_not_in_force": "of a command, which prints it",
    "service.traces:exported_traces": "said once, at the start",
    "service.traces:_begin": "said once, at the start",
    "service.service:_note_descriptors": "said once, at the start: what fails for it is counted by itself",
    "expose.guard:_is_address": "a question with two answers",
    "expose.guard:_is_loopback": "a question with two answers",
    "expose.negotiate:_quality": "a client's header that means nothing",
    "expose.web:__call__": "a client that is slow gets its answer later or not at all",
}
"""Where nothing failed, and why."""


def places() -> Iterator[str]:
    """Where something fails without a counter or an error that goes on: `room.module:function`."""
    for room in ROOMS:
        for path in sorted((SOURCE / room).rglob("*.py")):
            module = ".".join(path.relative_to(SOURCE).with_suffix("").parts)
            if module not in OF_COMMANDS:
                for function in functions(ast.parse(path.read_text())):
                    if fails_silently(function):
                        yield f"{module}:{function.name}"


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def own_nodes(function: ast.AST) -> Iterator[ast.AST]:
    """Everything in a function but what is in functions of its own."""
    for child in ast.iter_child_nodes(function):
        yield child
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from own_nodes(child)


def fails_silently(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    nodes = list(own_nodes(function))
    handlers = [node for node in nodes if isinstance(node, ast.ExceptHandler) and not goes_on(node)]
    calls = [ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call)]
    warns = any(call in ("log.warning", "log.error", "log.exception", "log.critical") for call in calls)
    swallows = any(call.endswith("suppress") for call in calls)
    counts = any("health." in call or call.endswith(("_on_failure", "refusals.count", ".refused")) for call in calls)
    return bool(handlers or warns or swallows) and not counts


def goes_on(handler: ast.ExceptHandler) -> bool:
    """Whether an error leaves by the same or another one."""
    return isinstance(handler.body[-1], ast.Raise)


def test_every_failure_is_counted_or_is_none() -> None:
    found = set(places())

    assert found - COUNTED_BY.keys() - NO_FAILURE.keys() == set()
    assert (COUNTED_BY.keys() | NO_FAILURE.keys()) - found == set(), "there is nothing to say of these any more"


def test_what_counts_them_is_there() -> None:
    names = {metric.name for metric in OWN_METRICS}

    assert set(COUNTED_BY.values()) - names == set()


if __name__ == "__main__":
    print("\n".join(places()))
