"""What is around a service: its configuration, where it listens, its web file, its store, and its targets of push."""

from __future__ import annotations

import errno
import time
from collections.abc import Collection, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from prisma_postgres_exporter.api import proxy_in_use
from prisma_postgres_exporter.config import (
    Config,
    OtlpConfig,
    RemoteWriteConfig,
    Tokens,
    WebConfig,
    differences,
    display_url,
    shown_address,
)
from prisma_postgres_exporter.cost import Costs, charge, cost_warnings
from prisma_postgres_exporter.diagnosis import (
    ConfigurationFacts,
    Failure,
    ListenFacts,
    PushFacts,
    Reason,
    StoreFacts,
    WebFacts,
)
from prisma_postgres_exporter.errors import ConfigurationError, StoreError, StoreMissing, StoreOutdated
from prisma_postgres_exporter.expose.selection import NO_WORKSPACE
from prisma_postgres_exporter.model import KnownDatabase, LedgerState, Moves
from prisma_postgres_exporter.service.costs import costs_in_force
from prisma_postgres_exporter.service.holder import holder_of
from prisma_postgres_exporter.service.leasing import session_name
from prisma_postgres_exporter.service.ledger_reader import days_of_costs
from prisma_postgres_exporter.service.listeners import require_free
from prisma_postgres_exporter.service.looking import MOVES_LOOKED_AT
from prisma_postgres_exporter.service.push_sender import Sender
from prisma_postgres_exporter.service.reading import open_to_read
from prisma_postgres_exporter.service.web_lock import LOOKED_AT_EVERY_SECONDS, exposure, read_lock
from prisma_postgres_exporter.service.web_seen import why_not_in_force
from prisma_postgres_exporter.store import Store

TO_CORRECT = frozenset({"http_401", "http_403", "http_404", "http_405"})
"""What a target of push answers where its address or login is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What the store holds, as far as it could be read; `known` by the ids of the databases."""

    facts: StoreFacts
    ledger_state: LedgerState = field(default_factory=LedgerState)
    costs: Costs = field(default_factory=Costs)
    known: dict[str, KnownDatabase] = field(default_factory=dict)
    moves: Moves = field(default_factory=Moves)


def read_configuration(config: Config, tokens: Tokens) -> ConfigurationFacts:
    """Say what was configured, and which way leads to the API."""
    try:
        proxy = proxy_in_use(config.api_url)
        way = f" through the proxy {proxy}" if proxy else ", without a proxy"
    except ConfigurationError:
        way = ""  # said of each token, whose client needs it
    repeated = (
        f"credential {name} has the token of {first}, and counts as that one" for name, first in tokens.repeated
    )
    return ConfigurationFacts(
        credentials=len(tokens.credentials) + len(tokens.problems),
        api_url=config.api_url,
        way=way,
        warnings=(*config.warnings, *repeated),
    )


def look_at_address(address: str, url: str, store: StoreFacts) -> ListenFacts:
    """Try whether an address could be listened on; whoever listens there already is asked who it is.

    `store` is what is known of the one at `url`.
    """
    try:
        require_free(address)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            return ListenFacts(address=address, problem=f"cannot be listened on: {error.strerror}")
        holder = holder_of(address)
        is_on_this_store = None
        if holder.is_ours and holder.process is not None:
            is_on_this_store = Store.is_kept_by(url, holder.process)
            if is_on_this_store is None and store.collectors is not None:
                is_on_this_store = session_name(holder.process) in store.collectors
        return ListenFacts(
            address=address,
            holder=holder.text,
            is_ours=holder.is_ours,
            is_on_this_store=is_on_this_store,
            unhealthy=holder.unhealthy,
        )
    return ListenFacts(address=address)


