"""The web configuration file of Prometheus' exporter-toolkit: the same keys, the same verdicts.

https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md
"""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, model_validator

from prisma_postgres_exporter.config.go_values import go_count, go_flag, go_seconds, go_text
from prisma_postgres_exporter.config.loading import described
from prisma_postgres_exporter.config.section import Section
from prisma_postgres_exporter.config.yaml_file import Key, read_texts
from prisma_postgres_exporter.errors import ConfigurationError

CIPHERS = {
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
}
"""Go's names of the suites up to TLS 1.2 that it does not call insecure, and OpenSSL's."""

CIPHERS_OF_TLS13 = frozenset({"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"})
"""Always there with TLS 1.3, in Go as here: to name them changes nothing."""

CURVES = {"CurveP256": "prime256v1", "CurveP384": "secp384r1", "CurveP521": "secp521r1", "X25519": "X25519"}
HEADERS: dict[str, tuple[str, ...]] = {
    "Strict-Transport-Security": (),
    "X-Content-Type-Options": ("nosniff",),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-XSS-Protection": (),
    "Content-Security-Policy": (),
}
"""The headers that may be set, with the values that they may have, any if there are none."""

_OF_HTTP2 = frozenset({"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"})
_VERIFIED = frozenset({"VerifyClientCertIfGiven", "RequireAndVerifyClientCert"})
_UNVERIFIED = frozenset({"RequestClientCert", "RequireAnyClientCert", "RequireClientCert"})
_BCRYPT = re.compile(r"\$2[A-Za-z]?\$(?:0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}")


def _bcrypt_hash(value: object) -> object:
    if isinstance(value, SecretStr):
        return value
    if not isinstance(value, str) or not _BCRYPT.fullmatch(value):
        raise ValueError("not a bcrypt hash ($2y$…); make one with `htpasswd -nBC 10 NAME`")
    # To Go all letters after the 2 are the same, and none is one too.
    return SecretStr(f"$2b${value.partition('$2')[2].partition('$')[2]}")


Text = Annotated[str, BeforeValidator(go_text)]
Secret = Annotated[SecretStr, BeforeValidator(go_text)]
Flag = Annotated[bool, BeforeValidator(go_flag)]
Version = Annotated[Literal["TLS10", "TLS11", "TLS12", "TLS13"], BeforeValidator(go_text)]


FALSE_WITHOUT_VALUE = frozenset({"http2", "prefer_server_cipher_suites"})


class _ToolkitSection(Section):
    @model_validator(mode="before")
    @classmethod
    def _without_empty_keys(cls, value: object) -> object:
        """A key without a value is as if it were not there, but for booleans, which are false then."""
        if not isinstance(value, dict):
            return {} if value is None else value
        if value.get("http_server_config", "") is None:
            value = {**value, "http_server_config": {"http2": None}}
        known = cls.model_fields.keys() - FALSE_WITHOUT_VALUE
        return {name: inner for name, inner in value.items() if inner is not None or name not in known}


class TlsConfig(_ToolkitSection):
    """`tls_server_config`; without a certificate, key, client CA and client policy there is no TLS."""

    cert: Text = ""
    key: Secret = SecretStr("")
    client_ca: Text = ""
    cert_file: Text = ""
    key_file: Text = ""
    client_ca_file: Text = ""
    client_auth_type: Text = ""
    client_allowed_sans: tuple[Text, ...] | None = None
    min_version: Version = "TLS12"
    max_version: Version = "TLS13"
    cipher_suites: tuple[Text, ...] = ()
    prefer_server_cipher_suites: Flag = True
    curve_preferences: tuple[Text, ...] = ()

    @property
    def is_enabled(self) -> bool:
        """Whether it asks for TLS at all."""
        return any(
            (
                self.cert,
                self.cert_file,
                self.key.get_secret_value(),
                self.key_file,
                self._client_ca,
                self.client_auth_type,
            )
        )

    @property
    def verifies_clients(self) -> bool:
        """Whether nobody gets in without a certificate that was verified."""
        return self.is_enabled and self.client_auth_type == "RequireAndVerifyClientCert"

    @property
    def required_names(self) -> tuple[str, ...] | None:
        """The names of which a client's certificate must have one, `None` where nobody is asked for a certificate."""
        return self.client_allowed_sans if self.client_auth_type in _VERIFIED else None

    @property
    def _client_ca(self) -> str:
        return self.client_ca_file or self.client_ca

    @model_validator(mode="after")
    def _known(self) -> TlsConfig:
        for name in self.cipher_suites:
            if name not in CIPHERS and name not in CIPHERS_OF_TLS13:
                raise ValueError(f"cipher_suites: {name!r} is not one of {', '.join((*CIPHERS, *CIPHERS_OF_TLS13))}")
        for name in self.curve_preferences:
            if name not in CURVES:
                raise ValueError(f"curve_preferences: {name!r} is not one of {', '.join(CURVES)}")
        if self.is_enabled:
            if self.min_version > self.max_version:
                raise ValueError("min_version is above max_version: nobody could connect")
            self._require_certificate()
            self._require_policy()
        return self

    def _require_certificate(self) -> None:
        if not self.cert and not self.cert_file:
            raise ValueError("needs cert_file (or cert)")
        if not self.key.get_secret_value() and not self.key_file:
            raise ValueError("needs key_file (or key)")

    def _require_policy(self) -> None:
        policy = self.client_auth_type
        if policy not in {"", "NoClientCert", *_VERIFIED, *_UNVERIFIED}:
            raise ValueError(f"client_auth_type: {policy!r} is not known; RequireAndVerifyClientCert is the safe one")
        if policy in {"", "NoClientCert"} and self._client_ca:
            raise ValueError("client_ca_file needs client_auth_type: RequireAndVerifyClientCert")
        if policy in _UNVERIFIED and (policy != "RequestClientCert" or self.client_allowed_sans is not None):
            raise ValueError(
                f"client_auth_type: {policy} lets certificates in that nobody verified, and Python's TLS verifies each "
                "that it takes; use RequireAndVerifyClientCert"
            )


