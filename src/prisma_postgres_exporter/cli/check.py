"""`check`: is everything in place? Every problem at once, before anything runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import typer

from prisma_postgres_exporter.cli.logs import configure_logs
from prisma_postgres_exporter.cli.options import (
    ApiUrlOption,
    ConfigOption,
    ListenOption,
    StoreUrlOption,
    WebConfigFileOption,
    configuration,
)
from prisma_postgres_exporter.cli.terminal import mark
from prisma_postgres_exporter.config import (
    Config,
    Credential,
    claims,
    display_url,
    format_duration,
    read_tokens,
    shown_address,
)
from prisma_postgres_exporter.cost import HISTORY, charge, cost_warnings
from prisma_postgres_exporter.errors import (
    ApiError,
    ConfigurationError,
    CredentialRefused,
    StoreError,
    StoreMissing,
    StoreOutdated,
)

if TYPE_CHECKING:
    from prisma_postgres_exporter.rounds import VendorApi

EXPIRY_WARNING = timedelta(days=14)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the check. `exit_code` is 0 where nothing has to be done, 1 to wait, 2 to fix."""

    subject: str
    text: str
    exit_code: int = 0
    is_warning: bool = False


def check(
    config: ConfigOption = None,
    api_url: ApiUrlOption = None,
    store_url: StoreUrlOption = None,
    listen: ListenOption = None,
    web_config_file: WebConfigFileOption = None,
) -> None:
    """Check configuration, credentials, store and clock, and print every problem; makes no store and migrates none.

    Exits with 0 if all is well, 1 if something fails now (the vendor, the store), 2 if the configuration or a token
    has to be corrected.
    """
    configure_logs("console", level=logging.CRITICAL)
    findings = _findings(configuration(config, api_url, store_url, listen, web_config_file))
    for finding in findings:
        text = f"{finding.subject}: {finding.text}"
        if finding.is_warning:
            mark("warning", "yellow", text)
        elif finding.exit_code:
            mark("problem", "red", text)
        else:
            mark("ok     ", "green", text)
    worst = max(finding.exit_code for finding in findings)
    if worst:
        raise typer.Exit(worst)


def _findings(load: Callable[[], Config]) -> tuple[Finding, ...]:
    try:
        loaded = load()
    except ConfigurationError as error:
        return _to_fix("configuration", error)
    warnings = (Finding(subject="configuration", text=warning, is_warning=True) for warning in loaded.warnings)
    store = _check_store(loaded)
    tokens = read_tokens(loaded)
    return (
        Finding(
            subject="configuration",
            text=f"{len(tokens.credentials)} credential(s), API at {loaded.api_url}{_through_proxy(loaded)}",
        ),
        *warnings,
        *_check_web(loaded),
        *store,
        *(Finding(subject="credentials", text=str(problem), exit_code=2) for problem in tokens.problems),
        *asyncio.run(_check_credentials(loaded, tokens.credentials)),
        *asyncio.run(_check_push(loaded)),
    )


def _through_proxy(config: Config) -> str:
    from prisma_postgres_exporter.api import proxy_in_use

    try:
        proxy = proxy_in_use(config.api_url)
    except ConfigurationError:
        return ""  # said for each credential, whose client needs it
    return f" through the proxy {proxy}" if proxy else ", without a proxy"


def _check_web(config: Config) -> Iterator[Finding]:
    """Say what keeps whom out."""
    from prisma_postgres_exporter.service.web_lock import exposure, read_lock

    path, file = config.web.config_file, None
    if path is not None:
        try:
            lock = read_lock(path, config.web.users)
        except ConfigurationError as error:
            yield from _to_fix("web", error)
            return
        file = lock.file
        yield Finding(subject="web", text=f"{path}: {lock.access}")
        yield from (Finding(subject="web", text=note, is_warning=True) for note in lock.notes)
    if warning := exposure(config.web, file):
        yield Finding(subject="web", text=warning, is_warning=True)


def _to_fix(subject: str, error: ConfigurationError) -> tuple[Finding, ...]:
    return tuple(Finding(subject=subject, text=problem, exit_code=2) for problem in error.problems)


