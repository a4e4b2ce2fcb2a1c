"""The configuration is input too: whatever is in the file, an answer in words with file and line, and soon."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prisma_postgres_exporter.config import load_config, reading
from prisma_postgres_exporter.config.yaml_file import DEEPEST, LARGEST_BYTES, MOST_VALUES
from prisma_postgres_exporter.errors import ConfigurationError

SECRET = "syntheticsecret"
LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, 10)
)
MERGES = "a0: &a0 {x: 1}\n" + "".join(
    f"a{level}: &a{level} {{<<: [{', '.join([f'*a{level - 1}'] * 9)}]}}\n" for level in range(1, 10)
)
WORDS = st.sampled_from(
    [
        *(
            "poll",
            "web",
            "credentials",
            "cost",
            "store",
            "url",
            "interval",
            "token",
            "<<",
            "prices",
            "budgets",
            "&a",
            "*a",
        ),
        *(
            ": ",
            "\n",
            "\n  ",
            "- ",
            "{",
            "}",
            "[",
            "]",
            ", ",
            "? ",
            "!!int ",
            "!!binary ",
            "!x ",
            "'",
            '"',
            "|",
            "---\n",
        ),
        *(
            "5m",
            "1:2:3",
            "0x_",
            "2026-99-99",
            "1e999",
            ".nan",
            "~",
            "9" * 5_000,
            "\u0000",
            "\u00e9",
            "#",
            "%YAML 1.1\n",
            "\t",
        ),
    ]
)


def said_of(directory: Path, content: str | bytes, name: str = "config.yaml") -> str:
    path = directory / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigurationError) as refused:
        load_config(config_path=str(path), environ={})
    (problem,) = refused.value.problems
    return problem.removeprefix(str(path))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("poll:\n  interval: !every 5m\n", ":2: is not YAML: tags (!…) are not known here"),
        (f"push:\n  labels: {{a: !{SECRET} x}}\n", ":2: is not YAML: tags (!…)"),
        ("poll: !!python/object/apply:os.system [true]\n", ":1: is not YAML: tags (!…)"),
        (f"\nstore: {{url: *{SECRET}}}\n", ":2: is not YAML: found undefined alias …"),
        (f"\nstore: {{url: !{SECRET}!x y}}\n", ":2: is not YAML: found undefined tag handle …"),
        ("poll: &a\n  windows: *a\n", ":1: is not YAML: an anchor (&…) that holds itself"),
        ("poll: &a [*a]\n", ":1: is not YAML: an anchor (&…) that holds itself"),
        ("poll: &a {<<: *a}\n", ":1: is not YAML: an anchor (&…) that holds itself"),
        (LAUGHS, f":1: is not YAML: more than {MOST_VALUES:,} values"),
        (MERGES, f":2: is not YAML: more than {MOST_VALUES:,} values"),
        ("poll: {}\na: " + "[" * 5_000 + "]" * 5_000, f":2: is not YAML: nested deeper than {DEEPEST} levels"),
        ("a:\n" + "- " * 5_000, f":2: is not YAML: nested deeper than {DEEPEST} levels"),
        ("{" * 5_000, f":1: is not YAML: nested deeper than {DEEPEST} levels"),
        ("poll: {}\na: [" + "x, " * MOST_VALUES, ":2: is not YAML: "),
        ("poll: {}\na: [" + "x, " * MOST_VALUES + "]", f":2: is not YAML: more than {MOST_VALUES:,} values"),
        (b"a: " + b"x" * LARGEST_BYTES, ": is larger than 1 MiB"),
        (b"web: {}\na: \xff\n", ":2: is not UTF-8 text"),
        ("web: {}\na: \u0001\n", ":2: is not YAML: a control character stands in it"),
        ("web: {}\na: 2026-99-99\n", ":2: is not YAML: not the number or date"),
        ("web: {}\na: !!int x\n", ":2: is not YAML: not the number or date"),
        ("web: {}\na: !!bool x\n", ":2: is not YAML: not the number or date"),
        ("web: {}\na: !!timestamp x\n", ":2: is not YAML: not the number or date"),
        ("web: {}\na: " + "9" * 500_000, ":2: is not YAML: a number without end"),
        ("web: {}\na: 1" + ":1" * 250_000, ":2: is not YAML: a number without end"),
        ("web: {}\n? [a, b]\n: c\n", ":2: is not YAML: a key that is not a word"),
        ("store:\n  url: 'postgresql://u:syntheticsecret@[::bad/x'\n", ":2: store.url: not a URL"),
        ("store:\n  url: 'postgresql://u:synthetic@secret@h/x'\n", ":2: store.url: where its password ends"),
    ],
    ids=range(27),
)
def test_what_no_configuration_is_gets_an_answer_with_its_line(
    tmp_path: Path, content: str | bytes, expected: str
) -> None:
    said = said_of(tmp_path, content)
    assert said.startswith(expected)
    assert SECRET not in said
    assert len(said) < 300


def test_a_file_of_100_megabytes_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "large.yaml").open("wb") as file:
        file.truncate(100_000_000)
    with pytest.raises(ConfigurationError, match=r"large\.yaml: is larger than 1 MiB"):
        load_config(config_path=str(tmp_path / "large.yaml"), environ={})
    with pytest.raises(ConfigurationError, match=r"/dev/zero: is larger than 1 MiB"):
        load_config(config_path="/dev/zero", environ={})


def test_a_price_file_is_read_within_the_same_bounds(tmp_path: Path) -> None:
    (tmp_path / "prices.yaml").write_text(LAUGHS)
    (tmp_path / "config.yaml").write_text(f"cost: {{prices_file: {tmp_path / 'prices.yaml'}}}\n")
    with pytest.raises(ConfigurationError, match=r"prices\.yaml:1: is not YAML: more than 100,000 values"):
        load_config(config_path=str(tmp_path / "config.yaml"), environ={})


def test_of_very_many_problems_the_first_are_told(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("".join(f"key_{number}: 1\n" for number in range(20_000)))
    with pytest.raises(ConfigurationError) as refused:
        load_config(config_path=str(tmp_path / "config.yaml"), environ={})
    assert f"{tmp_path}/config.yaml:1: key_0: no such key" in refused.value.problems[0]
    assert refused.value.problems[-1] == "and 19,900 more problems"
    assert len(refused.value.problems) == 101


def test_anchors_that_people_use_work(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(
        "discovery:\n  include: &shop {projects: [shop]}\n  exclude: {<<: *shop, databases: [old]}\n"
        "poll: {connect_timeout: &t 7s, read_timeout: *t}\n"
    )
    config = load_config(config_path=str(tmp_path / "config.yaml"), environ={})
    assert config.discovery.exclude.projects[0].pattern == "shop"
    assert config.poll.connect_timeout == config.poll.read_timeout


@given(st.lists(WORDS, max_size=30).map("".join))
def test_whatever_the_file_says_there_is_a_configuration_or_a_problem(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzzed.yaml"
    path.write_text(text)
    with suppress(ConfigurationError):  # any other exception fails
        load_config(config_path=str(path), environ={})


# Pipes --------------------------------------------------------------------------------------------
def written_into(pipe: Path, *pieces: bytes) -> subprocess.Popen[bytes]:
    """A program that opens a pipe and writes pieces into it, each some time after the one before."""
    code = (
        "import sys, time\nwith open(sys.argv[1], 'wb', 0) as file:\n"
        "    for piece in sys.argv[2:]:\n        file.write(piece.encode())\n        time.sleep(0.3)\n"
    )
    return subprocess.Popen([sys.executable, "-c", code, str(pipe), *[piece.decode() for piece in pieces]])


@pytest.mark.parametrize("pieces", [(b"poll: {interval: 7m}\n",), (b"poll:\n", b"  interval: 7m\n"), ()])
def test_a_pipe_is_read_to_its_end(tmp_path: Path, pieces: tuple[bytes, ...]) -> None:
    os.mkfifo(tmp_path / "pipe")
    with written_into(tmp_path / "pipe", *pieces) as writer:
        config = load_config(config_path=str(tmp_path / "pipe"), environ={})
    assert writer.returncode == 0
    assert config.poll.interval == timedelta(minutes=7 if pieces else 5)


def test_a_pipe_whose_writer_has_ended_before_is_read_too() -> None:
    """As bash's `--config <(…)`."""
    ours, writing = os.pipe()
    os.write(writing, b"poll: {interval: 7m}\n")
    os.close(writing)
    try:
        config = load_config(config_path=f"/dev/fd/{ours}", environ={})
    finally:
        os.close(ours)
    assert config.poll.interval == timedelta(minutes=7)


