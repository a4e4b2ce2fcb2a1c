"""A service behind a web configuration file, asked by curl, openssl and a real Prometheus; sockets of other kinds."""

from __future__ import annotations

import json
import re
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from expose_views import needs_program
from processes import (
    EXPORTER,
    Running,
    Vendor,
    command,
    fetch,
    program,
    run,
    vendor,
    wait_until,
    write_config,
)

from ports import free_port
from web_files import VERIFIED, WebFolder, hash_of, web_folder

ADMIN, ALICE, BOB = ("admin", "see everything"), ("alice", "see one"), ("bob", "see the other")
USERS = {name: hash_of(password) for name, password in (ADMIN, ALICE, BOB)}


@pytest.fixture(scope="module")
def world() -> Iterator[Vendor]:
    with vendor(workspaces=2, databases=8) as running:
        yield running


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> WebFolder:
    folder = web_folder(tmp_path_factory.mktemp("web"))
    folder.write(tls_server_config=VERIFIED, basic_auth_users=USERS)
    return folder


def environ_of(world: Vendor) -> dict[str, str]:
    return {"PRISMA_POSTGRES_TOKEN": ",".join(world.world.tokens), "PRISMA_POSTGRES_API_URL": world.url}


class Locked:
    """A service that speaks TLS to whoever has a client certificate and a password."""

    def __init__(self, running: Running, folder: WebFolder, world: Vendor) -> None:
        self.running, self.folder, self.world = running, folder, world
        self.port = int(running.wait_for(r"https://127\.0\.0\.1:(\d+)"))
        self.url = f"https://localhost:{self.port}"

    def curl(
        self, path: str, *options: str, user: tuple[str, str] | None = ADMIN, cert: str | None = "client.pem"
    ) -> str:
        """What curl gives, with the status on a line of its own at the end."""
        arguments = ["curl", "-sS", "--cacert", "ca.pem", "-w", "\\n%{http_code}", "--max-time", "60", *options]
        arguments += ["--user", ":".join(user)] if user else []
        arguments += ["--cert", cert] if cert else []
        done = subprocess.run(
            [*arguments, self.url + path], cwd=self.folder.path, capture_output=True, text=True, check=False
        )
        return done.stdout if done.returncode == 0 else f"{done.stderr}\n{done.returncode}"

    def status(
        self, path: str, *options: str, user: tuple[str, str] | None = ADMIN, cert: str | None = "client.pem"
    ) -> int:
        """The status, or curl's exit code where there is none."""
        return int(self.curl(path, *options, user=user, cert=cert).rpartition("\n")[2])

    def json(self, path: str, user: tuple[str, str]) -> dict[str, list[dict[str, object]]]:
        """A document of the JSON API."""
        found: dict[str, list[dict[str, object]]] = json.loads(self.curl(path, user=user).rpartition("\n")[0])
        return found

    def openssl(self, *options: str) -> str:
        """What `openssl s_client` says of a handshake."""
        arguments = ["openssl", "s_client", "-connect", f"localhost:{self.port}", "-CAfile", "ca.pem", *options]
        done = subprocess.run(
            arguments,
            cwd=self.folder.path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory, folder: WebFolder, world: Vendor) -> Iterator[Locked]:
    directory = tmp_path_factory.mktemp("service")
    first, second = (workspace.id for workspace in world.world.workspaces(world.simulator.clock()))
    config = write_config(
        directory / "config.yaml", web={"users": {"alice": [first], "bob": [second]}, "config_file": "x"}
    )
    arguments = ("--config", str(config), "--web.config.file", str(folder.file), "--listen", "127.0.0.1:0")
    with command("serve", *arguments, cwd=directory, environ=environ_of(world)) as running:
        found = Locked(running, folder, world)

        def shows_every_database() -> bool:
            text = found.curl("/metrics")
            assert running.is_alive, running.output
            return text.count("\nprisma_postgres_database_operations_total{") == 8

        wait_until(shows_every_database, "every database is shown")
        yield found


