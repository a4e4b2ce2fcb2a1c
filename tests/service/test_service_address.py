"""Whose service listens on an address already: the one of this store, or of another."""

from __future__ import annotations

import errno
import os
import socket
import threading
from pathlib import Path

import pytest

from prisma_postgres_exporter.diagnosis import StoreFacts
from prisma_postgres_exporter.service import surroundings
from prisma_postgres_exporter.service.holder import Holder, holder_of
from prisma_postgres_exporter.service.leasing import session_name
from prisma_postgres_exporter.store import Store

POSTGRES = "postgresql://somebody@127.0.0.1/ledger"
OWN = session_name(os.getpid())


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> str:
    """An address on which this process is a service of ours."""
    holder = Holder(text="us", is_ours=True, process=os.getpid())

    def refused(address: str) -> None:
        raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))

    monkeypatch.setattr(surroundings, "require_free", refused)
    monkeypatch.setattr(surroundings, "holder_of", lambda address: holder)
    return "127.0.0.1:9478"


@pytest.mark.parametrize(
    ("collectors", "is_here"), [((OWN, "other:1"), True), (("other:1",), False), ((), False), (None, None)]
)
def test_a_shared_store_knows_its_services(taken: str, collectors: tuple[str, ...] | None, is_here: bool) -> None:
    store = StoreFacts(url="x", collectors=collectors)

    assert surroundings.look_at_address(taken, POSTGRES, store).is_on_this_store is is_here


def test_a_file_knows_its_service(taken: str, tmp_path: Path) -> None:
    own, other = (f"sqlite:///{tmp_path / name}" for name in ("own.db", "other.db"))
    store = Store.open(own)
    try:
        with store.keep_others_out():
            found = [
                surroundings.look_at_address(taken, url, StoreFacts(url=url)).is_on_this_store for url in (own, other)
            ]
    finally:
        store.close()

    assert found == [True, False]
    assert not list(tmp_path.glob("other.db*"))


def test_whose_process_cannot_be_seen_is_left_open(taken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surroundings, "holder_of", lambda address: Holder(text="another of ours", is_ours=True))

    assert surroundings.look_at_address(taken, "sqlite:///x.db", StoreFacts(url="x")).is_on_this_store is None


@pytest.mark.parametrize(
    ("body", "unhealthy"),
    [(b"healthy\n", None), (b"not healthy: cannot write\x1b the store\n", "cannot write the store")],
)
def test_a_service_that_is_asked_who_it_is_says_why_it_is_not_healthy(body: bytes, unhealthy: str | None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        answering = threading.Thread(target=answer, args=(listening, body))
        answering.start()
        held = holder_of(f"127.0.0.1:{listening.getsockname()[1]}")
        answering.join()

    assert (held.is_ours, held.unhealthy) == (True, unhealthy)


def answer(listening: socket.socket, body: bytes) -> None:
    """Answer one request with a body."""
    connection, _ = listening.accept()
    with connection:
        connection.recv(4_096)
        connection.sendall(b"HTTP/1.1 503 No\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body))


def test_a_session_is_named_by_host_and_process() -> None:
    assert session_name(7) == f"{socket.gethostname()}:7"
