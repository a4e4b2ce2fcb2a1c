"""Whatever bytes come to the port of a running service: an answer of HTTP or an end, and scrapes go on."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from processes import Exporter, exporter, vendor, write_config
from targets import HANGS_AFTER_SECONDS
from test_fuzz_bytes import EXAMPLES, spoiled

pytestmark = pytest.mark.slow

SEEDS = (
    b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: application/openmetrics-text; version=1.0.0;q=0.5\r\n\r\n",
    b"GET /metrics?workspace=wksp_1&workspace=x HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip;q=0\r\n\r\n",
    b"GET /api/v1/usage?from=2026-11-01&to=2026-11-27&by=month&group=project HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /api/v1/databases?cursor=x&limit=2&sort=cost HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /?q=shop&page=2 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /databases/db_1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"POST /-/reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nabcde",
    b"POST /-/reload HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    b"GET /sd HTTP/1.1\r\nHost: localhost\r\n\r\nHEAD /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
)
WORDS = (
    *(
        b"\r\n",
        b"\n",
        b"\r",
        b" ",
        b"\t",
        b"\x00",
        b"\xff",
        b"%",
        b"%00",
        b"%ff",
        b"%2e%2e/",
        b"../",
        b"//",
        b"#",
        b";",
    ),
    *(
        b"GET ",
        b"OPTIONS ",
        b"CONNECT ",
        b"HTTP/1.0",
        b"HTTP/9.9",
        b"Host: [::1",
        b"Host: a b\r\n",
        b"Origin: null\r\n",
    ),
    *(b"Content-Length: 99\r\n", b"Content-Length: -1\r\n", b"Expect: 100-continue\r\n", b"Upgrade: websocket\r\n"),
    *(b"9" * 400, b"from=0000-00-00&", b"limit=1e9&", b"workspace=" + b"a" * 300, b"q=%F0%28%8C%28", b"X" * 9_000),
)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exporter]:
    directory = tmp_path_factory.mktemp("web")
    config = write_config(directory / "config.yaml")
    environ = {"PRISMA_POSTGRES_TOKEN": "simulator-token-1"}
    with vendor(workspaces=1, databases=3) as upstream:
        options = ("--config", str(config), "--api-url", upstream.url, "--store-url", f"sqlite:///{directory}/x.db")
        with exporter("serve", *options, cwd=directory, environ=environ) as running:
            running.scrape_when(lambda samples: samples.named("prisma_postgres_database_up"), "it has read")
            yield running
            assert "Traceback" not in running.output


@pytest.mark.parametrize("seed", [*SEEDS], ids=lambda seed: seed[:24].decode("latin-1").strip())
def test_what_the_others_are_made_of_is_answered(service: Exporter, seed: bytes) -> None:
    assert_answered(service, seed)


def test_whatever_comes_to_the_port_is_answered_or_ended(service: Exporter) -> None:
    @settings(max_examples=3 * EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
    @given(spoiled(SEEDS, WORDS), st.booleans())
    def check(sent: bytes, in_two: bool) -> None:
        assert_answered(service, sent, in_two=in_two)

    check()


def assert_answered(service: Exporter, sent: bytes, *, in_two: bool = False) -> None:
    answers = exchanged(service, sent, in_two=in_two)
    # A fault of ours would be a 500.
    statuses = {int(status) for status in re.findall(rb"^HTTP/1\.[01] (\d{3})", answers, re.M)}
    assert not answers or statuses, answers[:200]
    assert not {status for status in statuses if status >= 500 and status != 503}, answers[:300]
    assert service.get("/-/healthy").status == 200


def exchanged(service: Exporter, sent: bytes, *, in_two: bool) -> bytes:
    """Send these bytes and no more; what comes back until the end."""
    host, _, port = service.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=HANGS_AFTER_SECONDS) as connection:
        half = len(sent) // 2 if in_two else len(sent)
        received = b""
        try:
            connection.sendall(sent[:half])
            connection.sendall(sent[half:])
            connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(65_536):
                received += part
        except TimeoutError:
            raise
        except OSError:
            return received  # it had enough, and reset the connection
        return received
