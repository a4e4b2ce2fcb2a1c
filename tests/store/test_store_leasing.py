"""Sessions and leases on a real server: who holds a lease, who may write, and what a stalled process holds up."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from store_values import NOW, execute, known, query, update_of

from prisma_postgres_exporter.errors import LeaseLost, StoreInUse, StoreUnavailable
from prisma_postgres_exporter.model import Lease
from prisma_postgres_exporter.store import Claims, Session, Store

BOTH = Claims(workspaces=frozenset({"wksp_1", "wksp_2"}), is_complete=True)
ONE, TWO = (Session(id=name, name=f"host:{name}", claims=BOTH) for name in ("one", "two"))
FAR = 10_000_000


@pytest.fixture
def shared(postgres_url: str) -> Iterator[Store]:
    """A store on a server with two workspaces, each with a database."""
    with closing(Store.open(postgres_url)) as store:
        known(store, workspaces=2)
        yield store


def expire(url: str, session: Session) -> None:
    """Let a session be over, as the server's clock has it."""
    execute(url, f"UPDATE sessions SET expires_at_ms = expires_at_ms - {FAR} WHERE id = '{session.id}'")


def begin(store: Store, session: Session) -> dict[str, Lease]:
    store.begin_session(session)
    return dict(store.share_leases(session).held)


def write(store: Store, workspace_id: str, lease: Lease | None) -> None:
    workspace = store.load(NOW).workspaces[workspace_id]
    state = next(iter(workspace.databases.values()))
    store.record(
        update_of(state, operations_total=state.operations_total + 1),
        workspace_id=workspace_id,
        generation=workspace.generation,
        at=NOW,
        lease=lease,
    )


def test_the_first_takes_everything_and_shares_with_the_second_when_it_gives_back(shared: Store) -> None:
    assert begin(shared, ONE).keys() == {"wksp_1", "wksp_2"}
    assert begin(shared, TWO) == {}
    shares = shared.share_leases(ONE)
    assert (len(shares.held), len(shares.surplus)) == (2, 1)
    assert shared.share_leases(ONE, giving_back=shares.surplus).held.keys() == shares.held.keys() - shares.surplus
    taken = shared.share_leases(TWO)
    assert taken.held.keys() == shares.surplus
    assert [lease.epoch for lease in taken.held.values()] == [2]
    assert taken.processes == ("host:one", "host:two")
    assert sorted(taken.holders.values()) == ["host:one", "host:two"]


def test_a_session_that_is_over_cannot_be_renewed_and_its_leases_are_taken(shared: Store, postgres_url: str) -> None:
    held = begin(shared, ONE)
    assert shared.renew_session(ONE)
    expire(postgres_url, ONE)
    assert not shared.renew_session(ONE)
    assert shared.share_leases(ONE).held == {}
    taken = begin(shared, TWO)
    assert taken.keys() == held.keys()
    assert all(taken[id_].epoch == held[id_].epoch + 1 for id_ in held)


def test_a_session_of_before_the_servers_clock_was_set_back_is_over(shared: Store, postgres_url: str) -> None:
    held = begin(shared, ONE)
    execute(postgres_url, f"UPDATE sessions SET expires_at_ms = expires_at_ms + {FAR}")
    assert begin(shared, TWO).keys() == held.keys()
    assert shared.shares().processes == ("host:two",)
    # One that lives makes itself known in time.
    execute(postgres_url, f"UPDATE sessions SET expires_at_ms = expires_at_ms + {FAR}")
    assert shared.renew_session(TWO)
    assert shared.shares().processes == ("host:two",)


def test_whoever_writes_sees_what_was_committed_meanwhile_whatever_the_server_is_set_to(postgres_url: str) -> None:
    name = postgres_url.rpartition("/")[2]
    execute(postgres_url, f"ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'")
    with closing(Store.open(postgres_url)) as store, store._writing() as connection:
        assert connection.exec_driver_sql("SHOW transaction_isolation").scalar_one() == "read committed"


def test_only_the_newest_epoch_writes(shared: Store, postgres_url: str) -> None:
    held = begin(shared, ONE)
    write(shared, "wksp_1", held["wksp_1"])
    expire(postgres_url, ONE)
    # Over, and nobody took it: it is still the newest.
    write(shared, "wksp_1", held["wksp_1"])
    taken = begin(shared, TWO)
    with pytest.raises(LeaseLost):
        write(shared, "wksp_1", held["wksp_1"])
    write(shared, "wksp_1", taken["wksp_1"])
    shared.end_session(TWO)
    with pytest.raises(LeaseLost):
        write(shared, "wksp_1", taken["wksp_1"])
    write(shared, "wksp_1", None)


