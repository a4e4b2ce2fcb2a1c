"""Numbers drawn from a seed: the same everywhere and always, whatever order they are asked for in."""

from __future__ import annotations

_MASK = (1 << 64) - 1
_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
ID_LENGTH = 24


def draw(*keys: int) -> int:
    """Return 64 bits that depend on every one of `keys`, and on nothing else."""
    state = 0x9E3779B97F4A7C15
    for key in keys:
        state = (state ^ (key & _MASK)) * 0xBF58476D1CE4E5B9 & _MASK
        state ^= state >> 31
        state = state * 0x94D049BB133111EB & _MASK
        state ^= state >> 29
    return state


def share(*keys: int) -> float:
    """Return a number from 0 up to but not including 1."""
    return (draw(*keys) >> 11) / (1 << 53)


def cuid(*keys: int) -> str:
    """Return an id like the vendor's, without its prefix."""
    number = draw(*keys) << 64 | draw(*keys, 1)
    letters = []
    for _ in range(ID_LENGTH - 1):
        number, digit = divmod(number, 36)
        letters.append(_ALPHABET[digit])
    return "c" + "".join(letters)
