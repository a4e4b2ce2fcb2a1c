"""Flags over environment over file, and every problem in one go."""

from __future__ import annotations

import math
import re
import stat
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel, ValidationError

from prisma_postgres_exporter.config import (
    Config,
    Sources,
    format_duration,
    host_and_port,
    load_config,
    parse_duration,
    read_tokens,
)
from prisma_postgres_exporter.config.loading import described
from prisma_postgres_exporter.errors import ConfigurationError

EXAMPLE = Path(__file__).parents[2] / "deploy" / "config.example.yaml"


def write(tmp_path: Path, text: str) -> str:
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def problems(**given: object) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        load_config(**{"environ": {}, **given})  # type: ignore[arg-type]  # a shorthand of these tests
    return caught.value.problems


def test_without_anything_the_defaults_hold() -> None:
    config = load_config(environ={})
    assert config.model_copy(update={"prices": (), "sources": Sources()}) == Config()
    assert {row.plan for row in config.prices} == {"free", "starter", "pro", "business"}


def test_one_secret_in_the_environment_is_enough() -> None:
    config = load_config(environ={"PRISMA_POSTGRES_TOKEN": "one, two"})

    assert [credential.token.get_secret_value() for credential in config.credentials if credential.token] == [
        "one",
        "two",
    ]


def test_the_vendors_own_name_for_a_token_is_read_too() -> None:
    config = load_config(environ={"PRISMA_SERVICE_TOKEN": "one"})
    assert len(config.credentials) == 1

    both = load_config(environ={"PRISMA_SERVICE_TOKEN": "one", "PRISMA_POSTGRES_TOKEN": "two"})
    assert [credential.token.get_secret_value() for credential in both.credentials if credential.token] == ["two"]


def test_the_vendors_variable_of_the_address_is_read_where_ours_is_not_set() -> None:
    theirs = {"PRISMA_MANAGEMENT_API_URL": "http://127.0.0.1:9479"}
    both = {**theirs, "PRISMA_POSTGRES_API_URL": "http://127.0.0.1:9480"}

    assert load_config(environ=theirs).api_url == "http://127.0.0.1:9479"
    assert load_config(environ=both).api_url == "http://127.0.0.1:9480"
    with pytest.raises(ConfigurationError, match="PRISMA_MANAGEMENT_API_URL: api_url: "):
        load_config(environ={"PRISMA_MANAGEMENT_API_URL": "ftp://example.com"})


def test_flags_win_over_environment_and_environment_over_file(tmp_path: Path) -> None:
    path = write(
        tmp_path, "web: {listen: ':1'}\nstore: {url: 'sqlite:///file.db', keep_readings: 3d}\npoll: {interval: 1m}\n"
    )
    environ = {"PRISMA_POSTGRES_LISTEN": ":2", "PRISMA_POSTGRES_STORE_URL": "sqlite:///environment.db"}

    config = load_config(config_path=path, listen=":3", environ=environ)

    assert (config.web.listen, config.store.url) == ((":3",), "sqlite:///environment.db")
    assert (config.store.keep_readings, config.poll.interval) == (timedelta(days=3), timedelta(minutes=1))


def test_the_configuration_file_can_be_named_in_the_environment(tmp_path: Path) -> None:
    path = write(tmp_path, "poll: {interval: 90s}")

    assert load_config(environ={"PRISMA_POSTGRES_CONFIG": path}).poll.interval == timedelta(seconds=90)


def test_every_problem_is_found_at_once_with_its_place(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """\
poll:
  intervall: 5m
  windows: [24h, 1d]
  requests_per_second: 0
discovery:
  include:
    databases: ["(a"]
web:
  listen: 9478
""",
    )

    found = "\n".join(problems(config_path=path, api_url="http://example.com", environ={"PRISMA_POSTGRES_TOKN": "x"}))

    assert "PRISMA_POSTGRES_TOKN: unknown variable, ignored; did you mean PRISMA_POSTGRES_TOKEN?" in found
    assert f"{path}:2: poll.intervall: no such key; did you mean interval?" in found
    assert f"{path}:3: poll.windows: '1d' is as wide as '24h'" in found
    assert f"{path}:4: poll.requests_per_second" in found
    assert f"{path}:7: discovery.include.databases.0: '(a' is not a valid regular expression" in found
    assert f"{path}:9: web.listen" in found
    assert "--api-url: api_url: the API's address must begin with https://" in found


