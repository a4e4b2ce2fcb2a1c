"""Draws that are the same on every machine and in every process: integers mixed from keys, no state."""

from __future__ import annotations

from typing import Final

_MASK: Final = 2**64 - 1
_STEP: Final = 0x9E3779B97F4A7C15
_LETTERS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_ID_LETTERS: Final = 24


def draw(*keys: int) -> int:
    """64 even bits that depend on every key and on their order (splitmix64, once for each key)."""
    state = 0
    for key in keys:
        state = (state ^ key) + _STEP & _MASK
        state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 & _MASK
        state = (state ^ state >> 27) * 0x94D049BB133111EB & _MASK
        state ^= state >> 31
    return state


def between(lowest: int, highest: int, bits: int) -> int:
    """A number from `lowest` to `highest`, both included, evenly."""
    return lowest + bits % (highest - lowest + 1)


def is_hit(share: float, bits: int) -> bool:
    """Whether a draw falls into a share from 0 to 1, counted in millionths."""
    return bits % 1_000_000 < round(share * 1_000_000)


def spread(lowest: int, highest: int, bits: int) -> int:
    """A number from `lowest` to `highest`, each doubling as likely as the next: few are large."""
    if lowest <= 0:
        raise ValueError("a spread starts above zero")
    doublings = max(1, (highest // lowest).bit_length() - 1)
    floor = lowest << bits % doublings
    return min(highest, floor + (floor * (bits >> 32 & 0xFFFF) >> 16))


def identifier(prefix: str, *keys: int) -> str:
    """`prefix`, a `c` and 24 letters and digits: what the vendor's ids look like."""
    number = draw(*keys, 1) << 64 | draw(*keys, 2)
    letters = []
    for _ in range(_ID_LETTERS):
        number, digit = divmod(number, 36)
        letters.append(_LETTERS[digit])
    return f"{prefix}c{''.join(letters)}"
