"""The first seconds of a service on a store that is not there yet: nothing is said that is untrue a moment later."""

from __future__ import annotations

import re
import signal
from datetime import UTC, datetime
from pathlib import Path

from processes import exporter, vendor, wait_until, write_config

from prisma_postgres_exporter.simulator import Fault, FaultKind

BOTH_TOKENS = {"PRISMA_POSTGRES_TOKEN": "simulator-token-1,simulator-token-2"}
ALERT = re.compile(r'<div class="alert (bad|warn)">.*?</div>', re.DOTALL)
LAST_ROUND = "prisma_postgres_exporter_last_round_timestamp_seconds"
SLOWLY_SECONDS = 1.5


def test_no_warning_of_the_first_seconds_is_taken_back(tmp_path: Path) -> None:
    """A slow vendor and a second workspace that is found late leave plans, budgets and names open for a while."""
    with vendor(workspaces=2, databases=4) as api:
        late = next(iter(api.world.tokens))
        names = [one.name for one in api.world.workspaces(datetime.now(UTC))]
        cost = {
            "workspaces": [{"workspace": name, "spend_limit_usd": 1_000} for name in names],
            "budgets": [{"name": name, "monthly_usd": 1_000, "workspaces": [f"^{name}$"]} for name in names],
        }
        api.faults.add(Fault(kind=FaultKind.SLOW, call="subscription", seconds=SLOWLY_SECONDS))
        api.faults.add(Fault(kind=FaultKind.SLOW, call="me", token=late, seconds=SLOWLY_SECONDS))
        config = write_config(tmp_path / "config.yaml", cost=cost, web={"listen": ["127.0.0.1:0"]})
        options = ("--config", str(config), "--api-url", api.url, "--store-url", f"sqlite:///{tmp_path / 'ledger.db'}")
        said: set[str] = set()
        with exporter("serve", *options, cwd=tmp_path, environ=BOTH_TOKENS) as running:

            def is_read() -> bool:
                page = running.get("/").text
                said.update(found[0] for found in ALERT.finditer(page))
                rounds = running.scrape().labels(
                    "prisma_postgres_exporter_last_round_timestamp_seconds", "workspace_id"
                )
                return len(rounds) == 2

            wait_until(is_read, "a round of both workspaces")
            running.send(signal.SIGTERM)
            assert running.wait() == 0
            log = running.output

    assert said == set()
    assert re.findall(r".*(?:warning|error) .*", log) == []
    assert log.count("subscription read") == 2


def test_what_is_still_wrong_after_the_first_rounds_is_told(tmp_path: Path) -> None:
    with vendor(workspaces=2, databases=4) as api:
        api.faults.add(Fault(kind=FaultKind.FORBIDDEN, call="subscription"))
        cost = {"budgets": [{"name": "unused", "monthly_usd": 9, "workspaces": ["^nobody$"]}]}
        config = write_config(tmp_path / "config.yaml", cost=cost, web={"listen": ["127.0.0.1:0"]})
        options = ("--config", str(config), "--api-url", api.url, "--store-url", f"sqlite:///{tmp_path / 'ledger.db'}")
        with exporter("serve", *options, cwd=tmp_path, environ=BOTH_TOKENS) as running:
            wait_until(
                lambda: "Cost not known: the API did not say" in running.get("/").text, "the unpriced workspaces"
            )
            running.wait_for(r"cost incomplete +problem=\S*workspace")
            running.wait_for(r"budget 'unused' matches nothing")
