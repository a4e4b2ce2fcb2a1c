"""`api` commands where something beside the command itself fails: what was done is said, and how to go on."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from api_commands import CREATIONS, FIRST, NOBODYS, SECOND, Terminal, creation, started

from longer import spread
from prisma_postgres_exporter.simulator import Fault, FaultKind, system_clock

PASSWORD = "simulated-password"


def typed(*words: str, stdout: int) -> tuple[int, str]:
    """Type a command whose standard output goes somewhere; its exit status and standard error."""
    running = started(*words, stdout=stdout)
    assert running.stderr is not None
    with running.stderr as errors:
        said = errors.read()
    return running.wait(60), said


def without_a_reader(*words: str) -> tuple[int, str]:
    """Type a command whose standard output nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        return typed(*words, stdout=writing)
    finally:
        os.close(writing)


def on_a_full_disk(*words: str) -> tuple[int, str]:
    """Type a command whose standard output has no room."""
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        return typed(*words, stdout=full)
    finally:
        os.close(full)


NEW_SECRETS = {
    "create_project": "`api connections create NAME --database ",
    "create_database": "`api connections create NAME --database ",
    "create_connection": "`api connections rotate ",
    "rotate_connection": "`api connections rotate ",
    "create_service_token": "Delete it (`api service-tokens delete ",
}
"""What is said of getting secrets in the place of those that could not be printed."""


# Standard output takes no more --------------------------------------------------------------------
@pytest.mark.parametrize(
    ("method", "form"),
    [
        pytest.param(method, form, marks=marks, id=f"{method}-{'-'.join(form)}")
        for method, form, marks in spread((method, [(), ("--json",), ("--csv",)]) for method in CREATIONS)
    ],
)
def test_what_was_done_is_said_where_its_secrets_cannot_be_printed(
    terminal: Terminal, method: str, form: tuple[str, ...]
) -> None:
    code, err = on_a_full_disk(*creation(terminal, method), "--reveal", *form)

    assert terminal.vendor.simulator.requests[method] == 1
    assert (code, "standard output cannot be written: No space left on device" in err) == (3, True)
    assert "was rotated" in err if method == "rotate_connection" else "was created" in err
    assert NEW_SECRETS[method] in err
    assert PASSWORD not in err


@pytest.mark.parametrize("method", CREATIONS)
def test_a_reader_that_is_gone_is_no_reason_to_lose_what_was_done(terminal: Terminal, method: str) -> None:
    code, err = without_a_reader(*creation(terminal, method), "--reveal")

    assert (code, NEW_SECRETS[method] in err) == (3, True)


def test_a_change_without_secrets_is_said_to_be_done_too(terminal: Terminal) -> None:
    database = terminal.other_id()
    code, err = on_a_full_disk("databases", "update", database, "--name", "renamed", "--json")

    assert (code, f"database {database} was changed" in err) == (3, True)
    assert f"Look with `api databases get {database}`." in err
    assert terminal.json("databases", "get", database)["name"] == "renamed"


@pytest.mark.parametrize("method", CREATIONS)
def test_secrets_that_no_standard_output_would_get_are_refused_before_the_request(
    terminal: Terminal, method: str
) -> None:
    command = (sys.executable, "-m", "prisma_postgres_exporter", "api", *creation(terminal, method), "--reveal")
    # What an interpreter makes of a closed output is a part of this.
    ended = subprocess.run(
        ("sh", "-c", '"$@" >&-', "sh", *command),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )

    assert (ended.returncode, ended.stderr) == (
        2,
        "error: standard output is closed: secrets would be lost; nothing was changed\n",
    )
    assert terminal.vendor.simulator.requests == {}


@pytest.mark.slow
def test_secrets_of_an_answer_that_is_cut_short_are_said_to_be_lost(terminal: Terminal) -> None:
    terminal.vendor.simulator.faults.add(Fault(kind=FaultKind.HALF_BODY, call="create_connection"))
    code, err = on_a_full_disk("connections", "create", "x" * 65, "--database", terminal.other_id(), "--reveal")

    assert (code, "the body was cut short" in err, "They are lost" in err) == (3, True, True)


# A token that is refused beside one that works ----------------------------------------------------
def acme(terminal: Terminal) -> str:
    """The name of the first workspace, after a token of nobody was put beside those of two workspaces."""
    terminal.use(FIRST, NOBODYS, SECOND)
    return terminal.vendor.world.workspaces(system_clock())[0].name


def test_a_change_in_a_named_workspace_is_done_whatever_another_token_is(terminal: Terminal) -> None:
    ended = terminal.type("projects", "create", "x", "--workspace", acme(terminal), "--no-database")

    assert (ended.code, "again" in ended.err) == (0, False)
    assert "warning: credential token-2 was not used: GET /v1/me answered 401" in ended.err
    assert NOBODYS not in ended.err
    assert terminal.type("projects", "delete", "x", "--workspace", acme(terminal), "--yes").code == 0


