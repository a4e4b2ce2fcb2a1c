"""A vendor that cannot be reached or trusted, and a clock that is set: all stays as it was, and nothing is lost."""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import trustme
from processes import assert_no_counter_fell, wait_until
from scene import OWN, UP, Scene, scene

from faked_clock import FakedClock
from reliability import Fault, record

pytestmark = pytest.mark.slow

CORRECTED_SECONDS = 15

LOOK_UPS = """
import os, socket

known = socket.getaddrinfo

def getaddrinfo(*arguments, **options):
    if os.path.exists(os.environ["NO_LOOK_UPS"]):
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    return known(*arguments, **options)

socket.getaddrinfo = getaddrinfo
"""
"""What an interpreter imports at its start."""


def trusted(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return context


def test_refused_connections_are_told_of_and_made_up_for(tmp_path: Path) -> None:
    @contextmanager
    def refused(seen: Scene) -> Iterator[None]:
        seen.front.refuse()
        yield
        seen.front.listen()

    with scene(tmp_path) as seen:
        everything_fails(seen, refused(seen), tried="connections are refused", reason="unreachable")


def test_names_that_are_not_resolved_are_told_of_and_made_up_for(tmp_path: Path) -> None:
    authority, marker = trustme.CA(), tmp_path / "no-look-ups"
    (tmp_path / "customised").mkdir()
    (tmp_path / "customised" / "sitecustomize.py").write_text(LOOK_UPS)
    environ = environment_of(authority, tmp_path) | {
        "NO_LOOK_UPS": str(marker),
        "PYTHONPATH": os.pathsep.join((str(tmp_path / "customised"), os.environ.get("PYTHONPATH", ""))),
    }

    @contextmanager
    def unresolved(seen: Scene) -> Iterator[None]:
        marker.touch()

        def looked_up() -> bool:
            # A kept connection, or an address that is remembered for some seconds, needs no look-up.
            seen.front.drop()
            return "Temporary failure" in seen.service.output

        wait_until(looked_up, "a look-up that fails")
        yield
        marker.unlink()

    with scene(tmp_path, tls=trusted(authority), environ=environ, as_command_line=True) as seen:
        everything_fails(seen, unresolved(seen), tried="DNS does not know the API's name", reason="unreachable")


def test_a_certificate_that_does_not_verify_is_told_of_and_gets_no_token(tmp_path: Path) -> None:
    authority = trustme.CA()

    @contextmanager
    def distrusted(seen: Scene) -> Iterator[None]:
        known, other = seen.front.tls, trusted(trustme.CA())
        seen.front.tls = other
        # What was under way over a connection that could be trusted may still come.
        seen.front.drop()
        yield
        assert [request.path for request in seen.front.requests if request.tls is other] == []
        seen.front.tls = known

    with scene(tmp_path, tls=trusted(authority), environ=environment_of(authority, tmp_path)) as seen:
        tried = "a TLS certificate that does not verify"
        everything_fails(seen, distrusted(seen), tried=tried, reason="tls", said="; no request is sent")


@pytest.mark.parametrize(
    ("tried", "seconds"),
    [("this machine's clock jumps an hour ahead", 3600), ("this machine's clock jumps an hour back", -3600)],
)
def test_a_clock_that_jumps_stores_nothing_until_it_is_right(tmp_path: Path, tried: str, seconds: int) -> None:
    with clocked(tmp_path) as (seen, put):
        with seen.clock.held() as held_at:
            before = seen.read_until(held_at)
        put(seconds)
        note = f"this machine's clock is 1:00:00 {'ahead of' if seconds > 0 else 'behind'} the Management API's"
        wait_until(lambda: note in seen.page, "the note on the page")
        wait_until(lambda: "the clock was set" in seen.service.output, "the line in the log")
        samples = seen.service.scrape_when(
            lambda samples: abs((samples.value(f"{OWN}clock_skew_seconds") or 0) - seconds) < 60, "the skew"
        )
        assert seen.service.get("/-/healthy").status == 503
        assert_no_counter_fell(before, samples)
        put(0)
        well_after = seen.well_again()
        wait_until(lambda: seen.service.get("/-/healthy").status == 200, "it is healthy")
        seen.assert_nothing_was_lost(before, since=held_at)
        seen.assert_store_is_sound()
    said = "how far it is off, on the page, in `clock_skew_seconds` and `/-/healthy` (503); nothing is stored meanwhile"
    record(Fault(part="vendor", tried=tried, times=1, seen=said, lost="nothing", seconds=well_after))


def test_a_clock_that_is_corrected_by_some_seconds_goes_on_when_they_are_over(tmp_path: Path) -> None:
    with clocked(tmp_path) as (seen, put):
        ids = seen.struck | seen.well
        put(CORRECTED_SECONDS)
        seen.read_after(ids, time.time() + CORRECTED_SECONDS - 1)
        put(0)
        corrected_at, since = time.time(), time.monotonic()
        assert {seen.service.scrape().value(UP, database_id=id_) for id_ in ids} == {1}
        seen.read_after(ids, corrected_at + CORRECTED_SECONDS)
        well_after = time.monotonic() - since
        seen.assert_nothing_was_lost()
        seen.assert_store_is_sound()
    record(
        Fault(
            part="vendor",
            tried=f"this machine's clock was {CORRECTED_SECONDS} s ahead, and is corrected",
            times=1,
            seen="numbers stand until the time that they were dated with is over (up to five minutes)",
            lost="nothing",
            seconds=well_after,
        )
    )


def everything_fails(
    seen: Scene, fault: AbstractContextManager[None], *, tried: str, reason: str, said: str = ""
) -> None:
    """No workspace is answered: each says why, what was known stays, and afterwards nothing is missing."""
    ids = seen.struck | seen.well
    with seen.clock.held() as held_at:
        before = seen.read_until(held_at)
    failed, logged = seen.failures(before).get(reason, 0), len(seen.service.output)
    with fault:
        down = seen.service.scrape_when(
            lambda samples: seen.is_down(samples, ids, reason, failed), "everything is down"
        )
        seen.wait_until_told(logged, reason)
        assert_no_counter_fell(before, down)
        assert [seen.service.get(path).status for path in ("/-/healthy", "/-/ready")] == [200, 200]
    seconds = seen.well_again()
    assert seen.service.output[logged:].count("database failing") == len(ids)
    seen.assert_nothing_was_lost(before, since=held_at)
    seen.assert_store_is_sound()
    seen.assert_no_secret()
    shown = f"`{reason}`{said}"
    record(Fault(part="vendor", tried=tried, times=1, seen=shown, lost="nothing", seconds=seconds))


@contextmanager
def clocked(directory: Path) -> Iterator[tuple[Scene, Callable[[int], None]]]:
    """A service whose clock can be put ahead by so many seconds, and the call that does it."""
    clock = FakedClock(directory)
    with scene(directory, environ=clock.environ, as_command_line=True) as seen:
        yield seen, clock.put


def environment_of(authority: trustme.CA, directory: Path) -> dict[str, str]:
    authority.cert_pem.write_to_path(str(directory / "authority.pem"))
    return {"SSL_CERT_FILE": str(directory / "authority.pem")}
