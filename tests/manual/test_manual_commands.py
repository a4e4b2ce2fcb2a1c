"""Every command of the manual's pages is run against the demo, and prints what the page says."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

import pytest
import stand_in
from expose_views import needs_program
from manual_pages import RUN, Block, blocks, differences, shown, write_anew
from processes import Exporter, exporter, run

from faked_clock import FakedClock
from made_tables import GUIDE, ROOT
from ports import free_port
from web_files import hash_of, web_folder

pytestmark = [pytest.mark.slow, needs_program("cc"), needs_program("curl"), needs_program("jq")]

MIXIN = ROOT / "deploy" / "prometheus"
"""Its page has commands for a copy of the folder."""
AT = datetime(2026, 11, 27, 11, 25, tzinfo=UTC)
"""When the manual's examples are of: the demo runs then."""
PASSWORD = "the password of the examples"
BETWEEN = "---- the next command ----"
LONGEST_SECONDS = 300
EXPORTS = ("PRISMA_POSTGRES_API_URL", "PRISMA_POSTGRES_TOKEN", "PRISMA_POSTGRES_STORE_URL")

NOT_RUN = {
    ("pip", "install"): "packages come from an index; CI installs the packages and every extra at its start",
    ("pytest",): "the tests run themselves",
    ("python", "tests/made_tables.py"): "test_repository compares what it writes",
    ("python", "tests/reliability.py"): "runs the tests of faults for half an hour; each compares its own row",
    ("python", "tests/fuzz/fuzz_longer.py"): "needs atheris, and runs as long as it is told",
    ("python", "tests/deploy/kubernetes_manifests.py"): "test_deploy_manifests compares what it writes",
    ("python", "tests/deploy/test_deploy_licences.py"): "as a test it compares what it writes",
    ("python", "grafana/source"): "CI runs it with --check",
    (
        "python",
        "grafana/pictures/demo_history.py",
    ): "draws in Chromium for minutes, to be looked at by hand",
    ("npm",): "the same",
    ("node",): "the same",
    ("promtool", "tsdb"): "four months take it minutes; test_backfill loads some days into a real Prometheus",
    ("uv",): "makes lock files from an index; test_deploy_licences and CI use them",
    ("jb",): "needs the repository's address; test_deploy_mixin evaluates the mixin",
    ("chown",): "needs root",
    ("systemctl", "daemon-reload"): "there is no init; test_deploy_systemd verifies the unit and runs its command",
    ("systemctl", "enable"): "the same",
    ("systemd-socket-activate",): "test_web_config runs it and asks over the socket",
    ("docker", "build"): "there is no engine; test_deploy_image carries the Dockerfile out",
    ("docker", "push"): "there is no engine",
    ("docker", "run"): "there is no engine; test_deploy_image runs what the image would",
    ("docker", "compose up"): "there is no engine; test_deploy_compose runs the services' commands",
    ("kubectl", "create"): "there is no cluster",
    ("kubectl", "apply"): "there is no cluster; test_deploy_manifests holds the files against Kubernetes' schemas",
    ("kubectl", "set"): "there is no cluster",
    ("kubectl", "port-forward"): "there is no cluster",
    ("helm", "install"): "there is no cluster; the chart is rendered with the same values",
    ("helm", "upgrade"): "the same",
}
"""What a block's commands may leave to the stand-ins, and why; they look at files, names and options all the same."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A demo at the instant of the manual's examples, and what commands need to be run at it."""

    demo: Exporter
    directory: Path
    clock: Mapping[str, str]
    exports: Mapping[str, str]

    @property
    def tokens(self) -> list[str]:
        """One for each workspace."""
        return self.exports["PRISMA_POSTGRES_TOKEN"].split(",")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    directory = tmp_path_factory.mktemp("manual")
    stand_in.write(directory / "stand-ins")
    clock = FakedClock(directory)
    clock.put(int((AT - datetime.now(UTC)).total_seconds()))
    with exporter("demo", cwd=directory, environ=clock.environ, as_command_line=True, seconds=LONGEST_SECONDS) as demo:
        exports = {name: demo.wait_for(rf"export {name}=(\S+)") for name in EXPORTS}
        demo.scrape_when(
            lambda samples: samples.named("prisma_postgres_workspace_forecast_month_cost_usd"), "cost and forecast"
        )
        yield Scene(demo, directory, clock.environ, exports)


def given(scene: Scene, block: Block) -> dict[str, str]:
    """What a reader of the page has set: nothing, a token of a workspace, or what the demo prints."""
    if block.text.startswith("$ prisma-postgres-exporter plan"):
        return {}  # before it runs
    api_url = {"PRISMA_POSTGRES_API_URL": scene.exports["PRISMA_POSTGRES_API_URL"]}
    if block.page == GUIDE / "management-api.md":
        return {**api_url, "PRISMA_POSTGRES_TOKEN": scene.tokens[0]}
    if " serve" in block.text:
        return {**api_url, **({} if "TOKEN_FILE" in block.text else {"PRISMA_POSTGRES_TOKEN": scene.tokens[0]})}
    return dict(scene.exports)


