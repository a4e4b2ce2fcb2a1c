"""What can be configured, as frozen values, and how it is read from flags, environment and file."""

from prisma_postgres_exporter.config.costs import costs_document, differing_costs, with_costs
from prisma_postgres_exporter.config.durations import format_duration, parse_duration
from prisma_postgres_exporter.config.loading import load_config
from prisma_postgres_exporter.config.prices import PriceRow
from prisma_postgres_exporter.config.secret import Claims, Secret, claims
from prisma_postgres_exporter.config.tokens import (
    Credential,
    CredentialProblem,
    Tokens,
    read_tokens,
    require_credentials,
    require_usable,
)
from prisma_postgres_exporter.config.values import (
    BudgetConfig,
    Config,
    CostConfig,
    CredentialConfig,
    DiscoveryConfig,
    FeeShare,
    Filter,
    PollConfig,
    RollingWindow,
    Sources,
    StoreConfig,
    WebConfig,
    WorkspaceConfig,
    display_url,
)

__all__ = [
    "BudgetConfig",
    "Claims",
    "Config",
    "CostConfig",
    "Credential",
    "CredentialConfig",
    "CredentialProblem",
    "DiscoveryConfig",
    "FeeShare",
    "Filter",
    "PollConfig",
    "PriceRow",
    "RollingWindow",
    "Secret",
    "Sources",
    "StoreConfig",
    "Tokens",
    "WebConfig",
    "WorkspaceConfig",
    "claims",
    "costs_document",
    "differing_costs",
    "display_url",
    "format_duration",
    "load_config",
    "parse_duration",
    "read_tokens",
    "require_credentials",
    "require_usable",
    "with_costs",
]
