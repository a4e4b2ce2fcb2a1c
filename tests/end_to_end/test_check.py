"""`check` as a process: every problem before anything runs, what to do, and the code it leaves with."""

from __future__ import annotations

import base64
import http.server
import json
import os
import re
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from processes import TOKEN_MARK, Vendor, exporter, run, vendor, write_config

from ports import free_port
from prisma_postgres_exporter.simulator import system_clock

BOTH_TOKENS = {"PRISMA_POSTGRES_TOKEN": "simulator-token-1,simulator-token-2"}
ONE_WRONG_TOKEN = {"PRISMA_POSTGRES_TOKEN": "simulator-token-1,simulator-token-of-nobody"}
DATABASES = 6
A_HASH = "$2b$04$8q1RNWvjKs8hXkTm8R5Bge.Jm5b8q1RNWvjKs8hXkTm8R5BgeJm5b"


@pytest.fixture
def api() -> Iterator[Vendor]:
    """A vendor with two workspaces and six databases."""
    with vendor(workspaces=2, databases=DATABASES) as running:
        yield running


@pytest.fixture
def options(tmp_path: Path, api: Vendor) -> Sequence[str]:
    """The options that lead a command to the vendor and a store of its own, without a pause between requests."""
    config = write_config(tmp_path / "config.yaml")
    return ("--config", str(config), "--api-url", api.url, "--store-url", f"sqlite:///{tmp_path / 'ledger.db'}")


def flat(text: str) -> str:
    return " ".join(text.split())


