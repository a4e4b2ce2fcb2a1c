"""The image: what its Dockerfile says, and its commands carried out here, where nothing else can be written."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from deploy_tools import run_tool
from dockerfile import DOCKERFILE, ROOT, carry_out, command, stages, values
from packaging.requirements import Requirement
from processes import Running, ended, fetch, vendor, wait_until

from between_workers import made_once
from ports import free_port

LOCK_FILES = ("requirements.txt", "requirements-build.txt", "requirements-dev.txt", "requirements-release.txt")
PIN = re.compile(r"^([\w.-]+)==([\w.]+)[^\n]*((?:\n    --hash=sha256:[0-9a-f]{64}(?: \\)?)+)$", re.MULTILINE)
COMPILERS = ("gcc", "g++", "clang", "build-essential", "make", "apt-get", "apk")


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the first stage makes, in a folder in which nothing can be written any more."""

    def make(root: Path) -> None:
        carry_out(stages()[0], root)
        app = root / "app"
        for path in [app, *app.rglob("*")]:
            if not path.is_symlink():
                path.chmod(path.stat().st_mode & ~0o222)

    return made_once(tmp_path_factory, "image", make) / "app"


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    found = run_tool("hadolint", "--no-color", "--failure-threshold", "style", str(DOCKERFILE))

    assert (found.returncode, found.stdout + found.stderr) == (0, "")


def test_the_image_has_two_stages_on_one_pinned_base_and_no_compiler() -> None:
    base = re.search(r"^ARG PYTHON_IMAGE=(\S+)$", DOCKERFILE.read_text(encoding="utf-8"), re.MULTILINE)

    assert base is not None
    assert re.fullmatch(r"[\w./-]+:\d+\.\d+(\.\d+)?-slim-[a-z]+(@sha256:[0-9a-f]{64})?", base[1])
    assert [values(stage, "FROM") for stage in stages()] == [["${PYTHON_IMAGE} AS build"], ["${PYTHON_IMAGE}"]]
    lines = [line for stage in stages() for line in values(stage, "RUN")]
    assert [word for line in lines for word in line.split() if word in COMPILERS] == []


def test_the_image_runs_as_a_number_that_is_not_root_and_says_what_it_serves() -> None:
    final = stages()[-1]
    user, group = map(int, values(final, "USER")[-1].split(":"))

    assert min(user, group) >= 1000
    assert f"-o {user} -g {group}" in values(final, "RUN")[0]
    assert values(final, "EXPOSE") == ["9478"]
    assert values(final, "WORKDIR") == values(final, "VOLUME")
    # As the first process it would lose a signal to end that comes before its handler.
    assert command(final, "ENTRYPOINT") == ["env", "--block-signal=TERM", "prisma-postgres-exporter"]
    assert command(final, "CMD") == ["serve"]


def test_every_locked_package_has_one_version_and_its_hashes() -> None:
    for name in LOCK_FILES:
        text = (ROOT / "deploy" / name).read_text(encoding="utf-8")
        assert PIN.sub("", text).strip() == "", name


def test_the_lock_file_of_the_build_holds_what_the_build_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    locked = {name: version for name, version, _ in PIN.findall(_lock_file("requirements-build.txt"))}

    for text in project["build-system"]["requires"]:
        requirement = Requirement(text)
        assert requirement.specifier.contains(locked[requirement.name])


@pytest.mark.slow
def test_the_image_serves_where_only_its_state_can_be_written(image: Path, tmp_path: Path) -> None:
    state = _folder(tmp_path / "state")
    with vendor(workspaces=1, databases=3) as upstream:
        token = tmp_path / "token"
        token.write_text(next(iter(upstream.simulator.world.tokens)))
        token.chmod(0o400)
        port = free_port()
        environ = {
            "PRISMA_POSTGRES_TOKEN_FILE": str(token),
            "PRISMA_POSTGRES_API_URL": upstream.url,
            "PRISMA_POSTGRES_LISTEN": f"127.0.0.1:{port}",
        }
        with _contained(image, state, environ) as running:
            _wait_until_healthy(image, running, environ)
            metrics = wait_until(lambda: _metrics_with_usage(port), "usage in /metrics")
            running.send(signal.SIGTERM)
            assert running.wait() == 0, running.output

    assert metrics.count("\nprisma_postgres_database_info{") == 3
    assert (state / "prisma-postgres-exporter.db").is_file()


@pytest.mark.slow
def test_the_image_shows_the_demo_with_a_place_for_temporary_files_only(image: Path, tmp_path: Path) -> None:
    state, temporary = _folder(tmp_path / "state"), _folder(tmp_path / "tmp")
    state.chmod(0o555)
    port = free_port()
    environ = {"PRISMA_POSTGRES_LISTEN": f"127.0.0.1:{port}", "TMPDIR": str(temporary)}
    with _contained(image, state, environ, "demo", "--listen", f"127.0.0.1:{port}") as running:
        _wait_until_healthy(image, running, environ)
        assert "prisma_postgres_budget_limit_usd{" in wait_until(lambda: _metrics_with_usage(port), "usage in /metrics")
        running.send(signal.SIGTERM)
        assert running.wait() == 0, running.output

    assert list(temporary.iterdir()) == []


@pytest.mark.slow
def test_the_health_check_fails_where_nothing_listens(image: Path) -> None:
    assert _health(image, {"PRISMA_POSTGRES_LISTEN": f":{free_port()}"}) == 1


@contextmanager
def _contained(image: Path, state: Path, environ: Mapping[str, str], *arguments: str) -> Iterator[Running]:
    """Run the image's command in its working folder with nothing of this environment and no capability."""
    final = stages()[-1]
    words = command(final, "ENTRYPOINT") + (list(arguments) or command(final, "CMD"))
    popen = subprocess.Popen(
        [*_without_capabilities(), *words],
        cwd=state,
        env={"PATH": f"{image / 'bin'}{os.pathsep}/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1", **environ},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    running = Running(popen)
    with ended(running):
        yield running


def _without_capabilities() -> list[str]:
    """Root could write everywhere; without capabilities, modes bind it as anyone else."""
    if os.geteuid() != 0:
        return []
    setpriv = shutil.which("setpriv")
    assert setpriv, "setpriv (Debian: util-linux) is needed to run as root without its capabilities"
    return [setpriv, "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs", "--"]


def _wait_until_healthy(image: Path, running: Running, environ: Mapping[str, str]) -> None:
    def is_healthy() -> bool:
        assert running.is_alive, running.output
        return _health(image, environ) == 0

    try:
        wait_until(is_healthy, "the health check")
    except AssertionError as error:
        error.add_note(running.output)
        raise


def _health(image: Path, environ: Mapping[str, str]) -> int:
    """Run the image's health check and return its exit code."""
    words = [word.replace("/app/", f"{image}/") for word in command(stages()[-1], "HEALTHCHECK")]
    # A proxy in the environment is none for the container's own port.
    proxy = {"http_proxy": "http://127.0.0.1:9"}
    return subprocess.run(words, env={**environ, **proxy}, capture_output=True, check=False).returncode


def _metrics_with_usage(port: int) -> str | None:
    text = fetch(f"http://127.0.0.1:{port}/metrics").text
    return text if "\nprisma_postgres_database_operations_total{" in text else None


def _lock_file(name: str) -> str:
    return (ROOT / "deploy" / name).read_text(encoding="utf-8")


def _folder(path: Path) -> Path:
    path.mkdir()
    return path
