"""What a service shows of its web configuration to a doctor who has no password."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest
from starlette.responses import PlainTextResponse

from ports import free_port
from prisma_postgres_exporter.config import WebConfig
from prisma_postgres_exporter.expose import ExporterHealth
from prisma_postgres_exporter.expose.access import Access, Gate
from prisma_postgres_exporter.service.connections import Refusals
from prisma_postgres_exporter.service.web import listening
from prisma_postgres_exporter.service.web_lock import read_lock
from prisma_postgres_exporter.service.web_seen import why_not_in_force
from web_files import TLS, VERIFIED, WebFolder, hash_of, web_folder

USERS = {"alice": hash_of("a")}
Files = Mapping[str, object]
PLAIN: Files = {}
LOCKED: Files = {"basic_auth_users": USERS}
SECRET: Files = {"tls_server_config": TLS}
BOTH: Files = {**SECRET, **LOCKED}
CERTIFIED: Files = {"tls_server_config": VERIFIED}
OLD_CERTIFIED: Files = {"tls_server_config": {**VERIFIED, "max_version": "TLS12"}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> WebFolder:
    return web_folder(tmp_path_factory.mktemp("web"))


async def seen(
    folder: WebFolder, in_force: Files, there: Files, *, is_stale: bool = False, has_new_certificate: bool = False
) -> str | None:
    lock = read_lock(folder.write(**in_force))
    health, listen = ExporterHealth(), f"127.0.0.1:{free_port()}"
    health.web_config_read(not is_stale)
    if has_new_certificate:
        folder.new_certificate()
    file = read_lock(folder.write(**there))
    web = WebConfig.model_validate({"listen": ["systemd", listen], "config_file": str(folder.file)})
    app = Gate(PlainTextResponse(health.text(0).text), Access(file=lambda: lock.file, is_stale=lambda: is_stale))
    async with listening(app, [listen], refusals=Refusals(ExporterHealth()), lock=lambda: lock):
        return await asyncio.to_thread(why_not_in_force, web, file)


@pytest.mark.parametrize("files", [PLAIN, LOCKED, SECRET, BOTH, CERTIFIED, OLD_CERTIFIED])
async def test_what_is_in_force_is_not_complained_of(folder: WebFolder, files: Files) -> None:
    assert await seen(folder, files, files) is None


@pytest.mark.parametrize(
    ("in_force", "there", "said"),
    [
        (PLAIN, LOCKED, "it lets in whoever has no password"),
        (LOCKED, PLAIN, "it asks for a password"),
        (PLAIN, SECRET, "it speaks no TLS, or wants a client certificate"),
        (SECRET, PLAIN, "it does not answer as the file says"),
        (SECRET, BOTH, "it lets in whoever has no password"),
        (CERTIFIED, SECRET, "it speaks no TLS, or wants a client certificate"),
    ],
)
async def test_what_differs_is_said(folder: WebFolder, in_force: Files, there: Files, said: str) -> None:
    assert said in str(await seen(folder, in_force, there))


@pytest.mark.parametrize("files", [SECRET, CERTIFIED])
async def test_another_certificate_is_seen(folder: WebFolder, files: Files) -> None:
    assert "another certificate" in str(await seen(folder, files, files, has_new_certificate=True))


@pytest.mark.parametrize("files", [PLAIN, LOCKED, SECRET, BOTH])
async def test_a_service_that_did_not_take_the_file_says_so(folder: WebFolder, files: Files) -> None:
    assert "the one before is in force" in str(await seen(folder, files, files, is_stale=True))


async def test_where_nobody_answers_nothing_is_said(folder: WebFolder, tmp_path: Path) -> None:
    file = read_lock(folder.write(**BOTH))
    for listen in (f"127.0.0.1:{free_port()}", f"unix:{tmp_path / 'none.sock'}", "systemd"):
        assert why_not_in_force(WebConfig.model_validate({"listen": listen}), file) is None
