"""A real service behind TLS and passwords, against whoever has neither."""

from __future__ import annotations

import base64
import contextlib
import ssl
import threading
from collections.abc import Iterator

import pytest
from processes import Running, Vendor, command, vendor, wait_until
from strangers import A_REQUEST, PATIENCE_SECONDS, Stopwatch, answer, asked, connect, crowd, is_closed, status_of

from prisma_postgres_exporter.service.connections import MOST_OF_ONE_ADDRESS
from reliability import Fault, record
from web_files import TLS, WebFolder, hash_of, web_folder

LOST_NOTHING = "nothing"
COST = 10
"""As the guide tells people to make hashes: some 60 ms each."""


class Locked:
    """The service, and a scrape of it with a password that is right."""

    def __init__(self, running: Running, folder: WebFolder, world: Vendor) -> None:
        self.running, self._folder, self._world = running, folder, world
        self.url = f"https://127.0.0.1:{running.wait_for(r'https://127[.]0[.]0[.]1:([0-9]+)')}"

    def ask(self, user: tuple[str, str], source: str = "127.0.0.1") -> int | None:
        """The status of a scrape, on a connection of its own."""
        context = ssl.create_default_context(cafile=str(self._folder.path / "ca.pem"))
        login = base64.b64encode(":".join(user).encode())
        request = A_REQUEST[:-2] + b"Connection: close\r\nAuthorization: Basic " + login + b"\r\n\r\n"
        with connect(self.url, source) as plain, context.wrap_socket(plain, server_hostname="localhost") as connection:
            connection.sendall(request)
            return status_of(answer(connection))

    def holds(self, user: tuple[str, str], scrapes: int = 5) -> None:
        """Scrapes are answered, and readings go on."""
        for _ in range(scrapes):
            assert self.ask(user) == 200
        self._world.wait_for_calls("usage")


USERS = {f"user{number}": f"password {number}" for number in range(3)}


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Locked]:
    folder = web_folder(tmp_path_factory.mktemp("web"))
    folder.write(tls_server_config=TLS, basic_auth_users={name: hash_of(text, COST) for name, text in USERS.items()})
    directory = tmp_path_factory.mktemp("service")
    (directory / "config.yaml").write_text("poll: {interval: 1s, requests_per_second: 1000, windows: [24h]}\n")
    arguments = ("--config", "config.yaml", "--web-config-file", str(folder.file), "--listen", "127.0.0.1:0")
    with vendor(workspaces=1, databases=5) as world:
        environ = {"PRISMA_POSTGRES_TOKEN": ",".join(world.world.tokens), "PRISMA_POSTGRES_API_URL": world.url}
        with command("serve", *arguments, cwd=directory, environ=environ) as running:
            yield Locked(running, folder, world)


@pytest.mark.slow
def test_a_thousand_that_never_shake_hands_do_not_keep_a_scrape_out(locked: Locked) -> None:
    user = ("user0", USERS["user0"])
    with crowd(locked.url, 1_000) as silent:
        locked.holds(user, scrapes=20)
        assert sum(not is_closed(connection) for connection in silent) <= MOST_OF_ONE_ADDRESS
    clock = Stopwatch()
    locked.holds(user)
    record(
        Fault(
            part="web",
            tried="1,000 connections that begin no TLS handshake",
            times=1_000,
            seen="each scrape is answered; the silent ones make room, or are cut off after 10 s",
            lost=LOST_NOTHING,
            seconds=clock.seconds,
        )
    )


def test_what_is_no_tls_is_closed(locked: Locked) -> None:
    for request in (
        A_REQUEST,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\xff\xff" + b"x" * 1_000,
        b"\x00" * 100,
    ):
        assert status_of(asked(locked.url, request)) is None
    locked.holds(("user0", USERS["user0"]), scrapes=1)
    assert "Traceback" not in locked.running.output


@pytest.mark.slow
def test_whoever_tries_passwords_keeps_nobody_out(locked: Locked) -> None:
    """From another address with a new password each time; a user who was not seen before gets in meanwhile."""
    stop, statuses = threading.Event(), list[int | None]()

    def try_passwords(number: int) -> None:
        count = 0
        while not stop.is_set():
            count += 1
            with contextlib.suppress(OSError):
                statuses.append(locked.ask(("user0", f"{number} {count}"), "127.0.0.2"))

    strangers = [threading.Thread(target=try_passwords, args=(number,)) for number in range(12)]
    for stranger in strangers:
        stranger.start()
    try:
        wait_until(lambda: statuses.count(401) > 20, "passwords are refused", PATIENCE_SECONDS)
        for name, password in USERS.items():
            locked.holds((name, password), scrapes=3)
    finally:
        stop.set()
        for stranger in strangers:
            stranger.join(PATIENCE_SECONDS)
    assert set(statuses) == {401, 503}
    clock = Stopwatch()
    locked.holds(("user1", USERS["user1"]))
    record(
        Fault(
            part="web",
            tried="12 clients that try one password after another",
            times=12,
            seen="401 for each, 503 for those of one address that wait for too many others; users at other addresses "
            "get in, and readings go on",
            lost=LOST_NOTHING,
            seconds=clock.seconds,
        )
    )
