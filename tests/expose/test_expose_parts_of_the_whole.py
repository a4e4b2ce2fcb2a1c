"""A scrape of some workspaces, and what Prometheus is told of them: the parts together are the whole, byte for byte."""

from __future__ import annotations

import gzip
import re
import threading
from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal

import httpx
import pytest
from expose_views import (
    A_DATABASE,
    A_WORKSPACE,
    NOW,
    database_views,
    exposition_of,
    plain,
    tell_everything,
    workspace_views,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from prisma_postgres_exporter.cost import BudgetState
from prisma_postgres_exporter.expose import ExporterHealth, Exposition, Format, ServiceStatus, web_app
from prisma_postgres_exporter.snapshot import DatabaseView, Snapshot, WorkspaceView

both_formats = pytest.mark.parametrize("exposition_format", Format)
both_codings = pytest.mark.parametrize("is_gzip", [False, True])
IDS = ("wksp_a", "wksp_b", "wksp_c")
END = b"# EOF\n"
A_BUDGET = BudgetState(
    name="all", limit_usd=Decimal(10), thresholds=(0.5,), databases=2, spent_usd=Decimal(3), expected_usd=None
)


def part_of(exposition: Exposition, workspaces: Iterable[str], exposition_format: Format, *, is_gzip: bool) -> bytes:
    body = exposition.part(frozenset(workspaces), exposition_format, is_gzip=is_gzip)
    text = body.joined()
    assert body.length == len(text)
    return gzip.decompress(text) if is_gzip else text


def families_of(text: bytes) -> dict[bytes, list[bytes]]:
    """The lines of each family, by its header, in their order; told apart by nothing but the lines themselves."""
    found: dict[bytes, list[bytes]] = {}
    for block in re.findall(rb"(?m)^# HELP .*\n(?:(?!# HELP |# EOF).*\n)*", text):
        help_line, type_line, *lines = block.splitlines(keepends=True)
        assert type_line.startswith(b"# TYPE ")
        assert help_line + type_line not in found
        found[help_line + type_line] = lines
    return found


def united(parts: Sequence[bytes], order: Iterable[bytes]) -> bytes:
    """The parts as one text: of each family its header once, and the lines of one part after the other."""
    read = [families_of(part) for part in parts]
    assert {header for families in read for header in families} == set(order)
    return b"".join(
        header + b"".join(line for families in read for line in families.get(header, [])) for header in order
    )


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    """Workspaces, some without a database, in the order of a snapshot: by workspace."""
    databases: list[DatabaseView] = []
    workspaces: list[WorkspaceView] = []
    for workspace_id in IDS:
        if draw(st.booleans()):
            workspaces.append(draw(workspace_views(workspace_id)))
            for number in range(draw(st.integers(0, 3))):
                view = draw(database_views(f"db_{workspace_id}_{number}"))
                since = draw(st.sampled_from([None, NOW]))
                databases.append(replace(view, workspace_id=workspace_id, counting_since_at=since))
    budgets = (A_BUDGET,) if draw(st.booleans()) else ()
    return Snapshot(taken_at=NOW, workspaces=tuple(workspaces), databases=tuple(databases), budgets=budgets)


def told_health() -> ExporterHealth:
    """What is told of workspaces out of their order, of one that was not discovered yet, and of credentials."""
    health = ExporterHealth()
    tell_everything(health)
    for id_, credential in (("wksp_new", "new"), *zip(reversed(IDS), ("of c", "of b", "of a"), strict=True)):
        health.round_finished(id_, 4.0, 0.1, NOW)
        health.round_failed(id_)
        health.credential_belongs(credential, id_)
        health.credential_seen(credential, is_up=True)
        health.credential_expires(credential, NOW)
    health.credential_seen("of nobody", is_up=False)
    return health


@both_formats
@both_codings
@settings(max_examples=15)
@given(snapshot=snapshots(), has_created=st.booleans())
def test_the_parts_together_are_the_whole_byte_for_byte(
    snapshot: Snapshot, has_created: bool, exposition_format: Format, is_gzip: bool
) -> None:
    exposition = Exposition(told_health(), has_created=has_created)
    exposition.render(snapshot)
    whole = exposition.body(exposition_format, is_gzip=is_gzip).joined()
    whole = gzip.decompress(whole) if is_gzip else whole
    ids = sorted(exposition.workspaces)
    parts = [part_of(exposition, [id_], exposition_format, is_gzip=is_gzip) for id_ in (*ids, "none")]
    end = END if exposition_format is Format.OPENMETRICS else b""
    assert all(part.endswith(end) and part.count(END) == (1 if end else 0) for part in parts)

    assert united(parts, families_of(whole)) + end == whole
    # And all of them at once.
    assert part_of(exposition, [*ids, "none"], exposition_format, is_gzip=is_gzip) == whole


@both_formats
@settings(max_examples=15)
@given(snapshot=snapshots())
def test_a_part_has_the_samples_of_its_workspaces_and_no_others(snapshot: Snapshot, exposition_format: Format) -> None:
    exposition = Exposition(told_health())
    exposition.render(snapshot)
    for id_ in IDS:
        lines = [line for line in part_of(exposition, [id_], exposition_format, is_gzip=False).split(b"\n")
                 if line and not line.startswith(b"#")]  # fmt: skip
        assert lines
        marks = (f'workspace_id="{id_}"'.encode(), f'{{credential="of {id_[-1]}"}}'.encode())
        assert all(any(mark in line for mark in marks) for line in lines)
    rest = part_of(exposition, ["none"], exposition_format, is_gzip=False)
    assert b"workspace_id=" not in rest
    assert set(re.findall(rb'credential="(.*?)"', rest)) == {b"eu", b"of nobody"}
    assert b"prisma_postgres_exporter_build_info" in rest


def test_a_credential_goes_with_its_workspace() -> None:
    health = told_health()
    exposition = Exposition(health)
    for workspace_id, owner in ((None, "none"), ("wksp_a", "wksp_a"), ("wksp_b", "wksp_b")):
        health.credential_belongs("of nobody", workspace_id)
        exposition.refresh_health()
        parts = {id_: part_of(exposition, [id_], Format.TEXT, is_gzip=True) for id_ in (*IDS, "none")}
        assert [id_ for id_, part in parts.items() if b'"of nobody"' in part] == [owner]


async def test_sd_has_what_only_the_exporters_own_families_know_without_a_name() -> None:
    async with client_of(Exposition(told_health())) as client:
        groups = (await client.get("/sd")).json()
    labels = {group["labels"]["__param_workspace"]: group["labels"] for group in groups}
    assert labels["wksp_new"]["__meta_prisma_postgres_workspace_name"] == ""


async def test_of_another_process_workspace_there_is_a_target_with_what_is_said_of_itself() -> None:
    """As with `web.shard: owned`: the snapshot has what this process collects, the leases all that is followed."""
    health = ExporterHealth()
    health.leases_held({"wksp_a": True, "wksp_b": False})
    exposition = Exposition(health)
    exposition.render(Snapshot(taken_at=NOW, workspaces=(A_WORKSPACE,), databases=(A_DATABASE,)))
    async with client_of(exposition) as client:
        groups = (await client.get("/sd")).json()
        another = await client.get("/metrics?workspace=wksp_b")

    assert [group["labels"]["__param_workspace"] for group in groups] == ["wksp_a", "wksp_b", "none"]
    samples = [line for line in another.text.splitlines() if not line.startswith("#")]
    assert samples == ['prisma_postgres_exporter_lease{workspace_id="wksp_b"} 0.0']


def test_a_part_follows_the_snapshot_also_where_it_was_asked_for_before() -> None:
    snapshot = Snapshot(taken_at=NOW, workspaces=(A_WORKSPACE,), databases=(A_DATABASE,))
    exposition = exposition_of(snapshot)
    for operations in (7, 7, 8):
        exposition.render(replace(snapshot, databases=(replace(A_DATABASE, operations_total=operations),)))
        for _ in range(2):
            part = part_of(exposition, ["wksp_a"], Format.TEXT, is_gzip=True)
            assert f"operations_total{{workspace_id=\"wksp_a\",project_id=\"proj_a\",database_id=\"db_a\"}} {operations}\n" in part.decode()  # fmt: skip  # noqa: E501


def two_workspaces() -> Exposition:
    views = [replace(A_WORKSPACE, workspace_id=id_, workspace_name=id_.upper()) for id_ in ("wksp_a", "wksp_b")]
    databases = [replace(A_DATABASE, workspace_id=view.workspace_id) for view in views]
    return exposition_of(Snapshot(taken_at=NOW, workspaces=tuple(views), databases=tuple(databases)))


def test_what_was_compressed_is_kept_for_the_next_who_asks_for_the_same_and_for_nobody_else() -> None:
    exposition = two_workspaces()
    first = exposition.part(frozenset(["wksp_a"]), Format.TEXT, is_gzip=True)
    assert exposition.part(frozenset(["wksp_a"]), Format.TEXT, is_gzip=True) is first
    other = exposition.part(frozenset(["wksp_b"]), Format.TEXT, is_gzip=True)
    assert b"wksp_a" not in gzip.decompress(other.joined())
    openmetrics = exposition.part(frozenset(["wksp_b"]), Format.OPENMETRICS, is_gzip=True)
    assert gzip.decompress(openmetrics.joined()).endswith(END)


def client_of(exposition: Exposition) -> httpx.AsyncClient:
    status = ServiceStatus(version="1", now_at=NOW, started_at=NOW, api_url="https://x", store_url="sqlite:///x")
    app = web_app(exposition, lambda: status, None)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://exporter:9478")


async def test_a_scrape_names_its_workspaces_as_often_as_it_likes() -> None:
    exposition = two_workspaces()
    async with client_of(exposition) as client:
        for asked, ids in (("workspace=wksp_a", ["wksp_a"]), ("workspace=wksp_b&workspace=wksp_a&workspace=wksp_b", ["wksp_a", "wksp_b"])):  # fmt: skip  # noqa: E501
            for accept in Format:
                answer = await client.get(f"/metrics?{asked}", headers={"Accept": accept.value})
                assert answer.status_code == 200
                assert answer.headers["content-encoding"] == "gzip"
                assert answer.headers["content-type"] == accept.value
                assert answer.content == part_of(exposition, ids, accept, is_gzip=False)
        assert (await client.get("/metrics")).content == plain(exposition)


@pytest.mark.parametrize("path", ["/metrics", "/sd"])
@pytest.mark.parametrize(
    ("asked", "status", "said"),
    [
        ("workspaces=wksp_a", 400, "no parameter 'workspaces'; accepted: workspace"),
        ("workspace=wksp_a&x=", 400, "no parameter 'x'"),
        ("workspace=wksp_z", 404, "no workspace 'wksp_z' is shown here; /sd lists"),
        ("workspace=wksp_a&workspace=wksp_z", 404, "'wksp_z'"),
        ("workspace=", 404, "no workspace ''"),
        ("workspace=" + "x" * 5_000, 404, "no workspace 'xxx"),
    ],
)
async def test_what_is_not_known_is_refused(path: str, asked: str, status: int, said: str) -> None:
    async with client_of(two_workspaces()) as client:
        answer = await client.get(f"{path}?{asked}")
    assert answer.status_code == status
    assert said in answer.text
    assert len(answer.text) < 400


async def test_sd_has_a_target_group_for_each_workspace_and_one_for_the_rest() -> None:
    def group(id_: str) -> object:
        labels = {"__param_workspace": id_, "workspace": id_, "__meta_prisma_postgres_workspace_id": id_, "__meta_prisma_postgres_workspace_name": id_.upper()}  # fmt: skip  # noqa: E501
        return {"targets": ["exporter:9478"], "labels": labels}

    async with client_of(two_workspaces()) as client:
        whole = await client.get("/sd")
        one = await client.get("/sd?workspace=wksp_b")
    assert whole.headers["content-type"] == "application/json"
    rest = {"targets": ["exporter:9478"], "labels": {"__param_workspace": "none"}}
    assert whole.json() == [group("wksp_a"), group("wksp_b"), rest]
    assert one.json() == [group("wksp_b")]


async def test_a_part_is_made_in_a_thread_of_its_own_and_not_in_the_event_loops(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    exposition = two_workspaces()
    threads: list[str] = []
    made = exposition.part

    def part(*args: object, **kwargs: object) -> object:
        threads.append(threading.current_thread().name)
        return made(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(exposition, "part", part)
    async with client_of(exposition) as client:
        await client.get("/metrics?workspace=wksp_a")
        await client.get("/metrics")
    assert len(threads) == 1
    assert threads[0] != threading.main_thread().name
