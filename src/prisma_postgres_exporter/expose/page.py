"""The status page: what runs, what was found, what failed and why, for a person with a browser."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from datetime import timedelta

from prisma_postgres_exporter.expose.markup import Markup, duration, element, facts, instant, joined, table
from prisma_postgres_exporter.expose.status import ServiceStatus
from prisma_postgres_exporter.snapshot import DatabaseView, WorkspaceView

_ROWS_SHOWN = 100
_STYLE = Markup("""
:root { color-scheme: light dark; --line: #8884; --bad: #b3261e; --good: #146c2e }
@media (prefers-color-scheme: dark) { :root { --bad: #ffb4ab; --good: #7bdc93 } }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 62rem; margin: 0 auto; padding: 1rem }
h1 { font-size: 1.4rem; margin: 0 } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr)); gap: .75rem; margin: 1rem 0 }
dt { font-size: .85rem; opacity: .75 } dd { margin: 0; overflow-wrap: anywhere }
.wide { overflow-x: auto } table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .35rem .75rem .35rem 0; border-bottom: 1px solid var(--line) }
th[scope=row] { font-weight: 600 }
td, th[scope=row] { min-width: 5rem; max-width: 24rem; overflow-wrap: break-word }
.bad { color: var(--bad); font-weight: 600 } .good { color: var(--good); font-weight: 600 }
""")
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def status_page(status: ServiceStatus) -> str:
    """A whole HTML document that asks for nothing else."""
    head = element(
        "head",
        Markup('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'),
        element("title", "prisma-postgres-exporter"),
        element("style", _STYLE),
    )
    body = element("body", element("main", *_sections(status)))
    return "<!doctype html>\n" + element("html", head, body, lang="en") + "\n"


def _sections(status: ServiceStatus) -> Iterator[Markup]:
    yield element("h1", "prisma-postgres-exporter")
    yield _standing(status)
    yield from (element("p", note) for note in status.notes)
    yield _facts(status)
    yield element("h2", "Credentials")
    yield _credentials(status)
    if status.snapshot is not None:
        yield element("h2", "Workspaces")
        yield _workspaces(status.snapshot.workspaces)
        yield element("h2", "Failing databases")
        yield _failing(status.snapshot.databases, status)
    yield element("h2", "For programs")
    yield _links()


def _standing(status: ServiceStatus) -> Markup:
    if status.unhealthy_reason is not None:
        return element("p", _bad("Not healthy"), ": ", status.unhealthy_reason)
    if status.not_ready_reason is not None:
        return element("p", _bad("Not ready"), ": ", status.not_ready_reason)
    return element("p", _good("Ready"))


def _facts(status: ServiceStatus) -> Markup:
    return facts(
        [
            ("Version", status.version),
            ("Running since", instant(status.started_at, status.now_at)),
            ("Management API", status.api_url),
            ("Store", status.store_url if status.store_error is None else _store_failure(status)),
            ("Databases", _database_numbers(status)),
            ("Picture taken", instant(status.snapshot.taken_at, status.now_at) if status.snapshot else "not yet"),
            ("Last cycle", _last_cycle(status)),
            ("Next cycle", instant(status.next_cycle_at, status.now_at) if status.next_cycle_at else "not planned"),
            ("Widened windows", _widened_windows(status)),
        ]
    )


def _store_failure(status: ServiceStatus) -> Markup:
    return joined([status.store_url, " ", _bad("failing"), f": {status.store_error}"])


def _database_numbers(status: ServiceStatus) -> Markup:
    if status.snapshot is None:
        return joined(["none yet"])
    failing = sum([view.failing_since_at is not None for view in status.snapshot.databases])
    return joined(
        [
            f"{len(status.snapshot.databases):,} shown, ",
            _bad(f"{failing:,} failing") if failing else "none failing",
            f", {status.snapshot.filtered:,} left out by configuration",
        ]
    )


def _last_cycle(status: ServiceStatus) -> Markup:
    cycle = status.last_cycle
    if cycle is None:
        return joined(["none finished yet"])
    took = f"{cycle.seconds:.1f} s" if cycle.seconds < 120 else duration(timedelta(seconds=cycle.seconds))
    failed = _bad(f"{cycle.failed:,} failed") if cycle.failed else "none failed"
    finished = instant(cycle.finished_at, status.now_at)
    return joined([finished, f": {cycle.readings:,} readings in {took}, ", failed])


def _widened_windows(status: ServiceStatus) -> str:
    if not status.widened_windows:
        return "none"
    names = ", ".join(status.widened_windows)
    return f"{names}: the API answers for more time than was asked for"


def _credentials(status: ServiceStatus) -> Markup:
    if not status.credentials:
        return element("p", "None is configured.")
    body = [
        (
            credential.name,
            credential.workspace_name or "not known yet",
            _good("up") if credential.is_up else _bad("down"),
            "" if credential.is_up else credential.reason or "not tried yet",
            instant(credential.failing_since_at, status.now_at) if credential.failing_since_at else "",
            instant(credential.expires_at, status.now_at) if credential.expires_at else "",
        )
        for credential in status.credentials
    ]
    return table(("Name", "Workspace", "State", "Reason", "Since", "Expires"), body, label="Credentials")


def _workspaces(views: tuple[WorkspaceView, ...]) -> Markup:
    if not views:
        return element("p", "None was found yet.")
    body = [
        (
            view.workspace_name,
            view.workspace_id,
            view.plan or "not known",
            f"{view.databases:,}",
            _good("up") if view.is_up else joined([_bad("down"), f" {view.failure_reason or ''}"]),
            _bad("blocked") if view.is_usage_blocked else "",
            *_cost(view),
        )
        for view in views[:_ROWS_SHOWN]
    ]
    found = table(
        ("Name", "Id", "Plan", "Databases", "State", "Usage", "USD so far", "USD expected"), body, label="Workspaces"
    )
    return joined([found, _rest(len(views))])


def _cost(view: WorkspaceView) -> tuple[str, str]:
    """This month's cost so far and as expected, or why there is none."""
    cost = view.cost
    if cost is None:
        return "", ""
    if cost.bill is None or cost.bill.total is None:
        return f"not known: {cost.unpriced}", ""
    expected = cost.expected_bill.total if cost.expected_bill is not None else None
    return f"{cost.bill.total}", "" if expected is None else f"{expected}"


def _failing(views: tuple[DatabaseView, ...], status: ServiceStatus) -> Markup:
    failing = [(view.failing_since_at, view) for view in views if view.failing_since_at is not None]
    if not failing:
        return element("p", "None.")
    failing.sort(key=lambda since_and_view: since_and_view[0])
    body = [
        (
            view.database_name,
            view.database_id,
            view.workspace_name,
            view.failure_reason or "not known",
            instant(since, status.now_at),
            instant(view.last_success_at, status.now_at) if view.last_success_at else "never",
        )
        for since, view in failing[:_ROWS_SHOWN]
    ]
    heads = ("Name", "Id", "Workspace", "Reason", "Since", "Last success")
    return joined([table(heads, body, label="Failing databases"), _rest(len(failing))])


def _rest(total: int) -> Markup:
    hidden = total - _ROWS_SHOWN
    return element("p", f"And {hidden:,} more, in the metrics.") if hidden > 0 else Markup("")


def _links() -> Markup:
    paths = ("/metrics", "/-/healthy", "/-/ready")
    return element("ul", *[element("li", element("a", path, href=path)) for path in paths])


def _good(text: str) -> Markup:
    return element("span", text, class_="good")


def _bad(text: str) -> Markup:
    return element("span", text, class_="bad")
