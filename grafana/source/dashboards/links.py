"""Addresses of the dashboards from a row of a table: the time, the source and what the row is about go along."""

from __future__ import annotations

from dashboards.frame import COST, DATABASE_UID, OVERVIEW

_KEPT = "${__url_time_range}&${datasource:queryparam}&${job:queryparam}&${instance:queryparam}"

TO_DATABASE = (
    f"/d/{DATABASE_UID}?{_KEPT}&var-workspace=${{__data.fields.workspace_id}}"
    "&var-project=${__data.fields.project_id}&var-database=${__data.fields.database_id}"
)
TO_WORKSPACE = f"/d/{OVERVIEW}?{_KEPT}&var-workspace=${{__data.fields.workspace_id}}"
TO_COST = f"/d/{COST}?{_KEPT}&var-workspace=${{__data.fields.workspace_id}}"
