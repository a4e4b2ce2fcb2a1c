"""What is read from outside, each as a function of bytes: it returns, or fails by an error that is told in words."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import FrameType
from urllib.parse import unquote

from pydantic import SecretStr
from starlette.responses import PlainTextResponse
from starlette.types import Message

from prisma_postgres_exporter.api import OPERATIONS, Usage
from prisma_postgres_exporter.api.decode import Answer, Reading, concealed
from prisma_postgres_exporter.config import SYSTEMD, UNIX, WebFile, host_and_port, load_config, read_tokens
from prisma_postgres_exporter.config.address import LONGEST_SOCKET_PATH_BYTES
from prisma_postgres_exporter.errors import ApiError, ConfigurationError
from prisma_postgres_exporter.expose.access import Access, Gate
from prisma_postgres_exporter.ledger.plan import PlannedRead, Rank
from prisma_postgres_exporter.model import Window, WindowKind
from prisma_postgres_exporter.rounds.interpret import interpret
from prisma_postgres_exporter.service.web_lock import WebLock, read_lock
from prisma_postgres_exporter.store.urls import parse_url

TOKEN = "t0ken-of-the-fuzz"
NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
HANGS_AFTER_SECONDS = 30
"""Nothing that is read takes a hundredth of it."""

A_HASH = b"$2b$04$n2y0TYDc0pYNq0oIeFMVDOr1TVsU4yYzTcmzPDxqdE9gYbWfZQS5e"
LONGEST_MESSAGE = 20_000
STATUSES = (200, 201, 204, 301, 400, 401, 403, 404, 408, 422, 429, 500, 503, 599, 999)
OPERATION_NAMES = tuple(sorted(OPERATIONS))


@dataclass(frozen=True, slots=True)
class Target:
    """What takes bytes, good examples to begin with, and words that mean something in them."""

    check: Callable[[bytes], None]
    seeds: tuple[bytes, ...]
    words: tuple[bytes, ...]


def an_answer(given: bytes) -> None:
    """An answer of the vendor: the first bytes choose operation, status and headers, the rest is the body."""
    choice, body = given[:3].ljust(3, b"\0"), given[3:]
    operation = OPERATIONS[OPERATION_NAMES[choice[0] % len(OPERATION_NAMES)]]
    header = body[:40].decode("latin-1")
    headers: Mapping[str, str] = (
        {} if choice[2] % 2 else {"retry-after": header, "date": header, "age": header, "x-request-id": header}
    )
    conceal = partial(concealed, tokens=(SecretStr(TOKEN),))
    reading = Reading(
        operation=operation.name,
        endpoint=operation.endpoint,
        shown=conceal(operation.path),
        success=operation.success,
        shape=operation.shape,
        now=NOW,
        conceal=conceal,
        is_shown_once=operation.is_shown_once,
    )
    try:
        result = reading.result(Answer(status=STATUSES[choice[1] % len(STATUSES)], headers=headers, body=body))
    except ApiError as error:
        assert_readable([str(error), error.hint or "", error.request_id or "", error.code or ""])
        return
    if isinstance(result, Usage):
        window = Window(kind=WindowKind.DAY, name="day", start_at=NOW.replace(hour=0), end_at=NOW)
        read = PlannedRead(
            database_id="db_1",
            workspace_id="wksp_1",
            windows=(window,),
            created_at=NOW - timedelta(days=30),
            due_at=NOW,
            rank=Rank.DAY,
        )
        assert len(list(interpret(read, result, read_at=NOW))) == 1


def a_configuration(given: bytes) -> None:
    """A configuration file."""
    with written("config.yaml", given) as path:
        read_configuration(path)


def prices(given: bytes) -> None:
    """A file of prices."""
    with written("prices.yaml", given) as path:
        config = path.with_name("config.yaml")
        config.write_text("cost: {prices_file: prices.yaml}\ncredentials: [{token: x}]\n")
        read_configuration(config)


def a_token_file(given: bytes) -> None:
    """A file with a token: no message shows what is in it."""
    with written("token", given) as path:
        config = load_config(environ={"PRISMA_POSTGRES_TOKEN_FILE": str(path)})
        tokens = read_tokens(config)
        assert len(tokens.credentials) + len(tokens.problems) == 1
        told = [str(problem) for problem in tokens.problems]
        assert_readable(told)
        shown = given.decode("utf-8", "replace").strip()
        assert len(shown) < 8 or not any(shown in text for text in told)


def a_web_configuration(given: bytes) -> None:
    """A web configuration file of exporter-toolkit's: one that is taken answers a request, by words or by a refusal."""
    with written("web.yml", given) as path:
        lock = _lock_or_problems(path)
    if not isinstance(lock, WebLock):
        assert lock
        assert_readable(lock)
        assert not [line for line in lock if A_HASH.decode() in line]
        return
    assert_readable([lock.access, *lock.notes])
    answers = asyncio.run(_answers(lock.file))
    assert answers[0]["status"] in {200, 401, 429}
    for name, value in answers[0]["headers"]:
        assert b"\n" not in name + value
        assert b"\r" not in name + value