@pytest.mark.parametrize("words", [("databases", "list", "--limit", "1", "--json"), ("me", "--json")])
def test_a_read_in_a_named_workspace_is_complete_whatever_another_token_is(
    terminal: Terminal, words: tuple[str, ...]
) -> None:
    ended = terminal.type(*words, "--workspace", acme(terminal))

    assert (ended.code, len(ended.document["data"])) == (0, 1)
    assert ended.document["is_complete"] is not ended.document["has_more"]


@pytest.mark.parametrize(
    "words", [("workspaces", "get"), ("service-tokens", "list"), ("service-tokens", "list", "--workspace")]
)
def test_a_workspace_is_found_by_name_whatever_another_token_is(terminal: Terminal, words: tuple[str, ...]) -> None:
    assert terminal.type(*words, acme(terminal)).code == 0


@pytest.mark.parametrize("product", [(), ("postgres",), ("accelerate",)])
def test_regions_are_asked_for_with_any_token_that_works(terminal: Terminal, product: tuple[str, ...]) -> None:
    every = terminal.json("regions", *product)
    terminal.use(NOBODYS, FIRST)

    assert terminal.json("regions", *product) == every


def test_a_name_that_a_refused_token_may_hide_is_asked_for_with_more(terminal: Terminal) -> None:
    database = terminal.json("databases", "list")[0]
    terminal.use(FIRST, NOBODYS)
    ended = terminal.type("databases", "get", database["name"])

    assert (ended.code, "error: credential token-2: GET /v1/databases answered 401" in ended.err) == (2, True)
    assert f"Could not look in every workspace for {database['name']!r}: give an id, or --workspace." in ended.err
    assert terminal.json("databases", "get", database["id"])["id"] == database["id"]


# No answer at all ---------------------------------------------------------------------------------
@pytest.mark.parametrize("words", [("projects", "list"), ("databases", "list"), ("me",), ("usage",)])
@pytest.mark.parametrize("form", [(), ("--json",), ("--csv",)], ids=["table", "json", "csv"])
def test_nothing_is_listed_where_no_credential_was_answered(
    terminal: Terminal, words: tuple[str, ...], form: tuple[str, ...]
) -> None:
    terminal.use(NOBODYS, f"{NOBODYS}-either")
    ended = terminal.type(*words, *form)

    assert (ended.code, ended.out) == (2, "")
    assert [f"error: credential token-{number}: " in ended.err for number in (1, 2)] == [True, True]


def test_an_empty_list_is_not_said_to_be_all_where_another_one_failed(terminal: Terminal) -> None:
    terminal.use(FIRST, NOBODYS)
    ended = terminal.type("projects", "list", "--logical-id", "nobodys")

    assert (ended.code, ended.out) == (2, "")


# No such thing ------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("project", ("projects", "get", "proj_nope")),
        ("project", ("projects", "get", "nope")),
        ("project", ("databases", "list", "--project", "nope")),
        ("database", ("databases", "get", "db_nope")),
        ("database", ("usage", "nope")),
        ("database", ("backups", "list", "nope")),
        ("connection", ("connections", "get", "con_nope")),
        ("connection", ("connections", "rotate", "nope", "--reveal")),
        ("branch", ("branches", "get", "br_nope")),
        ("branch", ("branches", "get", "br_nope", "--project", "PROJECT")),
        ("branch", ("branches", "get", "nope", "--project", "PROJECT")),
        ("integration", ("integrations", "get", "nope")),
        ("integration", ("integrations", "delete", "itgr_nope", "--yes")),
        ("workspace", ("workspaces", "get", "wksp_nope")),
        ("workspace", ("workspaces", "subscription", "nope")),
        ("service token", ("service-tokens", "delete", "nope", "--yes", "--workspace", "WORKSPACE")),
    ],
)
@pytest.mark.parametrize("tokens", [(FIRST,), (FIRST, SECOND)], ids=["one", "two"])
def test_one_sentence_and_one_status_say_that_there_is_no_such_thing(
    terminal: Terminal, kind: str, words: tuple[str, ...], tokens: tuple[str, ...]
) -> None:
    terminal.use(*tokens)
    known = {"PROJECT": terminal.world.projects(system_clock())[0].id, "WORKSPACE": terminal.world.tokens[FIRST]}
    ended = terminal.type(*(known.get(word, word) for word in words))

    name = next(word for word in words if "nope" in word)
    assert ended.err.startswith(f"error: {name!r}: no {kind} has that id or name; ")
    assert (ended.code, ended.err.count("error: ")) == (1, 1)


