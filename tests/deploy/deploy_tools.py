"""Checking programs that come as Python packages, run from where this interpreter's packages put them."""

from __future__ import annotations

import subprocess
import sysconfig
from pathlib import Path


def run_tool(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program of this environment to its end."""
    program = Path(sysconfig.get_path("scripts")) / name
    return subprocess.run([str(program), *arguments], capture_output=True, text=True, check=False)