@contextmanager
def page(status: int, kind: str, body: str) -> Iterator[str]:
    """A web server that answers everything with this; yields its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_it_finds_everything_in_place_and_makes_nothing(tmp_path: Path, options: Sequence[str]) -> None:
    before = sorted(tmp_path.iterdir())

    answer = run("check", *options, cwd=tmp_path, environ=BOTH_TOKENS)

    assert answer.returncode == 0, answer.stdout
    assert "no problems" in answer.stdout
    assert len(re.findall(r"token token-[12]: good for workspace \S+ \(wksp_\w+\), 3 databases", answer.stdout)) == 2
    assert TOKEN_MARK not in answer.stdout + answer.stderr
    assert sorted(tmp_path.iterdir()) == before


def test_its_json_is_that_of_doctor(tmp_path: Path, options: Sequence[str]) -> None:
    quick = run("check", *options, "--json", cwd=tmp_path, environ=BOTH_TOKENS)
    whole = run("doctor", *options, "--json", cwd=tmp_path, environ=BOTH_TOKENS)

    checked, examined = json.loads(quick.stdout), json.loads(whole.stdout)
    assert (quick.returncode, whole.returncode) == (0, 1)
    assert checked.keys() == examined.keys()
    assert {frozenset(finding) for finding in (*checked["findings"], *examined["findings"])} == {
        frozenset({"step", "subject", "level", "reason", "text", "advice", "lines", "facts", "findings"})
    }
    around = [finding["step"] for finding in checked["findings"]]
    assert [finding["step"] for finding in examined["findings"]][: len(around)] == around


@pytest.mark.parametrize("name", ["check", "doctor"])
def test_a_configuration_that_cannot_be_read_is_json_too(tmp_path: Path, name: str) -> None:
    answer = run(name, "--json", "--api-url", "htp://x", "--listen", "x", cwd=tmp_path, environ=BOTH_TOKENS)

    document = json.loads(answer.stdout)
    assert answer.returncode == 2
    assert document["level"] == "wrong"
    assert [finding["step"] for finding in document["findings"]] == ["configuration", "configuration"]


def test_it_names_the_proxy_and_says_when_nobody_listens_there(tmp_path: Path) -> None:
    proxy = f"127.0.0.1:{free_port()}"
    environ = {
        "PRISMA_POSTGRES_TOKEN": "simulator-token-1",
        "HTTPS_PROXY": f"http://us%40er:pass-word-9@{proxy}",
        "NO_PROXY": "",
    }
    options = ("--api-url", "https://api.example.invalid", "--store-url", f"sqlite:///{tmp_path / 'ledger.db'}")
    answer = run("check", *options, cwd=tmp_path, environ=environ)

    assert answer.returncode == 1, answer.stdout
    assert f"API at https://api.example.invalid through the proxy http://{proxy}" in answer.stdout
    assert "the proxy cannot be reached" in answer.stdout
    assert "check HTTPS_PROXY and NO_PROXY" in answer.stdout
    assert "pass-word-9" not in answer.stdout + answer.stderr


@pytest.mark.parametrize("name", ["check", "doctor"])
def test_a_proxy_that_is_no_address_is_a_finding_of_each_token(
    tmp_path: Path, options: Sequence[str], name: str
) -> None:
    environ = BOTH_TOKENS | {"HTTPS_PROXY": "socks5://proxy", "NO_PROXY": ""}
    answer = run(name, *options, "--api-url", "https://api.example.invalid", cwd=tmp_path, environ=environ)

    assert answer.returncode == 2
    assert len(re.findall(r"wrong +token token-[12]: HTTPS_PROXY .* is not the address", answer.stdout)) == 2


@pytest.mark.parametrize(("hours", "side"), [(1, "behind"), (-1, "ahead of")])
def test_it_finds_a_clock_that_is_wrong(tmp_path: Path, hours: int, side: str) -> None:
    with vendor(workspaces=1, databases=1, clock=lambda: system_clock() + timedelta(hours=hours)) as api:
        options = ("--api-url", api.url, "--store-url", f"sqlite:///{tmp_path / 'ledger.db'}")
        answer = run("check", *options, cwd=tmp_path, environ={"PRISMA_POSTGRES_TOKEN": "simulator-token-1"})

    assert answer.returncode == 1, answer.stdout
    assert re.search(rf"problem +clock: this machine's clock is .* {side} the Management API's", answer.stdout)


def test_it_prints_every_problem_of_a_configuration_at_once(tmp_path: Path) -> None:
    config = write_config(
        tmp_path / "config.yaml",
        poll={"interval": "soon", "windows": ["24h", "1d"]},
        discovery={"include": {"databases": ["("]}},
        stor={"url": "sqlite:///x.db"},
    )
    environ = {**BOTH_TOKENS, "PRISMA_POSTGRES_LISSEN": ":1"}

    answer = run("check", "--config", str(config), "--listen", "nowhere", cwd=tmp_path, environ=environ)

    assert answer.returncode == 2
    problems = [line for line in answer.stdout.splitlines() if line.startswith("  wrong ")]
    for expected in (
        "poll.interval",
        "poll.windows",
        "discovery.include.databases",
        "did you mean store?",
        "did you mean PRISMA_POSTGRES_LISTEN?",
        "--listen",
    ):
        assert len([line for line in problems if expected in line]) == 1, (expected, problems)


def test_it_prints_a_wrong_token_and_a_store_that_cannot_be_opened_together(tmp_path: Path, api: Vendor) -> None:
    options = ("--api-url", api.url, "--store-url", f"sqlite:///{tmp_path / 'absent' / 'ledger.db'}")

    answer = run("check", *options, cwd=tmp_path, environ=ONE_WRONG_TOKEN)

    assert answer.returncode == 2
    assert re.search(r"problem +store sqlite:", answer.stdout)
    assert re.search(r"wrong +token token-2: .*401", answer.stdout)
    assert re.search(r"ok +token token-1: ", answer.stdout)
    assert TOKEN_MARK not in answer.stdout + answer.stderr


def test_it_leaves_with_1_where_only_the_vendor_is_down(tmp_path: Path, api: Vendor, options: Sequence[str]) -> None:
    api.stop()

    answer = run("check", *options, cwd=tmp_path, environ=BOTH_TOKENS)

    assert answer.returncode == 1
    assert len(re.findall(r"problem +token token-[12]: ", answer.stdout)) == 2
    assert answer.stdout.count(": Connection refused") == 2
    assert answer.stdout.count("→ cannot connect to the API: check DNS, network, firewall and `api_url`, and") == 2
    assert re.search(r"ok +store ", answer.stdout)


# Tokens -------------------------------------------------------------------------------------------
WHERE = "https://console.prisma.io (the workspace's Settings, Service Tokens, New Service Token)"
CONNECTION_STRING = f"this is a connection string, not a token: make a service token at {WHERE}"


@pytest.mark.parametrize("is_in_file", [False, True], ids=["variable", "file"])
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ('"s3cret-abc"', "the token is in quotes; remove them"),
        ("'s3cret-abc'", "the token is in quotes; remove them"),
        ("postgres://user:s3cret-abc@db.prisma.io:5432/postgres", CONNECTION_STRING),
        (
            "prisma+postgres://a.prisma-data.net/?api_key=s3cret-abc",
            CONNECTION_STRING,
        ),
        ("s3cret-abc def", "the token has a space or another character that no token has"),
        ("s3cret-abc\ndef", "there is more than one line; leave one token and nothing else"),
    ],
    ids=["quotes", "single quotes", "postgres", "prisma", "space", "line end"],
)
def test_what_stands_in_a_tokens_place_is_named_and_not_shown(
    tmp_path: Path, api: Vendor, given: str, said: str, is_in_file: bool
) -> None:
    file = tmp_path / "token"
    file.write_text(given)
    file.chmod(0o600)
    environ = {"PRISMA_POSTGRES_TOKEN_FILE": str(file)} if is_in_file else {"PRISMA_POSTGRES_TOKEN": given}

    answer = run("check", "--api-url", api.url, cwd=tmp_path, environ=environ)

    assert answer.returncode == 2
    [line] = [line for line in answer.stdout.splitlines() if "wrong    token token-1: " in line]
    assert said in line
    assert "s3cret" not in answer.stdout + answer.stderr


def test_it_prints_every_token_file_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    config = write_config(
        tmp_path / "config.yaml",
        credentials=[
            {"name": "absent", "token_file": str(tmp_path / "absent")},
            {"name": "empty", "token_file": str(tmp_path / "empty")},
        ],
    )

    answer = run("check", "--config", str(config), cwd=tmp_path)

    assert answer.returncode == 2
    assert re.search(r"wrong +token absent: there is no such file", answer.stdout)
    assert re.search(r"wrong +token empty: the token is empty", answer.stdout)


def test_white_space_around_a_token_does_no_harm(tmp_path: Path, options: Sequence[str]) -> None:
    answer = run("check", *options, cwd=tmp_path, environ={"PRISMA_POSTGRES_TOKEN": " simulator-token-1\r\n"})

    assert answer.returncode == 0, answer.stdout


def test_a_refused_token_says_where_a_new_one_is_made(tmp_path: Path, options: Sequence[str]) -> None:
    answer = run("check", *options, cwd=tmp_path, environ={"PRISMA_POSTGRES_TOKEN": "nobody"})

    assert answer.returncode == 2
    assert f"→ the token is wrong, expired or revoked: make a service token at {WHERE}" in answer.stdout


def test_an_expired_token_says_when_and_for_which_workspace_it_was(tmp_path: Path, options: Sequence[str]) -> None:
    ended_at = datetime.now(UTC).replace(microsecond=0) - timedelta(days=3)
    claims = {"workspace_id": "wksp_acme", "exp": int(ended_at.timestamp())}
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")

    answer = run("check", *options, cwd=tmp_path, environ={"PRISMA_POSTGRES_TOKEN": f"eyJhbGciOiJub25lIn0.{body}.x"})

    assert answer.returncode == 2
    assert f"the token expired at {ended_at:%Y-%m-%d %H:%M:%S} UTC" in answer.stdout
    assert "its workspace: workspace wksp_acme" in answer.stdout
    assert WHERE in answer.stdout


# Addresses ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", ["/v1", "/v1/", "/proxied/v1"])
@pytest.mark.parametrize("name", ["check", "doctor", "serve", "collect"])
def test_an_address_with_the_version_is_refused_before_anything_is_asked(
    tmp_path: Path, api: Vendor, name: str, path: str
) -> None:
    answer = run(name, "--api-url", f"{api.url}{path}", cwd=tmp_path, environ=BOTH_TOKENS)

    assert answer.returncode == 2
    assert "must be without user, query, fragment and /v1" in answer.stdout + answer.stderr
    assert not any(api.simulator.requests.values())


@pytest.mark.parametrize(
    ("status", "kind", "body", "said"),
    [
        (200, "text/html; charset=utf-8", "<html>Welcome</html>", "a web page (HTML)"),
        (200, "application/json", '{"status": "ok"}', "data: missing"),
        (200, "application/json", "[]", "the whole: "),
        (404, "text/html", "<html>Not found</html>", "answered 404"),
        (405, "text/plain", "no", "answered 405"),
    ],
    ids=["HTML", "other JSON", "a list", "404", "405"],
)
def test_a_page_that_is_not_the_management_api_is_told_from_a_wrong_token(
    tmp_path: Path, status: int, kind: str, body: str, said: str
) -> None:
    with page(status, kind, body) as url:
        answer = run("check", "--api-url", url, cwd=tmp_path, environ={"PRISMA_POSTGRES_TOKEN": "simulator-token-1"})

    assert answer.returncode == 2
    assert re.search(rf"wrong +token token-1: GET /v1/me .*{re.escape(said)}.* \[not_the_api\]", answer.stdout)
    assert "set `api_url` (--api-url, PRISMA_POSTGRES_API_URL) to https://api.prisma.io" in answer.stdout
    assert "service token at" not in answer.stdout


def test_a_401_of_something_else_doubts_the_address_too(tmp_path: Path) -> None:
    with page(401, "application/json", '{"message": "Unauthorized"}') as url:
        answer = run("check", "--api-url", url, cwd=tmp_path, environ={"PRISMA_POSTGRES_TOKEN": "simulator-token-1"})

    assert answer.returncode == 2
    assert WHERE in answer.stdout
    assert "or the address is not the Management API's" in answer.stdout


def test_a_port_of_another_program_is_in_use_and_by_which(tmp_path: Path, options: Sequence[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        listen = f"127.0.0.1:{other.getsockname()[1]}"
        checked = run("check", *options, "--listen", listen, cwd=tmp_path, environ=BOTH_TOKENS)
        served = run("serve", *options, "--listen", listen, cwd=tmp_path, environ=BOTH_TOKENS)

    assert (checked.returncode, served.returncode) == (2, 2)
    assert re.search(rf"wrong +listen {listen}: in use by \S+ \(process {os.getpid()}\)", checked.stdout)
    assert "choose another address or port (--listen, web.listen)" in checked.stdout
    assert re.search(rf"cannot listen on {listen}: in use by \S+ \(process {os.getpid()}\)", served.stderr)
    assert "--listen 127.0.0.1:0 takes a free one" in flat(served.stderr)
    assert not list(tmp_path.rglob("*.db*")), "no store is made"


@pytest.mark.parametrize("lock", [None, "users"], ids=["open", "behind a password"])
def test_our_own_service_is_no_stranger(tmp_path: Path, api: Vendor, options: Sequence[str], lock: str | None) -> None:
    if lock is not None:
        (tmp_path / "web.yml").write_text(f"basic_auth_users:\n  alice: {A_HASH}\n")
        options = (*options, "--web-config-file", str(tmp_path / "web.yml"))
    with exporter("serve", *options, cwd=tmp_path, environ=BOTH_TOKENS) as running:
        listen = running.url.removeprefix("http://")
        answer = run("check", *options, "--listen", listen, cwd=tmp_path, environ=BOTH_TOKENS)
        second = run("serve", *options, "--listen", listen, cwd=tmp_path, environ=BOTH_TOKENS)
        elsewhere = ("--store-url", f"sqlite:///{tmp_path}/other.db")
        other = run("check", *options, *elsewhere, "--listen", listen, cwd=tmp_path, environ=BOTH_TOKENS)

    assert answer.returncode == 0, answer.stdout
    assert (other.returncode, list(tmp_path.glob("other.db*"))) == (2, [])
    assert f"in use by prisma-postgres-exporter (process {running.pid}), a service on another store" in other.stdout
    told = f"in use by prisma-postgres-exporter (process {running.pid})"
    assert f"listen {listen}: {told}: a service already runs there" in answer.stdout
    assert second.returncode != 0


def test_a_user_who_is_bound_to_a_workspace_of_no_credential_is_named(tmp_path: Path, api: Vendor) -> None:
    (tmp_path / "web.yml").write_text(f"basic_auth_users:\n  alice: {A_HASH}\n  finance: {A_HASH}\n")
    users = {"alice": ["wksp_unknown"], "finance": ["none"]}
    web = {"listen": f"127.0.0.1:{free_port()}", "config_file": "web.yml", "users": users}
    config = write_config(tmp_path / "config.yaml", web=web, store={"url": f"sqlite:///{tmp_path / 'ledger.db'}"})
    options = ("--config", str(config), "--api-url", api.url)

    answer = run("check", *options, cwd=tmp_path, environ=BOTH_TOKENS)
    in_doubt = run("check", *options, cwd=tmp_path, environ=ONE_WRONG_TOKEN)

    told = "web.users binds 'alice' to wksp_unknown, which no credential is of"
    assert (answer.returncode, told in flat(answer.stdout)) == (0, True), answer.stdout
    assert "finance" not in answer.stdout
    assert "wksp_unknown" not in in_doubt.stdout, "the other token may be of it"


def test_a_socket_in_a_file_is_tried_and_left_alone(tmp_path: Path, options: Sequence[str]) -> None:
    path = tmp_path / "web.sock"
    listen = f"unix:{path}"
    free = run("check", *options, "--listen", listen, cwd=tmp_path, environ=BOTH_TOKENS)
    assert not path.exists()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        taken = run("check", *options, "--listen", listen, cwd=tmp_path, environ=BOTH_TOKENS)
    path.unlink()
    path.write_text("kept")
    file = run("check", *options, "--listen", listen, cwd=tmp_path, environ=BOTH_TOKENS)
    nowhere = run("check", *options, "--listen", f"unix:{tmp_path}/no/web.sock", cwd=tmp_path, environ=BOTH_TOKENS)

    assert [done.returncode for done in (free, taken, file, nowhere)] == [0, 2, 2, 2]
    assert f"listen {listen}: free" in free.stdout
    assert f"(process {os.getpid()})" in taken.stdout
    assert "there is a file that is not a socket" in file.stdout
    assert path.read_text() == "kept"
    assert "No such file or directory" in nowhere.stdout


def test_every_address_is_tried(tmp_path: Path, options: Sequence[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken, free = f"127.0.0.1:{other.getsockname()[1]}", f"127.0.0.1:{free_port()}"
        listens = ("--listen", free, "--listen", taken, "--listen", "192.0.2.1:9478")
        answer = run("check", *options, *listens, cwd=tmp_path, environ=BOTH_TOKENS)

    assert answer.returncode == 2
    assert f"listen {free}: free" in answer.stdout
    assert f"listen {taken}: in use by" in answer.stdout
    assert "listen 192.0.2.1:9478: cannot be listened on: " in answer.stdout
