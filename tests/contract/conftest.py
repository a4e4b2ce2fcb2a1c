"""The vendor's contract, for every test of this folder."""

from __future__ import annotations

import os
import shutil

import pytest
from vendor_types import Contract, pinned_contract


@pytest.fixture(scope="session")
def contract(pytestconfig: pytest.Config) -> Contract:
    """Every operation of the locked version of the vendor's types."""
    if shutil.which("npm") is None and "CI" not in os.environ:
        pytest.skip("npm is missing")
    return pinned_contract(pytestconfig.cache.mkdir("contract"))
