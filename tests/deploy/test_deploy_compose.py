"""Compose: valid, closed to the outside, everything it mounts is there, and its commands run as it says them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from deploy_tools import run_tool
from dockerfile import ROOT
from processes import exporter, fetch, program, vendor, wait_until

from ports import free_port
from prisma_postgres_exporter.service.service import END_SECONDS

DEPLOY = ROOT / "deploy"
DEMO, PRODUCTION = DEPLOY / "compose.yaml", DEPLOY / "compose.production.yaml"
TAG = re.compile(r":v?\d+(\.\d+)+(-[a-z]+)?$")
MADE_BY_THE_USER = {"./prisma-postgres-token", "./grafana-password"}
NEEDS_PROMETHEUS = pytest.mark.skipif(
    shutil.which("prometheus") is None and "CI" not in os.environ, reason="needs prometheus"
)
NEEDS_ALERTMANAGER = pytest.mark.skipif(
    shutil.which("amtool") is None and "CI" not in os.environ, reason="needs prometheus-alertmanager"
)


def loaded(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return document


def services() -> list[tuple[str, dict[str, Any]]]:
    """Every service that brings an image."""
    return [
        (name, service)
        for path in (DEMO, PRODUCTION)
        for name, service in loaded(path)["services"].items()
        if "image" in service
    ]


def default(text: str) -> str:
    """A value as it is without any variable set."""
    return re.sub(r"\$\{[A-Z_]+:-([^}]*)\}", r"\1", text)


@pytest.mark.parametrize("path", [DEMO, PRODUCTION], ids=lambda path: path.name)
def test_the_compose_specification_takes_it(path: Path) -> None:
    found = run_tool("check-jsonschema", "--builtin-schema", "vendor.compose-spec", str(path))

    assert found.returncode == 0, found.stdout + found.stderr


def test_the_service_has_the_time_that_it_takes_to_end() -> None:
    exporter = loaded(PRODUCTION)["services"]["exporter"]

    assert int(exporter["stop_grace_period"].removesuffix("s")) > END_SECONDS


def test_nothing_is_open_to_others_and_nothing_has_rights_that_it_does_not_need() -> None:
    assert len(services()) == 5
    for name, service in services():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ())), name
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "privileged" not in service, name


def test_every_image_has_a_version_and_can_be_pinned_otherwise() -> None:
    for name, service in services():
        assert TAG.search(default(service["image"])), name
        assert service["image"].startswith("${") or "build" in service, name


def test_what_is_mounted_is_there() -> None:
    for name, service in services():
        for volume in service.get("volumes", ()):
            source = default(volume).split(":")[0]
            if source.startswith("."):
                assert (DEPLOY / source).exists(), f"{name}: {source}"
            else:
                assert source in {**loaded(DEMO)["volumes"], **loaded(PRODUCTION)["volumes"]}, f"{name}: {source}"


def test_secrets_are_files_that_git_does_not_take_and_the_token_is_in_no_variable() -> None:
    files = {secret["file"] for secret in loaded(PRODUCTION)["secrets"].values()}
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()

    assert files == MADE_BY_THE_USER
    assert {f"deploy/{file.removeprefix('./')}" for file in files} | {"deploy/.env"} <= set(ignored)
    environment = loaded(PRODUCTION)["services"]["exporter"]["environment"]
    assert "PRISMA_POSTGRES_TOKEN" not in environment
    assert environment["PRISMA_POSTGRES_TOKEN_FILE"] == "/run/secrets/prisma-postgres-token"


def test_grafana_finds_its_data_source_and_every_dashboard() -> None:
    provisioned = DEPLOY / "compose" / "grafana"
    [source] = loaded(provisioned / "datasources" / "prometheus.yaml")["datasources"]
    [provider] = loaded(provisioned / "dashboards" / "prisma-postgres.yaml")["providers"]
    mounts = dict(
        volume.split(":")[:2] for volume in loaded(DEMO)["services"]["grafana"]["volumes"] if volume.startswith(".")
    )
    folder = next(DEPLOY / path for path, place in mounts.items() if place == provider["options"]["path"])
    dashboards = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.resolve().glob("*.json"))]

    assert mounts["./compose/grafana"] == "/etc/grafana/provisioning"
    assert source["url"] == "http://prometheus:9090"
    assert source["isDefault"] is True
    assert len(dashboards) == 4
    for dashboard in dashboards:
        [variable] = [row for row in dashboard["templating"]["list"] if row["type"] == "datasource"]
        assert variable["query"] == source["type"]
        assert all(panel["datasource"]["uid"] == "${datasource}" for panel in dashboard["panels"] if "targets" in panel)


@NEEDS_ALERTMANAGER
def test_alertmanager_takes_its_configuration() -> None:
    source = default(loaded(DEMO)["services"]["alertmanager"]["volumes"][0]).split(":")[0]
    found = subprocess.run(
        ["amtool", "check-config", str(DEPLOY / source)], capture_output=True, text=True, check=False
    )

    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.slow
@NEEDS_PROMETHEUS
def test_prometheus_sees_the_demo_with_the_shipped_configuration(tmp_path: Path) -> None:
    command = loaded(DEMO)["services"]["exporter"]["command"]
    assert command == ["demo", "--listen", ":9478"]
    config = tmp_path / "prometheus.yml"
    address = f"127.0.0.1:{free_port()}"
    with exporter("demo", cwd=tmp_path) as running:
        config.write_text(
            (DEPLOY / "compose" / "prometheus.yml")
            .read_text(encoding="utf-8")
            .replace("exporter:9478", running.url.removeprefix("http://"))
            .replace("/etc/prometheus/rules", str(DEPLOY / "prometheus" / "rules"))
            .replace("60s", "1s")
        )
        checked = subprocess.run(["promtool", "check", "config", str(config)], capture_output=True, check=False)
        assert checked.returncode == 0, checked.stdout
        arguments = (f"--config.file={config}", f"--storage.tsdb.path={tmp_path / 'data'}")
        with program("prometheus", *arguments, f"--web.listen-address={address}", cwd=tmp_path):

            def workspaces() -> bool:
                try:
                    answer = fetch(f"http://{address}/api/v1/query?query=count(prisma_postgres_workspace_info)")
                except OSError:
                    return False
                rows = json.loads(answer.text)["data"]["result"] if answer.status == 200 else []
                return bool(rows) and rows[0]["value"][1] == "3"

            wait_until(workspaces, "the three workspaces in Prometheus")


def test_production_reads_its_token_from_the_secret_and_keeps_its_ledger_in_postgres(
    tmp_path: Path, postgres_url: str
) -> None:
    service = loaded(PRODUCTION)["services"]["exporter"]
    token_file = tmp_path / "token"
    with vendor(workspaces=1, databases=2) as upstream:
        token_file.write_text(next(iter(upstream.simulator.world.tokens)) + "\n")
        environ = dict(service["environment"])
        environ["PRISMA_POSTGRES_TOKEN_FILE"] = str(token_file)
        environ["PRISMA_POSTGRES_STORE_URL"] = postgres_url
        environ["PRISMA_POSTGRES_API_URL"] = upstream.url
        with exporter(*service["command"], cwd=tmp_path, environ=environ) as running:
            running.scrape_when(
                lambda seen: len(seen.labels("prisma_postgres_database_up", "database_id")) == 2, "both"
            )

    assert list(tmp_path.iterdir()) == [token_file], "nothing is kept outside of Postgres"
