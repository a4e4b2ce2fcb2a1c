"""Take a picture: anew, or from the last one, where only what changed is looked at."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

from prisma_postgres_exporter.cost import BudgetState, Costs
from prisma_postgres_exporter.model import Book, Position
from prisma_postgres_exporter.snapshot.sums import Sums, minus, plus, sums_of, view_workspace
from prisma_postgres_exporter.snapshot.views import DatabaseView, WorkspaceView, view_database

NO_COSTS = Costs()
NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One picture, taken at `taken_at`. A `DatabaseView` that did not change is the same object as in the last one.

    `databases` are sorted by workspace, project and database; `filtered` more exist and are left out.
    """

    taken_at: datetime
    workspaces: tuple[WorkspaceView, ...]
    databases: tuple[DatabaseView, ...]
    filtered: int
    budgets: tuple[BudgetState, ...] = ()
    basis: Basis | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """What a picture was taken of, to take the next one from it.

    `places` are the databases' places in the picture, `sums` are by workspace key. Up to
    `expires_at` no value becomes too old to be shown.
    """

    viewing: Viewing
    day: date
    positions: Mapping[str, Position]
    places: Mapping[str, int]
    sums: Mapping[int, Sums]
    expires_at: datetime
    costs: Costs


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewing:
    """What decides how everything is shown."""

    followed: Collection[str]
    keep_last_value: timedelta
    window_names: tuple[str, ...]
    workspace_names: Mapping[str, str]

    def view(self, position: Position, costs: Costs, now: datetime) -> DatabaseView | None:
        """Return what a database shows, if it is shown."""
        if position.deleted_at is not None or position.database.id not in self.followed:
            return None
        return view_database(
            position,
            workspace_name=self.workspace_names.get(position.database.workspace_id, ""),
            keep_last_value=self.keep_last_value,
            window_names=self.window_names,
            now=now,
            cost=costs.databases.get(position.database.id),
        )


def take_snapshot(
    book: Book,
    *,
    followed: Collection[str],
    workspace_failures: Mapping[str, str | None],
    keep_last_value: timedelta,
    window_names: Collection[str],
    now: datetime,
    costs: Costs = NO_COSTS,
    last: Snapshot | None = None,
) -> Snapshot:
    """Build the picture of `book` at `now`.

    `followed` are the ids of the databases to show, `window_names` the rolling windows to show.
    `workspace_failures` says by workspace id why it cannot be read, `None` where it can; one that is not
    in it was not tried yet. `costs` are those of this month, as they were last worked out. A value whose
    database has not answered for `keep_last_value` is shown no more. Views equal to those of `last` are
    kept, and what `last` was taken of is not looked at again where the book still holds the same
    position.
    """
    viewing = Viewing(
        followed=followed,
        keep_last_value=keep_last_value,
        window_names=tuple(window_names),
        workspace_names={id_: row.workspace.name for id_, row in book.workspaces.items()},
    )
    databases, basis = _next_databases(book, viewing, costs, now, last) or _all_databases(
        book, viewing, costs, now, last
    )
    return Snapshot(
        taken_at=now,
        workspaces=tuple(
            view_workspace(row, basis.sums.get(row.key, Sums()), workspace_failures, costs.workspaces.get(id_), now)
            for id_, row in sorted(book.workspaces.items())
            if not row.is_gone
        ),
        databases=databases,
        filtered=sum(position.deleted_at is None for position in book.positions.values()) - len(databases),
        budgets=costs.budgets,
        basis=basis,
    )


def _all_databases(
    book: Book, viewing: Viewing, costs: Costs, now: datetime, last: Snapshot | None
) -> tuple[tuple[DatabaseView, ...], Basis]:
    last_views = {view.database_id: view for view in last.databases} if last else {}
    views: list[DatabaseView] = []
    sums: dict[int, Sums] = defaultdict(Sums)
    for position in book.positions.values():
        view = viewing.view(position, costs, now)
        if view is not None:
            before = last_views.get(view.database_id)
            view = before if before == view else view
            views.append(view)
        for key, added in sums_of(position, view, now):
            sums[key] = plus(sums[key], added)
    databases = tuple(sorted(views, key=_place))
    basis = Basis(
        viewing=viewing,
        day=now.date(),
        positions=book.positions,
        places={view.database_id: place for place, view in enumerate(databases)},
        sums=sums,
        expires_at=_expiry(databases, viewing.keep_last_value, now),
        costs=costs,
    )
    return databases, basis


def _next_databases(
    book: Book, viewing: Viewing, costs: Costs, now: datetime, last: Snapshot | None
) -> tuple[tuple[DatabaseView, ...], Basis] | None:
    """Change what changed; `None` where a new day, another configuration or a discovery concerns everything."""
    basis = last.basis if last else None
    if last is None or basis is None or basis.viewing != viewing or basis.day != now.date():
        return None
    if not last.taken_at <= now < basis.expires_at or basis.positions.keys() != book.positions.keys():
        return None
    databases = list(last.databases)
    sums = defaultdict(Sums, basis.sums)
    for id_, position in book.positions.items():
        before = basis.positions[id_]
        if position is before:
            continue
        if position.database != before.database or position.deleted_at != before.deleted_at:
            return None
        place = basis.places.get(id_)
        last_view = None if place is None else databases[place]
        view = viewing.view(position, costs, now)
        if place is not None and view is not None and view != last_view:
            databases[place] = view
        for key, removed in sums_of(before, last_view, now):
            sums[key] = minus(sums[key], removed)
        for key, added in sums_of(position, view, now):
            sums[key] = plus(sums[key], added)
    if costs is not basis.costs:
        databases = [_with_cost(view, costs) for view in databases]
    next_basis = Basis(
        viewing=viewing,
        day=basis.day,
        positions=book.positions,
        places=basis.places,
        sums=sums,
        # A value that was read since expires later: the old bound is only too early.
        expires_at=basis.expires_at,
        costs=costs,
    )
    return tuple(databases), next_basis


def _with_cost(view: DatabaseView, costs: Costs) -> DatabaseView:
    cost = costs.databases.get(view.database_id)
    return view if view.cost == cost else replace(view, cost=cost)


def _place(view: DatabaseView) -> tuple[str, str, str]:
    return view.workspace_id, view.project_id, view.database_id


def _expiry(views: Iterable[DatabaseView], keep_last_value: timedelta, now: datetime) -> datetime:
    """Return when the first value that is shown now will be too old."""
    read_at = (view.last_success_at for view in views if view.last_success_at is not None)
    fresh = (at for at in read_at if now - at <= keep_last_value)
    return min(fresh, default=NEVER - keep_last_value) + keep_last_value