def test_a_pattern_that_is_too_deep_to_be_read_is_told(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(f"discovery: {{ include: {{ databases: ['{'(' * 3000}{')' * 3000}'] }} }}\n")
    (said,) = problems(config_path=str(path))
    assert "is not a valid regular expression: maximum recursion depth" in said


def test_a_variable_that_is_unknown_is_a_warning_with_the_nearest_name() -> None:
    environ = {"PRISMA_POSTGRES_LISTENS": ":1", "PRISMA_POSTGRES_PORT": "9478", "PRISMA_SOMETHING": "x"}

    config = load_config(environ=environ)

    assert config.web.listen == (":9478",)
    assert len(config.warnings) == 2
    assert (
        config.warnings[0] == "PRISMA_POSTGRES_LISTENS: unknown variable, ignored; did you mean PRISMA_POSTGRES_LISTEN?"
    )
    assert config.warnings[1].startswith("PRISMA_POSTGRES_PORT: unknown variable, ignored; did you mean ")


@pytest.mark.parametrize("service", ["PRISMA_POSTGRES", "PRISMA_POSTGRES_EXPORTER", "PRISMA_POSTGRES_EXPORTER_2"])
def test_the_variables_that_kubernetes_adds_for_services_are_passed_over(service: str) -> None:
    environ = {
        f"{service}_SERVICE_HOST": "10.0.0.1",
        f"{service}_SERVICE_PORT": "9478",
        f"{service}_SERVICE_PORT_HTTP_METRICS": "9478",
        f"{service}_PORT": "tcp://10.0.0.1:9478",
        f"{service}_PORT_9478_TCP": "tcp://10.0.0.1:9478",
        f"{service}_PORT_9478_TCP_ADDR": "10.0.0.1",
        f"{service}_PORT_9478_TCP_PORT": "9478",
        f"{service}_PORT_9478_TCP_PROTO": "tcp",
    }

    assert load_config(environ=environ).warnings == ()


def test_a_variable_that_a_credential_names_is_known(tmp_path: Path) -> None:
    path = write(tmp_path, "credentials: [{token_env: PRISMA_POSTGRES_ACME}, {token_env: [x]}, 7]")
    environ = {"PRISMA_POSTGRES_ACME": "one", "PRISMA_POSTGRES_OTHER": "two"}

    assert [problem.partition(":")[0] for problem in problems(config_path=path, environ=environ)][-1:] == [
        "PRISMA_POSTGRES_OTHER"
    ]
    named = write(tmp_path, "credentials: [{token_env: PRISMA_POSTGRES_ACME}]")
    assert load_config(config_path=named, environ={"PRISMA_POSTGRES_ACME": "one"}).warnings == ()
    # The variable stays known where the environment's own token takes the place of the file's.
    both = {"PRISMA_POSTGRES_ACME": "one", "PRISMA_POSTGRES_TOKEN": "two"}
    [warning] = load_config(config_path=named, environ=both).warnings
    assert warning.startswith("PRISMA_POSTGRES_TOKEN: takes the place of")


@pytest.mark.parametrize("path", ["a\0b", "a" * 5_000])
def test_a_token_file_that_is_no_path_does_not_stop_the_configuration(path: str) -> None:
    assert load_config(environ={"PRISMA_POSTGRES_TOKEN_FILE": path}).warnings == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: [", "is not YAML"),
        ("- a", "must be keys and values"),
        ("poll: 3", "poll: must be keys and values"),
        ("cost: {workspaces: {Oakline: {plan: pro}}}", "cost.workspaces: must be a list: [a, b], or one entry a line"),
        ("poll: {concurrency: many}", "poll.concurrency: must be a whole number"),
        ("poll: {concurrency: 1000}", "poll.concurrency: must be at most 256"),
        ("poll: {concurrency: yes}", "poll.concurrency: must be a number, not yes or no"),
        ("web: {max_series: yes}", "web.max_series: must be a number, not yes or no"),
        ("cost: {budgets: [{name: a, monthly_usd: yes}]}", "monthly_usd: must be a number, not yes or no"),
        ("web: {shard: mine}", "web.shard: must be 'all' or 'owned'"),
        ("push: {otlp: {}}", "push.otlp.endpoint: is missing"),
        ("web: {listen: ':1'}\nweb: {listen: ':2'}", "web: stands twice"),
        ("credentials: [{name: a}]", "needs exactly one of"),
        ("credentials: [{token: a, token_env: B}]", "needs exactly one of"),
        ("credentials: [{token: 17}]", "a token is text"),
        ("poll: {windows: 24h}", "windows are a list"),
        ("poll: {interval: 0s}", "is not between 1s and 366d"),
        ("poll: {interval: 5}", "is not a valid duration"),
        ("poll: {concurrency: 0}", "poll.concurrency"),
        ("poll: {requests_per_second: .nan}", "poll.requests_per_second"),
        ("store: {url: 'mysql://x'}", "a store is sqlite:///FILE or postgresql://"),
        ("web: {listen: ':70000'}", "is not a valid address to listen on"),
        ('web: {listen: "a\\0b:1"}', "is not a valid address to listen on"),
        ('web: {listen: "a\\ud800:1"}', "is not a valid address to listen on"),
        ('web: {listen: "unix:/tmp/a\\0b"}', "is not the path of a file"),
        ('web: {listen: "unix:/tmp/\\ud800"}', "is not the path of a file"),
        (f"web: {{listen: 'unix:/{'a' * 107}'}}", "at most 107 bytes"),
        ('store: {url: "sqlite:////tmp/a\\0b"}', "store.url: a character stands in it"),
        ("store: {url: 'postgresql://h:99999/db'}", "store.url: its port is none"),
        ("api_url: https://user:pw@api.prisma.io", "without user"),
    ],
)
def test_what_is_wrong_in_a_file_is_said(tmp_path: Path, text: str, expected: str) -> None:
    assert any(expected in problem for problem in problems(config_path=write(tmp_path, text)))


