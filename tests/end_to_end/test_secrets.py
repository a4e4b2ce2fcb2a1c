"""No secret is shown: commands, pages, logs, metrics, tracebacks and the store, with a marked one in every place."""

from __future__ import annotations

import os
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, quote_plus

import psutil
import psycopg
import pytest
from processes import Vendor, exporter, run, vendor, wait_until, write_config, write_tokens
from psycopg import sql

from longer import BOTH_ENGINES
from postgres import PostgresServer
from push_receiver import Answered, Receiver, receiver

MARK = "mArKeD"
BASE64 = (b64encode, urlsafe_b64encode)
STORE_PASSWORD = f"{MARK}/st#o[r]e?@: password"
PROXY_PASSWORD, API_PASSWORD = f"{MARK}-of-the-proxy", f"{MARK}-of-the-api"
BEARER, HEADER, KEY = f"{MARK}-bearer", f"{MARK}-header", f"{MARK}-key-of-a-query"
PAGES = (
    *("/", "/metrics", "/sd", "/-/ready", "/-/healthy", "/nowhere", f"/?q={MARK.lower()}&page=x", "/databases/absent"),
    *("/api/v1/workspaces", "/api/v1/databases", "/api/v1/cost", "/api/v1/openapi.json"),
)
COMMANDS = (
    *(("check",), ("doctor",), ("doctor", "--json"), ("collect",), ("collect", "--json"), ("plan",), ("cost",)),
    *(("top",), ("compare",), ("report",), ("export", "days"), ("store", "info"), ("store", "info", "--json")),
    *(("store", "check"), ("store", "repair"), ("backfill", "--from", "2026-01-01", "--dry-run")),
    *(("api", "projects", "list"), ("api", "databases", "list", "--json"), ("store", "backup", "copy.db")),
)
BROKEN = """\
import os
from base64 import b64encode, urlsafe_b64encode
from urllib.parse import quote, quote_plus
from sqlalchemy.engine import make_url
from prisma_postgres_exporter.{module} import {owner}

def broken(*_, **__):
    secrets = [os.environ[name] for name in ("OTHER_TOKEN", "PRISMA_POSTGRES_STORE_URL", "PUSH_BEARER")]
    secrets.append(make_url(secrets[1]).password or "")
    forms = [form(part) for form in (quote, quote_plus) for part in secrets]
    for user in ("", "a:", "me:"):
        for form in (b64encode, urlsafe_b64encode):
            forms += [form(f"{{user}}{{part}}{{end}}".encode()).decode() for part in secrets for end in ("", "x", "xy")]
    forms += [part.rstrip("=") for part in forms]
    raise RuntimeError(f"nobody foresaw this: {{secrets}}, {{forms}}")

{owner}.{method} = broken
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """A directory with a configuration, an environment, and every secret that is in them."""

    directory: Path
    environ: Mapping[str, str]
    secrets: frozenset[str]
    store_url: str

    def found_in(self, text: str) -> set[str]:
        """The secrets that a text shows, also as percent-encoding and base64 do."""
        return {secret for secret in self.secrets for form in forms(secret) if form in text}


def forms(secret: str) -> set[str]:
    """What a text has that holds a secret in one of its forms: of base64 what nothing around it changes."""
    octets = secret.encode()
    encoded = {
        encode(octets[start:])[: len(octets[start:]) // 3 * 4].decode() for start in range(3) for encode in BASE64
    }
    return {secret, quote(secret), quote(secret, safe=""), quote_plus(secret), *encoded}


@pytest.fixture(scope="module")
def api() -> Iterator[Vendor]:
    with vendor(workspaces=3, databases=6) as running:
        yield running


@pytest.fixture
def receiving() -> Iterator[Receiver]:
    with receiver() as running:
        yield running


@contextmanager
def store_of(engine: str, server: PostgresServer) -> Iterator[str]:
    """The URL of an empty store; of a Postgres with a role whose password has every character that ends a part."""
    if engine == "sqlite":
        yield "sqlite:///ledger.db"
        return
    server.execute("DROP ROLE IF EXISTS marked")
    server.execute(sql.SQL("CREATE ROLE marked SUPERUSER LOGIN PASSWORD {}").format(STORE_PASSWORD).as_string())
    with server.fresh_database() as url:
        yield f"postgresql://marked:{quote(STORE_PASSWORD, safe='')}@{url.rpartition('@')[2]}"


@pytest.fixture(params=BOTH_ENGINES)
def marked(
    request: pytest.FixtureRequest, tmp_path: Path, api: Vendor, receiving: Receiver, shared_postgres: PostgresServer
) -> Iterator[Marked]:
    """Everything that can hold a secret holds one that is used: tokens in a file and a variable, store, push, proxy."""
    in_file, in_variable, in_configuration = (token.value for token in api.world.registry.tokens.values())
    write_tokens(tmp_path / "tokens", filed=in_file)
    target = {
        "url": f"{receiving.url}/write?key={KEY}",
        "bearer_token": {"env": "PUSH_BEARER"},
        "headers": [{"name": "X-Marked", "value": HEADER}],
    }
    write_config(
        tmp_path / "config.yaml",
        credentials=[
            {"token_file": str(tmp_path / "tokens")},
            {"token_env": "OTHER_TOKEN"},
            {"token": in_configuration},
        ],
        push={"interval": "1s", "remote_write": target},
    )
    with store_of(request.param, shared_postgres) as store_url:
        environ = {
            "PRISMA_POSTGRES_CONFIG": str(tmp_path / "config.yaml"),
            "PRISMA_POSTGRES_API_URL": api.url,
            "PRISMA_POSTGRES_STORE_URL": store_url,
            "OTHER_TOKEN": in_variable,
            "PRISMA_POSTGRES_LOG": "debug",
            "PUSH_BEARER": BEARER,
            "HTTPS_PROXY": f"http://me:{PROXY_PASSWORD}@127.0.0.1:9",
        }
        secrets = {MARK, in_file, in_variable, in_configuration, quote(STORE_PASSWORD, safe=""), STORE_PASSWORD}
        yield Marked(directory=tmp_path, environ=environ, secrets=frozenset(secrets), store_url=store_url)


def test_no_command_shows_a_secret(marked: Marked) -> None:
    for arguments in COMMANDS:
        ended = run(*arguments, cwd=marked.directory, environ=marked.environ)
        shown = ended.stdout + ended.stderr
        assert ended.returncode in {0, 1, 2}
        assert "Traceback" not in shown, shown
        assert marked.found_in(shown) == set(), f"{arguments}:\n{shown}"


@pytest.mark.slow
def test_no_command_shows_one_that_it_cannot_use(marked: Marked) -> None:
    wrong = (
        {"PRISMA_POSTGRES_API_URL": f"https://me:{API_PASSWORD}@api.example.com"},
        {"PRISMA_POSTGRES_API_URL": "https://api.invalid"},  # by the proxy, which nobody runs
        {"HTTPS_PROXY": f"socks5://me:{PROXY_PASSWORD}@127.0.0.1:9", "PRISMA_POSTGRES_API_URL": "https://api.invalid"},
        {"PRISMA_POSTGRES_STORE_URL": f"postgresql://me:{MARK}/#[@?@127.0.0.1:9/usage"},
        {"PRISMA_POSTGRES_STORE_URL": f"postgresql://me:{MARK}@[::bad/x"},
        {"PRISMA_POSTGRES_STORE_URL": f"postgresql://me:{MARK}@127.0.0.1:9/usage?password={MARK}"},
        {"PRISMA_POSTGRES_STORE_URL": f"mysql://me:{MARK}@127.0.0.1/usage"},
        {"OTHER_TOKEN": f"{MARK} with a space"},
        {"PUSH_BEARER": f"{MARK}\n{MARK}"},
    )
    for changed in wrong:
        for arguments in (("check",), ("doctor",), ("collect",), ("cost",), ("serve", "--listen", "127.0.0.1:x")):
            ended = run(*arguments, cwd=marked.directory, environ={**marked.environ, **changed})
            shown = ended.stdout + ended.stderr
            assert "Traceback" not in shown, f"{arguments} {changed}:\n{shown}"
            assert marked.found_in(shown) == set(), f"{arguments} {changed}:\n{shown}"


@pytest.mark.slow
def test_neither_pages_nor_logs_nor_metrics_nor_the_store_hold_a_secret(marked: Marked, receiving: Receiver) -> None:
    receiving.answers.extend([Answered(500, body=BEARER.encode()), Answered(401, body=KEY.encode())])
    with exporter("serve", cwd=marked.directory, environ=marked.environ) as running:
        running.scrape_when(
            lambda samples: len(samples.labels("prisma_postgres_database_up", "database_id")) == 6, "6 databases"
        )
        wait_until(lambda: receiving.taken, "a push")
        sent = receiving.taken[0]
        assert (sent.headers["Authorization"], sent.headers["X-Marked"]) == (f"Bearer {BEARER}", HEADER)
        assert KEY in sent.path
        some_id = next(iter(running.scrape().labels("prisma_postgres_database_up", "database_id")))
        shown = [running.get(path).text for path in (*PAGES, f"/databases/{some_id}")]
        assert "postgresql://marked@127.0.0.1" in shown[0] or "sqlite:///ledger.db" in shown[0]
        shown += [running.post("/-/reload").text, *psutil.Process(running.pid).cmdline()]
        wrong = {"remote_write": {"url": f"https://me:{MARK}@example.com", "bearer_token": {"value": f"{MARK}"}}}
        write_config(marked.directory / "config.yaml", push=wrong, credentials=[{"token": f"{MARK} {MARK}"}])
        shown += [running.post("/-/reload").text, running.get("/").text]
    shown += [running.output, *stored(marked)]
    assert [(found, text) for text in shown if (found := marked.found_in(text))] == []
    assert "Traceback" not in running.output


@pytest.mark.slow
def test_a_traceback_that_quotes_every_secret_is_masked(marked: Marked) -> None:
    environ = broken(marked, "rounds.collector", "Collector", "round")
    with exporter("serve", cwd=marked.directory, environ=environ, as_command_line=True) as running:
        running.wait_for("nobody foresaw this")
        shown = [running.output, running.get("/").text, running.get("/-/healthy").text]
    assert "Traceback" in running.output
    assert [(found, text) for text in shown if (found := marked.found_in(text))] == []


def stored(marked: Marked) -> Iterator[str]:
    """Everything that the store holds."""
    if marked.store_url.startswith("sqlite"):
        for path in marked.directory.glob("ledger.db*"):
            yield path.read_bytes().decode("latin-1")
        return
    with psycopg.connect(marked.store_url) as connection:
        for (name,) in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall():
            query = sql.SQL("SELECT kept::text FROM {} AS kept").format(sql.Identifier(name))
            yield "\n".join(row for (row,) in connection.execute(query))


def broken(marked: Marked, module: str, owner: str, method: str) -> Mapping[str, str]:
    """The environment of a process in which a method fails and quotes every secret that it can reach."""
    hook = marked.directory / "hook"
    hook.mkdir()
    text = BROKEN.format(module=module, owner=owner, method=method)
    (hook / "sitecustomize.py").write_text(text)
    return {**marked.environ, "PYTHONPATH": f"{hook}:{os.environ.get('PYTHONPATH', '')}"}
