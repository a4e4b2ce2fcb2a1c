"""What can be configured, as frozen values, and how it is read from flags, environment and file."""

from prisma_postgres_exporter.config.address import (
    SYSTEMD,
    UNIX,
    address_problem,
    host_and_port,
    is_of_this_machine,
    token_problem,
)
from prisma_postgres_exporter.config.claims import Claims, claims
from prisma_postgres_exporter.config.costs import costs_document, differing_costs, with_costs
from prisma_postgres_exporter.config.durations import format_duration, parse_duration
from prisma_postgres_exporter.config.fingerprint import Difference, Lack, differences, fingerprints, lacks
from prisma_postgres_exporter.config.loading import load_config
from prisma_postgres_exporter.config.masking import Mask
from prisma_postgres_exporter.config.prices import PriceRow
from prisma_postgres_exporter.config.push import (
    LONGEST_WITHOUT_GAPS,
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
    PROGRAM,
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
from prisma_postgres_exporter.config.web_config import CIPHERS, CURVES, TlsConfig, WebFile, read_web_file, unbound_users

__all__ = [
    "CIPHERS",
    "CURVES",
    "LONGEST_WITHOUT_GAPS",
    "PROGRAM",
    "SYSTEMD",
    "UNIX",
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
    "Lack",
    "Mask",
    "OtlpConfig",
    "PollConfig",
    "PriceRow",
    "PushConfig",
    "RemoteWriteConfig",
    "RollingWindow",
    "SecretConfig",
    "Sources",
    "StoreConfig",
    "TlsConfig",
    "Tokens",
    "Unusable",
    "WebConfig",
    "WebFile",
    "WorkspaceConfig",
    "address_problem",
    "claims",
    "costs_document",
    "differences",
    "differing_costs",
    "display_url",
    "fingerprints",
    "format_duration",
    "host_and_port",
    "is_of_this_machine",
    "lacks",
    "load_config",
    "parse_duration",
    "read_tokens",
    "read_web_file",
    "require_credentials",
    "require_usable",
    "secrets_of",
    "shown_address",
    "store_url_problem",
    "token_of_file",
    "token_of_variable",
    "token_problem",
    "unbound_users",
    "with_costs",
]
