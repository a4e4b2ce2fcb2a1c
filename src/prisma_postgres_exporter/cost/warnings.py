"""What about costs a person should know: nothing that stops the service."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from prisma_postgres_exporter.config import Config
from prisma_postgres_exporter.cost.charging import Costs
from prisma_postgres_exporter.model import LedgerState


def cost_warnings(ledger_state: LedgerState, config: Config, costs: Costs) -> Iterator[str]:
    """Yield a line for each workspace without a whole cost, and for what is configured and fits nothing."""
    names = {id_: row.workspace.name for id_, row in ledger_state.workspaces.items() if not row.is_gone}
    for id_, cost in costs.workspaces.items():
        if cost.unpriced is not None:
            yield f"workspace {names.get(id_, id_)} has no whole cost: {cost.unpriced}"
    if not names:
        return  # nothing was discovered yet: everything would fit nothing
    known = {*names, *names.values()}
    for own in config.cost.workspaces:
        if own.workspace not in known:
            nearest = difflib.get_close_matches(own.workspace, known, n=1)
            meant = f"did you mean {nearest[0]}?" if nearest else f"known are {', '.join(sorted(names.values()))}"
            yield f"cost.workspaces: there is no workspace {own.workspace!r}; {meant}"
    for budget in costs.budgets:
        if budget.databases == 0 and budget.spent_usd is None:
            yield f"budget {budget.name!r} matches nothing; look at its expressions"
