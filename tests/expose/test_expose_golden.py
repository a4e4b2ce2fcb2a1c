"""One small snapshot in both formats, as files to read: a difference is a change of the public contract."""

from __future__ import annotations

from pathlib import Path

import pytest
from expose_views import A_SNAPSHOT, exposition_of, plain

from prisma_postgres_exporter.expose import Format

_GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize(("exposition_format", "name"), [(Format.TEXT, "small.txt"), (Format.OPENMETRICS, "small.om")])
def test_a_small_snapshot_looks_as_it_always_did(exposition_format: Format, name: str) -> None:
    text = plain(exposition_of(A_SNAPSHOT), exposition_format)
    shown, _, _ = text.partition(b"# HELP prisma_postgres_exporter_")
    assert shown == (_GOLDEN / name).read_bytes()
