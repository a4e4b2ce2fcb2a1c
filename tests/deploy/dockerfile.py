"""A Dockerfile read, and its COPY and RUN lines carried out on this machine, in a folder instead of an image."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "deploy" / "Dockerfile"


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """One instruction: `keyword` in capitals, and the rest as one line."""

    keyword: str
    text: str


def stages() -> list[list[Instruction]]:
    """Return the instructions of each stage, `FROM` first; what stands before the first stage is left out."""
    lines = [line for line in DOCKERFILE.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    found: list[list[Instruction]] = []
    for line in filter(None, joined.splitlines()):
        keyword, _, text = line.partition(" ")
        if keyword == "FROM":
            found.append([])
        if found:
            found[-1].append(Instruction(keyword=keyword, text=text))
    return found


def values(stage: list[Instruction], keyword: str) -> list[str]:
    """Return the text of each instruction with this keyword."""
    return [instruction.text for instruction in stage if instruction.keyword == keyword]


def command(stage: list[Instruction], keyword: str) -> list[str]:
    """Return the last command of this keyword, which must be written as a JSON list."""
    text = values(stage, keyword)[-1]
    parts: list[str] = json.loads(text[text.index("[") :])
    return parts


def carry_out(stage: list[Instruction], root: Path) -> None:
    """Do what the stage's COPY and RUN lines say, with `root` in front of every path of the image.

    `.dockerignore` decides what there is to copy.
    """
    context = root / "context"
    _copy_context(context)
    folder = Path(values(stage, "WORKDIR")[0].lstrip("/"))
    moved = sorted({folder.parts[0], "app", "wheels", "build-tools"}, key=len, reverse=True)
    paths = re.compile(rf"(?<![\w.])/(?=(?:{'|'.join(moved)})\b)")
    work = root / folder
    work.mkdir(parents=True)
    for instruction in stage:
        if instruction.keyword == "COPY":
            *sources, target = shlex.split(instruction.text)
            to = root / target.lstrip("/") if target.startswith("/") else work / target
            for source in sources:
                _copy(context / source, to, is_folder=target.endswith("/"))
        elif instruction.keyword == "RUN":
            _run(paths.sub(f"{root}/", instruction.text), work)


def _copy_context(target: Path) -> None:
    """Copy what `.dockerignore` lets through: it excludes everything and then names what is wanted."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    for rule in rules:
        if rule.startswith("!"):
            _copy(ROOT / rule[1:], target / rule[1:], is_folder=False)


def _copy(source: Path, target: Path, *, is_folder: bool) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.py[co]"))
        return
    target = target / source.name if is_folder else target
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)


def _run(line: str, folder: Path) -> None:
    """Run a line in a shell whose `python` and `pip` are those of this interpreter."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-euc", line],
        cwd=folder,
        env={**os.environ, "PATH": path, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
