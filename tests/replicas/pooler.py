"""PgBouncer in transaction mode before a Postgres: each transaction may get another connection."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from processes import wait_until

from ports import free_port
from postgres import ORDINARY_USER

PGBOUNCER = shutil.which("pgbouncer", path=os.environ["PATH"] + ":/usr/sbin")
NEEDS_PGBOUNCER = pytest.mark.skipif(PGBOUNCER is None and "CI" not in os.environ, reason="needs pgbouncer")
CONFIGURATION = """
[databases]
* = host=127.0.0.1 port={server}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
pool_mode = transaction
default_pool_size = 3
auth_type = scram-sha-256
auth_file = {directory}/users.txt
logfile = {directory}/pgbouncer.log
"""


@contextmanager
def pooler(url: str) -> Iterator[str]:
    """Run one before the server of a URL, with fewer connections than it has clients, and give its own URL."""
    assert PGBOUNCER is not None, "apt-get install pgbouncer"
    parts = urlsplit(url)
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="pgbouncer-") as path:
        directory = Path(path)
        directory.chmod(0o777)
        (directory / "users.txt").write_text(f'"{parts.username}" "{parts.password}"\n')
        configuration = directory / "pgbouncer.ini"
        configuration.write_text(CONFIGURATION.format(server=parts.port, port=port, directory=path))
        account = pwd.getpwnam(ORDINARY_USER) if os.geteuid() == 0 else None
        running = subprocess.Popen(
            [PGBOUNCER, "--quiet", str(configuration)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            extra_groups=() if account else None,
        )
        pooled = url.replace(f":{parts.port}/", f":{port}/")
        try:
            wait_until(lambda: _answers(pooled), "pgbouncer to answer")
            yield pooled
        finally:
            running.terminate()
            running.wait()


def _answers(url: str) -> bool:
    try:
        with psycopg.connect(url, prepare_threshold=None) as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)
    except psycopg.OperationalError:
        return False
