"""`check`: is everything in place? Every problem at once, before anything runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import typer
from rich.console import Console

from prisma_postgres_exporter.api import ManagementApi
from prisma_postgres_exporter.cli.logs import configure_logs
from prisma_postgres_exporter.cli.options import ApiUrlOption, ConfigOption, ListenOption, StoreUrlOption, configuration
from prisma_postgres_exporter.config import Config, Credential, claims, display_url, read_tokens
from prisma_postgres_exporter.cost import HISTORY, charge, cost_warnings
from prisma_postgres_exporter.errors import ApiError, ConfigurationError, CredentialRefused, StoreError
from prisma_postgres_exporter.expose import ExporterHealth
from prisma_postgres_exporter.service import Clients
from prisma_postgres_exporter.store import Store

CLOCK_TOLERANCE = timedelta(minutes=5)
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
) -> None:
    """Check configuration, credentials, store and clock, and print every problem.

    Leaves with 0 when all is well, 1 when something fails now (the vendor, the store), 2 when the
    configuration or a token has to be corrected.
    """
    console = Console(highlight=False)
    configure_logs("console", level=logging.CRITICAL)
    findings = _findings(config, api_url, store_url, listen)
    for finding in findings:
        mark, style = ("ok     ", "green") if finding.exit_code == 0 else ("problem", "red")
        if finding.is_warning:
            mark, style = "warning", "yellow"
        console.print(mark, style=style, end="  ")
        console.print(f"{finding.subject}: {finding.text}", markup=False, soft_wrap=True)
    worst = max(finding.exit_code for finding in findings)
    if worst:
        raise typer.Exit(worst)


def _findings(
    config: ConfigOption, api_url: ApiUrlOption, store_url: StoreUrlOption, listen: ListenOption
) -> tuple[Finding, ...]:
    try:
        loaded = configuration(config, api_url, store_url, listen)()
    except ConfigurationError as error:
        return _to_fix("configuration", error)
    warnings = (Finding(subject="configuration", text=warning, is_warning=True) for warning in loaded.warnings)
    store = _check_store(loaded)
    try:
        credentials = read_tokens(loaded)
    except ConfigurationError as error:
        return (*warnings, *store, *_to_fix("credentials", error))
    return (
        Finding(subject="configuration", text=f"{len(credentials)} credential(s), API at {loaded.api_url}"),
        *warnings,
        *store,
        *asyncio.run(_check_credentials(loaded, credentials)),
    )


def _to_fix(subject: str, error: ConfigurationError) -> tuple[Finding, ...]:
    return tuple(Finding(subject=subject, text=problem, exit_code=2) for problem in error.problems)


def _check_store(config: Config) -> Iterator[Finding]:
    shown = display_url(config.store.url)
    try:
        store = Store.open(config.store.url)
        try:
            store.ping()
            now = datetime.now(UTC).replace(microsecond=0)
            book, days = store.load(now), store.workspace_days((now - HISTORY).date())
        finally:
            store.close()
    except StoreError as error:
        yield Finding(subject=f"store {shown}", text=str(error), exit_code=1)
        return
    newest_at = max((p.last_success_at for p in book.positions.values() if p.last_success_at), default=None)
    yield Finding(subject=f"store {shown}", text=f"open, {len(book.positions)} database(s) known")
    for warning in cost_warnings(book, config, charge(book, config, days, now)):
        yield Finding(subject="cost", text=warning, is_warning=True)
    if newest_at is not None and newest_at - datetime.now(UTC) > CLOCK_TOLERANCE:
        yield Finding(
            subject="clock",
            text=f"this machine's clock is behind the newest reading in the store ({newest_at:%Y-%m-%d %H:%M:%S} UTC): "
            "readings are passed over until it has caught up; set the clock",
            exit_code=1,
        )


async def _check_credentials(config: Config, credentials: tuple[Credential, ...]) -> list[Finding]:
    clients = Clients(ExporterHealth())
    try:
        await clients.use(config, credentials)
    except ConfigurationError as error:
        return list(_to_fix("credentials", error))
    try:
        findings: list[Finding] = []
        for credential in credentials:
            client = clients.by_name[credential.name]
            findings.extend([finding async for finding in _check_credential(credential, client)])
        return findings
    finally:
        await clients.close()


async def _check_credential(credential: Credential, client: ManagementApi) -> AsyncIterator[Finding]:
    subject = f"credential {credential.name}"
    try:
        me = await client.me()
        workspace = me.workspace
        name = f"{workspace.name} ({workspace.id})" if workspace else "no workspace"
        databases = [database async for database in client.databases()]
        yield Finding(subject=subject, text=f"workspace {name}, {len(databases)} database(s)")
        if databases:
            usage = await client.usage(databases[0].id)
            for finding in _check_clock(usage.generated_at):
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


def _check_clock(vendor_at: datetime | None) -> Iterator[Finding]:
    if vendor_at is None:
        return
    off = datetime.now(UTC) - vendor_at
    if off < -CLOCK_TOLERANCE:
        yield Finding(
            subject="clock",
            text=f"this machine is {-off.total_seconds():.0f} s behind the vendor, so days would be cut wrongly; "
            "set the clock",
            exit_code=1,
        )
