"""Long lists in pages: what an address asks for, and the rows that it gets."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar
from urllib.parse import urlencode

from prisma_postgres_exporter.cost import Bill
from prisma_postgres_exporter.report import Departed, MonthCosts, ProjectLine
from prisma_postgres_exporter.snapshot import DatabaseView

ROWS = 20
COSTLIEST = 3
LONGEST_SEARCH = 200
FAILING = "failing"

T = TypeVar("T")
Key = Callable[[DatabaseView], float | str | None]


def operations_of(view: DatabaseView) -> int | None:
    """Those of the month in the workspace that holds it, as beside them its cost is; none where they are too old."""
    return None if view.month_to_date_operations is None else view.usage.operations


def is_failing(view: DatabaseView) -> bool:
    """Whether it is not read."""
    return view.is_up is False or view.failing_since_at is not None


SORTS: Mapping[str, Key] = {
    "name": lambda view: (view.database_name or view.database_id).casefold(),
    "project": lambda view: view.project_name.casefold(),
    "workspace": lambda view: view.workspace_name.casefold(),
    "operations": operations_of,
    "today": lambda view: view.day_to_date_operations,
    "storage": lambda view: view.storage_bytes,
    "cost": lambda view: None if view.cost is None or view.cost.known is None else float(view.cost.known),
    "state": lambda view: f"{not is_failing(view)}{view.is_up}",
}
"""What databases can be sorted by; numbers begin with the largest."""

BY_COST = "cost"
TEXTS = frozenset({"name", "project", "workspace", "state"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the address of a page asks for; what is not understood counts as not asked.

    `sort` is a key of `SORTS`, with `-` before it the other way round. `workspaces` is the page of the workspaces.
    """

    search: str = ""
    sort: str = BY_COST
    page: int = 1
    workspaces: int = 1
    is_failing: bool = False

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Asked:
        """Read a query."""
        sort = query.get("sort", "")
        return cls(
            search=query.get("q", "")[:LONGEST_SEARCH],
            sort=sort if sort.removeprefix("-") in SORTS else BY_COST,
            page=_number(query.get("page", "")),
            workspaces=_number(query.get("workspaces", "")),
            is_failing=query.get("show") == FAILING,
        )

    @property
    def key(self) -> str:
        """What is sorted by."""
        return self.sort.removeprefix("-")

    def link(self, anchor: str, **changes: object) -> str:
        """The address of the same page where something else is asked for."""
        asked = replace(self, **changes)  # type: ignore[arg-type]
        pairs = {
            "q": asked.search,
            "sort": "" if asked.sort == BY_COST else asked.sort,
            "page": "" if asked.page == 1 else asked.page,
            "workspaces": "" if asked.workspaces == 1 else asked.workspaces,
            "show": FAILING if asked.is_failing else "",
        }
        return f"?{urlencode({name: value for name, value in pairs.items() if value})}#{anchor}"

    def sorted_by(self, key: str) -> str:
        """The address of the list sorted by a column, the other way round where it is sorted by it already."""
        return self.link("databases", page=1, sort=f"-{key}" if self.sort == key else key)

    def direction(self, key: str) -> str:
        """What a screen reader says of a column."""
        if self.key != key:
            return "none"
        return "ascending" if (key in TEXTS) != self.sort.startswith("-") else "descending"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing(Generic[T]):
    """One page of `found` rows, of `there` in all."""

    rows: Sequence[T]
    found: int
    there: int
    page: int
    pages: int

    @property
    def first(self) -> int:
        """The number of its first row."""
        return (self.page - 1) * ROWS + 1


def one_page(rows: Sequence[T], page: int, there: int | None = None) -> Listing[T]:
    """Cut one page out of rows; one that is not there is the last."""
    pages = max(1, -(-len(rows) // ROWS))
    place = min(max(1, page), pages)
    shown = rows[(place - 1) * ROWS : place * ROWS]
    return Listing(rows=shown, found=len(rows), there=len(rows) if there is None else there, page=place, pages=pages)


def databases(views: Sequence[DatabaseView], asked: Asked) -> Listing[DatabaseView]:
    """Return the databases that are asked for, those of which the number is not known last."""
    wanted, key = asked.search.casefold(), SORTS[asked.key]
    found = [view for view in views if not asked.is_failing or is_failing(view)]
    found = [view for view in found if not wanted or wanted in _searched(view)]
    is_down = (asked.key in TEXTS) == asked.sort.startswith("-")
    known = [(value, view) for view in found if (value := key(view)) is not None]
    known.sort(key=_order)
    known.sort(key=_value, reverse=is_down)
    rest = sorted((view for view in found if key(view) is None), key=lambda view: _order((0, view)))
    return one_page([*(view for _, view in known), *rest], asked.page, len(views))


def _value(entry: tuple[float | str, DatabaseView]) -> float | str:
    return entry[0]


def _order(entry: tuple[float | str, DatabaseView]) -> tuple[int, str, str]:
    """Of equals the most used first, then by name."""
    view = entry[1]
    return -(operations_of(view) or 0), view.database_name, view.database_id


def _searched(view: DatabaseView) -> str:
    names = (view.database_name, view.database_id, view.project_name, view.project_id)
    return "\n".join((*names, view.workspace_name, view.workspace_id)).casefold()


def _number(text: str) -> int:
    return int(text) if re.fullmatch("[0-9]{1,6}", text) else 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """What is in the month's sums and in no list: databases that `departed`, and projects that moved with some.

    Of `moved`, id and name, are those that have a page.
    """

    departed: Departed
    moved: Sequence[tuple[str, str]]

    @property
    def said(self) -> str:
        """How many they are, and where they are now."""
        of = self.departed
        counts = ((of.deleted, "deleted"), (of.moved, "moved away"), (of.unfollowed, "not followed any more"))
        return f"{', '.join(f'{number:,} {how}' for number, how in counts if number)} this month"


def gone(lines: Iterable[ProjectLine], views: Iterable[DatabaseView], asked: Asked) -> Gone | None:
    """Return what of projects is in no list; nothing where only some databases are asked for."""
    left = [line for line in lines if line.departed.count]
    if not left or asked.search or asked.is_failing:
        return None
    there = {view.project_id for view in views}
    moved = {line.project_id: line.name or line.project_id for line in left if line.departed.moved and line.project_id}
    return Gone(
        departed=sum((line.departed for line in left), start=Departed()),
        moved=[(id_, name) for id_, name in moved.items() if id_ in there],
    )


def costliest_projects(
    costs: MonthCosts | str | None, views: Iterable[DatabaseView]
) -> Sequence[tuple[str | None, str, Bill]]:
    """The id, name and cost of the few projects that cost most so far; without an id, one that has no page any more.

    Where several are called alike, the name has their workspace before it.
    """
    if not isinstance(costs, MonthCosts):
        return []
    there = {view.project_id for view in views}
    workspaces = {line.workspace_id: line.name for line in costs.lines}
    called = Counter(line.name for line in costs.projects)

    def name_of(line: ProjectLine) -> str:
        name = line.name or line.project_id or ""
        workspace = workspaces.get(line.workspace_id) if called[line.name] > 1 else None
        return f"{workspace} / {name}" if workspace else name

    return [
        (line.project_id if line.project_id in there else None, name_of(line), line.bill)
        for line in costs.projects
        if line.project_id is not None and line.bill is not None and line.bill.known
    ][:COSTLIEST]
