"""A Postgres that is slow, gone, full, read-only, cut off or behind a pooler, under a running service."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from faulted import Setting
from fleet import Proxy
from pooler import NEEDS_PGBOUNCER, pooler
from processes import Vendor, command, wait_until

from postgres import PASSWORD, PostgresServer
from reliability import Fault, record

pytestmark = pytest.mark.slow

SAYS_SO = "the reason on page, metric and log; the last picture; goes on by itself"


def remember(tried: str, seen: str, seconds: float | None) -> None:
    record(Fault(part="store", tried=f"Postgres: {tried}", times=1, seen=seen, lost="nothing", seconds=seconds))


def test_a_server_that_hangs_is_given_up_and_tried_again(on_server: Setting, server: PostgresServer) -> None:
    with on_server.serving() as running:
        before = on_server.known(running)
        with server.paused():
            on_server.assert_told(running, before, "; start the server, or correct host and port")
        seconds = on_server.goes_on(running, before)
        on_server.wait_for_exact()
    remember("it accepts connections and never answers", f"after 30 to 40 s {SAYS_SO}", seconds)


def test_a_server_that_hangs_does_not_keep_the_service_from_ending(on_server: Setting, server: PostgresServer) -> None:
    with on_server.serving() as running:
        on_server.known(running)
        with server.paused():
            running.send(signal.SIGTERM)
            running.wait(20)
        assert "not ended in time" not in running.output
    with on_server.serving() as running:
        on_server.known(running)
        on_server.wait_for_exact()
    remember("SIGTERM while it never answers", "it ends within seconds, in order", None)


def test_a_server_that_hangs_at_the_start_ends_it_with_the_reason(on_server: Setting, server: PostgresServer) -> None:
    with server.paused(), command("serve", *on_server.options, cwd=on_server.directory) as starting:
        assert starting.wait() == 1
        assert "cannot open the store" in starting.output
        assert "timeout expired; start the server" in starting.output
        assert "Traceback" not in starting.output
    remember("it never answers at the start", "the start ends after 10 s with the reason", None)


def test_a_server_that_is_killed_is_used_again_when_it_is_back(on_server: Setting, server: PostgresServer) -> None:
    with on_server.serving() as running:
        before = on_server.known(running)
        server.stop()
        on_server.assert_told(running, before, "Connection refused")
        on_server.assert_examined("Connection refused")
        server.start()
        seconds = on_server.goes_on(running, before)
        on_server.wait_for_exact()
    remember("it is killed, and started again", SAYS_SO, seconds)


def test_a_transaction_that_is_cut_is_written_anew(on_server: Setting, server: PostgresServer) -> None:
    parts = urlsplit(on_server.store_url)
    proxy = Proxy(parts.port or 0)
    setting = replace(on_server, store_url=on_server.store_url.replace(f":{parts.port}/", f":{proxy.port}/"))
    times = 5
    try:
        with setting.serving() as running:
            before = setting.known(running)
            for _ in range(times):
                with psycopg.connect(on_server.store_url) as other:
                    other.execute("LOCK TABLE readings")
                    wait_until(partial(writes_that_wait, other), "a write that waits")
                    proxy.cut()
                    proxy.mend()
                seconds = setting.goes_on(running, before)
            setting.wait_for_exact()
    finally:
        proxy.stop()
    record(
        Fault(
            part="store",
            tried="Postgres: the connection is reset in the middle of a write",
            times=times,
            seen="written on a new connection; a second failure is said",
            lost="nothing",
            seconds=seconds,
        )
    )


@pytest.mark.parametrize("interval", ["1s", "5m"])
def test_a_server_that_became_read_only_is_told_however_seldom_there_is_news(on_server: Setting, interval: str) -> None:
    setting = replace(on_server, interval=interval)
    with setting.serving() as running:
        before = setting.known(running)
        with read_only(setting.store_url):
            setting.assert_told(running, before, "read-only transaction; give the address of the primary server")
        if interval == "1s":
            seconds = setting.goes_on(running, before)
            setting.wait_for_exact()
            remember("it becomes read-only", SAYS_SO, seconds)
        else:
            wait_until(lambda: "read-only transaction" not in running.get("/").text, "the page to be well again")


def test_a_password_that_changed_is_told_and_not_shown(on_server: Setting) -> None:
    with on_server.serving() as running, psycopg.connect(on_server.store_url, autocommit=True) as admin:
        before = on_server.known(running)
        admin.execute("ALTER ROLE exporter PASSWORD 'another-password'")
        end_others(admin)
        on_server.assert_told(running, before, "correct the user or the password")
        assert PASSWORD not in running.get("/").text + running.output
        admin.execute(f"ALTER ROLE exporter PASSWORD '{PASSWORD}'".encode())
        seconds = on_server.goes_on(running, before)
        on_server.wait_for_exact()
    remember("the password is changed, and changed back", SAYS_SO, seconds)


def test_a_server_without_a_connection_left_is_tried_again(on_server: Setting) -> None:
    with on_server.serving() as running, psycopg.connect(on_server.store_url, autocommit=True) as admin:
        before = on_server.known(running)
        with ExitStack() as others:
            with suppress(psycopg.OperationalError):
                while True:
                    end_others(admin, application="prisma-postgres-exporter")
                    others.enter_context(psycopg.connect(on_server.store_url, application_name="other"))
            on_server.assert_told(running, before, "too many clients already; raise max_connections, or wait")
        seconds = on_server.goes_on(running, before)
        on_server.wait_for_exact()
    remember("too many connections", SAYS_SO, seconds)


@NEEDS_PGBOUNCER
def test_behind_a_pooler_a_restart_of_the_server_is_survived(
    tmp_path: Path, world: Vendor, server: PostgresServer
) -> None:
    with server.fresh_database() as url, pooler(url) as pooled:
        setting = Setting(tmp_path, world, pooled)
        with setting.serving() as running:
            before = setting.known(running)
            server.stop()
            setting.assert_told(running, before, "cannot")
            server.start()
            seconds = setting.goes_on(running, before)
            # The pooler itself refuses new clients for a while.
            replace(setting, store_url=url).wait_for_exact()
    remember("it restarts behind PgBouncer in transaction mode", SAYS_SO, seconds)


# Steps --------------------------------------------------------------------------------------------
def writes_that_wait(other: psycopg.Connection[tuple[object, ...]]) -> list[tuple[object, ...]]:
    return other.execute("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'").fetchall()


@contextmanager
def read_only(url: str) -> Iterator[None]:
    """As a provider does whose disk is full."""
    with psycopg.connect(url, autocommit=True, options="-c default_transaction_read_only=off") as admin:
        admin.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        admin.execute("SELECT pg_reload_conf()")
        try:
            yield
        finally:
            admin.execute("ALTER SYSTEM RESET default_transaction_read_only")
            admin.execute("SELECT pg_reload_conf()")


def end_others(admin: psycopg.Connection[tuple[object, ...]], *, application: str | None = None) -> None:
    """End the service's connections."""
    chosen = "" if application is None else f" AND application_name = '{application}'"
    admin.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND usename = 'exporter'"
        f"{chosen}".encode()
    )
