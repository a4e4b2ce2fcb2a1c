"""`store check`, `store repair`, `store backup` and `store info` as processes, beside a service and without one."""

from __future__ import annotations

import json
import re
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from processes import TOKEN_MARK, Vendor, exporter, run, vendor, write_config

TOKEN = {"PRISMA_POSTGRES_TOKEN": "simulator-token-1"}
DATABASES = 3


@pytest.fixture
def api() -> Iterator[Vendor]:
    with vendor(workspaces=1, databases=DATABASES) as running:
        yield running


@pytest.fixture
def ledger(tmp_path: Path, api: Vendor) -> Path:
    """A store that `collect` filled."""
    config = write_config(tmp_path / "config.yaml")
    ledger = tmp_path / "ledger.db"
    answer = run(
        "collect",
        *("--config", str(config), "--api-url", api.url, "--store-url", f"sqlite:///{ledger}"),
        cwd=tmp_path,
        environ=TOKEN,
    )
    assert answer.returncode == 0, answer.stderr
    return ledger


def store_option(ledger: Path) -> tuple[str, str]:
    return "--store-url", f"sqlite:///{ledger}"


@pytest.mark.parametrize("name", ["check", "repair", "backup", "info"])
def test_every_store_command_has_help_with_an_example(tmp_path: Path, name: str) -> None:
    answer = run("store", name, "--help", cwd=tmp_path)

    assert answer.returncode == 0
    assert f"prisma-postgres-exporter store {name}" in answer.stdout.partition("Example")[2]


@pytest.mark.parametrize(
    "arguments", [("check",), ("repair",), ("repair", "--apply"), ("backup", "copy.db"), ("info",)]
)
def test_a_store_that_is_not_there_is_not_made(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    answer = run("store", *arguments, cwd=tmp_path)

    assert answer.returncode == 1
    assert "no store here: " in answer.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_sound_store_is_checked_without_a_credential(tmp_path: Path, ledger: Path) -> None:
    answer = run("store", "check", *store_option(ledger), cwd=tmp_path)
    document = run("store", "check", "--json", *store_option(ledger), cwd=tmp_path)

    assert answer.returncode == 0, answer.stdout
    assert "every rule holds" in answer.stdout
    assert document.returncode == 0
    assert json.loads(document.stdout) == {"ok": True, "broken": []}


def test_a_broken_row_is_named_with_what_to_do_and_leaves_with_1(tmp_path: Path, api: Vendor, ledger: Path) -> None:
    with sqlite3.connect(ledger) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute(
            "UPDATE days SET operations = -5 WHERE database_key = 1 AND day = (SELECT max(day) FROM days)"
        )
        [id_] = connection.execute("SELECT id FROM databases WHERE key = 1").fetchone()
    connection.close()

    answer = run("store", "check", *store_option(ledger), cwd=tmp_path)
    document = run("store", "check", "--json", *store_option(ledger), cwd=tmp_path)

    assert answer.returncode == document.returncode == 1
    assert "broken  operations-not-negative: days, day 20" in answer.stdout
    assert f"database {id_}" in answer.stdout
    assert "found: operations = -5" in answer.stdout
    assert "must hold: operations >= 0" in answer.stdout
    found = {row["rule"]: row for row in json.loads(document.stdout)["broken"]}
    assert found["operations-not-negative"]["database_id"] == id_
    assert f"--database {id_}" in found["operations-not-negative"]["advice"]
    assert {"counter-is-the-sum-of-its-days", "month-is-the-sum-of-its-days"} <= found.keys()


@pytest.mark.slow
def test_a_repair_is_shown_then_made_and_leaves_nothing_to_do(tmp_path: Path, api: Vendor, ledger: Path) -> None:
    with sqlite3.connect(ledger) as connection:
        connection.execute("UPDATE days SET read_at = 4102444800 WHERE database_key = 1")
        [id_] = connection.execute("SELECT id FROM databases WHERE key = 1").fetchone()
    connection.close()

    shown = run("store", "repair", *store_option(ledger), cwd=tmp_path)
    document = run("store", "repair", "--json", *store_option(ledger), cwd=tmp_path)
    still_broken = run("store", "check", *store_option(ledger), cwd=tmp_path)
    applied = run("store", "repair", "--apply", *store_option(ledger), cwd=tmp_path)
    again = run("store", "repair", *store_option(ledger), cwd=tmp_path)

    assert shown.returncode == document.returncode == still_broken.returncode == 1
    assert "change  days, day 20" in shown.stdout
    assert f"database {id_}" in shown.stdout
    assert "read_at = 2100-01-01 00:00:00 UTC" in shown.stdout
    assert "nothing was written" in shown.stdout
    assert {row["database_id"] for row in json.loads(document.stdout)["changes"]} == {id_}
    assert applied.returncode == again.returncode == 0, applied.stdout + again.stdout
    assert "of 1 database; done" in applied.stdout
    assert "nothing to repair" in again.stdout
    assert run("store", "check", *store_option(ledger), cwd=tmp_path).returncode == 0


def test_a_file_that_is_no_store_leaves_with_1(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("a shopping list, and a long one: " * 200)

    answer = run("store", "check", *store_option(tmp_path / "text.db"), cwd=tmp_path)

    assert answer.returncode == 1
    assert "is some other file" in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.mark.slow
def test_a_backup_beside_a_running_service_is_sound_and_checked(tmp_path: Path, api: Vendor) -> None:
    config = write_config(tmp_path / "config.yaml")
    ledger, copy = tmp_path / "ledger.db", tmp_path / "copy.db"
    options = ("--config", str(config), "--api-url", api.url, *store_option(ledger))
    with exporter("serve", *options, cwd=tmp_path, environ=TOKEN) as running:
        running.scrape_when(
            lambda samples: (
                len(samples.labels("prisma_postgres_database_operations_total", "database_id")) == DATABASES
            ),
            "the first numbers",
        )
        answer = run("store", "backup", str(copy), *options[-2:], cwd=tmp_path)
        again = run("store", "backup", str(copy), *options[-2:], cwd=tmp_path)
        forced = run("store", "backup", "--force", str(copy), *options[-2:], cwd=tmp_path)
        checked = run("store", "check", *options[-2:], cwd=tmp_path)
        assert running.is_alive

    assert answer.returncode == 0, answer.stderr
    assert f"{copy}: " in answer.stdout
    assert again.returncode == 2
    assert "--force" in again.stderr
    assert forced.returncode == checked.returncode == 0, forced.stderr + checked.stdout
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert run("store", "check", *store_option(copy), cwd=tmp_path).returncode == 0
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".copy.db")]


def test_info_tells_what_is_in_the_store(tmp_path: Path, ledger: Path) -> None:
    answer = run("store", "info", *store_option(ledger), cwd=tmp_path)
    document = json.loads(run("store", "info", "--json", *store_option(ledger), cwd=tmp_path).stdout)

    assert answer.returncode == 0
    assert f"rows of databases {DATABASES}\n" in re.sub(" +", " ", answer.stdout)
    assert document["rows"]["databases"] == document["rows"]["positions"] == DATABASES
    assert document["size_bytes"] > 10_000
    assert document["written_at"] is not None
    assert TOKEN_MARK not in answer.stdout
