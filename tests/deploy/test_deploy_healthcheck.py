"""The image's health check against the service's own web server, on every kind of address and lock."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from dockerfile import ROOT
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from ports import free_port
from prisma_postgres_exporter.expose import ExporterHealth
from prisma_postgres_exporter.expose.access import Access, Gate
from prisma_postgres_exporter.service.connections import Refusals
from prisma_postgres_exporter.service.web import listening
from prisma_postgres_exporter.service.web_lock import OPEN, WebLock, read_lock
from web_files import TLS, VERIFIED, WebFolder, hash_of, web_folder

NO_PROCESS = Path(__file__).parent
"""A folder that has no process in it: the image has its own /proc, this machine others' services."""
USERS = {"alice": hash_of("of-alice")}
LOCKS: Mapping[str, Mapping[str, object]] = {
    "headers": {"http_server_config": {"headers": {"X-Frame-Options": "deny"}}},
    "TLS": {"tls_server_config": TLS},
    "old TLS": {"tls_server_config": {**TLS, "min_version": "TLS10", "max_version": "TLS11"}},
}
GUARDED: Mapping[str, Mapping[str, object]] = {
    "passwords": {"basic_auth_users": USERS},
    "passwords and TLS": {"tls_server_config": TLS, "basic_auth_users": USERS},
    "a rate limit": {"rate_limit": {"interval": "1h", "burst": 0}},
    "client certificates": {"tls_server_config": VERIFIED},
    "client certificates before TLS 1.3": {"tls_server_config": {**VERIFIED, "max_version": "TLS12"}},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> WebFolder:
    return web_folder(tmp_path_factory.mktemp("web"))


@pytest.mark.parametrize("host", ["127.0.0.1", "", "0.0.0.0", "[::]", "[::1]"])
async def test_it_asks_the_address_that_is_listened_on(host: str) -> None:
    listen = f"{host}:{free_port()}"

    assert await checked(listen) == (0, "200 Healthy")
    assert await checked(listen, status=503) == (1, "503 Healthy")


async def test_it_asks_a_unix_socket(tmp_path: Path) -> None:
    listen = f"unix:{tmp_path / 'web.sock'}"

    assert await checked(listen) == (0, "200 Healthy")
    assert await checked(listen, status=503) == (1, "503 Healthy")


async def test_it_asks_the_first_address_of_the_configuration_file_that_can_be_asked(tmp_path: Path) -> None:
    port = free_port()
    path = tmp_path / "config.yaml"
    path.write_text(f"web: {{ listen: [systemd, '127.0.0.1:{port}'] }}")

    environ = {"PRISMA_POSTGRES_CONFIG": str(path)}
    assert await checked(f"127.0.0.1:{port}", environ) == (0, "200 Healthy")


async def test_a_configuration_that_became_wrong_does_not_make_a_service_ill_that_keeps_the_old_one(
    tmp_path: Path,
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("web: { hosts: ['https://'] }")
    listen = f"127.0.0.1:{free_port()}"

    code, said = await checked(listen, {"PRISMA_POSTGRES_CONFIG": str(path), "PRISMA_POSTGRES_LISTEN": listen})

    assert (code, said.splitlines()[-1]) == (0, "200 Healthy")
    assert "is not a host's name" in said


@pytest.mark.parametrize("name", LOCKS)
async def test_behind_a_web_configuration_it_asks_all_the_same(folder: WebFolder, name: str) -> None:
    environ = {"PRISMA_POSTGRES_WEB_CONFIG_FILE": str(folder.write(**LOCKS[name]))}

    assert await checked(f"127.0.0.1:{free_port()}", environ, lock=read_lock(folder.file)) == (0, "200 Healthy")
    answer = await checked(f"127.0.0.1:{free_port()}", environ, lock=read_lock(folder.file), status=503)
    assert answer == (1, "503 Healthy")


@pytest.mark.parametrize("name", GUARDED)
async def test_a_service_that_keeps_it_out_is_there(folder: WebFolder, name: str) -> None:
    environ = {"PRISMA_POSTGRES_WEB_CONFIG_FILE": str(folder.write(**GUARDED[name]))}
    listen = f"127.0.0.1:{free_port()}"

    code, said = await checked(listen, environ, lock=read_lock(folder.file))

    assert code == 0, said


@pytest.mark.slow
@pytest.mark.parametrize("name", ["TLS", "client certificates"])
async def test_a_service_that_answers_no_handshake_is_not_healthy(folder: WebFolder, name: str) -> None:
    environ = {"PRISMA_POSTGRES_WEB_CONFIG_FILE": str(folder.write(**{**LOCKS, **GUARDED}[name]))}
    with socket.create_server(("127.0.0.1", 0)) as silent:
        listen = f"127.0.0.1:{silent.getsockname()[1]}"
        code, said = await health_check({"PRISMA_POSTGRES_LISTEN": listen, **environ})

    assert code == 1
    assert said.startswith(f"{listen} does not answer: ")


async def test_a_web_configuration_that_became_wrong_leaves_the_connection_to_be_tried(folder: WebFolder) -> None:
    good = read_lock(folder.write(tls_server_config=TLS))
    environ = {"PRISMA_POSTGRES_WEB_CONFIG_FILE": str(folder.write("tls_server_config: ["))}
    listen = f"127.0.0.1:{free_port()}"

    code, said = await checked(listen, environ, lock=good)

    assert (code, said.splitlines()[-1]) == (0, "the connection is taken")
    assert (await health_check({"PRISMA_POSTGRES_LISTEN": f"127.0.0.1:{free_port()}", **environ}))[0] == 1


@pytest.mark.parametrize("listen", ["127.0.0.1:{port}", "unix:{folder}/none.sock", "systemd"])
async def test_nobody_there_is_not_healthy(listen: str, tmp_path: Path) -> None:
    code, said = await health_check({"PRISMA_POSTGRES_LISTEN": listen.format(port=free_port(), folder=tmp_path)})

    assert code == 1
    assert "Traceback" not in said


SERVE = (sys.executable, "-m", "prisma_postgres_exporter", "serve")
DEMO = (*SERVE[:-1], "demo")


@pytest.mark.slow
@pytest.mark.parametrize(
    "start",
    [
        pytest.param((*SERVE, "--listen", "127.0.0.1:{port}", "--web.config.file", "web.yml"), id="flags"),
        pytest.param((*SERVE, "--listen=127.0.0.1:{port}", "--config=config.yaml"), id="a configuration file"),
        pytest.param(
            (
                "sh",
                "-c",
                "PRISMA_POSTGRES_LISTEN=127.0.0.1:{port} PRISMA_POSTGRES_WEB_CONFIG_FILE=web.yml "
                + " ".join(SERVE)
                + "; exit",
            ),
            id="a shell",
        ),
        pytest.param((*DEMO, "--listen", "127.0.0.1:{port}"), id="the demo"),
    ],
)
async def test_it_asks_the_service_as_it_was_started(folder: WebFolder, start: Sequence[str], tmp_path: Path) -> None:
    folder.write(tls_server_config=TLS)
    (folder.path / "config.yaml").write_text("web: {config_file: web.yml}\n")
    port, proc = free_port(), tmp_path / "proc"
    proc.mkdir()
    environ = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT / "src"),
        "PRISMA_POSTGRES_TOKEN": "x",
        "PRISMA_POSTGRES_API_URL": f"http://127.0.0.1:{free_port()}",
        "PRISMA_POSTGRES_STORE_URL": f"sqlite:///{tmp_path / 'ledger.db'}",
    }
    words = [word.replace("{port}", str(port)) for word in start]
    running = await asyncio.create_subprocess_exec(
        *words, cwd=folder.path, env=environ, stderr=asyncio.subprocess.PIPE, start_new_session=True
    )
    assert running.stderr is not None
    try:
        while b"listening" not in (line := await running.stderr.readline()):
            assert line, "it ended"
        show_session(running.pid, proc)
        assert await health_check({}, proc) == (0, "200 healthy")
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        await running.wait()
    assert (await health_check({}, proc))[0] == 1