def test_a_missing_file_and_one_that_is_not_text_are_said(tmp_path: Path) -> None:
    assert "cannot be read" in problems(config_path=str(tmp_path / "missing.yaml"))[0]
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    assert "is not UTF-8" in problems(config_path=str(binary))[0]


def test_no_problem_shows_a_token(tmp_path: Path) -> None:
    secret = "very-secret-token"
    for text in (f"credentials: [{{tokn: {secret}}}]", f"credentials: [{{token: {secret}, name: 3}}]", f"a: [{secret}"):
        assert secret not in "".join(problems(config_path=write(tmp_path, text)))


def test_a_token_file_that_everyone_can_read_is_a_warning(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("one")
    token.chmod(0o644)
    environ = {"PRISMA_POSTGRES_TOKEN_FILE": str(token)}
    assert "chmod 600" in load_config(environ=environ).warnings[0]

    token.chmod(stat.S_IRUSR | stat.S_IWUSR)
    assert load_config(environ=environ).warnings == ()


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("5m", 300), ("1h30m", 5_400), ("7d", 604_800), ("2w", 1_209_600)]
)
def test_durations_are_read_and_written_back(text: str, seconds: int) -> None:
    duration = parse_duration(text)

    assert duration == timedelta(seconds=seconds)
    assert parse_duration(format_duration(duration)) == duration


