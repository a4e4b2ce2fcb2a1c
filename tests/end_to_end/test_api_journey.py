"""A new user's way: what is made, renamed and deleted by commands is seen in the metrics of a running service."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from processes import DATA_PREFIX, exporter, run, vendor, write_config

INFO = f"{DATA_PREFIX}info"
TOKEN = {"PRISMA_POSTGRES_TOKEN": "simulator-token-1"}


def test_what_commands_make_rename_and_delete_is_seen_in_the_metrics(tmp_path: Path) -> None:
    with vendor(workspaces=1, databases=4) as api:
        options = ("--config", str(write_config(tmp_path / "config.yaml")), "--api-url", api.url)

        def typed(*words: str) -> Any:
            answer = run("api", *words, "--json", *options, cwd=tmp_path, environ=TOKEN)
            assert answer.returncode == 0, answer.stderr
            return json.loads(answer.stdout)["data"]

        def done(*words: str) -> None:
            answer = run("api", *words, "--yes", *options, cwd=tmp_path, environ=TOKEN)
            assert answer.returncode == 0, answer.stderr

        store = f"sqlite:///{tmp_path / 'ledger.db'}"
        with exporter("serve", *options, "--store-url", store, cwd=tmp_path, environ=TOKEN) as service:
            project = typed("projects", "create", "shop", "--region", "eu-central-1")
            database = typed("databases", "create", "orders", "--project", "shop")

            made = {project["database_id"], database["id"]}
            service.scrape_when(lambda samples: made <= samples.labels(INFO, "database_id"), "the new databases")
            seen = service.scrape_when(
                lambda samples: samples.value(f"{DATA_PREFIX}storage_bytes", database_id=database["id"]), "its storage"
            )
            assert seen.value(INFO, database_id=database["id"], database_name="orders", project_name="shop") == 1

            typed("connections", "create", "application", "--database", "orders", "--reveal")
            old = next(found for found in typed("databases", "list") if found["project_id"] != project["id"])
            assert typed("backups", "list", old["id"])
            restored = typed("databases", "restore", "orders", "--from", old["id"], "--backup", "latest", "--yes")
            assert restored["status"] == "ready"

            typed("databases", "update", "orders", "--name", "bills")
            service.scrape_when(
                lambda samples: samples.value(INFO, database_id=database["id"], database_name="bills"), "the new name"
            )

            done("databases", "delete", "bills")
            done("projects", "delete", "shop")
            service.scrape_when(lambda samples: not made & samples.labels(INFO, "database_id"), "that both are gone")
            assert "simulated-password" not in service.output