def test_a_pipe_into_which_nobody_writes_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "WRITER_SECONDS", 0.2)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigurationError, match="pipe: cannot be read: it is a pipe, and nothing came for"):
        load_config(config_path=str(tmp_path / "pipe"), environ={})
    silent = os.open(tmp_path / "pipe", os.O_RDWR)
    os.write(silent, b"poll: ")
    try:
        with pytest.raises(ConfigurationError, match="nothing came for"):
            load_config(config_path=str(tmp_path / "pipe"), environ={})
    finally:
        os.close(silent)


@pytest.mark.parametrize("escape", [r"\0", r"\e", r"\x7f", r"\ud800"])
def test_a_text_that_is_none_is_refused_with_its_line_wherever_it_stands(tmp_path: Path, escape: str) -> None:
    lines = (
        "credentials:",
        "  - {token: 'x', name: %}",
        "  - token_file: %",
        "store: {url: %}",
        "discovery: {include: {databases: [%]}}",
        "web:",
        "  hosts: [%]",
        "  config_file: %",
        "  users: {alice: [%]}",
        "cost: {budgets: [{name: %, monthly_usd: 1}]}",
    )
    path = tmp_path / "config.yaml"
    path.write_text("\n".join(lines).replace("%", f'"a{escape}b"'))
    with pytest.raises(ConfigurationError) as caught:
        load_config(config_path=str(path), environ={})
    found = [problem for problem in caught.value.problems if "a character stands in it that no text has" in problem]
    assert [problem.split(": ")[:2] for problem in found] == [
        [f"{path}:2", "credentials.0.name"],
        [f"{path}:3", "credentials.1.token_file"],
        [f"{path}:4", "store.url"],
        [f"{path}:5", "discovery.include.databases.0"],
        [f"{path}:7", "web.hosts.0"],
        [f"{path}:8", "web.config_file"],
        [f"{path}:9", "web.users.alice.0"],
        [f"{path}:10", "cost.budgets.0.name"],
    ]
    assert sum("store.url" in problem for problem in caught.value.problems) == 1
    # What lines and tabs are made of is text.
    path.write_text('cost: {budgets: [{name: "a\\tb\\r\\nc", monthly_usd: 1}]}')
    [budget] = load_config(config_path=str(path), environ={}).cost.budgets
    assert budget.name == "a\tb\r\nc"
