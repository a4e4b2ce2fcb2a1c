"""Copy a store into a file, whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prisma_postgres_exporter.errors import ConfigurationError
from prisma_postgres_exporter.store.sqlite_reader import BESIDE, LOCK


@contextmanager
def replacing(path: Path, *, is_forced: bool) -> Iterator[Path]:
    """Give an empty file beside `path`, for its owner only, and put it there when the block ends well.

    When the block fails, or the process is killed, what was at `path` stays, and so does its absence.

    Raises:
        ConfigurationError: there is a file already, and it is not `is_forced`; or none can be made there.
    """
    path = path.absolute()
    _refuse_to_overwrite(path, is_forced=is_forced)
    draft = _draft_beside(path)
    try:
        yield draft
        _sync(draft)
        _refuse_to_overwrite(path, is_forced=is_forced)
        draft.replace(path)
        _sync(path.parent)
    finally:
        # SQLite keeps files of its own beside a database that is open.
        for left in (draft, *(draft.with_name(f"{draft.name}{suffix}") for suffix in BESIDE)):
            left.unlink(missing_ok=True)


def require_elsewhere(path: Path, store: Path) -> None:
    """Make sure that `path` is neither the file of the store that is copied, by whatever name, nor beside it for it.

    Raises:
        ConfigurationError: it is one of them.
    """
    real = Path(os.path.realpath(store))
    taken = (real, *(real.with_name(f"{real.name}{suffix}") for suffix in (*BESIDE, LOCK)))
    for name in taken:
        if Path(os.path.realpath(path)) == name or (path.exists() and name.exists() and path.samefile(name)):
            raise ConfigurationError([f"{path}: is {name.name} of the store itself; name another file for the copy"])


def _draft_beside(path: Path) -> Path:
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise ConfigurationError([f"{path}: cannot be written: {error.strerror}"]) from error
    os.close(handle)
    return Path(name)


def _refuse_to_overwrite(path: Path, *, is_forced: bool) -> None:
    if path.is_dir():
        raise ConfigurationError([f"{path}: is a directory; name a file in it"])
    if path.exists() and not is_forced:
        raise ConfigurationError([f"{path}: is there already; name another file, or overwrite it with --force"])


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