def _lock_or_problems(path: Path) -> WebLock | Sequence[str]:
    try:
        return read_lock(path)
    except ConfigurationError as error:
        return error.problems


async def _answers(file: WebFile) -> list[Message]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    gate = Gate(PlainTextResponse("Healthy\n"), Access(file=lambda: file))
    await gate(
        {"type": "http", "method": "GET", "path": "/", "headers": [(b"authorization", b"Basic x")]}, receive, send
    )
    return sent


TARGETS: Mapping[str, Target] = {
    "answers": Target(
        an_answer,
        tuple(
            bytes((OPERATION_NAMES.index(name), 0, 1)) + body
            for name, body in (
                (
                    "usage",
                    (
                        b'{"period":{"start":"2026-11-27T00:00:00.000Z","end":"2026-11-27T12:00:00.000Z"},"metrics":'
                        b'{"operations":{"used":12,"unit":"ops"},"storage":{"used":1.5,"unit":"GiB"}},'
                        b'"generatedAt":"2026-11-27T11:59:00Z"}'
                    ),
                ),
                (
                    "databases",
                    (
                        b'{"data":[{"id":"db_1","type":"database","name":"x","status":"ready","isDefault":true,'
                        b'"createdAt":"2026-01-01T00:00:00Z","region":{"id":"eu-west-3","name":"Paris"},'
                        b'"project":{"id":"proj_1","name":"p"}}],"pagination":{"nextCursor":"c","hasMore":true}}'
                    ),
                ),
                ("projects", b"[" * 100_000),
                ("me", b'{"data":{"workspace":{"id":"wksp_1","name":"w"}}}'),
                ("subscription", b'{"data":{"planName":"Pro","usageBlocked":false}}'),
                ("backups", b'{"data":[],"meta":{"backupRetentionDays":7},"pagination":{"hasMore":false}}'),
                (
                    "create_database",
                    b'{"data":{"id":"db_1","connectionString":"postgres://u:p@h/x","apiKeys":[{"value":"secret"}]}}',
                ),
            )
        ),
        (
            *(b'"', b"{}", b"[]", b"null", b"-1", b"1e999", b"NaN", b"2e53", b'"\\ud800"', b"\xff", b"\x00", b"[" * 50),
            *(b'"error":{"code":"planLimitReached","message":"x","hint":"y"}', b'"9999-12-31T23:59:59.999Z"', b","),
            *(b'"0001-01-01T00:00:00+23:59"', b"postgres://u:p@h/x", b"0" * 5_000, b"\xe2\x80\xa8"),
        ),
    ),
    "configurations": Target(
        a_configuration,
        (
            b"poll: {interval: 5m, windows: [24h, 7d], requests_per_second: 10}\ncredentials: [{token_env: X}]\n",
            b"web: {listen: ':9478', hosts: [a.example.com]}\nstore: {url: 'postgresql://u:p@h:5432/x'}\n",
            b'web: {listen: ["a:1", "unix:/tmp/a"]}\nstore: {url: "sqlite:////tmp/a"}\n',
            b"cost: {budgets: [{name: a, monthly_usd: 100, thresholds: [0.5, 1], projects: ['^x']}]}\n",
            b"cost: {workspaces: [{workspace: w, plan: pro, spend_limit_usd: 5, tax_percent: 19}]}\n",
            b"push:\n  interval: 1m\n  otlp: {endpoint: 'https://c.example.com', headers: [{name: k, value: v}]}\n",
            b"discovery: {include: {databases: ['a.*'], regions: [eu]}, exclude: {projects: ['b']}}\n",
        ),
        (
            *(
                b"&a ",
                b"*a",
                b"<<: ",
                b"!!python/object:os.system ",
                b"!!binary ",
                b"!x ",
                b"---\n",
                b"? ",
                b"|\n",
                b"%",
            ),
            *(b"[", b"{", b"\t", b"\x00", b"\xff\xfe", b"1e999", b".nan", b"0x7f", b"0o7", b"1_0", b"2026-01-01", b"~"),
            *(b"\\0", b"\\ud800", b"%00", b":99999", b"?PASSWORD=x", b"?timeout=x"),
            *(b"postgresql://u:p@[::bad/x", b"9" * 400, b"((a+)+)$", b"(?", b"- " * 100, b"yes", b"\xc2\x85", b"''"),
        ),
    ),
    "prices": Target(
        prices,
        (
            (Path(load_config.__code__.co_filename).parent / "prices.yaml").read_bytes(),
            b"prices:\n  - {plan: pro, version: '1', valid_from: 2026-01-01, fee_usd: 10, operations: []}\n",
        ),
        (
            b"-1",
            b"1e999",
            b".inf",
            b".nan",
            b"0",
            b"2026-13-01",
            b"9999-12-31",
            b"[]",
            b"{}",
            b"null",
            b"9" * 400,
            b"&a ",
        ),
    ),
    "web_configurations": Target(
        a_web_configuration,
        (
            b"",
            b"---\n",
            b"tls_server_config: {cert: '-----BEGIN CERTIFICATE-----', key: x, client_auth_type: NoClientCert}\n",
            (
                b"tls_server_config: {min_version: TLS12, max_version: TLS13, client_allowed_sans: [a], "
                b"curve_preferences: [X25519], cipher_suites: [TLS_AES_128_GCM_SHA256]}\n"
            ),
            b"tls_server_config: {prefer_server_cipher_suites: yes}\n",
            b"http_server_config:\n  http2: false\n  headers: {X-Frame-Options: deny, X-XSS-Protection: 1}\n",
            b"http_server_config: {headers: {Content-Security-Policy: \"default-src 'self'\"}}\n",
            b"basic_auth_users:\n  alice: " + A_HASH + b"\n",
            b"rate_limit: {interval: 1m0.5s, burst: 20}\n",
        ),
        (
            *(
                b"~",
                b"null",
                b"y",
                b"'true'",
                b"0x7f",
                b"1_0",
                b"9" * 400,
                b".inf",
                b"1e999",
                b"9999999h",
                b"-1",
                b"''",
            ),
            *(
                b"&a ",
                b"*a",
                b"<<: ",
                b"!!binary ",
                b"!x ",
                b"---\n",
                b"? ",
                b"%YAML 1.2\n",
                b"[",
                b"{",
                b"\t",
                b"\x00",
            ),
            *(
                b'"\\r\\n"',
                b'"\\0"',
                b"\xc3\xbc",
                b"\xff",
                b"cert_file: /",
                b"cert_file: .",
                b"TLS10",
                b"$2b$99$",
                b"...",
            ),
        ),
    ),
    "token_files": Target(
        a_token_file,
        (b"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ3b3Jrc3BhY2U6eCIsImV4cCI6MTc5NTc5ODc5Nn0.c2ln\n", f"{TOKEN}\n".encode()),
        (b"\n", b"\r", b" ", b",", b"\x00", b"\xff", b"\xef\xbb\xbf", b"Bearer ", b"=", b".", b"{", b"A" * 70_000),
    ),
}


