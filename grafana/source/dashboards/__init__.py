"""The Grafana dashboards, built with Grafana's foundation SDK: one look, one way to ask."""

from __future__ import annotations

import json
from typing import Any

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder

from dashboards.cost import build_cost
from dashboards.database import build_database
from dashboards.exporter import build_exporter
from dashboards.overview import build_overview

__all__ = ["render_all"]

BUILDERS = (build_overview, build_cost, build_database, build_exporter)


def render_all() -> dict[str, str]:
    """Return each dashboard's JSON, by file name."""
    documents = [_document(build()) for build in BUILDERS]
    return {f"{board['uid']}.json": json.dumps(board, indent=2, ensure_ascii=False) + "\n" for board in documents}


def _document(builder: Dashboard) -> dict[str, Any]:
    board = builder.build()
    for place, panel in enumerate(board.panels or [], start=1):
        panel.id_val = place
    document: dict[str, Any] = json.loads(json.dumps(board, cls=JSONEncoder))
    for link in document["links"]:
        # Links stay beside the variables, where they are seen: the SDK puts them into a menu.
        del link["placement"]
    return document