def _check_store(config: Config) -> Iterator[Finding]:
    """Make sure that `serve` can open and write it; nothing is made where there is none yet, and nothing migrated."""
    from prisma_postgres_exporter.rounds import LARGEST_SKEW
    from prisma_postgres_exporter.store import Store

    subject, url = f"store {display_url(config.store.url)}", config.store.url
    try:
        now = datetime.now(UTC).replace(microsecond=0)
        with closing(Store.open_to_read(url)) as store:
            ledger_state, days = store.load(now), store.workspace_days((now - HISTORY).date())
        Store.require_writable(url)
    except StoreMissing:
        yield _check_place(subject, url)
        return
    except StoreOutdated as error:
        yield _check_outdated(subject, url, error)
        return
    except StoreError as error:
        yield Finding(subject=subject, text=str(error), exit_code=1)
        return
    newest_at = max((p.last_success_at for p in ledger_state.databases.values() if p.last_success_at), default=None)
    yield Finding(subject=subject, text=f"open, {len(ledger_state.databases)} database(s) known")
    for warning in cost_warnings(ledger_state, config, charge(ledger_state, config, days, now)):
        yield Finding(subject="cost", text=warning, is_warning=True)
    if newest_at is not None and newest_at - datetime.now(UTC) > LARGEST_SKEW:
        yield Finding(
            subject="clock",
            text=f"the newest reading in the store is of {newest_at:%Y-%m-%d %H:%M:%S} UTC, which is not yet: set this "
            "machine's clock, or see what `store repair` would set right",
            exit_code=1,
        )


def _check_place(subject: str, url: str) -> Finding:
    from prisma_postgres_exporter.store import Store

    try:
        Store.require_makeable(url)
    except StoreError as error:
        return Finding(subject=subject, text=str(error), exit_code=1)
    return Finding(subject=subject, text="there is none yet; `serve` and `collect` make it")


def _check_outdated(subject: str, url: str, outdated: StoreOutdated) -> Finding:
    from prisma_postgres_exporter.store import Store

    try:
        Store.require_writable(url)
    except StoreError as error:
        return Finding(subject=subject, text=str(error), exit_code=1)
    return Finding(subject=subject, text=str(outdated), is_warning=True)


async def _check_push(config: Config) -> list[Finding]:
    """Send each target a request with nothing in it."""
    from prisma_postgres_exporter.service.push_sender import Sender

    findings: list[Finding] = []
    for name, target in config.push.targets.items():
        subject = f"push.{name} {shown_address(target.url)}"
        try:
            sender = Sender(name, target)
        except ConfigurationError as error:
            findings.extend(_to_fix(shown_address(target.url), error))
            continue
        try:
            outcome = await sender.probe()
        except ConfigurationError as error:
            findings.extend(_to_fix(shown_address(target.url), error))
            continue
        finally:
            await sender.close()
        if outcome.state == "taken":
            every = format_duration(config.push.interval)
            findings.append(Finding(subject=subject, text=f"it takes an empty request; pushed every {every}"))
        else:
            is_wrong = outcome.reason in {"http_401", "http_403", "http_404", "http_405"}
            findings.append(Finding(subject=subject, text=outcome.text, exit_code=2 if is_wrong else 1))
    return findings


async def _check_credentials(config: Config, credentials: tuple[Credential, ...]) -> list[Finding]:
    from prisma_postgres_exporter.expose import ExporterHealth
    from prisma_postgres_exporter.service import api_maker

    make = api_maker(ExporterHealth())
    findings: list[Finding] = []
    for credential in credentials:
        try:
            client = make(credential, config)
        except ConfigurationError as error:
            findings.extend(_to_fix(f"credential {credential.name}", error))
            continue
        try:
            findings.extend([finding async for finding in _check_credential(credential, client)])
        finally:
            await client.retire()
    return findings


async def _check_credential(credential: Credential, client: VendorApi) -> AsyncIterator[Finding]:
    subject = f"credential {credential.name}"
    try:
        me = await client.me()
        workspace = me.workspace
        name = f"{workspace.name} ({workspace.id})" if workspace else "no workspace"
        databases = [database async for page in client.databases().pages() for database in page.entries]
        yield Finding(subject=subject, text=f"workspace {name}, {len(databases)} database(s)")
        if databases:
            await client.usage(databases[0].id)
        for finding in _check_clock(client.skew_seconds):
            yield finding
    except ApiError as error:
        hint = f" ({error.hint})" if error.hint else ""
        yield Finding(
            subject=subject, text=f"{error}{hint}", exit_code=2 if isinstance(error, CredentialRefused) else 1
        )
    expires_at = claims(credential.token).expires_at
    if expires_at is not None and expires_at - datetime.now(UTC) < EXPIRY_WARNING:
        yield Finding(
            subject=subject, text=f"the token expires at {expires_at:%Y-%m-%d %H:%M} UTC: replace it", is_warning=True
        )


def _check_clock(skew_seconds: float | None) -> Iterator[Finding]:
    from prisma_postgres_exporter.rounds import LARGEST_SKEW

    if skew_seconds is not None and abs(skew_seconds) > LARGEST_SKEW.total_seconds():
        side = "ahead of" if skew_seconds > 0 else "behind"
        yield Finding(
            subject="clock",
            text=f"this machine's clock is {abs(skew_seconds):.0f} s {side} the Management API's: nothing is stored "
            "until it is set right",
            exit_code=1,
        )