CURL_HANDSHAKE_FAILED = {35, 52, 56, 58}
"""Which of them depends on whether the refusal comes before or after curl has sent its request (TLS 1.3)."""


@needs_program("curl")
def test_curl_gets_in_with_certificate_and_password_alone(locked: Locked) -> None:
    assert locked.status("/-/ready") == 200
    assert locked.status("/-/ready", user=None) == 401
    assert locked.status("/-/ready", user=("admin", "wrong")) == 401
    assert locked.status("/-/ready", cert=None) in CURL_HANDSHAKE_FAILED
    assert locked.status("/-/ready", cert="stranger.pem") in CURL_HANDSHAKE_FAILED
    assert locked.status("/-/ready", "--tls-max", "1.1") == 35
    # It would rather speak HTTP/2, and is answered all the same.
    assert locked.status("/-/ready", "--http2") == 200


@needs_program("openssl")
def test_openssl_sees_what_the_file_says(locked: Locked) -> None:
    cert = ("-cert", "client.pem", "-key", "client.pem")
    said = locked.openssl(*cert)
    assert "Verify return code: 0 (ok)" in said
    assert "TLSv1.3" in said
    assert "TLSv1.2" in locked.openssl(*cert, "-tls1_2")
    assert "Cipher is (NONE)" in locked.openssl(*cert, "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0")


@pytest.mark.slow
@needs_program("prometheus")
def test_prometheus_scrapes_with_a_client_certificate_and_a_password(locked: Locked, tmp_path: Path) -> None:
    tls = {"ca_file": str(locked.folder.path / "ca.pem"), "server_name": "localhost"}
    client = {"cert_file": str(locked.folder.path / "client.pem"), "key_file": str(locked.folder.path / "client.pem")}
    login = {"basic_auth": {"username": ALICE[0], "password": ALICE[1]}}
    target = {"scheme": "https", "static_configs": [{"targets": [f"localhost:{locked.port}"]}]}
    jobs: dict[str, dict[str, object]] = {
        "both": {"tls_config": tls | client, **login},
        "http2": {"tls_config": tls | client, "enable_http2": True, **login},
        "no certificate": {"tls_config": tls, **login},
        "no password": {"tls_config": tls | client},
    }
    config = tmp_path / "prometheus.yml"
    scrapes = [{"job_name": name, **target, **options} for name, options in jobs.items()]
    config.write_text(yaml.safe_dump({"global": {"scrape_interval": "1s"}, "scrape_configs": scrapes}))
    url = f"http://127.0.0.1:{free_port()}"
    options = (f"--config.file={config}", f"--storage.tsdb.path={tmp_path}", f"--web.listen-address={url[7:]}")
    with program("prometheus", *options, cwd=tmp_path) as running:

        def ups() -> dict[str, str] | None:
            assert running.is_alive, running.output
            try:
                answer = json.loads(fetch(f"{url}/api/v1/query?query=up").text)
            except (OSError, ValueError):
                return None
            found = {row["metric"]["job"]: row["value"][1] for row in answer["data"]["result"]}
            return found if len(found) == len(jobs) and found["both"] == "1" else None

        assert wait_until(ups, "every job was scraped") == {
            "both": "1",
            "http2": "1",
            "no certificate": "0",
            "no password": "0",
        }


ROWS = ("/api/v1/workspaces", "/api/v1/databases", "/api/v1/usage?group=database", "/api/v1/cost?by=database")


@needs_program("curl")
@pytest.mark.parametrize("path", ROWS)
def test_the_rows_of_all_users_together_are_those_of_whoever_sees_everything(locked: Locked, path: str) -> None:
    whole = locked.json(path, ADMIN)["data"]
    parts = [locked.json(path, user)["data"] for user in (ALICE, BOB)]
    assert all(parts)
    assert sorted(map(_steady, parts[0] + parts[1])) == sorted(map(_steady, whole))


