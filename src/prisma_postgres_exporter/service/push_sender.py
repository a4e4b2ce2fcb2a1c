"""Send one request to a target of push, and say in our words what became of it."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Literal, Protocol
from urllib.parse import parse_qsl, urlsplit

from prisma_postgres_exporter.api import Limits
from prisma_postgres_exporter.api.decode import NoAnswer
from prisma_postgres_exporter.api.send import Request, Transport
from prisma_postgres_exporter.config import Mask, OtlpConfig, RemoteWriteConfig
from prisma_postgres_exporter.errors import ConfigurationError
from prisma_postgres_exporter.expose import Scrape

SHORTEST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
LONGEST_RETRY_AFTER_SECONDS = 60.0
ATTEMPTS = 6
_ANSWER_LIMIT_BYTES = 64 * 1024
_SHOWN_CHARACTERS = 200
_UNPRINTABLE = re.compile(r"[^ -~]+")

_EXTRAS = {"otlp": "otlp", "remote_write": "remote-write"}
# The request itself is wrong, and stays so. Whatever else is answered is about the target or the way to it: a wrong
# password, a wrong path or a receiver that is not there yet can be put right, and nothing is lost until then.
_REFUSED = frozenset({400, 413, 415, 422})


Sleep = Callable[[float], Awaitable[None]]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """The headers of a request, and what of them no message may show."""

    headers: Mapping[str, str] = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)

    def masked(self, text: str) -> str:
        """The beginning of what a receiver says, as one line without secrets."""
        return _UNPRINTABLE.sub(" ", Mask(self.secrets)(text)).strip()[:_SHOWN_CHARACTERS]


class Requests(Protocol):
    """Makes requests of scrapes."""

    def make(self, scrape: Scrape, chunk: int) -> bytes:
        """One chunk; the first one first."""


class Sender:
    """The way to one target.

    Raises:
        ConfigurationError: its extra is not installed, or the proxy for it is none.
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
                [f"push.{name}: {error.name} is missing; pip install '.[{extra}]' in the checkout"]
            ) from None
        self.name = name
        self.url = config.url
        self._config = config
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

    def login(self) -> Login:
        """The headers with what is secret in them, read now: a file may have been replaced.

        Raises:
            ConfigurationError: a secret cannot be read.
        """
        config, key = self._config, f"push.{self.name}"
        own = {header.name: header.read(f"{key}.headers.{header.name}") for header in config.headers}
        # As the address is shown without its query, a receiver that says it again is not shown with it.
        of_the_url = [value for _, value in parse_qsl(urlsplit(config.url).query)]
        headers, secrets = {**self._format.HEADERS, "Accept": "*/*", **own}, [*own.values(), *of_the_url]
        if config.bearer_token is not None:
            secrets.append(config.bearer_token.read(f"{key}.bearer_token"))
            headers["Authorization"] = f"Bearer {secrets[-1]}"
        if config.basic_auth is not None:
            password = config.basic_auth.password.read(f"{key}.basic_auth.password")
            encoded = base64.b64encode(f"{config.basic_auth.username}:{password}".encode()).decode()
            secrets += [encoded, password]
            headers["Authorization"] = f"Basic {encoded}"
        return Login(headers=headers, secrets=tuple(secrets))

    async def probe(self) -> Outcome:
        """Send a request with nothing in it.

        Raises:
            ConfigurationError: a secret cannot be read.
        """
        return await self.send(self._format.probe_request(), self.login())

    async def send(self, body: bytes, login: Login) -> Outcome:
        """Send one request, once."""
        request = Request(
            method="POST",
            shown=f"POST push.{self.name}",
            target=self._target,
            answer_limit_bytes=_ANSWER_LIMIT_BYTES,
            body=body,
            headers=login.headers,
        )
        answer = await self._transport.send(request)
        if isinstance(answer, NoAnswer):
            return Outcome(state="failed", reason=answer.reason, text=answer.detail)
        if 200 <= answer.status < 300:
            points, text = self._format.refused_points(answer.body)
            said = login.masked(text)
            return Outcome(state="taken", reason="partial" if points else "", text=said, refused_points=points)
        said = login.masked(answer.body.decode(errors="replace"))
        return Outcome(
            state="refused" if answer.status in _REFUSED else "failed",
            reason=f"http_{answer.status}",
            text=f"answered {answer.status}: {said}" if said else f"answered {answer.status}",
            retry_after_seconds=_retry_after(answer.headers.get("retry-after", "")),
        )

    async def close(self) -> None:
        """Close its connections."""
        await self._transport.aclose()

    def history_requests(self, parts: Iterable[str], labels: Mapping[str, str]) -> Iterator[tuple[bytes, int]]:
        """What `write_history` writes as requests, with how many samples each has: for remote write alone."""
        made: Iterator[tuple[bytes, int]] = self._format.history_requests(parts, labels)
        return made


async def send_surely(sender: Sender, body: bytes, login: Login, sleep: Sleep = asyncio.sleep) -> str:
    """Send a request until it is taken, some times at most; returns why it was not, empty where it was."""
    pause_seconds = SHORTEST_PAUSE_SECONDS
    for attempt in range(1, ATTEMPTS + 1):
        outcome = await sender.send(body, login)
        if outcome.state == "taken":
            return ""
        if outcome.state == "refused" or attempt == ATTEMPTS:
            break
        await sleep(max(pause_seconds, outcome.retry_after_seconds))
        pause_seconds = min(2 * pause_seconds, LONGEST_PAUSE_SECONDS)
    return outcome.text


def _retry_after(value: str) -> float:
    return min(float(value), LONGEST_RETRY_AFTER_SECONDS) if re.fullmatch(r"\d{1,9}", value) else 0.0
