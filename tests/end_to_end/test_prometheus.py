"""A real Prometheus scrapes the running service."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
import yaml
from processes import (
    DATA_PREFIX,
    Answer,
    Exporter,
    Labels,
    Samples,
    exporter,
    fetch,
    program,
    vendor,
    wait_until,
    write_config,
    write_tokens,
)

from ports import free_port

JOB = "prisma-postgres"
TEAM_JOB = "a-team"
PARTS_JOB = "all-parts"
OWN_LABELS = {"__name__", "instance", "job", "workspace"}
OWN_PREFIX = "prisma_postgres_exporter_"
DATA_SELECTOR = f'{{job="{JOB}",__name__=~"prisma_postgres_.+",__name__!~"{OWN_PREFIX}.+"}}'
DATABASES = 12


def needs_program(name: str) -> pytest.MarkDecorator:
    """Skip, by name, where a program is missing; where CI is set the test runs and fails instead."""
    is_missing = shutil.which(name) is None and "CI" not in os.environ
    return pytest.mark.skipif(is_missing, reason=f"{name} is missing")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exporter]:
    """A service that has read everything once and will not read again for an hour."""
    tmp_path = tmp_path_factory.mktemp("service")
    config = write_config(
        tmp_path / "config.yaml",
        credentials=[{"token_file": str(tmp_path / "tokens")}],
        poll={"interval": "1h", "requests_per_second": 1000, "windows": ["24h", "7d", "90m"]},
        discovery={"interval": "1h"},
    )
    write_tokens(tmp_path / "tokens", one="simulator-token-1", two="simulator-token-2")
    with (
        vendor(workspaces=2, databases=DATABASES) as api,
        exporter("serve", "--config", str(config), "--api-url", api.url, cwd=tmp_path) as running,
    ):
        running.scrape_when(
            lambda samples: len(samples.labels(f"{DATA_PREFIX}window_operations", "database_id")) == DATABASES,
            "the first round",
        )
        yield running


class Prometheus:
    """The HTTP API of a running Prometheus."""

    def __init__(self, url: str) -> None:
        self._url = url

    def ready(self) -> Answer | None:
        """Return its answer when it is ready."""
        try:
            answer = fetch(f"{self._url}/-/ready")
        except OSError:
            return None
        return answer if answer.status == 200 else None

    def query(self, expression: str) -> dict[tuple[str, Labels], float]:
        """Return the newest samples of an expression, without the labels that Prometheus adds."""
        answer = json.loads(fetch(f"{self._url}/api/v1/query?{urlencode({'query': expression})}").text)
        assert answer["status"] == "success", answer
        samples = {}
        for found in answer["data"]["result"]:
            metric: dict[str, str] = found["metric"]
            labels = frozenset((name, value) for name, value in metric.items() if name not in OWN_LABELS)
            samples[metric["__name__"], labels] = float(found["value"][1])
        return samples


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory, service: Exporter) -> Iterator[Prometheus]:
    """A Prometheus with data of its own that scrapes the service every second."""
    directory = tmp_path_factory.mktemp("prometheus")
    scrapes = [
        {"job_name": JOB, "static_configs": [{"targets": [service.url.removeprefix("http://")]}]},
        {"job_name": PARTS_JOB, "http_sd_configs": [{"url": f"{service.url}/sd"}]},
        {
            "job_name": TEAM_JOB,
            "http_sd_configs": [{"url": f"{service.url}/sd?workspace={_workspaces(service)[0]}"}],
        },
    ]
    config = directory / "prometheus.yml"
    config.write_text(yaml.safe_dump({"global": {"scrape_interval": "1s"}, "scrape_configs": scrapes}))
    address = f"127.0.0.1:{free_port()}"
    options = (
        f"--config.file={config}",
        f"--storage.tsdb.path={directory / 'stored'}",
        f"--web.listen-address={address}",
    )
    with program("prometheus", *options, cwd=directory) as running:
        started = Prometheus(f"http://{address}")

        def is_ready() -> Answer | None:
            assert running.is_alive, running.output
            return started.ready()

        wait_until(is_ready, "Prometheus is ready")
        wait_until(lambda: started.query("sum by (__name__) (up)") == {("up", frozenset()): 5}, "all targets are up")
        yield started


@needs_program("prometheus")
def test_prometheus_holds_what_the_service_shows(prometheus: Prometheus, service: Exporter) -> None:
    stored = prometheus.query(DATA_SELECTOR)

    shown = _as_prometheus_keeps_it(service.scrape())
    assert {name for name, _ in shown} >= {f"{DATA_PREFIX}operations_total", f"{DATA_PREFIX}storage_bytes"}
    assert stored == shown


@needs_program("prometheus")
def test_prometheus_counts_as_many_samples_as_the_service_says_it_shows(prometheus: Prometheus) -> None:
    counts = prometheus.query(f'{{job="{JOB}",__name__=~"scrape_samples_scraped|{OWN_PREFIX}series"}}')

    assert len(counts) == 2
    assert len(set(counts.values())) == 1


@needs_program("prometheus")
def test_the_targets_of_sd_together_hold_the_whole_and_a_teams_hold_its_workspace_alone(
    prometheus: Prometheus, service: Exporter
) -> None:
    shown = _as_prometheus_keeps_it(service.scrape())
    first = _workspaces(service)[0]

    everything = prometheus.query(DATA_SELECTOR.replace(JOB, PARTS_JOB))
    assert everything == shown
    own = f'{{__name__="{OWN_PREFIX}build_info",job="%s"}}'
    assert len(prometheus.query(own % PARTS_JOB)) == 1
    assert prometheus.query(DATA_SELECTOR.replace(JOB, TEAM_JOB)) == {
        (name, labels): value for (name, labels), value in shown.items() if ("workspace_id", first) in labels
    }
    assert prometheus.query(own % TEAM_JOB) == {}


@needs_program("promtool")
def test_the_linter_has_nothing_to_say_about_the_running_service(service: Exporter) -> None:
    text = service.get("/metrics").text

    answer = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)

    assert (answer.returncode, answer.stdout + answer.stderr) == (0, "")


def _workspaces(service: Exporter) -> list[str]:
    return sorted(service.scrape().labels("prisma_postgres_workspace_info", "workspace_id"))


def _as_prometheus_keeps_it(samples: Samples) -> dict[tuple[str, Labels], float]:
    """The samples of the data metrics; a label that is empty is none."""
    return {
        (name, frozenset((label, value) for label, value in labels if value)): value
        for (name, labels), value in samples.items()
        if name.startswith("prisma_postgres_") and not name.startswith(OWN_PREFIX)
    }
