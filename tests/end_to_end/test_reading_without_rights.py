"""Reports on a store that may not be written: a copy of mode 0444 in a directory of 0555, a role with SELECT only."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from lived_store import ENDS_AT, live
from processes import EXPORTER, run, write_config
from store_values import execute, known, query

from postgres import PASSWORD
from prisma_postgres_exporter.errors import StoreUnavailable
from prisma_postgres_exporter.store import Store, sqlite_reader

MONTH = ("--month", "2026-11")
REPORTS: Sequence[Sequence[str]] = (
    ("cost", *MONTH, "--json"),
    ("top", *MONTH, "--json"),
    ("report", *MONTH, "--format", "json"),
    ("compare", "2026-10", "2026-11", "--json"),
    ("export", "days"),
    ("export", "focus"),
    ("store", "check", "--json"),
    ("store", "info", "--json"),
)
DOCUMENT = '{"version": 1}'
TOKEN = {"PRISMA_POSTGRES_TOKEN": "synthetic-token"}
NO_API = ("--api-url", "http://127.0.0.1:9")
# Root may write what no mode allows; without these two capabilities it is a user like others.
AS_OTHERS = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search") if os.geteuid() == 0 else ()


def run_as_others(*arguments: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a command that has to obey the modes of files."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PRISMA_")}
    return subprocess.run(
        (*AS_OTHERS, *EXPORTER, *arguments),
        cwd=cwd,
        env={**kept, "COLUMNS": "200", "NO_COLOR": "1", **environ},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[Callable[[], Path]]:
    """What closes a directory to writers; it is opened again in the end."""
    directory = tmp_path / "closed"
    directory.mkdir()

    def close() -> Path:
        for file in directory.iterdir():
            file.chmod(0o444)
        directory.chmod(0o555)
        return directory

    yield close
    directory.chmod(0o755)


def listed(directory: Path) -> dict[str, tuple[int, int]]:
    return {file.name: (file.stat().st_size, file.stat().st_mtime_ns) for file in directory.iterdir()}


def operations(answer: subprocess.CompletedProcess[str]) -> int:
    assert answer.returncode == 0, answer.stderr
    return sum(row["operations"] for row in json.loads(answer.stdout)["data"])


@pytest.mark.slow
@pytest.mark.parametrize("report", REPORTS, ids=" ".join)
def test_every_report_reads_a_copy_that_nobody_may_write(
    report: Sequence[str], lived_file: Path, closed: Callable[[], Path], tmp_path: Path
) -> None:
    file = Path(shutil.copy(lived_file, tmp_path / "closed" / "copy.db"))
    before = listed(closed())

    answer = run_as_others(*report, "--store-url", f"sqlite:///{file}", cwd=tmp_path)
    own = run(*report, "--store-url", f"sqlite:///{lived_file}", cwd=tmp_path)

    assert answer.returncode == own.returncode == int("focus" in report), answer.stderr
    assert numbers(report, answer) == numbers(report, own)
    assert listed(file.parent) == before


def numbers(report: Sequence[str], answer: subprocess.CompletedProcess[str]) -> object:
    """What a report says that does not depend on when it was made, or by which door."""
    if report[0] == "export":
        return answer.stdout
    whole = json.loads(answer.stdout)
    if report[0] == "store":
        return {**whole, "url": None, "size_bytes": None}
    rows = whole["data"]["workspaces"] if report[0] == "report" else whole["data"]
    assert rows
    return [{key: value for key, value in row.items() if key.endswith(("operations", "_id", "plan"))} for row in rows]


@pytest.mark.slow
def test_doctor_reads_a_copy_that_nobody_may_write(
    lived_file: Path, closed: Callable[[], Path], tmp_path: Path
) -> None:
    file = Path(shutil.copy(lived_file, tmp_path / "closed" / "copy.db"))
    before = listed(closed())

    answer = run_as_others("doctor", "--json", *NO_API, "--store-url", f"sqlite:///{file}", cwd=tmp_path, **TOKEN)

    steps = {finding["step"]: finding for finding in json.loads(answer.stdout)["findings"]}
    assert "(2026-11-23 12:00:00 UTC)" in steps["store"]["text"], answer.stdout
    assert listed(file.parent) == before


@pytest.mark.slow
@pytest.mark.parametrize("beside", [("-wal", "-shm"), ("-wal",)], ids=" ".join)
def test_a_copy_of_a_store_in_use_is_read_with_what_is_in_its_wal(
    beside: Sequence[str], closed: Callable[[], Path], tmp_path: Path
) -> None:
    source, file = tmp_path / "store.db", tmp_path / "closed" / "copy.db"
    with closing(Store.open(f"sqlite:///{source}")) as store:
        live(store)
        wanted = operations(run("cost", *MONTH, "--json", "--store-url", f"sqlite:///{source}", cwd=tmp_path))
        for suffix in ("", *beside):
            shutil.copy(f"{source}{suffix}", f"{file}{suffix}")
    assert file.with_name("copy.db-wal").stat().st_size > 0
    before = listed(closed())

    answer = run_as_others("cost", *MONTH, "--json", "--store-url", f"sqlite:///{file}", cwd=tmp_path)

    assert operations(answer) == wanted > 0
    assert listed(file.parent) == before


def test_a_store_that_a_service_writes_is_read_as_it_is_now(closed: Callable[[], Path], tmp_path: Path) -> None:
    file = tmp_path / "closed" / "store.db"
    report = ("export", "days", "--store-url", f"sqlite:///{file}")
    with closing(Store.open(f"sqlite:///{file}")) as service:
        known(service)
        closed()
        nothing = run_as_others(*report, cwd=tmp_path)
        live(service)  # into the -wal
        days = run_as_others(*report, cwd=tmp_path)
        assert run_as_others("store", "check", "--store-url", f"sqlite:///{file}", cwd=tmp_path).returncode == 0

    assert (nothing.returncode, days.returncode) == (0, 0), nothing.stderr + days.stderr
    assert nothing.stdout.count("\n") < days.stdout.count("\n")


@pytest.mark.slow
def test_files_that_may_not_be_read_are_named(lived_file: Path, tmp_path: Path) -> None:
    file = Path(shutil.copy(lived_file, tmp_path / "copy.db"))
    file.chmod(0o000)

    answer = run_as_others("cost", "--store-url", f"sqlite:///{file}", cwd=tmp_path)

    assert answer.returncode == 1
    assert (
        "permission denied for copy.db; let this user read the file, and the -wal and -shm beside it" in answer.stderr
    )
    assert "Traceback" not in answer.stderr


def test_a_file_that_changes_while_it_is_read_without_locks_is_noticed(
    lived_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = Path(shutil.copy(lived_file, tmp_path / "copy.db"))
    monkeypatch.setattr(sqlite_reader, "_may", lambda path, mode: mode == os.R_OK)
    with closing(Store.open_to_read(f"sqlite:///{file}")) as store:
        assert store.costs() is None
        with closing(Store.open(f"sqlite:///{file}")) as service:
            service.keep_costs(DOCUMENT, ENDS_AT)
        with pytest.raises(StoreUnavailable, match="written while it was read: run the command again"):
            store.costs()
        again = store.costs()
    assert again is not None
    assert again.document == DOCUMENT


# Postgres -----------------------------------------------------------------------------------------
@pytest.fixture
def reader_url(postgres_url: str) -> Iterator[str]:
    """A filled store as a role sees it that may only read."""
    with closing(Store.open(postgres_url)) as store:
        live(store)
    role = f"reader_{uuid4().hex}"
    execute(postgres_url, f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'")
    execute(postgres_url, f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
    yield postgres_url.replace("exporter:", f"{role}:")
    execute(postgres_url, f"DROP OWNED BY {role}")
    execute(postgres_url, f"DROP ROLE {role}")


@pytest.mark.slow
def test_every_report_reads_with_a_role_that_may_only_read(reader_url: str, postgres_url: str, tmp_path: Path) -> None:
    for report in REPORTS:
        answer = run(*report, "--store-url", reader_url, cwd=tmp_path)
        own = run(*report, "--store-url", postgres_url, cwd=tmp_path)
        # FOCUS leaves out workspaces of no plan, and says so with its exit code.
        assert answer.returncode == own.returncode == int("focus" in report), answer.stderr
        assert numbers(report, answer) == numbers(report, own)
    doctor = run("doctor", "--json", *NO_API, "--store-url", reader_url, cwd=tmp_path, environ=TOKEN)
    steps = {finding["step"]: finding for finding in json.loads(doctor.stdout)["findings"]}
    assert "(2026-11-23 12:00:00 UTC)" in steps["store"]["text"], doctor.stdout
    with psycopg.connect(reader_url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("UPDATE store_state SET made_by = made_by")


@pytest.mark.slow
def test_a_role_that_may_not_read_a_table_is_told_what_it_needs(
    reader_url: str, postgres_url: str, tmp_path: Path
) -> None:
    role = reader_url.partition("//")[2].partition(":")[0]
    execute(postgres_url, f"REVOKE SELECT ON cost_configuration FROM {role}")

    answer = run("cost", "--store-url", reader_url, cwd=tmp_path)

    assert answer.returncode == 1
    assert "permission denied for table cost_configuration; let this role read every table: GRANT SELECT" in (
        answer.stderr
    )
    assert PASSWORD not in answer.stderr


# Versions -----------------------------------------------------------------------------------------
@pytest.mark.slow
@pytest.mark.parametrize(
    ("version", "message"),
    [("0004", "run `serve` or `collect` of this version once"), ("9999", "run the build that made it or a newer one")],
)
@pytest.mark.parametrize("command", [("cost",), ("store", "check")], ids=" ".join)
def test_another_schema_is_told_and_not_migrated(
    command: Sequence[str], version: str, message: str, lived_file: Path, closed: Callable[[], Path], tmp_path: Path
) -> None:
    file = Path(shutil.copy(lived_file, tmp_path / "closed" / "copy.db"))
    execute(f"sqlite:///{file}", f"UPDATE store_version SET version_num = '{version}'")
    closed()

    answer = run_as_others(*command, "--store-url", f"sqlite:///{file}", cwd=tmp_path)

    assert answer.returncode == 1
    assert message in answer.stderr
    with closing(sqlite3.connect(f"file:{file}?immutable=1", uri=True)) as connection:
        assert connection.execute("SELECT version_num FROM store_version").fetchall() == [(version,)]


# No store -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("report", [*REPORTS, ("store", "backup", "x.db")], ids=" ".join)
def test_a_place_without_a_store_is_told_and_stays_empty(report: Sequence[str], tmp_path: Path) -> None:
    answer = run(*report, cwd=tmp_path)

    assert answer.returncode == 1
    assert f"no store here: {tmp_path}/prisma-postgres-exporter.db does not exist" in answer.stderr
    assert "(from the default, relative to the current directory)" in answer.stderr
    assert "--store-url" in answer.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_a_file_names_is_told_with_its_line(tmp_path: Path) -> None:
    config = write_config(tmp_path / "config.yaml", store={"url": "sqlite:///elsewhere.db"})
    line = config.read_text().splitlines().index("  url: sqlite:///elsewhere.db") + 1

    answer = run("top", "--config", str(config), cwd=tmp_path)

    assert f"no store here: {tmp_path}/elsewhere.db does not exist" in answer.stderr
    assert f"(from {config}:{line}, relative to the current directory)" in answer.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["config.yaml"]


def test_an_empty_postgres_database_is_no_store(postgres_url: str, tmp_path: Path) -> None:
    answer = run("cost", "--store-url", postgres_url, cwd=tmp_path)

    assert answer.returncode == 1
    assert "no store here: no tables that this role can see at postgresql://exporter@" in answer.stderr
    assert "(from --store-url)" in answer.stderr
    assert query(postgres_url, "SELECT 1 FROM pg_tables WHERE schemaname = 'public'") == []


# check --------------------------------------------------------------------------------------------
def store_lines(answer: subprocess.CompletedProcess[str]) -> list[str]:
    return [line.strip() for line in answer.stdout.splitlines() if " store " in line]


def test_check_makes_no_store_and_no_directory(tmp_path: Path) -> None:
    answer = run("check", *NO_API, cwd=tmp_path, environ=TOKEN)
    nowhere = run("check", *NO_API, "--store-url", "sqlite:///nowhere/store.db", cwd=tmp_path, environ=TOKEN)

    [line], [missing] = store_lines(answer), store_lines(nowhere)
    assert line.startswith("ok")
    assert line.endswith("there is none yet; `serve` and `collect` make it")
    assert missing.startswith("problem")
    assert missing.endswith("create its directory [store_unavailable]")
    assert list(tmp_path.iterdir()) == []


def test_check_makes_no_tables(postgres_url: str, tmp_path: Path) -> None:
    answer = run("check", *NO_API, "--store-url", postgres_url, cwd=tmp_path, environ=TOKEN)
    execute(postgres_url, "REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    role = f"reader_{uuid4().hex}"
    execute(postgres_url, f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'")
    other = postgres_url.replace("exporter:", f"{role}:")
    refused = run("check", *NO_API, "--store-url", other, cwd=tmp_path, environ=TOKEN)
    execute(postgres_url, f"DROP ROLE {role}")

    assert store_lines(answer)[0].startswith("ok")
    assert store_lines(refused)[0].startswith("problem")
    assert "may not create tables" in store_lines(refused)[0]
    assert query(postgres_url, "SELECT 1 FROM pg_tables WHERE schemaname = 'public'") == []


@pytest.mark.slow
def test_check_says_that_a_store_cannot_be_written(
    lived_file: Path, closed: Callable[[], Path], tmp_path: Path
) -> None:
    file = Path(shutil.copy(lived_file, tmp_path / "closed" / "copy.db"))
    empty = tmp_path / "closed" / "absent.db"
    before = listed(closed())

    there = run_as_others("check", *NO_API, "--store-url", f"sqlite:///{file}", cwd=tmp_path, **TOKEN)
    absent = run_as_others("check", *NO_API, "--store-url", f"sqlite:///{empty}", cwd=tmp_path, **TOKEN)

    assert "let this user write" in store_lines(there)[0]
    assert "let this user write in its directory" in store_lines(absent)[0]
    assert listed(file.parent) == before


def test_check_does_not_migrate(lived_file: Path, tmp_path: Path) -> None:
    file = Path(shutil.copy(lived_file, tmp_path / "copy.db"))
    execute(f"sqlite:///{file}", "UPDATE store_version SET version_num = '0004'")

    answer = run("check", *NO_API, "--store-url", f"sqlite:///{file}", cwd=tmp_path, environ=TOKEN)

    assert store_lines(answer)[0].startswith("note")
    assert "to bring its tables up to date" in store_lines(answer)[0]
    assert query(f"sqlite:///{file}", "SELECT version_num FROM store_version") == [("0004",)]
