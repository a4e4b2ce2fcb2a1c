"""A terminal at which the `api` commands are typed."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from api_commands import FIRST, Terminal, terminal_vendor


@pytest.fixture
def terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Terminal]:
    for name in [name for name in os.environ if name.startswith("PRISMA_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    handlers, level, log_lines = logging.root.handlers[:], logging.root.level, structlog.get_config()
    config = tmp_path / "config.yaml"
    config.write_text("poll: {requests_per_second: 1000, total_timeout: 2s}\n")
    monkeypatch.setenv("PRISMA_POSTGRES_CONFIG", str(config))
    with terminal_vendor() as running:
        monkeypatch.setenv("PRISMA_POSTGRES_API_URL", running.url)
        typed = Terminal(running, monkeypatch, capsys)
        typed.use(FIRST)
        yield typed
    structlog.configure(**log_lines)
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
