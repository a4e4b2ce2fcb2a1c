"""The licences of what is installed with the exporter: each is one of those that we know, and listed.

`python tests/deploy/test_deploy_licences.py` writes the list anew.
"""

from __future__ import annotations

import re
from importlib.metadata import distribution, metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
LOCK_FILE = ROOT / "deploy" / "requirements.txt"
LIST = ROOT / "deploy" / "licences.md"
HEAD = """# Licences

The exporter is under Apache-2.0. What is installed with it, extras included (`deploy/requirements.txt`):

| package | licence |
|---|---|
"""
KNOWN = {"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "LGPL-3.0-only", "MIT", "MPL-2.0", "PSF-2.0"}
"""Each may be passed on beside Apache-2.0; LGPL-3.0 (psycopg) and MPL-2.0 (certifi) as the packages they are."""

OLD_NAMES = {
    # as packages said it before there was one way; to its name in SPDX
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2.0": "Apache-2.0",
    "ISC License": "ISC",
    "MIT License": "MIT",
}
ONLY_ITS_TEXT = {
    "httpx-aiohttp": ("Redistribution and use in source and binary forms", "BSD-3-Clause"),
    "jinja2": ("Neither the name of the copyright holder", "BSD-3-Clause"),
}


def packages() -> list[str]:
    """What the lock file installs here, by name."""
    lines = re.findall(r"^([a-z0-9][^\\\n]*?) ?\\?$", LOCK_FILE.read_text(encoding="utf-8"), re.M)
    found = map(Requirement, lines)
    return sorted(row.name for row in found if row.marker is None or row.marker.evaluate())


def licence(name: str) -> str:
    """The licence of an installed package, as an SPDX expression or as it says it."""
    told = metadata(name)
    text = " ".join(told.get_all("License") or [])
    if name in ONLY_ITS_TEXT:
        sentence, known = ONLY_ITS_TEXT[name]
        assert sentence in (text or distribution(name).read_text("licenses/LICENSE.txt") or "")
        return known
    classifiers = [row.split(" :: ")[-1] for row in told.get_all("Classifier") or [] if row.startswith("License ::")]
    expression = " ".join(told.get_all("License-Expression") or [])
    said = expression or text or " AND ".join(classifiers)
    return OLD_NAMES.get(said, said)


def listed() -> str:
    return HEAD + "".join(f"| {name} | {licence(name)} |\n" for name in packages())


@pytest.mark.parametrize("name", packages())
def test_a_licence_is_one_that_we_know(name: str) -> None:
    assert set(re.split(r" AND | OR ", licence(name))) <= KNOWN


def test_the_list_is_of_today() -> None:
    assert LIST.read_text(encoding="utf-8") == listed()


if __name__ == "__main__":
    LIST.write_text(listed(), encoding="utf-8")
