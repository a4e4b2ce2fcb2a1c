"""The systemd unit: well formed, as locked up as it can be, and started as it says."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from dockerfile import ROOT
from processes import run, vendor

UNIT = ROOT / "deploy" / "systemd" / "prisma-postgres-exporter.service"
INSTALLED = "/opt/prisma-postgres-exporter"
MOST_EXPOSURE = 15
"""In tenths. What is left is the network, which an exporter needs."""

NEEDS_SYSTEMD = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None and "CI" not in os.environ, reason="needs systemd-analyze"
)


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit as it is for an exporter that is installed where these tests' one is: systemd looks for the program."""
    path = tmp_path / UNIT.name
    path.write_text(UNIT.read_text(encoding="utf-8").replace(INSTALLED, sys.prefix))
    return path


def settings() -> dict[str, list[str]]:
    """Return every value of each setting."""
    found: dict[str, list[str]] = {}
    for line in UNIT.read_text(encoding="utf-8").splitlines():
        if "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


@NEEDS_SYSTEMD
def test_systemd_finds_nothing_wrong_with_the_unit(unit: Path) -> None:
    found = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)

    assert (found.returncode, found.stdout + found.stderr) == (0, "")


@NEEDS_SYSTEMD
def test_the_unit_leaves_the_service_nothing_but_the_network_and_its_state(unit: Path) -> None:
    found = subprocess.run(
        ["systemd-analyze", "security", "--no-pager", "--offline=true", f"--threshold={MOST_EXPOSURE}", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert found.returncode == 0, found.stdout + found.stderr


def test_the_token_reaches_the_service_as_a_credential_and_never_in_the_unit(tmp_path: Path) -> None:
    assert settings()["LoadCredential"] == ["token:/etc/prisma-postgres-exporter/token"]
    (setting,) = settings()["Environment"]
    variable, _, value = setting.partition("=")
    program, *_arguments = settings()["ExecStart"][0].split()
    credentials, state = tmp_path / "credentials", tmp_path / "state"
    credentials.mkdir()
    state.mkdir()

    with vendor(workspaces=1, databases=2) as upstream:
        token = credentials / "token"
        token.write_text(next(iter(upstream.simulator.world.tokens)) + "\n")
        token.chmod(0o400)
        environ = {variable: value.replace("%d", str(credentials)), "PRISMA_POSTGRES_API_URL": upstream.url}
        checked = run("check", cwd=state, environ=environ)

    assert program == f"{INSTALLED}/bin/prisma-postgres-exporter"
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert list(state.iterdir()) == [], "check makes no store"


def test_a_configuration_that_is_wrong_is_not_tried_again_and_again(tmp_path: Path) -> None:
    refused = run("serve", cwd=tmp_path)

    assert [str(refused.returncode)] == settings()["RestartPreventExitStatus"], refused.stdout + refused.stderr
