"""A SQLite file that is lost, damaged, locked or has no room, under a running service."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from faulted import Setting
from processes import Exporter, Vendor, command, run, wait_until

from reliability import Fault, record

NOTHING = "nothing"
SIDE_FILES = ("-wal", "-shm")
PAGE = 4_096
GOES_ON = "the next start goes on"


def remember(tried: str, seen: str, seconds: float | None, lost: str = NOTHING) -> None:
    record(Fault(part="store", tried=tried, times=1, seen=seen, lost=lost, seconds=seconds))


@pytest.mark.slow
def test_a_file_that_is_moved_away_is_told_and_goes_on_when_it_is_back(on_file: Setting, file: Path) -> None:
    with on_file.serving() as running:
        before = on_file.known(running)
        file.rename(file.with_suffix(".away"))
        on_file.assert_told(running, before, "was deleted or moved away while it was in use", healthy=503)
        on_file.assert_examined("is gone, and no new one is made in its place")
        assert not file.exists()
        file.with_suffix(".away").rename(file)
        seconds = on_file.goes_on(running, before)
        # What could not be read is known to be well again when it is read again.
        wait_until(lambda: running.get("/-/healthy").status == 200, "it is healthy")
        on_file.wait_for_exact()
    remember(
        "SQLite: the file is moved away, and back",
        "unhealthy with the reason on page, metric, log, `check` and `doctor`; the last picture; goes on by itself",
        seconds,
    )


@pytest.mark.slow
def test_a_file_that_is_deleted_is_not_made_anew_and_its_backup_goes_on(on_file: Setting, file: Path) -> None:
    backup = file.with_name("backup.db")
    with on_file.serving() as running:
        before = on_file.known(running)
        back_up(on_file, backup)
        file.unlink()
        on_file.assert_told(running, before, "was deleted or moved away while it was in use", healthy=503)
        running.send(signal.SIGTERM)
        assert running.wait() == 0
    assert_refused(on_file, "is gone, and no new one is made in its place")
    assert not file.exists()
    restore(backup, file)
    assert_restored(
        on_file,
        "SQLite: the file is deleted",
        "unhealthy with the reason on page, metric and log; a restart is refused until a backup is put there",
    )


@pytest.mark.slow
def test_a_file_that_is_replaced_is_not_written_and_a_restart_goes_on_with_the_new_one(
    on_file: Setting, file: Path
) -> None:
    backup = file.with_name("backup.db")
    with on_file.serving() as running:
        before = on_file.known(running)
        back_up(on_file, backup)
        written = backup.read_bytes()
        backup.replace(file)
        on_file.assert_told(running, before, "was replaced by another file while it was in use", healthy=503)
        running.send(signal.SIGTERM)
        assert running.wait() == 0
    assert file.read_bytes() == written
    if file.with_name(f"{file.name}-wal").exists():
        assert_refused(on_file, "-wal is of the one before: stop the service that uses it, then remove store.db-wal")
    for suffix in SIDE_FILES:
        file.with_name(file.name + suffix).unlink(missing_ok=True)
    assert_restored(
        on_file,
        "SQLite: another file is put in its place",
        "unhealthy with the reason on page, metric and log; nothing is written to it; a restart goes on with it once "
        "the `-wal` of the old one is removed",
    )


@pytest.mark.slow
def test_a_file_that_is_emptied_is_not_taken_for_a_new_one(on_file: Setting, file: Path) -> None:
    backup = file.with_name("backup.db")
    with on_file.serving() as running:
        before = on_file.known(running)
        back_up(on_file, backup)
        os.truncate(file, 0)
        on_file.assert_told(running, before, "was emptied while it was in use", healthy=503)
        running.send(signal.SIGTERM)
        assert running.wait() == 0
    assert file.stat().st_size == 0
    assert file.with_name(f"{file.name}-wal").stat().st_size > 0
    assert_refused(on_file, "is empty now, and no new one is made in its place")
    on_file.assert_examined("is empty now, and no new one is made in its place")
    restore(backup, file)
    assert_restored(
        on_file,
        "SQLite: the file is cut to 0 bytes",
        "unhealthy with the reason on page, metric and log; a restart is refused until a backup is put there",
    )


@pytest.mark.slow
@pytest.mark.parametrize("is_killed", [True, False], ids=["killed", "running"])
def test_a_backup_that_is_copied_over_the_file_is_not_mixed_with_what_is_beside_it(
    on_file: Setting, file: Path, *, is_killed: bool
) -> None:
    backup = file.with_name("backup.db")
    with on_file.serving() as running:
        before = on_file.known(running)
        back_up(on_file, backup)
        on_file.goes_on(running, before)
        if is_killed:
            running.kill()
        # As `cp backup.db store.db` does it.
        file.write_bytes(backup.read_bytes())
        if not is_killed:
            on_file.assert_told(running, before, "was overwritten with another while it was in use", healthy=503)
            running.send(signal.SIGTERM)
            assert running.wait() == 0
    wal = file.with_name(f"{file.name}-wal")
    beside = wal.read_bytes()
    assert beside
    assert_refused(on_file, f"is not the one that {wal} was written for")
    on_file.assert_examined(f"is not the one that {wal} was written for")
    for door in (
        ["collect"],
        ["backfill", "--from", "2026-01-01"],
        ["cost"],
        ["top"],
        ["report"],
        ["export"],
        ["store", "check"],
    ):
        options = on_file.options if door[0] in {"collect", "backfill"} else on_file.options[-2:]
        done = run(*door, *options, cwd=on_file.directory)
        assert done.returncode != 0, door
        assert f"is not the one that {wal} was written for" in " ".join((done.stdout + done.stderr).split()), door
    assert (file.read_bytes(), wal.read_bytes()) == (backup.read_bytes(), beside)
    for suffix in SIDE_FILES:
        file.with_name(file.name + suffix).unlink(missing_ok=True)
    assert_restored(
        on_file,
        f"SQLite: a backup is copied over the file {'after `kill -9`' if is_killed else 'while the service runs'}",
        "every command refuses to open it until the `-wal` of the old one is removed; the backup stays as it is"
        if is_killed
        else "unhealthy with the reason on page, metric and log; neither it nor the `-wal` is written, at the stop too;"
        " every command refuses to open it until the `-wal` of the old one is removed",
    )


@pytest.mark.slow
@pytest.mark.parametrize("is_older", [True, False], ids=["older", "plain copy"])
def test_what_was_copied_after_a_stop_is_never_mixed_with_what_the_next_start_wrote(
    on_file: Setting, file: Path, *, is_older: bool
) -> None:
    with on_file.serving() as running:
        on_file.known(running)
        running.send(signal.SIGTERM)
        assert running.wait() == 0
    if is_older:
        with closing(sqlite3.connect(file, isolation_level=None)) as connection:
            for statement in ("journal_mode = DELETE", "user_version = 0", "journal_mode = WAL"):
                connection.execute(f"PRAGMA {statement}")
    copy = file.read_bytes()
    with on_file.serving() as running:
        on_file.goes_on(running, on_file.known(running))
        running.kill()
    assert file.with_name(f"{file.name}-wal").stat().st_size
    file.write_bytes(copy)
    if is_older:
        assert_refused(on_file, f"is not the one that {file}-wal was written for")
        assert file.read_bytes() == copy
        for suffix in SIDE_FILES:
            file.with_name(file.name + suffix).unlink(missing_ok=True)
        assert_restored(
            on_file,
            "SQLite: a copy by an older version, which did not count writes, is put over the file after `kill -9`",
            "every command refuses to open it until the `-wal` of the newer one is removed",
        )
        return
    began = time.monotonic()
    with on_file.serving() as running:
        on_file.known(running)
        seconds = time.monotonic() - began
        on_file.wait_for_exact()
    remember(
        "SQLite: a plain copy from before the last start is put over the file after `kill -9`",
        "the next start goes on from the newest state, not from the copy",
        seconds,
    )


@pytest.mark.slow
def test_a_checkpoint_that_was_half_done_is_done_by_the_next_start(on_file: Setting, file: Path) -> None:
    with on_file.serving() as running:
        before = on_file.known(running)
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        on_file.goes_on(running, before)
        running.kill()
    frames = file.with_name(f"{file.name}-wal").read_bytes()[32:]
    pages = [frames[at : at + 24 + PAGE] for at in range(0, len(frames), 24 + PAGE)]
    with file.open("r+b") as opened:
        opened.write([page[24:] for page in pages if page[:4] == b"\0\0\0\1"][-1])
    began = time.monotonic()
    with on_file.serving() as running:
        on_file.known(running)
        seconds = time.monotonic() - began
        on_file.wait_for_exact()
    remember("SQLite: `kill -9` in the middle of a checkpoint, with its first page written", GOES_ON, seconds)


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["overwritten", "cut in half"])
def test_a_damaged_file_is_told_and_its_backup_goes_on(on_file: Setting, file: Path, damage: str) -> None:
    backup = file.with_name("backup.db")
    with on_file.serving() as running:
        on_file.known(running)
        on_file.wait_for_exact()
        back_up(on_file, backup)
        running.send(signal.SIGTERM)
        assert running.wait() == 0
    if damage == "overwritten":
        with file.open("r+b") as opened:
            # All but the first page, so that it looks like a store.
            opened.seek(4096)
            opened.write(b"\xa5" * (file.stat().st_size - 4096))
    else:
        os.truncate(file, file.stat().st_size // 2)
    assert_refused(on_file, "the file is damaged: put a backup in its place")
    on_file.assert_examined("the file is damaged: put a backup in its place")
    restore(backup, file)
    assert_restored(
        on_file,
        f"SQLite: the file is {damage} while nobody has it open",
        "the start is refused, `check` and `doctor` say that it is damaged, until a backup is put there",
    )


@pytest.mark.slow
def test_a_file_that_is_damaged_under_a_running_service_is_told(on_file: Setting, file: Path) -> None:
    backup = file.with_name("backup.db")
    with on_file.serving() as running:
        before = on_file.known(running)
        on_file.wait_for_exact()
        back_up(on_file, backup)
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        with file.open("r+b") as opened:
            opened.seek(4096)
            opened.write(b"\xa5" * (file.stat().st_size - 4096))
        on_file.assert_told(running, before, "malformed; the file is damaged", healthy=503)
        running.send(signal.SIGTERM)
        running.wait()
    restore(backup, file)
    assert_restored(
        on_file,
        "SQLite: the file is overwritten with nonsense while the service runs",
        "unhealthy with the reason on page, metric and log; nothing is written; the last picture, until a backup is put"
        " there",
    )


@pytest.mark.slow
@pytest.mark.parametrize("is_killed", [True, False], ids=["killed", "stopped"])
def test_a_page_that_no_start_reads_is_found_however_it_ended(on_file: Setting, file: Path, *, is_killed: bool) -> None:
    backup = file.with_name("backup.db")
    with on_file.serving() as running:
        on_file.known(running)
        on_file.wait_for_exact()
        back_up(on_file, backup)
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            [(page, size)] = connection.execute(
                "SELECT rootpage, page_size FROM sqlite_master, pragma_page_size WHERE name = 'readings'"
            )
        if is_killed:
            running.kill()
        else:
            running.send(signal.SIGTERM)
            assert running.wait() == 0
    with file.open("r+b") as opened:
        opened.seek((page - 1) * size)
        opened.write(b"\xa5" * size)
    if is_killed:
        assert_refused(on_file, "the file is damaged: put a backup in its place")
    else:
        with on_file.serving() as running:
            before = on_file.known(running)
            on_file.assert_told(running, before, "malformed; the file is damaged", healthy=503)
            running.send(signal.SIGTERM)
            running.wait()
    restore(backup, file)
    assert_restored(
        on_file,
        f"SQLite: a page that no start reads is overwritten after {'`kill -9`' if is_killed else 'a stop'}",
        "the start is refused until a backup is put there"
        if is_killed
        else "unhealthy with the reason on page, metric and log once it is met; nothing is written; the last picture, "
        "until a backup is put there",
    )


@pytest.mark.slow
def test_a_file_that_another_program_locks_is_tried_again(on_file: Setting, file: Path) -> None:
    with on_file.serving() as running:
        before = on_file.known(running)
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            on_file.assert_told(running, before, "is locked; another process is writing for too long")
        seconds = on_file.goes_on(running, before)
        on_file.wait_for_exact()
    remember(
        "SQLite: another program writes and does not end",
        "the reason on page, metric and log after 10 s; the last picture; goes on by itself",
        seconds,
    )


@pytest.mark.slow
def test_a_second_service_on_the_file_is_refused_by_name(on_file: Setting) -> None:
    with on_file.serving() as running:
        before = on_file.known(running)
        assert_refused(on_file, f"is in use by process {running.pid} on {os.uname().nodename}: stop it")
        on_file.goes_on(running, before)
        on_file.wait_for_exact()
    remember(
        "SQLite: a second service on the same file", "it is refused with the process id and host of the first", None
    )


@pytest.mark.slow
def test_a_full_disk_is_told_and_what_was_read_is_stored_when_there_is_room(tmp_path: Path, world: Vendor) -> None:
    with small_disk(tmp_path / "disk") as directory:
        setting = Setting(tmp_path, world, f"sqlite:///{directory / 'store.db'}")
        with setting.serving() as running:
            before = setting.known(running)
            with no_room(running, directory) as (message, healthy):
                setting.assert_told(running, before, message, healthy=healthy)
            seconds = setting.goes_on(running, before)
            assert running.output.count("store not writable") == 1
            setting.wait_for_exact()
            running.send(signal.SIGTERM)
            assert running.wait() == 0
    remember(
        "SQLite: the disk is full",
        "the reason on page, metric and log; the last picture; goes on by itself",
        seconds,
    )


@pytest.mark.slow
def test_what_was_killed_on_a_full_disk_goes_on_when_there_is_room(tmp_path: Path, world: Vendor) -> None:
    with small_disk(tmp_path / "disk") as directory:
        setting = Setting(tmp_path, world, f"sqlite:///{directory / 'store.db'}")
        with setting.serving() as running:
            before = setting.known(running)
            with no_room(running, directory) as (message, healthy):
                setting.assert_told(running, before, message, healthy=healthy)
                running.kill()
                if directory.is_mount():
                    with command("serve", *setting.options, "--listen", "127.0.0.1:0", cwd=tmp_path) as starting:
                        wait_until(lambda: "disk is full" in starting.output, "the next one says so")
                        starting.kill()
                    assert "Traceback" not in starting.output
        began = time.monotonic()
        with setting.serving() as running:
            setting.known(running)
            seconds = time.monotonic() - began
            setting.wait_for_exact()
            running.send(signal.SIGTERM)
            assert running.wait() == 0
    remember(
        "SQLite: `kill -9` on a full disk, and a start",
        "the start gives the reason; the one when there is room goes on",
        seconds,
    )


@pytest.mark.slow
def test_a_file_that_may_not_be_written_is_refused_at_the_start(world: Vendor) -> None:
    """By an ordinary user, as root may write everything."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        setting = Setting(directory, world, f"sqlite:///{directory / 'kept' / 'store.db'}")
        (directory / "kept").mkdir()
        with setting.serving() as running:
            setting.known(running)
            running.send(signal.SIGTERM)
            assert running.wait() == 0
        serve = serve_command(setting)
        as_ordinary = [] if os.geteuid() else ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        for path in (directory / "tokens", *(directory / "tokens").iterdir(), directory):
            path.chmod(0o755)
        for path in (directory / "kept").iterdir():
            path.chmod(0o444)
        (directory / "kept").chmod(0o555)
        refused = subprocess.run([*as_ordinary, *serve], capture_output=True, text=True, check=False, timeout=60)
        (directory / "kept").chmod(0o755)
    assert refused.returncode != 0
    assert "let this user write" in " ".join(refused.stderr.split())
    remember("SQLite: the disk is read-only at the start", "the start is refused, with what to change", None)


