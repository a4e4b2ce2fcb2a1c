"""An end of the process that waits for nothing, and leaves nothing of what was made for this process alone."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

EXIT_INTERRUPTED = 130
"""How every command ends that Ctrl-C or SIGTERM ends before its time."""

_TRIES = 1_000
_made: list[Path] = []


@contextmanager
def removed_at_the_end(path: Path) -> Iterator[None]:
    """Remove a folder or a file afterwards, also where the process ends at once; it need not be there yet."""
    _made.append(path)
    try:
        yield
    finally:
        _remove(path)
        _made.remove(path)


def end_at_once(code: int) -> NoReturn:
    """End without waiting for threads or servers; for signals."""
    for path in tuple(_made):
        _remove(path)
    os._exit(code)


def _remove(path: Path) -> None:
    for _ in range(_TRIES):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
        # A thread that still writes may have made another file in the folder.
        if not os.path.lexists(path):
            return