@pytest.mark.slow
@needs_program("curl")
def test_no_page_tells_a_user_of_others_workspaces(locked: Locked) -> None:
    first, second = locked.world.world.workspaces(locked.world.simulator.clock())
    databases = locked.world.world.databases(locked.world.simulator.clock())
    of_others = {second.id, second.name} | {
        word for row in databases if row.workspace_id == second.id for word in (row.id, row.project_id)
    }
    mine = next(row.id for row in databases if row.workspace_id == first.id)
    others = next(row.id for row in databases if row.workspace_id == second.id)
    paths = ("/", "/metrics", "/sd", f"/databases/{mine}", "/-/healthy", "/-/ready", *ROWS)
    more = ("/api/v1/budgets", f"/api/v1/databases/{mine}", "/api/v1/usage?by=month&group=workspace", "/api/v1/cost")
    for path in (*paths, *more):
        text = locked.curl(path, user=ALICE)
        assert text.endswith("200"), path
        assert not [word for word in of_others if word in text], path
    assert others not in locked.curl(f"/?q={second.name}", user=ALICE)
    assert locked.status(f"/databases/{others}", user=ALICE) == 404
    assert locked.status(f"/api/v1/databases/{others}", user=ALICE) == 404
    assert locked.status(f"/metrics?workspace={second.id}", user=ALICE) == 404
    for question in ("usage", "cost"):
        assert locked.status(f"/api/v1/{question}?workspace={second.id}", user=ALICE) == 404
    assert first.name in locked.curl("/", user=ALICE)


@pytest.mark.slow
@needs_program("curl")
def test_a_change_is_in_force_without_dropping_a_connection(locked: Locked) -> None:
    context = ssl.create_default_context(cafile=str(locked.folder.path / "ca.pem"))
    context.load_cert_chain(locked.folder.path / "client.pem")
    before = (locked.folder.path / "server.crt").read_bytes()
    with (
        socket.create_connection(("localhost", locked.port), 60) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        # Half a request: what is under way when the file changes is finished.
        connection.sendall(b"GET /-/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n")
        locked.folder.new_certificate()
        locked.folder.write(tls_server_config=VERIFIED, basic_auth_users={**USERS, "new": hash_of("one")})
        wait_until(lambda: locked.status("/-/ready", user=("new", "one")) == 200, "the new user gets in")
        assert _certificate(locked) != before
        connection.sendall(b"Authorization: Basic bmV3Om9uZQ==\r\n\r\n")
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200")
    locked.folder.write("basic_auth_users: {new: clear}")
    wait_until(lambda: "web_config_reload_success 0.0" in locked.curl("/metrics"), "the metric says that it is bad")
    assert locked.status("/-/ready", user=("new", "one")) == 200
    assert "not in force since" in locked.curl("/")
    assert "clear" not in locked.running.output
    locked.folder.write(tls_server_config=VERIFIED, basic_auth_users=USERS)
    wait_until(lambda: locked.status("/-/ready", user=("new", "one")) == 401, "the new user is gone")


def _certificate(locked: Locked) -> bytes:
    said = locked.openssl("-cert", "client.pem", "-key", "client.pem", "-showcerts")
    found = re.search("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n", said, re.S)
    assert found
    return found[0].encode()


def _steady(row: dict[str, object]) -> str:
    """A row without what another second makes another one, and without what the others' rows are part of."""
    return json.dumps(
        {name: value for name, value in row.items() if name.endswith(("_id", "_name", "period"))}, sort_keys=True
    )


# Other sockets ------------------------------------------------------------------------------------
@pytest.mark.slow
@needs_program("curl")
def test_several_addresses_and_a_file(tmp_path: Path, world: Vendor) -> None:
    path = tmp_path / "web.sock"
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(path))
    stale.close()
    listen = ("--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0", "--listen", f"unix:{path}")
    with command("serve", *listen, cwd=tmp_path, environ=environ_of(world)) as running:
        running.wait_for(f"unix:{path}")
        urls = re.findall(r"http://127\.0\.0\.1:\d+", running.output)
        assert len(set(urls)) == 2
        for url in urls:
            wait_until(lambda url=url: fetch(f"{url}/-/ready").status == 200, "it is ready")  # type: ignore[misc]
        curl = ["curl", "-sS", "--unix-socket", str(path), "http://exporter/metrics"]
        assert "prisma_postgres_exporter_build_info" in subprocess.check_output(curl, text=True)
        assert path.stat().st_mode & 0o777 == 0o660
        assert "everyone who reaches this port" not in running.output
        (tmp_path / "another").mkdir()
        refused = run("serve", "--listen", f"unix:{path}", cwd=tmp_path / "another", environ=environ_of(world))
        assert refused.returncode == 2
        assert "in use by prisma-postgres-exporter" in refused.stderr
        assert path.exists()


