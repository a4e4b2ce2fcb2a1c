"""The blocks of the manual's pages, and writing what a command shows anew."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from made_tables import ROOT

NOT_OURS = {".venv", "node_modules", ".git", ".pytest_cache"}
PAGES = sorted(page for page in ROOT.rglob("*.md") if NOT_OURS.isdisjoint(page.relative_to(ROOT).parts))
RUN = ("sh", "console", "bash")
"""What is for a shell; `console` shows what is printed too."""

_BLOCK = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^(?P=indent)```$", re.M | re.S)


@dataclass(frozen=True, slots=True)
class Block:
    """A block of a page: its text without the fences."""

    page: Path
    number: int
    language: str
    text: str

    @property
    def name(self) -> str:
        """For people: the page, and where it stands there."""
        return f"{self.page.relative_to(ROOT)}:{self.number}"


@dataclass(frozen=True, slots=True)
class Shown:
    """A command of a `console` block, and what it is said to print; `…` stands for whatever is there."""

    command: str
    lines: tuple[str, ...]


def blocks(*languages: str) -> Iterator[Block]:
    """Every block in one of these languages, page by page; `number` counts all of a page's blocks from 1."""
    for page in PAGES:
        found = _BLOCK.finditer(page.read_text(encoding="utf-8"))
        for number, block in enumerate(found, 1):
            if block["language"] in languages:
                yield Block(page, number, block["language"], block["text"])


def shown(block: Block) -> Iterator[Shown]:
    """The commands of a `console` block."""
    for part in re.split(r"^\$ ", block.text, flags=re.M)[1:]:
        command, *lines = part.splitlines()
        while command.endswith("\\"):
            command, lines = f"{command}\n{lines[0]}", lines[1:]
        yield Shown(command, tuple(lines))


def differences(said: tuple[str, ...], printed: list[str]) -> list[str]:
    """Where what was printed is not what is said, numbers apart but for days and months."""
    wanted = [_pattern(line) for line in said]
    if said and said[-1] == "…":
        wanted, printed = wanted[:-1], printed[: len(said) - 1]
    if len(wanted) != len(printed):
        return [f"{len(wanted)} lines are said, {len(printed)} printed", *printed]
    return [
        f"said:    {line}\nprinted: {other}"
        for line, pattern, other in zip(said, wanted, printed, strict=False)
        if not re.fullmatch(pattern, _plain(other))
    ]


def _pattern(line: str) -> str:
    return ".*".join(re.escape(part) for part in _plain(line).split("…"))


def _plain(line: str) -> str:
    """A line in which numbers, ids and the room between columns are alike; days and months are what they are."""
    text = re.sub(r"\b([a-z]+_)[a-z0-9]{24,}\b", r"\1ID", line)
    text = re.sub(r"(?<![\d-])(?!\d{4}-\d{2}\b)[-+]?\d[\d,]*(?:\.\d+)?(?!\d*-\d)", "0", text)
    return re.sub(r"\s+", " ", text).strip()


def write_anew(block: Block, printed: list[list[str]]) -> None:
    """Put what the commands printed in the place of what the page says, as far as it says it."""
    text = []
    for command, lines in zip(shown(block), printed, strict=True):
        text.append(f"$ {command.command}\n")
        said = command.lines
        whole = [*lines[: len(said) - 1], "…"] if said and said[-1] == "…" else lines
        text.extend(f"{_cut(line, said[row] if row < len(said) else '')}\n" for row, line in enumerate(whole))
    page = block.page.read_text(encoding="utf-8")
    block.page.write_text(page.replace(block.text, "".join(text), 1), encoding="utf-8")


def _cut(line: str, said: str) -> str:
    return line[: len(said) - 2].rstrip() + " …" if said.endswith("…") and said != "…" else line