def look_at_web(web: WebConfig, owned: Collection[str] | None) -> WebFacts:
    """Read the web configuration file as the service does, where there is one, and see whether the service did.

    `owned` are the workspaces that credentials are of, `None` where that is not known of each.
    """
    path = None if web.config_file is None else str(web.config_file)
    not_in_force = None
    try:
        lock = None if web.config_file is None else read_lock(web.config_file, web.users)
        if lock is not None and (not_in_force := why_not_in_force(web, lock)) is not None:
            # The service looks at the file every two seconds.
            time.sleep(1.5 * LOOKED_AT_EVERY_SECONDS)
            not_in_force = why_not_in_force(web, lock)
    except ConfigurationError as error:
        return WebFacts(path=path, problems=error.problems)
    said = exposure(web, lock.file if lock else None)
    notes = (*(lock.notes if lock else ()), *((said,) if said else ()), *_bound_to_nothing(web, owned))
    return WebFacts(path=path, access=lock.access if lock else "", not_in_force=not_in_force, notes=notes)


def _bound_to_nothing(web: WebConfig, owned: Collection[str] | None) -> Iterator[str]:
    if owned is None:
        return
    for user, workspaces in web.users.items():
        unknown = sorted(set(workspaces) - {NO_WORKSPACE, *owned})
        if unknown:
            yield (
                f"web.users binds {user!r} to {', '.join(unknown)}, which no credential is of: nothing is collected "
                "for it; write the ids of workspaces"
            )


async def look_at_target(name: str, target: OtlpConfig | RemoteWriteConfig, every: timedelta) -> PushFacts:
    """Send a target of push a request with nothing in it."""
    found = PushFacts(name=name, url=shown_address(target.url), every=every)
    try:
        sender = Sender(name, target)
        try:
            outcome = await sender.probe()
        finally:
            await sender.close()
    except ConfigurationError as error:
        return replace(found, problem="; ".join(error.problems), is_wrong=True)
    if outcome.state == "taken":
        return found
    return replace(found, problem=outcome.text or outcome.reason, is_wrong=outcome.reason in TO_CORRECT)


def read_store(config: Config, now: datetime, *, is_to_be_written: bool) -> Stored:
    """Read the store and change nothing; with `is_to_be_written` make sure that a service could make or write it."""
    url = config.store.url
    try:
        with closing(open_to_read(config)) as store:
            state, ledger_state, shares = store.state(), store.load(now), store.shares()
            in_force, _ = costs_in_force(store, config)
            costs = charge(ledger_state, in_force, days_of_costs(store, in_force, ledger_state, now), now)
            known = {one.database.id: one for one in store.databases()}
            moves = store.open_day_moves(now - MOVES_LOOKED_AT) if config.poll.adaptive else Moves()
            read_at = (one.last_success_at for one in ledger_state.databases.values() if one.last_success_at)
            facts = StoreFacts(
                url=store.url,
                generation=state.generation,
                written_at=state.written_at,
                newest_reading_at=max(read_at, default=None),
                databases=len(ledger_state.databases),
                collectors=shares.processes if store.is_shared else None,
                collected_by=shares.holders,
                differences=differences(shares.settings),
                lacks=shares.lacks,
                cost_warnings=tuple(cost_warnings(ledger_state, in_force, costs)),
            )
        if is_to_be_written:
            Store.require_writable(url)
    except StoreError as error:
        return Stored(facts=StoreFacts(url=display_url(url), failure=_failure(url, error, is_to_be_written)))
    return Stored(facts=facts, ledger_state=ledger_state, costs=costs, known=known, moves=moves)


def _failure(url: str, error: StoreError, is_to_be_written: bool) -> Failure:
    reason, message = Reason.STORE_UNAVAILABLE, str(error)
    try:
        if isinstance(error, StoreMissing):
            reason = Reason.STORE_MISSING
            if is_to_be_written:
                Store.require_makeable(url)
                message = "there is none yet; `serve` and `collect` make it"
        elif isinstance(error, StoreOutdated) and is_to_be_written:
            Store.require_writable(url)
            reason = Reason.STORE_OUTDATED
    except StoreError as not_to_be_written:
        return Failure(reason=Reason.STORE_UNAVAILABLE, message=str(not_to_be_written))
    return Failure(reason=reason, message=message)
