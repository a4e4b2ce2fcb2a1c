"""Tokens: where they are read from, what they say, and that nobody sees them."""

from __future__ import annotations

import base64
import json
import pickle
from datetime import UTC, datetime
from pathlib import Path

import pytest

from prisma_postgres_exporter.config import (
    Claims,
    Config,
    Secret,
    claims,
    display_url,
    load_config,
    read_tokens,
    require_credentials,
)
from prisma_postgres_exporter.errors import ConfigurationError


def named(config: Config) -> dict[str, str]:
    return {credential.name: credential.token.reveal() for credential in read_tokens(config)}


def from_files(path: Path) -> Config:
    return load_config(environ={"PRISMA_POSTGRES_TOKEN_FILE": str(path)})


def test_tokens_of_the_environment_are_named_by_their_place() -> None:
    assert named(load_config(environ={"PRISMA_POSTGRES_TOKEN": "one,two"})) == {"token-1": "one", "token-2": "two"}


def test_the_same_token_twice_is_one_credential() -> None:
    assert named(load_config(environ={"PRISMA_POSTGRES_TOKEN": "one,one"})) == {"token-1": "one"}


def test_a_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("one\n")
    config = from_files(path)
    assert named(config) == {"token-1": "one"}

    path.write_text("two\n")

    assert named(config) == {"token-1": "two"}


def test_a_directory_holds_a_token_a_file_as_kubernetes_lays_them_out(tmp_path: Path) -> None:
    version = tmp_path / "..2026_11_23"
    version.mkdir()
    (version / "acme").write_text("one")
    (tmp_path / "..data").symlink_to(version)
    (tmp_path / "acme").symlink_to(tmp_path / "..data" / "acme")
    (tmp_path / "other").write_text("two")

    assert named(from_files(tmp_path)) == {"acme": "one", "other": "two"}


def test_a_token_can_come_from_a_variable_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_TOKEN", "one")
    path = tmp_path / "config.yaml"
    path.write_text("credentials: [{name: acme, token_env: ACME_TOKEN}]")

    assert named(load_config(config_path=str(path), environ={})) == {"acme": "one"}


@pytest.mark.parametrize("text", ["", "\n", "one two", "one\ntwo", "töken"])
def test_what_cannot_be_a_token_is_said_without_showing_it(tmp_path: Path, text: str) -> None:
    path = tmp_path / "token"
    path.write_text(text)

    with pytest.raises(ConfigurationError) as caught:
        read_tokens(from_files(path))

    assert "token-1" in caught.value.problems[0]
    assert not text.strip() or text.strip() not in caught.value.problems[0]


def test_missing_files_and_empty_directories_are_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_tokens(from_files(tmp_path / "missing"))
    with pytest.raises(ConfigurationError, match="no file with a token"):
        read_tokens(from_files(tmp_path))


def test_without_a_credential_people_are_told_how_to_give_one() -> None:
    with pytest.raises(ConfigurationError, match="PRISMA_POSTGRES_TOKEN"):
        require_credentials(Config())


def test_a_secret_shows_itself_to_nobody() -> None:
    secret = Secret("very-secret")

    assert "very-secret" not in f"{secret} {secret!r} {[secret]} {Config()}"
    with pytest.raises(TypeError):
        pickle.dumps(secret)


def jwt(body: object) -> Secret:
    encoded = base64.urlsafe_b64encode(json.dumps(body).encode()).decode().rstrip("=")
    return Secret(f"header.{encoded}.signature")


def test_claims_tell_workspace_and_end() -> None:
    expected = Claims(workspace_id="wksp_a", expires_at=datetime(2027, 1, 1, tzinfo=UTC))

    assert claims(jwt({"workspace_id": "wksp_a", "exp": 1_798_761_600})) == expected
    assert claims(jwt({"sub": "workspace:wksp_a", "exp": 1_798_761_600})) == expected


@pytest.mark.parametrize("body", [[], {"exp": "soon"}, {"exp": True}, {"exp": 1e300}, {"sub": "user:a"}, None])
def test_claims_that_say_nothing_are_nothing(body: object) -> None:
    assert claims(jwt(body)) == Claims()


@pytest.mark.parametrize("token", ["", "opaque", "a.b.c", "a..c", "a.\u00e9.c"])
def test_a_token_that_is_no_jwt_says_nothing(token: str) -> None:
    assert claims(Secret(token)) == Claims()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sqlite:///a.db", "sqlite:///a.db"),
        ("postgresql://me:secret@db:5432/usage", "postgresql://me@db:5432/usage"),
        ("postgresql://db/usage?password=secret", "postgresql://db/usage"),
    ],
)
def test_a_stores_address_is_shown_without_its_password(url: str, shown: str) -> None:
    assert display_url(url) == shown
