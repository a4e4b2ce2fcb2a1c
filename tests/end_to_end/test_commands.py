"""The other commands as processes: what they print, and the code they leave with."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from processes import (
    DATA_PREFIX,
    EXPORTER,
    TOKEN_MARK,
    Vendor,
    command,
    exporter,
    fetch,
    parse_metrics,
    run,
    vendor,
    write_config,
)

from prisma_postgres_exporter import __version__
from prisma_postgres_exporter.simulator import Fault, FaultKind

COMMANDS = ("serve", "demo", "collect", "cost", "backfill", "check", "doctor", "store", "api", "simulator")
TOTAL = f"{DATA_PREFIX}operations_total"
BOTH_TOKENS = {"PRISMA_POSTGRES_TOKEN": "simulator-token-1,simulator-token-2"}
ONE_WRONG_TOKEN = {"PRISMA_POSTGRES_TOKEN": "simulator-token-1,simulator-token-of-nobody"}
DATABASES = 6


@pytest.fixture
def api() -> Iterator[Vendor]:
    """A vendor with two workspaces and six databases."""
    with vendor(workspaces=2, databases=DATABASES) as running:
        yield running


@pytest.fixture
def options(tmp_path: Path, api: Vendor) -> Sequence[str]:
    """The options that lead a command to the vendor and a store of its own, without a pause between requests."""
    config = write_config(tmp_path / "config.yaml")
    return ("--config", str(config), "--api-url", api.url, "--store-url", f"sqlite:///{tmp_path / 'ledger.db'}")


# Without an account -------------------------------------------------------------------------------
def test_the_version_is_printed(tmp_path: Path) -> None:
    answer = run("--version", cwd=tmp_path)

    assert (answer.returncode, answer.stdout) == (0, f"prisma-postgres-exporter {__version__}\n")


@pytest.mark.parametrize("arguments", [("--help",), ("cost",), ("serve", "--no-such-option")])
def test_a_forked_command_says_and_leaves_what_one_of_an_interpreter_does(
    tmp_path: Path, arguments: Sequence[str]
) -> None:
    forked = run(*arguments, cwd=tmp_path)
    environ = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1"}
    other = subprocess.run(
        (*EXPORTER, *arguments), cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
    )

    assert (forked.returncode, forked.stdout, forked.stderr) == (other.returncode, other.stdout, other.stderr)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(tmp_path: Path, name: str) -> None:
    answer = run(name, "--help", cwd=tmp_path)

    assert answer.returncode == 0
    assert f" {name} [OPTIONS]" in answer.stdout


def test_the_simulators_help_says_how_to_order_a_fault(tmp_path: Path) -> None:
    said = " ".join(run("simulator", "--help", cwd=tmp_path).stdout.split())

    assert "POST faults" in said
    order = json.loads(re.search(r"\{[^}]*\}", said)[0])  # type: ignore[index]  # else it fails
    assert Fault.model_validate(order).kind is FaultKind.THROTTLED
    assert [name for name in Fault.model_fields if name not in said and name != "seed"] == []


def test_the_help_names_every_command_and_the_exit_codes(tmp_path: Path) -> None:
    answer = run("--help", cwd=tmp_path)

    assert answer.returncode == 0
    assert [name for name in COMMANDS if name not in answer.stdout] == []
    assert "0 done, 1 failed, 2 wrong usage or configuration" in " ".join(answer.stdout.split())


def test_the_demo_of_a_vendor_that_publishes_by_a_rhythm_reads_when_there_should_be_news(tmp_path: Path) -> None:
    with exporter("demo", "--publish-every", "6h", cwd=tmp_path, environ={"TMPDIR": str(tmp_path)}) as running:
        readings = "prisma_postgres_exporter_open_day_readings_total"
        running.scrape_when(lambda samples: samples.labels(readings, "workspace_id"), "an adaptive round")
        samples = running.scrape()
        assert set(samples.named("prisma_postgres_exporter_reading_age_bound_seconds").values()) == {90.0}
    refused = run("simulator", "--publish-every", "often", cwd=tmp_path)
    assert refused.returncode == 2
    assert "is not a valid duration" in " ".join(refused.stderr.split())


def test_the_simulator_prints_what_a_client_needs_and_answers_until_it_is_stopped(tmp_path: Path) -> None:
    with command("simulator", "--port", "0", "--workspaces", "2", "--databases", "12", cwd=tmp_path) as running:
        url = running.wait_for(r"Management API at (\S+)")
        tokens = running.wait_for(r"tokens: (\S+)\n").split(",")
        assert len(tokens) == 2
        assert fetch(f"{url}/v1/me").status == 401
        world = json.loads(fetch(f"{url}/simulator/world").text)
        assert (set(world["tokens"]), len(world["databases"])) == (set(tokens), 12)

        port = url.rpartition(":")[2]
        assert all(row["name"].replace("-", "").isalnum() for row in world["databases"])
        second = run("simulator", "--port", port, cwd=tmp_path)
        assert second.returncode == 2
        assert f"--port {port}" in second.stderr

        running.send(signal.SIGTERM)
        assert running.wait() == 0


def test_the_simulator_gives_odd_names_where_they_are_asked_for(tmp_path: Path) -> None:
    with command("simulator", "--port", "0", "--databases", "100", "--odd-names", cwd=tmp_path) as running:
        url = running.wait_for(r"Management API at (\S+)")
        world = json.loads(fetch(f"{url}/simulator/world").text)

    odd = [row for row in world["databases"] if not row["name"].replace("-", "").isalnum()]
    assert 3 <= len(odd) <= 30


# Wrong usage --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "arguments", [("collect", "--no-such-option"), ("no-such-command",), ("simulator", "--port=x")]
)
def test_wrong_usage_leaves_with_2(tmp_path: Path, arguments: Sequence[str]) -> None:
    answer = run(*arguments, cwd=tmp_path)

    assert answer.returncode == 2
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize("name", ["serve", "collect", "check"])
def test_without_a_credential_a_command_leaves_with_2_and_says_what_to_do(tmp_path: Path, name: str) -> None:
    answer = run(name, cwd=tmp_path)

    assert answer.returncode == 2
    assert "PRISMA_POSTGRES_TOKEN" in answer.stdout + answer.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["serve", "collect", "check"])
def test_an_unknown_key_leaves_with_2_and_names_the_nearest(tmp_path: Path, name: str) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("poll:\n  intervall: 5m\n")

    answer = run(name, "--config", str(config), cwd=tmp_path, environ=BOTH_TOKENS)

    assert answer.returncode == 2
    shown = answer.stdout + answer.stderr
    assert f"{config}:2: poll.intervall" in shown
    assert "did you mean interval?" in shown


def test_an_address_that_is_taken_leaves_with_2(tmp_path: Path, api: Vendor, options: Sequence[str]) -> None:
    taken = api.url.removeprefix("http://")

    answer = run("serve", *options, "--listen", taken, cwd=tmp_path, environ=BOTH_TOKENS)

    assert answer.returncode == 2
    assert taken in answer.stderr


# collect ------------------------------------------------------------------------------------------
def test_collect_prints_a_table_of_every_database(tmp_path: Path, api: Vendor, options: Sequence[str]) -> None:
    answer = run("collect", *options, cwd=tmp_path, environ=BOTH_TOKENS)

    assert answer.returncode == 0, answer.stderr
    rows = [line for line in answer.stdout.splitlines() if line.endswith("  ok")]
    assert len(rows) == DATABASES
    for database in api.world.databases(datetime.now(UTC)):
        assert any(database.name.split()[0] in row and re.search(r"\d", row) for row in rows)
    assert TOKEN_MARK not in answer.stdout + answer.stderr


def test_collect_prints_json_and_nothing_else(tmp_path: Path, api: Vendor, options: Sequence[str]) -> None:
    answer = run("collect", "--json", *options, cwd=tmp_path, environ=BOTH_TOKENS)

    assert answer.returncode == 0, answer.stderr
    document = json.loads(answer.stdout)["data"]
    assert len(document["workspaces"]) == 2
    assert {row["database_id"] for row in document["databases"]} == set(api.database_ids)
    assert all(
        row["is_up"] and row["storage_bytes"] > 0 and set(row["windows"]) == {"24h", "7d"}
        for row in document["databases"]
    )


def test_collect_replaces_the_textfile_whole(tmp_path: Path, options: Sequence[str]) -> None:
    textfile = tmp_path / "textfile" / "usage.prom"
    textfile.parent.mkdir()
    assert run("collect", "--textfile", str(textfile), *options, cwd=tmp_path, environ=BOTH_TOKENS).returncode == 0
    first = textfile.read_text()
    with textfile.open() as held:
        assert run("collect", "--textfile", str(textfile), *options, cwd=tmp_path, environ=BOTH_TOKENS).returncode == 0
        # Whoever reads the file that was there reads it to its end: the new one is another file.
        assert held.read() == first
        assert textfile.stat().st_ino != Path(f"/dev/fd/{held.fileno()}").stat().st_ino

    assert [path.name for path in textfile.parent.iterdir()] == ["usage.prom"]
    assert stat.S_IMODE(textfile.stat().st_mode) == 0o644
    samples = parse_metrics(textfile.read_text())
    assert len(samples.labels(TOTAL, "database_id")) == DATABASES
    assert samples.keys() >= {key for key in parse_metrics(first) if key[0] == TOTAL}


def test_collect_leaves_with_2_where_the_textfile_cannot_be_written(tmp_path: Path, options: Sequence[str]) -> None:
    textfile = tmp_path / "absent" / "usage.prom"

    answer = run("collect", "--textfile", str(textfile), *options, cwd=tmp_path, environ=BOTH_TOKENS)

    assert answer.returncode == 2
    assert f"--textfile {textfile}" in answer.stderr


def test_collect_leaves_with_1_for_a_failing_database_and_prints_the_others(
    tmp_path: Path, api: Vendor, options: Sequence[str]
) -> None:
    failing, *others = api.database_ids
    api.faults.add(Fault(kind=FaultKind.NEGATIVE, call="usage", database_id=failing))

    answer = run("collect", "--json", *options, cwd=tmp_path, environ=BOTH_TOKENS)

    assert answer.returncode == 1
    assert f"failed: database {failing}" in answer.stderr
    rows = {row["database_id"]: row for row in json.loads(answer.stdout)["data"]["databases"]}
    assert rows[failing]["is_up"] is False
    assert rows[failing]["operations_total"] is None
    assert all(rows[id_]["operations_total"] is not None for id_ in others)


def test_collect_leaves_with_1_for_a_wrong_token_and_prints_the_others(tmp_path: Path, options: Sequence[str]) -> None:
    answer = run("collect", "--json", *options, cwd=tmp_path, environ=ONE_WRONG_TOKEN)

    assert answer.returncode == 1
    assert re.search(r"failed: credential token-2: .*401", answer.stderr)
    assert len(json.loads(answer.stdout)["data"]["databases"]) == DATABASES // 2
    assert TOKEN_MARK not in answer.stdout + answer.stderr
