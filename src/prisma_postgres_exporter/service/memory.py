"""Keep the memory of a service small, and its garbage collector out of the way."""

from __future__ import annotations

import ctypes
import gc

_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8  # glibc's malloc.h
_MAPPED_BYTES = 256 * 1024
_YOUNG_OBJECTS = 2_000


def settle_allocator() -> None:
    """Let glibc give memory back: few arenas, and large blocks on their own.

    Otherwise each thread has an arena, and the texts of old expositions leave holes in it. Elsewhere, as with musl,
    there is nothing to settle.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 2)
        mallopt(_M_MMAP_THRESHOLD, _MAPPED_BYTES)


def spare_the_old() -> None:
    """Never look at everything of its own accord: with 10,000 databases that stops every thread for 0.3 s."""
    gc.set_threshold(_YOUNG_OBJECTS, 10, 1_000_000)


def collect_young() -> None:
    """Collect what is new and is garbage already, before much that is none is made."""
    gc.collect(1)


def set_aside() -> None:
    """Let no later collection look at what is there now: what is held and shown lives long, and has no cycles."""
    gc.freeze()


def look_at_everything() -> None:
    """Collect also what became garbage since it was set aside; for now and then."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