def read_configuration(path: Path) -> None:
    try:
        config = load_config(config_path=str(path), environ={})
        told = config.warnings
        # What is taken can be given to the system and to the drivers, whatever they say of it then.
        for address in config.web.listen:
            if address.startswith(UNIX):
                os.path.exists(address.removeprefix(UNIX))
                assert len(os.fsencode(address.removeprefix(UNIX))) <= LONGEST_SOCKET_PATH_BYTES
            elif address != SYSTEMD:
                assert "\0" not in host_and_port(address)[0].encode().decode()
        parse_url(config.store.url).render_as_string(hide_password=False).encode()
        assert "\0" not in unquote(config.store.url)
    except ConfigurationError as error:
        told = error.problems or ("",)
    assert "" not in told
    assert_readable(told)


def assert_readable(lines: Iterable[str]) -> None:
    """What is told is text that a terminal can show, and no book."""
    text = "\n".join(lines)
    assert "Traceback" not in text
    assert len(text) < LONGEST_MESSAGE
    assert not [sign for sign in text if sign != "\n" and (sign < " " or 0x7F <= ord(sign) < 0xA0)], repr(text)
    text.encode()


@contextlib.contextmanager
def written(name: str, content: bytes) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / name
        path.write_bytes(content)
        path.chmod(0o600)
        yield path


@contextlib.contextmanager
def no_hang() -> Iterator[None]:
    """End by an error what takes for ever."""

    def fail(_number: int, _frame: FrameType | None) -> None:
        raise AssertionError(f"not done after {HANGS_AFTER_SECONDS} s")

    before = signal.signal(signal.SIGALRM, fail)
    signal.setitimer(signal.ITIMER_REAL, HANGS_AFTER_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
