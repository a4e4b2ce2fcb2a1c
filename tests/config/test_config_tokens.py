"""Tokens: where they are read from, what they say, and that nobody sees them."""

from __future__ import annotations

import base64
import codecs
import errno
import json
import os
import re
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from prisma_postgres_exporter.config import (
    Claims,
    Config,
    CredentialConfig,
    Tokens,
    claims,
    load_config,
    read_tokens,
    require_credentials,
    require_usable,
)
from prisma_postgres_exporter.errors import ConfigurationError
from short_of_descriptors import no_descriptors


def named(config: Config) -> dict[str, str]:
    return {credential.name: credential.token.get_secret_value() for credential in read_tokens(config).credentials}


def reasons(tokens: Tokens) -> dict[str, str]:
    return {problem.name: problem.reason for problem in tokens.problems}


def from_files(path: Path) -> Config:
    return load_config(environ={"PRISMA_POSTGRES_TOKEN_FILE": str(path)})


def test_tokens_of_the_environment_are_named_by_their_place() -> None:
    assert named(load_config(environ={"PRISMA_POSTGRES_TOKEN": "one,two"})) == {"token-1": "one", "token-2": "two"}


def test_the_same_token_twice_is_one_credential() -> None:
    config = load_config(environ={"PRISMA_POSTGRES_TOKEN": "one,one,two,one"})

    assert named(config) == {"token-1": "one", "token-3": "two"}
    assert read_tokens(config).repeated == (("token-2", "token-1"), ("token-4", "token-1"))


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


JWT = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ3b3Jrc3BhY2U6YSJ9.signature"


