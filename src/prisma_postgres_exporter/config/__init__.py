"""What can be configured, as frozen values, and how it is read from flags, environment and file."""

from prisma_postgres_exporter.config.address import address_problem, token_problem
from prisma_postgres_exporter.config.claims import Claims, claims
from prisma_postgres_exporter.config.costs import costs_document, differing_costs, with_costs
from prisma_postgres_exporter.config.durations import format_duration, parse_duration
from prisma_postgres_exporter.config.fingerprint import Difference, differences, fingerprints
from prisma_postgres_exporter.config.loading import load_config
from prisma_postgres_exporter.config.prices import PriceRow
from prisma_postgres_exporter.config.push import (
    OtlpConfig,
    PushConfig,
    RemoteWriteConfig,
    SecretConfig,
    shown_address,
)
from prisma_postgres_exporter.config.secrets import secrets_of
from prisma_postgres_exporter.config.store_url import display_url, store_url_problem
from prisma_postgres_exporter.config.token_text import Unusable, token_of_file, token_of_variable
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
)

__all__ = [
    "BudgetConfig",
    "Claims",
    "Config",
    "CostConfig",
    "Credential",
    "CredentialConfig",
    "CredentialProblem",
    "Difference",
    "DiscoveryConfig",
    "FeeShare",
    "Filter",
    "OtlpConfig",
    "PollConfig",
    "PriceRow",
    "PushConfig",
    "RemoteWriteConfig",
    "RollingWindow",
    "SecretConfig",
    "Sources",
    "StoreConfig",
    "Tokens",
    "Unusable",
    "WebConfig",
    "WorkspaceConfig",
    "address_problem",
    "claims",
    "costs_document",
    "differences",
    "differing_costs",
    "display_url",
    "fingerprints",
    "format_duration",
    "load_config",
    "parse_duration",
    "read_tokens",
    "require_credentials",
    "require_usable",
    "secrets_of",
    "shown_address",
    "store_url_problem",
    "token_of_file",
    "token_of_variable",
    "token_problem",
    "with_costs",
]
