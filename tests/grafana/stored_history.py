"""A Prometheus that has scraped a text with timestamps, and answers queries about it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import yaml
from processes import fetch, program, wait_until

SCRAPED_EVERY = "6s"
SCRAPE_SECONDS = 120
ONE_BLOCK = "1000d"
"""The head holds all of it: nothing is written as blocks while the queries run."""


class Prometheus:
    """The HTTP API of a Prometheus that knows the history."""

    def __init__(self, url: str) -> None:
        self.url = url

    def is_ready(self) -> bool:
        """Whether it answers queries."""
        try:
            return fetch(f"{self.url}/-/ready").status == 200
        except OSError:
            return False

    def has_series(self, at: float) -> bool:
        """Whether it knows anything at that time."""
        return bool(self.instant('count({workspace_id!=""})', at))

    def instant(self, expression: str, at: float) -> list[dict[str, Any]]:
        """Return the series of an instant query."""
        return self._asked("query", query=expression, time=f"{at}")

    def range(self, expression: str, since: float, until: float, step: int) -> list[dict[str, Any]]:
        """Return the series of a range query, whose steps Grafana lays on whole multiples of the step."""
        return self._asked(
            "query_range",
            query=expression,
            start=f"{since // step * step:.0f}",
            end=f"{until // step * step:.0f}",
            step=f"{step}",
        )

    def _asked(self, path: str, **parameters: str) -> list[dict[str, Any]]:
        answer = json.loads(fetch(f"{self.url}/api/v1/{path}?{urlencode(parameters)}").text)
        assert answer["status"] == "success", f"{parameters['query']}\n{answer}"
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found


@contextmanager
def prometheus_with(
    text: bytes, until: float, folder: Path, port: int, *options: str, scraped_every: str = SCRAPED_EVERY
) -> Iterator[Prometheus]:
    """Run a Prometheus that has scraped a text of samples with timestamps and a scrape's labels, the last `until`."""
    with _served(text) as (target, is_enough):
        scrape = {
            "job_name": "history",
            "honor_labels": True,
            "scrape_interval": scraped_every,
            "scrape_timeout": scraped_every,
            "static_configs": [{"targets": [target]}],
        }
        config = folder / "prometheus.yml"
        config.write_text(yaml.safe_dump({"scrape_configs": [scrape]}))
        address = f"127.0.0.1:{port}"
        arguments = (
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'stored'}",
            f"--storage.tsdb.min-block-duration={ONE_BLOCK}",
            f"--storage.tsdb.max-block-duration={ONE_BLOCK}",
            "--storage.tsdb.retention.time=100y",
            f"--web.listen-address={address}",
            *options,
        )
        with program("prometheus", *arguments, cwd=folder) as running:
            prometheus = Prometheus(f"http://{address}")

            def has_scraped() -> bool:
                assert running.is_alive, running.output
                return prometheus.is_ready() and prometheus.has_series(until)

            wait_until(has_scraped, "the history is scraped", SCRAPE_SECONDS)
            is_enough.set()
            yield prometheus


@contextmanager
def _served(text: bytes) -> Iterator[tuple[str, threading.Event]]:
    """Serve the text again and again until it is enough, since a scrape may take too long, then nothing."""
    is_enough = threading.Event()

    class Target(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b"" if is_enough.is_set() else text
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Target)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}", is_enough
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
