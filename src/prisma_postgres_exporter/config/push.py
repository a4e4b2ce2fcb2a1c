"""Where to push, for those who cannot be scraped."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit, urlunsplit

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator

from prisma_postgres_exporter.config.address import push_address_problem
from prisma_postgres_exporter.config.section import Duration, Section
from prisma_postgres_exporter.config.token_text import Unusable, shown_path, shown_variable, text_of_file
from prisma_postgres_exporter.errors import ConfigurationError

LONGEST_WITHOUT_GAPS = timedelta(minutes=4)
_METRICS_PATH = "/v1/metrics"
_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_LINE = re.compile(r"[\x20-\x7e]+")


def _secret(value: object) -> object:
    if isinstance(value, str | SecretStr):
        return value
    raise ValueError("a secret is text; put it in quotes")


class SecretConfig(Section):
    """One secret: exactly one of a file, the name of an environment variable, or the text itself."""

    file: Path | None = Field(default=None, description="The file that holds it, read anew for each request")
    env: str | None = Field(default=None, description="The environment variable that holds it")
    value: Annotated[SecretStr, BeforeValidator(_secret)] | None = Field(
        default=None, description="The text itself; prefer the other two"
    )

    @model_validator(mode="after")
    def _one_source(self) -> SecretConfig:
        if sum(source is not None for source in (self.file, self.env, self.value)) != 1:
            raise ValueError("needs exactly one of file, env and value")
        return self

    def read(self, key: str) -> str:
        """Read it now, without white space around it; `key` is where it stands, for people.

        Raises:
            ConfigurationError: it is not there, or cannot go into a header.
        """
        try:
            text = self._text()
        except Unusable as unusable:
            where = shown_path(self.file) if self.file else shown_variable(self.env or "")
            raise ConfigurationError([f"{key}: {unusable.text} ({where})"]) from None
        if not _LINE.fullmatch(text):
            raise ConfigurationError([f"{key}: must be one line of visible ASCII characters"])
        return text

    def _text(self) -> str:
        if self.value is not None:
            return self.value.get_secret_value().strip()
        if self.file is not None:
            return text_of_file(self.file).strip()
        text = os.environ.get(self.env or "", "").strip()
        if not text:
            raise Unusable("missing", "the environment variable is not set or is empty")
        return text


class HeaderConfig(SecretConfig):
    """A header to send along."""

    name: str = Field(description="Its name, like `X-Scope-OrgID`")

    @field_validator("name")
    @classmethod
    def _possible(cls, value: str) -> str:
        if not _HEADER.fullmatch(value):
            raise ValueError("is not the name of a header")
        return value


class BasicAuthConfig(Section):
    """A user and a password."""

    username: str = Field(description="The user")
    password: SecretConfig = Field(description="The password, a [secret](#secrets)")


class _TargetConfig(Section):
    bearer_token: SecretConfig | None = Field(default=None, description="A token to send along, a [secret](#secrets)")
    basic_auth: BasicAuthConfig | None = Field(default=None, description="A user and a password, in place of a token")
    headers: tuple[HeaderConfig, ...] = Field(default=(), description="Headers: each a `name` and a [secret](#secrets)")
    timeout: Duration = Field(default=timedelta(seconds=10), description="After how long a request is given up")

    @model_validator(mode="after")
    def _one_login(self) -> _TargetConfig:
        if self.bearer_token is not None and self.basic_auth is not None:
            raise ValueError("has bearer_token and basic_auth; leave one of them out")
        return self

    def _require_address(self, url: str) -> None:
        is_secret = any(header.value is None for header in self.headers)
        if problem := push_address_problem(url, shows_secret=bool(self.bearer_token or self.basic_auth or is_secret)):
            raise ValueError(problem)


class OtlpConfig(_TargetConfig):
    """An OTLP receiver over HTTP: `endpoint` is as in OTEL_EXPORTER_OTLP_ENDPOINT, without `/v1/metrics`."""

    endpoint: str = Field(description="Its address, as in `OTEL_EXPORTER_OTLP_ENDPOINT`; `/v1/metrics` is appended")

    @property
    def url(self) -> str:
        """Where requests go."""
        bare = self.endpoint.rstrip("/")
        return bare if bare.endswith(_METRICS_PATH) else bare + _METRICS_PATH

    @model_validator(mode="after")
    def _reachable(self) -> OtlpConfig:
        self._require_address(self.endpoint)
        return self


class RemoteWriteConfig(_TargetConfig):
    """A receiver of Prometheus remote write 1.0."""

    url: str = Field(description="Its address")

    @model_validator(mode="after")
    def _reachable(self) -> RemoteWriteConfig:
        self._require_address(self.url)
        return self


class PushConfig(Section):
    """What /metrics shows, pushed every `interval`; while a target is down, what is `keep` old at most waits for it.

    `labels` go with every series, beside `job` and `instance`, which they may set.
    """

    interval: Duration = Field(
        default=timedelta(minutes=1),
        description="How often; less often than every 4 minutes makes gaps, as Prometheus forgets a sample after 5",
    )
    keep: Duration = Field(
        default=timedelta(hours=2),
        description="How old samples may become that wait for a target, 256 MiB of them at most",
    )
    labels: Mapping[str, str] = Field(
        default_factory=dict,
        description="Go with every series, beside `job` (`prisma-postgres-exporter`) and `instance` (host:port), which "
        "can be set here too",
    )
    otlp: OtlpConfig | None = Field(default=None, description="An OTLP receiver over HTTP; needs the extra `otlp`")
    remote_write: RemoteWriteConfig | None = Field(
        default=None, description="A receiver of Prometheus remote write 1.0; needs the extra `remote-write`"
    )

    @field_validator("labels")
    @classmethod
    def _possible(cls, value: Mapping[str, str]) -> Mapping[str, str]:
        for name in value:
            if not _LABEL.fullmatch(name) or name.startswith("__"):
                raise ValueError(f"{name!r} is not the name of a label")
        return value

    @property
    def targets(self) -> Mapping[str, OtlpConfig | RemoteWriteConfig]:
        """Those that are configured, by name."""
        named = {"otlp": self.otlp, "remote_write": self.remote_write}
        return {name: target for name, target in named.items() if target is not None}


def shown_address(url: str) -> str:
    """A target's address to show to people: its query may hold a key."""
    return urlunsplit(urlsplit(url)._replace(query=""))