class Reader:
    """Types the commands of a page, block after block, in one checkout and on one machine."""

    def __init__(self, scene: Scene, page: Path, directory: Path) -> None:
        self.scene, self.page, self.directory = scene, page, directory
        self.checkout, self.machine = directory / "checkout", directory / "machine"
        self.checkout.mkdir()
        for name in ("README.md", "pyproject.toml", "CHANGELOG.md", "src", "tests", "grafana"):
            (self.checkout / name).symlink_to(ROOT / name)
        shutil.copytree(ROOT / "deploy", self.checkout / "deploy")
        shutil.copytree(scene.directory / "stand-ins", self.checkout / ".venv" / "bin")
        write_web_files(self.checkout)
        (self.machine / "etc" / "systemd" / "system").mkdir(parents=True)
        if page != ROOT / "deploy" / "README.md":  # which says how to install it
            install(scene, self.machine)

    def play(self, block: Block) -> list[list[str]]:
        """Run a block, and return what each command printed (of `sh`, all of them together)."""
        calls, background = self.directory / "calls", self.directory / "background"
        calls.write_text("")
        background.write_text("")
        is_served = " serve" in block.text or " demo" in block.text
        port = str(free_port()) if is_served else self.scene.demo.url.rpartition(":")[2]
        commands = [one.command for one in shown(block)] if block.language == "console" else [block.text]
        script = f"\necho '{BETWEEN}'\n".join(commands).replace("9478", port)
        try:
            done = subprocess.run(
                ["bash", "-eu", "-c", script.replace("/run/exporter", str(self.directory))],
                cwd=self.checkout / (self.page.parent.relative_to(ROOT) if self.page.parent == MIXIN else ""),
                env=self._environment(block, port, calls, background),
                input=f"{PASSWORD}\n",
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=LONGEST_SECONDS,
                check=False,
            )
        finally:
            for pid in background.read_text().split():
                with suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
        assert done.returncode == 0, f"{script}\n{done.stdout}"
        left = {tuple(json.loads(line)) for line in calls.read_text().splitlines()}
        assert left <= NOT_RUN.keys(), f"say in NOT_RUN why these are not run: {left - NOT_RUN.keys()}"
        return [part.strip("\n").splitlines() for part in done.stdout.split(f"{BETWEEN}\n")]

    def _environment(self, block: Block, port: str, calls: Path, background: Path) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PRISMA_", "COV_"))}
        return {
            **kept,
            **self.scene.clock,
            **given(self.scene, block),
            "PATH": f"{self.scene.directory / 'stand-ins'}:/usr/local/bin:/usr/bin:/bin",
            "REAL_PATH": os.environ["PATH"],
            "ROOT_FILES": str(self.machine),
            "STAND_INS": str(self.scene.directory / "stand-ins"),
            "CALLS": str(calls),
            "BACKGROUND": str(background),
            "PORT": port,
            "A_TOKEN": self.scene.tokens[0],
            "A_PASSWORD": PASSWORD,
            "NO_COLOR": "1",
        }


def write_web_files(folder: Path) -> None:
    """The web configuration file of the page on security, and what it names."""
    web_folder(folder)
    [text] = [block.text for block in blocks("yaml") if block.text.startswith("tls_server_config:")]
    folder.joinpath("web.yml").write_text(re.sub(r"(alice: ).*", rf"\1{hash_of(PASSWORD)}", text))


def install(scene: Scene, machine: Path) -> None:
    """What the way with systemd leaves on a machine, with the demo's ledger."""
    etc, state = machine / "etc" / "prisma-postgres-exporter", machine / "var" / "lib" / "prisma-postgres-exporter"
    etc.mkdir(parents=True)
    state.mkdir(parents=True)
    (etc / "token").write_text(scene.tokens[0])
    (etc / "token").chmod(0o600)
    shutil.copytree(scene.directory / "stand-ins", machine / "opt" / "prisma-postgres-exporter" / "bin")
    copy = run("store", "backup", str(state / "prisma-postgres-exporter.db"), cwd=machine, environ=scene.exports)
    assert copy.returncode == 0, copy.stderr


def test_the_commands_of_every_page_run_and_print_what_it_says(scene: Scene, tmp_path: Path) -> None:
    wrong: list[str] = []
    for page, found in groupby(blocks(*RUN), key=lambda block: block.page):
        name = str(page.relative_to(ROOT))
        if os.environ.get("MANUAL_PAGE", "") not in name:
            continue
        folder = tmp_path / name.replace("/", "-")
        folder.mkdir()
        reader = Reader(scene, page, folder)
        for block in found:
            wrong += [f"{block.name}: {one}" for one in problems(reader, block)]

    assert not wrong, "\n\n".join(wrong)


def problems(reader: Reader, block: Block) -> Iterator[str]:
    """What is not as the page says; `WRITE_MANUAL` puts what is printed there, to be looked at."""
    try:
        printed = reader.play(block)
    except (AssertionError, subprocess.TimeoutExpired) as error:
        yield str(error)
        return
    if block.language == "console" and "WRITE_MANUAL" in os.environ:
        write_anew(block, printed)
    elif block.language == "console":
        for said, lines in zip(shown(block), printed, strict=True):
            if found := differences(said.lines, lines):
                yield "\n".join([said.command, *found])


def test_nothing_is_excused_that_no_page_needs() -> None:
    words = re.sub(r"compose( -f \S+)+", "compose", " ".join(block.text for block in blocks(*RUN)))

    assert [name for name in NOT_RUN if any(word not in words for part in name for word in part.split())] == []