def test_a_lease_is_not_taken_in_the_middle_of_its_holders_write_and_is_renewed_in_it(
    shared: Store, postgres_url: str
) -> None:
    held = begin(shared, ONE)
    with psycopg.connect(postgres_url) as writing:
        # What a write takes first.
        writing.execute("SELECT epoch FROM leases WHERE workspace_id = 'wksp_1' FOR KEY SHARE")
        assert shared.renew_session(ONE)
        expire(postgres_url, ONE)
        assert begin(shared, TWO).keys() == {"wksp_2"}
        writing.commit()
    assert shared.share_leases(TWO).held.keys() == held.keys()


def test_the_server_ends_a_write_whose_process_was_stopped(shared: Store, postgres_url: str) -> None:
    begin(shared, ONE)
    with pytest.raises(StoreUnavailable, match="idle-in-transaction timeout; this process was stopped"):
        stall(shared, postgres_url)


def stall(store: Store, url: str) -> None:
    """Begin to write, and do nothing more until the server has ended it."""
    with store._writing() as stopped:
        driver = stopped.connection.driver_connection
        assert isinstance(driver, psycopg.Connection)
        pid = driver.info.backend_pid
        ends_at = time.monotonic() + 30
        while query(url, f"SELECT 1 FROM pg_stat_activity WHERE pid = {pid}"):
            assert time.monotonic() < ends_at, "the transaction goes on"
            time.sleep(0.1)


def test_two_that_share_at_once_take_nothing_twice(shared: Store, postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as sharing:
        sharing.execute("SELECT pg_advisory_xact_lock(%s)", [0x7070657A])
        assert begin(shared, ONE) == {}
        sharing.rollback()
    assert len(shared.share_leases(ONE).held) == 2


def test_a_file_is_for_one_service_and_says_whose_it_is(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    with closing(Store.open(url)) as first, closing(Store.open(url)) as second:
        assert not first.is_shared
        with first.keep_others_out():
            with pytest.raises(StoreInUse, match=r"in use by process \d+ on .*Postgres"), second.keep_others_out():
                pass
            # Commands write beside it.
            known(second)
        with second.keep_others_out():
            pass


def test_a_file_is_one_by_whatever_link_it_is_reached(tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "ledger.db")
    with (
        closing(Store.open(f"sqlite:///{tmp_path / 'ledger.db'}")) as first,
        closing(Store.open(f"sqlite:///{tmp_path / 'link.db'}")) as second,
        first.keep_others_out(),
        pytest.raises(StoreInUse),
        second.keep_others_out(),
    ):
        pass


def test_a_lock_that_cannot_be_had_is_told_with_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def over_a_network(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    with closing(Store.open(f"sqlite:///{tmp_path / 'ledger.db'}")) as store:
        monkeypatch.setattr(fcntl, "flock", over_a_network)
        with (
            pytest.raises(StoreUnavailable, match=r"cannot lock .*ledger\.db\.lock: no locks available; put it on"),
            store.keep_others_out(),
        ):
            pass
        (tmp_path / "ledger.db.lock").unlink()
        (tmp_path / "ledger.db.lock").mkdir()
        with pytest.raises(StoreUnavailable, match=r"ledger\.db\.lock: is a directory"), store.keep_others_out():
            pass


def test_what_the_service_itself_fails_at_is_no_fault_of_the_lock(tmp_path: Path) -> None:
    with (
        closing(Store.open(f"sqlite:///{tmp_path / 'ledger.db'}")) as store,
        pytest.raises(PermissionError),
        store.keep_others_out(),
    ):
        raise PermissionError(errno.EACCES, "its own")


def test_a_server_that_is_away_is_told_as_such(shared: Store, postgres_url: str) -> None:
    begin(shared, ONE)
    execute(postgres_url, "ALTER TABLE sessions RENAME TO sessions_elsewhere")
    with pytest.raises(StoreUnavailable):
        shared.renew_session(ONE)
    execute(postgres_url, "ALTER TABLE sessions_elsewhere RENAME TO sessions")
    assert shared.renew_session(ONE)