def show_session(leader: int, proc: Path) -> None:
    """Put what /proc has of the leader's session into `proc`."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.getsid(int(process.name)) == leader:
                (proc / process.name).symlink_to(process)


async def checked(
    listen: str,
    environ: Mapping[str, str] | None = None,
    *,
    lock: WebLock = OPEN,
    status: int = 200,
) -> tuple[int, str]:
    """What the health check says of a server that answers so."""

    async def healthy(scope: Scope, receive: Receive, send: Send) -> None:
        found = scope["path"] == "/-/healthy"
        await PlainTextResponse("Healthy\n", status_code=status if found else 404)(scope, receive, send)

    app = Gate(healthy, Access(file=lambda: lock.file))
    given = {"PRISMA_POSTGRES_LISTEN": listen} if environ is None or "PRISMA_POSTGRES_CONFIG" not in environ else {}
    async with listening(app, [listen], refusals=Refusals(ExporterHealth()), lock=lambda: lock):
        return await health_check({**given, **(environ or {})})


async def health_check(environ: Mapping[str, str], proc: Path = NO_PROCESS) -> tuple[int, str]:
    """The exit code, and all that it printed; `proc` has the processes that it sees."""
    running = await asyncio.create_subprocess_exec(
        sys.executable,
        str(ROOT / "deploy" / "healthcheck.py"),
        str(proc),
        env={"PYTHONPATH": str(ROOT / "src"), "http_proxy": "http://127.0.0.1:9", **environ},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await running.communicate()
    return running.returncode or 0, output.decode().strip()
