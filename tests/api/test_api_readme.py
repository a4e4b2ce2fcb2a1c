"""The README's example of the client, run as it stands."""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import timedelta
from pathlib import Path

from prisma_postgres_exporter.simulator import Simulator, World, WorldShape, serve_simulator, system_clock

README = Path(__file__).parents[2] / "README.md"


async def test_the_readmes_example_runs_alone() -> None:
    text = README.read_text(encoding="utf-8")
    example = text.partition("<!-- client-example -->\n```python\n")[2].partition("```")[0]
    world = World(shape=WorldShape(workspaces=1), begins_at=system_clock() - timedelta(days=2))
    async with serve_simulator(Simulator(world).app) as url:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PRISMA_")}
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            example,
            env={**kept, "PRISMA_POSTGRES_TOKEN": "simulator-token-1", "PRISMA_POSTGRES_API_URL": url},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, problems = await process.communicate()

    assert (process.returncode, problems.decode()) == (0, "")
    assert "postgres://\n" in output.decode()
    assert "simulated-password" not in output.decode()
    assert "orders" in output.decode()
    assert [project.name for project in world.projects(system_clock())].count("shop") == 1
    assert "orders" not in {database.name for database in world.databases(system_clock())}
