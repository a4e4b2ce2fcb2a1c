"""Keep the garbage collector away from the ledger state: it lives long, has no cycles, and is slow to look at.

Measured with 10,000 databases: a full collection takes 0.28 s, in which nothing is served.
"""

from __future__ import annotations

import gc


def set_aside() -> None:
    """Collect what is new and is garbage, and let no later collection look at what is left.

    Cheap after a round: only what the round made is looked at.
    """
    gc.collect()
    gc.freeze()


def look_at_everything() -> None:
    """Collect also what became garbage since it was set aside; for now and then."""
    gc.unfreeze()
    set_aside()
