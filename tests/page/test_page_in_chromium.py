"""The pages in a real Chromium: what it complains about, how wide they are, and who can read them."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright
from processes import Exporter, exporter

CHROMIUM = shutil.which("chromium")
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
PHONE, DESKTOP = 390, 1_280
Scheme = Literal["light", "dark"]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exporter]:
    """The demo, when it has costs and a database that fails."""
    with exporter("demo", cwd=tmp_path_factory.mktemp("demo")) as running:
        running.scrape_when(
            lambda seen: seen.labels("prisma_postgres_database_month_to_date_cost_usd", "database_id"), "costs"
        )
        running.wait_for("database failing")
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    assert CHROMIUM is not None, "chromium is not installed"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


def database_path(page: Page) -> str:
    path = page.locator(".wide[aria-label^='Databases'] a").first.get_attribute("href")
    assert path is not None
    return path


def opened(browser: Browser, url: str, *, width: int, scheme: Scheme = "light") -> Page:
    """Open a page, and keep what Chromium complains about and asks for in the page's own list."""
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    answer = page.goto(url)
    assert answer is not None
    assert answer.ok
    assert complaints == []
    assert asked == [url], "the page alone was asked for"
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_both_pages_fit_and_everybody_can_read_them(
    demo: Exporter, browser: Browser, width: int, scheme: Scheme
) -> None:
    page = opened(browser, f"{demo.url}/", width=width, scheme=scheme)
    of_database = opened(browser, demo.url + database_path(page), width=width, scheme=scheme)
    for shown in (page, of_database):
        assert shown.evaluate("document.documentElement.scrollWidth") <= width
        found = Axe().run(shown)
        assert found.violations_count == 0, found.generate_report()
        shown.close()


def test_the_keyboard_reaches_the_content_first_and_then_every_link(demo: Exporter, browser: Browser) -> None:
    page = opened(browser, f"{demo.url}/", width=DESKTOP)
    reached = []
    for _ in range(6):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.textContent.trim()"))
    page.close()

    assert reached[:4] == ["Skip to the content", "Status", "Metrics", "JSON"]


def test_a_database_is_found_by_its_name(demo: Exporter, browser: Browser) -> None:
    page = opened(browser, f"{demo.url}/", width=DESKTOP)
    name = page.locator(".wide[aria-label^='Databases'] tbody th").nth(2).inner_text()
    page.get_by_label("Name or id").fill(name)
    page.get_by_role("button", name="Search").click()
    names = page.locator(".wide[aria-label^='Databases'] tbody th").all_inner_texts()
    assert names
    assert all(name in found for found in names)
    page.get_by_role("link", name=name, exact=True).first.click()
    assert page.locator("h1").inner_text() == name
    assert re.search(r"/databases/db_", page.url)
    assert page.locator("svg.plot").count() == 2
    page.close()


def test_a_database_that_is_not_there_is_told(demo: Exporter) -> None:
    answer = demo.get("/databases/db_unknown")

    assert answer.status == 404
    assert "There is no database" in answer.text


def test_pictures_are_made_where_they_are_asked_for(demo: Exporter, browser: Browser, tmp_path: Path) -> None:
    folder = Path(os.environ.get("PICTURES", tmp_path))
    desktop = opened(browser, f"{demo.url}/", width=1_100)
    desktop.set_viewport_size({"width": 1_100, "height": 1_400})
    desktop.screenshot(path=folder / "status-page.png")
    phone = opened(browser, demo.url + database_path(desktop), width=PHONE, scheme="dark")
    phone.screenshot(path=folder / "database-page.png", full_page=True)

    assert (folder / "status-page.png").stat().st_size > 10_000
    assert (folder / "database-page.png").stat().st_size > 10_000
    desktop.close()
    phone.close()
