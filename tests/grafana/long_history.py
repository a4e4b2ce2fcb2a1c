"""Forty days of made-up samples in a Prometheus, a minute apart: each counter that a dashboard shows, some events."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from board_files import boards, queries
from processes import program, wait_until
from stored_history import Prometheus

from prisma_postgres_exporter.expose import describe

DAY = 86_400
UNTIL = 1_795_775_400  # 2026-11-27 09:10 UTC
BEGIN = UNTIL - 40 * DAY
SCRAPED_AT = 17
"""The second of each minute at which a sample is taken: as nearly always, none of those that are asked for."""
JUMPS_EVERY = 37 * 60
JUMP = 7
GONE_AT = UNTIL - 20 * DAY - 1_000
RENAMED_AT = UNTIL - 10 * DAY - 2_000
SHORT_LIVED = (UNTIL - 15 * DAY, UNTIL - 15 * DAY + 40 * 60)
BLOCKED = (UNTIL - 12 * DAY - 5_000, UNTIL - 12 * DAY - 3_200)
FIRING = (UNTIL - 11 * DAY - 5_000, UNTIL - 11 * DAY - 3_800)
MONTH = UNTIL // DAY * DAY - 26 * DAY
SECOND_WORKSPACE_AT = UNTIL - 10 * DAY
SECOND_EXPECTED_AT = UNTIL - 3 * DAY
"""From when on a second workspace is there, and from when on it is known what its month will cost."""

Labels = Mapping[str, str]
Span = tuple[float, float]

_OWN = {"job": "prisma-postgres", "instance": "replica-a:9478"}
_IDS = {"workspace_id": "wksp_a", "project_id": "proj_a", "database_id": "db_a"}
_NAMES = {"workspace_name": "Acme", "project_name": "shop", "database_name": "orders"}
_ALWAYS = (BEGIN, UNTIL)


def counted(at: float) -> int:
    """What each counter shows at an instant."""
    return JUMP * int((max(at, BEGIN) - BEGIN) // JUMPS_EVERY)


@contextmanager
def long_history(folder: Path, port: int) -> Iterator[Prometheus]:
    """Run a Prometheus that holds them."""
    text, stored = folder / "history.txt", folder / "stored"
    with text.open("w", encoding="ascii") as file:
        file.writelines(_lines())
    made = [
        "promtool",
        "tsdb",
        "create-blocks-from",
        "openmetrics",
        "--max-block-duration=2400h",
        str(text),
        str(stored),
    ]
    subprocess.run(made, check=True, capture_output=True)
    config = folder / "prometheus.yml"
    config.write_text("{}")
    address = f"127.0.0.1:{port}"
    arguments = (
        f"--config.file={config}",
        f"--storage.tsdb.path={stored}",
        "--storage.tsdb.retention.time=100y",
        f"--web.listen-address={address}",
    )
    with program("prometheus", *arguments, cwd=folder) as running:
        prometheus = Prometheus(f"http://{address}")

        def is_there() -> bool:
            assert running.is_alive, running.output
            return prometheus.is_ready() and prometheus.has_series(UNTIL)

        wait_until(is_there, "the history")
        yield prometheus


def _lines() -> Iterator[str]:
    asked = " ".join(query.expression for board in boards() for query in queries(board))
    for metric in describe():
        if metric.name not in asked:
            continue
        if metric.kind == "counter":
            yield from _series(metric.name, _labels(metric.labels), _ALWAYS)
        elif metric.kind == "histogram":
            yield from _series(f"{metric.name}_bucket", {"le": "+Inf"}, _ALWAYS)
    yield from _series("process_cpu_seconds_total", {}, _ALWAYS)
    yield from _series("prisma_postgres_exporter_build_info", {"version": "0"}, _ALWAYS, value=1)
    yield from _series("prisma_postgres_database_month_to_date_operations", _IDS, _ALWAYS, value=1)
    workspace = {"workspace_id": "wksp_a", "workspace_name": "Acme", "plan": "Pro"}
    yield from _series("prisma_postgres_workspace_info", workspace, _ALWAYS, value=1)
    second = {**workspace, "workspace_id": "wksp_b", "workspace_name": "Globex"}
    yield from _series("prisma_postgres_workspace_info", second, (SECOND_WORKSPACE_AT, UNTIL), value=1)
    for bound in ("low", "expected", "high"):
        for workspace_id, since in (("wksp_a", BEGIN), ("wksp_b", SECOND_EXPECTED_AT)):
            expected = {"workspace_id": workspace_id, "bound": bound}
            yield from _series("prisma_postgres_workspace_forecast_month_cost_usd", expected, (since, UNTIL), value=5)
    yield from _series("prisma_postgres_usage_period_start_timestamp_seconds", {}, (MONTH, UNTIL), value=MONTH)
    yield from _series("prisma_postgres_workspace_usage_blocked", {"workspace_id": "wksp_a"}, BLOCKED, value=1)
    yield from _series("ALERTS", {"alertname": "PrismaPostgresUnpriced", "alertstate": "firing"}, FIRING, value=1)
    for id_, name, span in (
        ("db_a", "orders", (BEGIN, RENAMED_AT)),
        ("db_a", "shop-orders", (RENAMED_AT, UNTIL)),
        ("db_gone", "gone", (BEGIN, GONE_AT)),
        ("db_short", "preview", SHORT_LIVED),
    ):
        labels = {**_IDS, **_NAMES, "database_id": id_, "database_name": name}
        yield from _series("prisma_postgres_database_info", labels, span, value=1)
        created = {**_IDS, "database_id": id_}
        if span is not _ALWAYS and name != "shop-orders":
            yield from _series("prisma_postgres_database_created_timestamp_seconds", created, span, value=span[0])
    yield "# EOF\n"


def _labels(names: tuple[str, ...]) -> Labels:
    return {name: _IDS.get(name, "x") for name in names}


def _series(metric: str, labels: Labels, span: Span, *, value: float | None = None) -> Iterator[str]:
    """Samples of one series; without a value it is a counter."""
    named = ",".join(f'{name}="{text}"' for name, text in {**_OWN, **labels}.items())
    first = int(span[0]) // 60 * 60 + SCRAPED_AT
    for at in range(first + 60 if first < span[0] else first, int(span[1]), 60):
        yield f"{metric}{{{named}}} {counted(at) if value is None else value} {at}\n"