# Steps --------------------------------------------------------------------------------------------
def serve_command(setting: Setting) -> list[str]:
    return [sys.executable, "-m", "prisma_postgres_exporter", "serve", *setting.options, "--listen", "127.0.0.1:0"]


def assert_refused(setting: Setting, text: str) -> None:
    """A start ends at once, and says why without a traceback."""
    with command("serve", *setting.options, "--listen", "127.0.0.1:0", cwd=setting.directory) as started:
        assert started.wait() != 0
        assert text in " ".join(started.output.split()), started.output
        assert "Traceback" not in started.output


def back_up(setting: Setting, backup: Path) -> None:
    done = run("store", "backup", str(backup), "--store-url", setting.store_url, cwd=setting.directory)
    assert done.returncode == 0, done.stderr


def restore(backup: Path, file: Path) -> None:
    """As the guide says."""
    for suffix in SIDE_FILES:
        file.with_name(file.name + suffix).unlink(missing_ok=True)
    shutil.copy(backup, file)


def assert_restored(setting: Setting, tried: str, seen: str) -> None:
    """A start with the backup shows everything and reads again what is newer."""
    began = time.monotonic()
    with setting.serving() as running:
        before = setting.known(running)
        seconds = time.monotonic() - began
        setting.goes_on(running, before)
        setting.wait_for_exact()
    remember(tried, seen, seconds, "nothing: what is newer than the backup is read again")