class HttpConfig(_ToolkitSection):
    """`http_server_config`. HTTP/2 is not spoken here: every client takes HTTP/1.1 instead."""

    http2: Flag = True
    headers: dict[Text, Text] = Field(default={})

    @model_validator(mode="after")
    def _settable(self) -> HttpConfig:
        for name, value in self.headers.items():
            allowed = HEADERS.get(name)
            if allowed is None:
                raise ValueError(f"headers.{name}: cannot be set; {', '.join(HEADERS)} can")
            if allowed and value not in allowed:
                raise ValueError(f"headers.{name}: must be {' or '.join(allowed)}")
            if not value.isascii() or not value.isprintable():
                raise ValueError(f"headers.{name}: has a character that no header has")
        return self


class RateLimit(_ToolkitSection):
    """`rate_limit`: `burst` requests at once, and one more each `interval` (seconds here); 0: no limit."""

    interval: Annotated[float, BeforeValidator(go_seconds)] = 0.0
    burst: Annotated[int, BeforeValidator(go_count)] = 0


class WebFile(_ToolkitSection):
    """The whole file."""

    tls_server_config: TlsConfig = TlsConfig()
    http_server_config: HttpConfig = HttpConfig()
    basic_auth_users: dict[Text, Annotated[SecretStr, BeforeValidator(_bcrypt_hash)]] = Field(default={})
    rate_limit: RateLimit = RateLimit()

    @property
    def is_guarded(self) -> bool:
        """Whether not everyone who reaches the port gets in."""
        return bool(self.basic_auth_users) or self.tls_server_config.verifies_clients

    @model_validator(mode="after")
    def _speaks_http2(self) -> WebFile:
        tls, ciphers = self.tls_server_config, set(self.tls_server_config.cipher_suites)
        speaks = tls.is_enabled and self.http_server_config.http2 and tls.min_version < "TLS13"
        if speaks and ciphers and ciphers.isdisjoint(_OF_HTTP2):
            raise ValueError(
                f"tls_server_config.cipher_suites: HTTP/2 needs {' or '.join(sorted(_OF_HTTP2))}; add one of them, "
                "or set http_server_config.http2 to false"
            )
        return self


def read_web_file(path: Path, bound_users: Collection[str] = ()) -> WebFile:
    """Read the file; paths in it are relative to its folder. `bound_users` are those that must have a password.

    Raises:
        ConfigurationError: with one line for every problem: file, line, key.
    """
    places: dict[Key, str] = {}
    values, problems = read_texts(str(path), places)
    if problems:
        raise ConfigurationError(problems)
    try:
        read = WebFile.model_validate(values)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        raise ConfigurationError(described(found, places, WebFile)) from None
    if problems := unbound_users(path, read, bound_users):
        raise ConfigurationError(problems)
    return read


def unbound_users(path: Path, read: WebFile, bound_users: Collection[str]) -> list[str]:
    """A line for each of them who has no password in what was read."""
    unknown = sorted(set(bound_users) - read.basic_auth_users.keys())
    return [f"{path}: basic_auth_users: has no {name!r}, whom web.users binds" for name in unknown]