def test_a_variable_that_is_missing_or_empty_is_a_problem_of_its_credential(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMPTY", " \n")
    monkeypatch.setenv("ACME_TOKEN", "one")
    monkeypatch.delenv("ABSENT", raising=False)
    sources = [CredentialConfig(name=name.lower(), token_env=name) for name in ("ABSENT", "EMPTY", "ACME_TOKEN")]

    tokens = read_tokens(Config(credentials=tuple(sources)))

    assert [credential.name for credential in tokens.credentials] == ["acme_token"]
    assert reasons(tokens) == {"absent": "missing", "empty": "missing"}
    assert str(tokens.problems[0]) == (
        "credential absent: the environment variable is not set or is empty; set it to a service token (ABSENT)"
    )


@pytest.mark.parametrize(
    "content",
    [
        b"one",
        b"one\n",
        b"one\r\n\r\n",
        b"\n \n\tone \n",
        codecs.BOM_UTF8 + b"one\r\n",
        codecs.BOM_UTF16_LE + "one\r\n".encode("utf-16-le"),
        codecs.BOM_UTF16_BE + "one\n".encode("utf-16-be"),
    ],
)
def test_a_file_is_read_as_any_editor_saves_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "token"
    path.write_bytes(content)

    assert named(from_files(path)) == {"token-1": "one"}


CONNECTION_STRINGS = [
    "postgres://user:s3cret@db.prisma.io:5432/postgres",
    "postgresql://user:s3cret@db.prisma.io:5432/postgres?sslmode=require",
    "prisma://accelerate.prisma-data.net/?api_key=s3cret",
    "prisma+postgres://accelerate.prisma-data.net/?api_key=s3cret",
    '"POSTGRES://user:s3cret@db.prisma.io/postgres"',
    "DATABASE_URL=postgres://user:s3cret@db.prisma.io/postgres",
]


@pytest.mark.parametrize(
    ("content", "reason", "message"),
    [
        (b"", "empty", "the token is empty"),
        (b"\r\n \n", "empty", "the token is empty"),
        (codecs.BOM_UTF8, "empty", "the token is empty"),
        (codecs.BOM_UTF16_LE, "empty", "the token is empty"),
        (b"s3cret s3cret", "malformed", "a space"),
        (b"s3c\0ret", "malformed", "a space or another character"),
        ("s3cret\u00f6".encode(), "malformed", "another character"),
        ("s3cret\u200b".encode(), "malformed", "another character"),
        (codecs.BOM_UTF32_LE + "s3cret".encode("utf-32-le"), "malformed", "another character"),
        (b"s3cret\ns3cret\n", "malformed", "more than one line"),
        (b"s3cret\r\rs3cret", "malformed", "more than one line"),
        (b'"s3cret"\n', "malformed", "the token is in quotes; remove them"),
        (b"'s3cret'", "malformed", "the token is in quotes; remove them"),
        ("\u201cs3cret\u201d".encode(), "malformed", "the token is in quotes; remove them"),
        (b"s3cret" * 15_000, "malformed", "too large"),
        (b"\xc3(s3cret", "unreadable", "not UTF-8"),
        (codecs.BOM_UTF16_LE + b"o", "unreadable", "not UTF-8"),
        *((text.encode(), "malformed", "a connection string, not a token") for text in CONNECTION_STRINGS),
    ],
)
def test_what_cannot_be_a_token_is_said_without_showing_it(
    tmp_path: Path, content: bytes, reason: str, message: str
) -> None:
    path = tmp_path / "token"
    path.write_bytes(content)

    tokens = read_tokens(from_files(path))

    (problem,) = tokens.problems
    assert tokens.credentials == ()
    assert (problem.name, problem.reason) == ("token-1", reason)
    assert message in problem.text
    assert str(path) in problem.text
    assert "s3c" not in problem.text


@given(st.binary(max_size=64))
def test_any_file_is_a_token_that_a_header_can_carry_or_a_problem(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "token")
        path.write_bytes(content)
        tokens = read_tokens(Config(credentials=(CredentialConfig(token_file=path),)))

    assert len(tokens.credentials) + len(tokens.problems) == 1
    assert all(re.fullmatch("[!-~]+", credential.token.get_secret_value()) for credential in tokens.credentials)


def test_one_bad_file_of_a_directory_leaves_the_others_alone(tmp_path: Path) -> None:
    (tmp_path / "good").write_text("one")
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "folder").mkdir()
    (tmp_path / "latin").write_bytes(b"t\xf6ken")
    (tmp_path / "quoted").write_text("'two'")
    os.mkfifo(tmp_path / "pipe")

    tokens = read_tokens(from_files(tmp_path))

    assert [credential.name for credential in tokens.credentials] == ["good"]
    assert reasons(tokens) == {
        "empty": "empty",
        "folder": "unreadable",
        "latin": "unreadable",
        "link": "unreadable",
        "loop": "unreadable",
        "pipe": "unreadable",
        "quoted": "malformed",
    }
    assert require_usable(tokens) == tokens.credentials


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE, errno.ENOENT, None])
def test_a_file_that_the_system_does_not_give_leaves_the_others_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int | None
) -> None:
    (tmp_path / "acme").write_text("one")
    (tmp_path / "other").write_text("two")
    config = from_files(tmp_path)
    opened = Path.open

    def failing(path: Path, mode: str = "r") -> object:
        if path.name == "acme":
            raise OSError(number, os.strerror(number)) if number else OSError
        return opened(path, mode)

    monkeypatch.setattr(Path, "open", failing)
    tokens = read_tokens(config)

    assert [credential.name for credential in tokens.credentials] == ["other"]
    # A file that is gone since the directory was listed is missing.
    assert reasons(tokens) == {"acme": "missing" if number == errno.ENOENT else "unreadable"}
    assert ("permission" in tokens.problems[0].text) == (number in {errno.EACCES, errno.EPERM})


@pytest.mark.parametrize("place", ["token", "."])
def test_a_process_without_descriptors_is_not_told_to_look_at_permissions(tmp_path: Path, place: str) -> None:
    (tmp_path / "token").write_text("one")
    config = from_files(tmp_path / place)

    with no_descriptors():
        tokens = read_tokens(config)

    (problem,) = tokens.problems
    assert problem.reason == "no_descriptors"
    assert "Too many open files; raise the limit of open files" in problem.text


