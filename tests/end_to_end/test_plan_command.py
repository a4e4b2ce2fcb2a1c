"""`plan` at a terminal: for what exists, and for what need not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from processes import exporter, run, vendor, write_config, write_tokens

from prisma_postgres_exporter.documents import PlanAnswer


def planned(*arguments: str, cwd: Path) -> PlanAnswer:
    done = run("plan", *arguments, "--json", cwd=cwd)
    assert done.returncode == 0, done.stderr
    return PlanAnswer.model_validate_json(done.stdout)


@pytest.mark.slow
def test_a_plan_for_what_exists_asks_little_and_writes_nothing(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    write_config(
        config,
        credentials=[{"token_file": str(tmp_path / "tokens")}],
        discovery={"exclude": {"databases": ["^does-not-match-anything$"]}},
        poll={"interval": "10m"},
    )
    write_tokens(tmp_path / "tokens", one="simulator-token-1", two="simulator-token-2")
    with vendor(workspaces=2, databases=12) as api:
        found = planned("--config", str(config), "--api-url", api.url, cwd=tmp_path).data
        table = run("plan", "--config", str(config), "--api-url", api.url, cwd=tmp_path)

    assert (found.workspace_count, found.database_count, found.databases_with_series) == (2, 12, 12)
    # The open day every ten minutes, and what comes beside it.
    assert 12 * 6 < found.usage_requests_per_hour < 12 * 6 * 3
    assert found.latency_seconds < 5
    assert "12 in 2 workspaces" in table.stdout
    assert "MiB, an estimate" in table.stdout
    assert table.stderr == ""
    assert {path.name for path in tmp_path.iterdir()} == {"config.yaml", "tokens"}


def test_what_a_call_waits_for_its_pace_is_not_the_vendors_latency(tmp_path: Path) -> None:
    pace = 0.5
    config = tmp_path / "config.yaml"
    tokens = [{"token_file": str(tmp_path / "tokens")}]
    write_config(config, credentials=tokens, poll={"interval": "10m", "requests_per_second": pace})
    write_tokens(tmp_path / "tokens", one="simulator-token-1")
    with vendor(workspaces=1, databases=2, projects_per_workspace=1) as api:
        found = planned("--config", str(config), "--api-url", api.url, cwd=tmp_path).data

    assert found.latency_seconds < 1 / pace


@pytest.mark.slow
def test_a_plan_for_what_need_not_exist_asks_nobody_and_tells_what_a_cap_leaves(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("web: {max_series: 2000}\n")
    free = planned("--databases", "300", "--workspaces", "3", cwd=tmp_path).data
    capped = planned("--databases", "300", "--workspaces", "3", "--config", str(config), cwd=tmp_path).data

    assert free.databases_with_series == 300
    assert free.series > 5_000
    assert 0 < capped.databases_with_series < 100
    assert capped.series <= 2_000
    # A cap changes what is shown, not what is asked and stored.
    for key in ("requests_per_hour", "mean_age_seconds", "resident_bytes", "store_bytes"):
        assert getattr(capped, key) == getattr(free, key)


def test_on_a_terminal_it_says_that_it_is_at_work(tmp_path: Path) -> None:
    ours, its = os.openpty()
    command = (sys.executable, "-m", "prisma_postgres_exporter", "plan", "--databases", "1", "--changes-a-day", "86400")
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=its) as running:
        os.close(its)
        said = os.read(ours, 1_000)
        assert running.wait() == 0
    os.close(ours)
    assert said.startswith(b"Rehearsing")


@pytest.mark.slow
def test_memory_is_estimated_with_the_driver_of_a_server(tmp_path: Path, postgres_url: str) -> None:
    databases = 20
    write_tokens(tmp_path / "tokens", one="simulator-token-1")
    write_config(tmp_path / "config.yaml", credentials=[{"token_file": str(tmp_path / "tokens")}])
    resident, said = [], []
    with vendor(workspaces=1, databases=databases) as api:
        for url in ("sqlite:///ledger.db", postgres_url):
            options = ("--config", str(tmp_path / "config.yaml"), "--api-url", api.url, "--store-url", url)
            with exporter("serve", *options, cwd=tmp_path, as_command_line=True) as running:
                running.scrape_when(
                    lambda samples: len(samples.named("prisma_postgres_database_operations_total")) == databases,
                    "every database was read",
                )
                resident.append(psutil.Process(running.pid).memory_info().rss)
            (tmp_path / "planned.yaml").write_text(f"store: {{url: '{url}'}}\n")
            arguments = ("--databases", str(databases), "--config", str(tmp_path / "planned.yaml"))
            said.append(planned(*arguments, cwd=tmp_path).data.resident_bytes)

    assert said[1] - said[0] == pytest.approx(resident[1] - resident[0], abs=8 * 2**20)
    assert said == [pytest.approx(bytes_, rel=0.15) for bytes_ in resident]


@pytest.mark.parametrize("arguments", [("--databases", "2", "--workspaces", "3"), ()])
def test_what_cannot_be_planned_is_said(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = run("plan", *arguments, cwd=tmp_path)

    assert done.returncode == 2
    assert "error: " in done.stderr
    assert "Traceback" not in done.stderr
