"""What the repository promises about itself."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from made_tables import CHART_SCHEMA, TABLES, with_configuration, with_table
from prisma_postgres_exporter import __version__

ROOT = Path(__file__).parents[1]
TOP_LEVEL = {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "src", "tests", "deploy", "grafana"}
MACHINE_PATH = re.compile(r"/(?:work|farm|root|home/\w+)/")
PACKAGE_INDEX = re.compile(r"--(?:extra-)?index-url|https?://\S*/simple/|https?://\S*\.(?:whl|tgz)\b")


def files() -> list[Path]:
    """Return the files of the repository, or where it is no checkout of git, those of the source archive."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode == 0:
        return [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    return [path for path in ROOT.rglob("*") if path.is_file() and "/." not in str(path.relative_to(ROOT.parent))]


def test_the_top_level_holds_what_was_agreed_and_no_more() -> None:
    names = {path.relative_to(ROOT).parts[0] for path in files()}

    assert {name for name in names if not name.startswith(".")} <= TOP_LEVEL


def test_no_file_holds_a_path_of_a_machine_or_the_address_of_a_package_index() -> None:
    found = []
    for path in files():
        if path == Path(__file__) or not path.is_file():
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        found += [f"{path}: {hit.group()}" for rule in (MACHINE_PATH, PACKAGE_INDEX) for hit in rule.finditer(text)]

    assert found == []


def test_the_licence_is_whole() -> None:
    licence = (ROOT / "LICENSE").read_text(encoding="utf-8")

    assert "Apache License" in licence
    assert "END OF TERMS AND CONDITIONS" in licence


def test_the_changelog_speaks_of_this_version_or_of_what_is_coming() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")

    assert "## [Unreleased]" in changelog or f"## [{__version__}]" in changelog


@pytest.mark.parametrize("mark", TABLES)
def test_a_table_of_the_manual_is_the_codes(mark: str) -> None:
    page, made = TABLES[mark]
    text = page.read_text(encoding="utf-8")

    assert with_table(text, mark, made()) == text, "run `python tests/made_tables.py`"


def test_the_charts_schema_has_the_keys_of_the_configuration() -> None:
    text = CHART_SCHEMA.read_text(encoding="utf-8")

    assert with_configuration(text) == text, "run `python tests/made_tables.py`"


def test_the_first_page_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150
