"""Whatever is typed behind a command: an exit code and words, never a traceback."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import typer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from processes import Vendor, run, vendor
from targets import assert_readable, no_hang
from test_fuzz_bytes import EXAMPLES
from typer.testing import CliRunner

from prisma_postgres_exporter.cli import app
from prisma_postgres_exporter.cli.terminal import sentence
from prisma_postgres_exporter.errors import ConfigurationError, ExporterError

pytestmark = pytest.mark.slow

LEFT_OUT = frozenset({"serve", "demo", "simulator"})
"""They run until they are stopped."""

WAITING = frozenset({"--wait", "--watch", "--install-completion", "--show-completion"})
WORDS = (
    *(
        "",
        "-",
        "--",
        "0",
        "-1",
        "7",
        "9" * 40,
        "1e999",
        "nan",
        "2026-02-30",
        "9999-12-31",
        "0001-01-01",
        "2026-11",
        "x",
    ),
    *("2026-11-01", "\x1b[31mred", "ü\u202e", "a" * 5_000, "{}", "[1", "db_x", "proj_x", "wksp_x", "30s", "24h", "5x"),
    *("sqlite:///other.db", "sqlite:///", "postgresql://u:p@[::bad/x", "postgresql://u:p@127.0.0.1:9/x", "%", "%00"),
    *("file.csv", "nowhere/file.csv", "json", "csv", "markdown", "html", "day", "month", "pro", "a=b", "*", "(", "GET"),
    *("/v1/projects", "/v1/../x", "eu-west-3", "\udcff", "true", "1.5", "-0", "１２"),
)

NO_PATHS = st.text(st.characters(exclude_characters="/"), max_size=6)
"""A command may write to what it is given: it stays in its directory."""


def leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Each command with its options."""
    if hasattr(command, "list_commands"):
        context = typer.Context(command)
        for name in command.list_commands(context):
            if name not in LEFT_OUT:
                _, inner, _ = command.resolve_command(context, [name])
                yield from leaves(inner, (*path, name))
        return
    options = tuple(sorted({name for row in command.params for name in row.opts if name.startswith("-")} - WAITING))
    yield path, options


COMMANDS = tuple(leaves(typer.main.get_command(app)))


@pytest.fixture(scope="module")
def api() -> Iterator[Vendor]:
    with vendor(workspaces=1, databases=3) as running:
        yield running


@pytest.fixture
def typed(tmp_path: Path, api: Vendor, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a ledger in it, which the commands find."""
    for name in [name for name in os.environ if name.startswith("PRISMA_")]:
        monkeypatch.delenv(name)
    environ = {
        "PRISMA_POSTGRES_API_URL": api.url,
        "PRISMA_POSTGRES_TOKEN": "simulator-token-1",
        "PRISMA_POSTGRES_STORE_URL": f"sqlite:///{tmp_path / 'ledger.db'}",
    }
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    assert run("collect", cwd=tmp_path, environ=environ).returncode == 0
    return tmp_path


@st.composite
def command_lines(draw: st.DrawFn) -> Sequence[str]:
    path, options = draw(st.sampled_from(COMMANDS))
    rest = st.lists(st.sampled_from((*options, *WORDS)) | NO_PATHS, max_size=5)
    return [*path, *draw(rest)]


@pytest.mark.usefixtures("typed")
def test_whatever_is_typed_ends_with_a_code_and_in_words() -> None:
    runner = CliRunner()

    @settings(max_examples=2 * EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
    @given(command_lines())
    def check(arguments: Sequence[str]) -> None:
        with no_hang():
            assert_ended(runner, arguments)

    check()


def assert_ended(runner: CliRunner, arguments: Sequence[str]) -> None:
    ended = runner.invoke(app, list(arguments))
    if ended.exception is not None and not isinstance(ended.exception, SystemExit | KeyboardInterrupt):
        # What `main` says of it.
        assert isinstance(ended.exception, ExporterError), arguments
        error = ended.exception
        told = error.problems if isinstance(error, ConfigurationError) else [str(error)]
        assert_readable(map(sentence, told))
    assert "Traceback" not in ended.output
    assert ended.exit_code in (0, 1, 2, 3, 75, 130), arguments


def test_every_command_is_tried() -> None:
    names = {path[0] for path, _ in COMMANDS}
    assert {"check", "doctor", "cost", "report", "export", "api", "store", "backfill", "plan"} <= names
    assert len(COMMANDS) > 40