@contextmanager
def small_disk(directory: Path) -> Iterator[Path]:
    """A disk of 3 MiB where one may be mounted, else a directory."""
    directory.mkdir()
    is_mounted = os.geteuid() == 0 and not subprocess.call(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(directory)], stderr=subprocess.DEVNULL
    )
    try:
        yield directory
    finally:
        if is_mounted:
            subprocess.run(["umount", "--lazy", str(directory)], check=True)


@contextmanager
def no_room(running: Exporter, directory: Path) -> Iterator[tuple[str, int]]:
    """Fill the small disk, or where there is none let the service write no more to any file; gives what it says.

    And the status of its health: SQLite does not tell a quota from a broken disk.
    """
    if directory.is_mount():
        ballast = directory / "ballast"
        with ballast.open("wb", buffering=0) as opened:
            for size in (65_536, 4_096):
                try:
                    while opened.write(b"\0" * size) == size:
                        pass
                except OSError:
                    pass
        yield "disk is full; make room on the disk", 200
        ballast.unlink()
    else:
        unlimited = resource.prlimit(running.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(running.pid, resource.RLIMIT_FSIZE, (0, unlimited[1]))
        yield "disk I/O error; look whether the disk is full", 503
        resource.prlimit(running.pid, resource.RLIMIT_FSIZE, unlimited)
