"""Where to push: what is wrong with it is said with its key, and no secret goes where others could read it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from prisma_postgres_exporter.config import Config, SecretConfig, load_config, shown_address
from prisma_postgres_exporter.errors import ConfigurationError

SECRET = "s3cr3t-of-the-push"


def loaded(tmp_path: Path, **push: object) -> Config:
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump({"push": push}))
    return load_config(config_path=str(path), environ={})


def problems(tmp_path: Path, **push: object) -> str:
    with pytest.raises(ConfigurationError) as caught:
        loaded(tmp_path, **push)
    return "\n".join(caught.value.problems)


@pytest.mark.parametrize(
    "login",
    [
        {"bearer_token": {"value": SECRET}},
        {"basic_auth": {"username": "me", "password": {"env": "PASSWORD"}}},
        {"headers": [{"name": "api-key", "file": "/run/secrets/key"}]},
    ],
)
def test_a_secret_goes_over_https_or_to_this_machine(tmp_path: Path, login: dict[str, object]) -> None:
    assert "plain http would show" in problems(tmp_path, otlp={"endpoint": "http://collector:4318", **login})
    for url in ("https://metrics.example.com/write", "http://127.0.0.1:9090/api/v1/write"):
        assert loaded(tmp_path, remote_write={"url": url, **login}).push.targets["remote_write"].url == url


def test_what_has_no_secret_may_go_over_http(tmp_path: Path) -> None:
    headers = [{"name": "X-Scope-OrgID", "value": "acme"}]
    push = loaded(tmp_path, otlp={"endpoint": "http://collector:4318/", "headers": headers}).push
    assert push.targets["otlp"].url == "http://collector:4318/v1/metrics"


@pytest.mark.parametrize(
    ("push", "expected"),
    [
        ({"otlp": {"endpont": "https://c"}}, "push.otlp.endpont: no such key; did you mean endpoint?"),
        ({"remote_write": {"url": "https://me:pass@c/write"}}, "without user, password and fragment"),
        ({"remote_write": {"url": "metrics.example.com"}}, "must begin with https:// or http://"),
        ({"remote_write": {"url": "https://c", "bearer_token": {}}}, "exactly one of file, env and value"),
        ({"remote_write": {"url": "https://c", "bearer_token": {"value": 7}}}, "put it in quotes"),
        (
            {"remote_write": {"url": "https://c", "headers": [{"name": "a b", "value": "c"}]}},
            "not the name of a header",
        ),
        ({"remote_write": {"url": "https://c", "headers": [{"nam": "a", "value": "c"}]}}, "headers.0.nam: no such key"),
        ({"labels": {"__name__": "x"}}, "'__name__' is not the name of a label"),
        ({"labels": {"a-b": "x"}}, "'a-b' is not the name of a label"),
        ({"interval": "soon"}, "push.interval"),
        (
            {
                "remote_write": {
                    "url": "https://c",
                    "bearer_token": {"value": SECRET},
                    "basic_auth": {"username": "me", "password": {"value": SECRET}},
                }
            },
            "leave one of them out",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_key(tmp_path: Path, push: dict[str, object], expected: str) -> None:
    said = problems(tmp_path, **push)
    assert expected in said
    assert SECRET not in said


def test_a_secret_is_read_when_it_is_needed_and_never_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "token"
    of_file, of_variable = SecretConfig(file=file), SecretConfig(env="PUSH_TOKEN")
    with pytest.raises(ConfigurationError, match=r"push\.x: there is no such file"):
        of_file.read("push.x")
    with pytest.raises(ConfigurationError, match=r"push\.x: the environment variable is not set"):
        of_variable.read("push.x")
    file.write_text(f"\ufeff{SECRET}\r\n")
    monkeypatch.setenv("PUSH_TOKEN", f" {SECRET} ")
    assert of_file.read("push.x") == of_variable.read("push.x") == SECRET
    file.write_text(f"{SECRET}\nX-Other: header")
    with pytest.raises(ConfigurationError) as caught:
        of_file.read("push.x")
    assert SECRET not in str(caught.value)
    config = loaded(tmp_path, remote_write={"url": "https://c", "bearer_token": {"value": SECRET}})
    assert SECRET not in repr(config) + str(config.model_dump()) + config.model_dump_json()
    assert shown_address(f"https://c/write?key={SECRET}") == "https://c/write"
