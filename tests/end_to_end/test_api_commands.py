"""Every `api` command: what it does, prints and refuses, and the code it leaves with."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import typer
from api_commands import CREATIONS, FIRST, NOBODYS, SECOND, Terminal, creation, interrupted

from api_page import COMMANDS
from prisma_postgres_exporter.api import operations
from prisma_postgres_exporter.cli import app
from prisma_postgres_exporter.simulator import Fault, FaultKind, system_clock

PASSWORD = "simulated-password"


# The table of operations ---------------------------------------------------------------------------
def words(terminal: Terminal, method: str) -> list[str]:
    """What a command of the table needs to be typed with."""
    database, project = terminal.other_id(), terminal.world.projects(system_clock())[0].id
    connection = database.replace("db_", "con_")
    (token_file := Path("recipient.token")).write_text(SECOND)
    needs: dict[str, list[str]] = {
        "project": [project],
        "create_project": ["made"],
        "update_project": [project, "--name", "renamed"],
        "transfer_project": [project, "--recipient-token-file", str(token_file), "--yes"],
        "project_databases": [project],
        "database": [database],
        "create_database": ["made", "--project", project],
        "update_database": [database, "--name", "renamed"],
        "delete_database": [database, "--yes"],
        "database_connections": [database],
        "connection": [connection],
        "create_connection": ["made", "--database", database, "--reveal"],
        "rotate_connection": [connection, "--reveal", "--yes"],
        "delete_connection": [connection, "--yes"],
        "backups": [database],
        "restore_database": [database, "--backup", "latest", "--yes", "--no-wait"],
        "usage": [database],
        "create_service_token": ["grafana", "--reveal"],
        "delete_service_token": ["exporter", "--yes"],
        "branches": ["--project", project],
        "branch": ["main", "--project", project],
        "create_branch": ["made", "--project", project],
        "update_branch": ["main", "--project", project, "--default"],
        "delete_branch": ["made", "--project", project, "--yes"],
    }
    if method in {"integration", "delete_integration"}:
        return [terminal.json("integrations", "list")[0]["id"], "--yes"][: 1 + method.startswith("delete")]
    if method in {"branch", "update_branch", "delete_branch"}:
        for name in ("main", "made"):
            terminal.json("branches", "create", name, "--project", project)
    return needs.get(method, [])


@pytest.mark.parametrize(("method", "command"), COMMANDS.items(), ids=COMMANDS)
def test_a_command_of_the_table_makes_the_call_that_stands_beside_it(
    terminal: Terminal, method: str, command: str
) -> None:
    if method == "create_workspace":
        refused = terminal.type("workspaces", "create", "Acme")
        assert (refused.code, "403 (permission-denied" in refused.err) == (1, True)
        return
    needed = words(terminal, method)
    if method == "delete_project":
        needed = [terminal.json("projects", "create", "--no-database")["id"], "--yes"]
    ended = terminal.type(*command.split(), *needed)

    assert ended.code == 0, ended.err
    assert terminal.vendor.simulator.requests[method] >= 1


def test_the_table_lists_every_command_that_there_is() -> None:
    tree = typer.main.get_command(app).commands["api"].commands  # type: ignore[attr-defined]  # a group of groups
    there = {f"{name} {inner}" for name, group in tree.items() for inner in getattr(group, "commands", {})}
    there |= {name for name, command in tree.items() if not hasattr(command, "commands")}
    listed = {re.sub(r" --\w+$| (postgres|accelerate)$", "", command) for command in COMMANDS.values()}

    assert listed | {"request"} == there


def test_what_each_command_does_fits_a_line_of_80_columns(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    groups = typer.main.get_command(app).commands["api"].commands  # type: ignore[attr-defined]  # a group of groups
    pages = [terminal.type("--help"), *(terminal.type(name, "--help") for name in groups)]

    lists = [page.out.partition("\nCommands:\n")[2] for page in pages]
    assert sum(map(bool, lists)) == 9
    assert [line for listed in lists for line in listed.splitlines() if line.endswith("...")] == []


# Printing -----------------------------------------------------------------------------------------
def test_a_list_is_the_same_as_table_json_and_csv(terminal: Terminal) -> None:
    rows = terminal.json("databases", "list")
    table = terminal.type("databases", "list").out
    read = list(csv.DictReader(io.StringIO(terminal.type("databases", "list", "--csv").out)))

    assert [row["id"] for row in rows] == [row["id"] for row in read] == re.findall(r"^db_\w+", table, re.MULTILINE)
    assert list(rows[0]) == list(read[0])
    assert {row["is_default"] for row in read} == {"true", "false"}
    help_text = " ".join(terminal.type("databases", "list", "--help").out.split())
    assert f"Keys of JSON and CSV: {', '.join(rows[0])}." in help_text


LISTS = {
    "workspaces": ("workspaces", "list"),
    "service_tokens": ("service-tokens", "list"),
    "integrations": ("integrations", "list"),
    "projects": ("projects", "list"),
    "branches": ("branches", "list", "--project", "PROJECT"),
    "databases": ("databases", "list"),
    "project_databases": ("databases", "list", "--project", "PROJECT"),
    "connections": ("connections", "list"),
    "database_connections": ("connections", "list", "--database", "DATABASE"),
}
"""The commands that print pages of a list, by the method that reads it."""


def list_of_two(terminal: Terminal, method: str) -> list[str]:
    """Type what makes a list have two entries at least, and return what prints it."""
    project, database = terminal.world.projects(system_clock())[0].id, terminal.other_id()
    if method == "workspaces":
        terminal.use(FIRST, SECOND)
    for name in ("one", "two"):
        if method == "service_tokens":
            terminal.json("service-tokens", "create", name, "--reveal")
        if method == "branches":
            terminal.json("branches", "create", name, "--project", project)
        if method == "database_connections":
            terminal.json("connections", "create", f"{name}-of-two", "--database", database, "--reveal")
    return [{"PROJECT": project, "DATABASE": database}.get(word, word) for word in LISTS[method]]


def test_every_list_of_the_table_is_one_that_says_whether_it_is_complete() -> None:
    listing = {method for method, command in COMMANDS.items() if " list" in command}

    assert listing == {*LISTS, "backups"}


@pytest.mark.parametrize("method", LISTS)
def test_a_list_says_that_there_is_more_unless_all_is_wanted(terminal: Terminal, method: str) -> None:
    words = list_of_two(terminal, method)
    some = terminal.type(*words, "--limit", "1", "--json")
    every = terminal.type(*words, "--limit", "1", "--all", "--json")

    assert (some.code, some.err) == (0, "There is more: --all prints everything.\n")
    assert (every.code, every.err) == (0, "")
    assert (len(some.document["data"]), some.document["has_more"], some.document["is_complete"]) == (1, True, False)
    assert len(every.document["data"]) > 1
    assert (every.document["has_more"], every.document["is_complete"]) == (False, True)


@pytest.mark.parametrize("method", LISTS)
def test_a_list_that_is_cut_is_shown_and_said_to_be_incomplete(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    words = list_of_two(terminal, method)
    every = terminal.json(*words, "--all")
    operation = getattr(operations, method.upper())

    def cut(document: Any, at: Any) -> Any:
        return replace(operation.shape(document, at), next_cursor=None, is_cut=True)

    monkeypatch.setattr(operations, method.upper(), replace(operation, shape=cut))
    ended = terminal.type(*words, "--all", "--json")

    assert (ended.code, ended.document["data"]) == (1, every)
    assert (ended.document["has_more"], ended.document["is_complete"]) == (True, False)
    assert "There is more: the API gave no way to it.\n" in ended.err
    assert ": the list is not complete: there is more, and no cursor to it\n" in ended.err


def test_a_list_whose_later_page_fails_shows_what_came(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    every, operation = terminal.json("databases", "list"), operations.DATABASES

    def leading_nowhere(document: Any, at: Any) -> Any:
        return replace(operation.shape(document, at), next_cursor="nowhere")

    monkeypatch.setattr(operations, "DATABASES", replace(operation, shape=leading_nowhere))
    ended = terminal.type("databases", "list", "--all", "--json")

    assert (ended.code, ended.document["data"], ended.document["is_complete"]) == (1, every, False)
    assert "error: GET /v1/databases answered 422" in ended.err


@pytest.mark.parametrize("method", [*LISTS, "backups", "regions"])
def test_a_record_that_cannot_be_read_makes_a_list_incomplete(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    others = {"backups": ["backups", "list", terminal.other_id()], "regions": ["regions"]}
    words = others.get(method) or list_of_two(terminal, method)
    operation = getattr(operations, method.upper())

    def odd(document: Any, at: Any) -> Any:
        document["data"][0] = {"id": 7, "password": PASSWORD}
        return operation.shape(document, at)

    monkeypatch.setattr(operations, method.upper(), replace(operation, shape=odd))
    ended = terminal.type(*words, "--json")

    assert (ended.code, ended.document["is_complete"]) == (1, False)
    assert "the list is not complete: 1 record could not be read: without an id (" in ended.err
    assert PASSWORD not in ended.err


@pytest.mark.parametrize("words", [["me"], ["regions", "accelerate"], ["usage"]])
def test_a_list_without_pages_says_that_it_is_complete(terminal: Terminal, words: list[str]) -> None:
    ended = terminal.type(*words, "--json")

    assert (ended.code, ended.document["is_complete"], ended.document["has_more"]) == (0, True, False)


def test_usage_that_is_missing_of_some_databases_is_not_complete(terminal: Terminal) -> None:
    terminal.vendor.simulator.faults.add(Fault(kind=FaultKind.NOT_FOUND, call="usage", database_id=terminal.other_id()))
    ended = terminal.type("usage", "--json")

    assert (ended.code, len(ended.document["data"]), ended.document["is_complete"]) == (1, 5, False)
    assert f"GET /v1/databases/{terminal.other_id()}/usage answered 404" in ended.err


def test_json_and_csv_together_are_refused(terminal: Terminal) -> None:
    ended = terminal.type("projects", "list", "--json", "--csv")

    assert (ended.code, ended.err.strip()) == (2, "error: --json and --csv: give one of them")


def test_several_credentials_list_what_each_sees(terminal: Terminal) -> None:
    alone = terminal.names("projects", "list")
    terminal.use(FIRST, SECOND)
    both = terminal.json("projects", "list", "--all")

    assert [row["name"] for row in both][: len(alone)] == alone
    assert len({row["workspace_id"] for row in both}) == 2
    name = terminal.json("workspaces", "list")[1]["name"]
    assert {row["workspace_name"] for row in terminal.json("projects", "list", "--workspace", name)} == {name}


def test_one_refused_credential_hides_nothing_of_the_others_and_is_told(terminal: Terminal) -> None:
    alone = terminal.json("databases", "list")
    terminal.use(NOBODYS, FIRST)
    ended = terminal.type("databases", "list", "--json")

    assert (ended.code, ended.document["data"]) == (2, alone)
    assert (ended.document["has_more"], ended.document["is_complete"]) == (False, False)
    assert (
        "error: credential token-1: GET /v1/databases answered 401 (authentication-failed: The token is not valid)"
        in ended.err
    )
    assert NOBODYS not in ended.err + ended.out


def test_a_name_does_nothing_to_a_terminal(terminal: Terminal) -> None:
    name = "a\x1b[2Jb\r\nc\N{RIGHT-TO-LEFT OVERRIDE}d"
    terminal.json("projects", "create", name)
    shown = [terminal.type("projects", "list").out, terminal.type("projects", "get", name).out]
    asked = terminal.type("projects", "delete", name)

    assert ["a\\x1b[2Jb\\r\\nc\\u202ed" in text for text in shown] == [True, True]
    assert not {"\x1b", "\r", "\N{RIGHT-TO-LEFT OVERRIDE}"} & set("".join(shown) + asked.err)
    assert name in terminal.names("projects", "list")


# Names --------------------------------------------------------------------------------------------
def test_a_name_that_two_have_is_refused_with_the_candidates(terminal: Terminal) -> None:
    first, second = (terminal.json("projects", "create", "twin")["id"] for _ in range(2))
    ended = terminal.type("projects", "update", "twin", "--name", "single")

    assert ended.code == 2
    assert "2 projects have that name" in ended.err
    assert first in ended.err
    assert second in ended.err
    assert terminal.vendor.simulator.requests["update_project"] == 0
    assert terminal.json("projects", "update", first, "--name", "single")["name"] == "single"
    assert terminal.json("projects", "get", "TWIN")["id"] == second


def test_a_name_that_nobody_has_is_refused_with_the_nearest(terminal: Terminal) -> None:
    terminal.json("projects", "create", "warehouse")
    ended = terminal.type("projects", "get", "warehuose")

    assert ended.code == 1
    assert "'warehuose': no project has that id or name; did you mean project 'warehouse'" in ended.err


def test_a_project_narrows_the_names_of_databases(terminal: Terminal) -> None:
    here, there = (terminal.json("projects", "create", name, "--no-database") for name in ("here", "there"))
    made = {
        place["id"]: terminal.json("databases", "create", "twin", "--project", place["id"]) for place in (here, there)
    }

    assert terminal.type("databases", "get", "twin").code == 2
    found = terminal.json("databases", "get", "twin", "--project", "here")
    assert found["id"] == made[here["id"]]["id"]
    elsewhere = terminal.type("databases", "get", found["id"], "--project", "there")
    assert (elsewhere.code, "is in project 'here'" in elsewhere.err) == (2, True)


def test_an_id_is_found_with_whatever_credential_reaches_it(terminal: Terminal) -> None:
    terminal.use(NOBODYS, SECOND, FIRST)
    wanted = terminal.other_id()

    assert terminal.json("databases", "get", wanted)["id"] == wanted
    by_name = terminal.type("databases", "get", "anything")
    assert (by_name.code, "401" in by_name.err) == (2, True)


@pytest.mark.parametrize("name", ["db_prod", "db_prod.eu"])
def test_a_name_that_looks_like_an_id_is_found(terminal: Terminal, name: str) -> None:
    terminal.json("projects", "create", "shop")
    made = terminal.json("databases", "create", name, "--project", "shop")
    other = terminal.json("databases", "create", made["id"].replace("db_", ""), "--project", "shop")

    assert terminal.json("databases", "get", name)["id"] == made["id"]
    assert terminal.json("databases", "get", made["id"])["id"] == made["id"] != other["id"]
    missing = terminal.type("databases", "get", "db_none")
    assert (missing.code, "'db_none': no database has that id or name; " in missing.err) == (1, True)


def test_an_id_of_another_kind_is_refused_before_any_call(terminal: Terminal) -> None:
    ended = terminal.type("databases", "list", "--branch-id", "db_1")

    assert ended.code == 2
    assert "an id of another kind, expected br_" in ended.err
    assert terminal.vendor.simulator.requests == {}


# Projects and databases ---------------------------------------------------------------------------
def test_a_region_that_is_none_is_refused_with_the_nearest(terminal: Terminal) -> None:
    ended = terminal.type("projects", "create", "shop", "--region", "eu-central")

    assert ended.code == 2
    assert "did you mean eu-central-1?" in ended.err
    assert terminal.vendor.simulator.requests["create_project"] == 0


def test_where_there_are_several_workspaces_a_new_project_needs_one(terminal: Terminal) -> None:
    terminal.use(FIRST, SECOND)
    ended = terminal.type("projects", "create", "shop")
    assert (ended.code, "--workspace: say which one" in ended.err) == (2, True)
    unnamed = terminal.type("workspaces", "get")
    assert (unnamed.code, "--workspace: say which workspace is meant" in unnamed.err) == (2, True)

    wanted = terminal.world.tokens[SECOND]
    assert terminal.json("projects", "create", "shop", "--workspace", wanted)["workspace_id"] == wanted
    assert terminal.type("projects", "create", "shop", "--workspace", "elsewhere").code == 1


def test_a_workspace_name_that_two_have_is_refused_with_their_ids(terminal: Terminal) -> None:
    terminal.use(FIRST, SECOND)
    for workspace_id in terminal.world.tokens.values():
        terminal.world.rename_workspace(workspace_id, "Twin", at=system_clock())
    ended = terminal.type("projects", "list", "--workspace", "Twin")

    assert ended.code == 2
    assert all(workspace_id in ended.err for workspace_id in terminal.world.tokens.values())


def test_a_database_is_deleted_only_after_what_is_lost_was_shown(terminal: Terminal) -> None:
    database_id = terminal.other_id()
    asked = terminal.type("databases", "delete", database_id)
    assert asked.code == 2
    assert "GiB stored" in asked.err
    assert "it is in use:" in asked.err
    assert "add --yes" in asked.err
    assert terminal.world.database(database_id, system_clock()) is not None

    done = terminal.type("databases", "delete", database_id, "--yes")
    assert (done.code, "This will be lost:" in done.err) == (0, True)
    assert terminal.world.database(database_id, system_clock()) is None


def test_losses_that_are_not_known_are_said_to_be_so(terminal: Terminal) -> None:
    terminal.vendor.simulator.faults.add(Fault(kind=FaultKind.NOT_FOUND, call="usage"))
    asked = terminal.type("databases", "delete", terminal.other_id())

    assert "how much that is, is not known" in asked.err


@pytest.mark.parametrize(
    ("arguments", "call"),
    [(("delete",), "delete_database"), (("restore", "--backup", "latest"), "restore_database")],
)
def test_a_default_database_is_refused_before_the_call(
    terminal: Terminal, arguments: tuple[str, ...], call: str
) -> None:
    command, *rest = arguments
    ended = terminal.type("databases", command, terminal.default_id(), *rest, "--yes")

    assert ended.code == 1
    assert "is the default database of project" in ended.err
    assert terminal.vendor.simulator.requests[call] == 0


def test_what_the_api_refuses_is_shown_with_code_message_and_hint(terminal: Terminal) -> None:
    project = terminal.json("projects", "create", "shop")
    terminal.json("databases", "create", "orders", "--project", "shop")
    ended = terminal.type("projects", "delete", project["id"], "--yes")

    assert ended.code == 1
    assert "400 (client-error: The project still has 1 database besides its default one)" in ended.err
    assert "hint: Delete them first" in ended.err
    assert "Trying again will not help." in ended.err
    assert "default database" in ended.err
    assert "database 'orders'" in ended.err


def test_a_project_is_given_away_by_a_token_that_no_output_shows(terminal: Terminal) -> None:
    project = terminal.json("projects", "create", "shop")
    Path("recipient.token").write_text("wrong-recipients-token\n")
    refused = terminal.type("projects", "transfer", "shop", "--recipient-token-file", "recipient.token", "--yes")
    assert refused.code == 2
    assert "error: --recipient-token-file recipient.token: GET /v1/me answered 401" in refused.err
    assert terminal.vendor.simulator.requests["transfer_project"] == 0
    assert "wrong-recipients-token" not in refused.err + refused.out

    Path("recipient.token").write_text(SECOND)
    words = ("projects", "transfer", "shop", "--recipient-token-file", "recipient.token")
    asked, done = terminal.type(*words), terminal.type(*words, "--yes")
    terminal.use(SECOND)
    recipient = terminal.json("me")[0]
    theirs = f"to workspace {recipient['workspace_name']!r} ({recipient['workspace_id']})"
    assert (asked.code, f"Give project 'shop' {theirs}?" in asked.err) == (2, True)
    assert (done.code, done.err.splitlines()[-1]) == (0, f"Transferred project 'shop' ({project['id']}) {theirs}.")
    again = terminal.type(*words, "--yes")
    assert (again.code, f"is in workspace {theirs.removeprefix('to workspace ')} already" in again.err) == (2, True)
    assert terminal.json("databases", "list", "--project", project["id"])[0]["id"] == project["database_id"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("projects", "update", "x"), "nothing to change: give --name or --settings"),
        (("projects", "update", "x", "--settings", "[1]"), "must be a JSON object"),
        (("projects", "update", "x", "--settings", "{"), "not JSON"),
        (("projects", "transfer", "x", "--recipient-token-file", "none"), "cannot be read"),
        (("databases", "update", "x"), "nothing to change"),
        (("databases", "list", "--branch", "a", "--branch-id", "b"), "give one of them"),
        (("databases", "create", "--project", "x", "--source-backup", "y"), "with --source"),
        (("databases", "restore", "x", "--backup", "y", "--timeout", "soon"), "--timeout"),
        (("connections", "create", "app", "--database", "x"), "--reveal: required"),
        (("usage", "--from", "2199-01-01"), "--from 2199-01-01: is in the future"),
        (("usage", "--from", "november"), "write it like 2026-11-01"),
        (("usage", "--from", "2026-11-02", "--to", "2026-11-01"), "give the earlier one first"),
        (("regions", "moon"), "'postgres', 'accelerate'"),
        (("branches", "update", "x"), "nothing to change: give --default"),
        (("request", "GET", "/v1/projects", "--query", "limit"), "write it like limit=10"),
        (("request", "POST", "/v1/projects", "--body", "{"), "not JSON"),
        (("request", "POST", "/v1/projects", "--body", "@none"), "cannot be read"),
        (("databases", "list", "--limit", "0"), "must be at least 1"),
        (("projects", "lst"), "Did you mean 'list'"),
    ],
)
def test_a_wrong_argument_is_told_what_is_accepted(terminal: Terminal, arguments: tuple[str, ...], said: str) -> None:
    ended = terminal.type(*arguments)

    assert ended.code == 2
    assert said in " ".join(ended.err.replace("│", " ").split())
    assert terminal.vendor.simulator.requests == {}


# Backups, connections, usage ----------------------------------------------------------------------
def test_a_restore_waits_until_the_database_is_ready(terminal: Terminal) -> None:
    database_id = terminal.other_id()
    ended = terminal.type("databases", "restore", database_id, "--backup", "latest", "--yes", "--json")

    assert (ended.code, ended.document["data"]["status"]) == (0, "ready")
    assert "everything written to" in ended.err
    assert f"{database_id} recovering\n{database_id} ready\n" in ended.err


def test_a_database_that_recovers_is_not_restored_again_and_may_be_later(terminal: Terminal) -> None:
    database_id = terminal.other_id()
    terminal.world.change_status(database_id, "recovering", at=system_clock())
    ended = terminal.type("databases", "restore", database_id, "--backup", "latest", "--yes")

    assert (ended.code, "is recovering" in ended.err) == (75, True)
    assert terminal.vendor.simulator.requests["restore_database"] == 0


def test_a_restore_that_is_not_ready_in_time_may_be_looked_at_later(terminal: Terminal) -> None:
    vendor = terminal.vendor.simulator.vendor
    vendor.behaviour = replace(vendor.behaviour, restore_takes=timedelta(hours=1))
    words = ("databases", "restore", terminal.other_id(), "--backup", "latest", "--yes", "--timeout", "1s", "--json")
    ended = terminal.type(*words)

    assert (ended.code, "not ready after 1 s;" in ended.err) == (3, True)
    assert f"It goes on: look with `api databases get {ended.document['data']['id']}`." in ended.err
    assert ended.document["data"]["status"] == "recovering"


def test_a_default_database_is_overwritten_when_that_is_said(terminal: Terminal) -> None:
    words = ("databases", "restore", terminal.default_id(), "--backup", "latest", "--overwrite-default", "--yes")

    assert terminal.type(*words, "--from", terminal.other_id(), "--no-wait").code == 0


def test_a_backup_that_is_none_is_refused_with_the_newest(terminal: Terminal) -> None:
    database_id = terminal.other_id()
    backups = terminal.json("backups", "list", database_id)
    newest = next(backup for backup in backups if backup["status"] == "completed")
    ended = terminal.type("databases", "restore", database_id, "--backup", "none", "--yes")

    assert (ended.code, f"the newest completed one is {newest['id']}" in ended.err) == (2, True)


def test_backups_are_listed_with_their_retention(terminal: Terminal) -> None:
    ended = terminal.type("backups", "list", terminal.other_id(), "--json", "--limit", "2")

    assert (len(ended.document["data"]), ended.document["retention_days"]) == (2, 7)
    assert "Backups are kept for 7 days." in ended.err


def test_backups_that_a_higher_limit_shows_are_said_to_be_there(terminal: Terminal) -> None:
    some = terminal.type("backups", "list", terminal.other_id(), "--json", "--limit", "1")
    every = terminal.type("backups", "list", terminal.other_id(), "--json")

    assert (some.document["has_more"], "There is more: a higher --limit shows it." in some.err) == (True, True)
    assert (every.document["has_more"], "There is more" in every.err) == (False, False)


def test_connection_strings_are_printed_only_when_asked_for(terminal: Terminal) -> None:
    database_id = terminal.other_id()
    shown = terminal.json("connections", "create", "application", "--database", database_id, "--reveal")
    assert shown["pooled_connection_string"].startswith("postgres://simulated-user:simulated-password@")
    rotated = terminal.json("connections", "rotate", "application", "--database", database_id, "--reveal", "--yes")
    assert rotated["direct_connection_string"] not in {None, shown["direct_connection_string"]}

    hidden = [
        terminal.type("projects", "create", "shop"),
        terminal.type("databases", "create", "orders", "--project", "shop", "--csv"),
        terminal.type("connections", "get", shown["id"]),
        terminal.type("connections", "list", "--all", "--json"),
        terminal.type("databases", "get", database_id, "--json"),
    ]
    assert [ended.code for ended in hidden] == [0] * len(hidden)
    assert [ended for ended in hidden if PASSWORD in ended.out + ended.err] == []
    revealed = terminal.type("databases", "create", "bills", "--project", "shop", "--reveal")
    assert PASSWORD in revealed.out
    assert PASSWORD not in revealed.err


def test_what_can_be_had_with_its_secrets_only_is_refused_without_them_before_anything_happens(
    terminal: Terminal,
) -> None:
    connection = terminal.json("connections", "list")[0]["id"]
    terminal.vendor.simulator.requests.clear()
    for words in (
        ("connections", "rotate", connection, "--yes"),
        ("connections", "create", "application", "--database", terminal.other_id()),
        ("service-tokens", "create", "grafana"),
    ):
        ended = terminal.type(*words)
        assert (ended.code, "--reveal: required" in ended.err) == (2, True)

    assert terminal.vendor.simulator.requests == {}


def test_a_creation_whose_answer_cannot_be_read_shows_its_connection_strings_all_the_same(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies = {name: getattr(operations, name).shape for name in ("CREATE_CONNECTION",)}

    def unreadable(document: Any, _: object) -> Any:
        document["data"]["id"] = 7
        return bodies["CREATE_CONNECTION"](document, None)

    monkeypatch.setattr(operations, "CREATE_CONNECTION", replace(operations.CREATE_CONNECTION, shape=unreadable))
    ended = terminal.type(
        "connections", "create", "application", "--database", terminal.other_id(), "--reveal", "--json"
    )

    assert ended.code == 3
    assert all(PASSWORD in row["shown_once"] for row in ended.document["data"])
    assert PASSWORD not in ended.err
    assert "application" in terminal.names("connections", "list", "--all")


def test_a_creation_whose_answer_is_cut_short_shows_the_strings_that_came_whole(terminal: Terminal) -> None:
    # A long name puts the strings of the database before the middle.
    terminal.vendor.simulator.faults.add(Fault(kind=FaultKind.HALF_BODY, call="create_connection"))
    words = ("connections", "create", "x" * 65, "--database", terminal.other_id(), "--reveal", "--json")
    ended = terminal.type(*words)

    assert (ended.code, "the body was cut short" in ended.err) == (3, True)
    strings = [row["shown_once"] for row in ended.document["data"]]
    assert strings
    assert all(re.fullmatch(r"\S+://\S+\?sslmode=require", one) for one in strings)


def test_secrets_of_an_answer_that_is_cut_short_are_printed_in_the_form_that_was_asked_for(terminal: Terminal) -> None:
    terminal.vendor.simulator.faults.add(Fault(kind=FaultKind.HALF_BODY, call="create_connection"))
    words = ("connections", "create", "x" * 65, "--database", terminal.other_id(), "--reveal")

    (row,) = csv.DictReader(io.StringIO(terminal.type(*words, "--csv").out))
    assert (row["kind"], PASSWORD in row["shown_once"]) == ("direct", True)
    assert re.match(r"kind +shown once\s+direct +postgres://", terminal.type(*words).out)


@pytest.mark.parametrize("method", CREATIONS)
def test_a_creation_prints_the_secrets_that_no_column_has(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    operation = getattr(operations, method.upper())

    def unheld(document: Any, at: Any) -> Any:
        known = {name: value for name, value in document["data"].items() if name in {"id", "name", "createdAt"}}
        return operation.shape({"data": known}, at)

    monkeypatch.setattr(operations, method.upper(), replace(operation, shape=unheld))
    words = creation(terminal, method)
    revealed = terminal.type(*words, "--reveal", "--json")
    hidden = terminal.type(*words, "--json")

    assert (revealed.code, "also shown this once: " in revealed.err) == (0, True)
    if method in {"create_project", "create_database"}:
        assert (hidden.code, PASSWORD in revealed.err) == (0, True)
        assert "--reveal would have shown" in hidden.err
    else:
        assert (hidden.code, "--reveal: required" in hidden.err) == (2, True)
    assert PASSWORD not in hidden.out + hidden.err


@pytest.mark.parametrize("flags", [(), ("--json",), ("--csv",)])
def test_a_token_that_was_created_without_its_value_is_said_to_be_useless(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, flags: tuple[str, ...]
) -> None:
    shape = operations.CREATE_SERVICE_TOKEN.shape

    def without_value(document: Any, at: Any) -> Any:
        del document["data"]["value"]
        return shape(document, at).model_copy(update={"shown_once": ()})

    patched = replace(operations.CREATE_SERVICE_TOKEN, shape=without_value)
    monkeypatch.setattr(operations, "CREATE_SERVICE_TOKEN", patched)
    monkeypatch.setattr("prisma_postgres_exporter.api.decode._with_the_rest", lambda made, body: made)
    ended = terminal.type("service-tokens", "create", "grafana", "--reveal", *flags)
    made = next(row["id"] for row in terminal.json("service-tokens", "list") if row["name"] == "grafana")

    assert (ended.code, "the answer does not have its value" in ended.err) == (3, True)
    assert f"Delete it (`api service-tokens delete {made}`), and create another." in ended.err


def test_a_new_database_is_in_the_region_of_its_project_unless_another_is_said(terminal: Terminal) -> None:
    terminal.json("projects", "create", "shop", "--region", "eu-central-1")
    made = terminal.json("databases", "create", "orders", "--project", "shop", "--wait")
    elsewhere = terminal.json("databases", "create", "logs", "--project", "shop", "--region", "us-west-1")

    assert (made["region"], elsewhere["region"]) == ("eu-central-1", "us-west-1")
    refused = terminal.type("projects", "create", "other", "--region", "inherit")
    assert (refused.code, "no such region" in refused.err) == (2, True)


def test_a_creation_that_is_waited_for_is_printed_once_with_its_status_at_the_end(terminal: Terminal) -> None:
    vendor = terminal.vendor.simulator.vendor
    vendor.behaviour = replace(vendor.behaviour, creation_takes=timedelta(seconds=1))
    project = terminal.world.projects(system_clock())[0].id
    words = ("databases", "create", "orders", "--project", project, "--wait", "--reveal")
    made = terminal.json(*words)

    assert (made["status"], PASSWORD in made["direct_connection_string"]) == ("ready", True)
    assert re.findall(r"^status +(.*)$", terminal.type(*words).out, re.MULTILINE) == ["ready"]


def test_a_creation_prints_its_strings_though_the_wait_fails(terminal: Terminal) -> None:
    vendor = terminal.vendor.simulator.vendor
    vendor.behaviour = replace(vendor.behaviour, creation_takes=timedelta(hours=1))
    project = terminal.world.projects(system_clock())[0].id
    words = ("databases", "create", "orders", "--project", project, "--wait", "--timeout", "1s", "--reveal", "--json")
    ended = terminal.type(*words)

    assert (ended.code, "not ready after 1 s;" in ended.err) == (3, True)
    assert f"It goes on: look with `api databases get {ended.document['data']['id']}`." in ended.err
    assert "Try again later" not in ended.err
    assert PASSWORD in ended.document["data"]["direct_connection_string"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_wait_that_is_ended_still_prints_the_strings(terminal: Terminal, number: signal.Signals) -> None:
    vendor = terminal.vendor.simulator.vendor
    vendor.behaviour = replace(vendor.behaviour, creation_takes=timedelta(hours=1))
    project = terminal.world.projects(system_clock())[0].id
    words = ("databases", "create", "orders", "--project", project, "--wait", "--reveal", "--json")
    code, out, err = interrupted(terminal, number, "database", *words)

    made = json.loads(out)["data"]
    assert (code, PASSWORD in made["direct_connection_string"]) == (130, True)
    assert err.splitlines()[-1] == f"It goes on: look with `api databases get {made['id']}`."


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_whoever_ends_a_creation_is_told_that_it_may_be_there(terminal: Terminal, number: signal.Signals) -> None:
    terminal.vendor.simulator.faults.add(Fault(kind=FaultKind.SLOW, call="create_project", seconds=60))
    code, out, err = interrupted(terminal, number, "create_project", "projects", "create", "shop")

    assert (code, out) == (130, "")
    assert "POST /v1/projects was under way: it may have been done all the same." in err
    assert "look before trying again, with `api projects list`." in err


def test_strings_that_were_to_be_revealed_and_are_not_there_are_said_to_be_missing(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape = operations.ROTATE_CONNECTION.shape

    def without_strings(document: Any, at: Any) -> Any:
        data = {name: value for name, value in document["data"].items() if name in {"id", "name"}}
        return shape({"data": data}, at)

    monkeypatch.setattr(operations, "ROTATE_CONNECTION", replace(operations.ROTATE_CONNECTION, shape=without_strings))
    connection = terminal.json("connections", "list")[0]["id"]
    ended = terminal.type("connections", "rotate", connection, "--reveal", "--yes")

    advice = f"`api connections rotate {connection} --reveal` makes new ones"
    assert (ended.code, f"The answer has no connection strings; {advice}." in ended.err) == (0, True)


# Branches, credentials, and the rest of the API ---------------------------------------------------
def test_a_branch_is_known_by_its_name_and_shown_by_it(terminal: Terminal) -> None:
    terminal.json("projects", "create", "shop", "--no-database")
    terminal.json("branches", "create", "main", "--project", "shop")
    made = terminal.json("databases", "create", "orders", "--project", "shop", "--branch", "feature/cart")
    main, cart = terminal.json("branches", "list", "--project", "shop")
    assert (main["role"], cart["git_name"], cart["id"]) == ("production", "feature/cart", made["branch_id"])
    assert terminal.json("branches", "list", "--project", "shop", "--contains", "cart") == [cart]

    found = terminal.json("databases", "list", "--branch", "feature/cart")
    assert [(row["id"], row["branch_name"]) for row in found] == [(made["id"], "feature/cart")]
    assert terminal.json("databases", "get", "orders")["branch_name"] == "feature/cart"
    words = ("--project", "shop", "--branch", "feature/cart", "--logical-id", "second")
    second = terminal.json("databases", "create", "second", *words)
    assert (second["branch_id"], second["logical_id"]) == (cart["id"], "second")
    moved = terminal.json("databases", "update", "second", "--branch", "main", "--logical-id", "moved")
    assert (moved["branch_name"], moved["logical_id"]) == ("main", "moved")

    busy = terminal.type("branches", "delete", "feature/cart", "--project", "shop", "--yes")
    assert (busy.code, "409" in busy.err) == (1, True)
    unknown = terminal.type("branches", "get", "feature/none", "--project", "shop")
    assert (unknown.code, "project 'shop' has main, feature/cart" in unknown.err) == (1, True)
    homeless = terminal.type("branches", "get", "main")
    assert (homeless.code, "add --project" in homeless.err) == (2, True)


def test_lists_that_cannot_ask_for_the_names_of_branches_say_so(terminal: Terminal) -> None:
    made = terminal.json("projects", "create", "shop", "--no-database")["id"]
    terminal.json("databases", "create", "orders", "--project", made, "--branch", "main")
    terminal.vendor.simulator.faults.add(Fault(kind=FaultKind.FORBIDDEN, call="branches"))
    ended = terminal.type("databases", "list", "--json")

    assert ended.code == 0
    assert {row["branch_name"] for row in ended.document["data"]} == {None}
    assert "The names of branches are not known" in ended.err


def test_a_service_token_is_made_and_deleted_by_name(terminal: Terminal) -> None:
    made = terminal.json("service-tokens", "create", "grafana", "--reveal")
    terminal.use(made["value"])
    assert terminal.json("me")[0]["name"] == "grafana"
    terminal.use(FIRST)

    assert made["value"] not in terminal.type("service-tokens", "list", "--json").out
    terminal.json("service-tokens", "create", "grafana", "--reveal")
    several = terminal.type("service-tokens", "delete", "grafana", "--yes")
    assert (several.code, made["id"] in several.err) == (2, True)
    assert terminal.type("service-tokens", "delete", made["id"], "--yes").code == 0
    assert made["id"] not in {row["id"] for row in terminal.json("service-tokens", "list")}


def test_the_token_in_use_is_named_before_it_is_deleted(terminal: Terminal) -> None:
    made = terminal.json("service-tokens", "create", "grafana", "--reveal")
    other = terminal.type("service-tokens", "delete", made["id"])
    terminal.use(made["value"])
    own = terminal.type("service-tokens", "delete", made["id"])

    said = ": this is the token you are using now"
    assert (other.code, said in other.err, own.code, said in own.err) == (2, False, 2, True)


@pytest.mark.parametrize("group", ["service-tokens", "integrations"])
def test_a_workspace_is_named_by_the_option_too(terminal: Terminal, group: str) -> None:
    terminal.use(FIRST, SECOND)
    wanted = terminal.world.tokens[SECOND]
    unnamed = terminal.type(group, "list")

    assert (unnamed.code, "--workspace: say which workspace is meant" in unnamed.err) == (2, True)
    assert terminal.json(group, "list", "--workspace", wanted) == terminal.json(group, "list", wanted)
    assert terminal.type(group, "list", wanted, "--workspace", "other").code == 2


def test_an_integration_is_got_and_revoked_in_a_workspace(terminal: Terminal) -> None:
    terminal.use(FIRST, SECOND)
    wanted = terminal.world.tokens[SECOND]
    found = terminal.json("integrations", "list", "--workspace", wanted)[0]

    assert terminal.json("integrations", "get", found["id"], "--workspace", wanted) == found
    assert terminal.type("integrations", "delete", found["id"], "--workspace", wanted, "--yes").code == 0


def test_an_integration_is_shown_and_revoked(terminal: Terminal) -> None:
    found, *others = terminal.json("integrations", "list")
    asked = terminal.type("integrations", "delete", found["id"])
    assert (asked.code, str(found["client_name"]) in asked.err) == (2, True)
    assert terminal.type("integrations", "delete", found["id"], "--yes").code == 0
    assert terminal.json("integrations", "list") == others


def test_any_request_can_be_made_and_a_change_is_asked_about(terminal: Terminal) -> None:
    project = terminal.json("projects", "create", "shop")["id"]
    shown = terminal.type("request", "GET", f"/v1/projects/{project}").document
    assert shown["data"]["name"] == "shop"
    listed = terminal.type("request", "get", "/v1/projects", "--query", "limit=1").document
    assert len(listed["data"]) == 1

    asked = terminal.type("request", "PATCH", f"/v1/projects/{project}", "--body", '{"name": "store"}')
    assert (asked.code, "add --yes" in asked.err) == (2, True)
    Path("body.json").write_text('{"name": "store"}')
    changed = terminal.type("request", "PATCH", f"/v1/projects/{project}", "--body", "@body.json", "--yes").document
    assert changed["data"]["name"] == "store"
    gone = terminal.type("request", "DELETE", f"/v1/projects/{project}", "--yes")
    assert (gone.code, gone.out) == (0, "")
    unknown = terminal.type("request", "GET", "/v1/buckets")
    assert (unknown.code, "GET /v1/buckets answered 404" in unknown.err) == (1, True)


def test_usage_is_the_vendors_for_one_database_or_each(terminal: Terminal) -> None:
    (one,) = terminal.json("usage", terminal.other_id(), "--from", "2026-11-01", "--to", "2026-11-02")
    every = terminal.json("usage")

    assert (one["period_start_at"], one["period_end_at"]) == (
        "2026-11-01T00:00:00+00:00",
        "2026-11-02T23:59:59.999000+00:00",
    )
    assert len(every) == 6
    assert all(row["storage_bytes"] for row in every)
    assert len(terminal.json("usage", "--project", every[0]["project_id"])) == 3


def test_databases_without_usage_leave_the_others_and_are_told_once(terminal: Terminal) -> None:
    terminal.vendor.simulator.faults.add(Fault(kind=FaultKind.NOT_FOUND, call="usage", database_id=terminal.other_id()))
    ended = terminal.type("usage", "--json")

    assert (ended.code, len(ended.document["data"])) == (1, 5)
    assert ended.err.count("error:") == 1


# Exit codes ---------------------------------------------------------------------------------------
def test_a_deletion_that_may_have_been_done_is_not_said_to_be_undone(terminal: Terminal) -> None:
    terminal.vendor.simulator.faults.add(Fault(kind=FaultKind.RESET, call="delete_database"))
    ended = terminal.type("databases", "delete", terminal.other_id(), "--yes")

    assert (ended.code, "look before trying again" in ended.err) == (3, True)


@pytest.mark.parametrize(
    ("fault", "code", "said"),
    [
        (Fault(kind=FaultKind.THROTTLED, call="create_project", retry_after="90"), 75, "Try again in 1m30s."),
        (Fault(kind=FaultKind.SERVER_ERROR, call="create_project"), 3, "look before trying again"),
        (Fault(kind=FaultKind.RESET, call="create_project"), 3, "look before trying again"),
        (Fault(kind=FaultKind.NOT_JSON, call="create_project", status=201), 3, "look before trying again"),
        (Fault(kind=FaultKind.FORBIDDEN, call="create_project"), 1, "permission-denied: The token may not do this"),
        (Fault(kind=FaultKind.PLAN_LIMIT, call="create_project"), 1, "planLimitReached"),
        (Fault(kind=FaultKind.UNAUTHORIZED, call="create_project"), 2, "Correct that"),
    ],
)
def test_the_exit_code_says_whether_trying_again_can_help(
    terminal: Terminal, fault: Fault, code: int, said: str
) -> None:
    terminal.vendor.simulator.faults.add(fault)
    ended = terminal.type("projects", "create", "shop")

    assert ended.code == code
    assert said in ended.err
    assert terminal.vendor.simulator.requests["create_project"] == 1


def test_a_vendor_that_is_down_may_be_asked_again_later(terminal: Terminal) -> None:
    terminal.vendor.stop()
    ended = terminal.type("me")

    assert (ended.code, "cannot connect" in ended.err) == (75, True)


# People -------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("answer", "code"), [("n", 1), ("y", 0)])
def test_a_person_is_asked_and_the_answer_counts(terminal: Terminal, answer: str, code: int) -> None:
    project = terminal.json("projects", "create", "shop")
    ours, theirs = os.openpty()
    os.write(ours, f"{answer}\n".encode())
    with open(theirs, "rb") as stdin:
        ended = subprocess.run(
            [sys.executable, "-m", "prisma_postgres_exporter", "api", "projects", "delete", "shop"],
            stdin=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    os.close(ours)

    assert ended.returncode == code, ended.stderr
    assert "Delete project 'shop'? [y/N]" in ended.stderr
    assert (project["id"] in {row["id"] for row in terminal.json("projects", "list")}) is (answer == "n")


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("prisma-postgres-exporter api ", {"projects", "databases", "connections", "service-tokens", "usage"}),
        ("prisma-postgres-exporter api databases re", {"restore"}),
        ("prisma-postgres-exporter api databases restore x --over", {"--overwrite-default"}),
        ("prisma-postgres-exporter api projects create --region eu-", {"eu-west-3", "eu-central-1"}),
        ("prisma-postgres-exporter api regions p", {"postgres"}),
    ],
)
def test_the_shell_completes_commands_options_and_regions(line: str, offered: set[str]) -> None:
    ended = subprocess.run(
        [Path(sys.executable).parent / "prisma-postgres-exporter"],
        env={
            **os.environ,
            "_PRISMA_POSTGRES_EXPORTER_COMPLETE": "complete_bash",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(line.split(" ")) - 1),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert offered <= set(ended.stdout.split())