@pytest.mark.slow
@needs_program("systemd-socket-activate")
def test_a_socket_of_systemd(tmp_path: Path, world: Vendor) -> None:
    address = f"127.0.0.1:{free_port()}"
    kept = [f"--setenv={name}={value}" for name, value in {**environ_of(world), "NO_COLOR": "1"}.items()]
    paths = [f"--setenv=PYTHONPATH={':'.join(filter(None, sys.path))}"]
    arguments = ["systemd-socket-activate", "-l", address, *kept, *paths, *EXPORTER, "serve", "--listen", "systemd"]
    with program(*arguments, cwd=tmp_path) as running:
        running.wait_for("Listening on")
        wait_until(lambda: _ready(f"http://{address}"), "it is ready")
        running.wait_for(f"http://{address}")


def test_without_systemd_there_is_no_socket_of_it(tmp_path: Path, world: Vendor) -> None:
    refused = run("serve", "--listen", "systemd", cwd=tmp_path, environ=environ_of(world))
    assert refused.returncode == 2
    assert "systemd passed no socket on" in refused.stderr


def _ready(url: str) -> bool:
    try:
        return fetch(f"{url}/-/ready").status == 200
    except OSError:
        return False


# What is said -------------------------------------------------------------------------------------
SAID = "everyone who reaches this port reads names and costs of your databases"


@pytest.mark.slow
def test_check_says_what_keeps_whom_out(tmp_path: Path, world: Vendor, folder: WebFolder) -> None:
    environ = environ_of(world)
    folder.write(tls_server_config=VERIFIED, basic_auth_users=USERS)
    good = run("check", "--web-config-file", str(folder.file), cwd=tmp_path, environ=environ)
    assert good.returncode == 0
    assert f"{folder.file}: TLS, verified client certificates alone, 3 users" in good.stdout + good.stderr
    opened = run("check", cwd=tmp_path, environ=environ)
    assert opened.returncode == 0
    assert (opened.stdout + opened.stderr).count(SAID) == 1
    here = run("check", "--listen", "127.0.0.1:9478", cwd=tmp_path, environ=environ)
    assert SAID not in here.stdout + here.stderr
    (tmp_path / "bad.yml").write_text("tls_server_config: {cert_file: gone.pem, key_file: gone.key}\n")
    bad = run("check", "--web-config-file", "bad.yml", cwd=tmp_path, environ=environ)
    assert bad.returncode == 2
    assert "gone.pem: cannot be read" in bad.stdout + bad.stderr
    served = run("serve", "--web-config-file", "bad.yml", cwd=tmp_path, environ=environ)
    assert served.returncode == 2
    assert "gone.pem: cannot be read" in served.stderr


def test_users_without_passwords_keep_nobody_out_and_are_refused(tmp_path: Path, world: Vendor) -> None:
    config = write_config(tmp_path / "config.yaml", web={"users": {"alice": ["wksp_1"]}})
    refused = run("serve", "--config", str(config), cwd=tmp_path, environ=environ_of(world))
    assert refused.returncode == 2
    assert "users needs web.config_file" in refused.stderr


def test_serve_and_its_page_say_that_everyone_reads(tmp_path: Path, world: Vendor) -> None:
    with command("serve", "--listen", "0.0.0.0:0", cwd=tmp_path, environ=environ_of(world)) as running:
        port = running.wait_for(r"http://localhost:(\d+)")
        assert fetch(f"http://127.0.0.1:{port}/").text.count(SAID) == 1
        assert running.output.count(SAID) == 1
