"""The pages in a real Chromium: what it complains about, how wide they are, and who can read them."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal
from urllib.parse import urljoin, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from page_worlds import WORLDS, served
from playwright.sync_api import Browser, Page, sync_playwright
from processes import EXPORTER, Exporter, exporter, fetch, program, run, wait_until
from rich.console import Console
from rich.text import Text

from faked_clock import FakedClock
from ports import free_port
from prisma_postgres_exporter.model import month_start, previous_month_start

CHROMIUM = shutil.which("chromium")
NGINX = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None and "CI" not in os.environ, reason="needs chromium"),
]
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PHONE, DESKTOP = 360, 1_280
WIDTHS = (PHONE, 768, 1_040, DESKTOP, 1_920)
CUT_OFF = """[...document.querySelectorAll('.list')].filter(list => list.scrollWidth > list.clientWidth)
    .map(list => `${list.querySelector('table').ariaLabel}: ${list.scrollWidth} of ${list.clientWidth}`)"""
"""What is wider than its frame, which cuts it off."""

CUT_SHORT = """[...document.querySelectorAll('.rows tbody .name, li')]
    .filter(one => one.scrollHeight > one.clientHeight + 1 || one.scrollWidth > one.clientWidth + 1)
    .map(one => one.textContent)"""
"""Names and sentences of which a part is not seen."""

RAGGED = """() => {
  const box = (one) => {
    const text = document.createRange()
    text.selectNodeContents(one)
    return text.getBoundingClientRect()
  }
  const [rows, axes, heads] = [".rows tbody tr:has(.state)", ".axis", ".sorts thead th"]
    .map((one) => [...document.querySelectorAll(one)])
  return [
    ...rows.filter((row) => Math.abs(box(row.querySelector(".name")).top - box(row.querySelector(".state")).top) > 4),
    ...axes.filter((axis) => box(axis.firstElementChild).top !== box(axis.lastElementChild).top
      || box(axis.lastElementChild).height > 24),
    ...heads.filter((head) => head.offsetWidth > box(head).width + 16),
  ].map((one) => one.textContent.replace(/\\s+/g, " "))
}"""
"""A state that is not on its name's line, ends of an axis below each other, links to sort by that stand far apart."""

DEMO = "demo"
HIGHEST = 6_000
Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
TERMINAL = """<body style="margin: 0"><pre style="display: inline-block; margin: 0; padding: 24px 26px; color: #d6dae0;
    background: #161a21; font: 15px/1.45 'DejaVu Sans Mono', monospace">{code}</pre>"""
COLUMNS = 130
PICTURED_AT = datetime(2026, 11, 27, 11, 25, tzinfo=UTC)
"""When it is in the manual's examples, too."""

LARGER_THAN_ITS_CELL = """() => [...document.querySelectorAll("td *, th *")]
  .filter((part) => {
    const [own, cell] = [part, part.closest("td, th")].map((one) => parseFloat(getComputedStyle(one).fontSize))
    return own > cell
  })
  .map((part) => part.outerHTML)"""
"""A note in small print is never printed larger than what it is about."""

LOOKED_AT = ((PHONE, "dark"), (DESKTOP, "light"))
"""Where axe reads a page: each layout and each scheme once."""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exporter]:
    """The demo, when it has costs and a database that fails."""
    with exporter("demo", cwd=tmp_path_factory.mktemp("demo")) as running:
        wait_for_everything(running)
        yield running


