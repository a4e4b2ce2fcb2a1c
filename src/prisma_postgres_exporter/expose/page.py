"""What every page of the exporter has: its frame, its style, and the policy that lets nothing else in."""

from __future__ import annotations

import base64
import hashlib

from prisma_postgres_exporter.expose.markup import Markup, element
from prisma_postgres_exporter.expose.plots import PLOT_STYLE

NONE = "–"
GIB = 2**30
STYLE = Markup(
    """
:root { color-scheme: light dark; --line: #8886; --bad: #b3261e; --good: #146c2e; --plot: #2f6fde; --link: #0b57d0;
  --paper: #fff; --ink: #1b1b1f }
@media (prefers-color-scheme: dark) {
  :root { --bad: #ffb4ab; --good: #7bdc93; --plot: #7fb0ff; --link: #a8c7fa; --paper: #121316; --ink: #e3e2e6 }
}
* { box-sizing: border-box }
html { background: var(--paper); color: var(--ink) }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 70rem; margin: 0 auto; padding: 1rem }
a { color: var(--link) }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px }
.skip { position: absolute; left: -100vw } .skip:focus { position: static }
h1 { font-size: 1.5rem; margin: .5rem 0 } h2 { font-size: 1.2rem; margin: 2rem 0 .5rem } h3 { margin: 0 }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1rem; padding: 0; margin: .5rem 0; list-style: none }
article { border: 1px solid var(--line); border-radius: .5rem; padding: 1rem; margin: 1rem 0 }
dl { display: grid; gap: .75rem; margin: 1rem 0;
  grid-template-columns: repeat(auto-fill, minmax(min(15rem, 100%), 1fr)) }
dt { font-size: .85rem } dd { margin: 0; overflow-wrap: anywhere }
meter { width: 100%; max-width: 12rem }
form { display: flex; flex-wrap: wrap; gap: .5rem; align-items: end; margin: .5rem 0 }
input, button { font: inherit; padding: .3rem .6rem }
.wide { overflow-x: auto } table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .35rem .75rem .35rem 0; border-bottom: 1px solid var(--line) }
th[scope=row] { font-weight: 600; min-width: 8rem; max-width: 22rem; overflow-wrap: break-word }
td { max-width: 24rem; overflow-wrap: break-word }
.number { text-align: right; white-space: nowrap }
.bad { color: var(--bad); font-weight: 600 } .good { color: var(--good); font-weight: 600 }
"""
    + PLOT_STYLE
)
_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()

CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


def document(title: str, *content: str) -> str:
    """A whole HTML document that asks for nothing else."""
    head = element(
        "head",
        Markup('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'),
        element("title", title),
        element("style", STYLE),
    )
    skip = element("a", "Skip to the content", href="#content", class_="skip")
    body = element("body", skip, _header(), element("main", *content, id="content"))
    return "<!doctype html>\n" + element("html", head, body, lang="en") + "\n"


def good(text: str) -> Markup:
    """A word that all is well."""
    return element("span", text, class_="good")


def bad(text: str) -> Markup:
    """A word that something is wrong."""
    return element("span", text, class_="bad")


def count(value: int | None) -> str:
    """A whole number, a dash where nobody told us."""
    return NONE if value is None else f"{value:,}"


def gib(size_bytes: int | None) -> str:
    """Bytes in GiB."""
    return NONE if size_bytes is None else f"{size_bytes / GIB:,.2f} GiB"


def _header() -> Markup:
    paths = (("Status", "/"), ("Metrics", "/metrics"), ("JSON", "/api/v1/openapi.json"))
    links = [element("li", element("a", name, href=path)) for name, path in paths]
    return element("header", element("nav", element("ul", *links), **{"aria-label": "Pages"}))