# In doubt, and ended ------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("call", "words", "advice"),
    [
        (
            "create_connection",
            ("connections", "create", "application", "--database", "DATABASE", "--reveal"),
            "look before trying again, with `api connections list --database DATABASE`.",
        ),
        (
            "rotate_connection",
            ("connections", "rotate", "CONNECTION", "--reveal", "--yes"),
            "The old credentials may be revoked: rotate again (`api connections rotate CONNECTION --reveal`).",
        ),
        ("create_project", ("projects", "create", "x"), "look before trying again, with `api projects list`."),
        (
            "create_database",
            ("databases", "create", "x", "--project", "PROJECT"),
            "look before trying again, with `api databases list --project PROJECT`.",
        ),
        (
            "delete_database",
            ("databases", "delete", "DATABASE", "--yes"),
            "look before trying again, with `api databases get DATABASE`.",
        ),
        (
            "create_service_token",
            ("service-tokens", "create", "x", "--reveal"),
            "look before trying again, with `api service-tokens list WORKSPACE`.",
        ),
        ("request", ("request", "POST", "/v1/projects", "--body", '{"name": "x"}', "-y"), "look before trying again."),
    ],
)
def test_a_change_in_doubt_says_where_to_look(
    terminal: Terminal, call: str, words: tuple[str, ...], advice: str
) -> None:
    database = terminal.other_id()
    known = {
        "DATABASE": database,
        "CONNECTION": database.replace("db_", "con_"),
        "PROJECT": terminal.world.projects(system_clock())[0].id,
        "WORKSPACE": terminal.world.tokens[FIRST],
    }
    terminal.vendor.simulator.faults.add(
        Fault(kind=FaultKind.RESET, call="create_project" if call == "request" else call)
    )
    ended = terminal.type(*(known.get(word, word) for word in words))

    for name, value in known.items():
        advice = advice.replace(name, value)
    assert (ended.code, ended.err.splitlines()[-1].endswith(advice)) == (3, True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("answer", "code"), [(b"n\n", 1), (b"\x04", 1), (b"\x03", 130)], ids=["no", "Ctrl-D", "Ctrl-C"]
)
def test_no_answer_is_a_no_and_ctrl_c_is_not(terminal: Terminal, answer: bytes, code: int) -> None:
    project = terminal.json("projects", "create", "shop", "--no-database")["id"]
    ours, theirs = os.openpty()
    words = ("api", "projects", "delete", "shop")
    with subprocess.Popen(
        # Ctrl-C is a signal where standard input is the controlling terminal.
        ["setsid", "--ctty", "--wait", sys.executable, "-m", "prisma_postgres_exporter", *words],
        stdin=theirs,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        os.close(theirs)
        assert running.stderr is not None
        shown = ""
        while "[y/N]" not in shown:
            shown += running.stderr.read(1)
        os.write(ours, answer)
        shown += running.stderr.read()
        ended = running.wait(60)
    os.close(ours)

    assert (ended, shown.endswith("Nothing was changed.\n")) == (code, True)
    assert project in {row["id"] for row in terminal.json("projects", "list")}


# Where tokens come from ---------------------------------------------------------------------------
def test_the_variables_of_tokens_are_named_in_the_help_and_where_one_is_refused(terminal: Terminal) -> None:
    terminal.use(NOBODYS)
    shown = (" ".join(terminal.type("--help").out.split()), terminal.type("me").err)

    for variable in ("PRISMA_POSTGRES_TOKEN ", "PRISMA_POSTGRES_TOKEN_FILE", "PRISMA_SERVICE_TOKEN"):
        assert [variable in text for text in shown] == [True, True]


def test_a_host_that_cannot_be_reached_is_named(terminal: Terminal) -> None:
    terminal.vendor.stop()
    port = terminal.vendor.url.rpartition(":")[2]
    ended = terminal.type("projects", "list")

    assert (ended.code, ended.out) == (75, "")
    assert f"cannot connect to 127.0.0.1:{port}: Connect" in ended.err


@pytest.mark.parametrize("method", ["FETCH", "head", "PUT POST"])
def test_a_method_that_is_none_is_refused_before_the_question(terminal: Terminal, method: str) -> None:
    ended = terminal.type("request", method, "/v1/projects")

    assert (ended.code, "give GET, POST, PUT, PATCH or DELETE" in ended.err) == (2, True)
    assert "This will be lost" not in ended.err


def test_a_branch_without_a_name_is_refused_before_the_call(terminal: Terminal) -> None:
    ended = terminal.type("branches", "create", "", "--project", terminal.world.projects(system_clock())[0].id)

    assert (ended.code, "the git name must not be empty" in ended.err) == (2, True)
    assert terminal.vendor.simulator.requests["create_branch"] == 0
