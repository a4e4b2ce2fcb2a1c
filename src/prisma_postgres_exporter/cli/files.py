"""Files that commands write: whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from prisma_postgres_exporter.errors import ConfigurationError


def write_whole(path: Path, parts: Iterable[bytes], *, option: str) -> None:
    """Replace the file at `path` by `parts`, readable by everyone, so that no reader sees half of it.

    A link is followed. What is not a file, as a pipe or a device is, is written to and stays what it is.

    Raises:
        ConfigurationError: the file cannot be written there; names the `option` that gave the path.
    """
    try:
        if path.exists() and not path.is_file():
            _write_into(path, parts)
        else:
            _replace(path.resolve(), parts)
    except OSError as error:
        raise ConfigurationError([f"{option} {path}: cannot be written: {error.strerror}"]) from error


def _write_into(path: Path, parts: Iterable[bytes]) -> None:
    with path.open("wb", buffering=0) as stream:
        for part in parts:
            left = memoryview(part)
            while left:
                left = left[stream.write(left) :]


def _replace(path: Path, parts: Iterable[bytes]) -> None:
    draft_path: Path | None = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as draft:
            draft_path = Path(draft.name)
            draft.writelines(parts)
            draft.flush()
            os.fsync(draft.fileno())
        draft_path.chmod(0o644)
        draft_path.replace(path)
    finally:
        if draft_path is not None:
            draft_path.unlink(missing_ok=True)
