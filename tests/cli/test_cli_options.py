"""Whoever mends a configuration is told at once of all that is wrong with it and with the files that it names."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from prisma_postgres_exporter.cli import app
from prisma_postgres_exporter.cli.options import configuration
from prisma_postgres_exporter.errors import ConfigurationError

CONFIG = """\
credentials:
  - token_file: {folder}/empty
discovery: {{interval: soon}}
web:
  listen: nowhere
  config_file: web.yml
cost: {{prices_file: {folder}/prices.yaml}}
"""


def problems(config: Path | None, web_config_file: Path | None = None) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        configuration(config, None, None, None, web_config_file)()
    return caught.value.problems


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.environ", {})


@pytest.mark.parametrize(
    ("web_file", "said"),
    [
        ("nonsense: 1\n", "web.yml:1: nonsense: no such key"),
        (
            "tls_server_config: {cert_file: a.crt, key: a}\n",
            "a.crt: cannot be read",
        ),
    ],
)
def test_files_that_a_wrong_configuration_names_are_looked_at_too(tmp_path: Path, web_file: str, said: str) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "web.yml").write_text(web_file)
    file = tmp_path / "config.yaml"
    file.write_text(CONFIG.format(folder=tmp_path))

    found = problems(file)

    for expected in (
        f"{file}:3: discovery.interval: 'soon' is not a valid duration",
        f"{file}:5: web.listen.0: 'nowhere' is not a valid address",
        f"{tmp_path}/prices.yaml: cannot be read",
        "the token is empty",
        said,
    ):
        assert sum(expected in problem for problem in found) == 1, (expected, found)
    assert len(found) == 5


def test_without_a_credential_the_web_configuration_file_is_looked_at_too(tmp_path: Path) -> None:
    web = tmp_path / "web.yml"
    web.write_text("nonsense: 1\n")
    first, second = problems(None, web)
    assert first.startswith("no credential")
    assert second.startswith(f"{web}:1: nonsense: no such key")


def test_all_that_a_web_file_lacks_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "web.yml").write_text("tls_server_config: {cert_file: no.crt, key_file: no.key}\n")
    file = tmp_path / "config.yaml"
    file.write_text('poll: {interval: soon}\nweb: {config_file: web.yml, users: {alice: [w], "b\\eb": [w]}}\n')
    found = problems(file)
    for expected in (
        "poll.interval",
        "has no 'alice'",
        r"has no 'b\x1bb'",
        "no.crt: cannot be read",
        "no.key: cannot be",
    ):
        assert sum(expected in problem for problem in found) == 1, (expected, found)
    assert len(found) == 5


@pytest.mark.parametrize("is_named", [True, False])
def test_a_pipe_in_the_place_of_the_file_is_refused_at_a_reload(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_named: bool
) -> None:
    """At the start it is read, from a shell's `<(…)` say; later there is nobody who writes into it."""
    path = tmp_path / "config.yaml"
    path.write_text("credentials: [{token_env: ONE}]\n")
    monkeypatch.setattr("os.environ", {} if is_named else {"PRISMA_POSTGRES_CONFIG": str(path)})
    load = configuration(path if is_named else None, None, None)
    assert load().credentials
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(ConfigurationError) as caught:
        load()
    assert caught.value.problems == (f"{path}: is a pipe, which can be read once; write a file to reload it",)
    path.unlink()
    path.write_text("credentials: [{token_env: ONE}]\n")
    assert load().credentials


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("top", "--sort", "grow"), "'--sort': 'grow' is not one of 'operations', 'storage', 'cost', 'growth'."),
        (("top", "--limit", "many"), "'--limit': must be a whole number"),
        (("api", "databases", "list", "--limit", "0"), "'--limit': must be at least 1"),
    ],
)
def test_an_option_is_refused_without_a_word_of_python(arguments: tuple[str, ...], said: str) -> None:
    told = CliRunner().invoke(app, arguments)

    assert told.exit_code == 2
    assert f"Invalid value for {said}" in told.output
