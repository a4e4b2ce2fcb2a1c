"""Templates become HTML: every text is escaped, and the policy lets nothing else in."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from contextvars import ContextVar
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache, partial
from importlib.resources import files
from math import floor
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from prisma_postgres_exporter.cost import Bill, BudgetState
from prisma_postgres_exporter.expose.lines import showable
from prisma_postgres_exporter.expose.pages.listing import operations_of
from prisma_postgres_exporter.reasons import meaning_of
from prisma_postgres_exporter.report import BINARY, NONE, count, in_unit_of, least_count, percent
from prisma_postgres_exporter.snapshot import WorkspaceView
from prisma_postgres_exporter.words import counted

UNITS = ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k"))
LONGEST_NAME = 60
VENDORS = BINARY[1:]
"""From GiB down: so is storage billed, and told in tables and reports."""

SMALLEST_SHOWN = 0.1
"""Of a unit, before the next smaller one is taken."""


_contexts: ContextVar[list[Context]] = ContextVar("contexts")


class _Emptied(Context):
    """A template's context that is emptied when its document is drawn.

    A macro holds its context and that the macro: what is shown would stay in memory until everything is looked through
    for garbage, which a service does a few times a day.
    """

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        _contexts.get().append(self)


def draw(template: str, **values: object) -> str:
    """A whole HTML document."""
    contexts: list[Context] = []
    before = _contexts.set(contexts)
    try:
        return _environment().get_template(template).render(values)
    finally:
        _contexts.reset(before)
        for context in contexts:
            context.vars.clear()
            context.parent.clear()


@cache
def content_security_policy() -> str:
    """What a browser may do with a page: use its one style, and send its one form here."""
    style = base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )


def short(value: int | None) -> str:
    """A number of at most five characters and its unit: `11.9 M`."""
    unit = next((unit for unit in UNITS if value is not None and value >= unit[0]), None)
    return count(value) if value is None or unit is None else f"{value / unit[0]:.3g} {unit[1]}".replace("e+03", "000")


def size(size_bytes: int | None, included_bytes: int | None = None) -> str:
    """Bytes in GiB, or less where they are too few: of a plan that includes so many MB in MB too."""
    if size_bytes is not None and included_bytes and included_bytes % 2**20:
        return in_unit_of(included_bytes, size_bytes)
    if not size_bytes:
        return NONE if size_bytes is None else "0 B"
    unit_bytes, unit = next((unit for unit in VENDORS if size_bytes >= unit[0] * SMALLEST_SHOWN), VENDORS[-1])
    return f"{size_bytes / unit_bytes:,.2f} {unit}"


def usd(amount: Decimal | None) -> str:
    """Dollars to the cent, a dash where no amount is known."""
    if amount is None:
        return NONE
    return f"−${-amount:,.2f}" if amount < 0 else f"${amount:,.2f}"


def least(known: Decimal | None, is_complete: bool, is_share: bool = False) -> str:
    """Dollars; of what is not known whole that it is at least so much, of a share of what is known about so much."""
    if known is None or is_complete:
        return usd(known)
    return f"{'about' if is_share else 'at least'} {usd(known)}"


def about(expected: Decimal | None, is_complete: bool) -> str:
    """Dollars that are expected; where not of everything, about so much: an estimate is no lower bound."""
    return least(expected, is_complete, is_share=True)


def cost(bill: Bill | None) -> str:
    """What is known of a cost; a dash where nothing is, as of what nobody has read yet."""
    if bill is None or not bill.is_anything_known:
        return NONE
    return least(bill.known, bill.total is not None, bill.is_share)


def part_spent(budget: BudgetState) -> str:
    """How much of a budget is spent, as sure as what is spent: at least so much is rounded down."""
    part = (budget.spent_usd or 0) / budget.limit_usd
    if budget.is_complete:
        return percent(part)
    return f"≈ {percent(part)}" if budget.is_share else f"≥ {percent(floor(100 * part) / 100)}"


def sign(said: str) -> str:
    """What `least` and `cost` say, as short as a table's cell wants it."""
    return said.replace("at least ", "≥ ").replace("about ", "≈ ")


