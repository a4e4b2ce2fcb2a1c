"""The manual's pages: links lead somewhere, examples of files can be read, and no symptom is without an answer."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml
from expose_views import needs_program
from manual_pages import PAGES, Block, blocks

from made_tables import GUIDE, ROOT
from prisma_postgres_exporter.config import Config, load_config
from prisma_postgres_exporter.diagnosis import Reason

CODE = re.compile(r"^(`{3,})[^\n]*\n.*?^\1[^\n]*$|(`+)[^`\n]+?\2", re.M | re.S)
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.+?) *$", re.M)
LOUD = ("warning", "error", "exception", "critical")
YAML = list(blocks("yaml"))
OF_OTHERS = {"apiVersion", "tls_server_config", "basic_auth_users"}
"""Grafana's files, Kubernetes' and the web configuration file: read by whoever they are for in other tests."""


def anchors(page: Path) -> set[str]:
    """What may stand behind `#`, as GitHub makes it of a page's headings."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    found: set[str] = set()
    for heading in HEADING.findall(text):
        name = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower().replace(" ", "-")
        slug = "".join(letter for letter in name if letter.isalnum() or letter in "-_")
        number, unique = 0, slug
        while unique in found:
            number += 1
            unique = f"{slug}-{number}"
        found.add(unique)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    dead = []
    for link in LINK.findall(CODE.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = unquote(link).partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(link)

    assert dead == []


def test_every_page_of_the_guide_is_in_the_first_pages_table() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")

    assert [page.name for page in GUIDE.glob("*.md") if f"(deploy/guide/{page.name})" not in readme] == []


@needs_program("promtool")
@pytest.mark.parametrize("block", YAML, ids=[block.name for block in YAML])
def test_an_example_of_a_file_can_be_read(block: Block, tmp_path: Path) -> None:
    values = yaml.safe_load(block.text)
    path = tmp_path / "example.yml"
    path.write_text(block.text, encoding="utf-8")
    if "scrape_configs" in values:
        done = subprocess.run(
            ["promtool", "check", "config", "--syntax-only", str(path)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    elif OF_OTHERS.isdisjoint(values):
        if values.get("web"):
            values["web"].pop("config_file", None)
        assert values.keys() <= Config.model_fields.keys()
        load_config(config_path=str(path), environ={})


def test_every_warning_of_the_log_and_every_reason_of_the_doctor_has_an_answer() -> None:
    text = (GUIDE / "troubleshooting.md").read_text(encoding="utf-8")
    said = {event for path in (ROOT / "src").rglob("*.py") for event in loud_events(path)}

    assert len(said) > 30
    assert [event for event in sorted(said) if f"`{event}`" not in text] == []
    assert [reason.value for reason in Reason if f"`{reason.value}`" not in text] == []


def loud_events(path: Path) -> set[str]:
    """What a module logs as a warning or worse, as it is written there."""
    calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    return {
        str(call.args[0].value)
        for call in calls
        if isinstance(call.func, ast.Attribute)
        and call.func.attr in LOUD
        and isinstance(call.func.value, ast.Name)
        and call.func.value.id in ("log", "_log")
        and call.args
        and isinstance(call.args[0], ast.Constant)
    }
