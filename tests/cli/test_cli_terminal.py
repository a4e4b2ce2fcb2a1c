"""What a terminal is given, whatever its encoding."""

from __future__ import annotations

import io
import sys

import pytest

from prisma_postgres_exporter.cli.terminal import harmless


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_cell_in_which_nothing_is_known_is_a_dash_in_every_encoding(
    monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))

    assert harmless("–") == "-"
    assert harmless("a–b") == "a\\u2013b", "a name keeps what tells it from another"
