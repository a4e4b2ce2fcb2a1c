"""Why a number is there or is not: pure, from what the API just said and what the store holds."""

from prisma_postgres_exporter.diagnosis.facts import (
    ConfigurationFacts,
    CredentialFacts,
    DatabaseFacts,
    Facts,
    Failure,
    ListenFacts,
    PushFacts,
    Settings,
    StoreFacts,
    UsageFacts,
    WebFacts,
    WorkspaceFacts,
)
from prisma_postgres_exporter.diagnosis.findings import (
    EXIT_CODES,
    Examination,
    Finding,
    Level,
    Reason,
    walk,
    worst_of,
    wrong_configuration,
)
from prisma_postgres_exporter.diagnosis.naming import Subject, find_subjects, nearest_subjects
from prisma_postgres_exporter.diagnosis.whole import diagnose

__all__ = [
    "EXIT_CODES",
    "ConfigurationFacts",
    "CredentialFacts",
    "DatabaseFacts",
    "Examination",
    "Facts",
    "Failure",
    "Finding",
    "Level",
    "ListenFacts",
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
    "wrong_configuration",
]
