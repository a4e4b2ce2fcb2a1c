"""Why a number is there or is not: pure, from what the API just said and what the store holds."""

from prisma_postgres_exporter.diagnosis.facts import (
    CredentialFacts,
    DatabaseFacts,
    Facts,
    Failure,
    PushFacts,
    Settings,
    StoreFacts,
    UsageFacts,
    WebFacts,
    WorkspaceFacts,
)
from prisma_postgres_exporter.diagnosis.findings import Finding, Level, Reason, walk, worst_of
from prisma_postgres_exporter.diagnosis.naming import Subject, find_subjects, nearest_subjects
from prisma_postgres_exporter.diagnosis.whole import diagnose

__all__ = [
    "CredentialFacts",
    "DatabaseFacts",
    "Facts",
    "Failure",
    "Finding",
    "Level",
    "PushFacts",
    "Reason",
    "Settings",
    "StoreFacts",
    "Subject",
    "UsageFacts",
    "WebFacts",
    "WorkspaceFacts",
    "diagnose",
    "find_subjects",
    "nearest_subjects",
    "walk",
    "worst_of",
]
