"""A longer run than CI's: coverage leads it where atheris is installed.

`python tests/fuzz/fuzz_longer.py [--seconds 600] [answers configurations prices web_configurations token_files]` runs
each target so long, one after the other, and ends at the first finding with the bytes in a file. Web requests and
command lines are longer with `FUZZ_EXAMPLES=100000 .venv/bin/pytest -m slow tests/fuzz`, which is also the way without
atheris.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

CORPUS = Path(tempfile.gettempdir()) / "prisma-postgres-exporter-fuzz"


def main(arguments: list[str]) -> int:
    """Run the targets, each in a process of its own: libFuzzer ends its process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("targets", nargs="*")
    chosen = parser.parse_args(arguments)
    if chosen.one:
        return _run(chosen.one, chosen.seconds)
    for name in chosen.targets or _names():
        print(f"{name}: {chosen.seconds} s", flush=True)
        command = (sys.executable, __file__, "--one", name, "--seconds", str(chosen.seconds))
        if code := subprocess.run(command, check=False).returncode:
            return code
    return 0


def _names() -> tuple[str, ...]:
    from targets import TARGETS

    return tuple(TARGETS)


def _run(name: str, seconds: int) -> int:
    # It is on no machine that does not ask for it, and says nothing of its types.
    atheris: Any = import_module("atheris")
    with atheris.instrument_imports(include=["prisma_postgres_exporter", "yaml", "json"]):
        from targets import TARGETS

    target, corpus = TARGETS[name], CORPUS / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    words = corpus.with_suffix(".dict")
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in target.words if len(word) < 64))
    found = f"-artifact_prefix={corpus}-"
    atheris.Setup(
        [
            sys.argv[0],
            f"-max_total_time={seconds}",
            f"-dict={words}",
            "-timeout=30",
            "-max_len=4096",
            found,
            str(corpus),
        ],
        target.check,
    )
    atheris.Fuzz()
    return 0


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