def wait_for_everything(running: Exporter) -> None:
    """Wait until a demo shows all that it will."""
    running.scrape_when(
        lambda seen: seen.labels("prisma_postgres_database_month_to_date_cost_usd", "database_id"), "costs"
    )
    running.scrape_when(lambda seen: 0 in seen.named("prisma_postgres_database_up").values(), "one that fails")
    # Read a moment after the first page: what the last month cost.
    wait_until(lambda: "would have cost" in running.get("/").text, "saving advice")
    wait_until(lambda: "not read yet" not in running.get("/").text, "a first round of every workspace")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    assert CHROMIUM is not None, "chromium is not installed"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def world(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of the pages about a world."""
    if request.param == DEMO:
        yield request.getfixturevalue("demo").url
        return
    with served(WORLDS[request.param]) as url:
        yield url


def opened(browser: Browser, url: str, *, width: int = DESKTOP, scheme: Scheme = "light", status: int = 200) -> Page:
    """Open a page that nothing is wrong with, and that asks for nothing else."""
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    answer = page.goto(url)
    assert answer is not None
    assert answer.status == status
    assert status == 404 or complaints == []
    assert asked == [url.partition("#")[0]], "the page alone was asked for"
    return page


def linked(page: Page, kind: str) -> str | None:
    """The address of the first page of a kind that the overview has a link to."""
    found = page.locator(f"table a[href*='{kind}/']")
    return urljoin(page.url, found.first.get_attribute("href") or "") if found.count() else None


def links_of(page: Page) -> set[str]:
    """The addresses of a page's links to others, without their fragments."""
    hrefs = page.eval_on_selector_all("a", "found => found.map(one => one.getAttribute('href'))")
    return {urljoin(page.url, href).partition("#")[0] for href in hrefs if not href.startswith("#")}


@pytest.mark.parametrize("world", [DEMO, *WORLDS], indirect=True)
def test_every_page_fits_every_width_and_everybody_can_read_it(
    browser: Browser, world: str, request: pytest.FixtureRequest
) -> None:
    overview = opened(browser, f"{world}/")
    found = [linked(overview, kind) for kind in ("workspaces", "projects", "databases")]
    overview.close()
    wrong = []
    for url, status in [*((url, 200) for url in (f"{world}/", *found) if url), (f"{world}/no/such/page", 404)]:
        page = opened(browser, url, status=status)
        page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            for width in WIDTHS:
                page.set_viewport_size({"width": width, "height": 900})
                drawn = page.evaluate("document.documentElement.scrollWidth")
                wrong += [f"{url} is {drawn} wide at {width}"] if drawn > width else []
                wrong += [f"{url} at {width} is cut off: {table}" for table in page.evaluate(CUT_OFF)]
                if (width, scheme) in LOOKED_AT:
                    result = Axe().run(page)
                    wrong += [f"{url} at {width}, {scheme}: {result.generate_report()}"] * bool(result.violations_count)
        page.close()
    assert wrong == []


def test_the_demos_page_is_not_high_and_neither_are_odd_names(demo: Exporter, browser: Browser) -> None:
    with served(WORLDS["odd names"]) as odd:
        # The odd ones have all a limit before them.
        for url, highest in ((demo.url, HIGHEST), (odd, 8_000)):
            for width in WIDTHS:
                page = opened(browser, f"{url}/", width=width)
                assert page.evaluate("document.documentElement.scrollHeight") <= highest, (url, width)
                page.close()


def test_a_phone_shows_whole_names_and_lines_that_belong_together(demo: Exporter, browser: Browser) -> None:
    overview = opened(browser, f"{demo.url}/", width=PHONE)
    others = [linked(overview, kind) for kind in ("workspaces", "projects", "databases")]
    overview.close()
    for url in (f"{demo.url}/", *filter(None, others)):
        page = opened(browser, url, width=PHONE)
        assert page.evaluate(CUT_SHORT) == [], url
        assert page.evaluate(RAGGED) == [], url
        page.close()


def test_the_keyboard_reaches_the_content_first_and_then_every_link(demo: Exporter, browser: Browser) -> None:
    page = opened(browser, f"{demo.url}/")
    reached = []
    for _ in range(6):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.textContent.trim()"))
    page.close()

    assert reached == [
        "Skip to the content",
        "Prisma Postgres usage",
        "Overview",
        "Databases",
        "Metrics",
        "API (OpenAPI JSON)",
    ]


def test_a_database_is_found_by_its_name_and_its_places_are_linked(demo: Exporter, browser: Browser) -> None:
    page = opened(browser, f"{demo.url}/")
    name = page.locator("table[aria-label='Databases'] tbody th").nth(2).inner_text()
    page.get_by_label("Name or id").fill(name)
    page.get_by_role("button", name="Search").click()
    names = page.locator("table[aria-label='Databases'] tbody th").all_inner_texts()
    assert names
    assert all(name in found for found in names)
    page.get_by_role("link", name=name, exact=True).first.click()
    assert page.locator("h1").inner_text() == name
    assert re.search(r"/databases/db_", page.url)
    assert page.locator("svg.plot").count() >= 3
    for kind in ("projects", "workspaces"):
        page.locator(f".crumbs a[href*='{kind}/']").first.click()
        assert f"/{kind}/" in page.url
        assert page.locator("svg.plot").count() >= 3
        assert page.get_by_role("heading", name="Revisions by the vendor").count() == 1
        assert page.get_by_role("heading", name="Events").count() == 1


def test_columns_sort_and_pages_turn(browser: Browser) -> None:
    with served(WORLDS["ten thousand"]) as url:
        page = opened(browser, f"{url}/")
        first = page.locator("table[aria-label='Databases'] tbody th a").first
        assert first.inner_text() == "database 9999"
        page.get_by_role("link", name="Database", exact=True).click()
        assert first.inner_text() == "database 0"
        assert page.locator("th[aria-sort=ascending]").inner_text().startswith("Database")
        page.get_by_role("link", name="Next databases").click()
        assert first.inner_text() != "database 0"
        assert "21–40 of 10,000" in page.inner_text("main")
        page.get_by_role("link", name="Next workspaces").click()
        assert "21–40 of 1,000" in page.inner_text("main")
        assert "21–40 of 10,000" in page.inner_text("main")
        page.close()


def test_every_link_holds_below_the_path_of_a_proxy(demo: Exporter, browser: Browser, tmp_path: Path) -> None:
    assert NGINX is not None, "nginx is not installed"
    port = free_port()
    for name in ("body", "proxy", "fastcgi", "uwsgi", "scgi"):
        (tmp_path / name).mkdir()
    (tmp_path / "nginx.conf").write_text(
        f"""daemon off; master_process off; pid {tmp_path}/pid; error_log stderr;
        events {{}}
        http {{ access_log off; client_body_temp_path {tmp_path}/body; proxy_temp_path {tmp_path}/proxy;
          fastcgi_temp_path {tmp_path}/fastcgi; uwsgi_temp_path {tmp_path}/uwsgi; scgi_temp_path {tmp_path}/scgi;
          server {{ listen 127.0.0.1:{port}; location /ppe/ {{ proxy_pass {demo.url}/; }} }} }}
        """,
        encoding="utf-8",
    )
    with program(NGINX, "-c", f"{tmp_path}/nginx.conf", "-e", "stderr", cwd=tmp_path) as running:
        root = f"http://127.0.0.1:{port}/ppe/"
        while running.is_alive and fetch_status(root) == 0:
            pass
        seen: set[str] = set()
        page = opened(browser, root)
        places = [url for kind in ("workspaces", "projects", "databases") if (url := linked(page, kind))]
        page.close()
        for url in (root, *places, f"{root}no/such/page"):
            page = opened(browser, url, status=404 if "/no/" in url else 200)
            seen |= links_of(page)
            page.close()
        assert {f"{root}metrics", f"{root}-/healthy", f"{root}-/ready", f"{root}api/v1/openapi.json"} <= seen
        seen.discard("https://console.prisma.io")
        assert all(link.startswith(root) for link in seen), seen
        kinds = {re.sub(r"(wksp|proj|db)_\w+", "", link.partition("?")[0]): link for link in seen}
        assert {link: fetch_status(link) for link in kinds.values()} == dict.fromkeys(kinds.values(), 200)
        assert urlsplit(root).path == "/ppe/"


def fetch_status(url: str) -> int:
    """The status of an answer, 0 where nobody answers yet."""
    try:
        return fetch(url).status
    except OSError:
        return 0


def test_a_report_fits_a_phone_and_a_sheet_of_paper(demo: Exporter, browser: Browser, tmp_path: Path) -> None:
    url = re.findall(r"PRISMA_POSTGRES_STORE_URL=(\S+)", demo.output)[0]
    report = tmp_path / "report.html"
    run("report", "--format", "html", "-o", str(report), cwd=tmp_path, environ={"PRISMA_POSTGRES_STORE_URL": url})
    page = opened(browser, report.as_uri(), width=PHONE)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(CUT_OFF) == []
        assert page.evaluate(CUT_SHORT) == []
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        assert Axe().run(page).violations_count == 0
    page.emulate_media(media="print", color_scheme="light")
    page.set_viewport_size({"width": 687, "height": 1_000})  # A4 without its margins
    assert page.evaluate("document.documentElement.scrollWidth") <= 687
    assert page.evaluate(CUT_OFF) == []
    assert page.pdf(prefer_css_page_size=True).startswith(b"%PDF")
    page.close()
    printed = opened(browser, f"{demo.url}/", width=687)
    printed.emulate_media(media="print", color_scheme="light")
    assert printed.evaluate(LARGER_THAN_ITS_CELL) == []
    assert printed.evaluate("document.documentElement.scrollWidth") <= 687
    printed.close()


def test_pictures_are_made_where_they_are_asked_for(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(os.environ.get("PICTURES", tmp_path))
    clock = FakedClock(tmp_path)
    clock.put(int(PICTURED_AT.timestamp() - time.time()))
    # As it is installed: the page names the command that started it.
    program = tmp_path / "bin" / "prisma-postgres-exporter"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\nfrom prisma_postgres_exporter.__main__ import main\n\nmain()\n")
    program.chmod(0o755)
    environ = {**clock.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"}
    monkeypatch.setattr(f"{exporter.__module__}.EXPORTER", (str(program),))
    with exporter("demo", cwd=tmp_path, environ=environ, as_command_line=True) as demo:
        wait_for_everything(demo)
        assert sys.executable not in demo.get("/").text
        desktop = opened(browser, f"{demo.url}/", width=1_100)
        desktop.set_viewport_size({"width": 1_100, "height": 1_400})
        desktop.screenshot(path=folder / "status-page.png")
        of_database = linked(desktop, "databases")
        assert of_database is not None
        phone = opened(browser, of_database, width=390, scheme="dark")
        phone.screenshot(path=folder / "database-page.png", full_page=True)
        terminal = browser.new_page()
        terminal.set_content(in_a_terminal(demo, clock, tmp_path))
        terminal.locator("pre").screenshot(path=folder / "terminal.png")

    for name in ("status-page.png", "database-page.png", "terminal.png"):
        assert (folder / name).stat().st_size > 10_000
    for page in (desktop, phone, terminal):
        page.close()


def in_a_terminal(demo: Exporter, clock: FakedClock, folder: Path) -> str:
    """What three commands print about the demo's ledger at a terminal, as HTML."""
    last_month = previous_month_start(month_start(PICTURED_AT))
    months = [f"{month:%Y-%m}" for month in (previous_month_start(last_month), last_month)]
    environ = {
        **{name: value for name, value in os.environ.items() if name != "NO_COLOR"},
        **dict(re.findall(r"export (\S+)=(\S+)", demo.output)),
        **clock.environ,
        "COLUMNS": f"{COLUMNS}",
        "TERM": "xterm-256color",
    }
    shown = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    for words in (("cost",), ("top", "--limit", "8"), ("compare", *months)):
        shown.print(Text(f"$ prisma-postgres-exporter {' '.join(words)}", style="#8fd19e"))
        shown.print(Text.from_ansi(printed((*EXPORTER, *words), environ, folder)))
        shown.print()
    return shown.export_html(inline_styles=True, code_format=TERMINAL)


def printed(command: Sequence[str], environ: Mapping[str, str], folder: Path) -> str:
    """What a command prints at a terminal of its own."""
    ours, its = os.openpty()
    with open(ours, "rb", buffering=0) as reading:
        running = subprocess.Popen(command, cwd=folder, env=environ, stdin=its, stdout=its, stderr=its)
        os.close(its)
        parts = []
        # Linux says so, and not with an empty part, when nobody can write any more.
        with contextlib.suppress(OSError):
            while part := reading.read(4_096):
                parts.append(part)
    text = b"".join(parts).decode().replace("\r", "").rstrip()
    assert running.wait() == 0, text
    return text