def test_a_directory_that_cannot_be_listed_is_a_problem_of_the_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = from_files(tmp_path)

    def failing(path: object) -> list[str]:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(os, "listdir", failing)

    assert reasons(read_tokens(config)) == {"token-1": "unreadable"}


def test_missing_paths_and_empty_directories_are_problems_of_their_sources(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("one")
    (tmp_path / "directory").mkdir()
    (tmp_path / "directory" / "..data").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    paths = {
        "missing": tmp_path / "absent",
        "empty": tmp_path / "directory",
        "link": tmp_path / "link",
        "below a file": tmp_path / "file" / "token",
        "no path": Path("a\0b"),
        "long": tmp_path / ("a" * 300),
        "good": tmp_path / "file",
    }
    sources = tuple(CredentialConfig(name=name, token_file=path) for name, path in paths.items())

    tokens = read_tokens(Config(credentials=sources))

    assert [credential.name for credential in tokens.credentials] == ["good"]
    assert reasons(tokens) == {
        "missing": "missing",
        "empty": "empty",
        "link": "unreadable",
        "below a file": "unreadable",
        "no path": "missing",
        "long": "unreadable",
    }


@pytest.mark.parametrize("secret", [JWT, "postgres://user:hunter2@db/postgres"])
def test_a_token_in_the_place_of_a_path_or_of_a_variables_name_is_not_shown(secret: str) -> None:
    for source in (CredentialConfig(token_file=Path(secret)), CredentialConfig(token_env=secret)):
        (problem,) = read_tokens(Config(credentials=(source,))).problems

        assert not any(part in problem.text for part in (secret, "eyJ", "hunter2"))


def test_a_start_fails_only_where_no_credential_is_left(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("")
    (tmp_path / "quoted").write_text("'one'")

    with pytest.raises(ConfigurationError) as caught:
        require_usable(read_tokens(from_files(tmp_path)))
    assert [problem.partition(":")[0] for problem in caught.value.problems] == ["credential empty", "credential quoted"]

    with pytest.raises(ConfigurationError, match="PRISMA_POSTGRES_TOKEN"):
        require_usable(Tokens(credentials=()))


def directories(tmp_path: Path, files: dict[str, str], *, sources: Sequence[str]) -> Config:
    for name, token in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(token)
    return Config(credentials=tuple(CredentialConfig(token_file=tmp_path / source) for source in sources))


@pytest.mark.parametrize("sources", [("a", "b"), ("b", "a")])
def test_files_of_one_name_are_called_after_their_directories_in_any_order(
    tmp_path: Path, sources: tuple[str, ...]
) -> None:
    files = {"a/token": "one", "b/token": "two", "b/other": "three"}
    expected = {"a/token": "one", "b/token": "two", "other": "three"}

    assert named(directories(tmp_path, files, sources=sources)) == expected


def test_a_name_stays_when_another_file_comes_goes_or_breaks(tmp_path: Path) -> None:
    config = directories(tmp_path, {"a/token": "one", "b/token": "two"}, sources=("a", "b"))
    before = named(config)

    (tmp_path / "a" / "another").write_text("three")
    (tmp_path / "b" / "0").write_text("four")
    assert named(config) == before | {"another": "three", "0": "four"}

    (tmp_path / "a" / "another").unlink()
    (tmp_path / "a" / "token").write_text("")
    assert named(config) == {"b/token": "two", "0": "four"}
    assert reasons(read_tokens(config)) == {"a/token": "empty"}


def test_directories_of_one_name_are_told_apart_by_their_place_in_the_configuration(tmp_path: Path) -> None:
    files = {"x/secrets/token": "one", "y/secrets/token": "two"}

    config = directories(tmp_path, files, sources=("x/secrets", "y/secrets"))

    assert named(config) == {"secrets/token-1": "one", "secrets/token-2": "two"}


def test_a_name_of_the_configuration_wins_over_a_files(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "acme").write_text("one")
    sources = (
        CredentialConfig(token_file=tmp_path / "keys"),
        CredentialConfig(name="acme", token=SecretStr("two")),
        CredentialConfig(name="acme", token=SecretStr("three")),
        CredentialConfig(token=SecretStr("one")),
    )

    assert named(Config(credentials=sources)) == {"keys/acme": "one", "acme": "two", "acme-3": "three"}


def test_a_file_name_that_is_not_text_can_still_be_shown(tmp_path: Path) -> None:
    path = os.path.join(os.fsencode(tmp_path), b"t\xf6ken")
    with open(path, "wb"):
        os.chmod(path, 0o644)

    (problem,) = read_tokens(from_files(tmp_path)).problems

    assert str(problem).encode()
    assert all(warning.encode() for warning in from_files(Path(os.fsdecode(path))).warnings)
    assert problem.name == "t?ken"


def test_without_a_credential_people_are_told_how_to_give_one() -> None:
    with pytest.raises(ConfigurationError, match="PRISMA_POSTGRES_TOKEN"):
        require_credentials(Config())


def test_without_a_credential_a_misspelt_variable_is_named_too() -> None:
    with pytest.raises(ConfigurationError, match="PRISMA_POSTGRES_TOKN"):
        require_credentials(load_config(environ={"PRISMA_POSTGRES_TOKN": "one"}))


def test_a_secret_shows_itself_to_nobody() -> None:
    secret = SecretStr("very-secret")

    assert "very-secret" not in f"{secret} {secret!r} {[secret]} {Config()}"


def jwt(body: object) -> SecretStr:
    encoded = base64.urlsafe_b64encode(json.dumps(body).encode()).decode().rstrip("=")
    return SecretStr(f"header.{encoded}.signature")


@pytest.mark.parametrize(
    "body",
    [
        {"workspace_id": "wksp_a"},
        {"workspace_id": "a", "sub": "workspace:other"},
        {"sub": "workspace:wksp_a"},
        {"sub": "workspace:a", "workspace_id": None},
    ],
)
def test_claims_tell_workspace_and_end(body: dict[str, object]) -> None:
    expected = Claims(workspace_id="wksp_a", expires_at=datetime(2027, 1, 1, tzinfo=UTC))

    assert claims(jwt(body | {"exp": 1_798_761_600})) == expected


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Pacific/Kiritimati"])
def test_the_machines_time_zone_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zone: str) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        expires_at = claims(jwt({"exp": 1_798_761_600})).expires_at
        prices = load_config(environ={}).prices
    finally:
        monkeypatch.undo()
        time.tzset()

    assert expires_at is not None
    assert expires_at.isoformat() == "2027-01-01T00:00:00+00:00"
    assert prices == load_config(environ={}).prices


@pytest.mark.parametrize(
    "body",
    [
        [],
        {"exp": "soon"},
        {"exp": True},
        {"exp": 1e300},
        {"exp": 10**400},
        {"exp": -(10**18)},
        {"exp": float("nan")},
        {"exp": float("inf")},
        {"exp": [1_798_761_600]},
        {"exp": 1_798_761_600_000},
        {"sub": "user:a"},
        {"sub": "workspace:"},
        {"sub": {"workspace": "a"}},
        {"workspace_id": 7},
        {"workspace_id": "wksp_"},
        {"workspace_id": "a\n"},
        {"workspace_id": "\ud800"},
        {"workspace_id": "a" * 1_000},
        "wksp_a",
        None,
    ],
)
def test_claims_that_say_nothing_are_nothing(body: object) -> None:
    assert claims(jwt(body)) == Claims()


@pytest.mark.parametrize("body", [b"\xff\xfe", b'{"workspace_id": "\xff"}', b"[" * 30_000, b"9" * 5_000, b"{"])
def test_claims_that_are_not_json_say_nothing(body: bytes) -> None:
    assert claims(SecretStr(f"a.{base64.urlsafe_b64encode(body).decode()}.c")) == Claims()


@pytest.mark.parametrize("token", ["", "opaque", "a.b.c", "a..c", "a.\u00e9.c"])
def test_a_token_that_is_no_jwt_says_nothing(token: str) -> None:
    assert claims(SecretStr(token)) == Claims()