def signed(value: float | Decimal | None, digits: int = 1) -> str:
    """A change with its sign."""
    if not value:
        return NONE if value is None else "0"
    return f"{value:+,.{digits}f}".replace("-", "−")


def why(reason: str) -> str:
    """What a reason means, as the beginning of a sentence; the reason itself where that is not known."""
    meaning = (meaning_of(reason) or reason).replace("`", "")
    return f"{meaning[:1].upper()}{meaning[1:]}"


def cut(name: str) -> str:
    """A name of at most so many characters: the whole one stands in a title."""
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"


def duration(span: timedelta, whole: Callable[[float], int] = int) -> str:
    """A span in its largest unit, whole ones of it: `42 s`, `5 min`, `3 h`, `12 days`."""
    seconds = int(span.total_seconds())
    for unit_seconds, unit in ((2 * 86400, "days"), (2 * 3600, "h"), (120, "min")):
        if seconds >= unit_seconds:
            return f"{whole(seconds / (unit_seconds // 2))} {unit}"
    return f"{seconds} s"


def distance(at: datetime, now: datetime) -> str:
    """How long ago an instant was, or how soon it is, to the nearest: 2 days and 21 hours ahead are nearly three."""
    return f"{duration(now - at)} ago" if at <= now else f"in {duration(at - now, round)}"


def parts(bill: Bill | None) -> str:
    """What a cost is made of; of a part that is not known whole, at least how much."""
    if bill is None or not bill.is_anything_known:
        return ""
    named = zip(("fee", "operations", "storage"), bill.parts, bill.known_parts, strict=True)
    return " · ".join(f"{name} {least(known, part is not None, bill.is_share)}" for name, part, known in named)


def mean_storage(view: WorkspaceView, included_bytes: int | None = None) -> str:
    """Each database at its own mean of the time that is known, which is said where it is not all."""
    mean, usage = view.month_average_storage_bytes, view.usage
    said = size(mean) if mean is None else f"{usage.mean_storage_qualifier}{size(mean, included_bytes)}"
    if mean is None or usage.listed.is_storage_known:
        return said
    return f"{said} ({percent(usage.storage_covered_ratio or 0)} of the storage's time is known)"


def seconds(span: float) -> str:
    """How long a round took."""
    return f"{span:.1f} s" if span < 120 else duration(timedelta(seconds=span))


@pass_context
def instant(context: Context, at: datetime | None) -> Markup | str:
    """An instant in UTC with its distance from the page's `now`; a dash where there is none."""
    if at is None:
        return NONE
    words = f"{at:%Y-%m-%d %H:%M:%S} UTC, {distance(at, context['now'])}"
    return Markup('<time datetime="{}">{}</time>').format(at.isoformat(), words)


@pass_context
def ago(context: Context, at: datetime | None) -> Markup | str:
    """The distance of an instant alone, the instant where one points at it."""
    if at is None:
        return NONE
    words = f"{at:%Y-%m-%d %H:%M:%S} UTC"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        at.isoformat(), words, distance(at, context["now"])
    )


def _shown(value: object) -> object:
    """No text may hold what HTML cannot carry."""
    return showable(value) if type(value) is str else value


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("prisma_postgres_exporter.expose.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.context_class = _Emptied
    for named in (
        about,
        count,
        counted,
        short,
        size,
        usd,
        least,
        cost,
        part_spent,
        sign,
        signed,
        percent,
        cut,
        parts,
        mean_storage,
        seconds,
        instant,
        ago,
    ):
        environment.filters[named.__name__] = named
    environment.filters |= {
        "operations": operations_of,
        "reason": why,
        "used": least_count,
        "used_short": partial(least_count, write=short),
    }
    environment.globals["NONE"] = NONE
    environment.globals["style"] = Markup(_style())  # noqa: S704 - our own file
    return environment


@cache
def _style() -> str:
    return files(__package__).joinpath("templates", "style.css").read_text(encoding="utf-8")
