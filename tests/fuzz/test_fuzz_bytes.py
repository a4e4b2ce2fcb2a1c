"""Whatever comes as an answer, a configuration, a file of prices or a token: a result or words, never a traceback."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from targets import TARGETS, no_hang

pytestmark = pytest.mark.slow

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "40"))
"""Of each kind; `FUZZ_EXAMPLES=100000` makes it a long run."""


@st.composite
def spoiled(draw: st.DrawFn, seeds: tuple[bytes, ...], words: tuple[bytes, ...]) -> bytes:
    """A good one in which some places are something else, twice there, or gone; or anything."""
    content = bytearray(draw(st.sampled_from(seeds) | st.binary(max_size=200)))
    word = st.sampled_from(words) | st.binary(max_size=8)
    for _ in range(draw(st.integers(0, 6))):
        begin = draw(st.integers(0, len(content)))
        end = min(len(content), begin + draw(st.integers(0, 12)))
        content[begin:end] = draw(word) + (bytes(content[begin:end]) if draw(st.booleans()) else b"")
    return bytes(content)


@pytest.mark.parametrize("name", TARGETS)
def test_whatever_comes_is_used_or_refused_in_words(name: str) -> None:
    target = TARGETS[name]

    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
    @given(spoiled(target.seeds, target.words))
    def check(given_bytes: bytes) -> None:
        with no_hang():
            target.check(given_bytes)

    for seed in target.seeds:
        target.check(seed)
    check()
