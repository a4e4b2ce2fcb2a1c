"""A real Prometheus with the shipped rules, a real Alertmanager, and a receiver of what it sends."""

from __future__ import annotations

import json
import re
import subprocess
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from shutil import copytree
from typing import Any
from urllib.parse import urlencode

import yaml
from processes import Answer, Running, fetch, program, wait_until

from ports import free_port

SHIPPED = Path(__file__).parents[2] / "deploy" / "prometheus"
WAITS = {"group_wait", "group_interval"}

Alert = tuple[str, frozenset[tuple[str, str]]]
"""The name of an alert, and its labels without the scrape's and without its severity."""


class Receiver:
    """A webhook that keeps what an Alertmanager sends."""

    def __init__(self) -> None:
        self._messages: list[tuple[str, dict[str, Any]]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self._messages))
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        """Receive no more."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def received(self, status: str) -> dict[tuple[str, Alert], Mapping[str, str]]:
        """Return the annotations of every alert that came with this status, by path and alert."""
        return {
            (path, as_alert(sent["labels"])): sent["annotations"]
            for path, message in list(self._messages)
            for sent in message["alerts"]
            if sent["status"] == status
        }


class Monitoring:
    """What a running Prometheus knows, and what its Alertmanager sent."""

    def __init__(self, url: str, receiver: Receiver) -> None:
        self.receiver = receiver
        self._url = url

    def firing(self) -> set[Alert]:
        """Return every alert that fires now."""
        return {as_alert(labels) for labels, _ in self._query('ALERTS{alertstate="firing"}')}

    def ever_fired(self) -> set[Alert]:
        """Return every alert that fired since the start."""
        return {as_alert(labels) for labels, _ in self._query('max_over_time(ALERTS{alertstate="firing"}[1h])')}

    def values(self, expression: str) -> list[float]:
        """Return the values of an expression's series."""
        return [value for _, value in self._query(expression)]

    def failing_rules(self) -> list[str]:
        """Return what is wrong with each rule that cannot be evaluated."""
        answer = json.loads(fetch(f"{self._url}/api/v1/rules").text)
        rules = [rule for group in answer["data"]["groups"] for rule in group["rules"]]
        return [f"{rule['name']}: {rule.get('lastError')}" for rule in rules if rule["health"] != "ok"]

    def _query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        answer = json.loads(fetch(f"{self._url}/api/v1/query?{urlencode({'query': expression})}").text)
        assert answer["status"] == "success", answer
        return [(found["metric"], float(found["value"][1])) for found in answer["data"]["result"]]


def as_alert(labels: Mapping[str, str]) -> Alert:
    """Return the alert that has these labels."""
    left_out = {"__name__", "alertname", "alertstate", "severity", "instance", "job"}
    return labels["alertname"], frozenset((name, value) for name, value in labels.items() if name not in left_out)


@contextmanager
def monitoring(targets: Collection[str], history: Path, directory: Path) -> Iterator[Monitoring]:
    """Run Prometheus and Alertmanager with the shipped files, every interval and wait shortened, nothing else changed.

    `history` is an OpenMetrics file that Prometheus holds from the beginning.
    """
    receiver = Receiver()
    alertmanager, prometheus = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    copytree(SHIPPED, directory)
    _shorten_rules(directory)
    _write_alertmanager(directory / "alertmanager.yml", receiver.url)
    _write_prometheus(directory / "prometheus.yml", targets, alertmanager)
    stored = directory / "stored"
    subprocess.run(
        ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(history), str(stored)],
        check=True,
        capture_output=True,
    )
    try:
        with (
            program(
                "prometheus-alertmanager",
                f"--config.file={directory / 'alertmanager.yml'}",
                f"--storage.path={directory / 'silences'}",
                f"--web.listen-address={alertmanager}",
                "--cluster.listen-address=",
                cwd=directory,
            ) as alerting,
            program(
                "prometheus",
                f"--config.file={directory / 'prometheus.yml'}",
                f"--storage.tsdb.path={stored}",
                f"--web.listen-address={prometheus}",
                cwd=directory,
            ) as scraping,
        ):
            _wait_until_ready(f"http://{alertmanager}/-/ready", alerting)
            _wait_until_ready(f"http://{prometheus}/-/ready", scraping)
            yield Monitoring(f"http://{prometheus}", receiver)
    finally:
        receiver.stop()


def _shorten_rules(directory: Path) -> None:
    """Run the command by which the README shortens intervals and waits; no expression may differ afterwards."""
    readme = (directory / "README.md").read_text(encoding="utf-8")
    (shorten,) = re.findall(r"^sed -E .*$", readme, re.MULTILINE)
    subprocess.run(["bash", "-c", shorten], cwd=directory, check=True)
    for path in (SHIPPED / "rules").glob("*.yaml"):
        shortened = (directory / "rules" / path.name).read_text(encoding="utf-8")
        assert re.sub(r"^ +(for|interval): .*\n", "", shortened, flags=re.MULTILINE) == re.sub(
            r"^ +(for|interval): .*\n", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE
        )


def _write_prometheus(path: Path, targets: Collection[str], alertmanager: str) -> None:
    config = yaml.safe_load((SHIPPED / "prometheus.example.yml").read_text(encoding="utf-8"))
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": [alertmanager]}]}]
    (scrape,) = config["scrape_configs"]
    scrape["scrape_interval"] = "1s"
    scrape["static_configs"] = [{"targets": list(targets)}]
    path.write_text(yaml.safe_dump(config), encoding="utf-8")


def _write_alertmanager(path: Path, url: str) -> None:
    text = (SHIPPED / "alertmanager.example.yml").read_text(encoding="utf-8")
    config = yaml.safe_load(text.replace("http://localhost:5001", url))
    for route in (config["route"], *config["route"]["routes"]):
        route.update(dict.fromkeys(WAITS & route.keys(), "1s"))
    path.write_text(yaml.safe_dump(config), encoding="utf-8")


def _wait_until_ready(url: str, running: Running) -> None:
    def ready() -> Answer | None:
        assert running.is_alive, running.output
        try:
            answer = fetch(url)
        except OSError:
            return None
        return answer if answer.status == 200 else None

    wait_until(ready, f"{url} is ready")


def _handler(messages: list[tuple[str, dict[str, Any]]]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            messages.append((self.path, json.loads(content)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            """Write no line for each request."""

    return Handler
