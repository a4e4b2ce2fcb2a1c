"""The reliability tables of the guide: each test of a fault says what a user saw, and fails where the guide does not.

`python tests/reliability.py` runs those tests and writes the tables anew, with the times that were measured.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "deploy" / "guide" / "operations.md", ROOT / "deploy" / "guide" / "security.md")
RECORDS = "RELIABILITY_RECORDS"
HEADER = "| what was tried | times | what a user sees | what was lost | well again after |\n|---|---|---|---|---|\n"
_TABLE = re.compile(
    r"(?P<start><!-- reliability (?P<part>[a-z]+): (?P<command>[^\n]+?) -->\n)"
    r"(?P<rows>.*?)(?P<end><!-- /reliability -->)",
    re.S,
)


@dataclass(frozen=True, slots=True)
class Fault:
    """A row; all but the time is asserted.

    `part` names the table, `seconds` is from the end of the fault until all was well again (`None`: it never was not).
    """

    part: str
    tried: str
    times: int
    seen: str
    lost: str
    seconds: float | None

    @property
    def cells(self) -> str:
        """The row without its last cell."""
        return f"| {self.tried} | {self.times:,} | {self.seen} | {self.lost} |"

    @property
    def row(self) -> str:
        """The whole row."""
        return f"{self.cells} {'–' if self.seconds is None else f'{self.seconds:.1f} s'} |"


def record(fault: Fault) -> None:
    """Say what was seen; fails where the guide does not say the same.

    Raises:
        AssertionError: the guide has no such row.
    """
    if directory := os.environ.get(RECORDS):
        name = re.sub(r"\W+", "-", f"{fault.part} {fault.tried}")
        (Path(directory) / f"{name}.json").write_text(json.dumps(asdict(fault)))
        return
    rows = [row for part, _, rows in tables() if part == fault.part for row in rows]
    assert any(row.startswith(fault.cells) for row in rows), (
        f"the guide's table {fault.part!r} has no row {fault.cells!r}: run `python tests/reliability.py {fault.part}`"
    )


def tables() -> Iterator[tuple[str, str, list[str]]]:
    """Each table of the guide: its name, the command that makes it again, and its rows."""
    for page in PAGES:
        for found in _TABLE.finditer(page.read_text()):
            yield found["part"], found["command"], found["rows"].removeprefix("\n" + HEADER).strip().splitlines()


def _write(faults: list[Fault]) -> None:
    for page in PAGES:
        page.write_text(_TABLE.sub(lambda found: _filled(found, faults), page.read_text()))


def _filled(found: re.Match[str], faults: list[Fault]) -> str:
    rows = [fault.row for fault in faults if fault.part == found["part"]]
    if not rows:
        return found[0]
    return f"{found['start']}\n{HEADER}" + "".join(f"{row}\n" for row in rows) + f"\n{found['end']}"


def main(parts: list[str]) -> int:
    """Run the commands of the named tables (all if none is named), and write their rows."""
    with tempfile.TemporaryDirectory() as directory:
        for part, command, _ in tables():
            if not parts or part in parts:
                print(f"{part}: {command}", flush=True)
                done = subprocess.run(
                    shlex.split(command), cwd=ROOT, env={**os.environ, RECORDS: directory}, check=False
                )
                if done.returncode:
                    return done.returncode
        # By name: which of two workers ended first says nothing.
        files = sorted(Path(directory).iterdir())
        _write([Fault(**json.loads(file.read_text())) for file in files])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
