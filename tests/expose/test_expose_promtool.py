"""Prometheus' own linter has nothing to say about the metrics."""

from __future__ import annotations

import subprocess

from expose_views import A_SNAPSHOT, needs_program, plain, tell_everything

from prisma_postgres_exporter.expose import ExporterHealth, Exposition, Format

pytestmark = needs_program("promtool")


def lived_in() -> Exposition:
    health = ExporterHealth()
    tell_everything(health)
    exposition = Exposition(health)
    exposition.render(A_SNAPSHOT)
    return exposition


def promtool(text: bytes) -> tuple[int, bytes]:
    answer = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
    return answer.returncode, answer.stdout + answer.stderr


def test_text_is_clean() -> None:
    assert promtool(plain(lived_in())) == (0, b"")


def test_openmetrics_is_clean() -> None:
    # promtool reads everything as text 0.0.4, where a counter's HELP and TYPE carry its `_total`.
    lines = plain(lived_in(), Format.OPENMETRICS).decode().splitlines(keepends=True)
    counters = {line.split()[2] for line in lines if line.startswith("# TYPE ") and line.endswith(" counter\n")}
    assert counters
    read_as_text = [_named_as_in_text(line, counters) for line in lines]
    assert promtool("".join(read_as_text).encode()) == (0, b"")


def _named_as_in_text(line: str, counters: set[str]) -> str:
    words = line.split(" ", 3)
    if words[0] == "#" and len(words) == 4 and words[2] in counters:
        words[2] += "_total"
    return " ".join(words)
