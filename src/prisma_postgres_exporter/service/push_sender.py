"""Send one request to a target of push, and say in our words what became of it."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from importlib import import_module
from typing import Literal, Protocol
from urllib.parse import urlsplit

from prisma_postgres_exporter.api import Limits
from prisma_postgres_exporter.api.decode import NoAnswer
from prisma_postgres_exporter.api.send import Request, Transport
from prisma_postgres_exporter.config import OtlpConfig, RemoteWriteConfig
from prisma_postgres_exporter.errors import ConfigurationError
from prisma_postgres_exporter.expose import Scrape

LONGEST_RETRY_AFTER_SECONDS = 60.0
_ANSWER_LIMIT_BYTES = 64 * 1024
_SHOWN_CHARACTERS = 200
_UNPRINTABLE = re.compile(r"[^ -~]+")

_EXTRAS = {"otlp": "otlp", "remote_write": "remote-write"}
# The request itself is wrong, and stays so. Whatever else is answered is about the target or the way to it: a wrong
# password, a wrong path or a receiver that is not there yet can be put right, and nothing is lost until then.
_REFUSED = frozenset({400, 413, 415, 422})


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a request: `taken`, `refused` for good, or `failed`, to be sent again.

    `reason` is a constant for labels, `text` for people; `refused_points` of a request that was taken were not.
    """

    state: Literal["taken", "refused", "failed"]
    reason: str = ""
    text: str = ""
    refused_points: int = 0
    retry_after_seconds: float = 0.0


class Requests(Protocol):
    """Makes requests of scrapes."""

    def make(self, scrape: Scrape, chunk: int) -> bytes:
        """One chunk; the first one first."""


class Sender:
    """The way to one target.

    Raises:
        ConfigurationError: its extra is not installed, or a secret cannot be read.
    """

    def __init__(self, name: str, config: OtlpConfig | RemoteWriteConfig) -> None:
        module = f"prisma_postgres_exporter.expose.{name}"
        try:
            self._format = import_module(module)
        except ModuleNotFoundError as error:
            if error.name is not None and error.name.startswith("prisma_postgres_exporter"):
                raise
            extra = _EXTRAS[name]
            raise ConfigurationError(
                [f"push.{name}: {error.name} is missing; pip install 'prisma-postgres-exporter[{extra}]'"]
            ) from None
        self.name = name
        self.url = config.url
        self._config = config
        self.headers()
        parts, seconds = urlsplit(config.url), config.timeout.total_seconds()
        self._target = parts.path + (f"?{parts.query}" if parts.query else "")
        limits = Limits(
            concurrency=1,
            connect_timeout_seconds=seconds,
            read_timeout_seconds=seconds,
            total_timeout_seconds=seconds,
        )
        self._transport = Transport(None, base_url=f"{parts.scheme}://{parts.netloc}", limits=limits, trust_env=True)

    def requests(self, labels: dict[str, str]) -> Requests:
        """What makes its requests; `labels` go with every series."""
        made: Requests = self._format.make_requests(labels)
        return made

    def headers(self) -> dict[str, str]:
        """The headers with what is secret in them, read now: a file may have been replaced.

        Raises:
            ConfigurationError: a secret cannot be read.
        """
        config, key = self._config, f"push.{self.name}"
        headers = {**self._format.HEADERS, "Accept": "*/*"}
        headers |= {header.name: header.read(f"{key}.headers.{header.name}") for header in config.headers}
        if config.bearer_token is not None:
            headers["Authorization"] = f"Bearer {config.bearer_token.read(f'{key}.bearer_token')}"
        if config.basic_auth is not None:
            password = config.basic_auth.password.read(f"{key}.basic_auth.password")
            login = f"{config.basic_auth.username}:{password}".encode()
            headers["Authorization"] = f"Basic {base64.b64encode(login).decode()}"
        return headers

    async def probe(self) -> Outcome:
        """Send a request with nothing in it."""
        return await self.send(self._format.probe_request(), self.headers())

    async def send(self, body: bytes, headers: dict[str, str]) -> Outcome:
        """Send one request, once."""
        request = Request(
            method="POST", target=self._target, answer_limit_bytes=_ANSWER_LIMIT_BYTES, body=body, headers=headers
        )
        try:
            answer = await self._transport.send(request)
        except TimeoutError:
            return Outcome(state="failed", reason="timeout", text="no whole answer in time")
        if isinstance(answer, NoAnswer):
            return Outcome(state="failed", reason=answer.reason, text=answer.detail)
        if 200 <= answer.status < 300:
            points, text = self._format.refused_points(answer.body)
            return Outcome(state="taken", reason="partial" if points else "", text=_shown(text), refused_points=points)
        said = _shown(answer.body.decode(errors="replace"))
        for secret in headers.values():
            said = said.replace(secret, "***")
        return Outcome(
            state="refused" if answer.status in _REFUSED else "failed",
            reason=f"http_{answer.status}",
            text=f"answered {answer.status}: {said}" if said else f"answered {answer.status}",
            retry_after_seconds=_retry_after(answer.headers.get("retry-after", "")),
        )

    async def close(self) -> None:
        """Close its connections."""
        await self._transport.aclose()


def _shown(text: str) -> str:
    return _UNPRINTABLE.sub(" ", text).strip()[:_SHOWN_CHARACTERS]


def _retry_after(value: str) -> float:
    return min(float(value), LONGEST_RETRY_AFTER_SECONDS) if re.fullmatch(r"\d{1,9}", value) else 0.0
