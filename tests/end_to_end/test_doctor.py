"""`doctor` as a process: what it says of a vendor and a store, and the code it leaves with."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from processes import TOKEN_MARK, Vendor, exporter, run, vendor, write_config

from ports import free_port
from prisma_postgres_exporter.model import Database
from prisma_postgres_exporter.simulator import Fault, FaultKind
from push_receiver import Answered, receiver
from web_files import TLS, hash_of, web_folder

BOTH_TOKENS = {"PRISMA_POSTGRES_TOKEN": "simulator-token-1,simulator-token-2"}
ONE_WRONG_TOKEN = {"PRISMA_POSTGRES_TOKEN": "simulator-token-1,simulator-token-of-nobody"}
POLL = {"interval": "5m", "requests_per_second": 1000}
DATABASES = 6


def on_a_free_port() -> dict[str, str]:
    """Where nobody listens, whatever else runs on this machine."""
    return {"listen": f"127.0.0.1:{free_port()}"}


@pytest.fixture
def api() -> Iterator[Vendor]:
    with vendor(workspaces=2, databases=DATABASES) as running:
        yield running


@pytest.fixture
def options(tmp_path: Path, api: Vendor) -> Sequence[str]:
    config = write_config(tmp_path / "config.yaml", poll=POLL, web=on_a_free_port())
    return ("--config", str(config), "--api-url", api.url, "--store-url", f"sqlite:///{tmp_path / 'ledger.db'}")


@pytest.fixture
def collected(tmp_path: Path, options: Sequence[str]) -> None:
    """A store with a round in it."""
    assert run("collect", *options, cwd=tmp_path, environ=BOTH_TOKENS).returncode == 0


def examine(
    tmp_path: Path, *arguments: str, environ: dict[str, str] = BOTH_TOKENS
) -> tuple[CompletedProcess[str], dict[str, Any]]:
    answer = run("doctor", "--json", *arguments, cwd=tmp_path, environ=environ)
    assert TOKEN_MARK not in answer.stdout + answer.stderr
    return answer, json.loads(answer.stdout)


def walk(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for finding in document["findings"]:
        yield finding
        yield from walk(finding)


def reasons(document: dict[str, Any]) -> set[str]:
    return {finding["reason"] for finding in walk(document) if finding["level"] in ("problem", "wrong")}


def database(api: Vendor, number: int = 0) -> Database:
    return api.world.databases(datetime.now(UTC))[number]


@pytest.mark.usefixtures("collected")
def test_when_all_is_well_every_database_is_and_it_leaves_with_0(tmp_path: Path, options: Sequence[str]) -> None:
    answer = run("doctor", *options, cwd=tmp_path, environ=BOTH_TOKENS)
    other, document = examine(tmp_path, *options)

    assert answer.returncode == other.returncode == 0, answer.stdout + answer.stderr
    assert "no problems" in answer.stdout
    assert TOKEN_MARK not in answer.stdout
    assert sum(finding["step"] == "database" for finding in walk(document)) == DATABASES
    assert document["level"] in ("ok", "note")


def test_what_is_over_its_allowance_is_a_note(tmp_path: Path, api: Vendor, options: Sequence[str]) -> None:
    prices = {"plan": "Own", "version": "1", "fee_usd": 0, "included_operations": 1, "included_storage": "10GiB"}
    prices["hard_stop"] = True
    own = [{"workspace": database(api).workspace_id, "prices": prices}]
    config = write_config(tmp_path / "own.yaml", poll=POLL, web=on_a_free_port(), cost={"workspaces": own})
    options = ("--config", str(config), *options[2:])
    assert run("collect", *options, cwd=tmp_path, environ=BOTH_TOKENS).returncode == 0

    answer, document = examine(tmp_path, *options)

    (found,) = [finding for finding in walk(document) if finding["reason"] == "limit_reached"]
    assert found["facts"]["workspace_id"] == own[0]["workspace"]
    assert " of 1 operations of plan Own used (" in found["text"]
    assert (found["level"], found["advice"], answer.returncode) == ("note", "upgrade the plan", 0)


@pytest.mark.usefixtures("collected")
def test_a_database_by_its_name_is_shown_from_token_to_series(
    tmp_path: Path, api: Vendor, options: Sequence[str]
) -> None:
    wanted = database(api)
    answer = run("doctor", wanted.id, *options, cwd=tmp_path, environ=BOTH_TOKENS)
    _, document = examine(tmp_path, wanted.id.removeprefix("db_"), *options)

    assert answer.returncode == 0, answer.stdout
    assert document["subject"]["id"] == wanted.id
    found = {finding["step"]: finding for finding in reversed(list(walk(document)))}
    assert set(found) == {"store", "token", "workspace", "project", "database", "usage", "ledger", "series"}
    shown = next(finding for finding in walk(document) if finding["step"] == "series")["facts"]["shown"]
    assert shown["prisma_postgres_database_operations_total"] > 0
    assert found["usage"]["facts"]["api_operations"] >= shown["prisma_postgres_database_month_to_date_operations"]
    for step in ("store", "token", "workspace", "project", "database", "usage", "ledger", "series"):
        assert f"  {step} " in answer.stdout


@pytest.mark.usefixtures("collected")
def test_it_asks_what_a_discovery_asks_and_usage_once(tmp_path: Path, api: Vendor, options: Sequence[str]) -> None:
    before = dict(api.simulator.requests)
    examine(tmp_path, *options)
    whole = {name: count - before.get(name, 0) for name, count in api.simulator.requests.items()}
    examine(tmp_path, database(api).id, *options)
    named = {name: count - before.get(name, 0) - whole[name] for name, count in api.simulator.requests.items()}

    asked = {name: count for name, count in whole.items() if count}
    assert "usage" not in asked
    assert "subscription" not in asked
    assert {name: count for name, count in named.items() if count} == {**asked, "usage": 1}


@pytest.mark.usefixtures("collected")
def test_a_target_of_push_that_takes_nothing_is_named_and_its_secret_is_not(
    tmp_path: Path, options: Sequence[str]
) -> None:
    with receiver() as takes, receiver() as fails:
        fails.answers = [Answered(401, b"no such token: of-the-push")]
        config = write_config(
            tmp_path / "push.yaml",
            push={
                "otlp": {"endpoint": takes.url},
                "remote_write": {"url": f"{fails.url}/write?key=of-the-push", "bearer_token": {"value": "of-the-push"}},
            },
        )
        answer, document = examine(tmp_path, *options, "--config", str(config))

    assert answer.returncode == 2
    assert "of-the-push" not in answer.stdout + answer.stderr
    found = {finding["facts"]["target"]: finding for finding in document["findings"] if finding["step"] == "push"}
    assert found["otlp"]["level"] == "ok"
    assert found["remote_write"]["reason"] == "push_failing"
    assert "answered 401: no such token: ***" in found["remote_write"]["text"]
    assert found["remote_write"]["facts"]["url"] == f"{fails.url}/write"


@pytest.mark.usefixtures("collected")
def test_a_web_configuration_that_is_wrong_is_named_with_what_is_wrong(tmp_path: Path, options: Sequence[str]) -> None:
    folder = web_folder(tmp_path / "web")
    file = folder.write(tls_server_config=TLS, basic_auth_users={"alice": hash_of("of-alice")})
    options = [*options, "--web-config-file", str(file)]
    good, document = examine(tmp_path, *options)
    (folder.path / "server.key").write_text("no key")
    wrong, wrong_document = examine(tmp_path, *options)

    assert (good.returncode, wrong.returncode) == (0, 2), good.stdout + wrong.stdout
    assert [found["text"] for found in document["findings"] if found["step"] == "web"] == ["TLS, 1 user"]
    (found,) = [found for found in wrong_document["findings"] if found["step"] == "web"]
    assert (found["subject"], found["reason"]) == (str(file), "web_config_wrong")
    assert found["lines"] == [f"{file}: tls_server_config: cert_file and key_file cannot be used: not a pem file"]


def test_an_empty_store_is_said_to_be_and_not_made(tmp_path: Path, options: Sequence[str]) -> None:
    answer, document = examine(tmp_path, *options)

    assert answer.returncode == 1
    assert reasons(document) == {"store_missing"}
    assert not (tmp_path / "ledger.db").exists()


@pytest.mark.usefixtures("collected")
def test_while_the_vendor_is_down_the_store_is_shown(tmp_path: Path, api: Vendor, options: Sequence[str]) -> None:
    wanted = database(api)
    api.stop()

    answer, document = examine(tmp_path, wanted.id, *options)

    assert answer.returncode == 1
    assert reasons(document) == {"api_unreachable"}
    assert any(finding["step"] == "series" and finding["facts"]["shown"] for finding in walk(document))


def test_while_the_vendor_is_down_and_nothing_is_stored_a_name_means_nothing(
    tmp_path: Path, api: Vendor, options: Sequence[str]
) -> None:
    api.stop()

    answer = run("doctor", "orders", *options, cwd=tmp_path, environ=BOTH_TOKENS)

    assert answer.returncode == 2
    assert "'orders'" in answer.stderr
    assert "credential token-1: GET /v1/me" in answer.stderr


@pytest.mark.usefixtures("collected")
def test_a_refused_token_is_named_and_its_workspace_too(tmp_path: Path, options: Sequence[str]) -> None:
    answer, document = examine(tmp_path, *options, environ=ONE_WRONG_TOKEN)

    assert answer.returncode == 2
    assert reasons(document) == {"unauthorised"}
    failing = [finding for finding in walk(document) if finding["level"] in ("problem", "wrong")]
    assert [finding["step"] for finding in failing] == ["token", "workspace"]
    assert failing[0]["subject"] == "token-2"


@pytest.mark.usefixtures("collected")
@pytest.mark.parametrize("do_tokens_say", [True, False], ids=["the token says whose it is", "nothing says it"])
def test_each_workspace_has_the_fault_of_its_own_token(
    tmp_path: Path, api: Vendor, options: Sequence[str], do_tokens_say: bool
) -> None:
    spellings = dict(zip(api.world.tokens, (FaultKind.SERVER_ERROR, FaultKind.UNAUTHORIZED), strict=True))
    for spelling, kind in spellings.items():
        api.faults.add(Fault(kind=kind, token=spelling))
    tokens = [api.world.service_token(id_) if do_tokens_say else spelling for spelling, id_ in api.world.tokens.items()]

    answer, document = examine(tmp_path, *options, environ={"PRISMA_POSTGRES_TOKEN": ",".join(tokens)})

    assert answer.returncode == 2
    found = {
        finding["facts"]["workspace_id"]: (finding["reason"], finding["text"])
        for finding in walk(document)
        if finding["step"] == "workspace"
    }
    (down_reason, down), (refused_reason, refused) = (found[id_] for id_ in api.world.tokens.values())
    if do_tokens_say:
        assert (down_reason, refused_reason) == ("api_unreachable", "unauthorised")
        assert "answered 500" in down
        assert "answered 401" in refused
    else:
        assert down == refused
        assert down_reason == refused_reason == "no_credential"
        # What is wrong with each is said once, of the credential.
        assert down == "cannot be listed: its credential is one of the 2 that fail, or it has none"
        assert answer.stdout.count("answered 401") == 1


@pytest.mark.usefixtures("collected")
def test_a_filtered_database_names_its_filter(tmp_path: Path, api: Vendor, options: Sequence[str]) -> None:
    wanted = database(api)
    write_config(
        tmp_path / "config.yaml",
        poll={"interval": "5m"},
        discovery={"exclude": {"databases": [wanted.id], "regions": ["^nowhere$"]}},
    )
    named, document = examine(tmp_path, wanted.id, *options)
    whole, _ = examine(tmp_path, *options)

    assert named.returncode == 1
    assert f"discovery.exclude.databases: it matches '{wanted.id}'" in named.stdout
    assert "filtered" in reasons(document)
    assert whole.returncode == 0


@pytest.mark.usefixtures("collected")
def test_a_deleted_database_is_explained_before_and_after_it_is_noticed(
    tmp_path: Path, api: Vendor, options: Sequence[str]
) -> None:
    gone = database(api)
    api.world.delete_database(gone.id, at=datetime.now(UTC))

    before, _ = examine(tmp_path, gone.id, *options)
    assert run("collect", *options, cwd=tmp_path, environ=BOTH_TOKENS).returncode == 0
    after, document = examine(tmp_path, gone.id, *options)
    whole, _ = examine(tmp_path, *options)

    assert before.returncode == after.returncode == 1
    assert "the next discovery notes it" in before.stdout
    assert "its usage stays in its month" in after.stdout
    assert {event["kind"] for finding in walk(document) for event in finding["facts"].get("events", ())} == {"deleted"}
    assert whole.returncode == 0


def test_failing_databases_say_since_when_and_why(tmp_path: Path, api: Vendor, options: Sequence[str]) -> None:
    blocked, down = database(api, 0), database(api, -1)
    api.faults.add(Fault(kind=FaultKind.PLAN_LIMIT, call="usage", database_id=blocked.id))
    api.faults.add(Fault(kind=FaultKind.SERVER_ERROR, call="usage", database_id=down.id))
    run("collect", *options, cwd=tmp_path, environ=BOTH_TOKENS)

    answer, document = examine(tmp_path, *options)

    assert answer.returncode == 1
    assert {"blocked", "unavailable"} <= reasons(document)
    assert "unavailable since 20" in answer.stdout
    assert "http_500: the vendor's API has a fault" in " ".join(answer.stdout.split())
    assert "blocked by the vendor since 20" in answer.stdout


@pytest.mark.usefixtures("collected")
def test_an_unknown_name_leaves_with_2_and_the_nearest(tmp_path: Path, api: Vendor, options: Sequence[str]) -> None:
    wanted = database(api)

    answer = run("doctor", f"{wanted.id}x", *options, cwd=tmp_path, environ=BOTH_TOKENS)

    assert answer.returncode == 2
    assert f"did you mean database '{wanted.name}' ({wanted.id})" in answer.stderr


@pytest.mark.usefixtures("collected")
def test_a_name_of_several_leaves_with_2_and_all_of_them(tmp_path: Path, api: Vendor, options: Sequence[str]) -> None:
    one, other = database(api, 0), database(api, -1)
    for renamed in (one, other):
        api.world.rename_database(renamed.id, "twin", at=datetime.now(UTC))

    answer = run("doctor", "twin", *options, cwd=tmp_path, environ=BOTH_TOKENS)

    assert answer.returncode == 2
    assert one.id in answer.stderr
    assert other.id in answer.stderr


def test_without_a_credential_it_leaves_with_2(tmp_path: Path) -> None:
    answer = run("doctor", cwd=tmp_path)

    assert answer.returncode == 2
    assert "PRISMA_POSTGRES_TOKEN" in answer.stdout


def test_without_a_store_it_says_so_once(tmp_path: Path, api: Vendor) -> None:
    options = ("--api-url", api.url, "--store-url", f"sqlite:///{tmp_path / 'none.db'}")
    answer = run("doctor", *options, cwd=tmp_path, environ=BOTH_TOKENS)

    assert answer.returncode == 1
    assert answer.stdout.count("no store here") == 1
    assert "1 problem, " in answer.stdout
    assert "well" not in answer.stdout


def test_beside_a_running_service_it_finds_it_well(tmp_path: Path, api: Vendor, options: Sequence[str]) -> None:
    with exporter("serve", *options, cwd=tmp_path, environ=BOTH_TOKENS) as running:
        running.scrape_when(
            lambda samples: (
                len(samples.labels("prisma_postgres_database_operations_total", "database_id")) == DATABASES
            ),
            "the first numbers",
        )
        answer, document = examine(tmp_path, database(api).id, *options)
        assert running.is_alive

    assert answer.returncode == 0, answer.stdout
    assert next(finding for finding in walk(document) if finding["step"] == "store")["level"] == "ok"


def test_a_store_on_a_server_is_examined_and_checked_too(tmp_path: Path, api: Vendor, postgres_url: str) -> None:
    config = write_config(tmp_path / "config.yaml", poll=POLL, web=on_a_free_port())
    store = ("--config", str(config), "--store-url", postgres_url)
    options = (*store, "--api-url", api.url)
    before, empty = examine(tmp_path, *options)
    assert run("collect", *options, cwd=tmp_path, environ=BOTH_TOKENS).returncode == 0
    after, document = examine(tmp_path, database(api).id, *options)
    checked = run("store", "check", *store, cwd=tmp_path)
    backed_up = run("store", "backup", "copy.db", *store, cwd=tmp_path)

    assert (before.returncode, reasons(empty)) == (1, {"store_missing"})
    assert after.returncode == checked.returncode == 0, after.stdout + checked.stdout
    assert document["level"] in ("ok", "note")
    assert backed_up.returncode == 2
    assert "pg_dump" in backed_up.stderr
    assert "synthetic-password" not in after.stdout + checked.stdout + backed_up.stderr
