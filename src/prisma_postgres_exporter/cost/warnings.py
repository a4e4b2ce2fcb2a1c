"""What about costs a person should know: nothing that stops the service."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from prisma_postgres_exporter.config import Config
from prisma_postgres_exporter.cost.charging import Costs
from prisma_postgres_exporter.cost.estimate import WorkspaceCost
from prisma_postgres_exporter.model import LedgerState
from prisma_postgres_exporter.words import listed


def cost_warnings(ledger_state: LedgerState, config: Config, costs: Costs) -> Iterator[str]:
    """Yield a line for each workspace without a whole cost, and for what is configured and fits nothing."""
    # One that is gone is in the bill of the month that it was followed in.
    names = {
        id_: row.workspace.name
        for id_, row in ledger_state.workspaces.items()
        if not row.is_gone or id_ in costs.workspaces
    }
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
        if budget.is_empty:
            yield f"budget {budget.name!r} matches nothing; look at its expressions"


def likely_block(plan: str | None, cost: WorkspaceCost | None) -> str:
    """Return which of the vendor's three blocks a blocked workspace is likely under, and its own way out.

    The API does not say which: the plan tells the first, what counts against a limit
    that is configured the second.
    """
    if plan is None:
        return "the vendor does not say why: an upgrade, a higher spend limit or a paid invoice ends it"
    if plan.lower() == "free":
        return (
            "likely the Free plan's allowance: ends with an upgrade (within a minute), at 00:00 UTC on the 1st, or for "
            "24 hours, once, by a button in the vendor's console"
        )
    unpaid = "an unpaid invoice (ends with its payment only)"
    limit = cost.spend_limit if cost is not None else None
    charges = cost.bill.charges if cost is not None and cost.bill is not None else None
    if limit is not None and charges is not None and limit.counted(charges) >= limit.usd:
        return f"likely the spend limit: ends when it is raised above what has accrued, or on the 1st; else {unpaid}"
    if limit is None:
        return (
            f"likely the spend limit (raise it; here none is configured: cost.workspaces[].spend_limit_usd) or {unpaid}"
        )
    is_whole = cost is not None and cost.bill is not None and cost.bill.are_charges_known
    if limit.not_counted or not is_whole:
        missing = listed((*limit.not_counted, *(() if is_whole else ("usage that was not read",))))
        return f"likely {unpaid}, or the spend limit, as what is counted here lacks {missing}"
    return f"likely {unpaid}"
