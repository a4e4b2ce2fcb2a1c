"""Calls about backups: which there are, and overwriting a database with one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from prisma_postgres_exporter.simulator import bodies
from prisma_postgres_exporter.simulator.backups import BackupRecord, backups_of, retention_days
from prisma_postgres_exporter.simulator.instants import span_ms
from prisma_postgres_exporter.simulator.questions import Question, Refused, invalid, not_found
from prisma_postgres_exporter.simulator.records import DatabaseRecord
from prisma_postgres_exporter.simulator.sight import Sight
from prisma_postgres_exporter.simulator.telling import Telling
from prisma_postgres_exporter.simulator.vendor import Vendor

DEFAULT_BACKUPS: Final = 25
MOST_BACKUPS: Final = 100


class Restoring:
    """Backups and restores, by the names of the calls."""

    def __init__(self, vendor: Vendor, sight: Sight, telling: Telling) -> None:
        self._vendor = vendor
        self._sight = sight
        self._telling = telling
        self.by_call: Final[Mapping[str, Callable[[Question], bytes]]] = {
            "backups": self._backups,
            "restore_database": self._restore,
        }

    def _backups(self, question: Question) -> bytes:
        database = _local(self._sight.database(question, question.id))
        limit = question.limit(default=DEFAULT_BACKUPS)
        if limit > MOST_BACKUPS:
            raise invalid(f"limit must not be above {MOST_BACKUPS}")
        plan = question.workspace.plan
        return bodies.backups(
            backups_of(database, question.now_ms, plan=plan), limit=limit, retention_days=retention_days(plan)
        )

    def _restore(self, question: Question) -> bytes:
        target = _local(self._sight.database(question, question.id))
        source = question.document().fields("source", status=422)
        if source is None or source.needed("type", status=422) != "backup":
            raise invalid("source must be a backup", status=422)
        origin = _local(self._sight.database(question, source.needed("databaseId", status=422)))
        backup = known_backup(origin, source.needed("backupId", status=422), question)
        if backup.status != "completed":
            raise Refused(409, "conflict", f"The backup is {backup.status}", "Choose one that is completed")
        if target.status(question.now_ms) != "ready":
            raise Refused(409, "conflict", "The database is not ready", "Wait until it is")
        target.change_status(question.now_ms, "recovering")
        target.change_status(question.now_ms + span_ms(self._vendor.behaviour.restore_takes), "ready")
        return bodies.single(self._telling.database(target, question))


def known_backup(database: DatabaseRecord, backup_id: str, question: Question) -> BackupRecord:
    """The backup of a database that has this id."""
    for backup in backups_of(database, question.now_ms, plan=question.workspace.plan):
        if backup.id == backup_id:
            return backup
    raise not_found("backup")


def _local(database: DatabaseRecord) -> DatabaseRecord:
    if database.is_remote:
        raise Refused(422, "remoteDatabase", "Backups of remote databases are not supported")
    return database
