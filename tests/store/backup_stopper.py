"""Begin a backup, say so when the first pages are copied, and wait there to be killed."""

from __future__ import annotations

import sys
from pathlib import Path

from lived_store import ENDS_AT

from prisma_postgres_exporter.store import Store, sqlite


def wait_in_the_middle(copied: int, total: int) -> None:
    print(f"{copied} of {total}", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    sqlite.COPIED_PAGES = 5
    Store.open_to_read(sys.argv[1]).backup(Path(sys.argv[2]), ENDS_AT, is_forced=True, on_progress=wait_in_the_middle)
