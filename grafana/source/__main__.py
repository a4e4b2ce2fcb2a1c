"""Write the dashboards' JSON, or with `--check` fail where it is not what the source says."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from dashboards import render_all

FOLDER = Path(__file__).parents[1] / "dashboards"


def main() -> int:
    """Return the exit code: 1 when `--check` finds a difference."""
    parser = argparse.ArgumentParser(prog="python grafana/source", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail where a file is not up to date")
    is_check = parser.parse_args().check
    rendered = render_all()
    extra = sorted({path.name for path in FOLDER.glob("*.json")} - rendered.keys())
    stale = [name for name, text in rendered.items() if not _is_same(FOLDER / name, text)]
    if is_check:
        for name in stale + extra:
            print(f"grafana/dashboards/{name} is not what grafana/source says: run `python grafana/source`")
        return 1 if stale or extra else 0
    FOLDER.mkdir(exist_ok=True)
    for name in extra:
        (FOLDER / name).unlink()
    for name in stale:
        (FOLDER / name).write_text(rendered[name], encoding="utf-8")
        print(f"wrote grafana/dashboards/{name}")
    return 0


def _is_same(path: Path, text: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    sys.exit(main())