@pytest.mark.parametrize("text", ["", "5", "5 m", "5 minutes", "-5m", "m", "1.5h", "0s", "367d"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|between"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("listen", "host", "port"), [(":9478", "", 9478), ("127.0.0.1:0", "127.0.0.1", 0), ("[::1]:80", "::1", 80)]
)
def test_an_address_has_a_host_and_a_port(listen: str, host: str, port: int) -> None:
    web = load_config(listen=listen, environ={}).web

    assert [host_and_port(address) for address in web.listen] == [(host, port)]


def test_the_example_holds_every_key_with_its_default() -> None:
    example = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))

    loaded = load_config(config_path=str(EXAMPLE), environ={})
    assert loaded.model_copy(update={"sources": Sources()}) == load_config(environ={}).model_copy(
        update={"sources": Sources()}
    )
    assert set(keys_of(example)) == set(fields_of(Config))


def keys_of(section: dict[str, object], prefix: str = "") -> Iterator[str]:
    for name, value in section.items():
        yield prefix + name
        if isinstance(value, dict):
            yield from keys_of(value, f"{prefix}{name}.")


def fields_of(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        if name == "warnings" or (name in {"prices", "sources"} and model is Config):
            continue
        yield prefix + name
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from fields_of(field.annotation, f"{prefix}{name}.")


def test_what_is_wrong_in_a_section_that_is_not_needed_is_a_warning(tmp_path: Path) -> None:
    path = write(tmp_path, "poll:\n  interval: soon\nstore:\n  url: sqlite:///own.db\nsotre: 1\n")
    found = load_config(environ={}, config_path=path, needed=("store", "cost"))

    assert found.store.url == "sqlite:///own.db"
    assert found.poll == Config().poll
    assert [warning.partition(": ")[0] for warning in found.warnings] == [f"{path}:2", f"{path}:5"]
    assert all(warning.endswith("; not needed here, ignored") for warning in found.warnings)
    assert len(problems(config_path=path)) == 2


def test_what_is_wrong_in_a_section_that_is_needed_is_a_problem_with_all_others(tmp_path: Path) -> None:
    path = write(tmp_path, "poll:\n  interval: soon\ncost:\n  fee_share: odd\n")

    assert len(problems(config_path=path, needed=("store", "cost"))) == 2


@pytest.mark.parametrize("variable", ["PRISMA_POSTGRES_TOKEN", "PRISMA_POSTGRES_TOKEN_FILE", "PRISMA_SERVICE_TOKEN"])
def test_credentials_of_the_file_that_a_variable_takes_the_place_of_are_a_warning(
    tmp_path: Path, variable: str
) -> None:
    path = write(tmp_path, "credentials: [{token_env: ACME}, {token_env: BETA}]")

    config = load_config(config_path=path, environ={variable: "one"})

    assert len(config.credentials) == 1
    [warning] = config.warnings
    assert warning.startswith(f"{variable}: takes the place of the file's credentials")


def test_a_web_configuration_file_is_beside_the_file_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "etc").mkdir()
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "etc" / "config.yaml"
    named = {
        "web.yml": "etc/web.yml",
        "lock/web.yml": "etc/lock/web.yml",
        str(tmp_path / "web.yml"): str(tmp_path / "web.yml"),
    }
    for name, expected in named.items():
        file.write_text(f"web: {{config_file: {name}}}")
        assert load_config(config_path="etc/config.yaml", environ={}).web.config_file == Path(expected)
    # What is typed is of the folder in which it is typed.
    variables = {"PRISMA_POSTGRES_WEB_CONFIG_FILE": "web.yml"}
    assert load_config(config_path=str(file), environ=variables).web.config_file == Path("web.yml")
    typed = load_config(config_path=str(file), environ={}, web_config_file="web.yml")
    assert typed.web.config_file == Path("web.yml")


