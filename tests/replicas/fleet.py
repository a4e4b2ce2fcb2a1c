"""Several services on one Postgres and one simulated vendor, each behind a way to the store that can be cut."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from processes import Exporter, Vendor, exporter, wait_until, write_config, write_tokens

TTL_SECONDS = 10.0
"""What the product promises to take over after, less five seconds; written down here, not taken from it."""

# Every write of a workspace, with the lease under which it was committed: whoever wrote it is known by its application.
WITNESS = """
CREATE TABLE witnessed (
    at timestamptz NOT NULL DEFAULT clock_timestamp(), workspace_id text NOT NULL, generation bigint NOT NULL,
    epoch bigint, session_id text, writer text NOT NULL);
CREATE FUNCTION witness() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO witnessed (workspace_id, generation, epoch, session_id, writer)
    SELECT new.id, new.generation, l.epoch, l.session_id, current_setting('application_name')
    FROM (SELECT new.id) AS n LEFT JOIN leases AS l ON l.workspace_id = new.id;
    RETURN new; END $$;
CREATE TRIGGER witness AFTER UPDATE OF generation ON workspaces FOR EACH ROW EXECUTE FUNCTION witness();
"""


class Proxy:
    """A way to a port on this machine that can be cut: then nothing passes, and nobody is told."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._is_cut = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._selector = selectors.DefaultSelector()
        self._peers: dict[socket.socket, socket.socket] = {}
        self._is_stopping = False
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def cut(self) -> None:
        """Let nothing pass from now on: connections stay, as when a cable is pulled."""
        self._is_cut = True

    def mend(self) -> None:
        """Let new connections pass; those of before are reset."""
        for end in list(self._peers):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._is_cut = False

    def stop(self) -> None:
        """End."""
        self._is_stopping = True
        self._thread.join()
        for end in (*self._peers, self._listener):
            end.close()
        self._selector.close()

    def _run(self) -> None:
        while not self._is_stopping:
            if self._is_cut:
                time.sleep(0.02)
                continue
            for key, _ in self._selector.select(0.05):
                end = key.fileobj
                assert isinstance(end, socket.socket)
                if end is self._listener:
                    self._connect()
                elif not self._is_cut:
                    self._pass(end)

    def _connect(self) -> None:
        ours, _ = self._listener.accept()
        try:
            theirs = socket.create_connection(("127.0.0.1", self._target))
        except OSError:
            ours.close()
            return
        for end, peer in ((ours, theirs), (theirs, ours)):
            self._peers[end] = peer
            self._selector.register(end, selectors.EVENT_READ)

    def _pass(self, end: socket.socket) -> None:
        if end not in self._peers:
            return
        try:
            data = end.recv(65536)
            if data:
                self._peers[end].sendall(data)
                return
        except OSError:
            pass
        for one in (end, self._peers[end]):
            self._selector.unregister(one)
            del self._peers[one]
            one.close()


@dataclass(slots=True)
class Member:
    """One service of a fleet, with its way to the store; one that `is_stopped` by a signal answers nobody."""

    name: str
    proxy: Proxy
    running: Exporter
    is_stopped: bool = False


class Fleet:
    """Services that are called a, b, c …; one that was killed can be started again under its name."""

    def __init__(self, directory: Path, store_url: str, vendor: Vendor, *, interval: str = "2s") -> None:
        self.store_url = store_url
        self.vendor = vendor
        self.members: dict[str, Member] = {}
        self.directory = directory
        self._stack = ExitStack()
        write_tokens(directory / "tokens", **{f"w{n}": token for n, token in enumerate(vendor.world.tokens)})
        self._config = write_config(
            directory / "config.yaml",
            credentials=[{"token_file": str(directory / "tokens")}],
            poll={"interval": interval, "requests_per_second": 200, "windows": ["24h"]},
            discovery={"interval": "30s"},
        )

    def start(self, name: str) -> Member:
        """Start a service, or start it again."""
        proxy = Proxy(int(self.store_url.partition("@")[2].partition(":")[2].partition("/")[0]))
        self._stack.callback(proxy.stop)
        head, _, database = self.store_url.rpartition("/")
        url = f"{head.rpartition(':')[0]}:{proxy.port}/{database}?application_name={name}"
        options = ("--config", str(self._config), "--api-url", self.vendor.url, "--store-url", url)
        running = self._stack.enter_context(exporter("serve", *options, cwd=self.directory))
        self.members[name] = Member(name, proxy, running)
        return self.members[name]

    def owners(self) -> Mapping[str, str]:
        """Who holds each workspace, by the store: the process id of its session's name."""
        query = (
            "SELECT l.workspace_id, s.name FROM leases AS l JOIN sessions AS s ON s.id = l.session_id"
            " WHERE s.expires_at_ms > extract(epoch FROM clock_timestamp()) * 1000"
        )
        by_pid = {str(member.running.pid): name for name, member in self.members.items()}
        return {id_: by_pid.get(name.rpartition(":")[2], "?") for id_, name in self.query(query)}

    def wait_for_owners(self, names: set[str], seconds: float) -> Mapping[str, str]:
        """Wait until these hold all workspaces, none many more than another."""
        workspaces = len(set(self.vendor.world.tokens.values()))

        def settled() -> Mapping[str, str] | None:
            owners = self.owners()
            counts = Counter(dict.fromkeys(names, 0))
            counts.update(owners.values())
            is_fair = max(counts.values()) - min(counts.values()) <= 1
            return owners if len(owners) == workspaces and set(counts) == names and is_fair else None

        return wait_until(settled, f"{sorted(names)} to hold everything, it is {self.owners()}", seconds)

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Ask the store directly."""
        with psycopg.connect(self.store_url) as connection:
            return connection.execute(statement.encode()).fetchall()

    def witness(self) -> None:
        """Have every write of a workspace noted from now on."""
        with psycopg.connect(self.store_url, autocommit=True) as connection:
            connection.execute(WITNESS.encode())

    def assert_one_writer_an_epoch(self) -> None:
        """Nobody wrote without the lease, no epoch had two writers, and none wrote after its successor."""
        writers: dict[tuple[str, str], set[str]] = defaultdict(set)
        newest: dict[str, int] = {}
        rows = self.query(
            "SELECT workspace_id, epoch, session_id, writer FROM witnessed ORDER BY workspace_id, generation"
        )
        for workspace_id, epoch, session_id, writer in rows:
            assert session_id is not None, f"{writer} wrote {workspace_id}, of which nobody held the lease"
            writers[workspace_id, epoch].add(writer)
            assert int(epoch) >= newest.get(workspace_id, 0), f"{writer} wrote {workspace_id} after its successor"
            newest[workspace_id] = int(epoch)
        assert rows
        assert {key: names for key, names in writers.items() if len(names) > 1} == {}

    def close(self) -> None:
        """End every service."""
        self._stack.close()


@contextmanager
def fleet(
    directory: Path, store_url: str, vendor: Vendor, *, names: str = "abc", interval: str = "2s"
) -> Iterator[Fleet]:
    """Run services that share a store."""
    running = Fleet(directory, store_url, vendor, interval=interval)
    try:
        for name in names:
            running.start(name)
        yield running
    finally:
        running.close()