def test_several_credentials_of_one_name_are_told(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(
        "credentials: [{name: a, token_env: ONE}, {name: b, token_env: TWO}, {name: a, token_env: THREE}]\n"
    )
    [warning] = load_config(config_path=str(path), environ={}).warnings
    assert warning.startswith("credentials: 2 are called a: ")
    named = load_config(config_path=str(path), environ={})
    # As it says.
    assert [problem.name for problem in read_tokens(named).problems] == ["a", "b", "a-3"]


def test_nothing_that_a_person_can_write_is_answered_in_the_words_of_python() -> None:
    """Every key of the example with every shape of value that is wrong there."""
    example = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    example["credentials"] = [{"name": "a", "token": "t"}]
    example["cost"]["workspaces"] = [{"workspace": "a", "plan": "pro", "spend_limit_usd": 1}]
    example["cost"]["budgets"] = [{"name": "a", "monthly_usd": 1, "thresholds": [0.5], "projects": ["a"]}]
    odd: tuple[object, ...] = (
        None,
        [],
        {},
        {"x": 1},
        [1],
        [None],
        "",
        "x",
        "x" * 5_000,
        3,
        -1,
        1.5,
        10**30,
        math.nan,
        math.inf,
        True,
    )
    for key in _keys(example):
        for value in odd:
            try:
                Config.model_validate(_with(example, key, value))
            except ValidationError as error:
                for line in described(error.errors(include_url=False, include_input=False), {}):
                    assert not re.search(r"[Ii]nput|valid (tuple|dict|string|integer)|Value error|Field|<class", line)


def _keys(value: object, above: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, part in inner:
        yield (*above, name)
        yield from _keys(part, (*above, name))


def _with(whole: object, key: tuple[str | int, ...], value: object) -> object:
    if not key:
        return value
    if isinstance(whole, dict):
        return {**whole, key[0]: _with(whole[key[0]], key[1:], value)}
    assert isinstance(whole, list)
    return [_with(part, key[1:], value) if place == key[0] else part for place, part in enumerate(whole)]


def test_commands_to_paste_name_the_store_and_the_file_of_the_environment(tmp_path: Path) -> None:
    """In another directory or shell they would mean another ledger."""
    path, secret = write(tmp_path, ""), "postgresql://us:secret@db/ledger?sslmode=require"
    relative = {"PRISMA_POSTGRES_STORE_URL": "sqlite:///ledger.db"}
    named = {"PRISMA_POSTGRES_STORE_URL": secret, "PRISMA_POSTGRES_CONFIG": path}

    assert load_config(environ=named).sources.flags == f"--config {path} --store-url postgresql://us@db/ledger"
    assert load_config(environ=relative).sources.flags == f"--store-url sqlite:///{Path.cwd() / 'ledger.db'}"
    typed = load_config(store_url="sqlite:///typed.db", environ=named)
    assert typed.sources.flags == f"--config {path} --store-url sqlite:///{Path.cwd() / 'typed.db'}"
    # The one that nobody named is somewhere too.
    assert (
        load_config(environ={}).sources.flags == f"--store-url sqlite:///{Path.cwd() / 'prisma-postgres-exporter.db'}"
    )
    write(tmp_path, "store: {url: sqlite:///filed.db}")
    filed = load_config(config_path=path, environ={})
    assert filed.sources.flags == f"--config {path} --store-url sqlite:///{Path.cwd() / 'filed.db'}"


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("listen: :9478", "listen: no such key; did you mean web.listen?"),
        ("poll: {max_series: 5}", "poll.max_series: no such key; did you mean web.max_series?"),
        ("url: x", "url: no such key; did you mean store.url or push.remote_write.url?"),
        ("web: {prices: x}", "web.prices: no such key; did you mean max_series?"),
        ("stor: {}", "stor: no such key; did you mean store?"),
        ("web: {lissten: x}", "web.lissten: no such key; did you mean listen?"),
    ],
)
def test_a_key_in_the_wrong_section_is_told_where_it_belongs(tmp_path: Path, text: str, meant: str) -> None:
    assert any(line.endswith(meant) for line in problems(config_path=write(tmp_path, text)))
