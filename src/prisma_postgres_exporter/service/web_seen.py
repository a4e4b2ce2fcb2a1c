"""What a running service shows of the web configuration that it has in force to whoever has no password."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
from pathlib import Path

from prisma_postgres_exporter.config import SYSTEMD, WebConfig
from prisma_postgres_exporter.expose.access import STALE
from prisma_postgres_exporter.service.holder import connected
from prisma_postgres_exporter.service.web_lock import WebLock

TIMEOUT_SECONDS = 5
_FIRST_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\s*", re.DOTALL)
_NOT_TAKEN = re.compile(rb"^prisma_postgres_exporter_web_config_reload_success 0(\.0)?$", re.MULTILINE)


def why_not_in_force(web: WebConfig, lock: WebLock) -> str | None:
    """What shows that the service has not `lock` in force; `None` where nothing does, or nobody answers.

    Without a password, and for a service that asks for client certificates, no more is seen than the TLS handshake.
    """
    address = next((listen for listen in web.listen if listen != SYSTEMD), None)
    if address is None:
        return None
    try:
        connection = connected(address, TIMEOUT_SECONDS)
    except OSError:
        return None
    with connection:
        try:
            said = _differs(connection, web, lock)
        except (OSError, http.client.HTTPException):
            said = (
                "it does not answer as the file says"
                if lock.context is None
                else "it speaks no TLS, or wants a client certificate"
            )
    return None if said is None else f"the service at {address} does not run with it: {said}"


def _differs(connection: socket.socket, web: WebConfig, lock: WebLock) -> str | None:
    tls = lock.file.tls_server_config
    if lock.context is not None:
        try:
            connection = _handshaken(connection)
        except ssl.SSLError:
            # Before TLS 1.3 a server that wants a certificate ends it here.
            if tls.verifies_clients:
                return None
            raise
        if connection.getpeercert(binary_form=True) != _certificate(web, lock):
            return "it shows another certificate"
        if tls.verifies_clients:
            return None
    asking = http.client.HTTPConnection("localhost")
    asking.sock = connection
    asking.request("GET", "/metrics?workspace=none")
    answer = asking.getresponse()
    has_users = bool(lock.file.basic_auth_users)
    if (
        answer.status == http.HTTPStatus.UNAUTHORIZED
    ) != has_users and answer.status != http.HTTPStatus.TOO_MANY_REQUESTS:
        return "it lets in whoever has no password" if has_users else "it asks for a password"
    if answer.headers.get(STALE) is not None or _NOT_TAKEN.search(answer.read()):
        return "what it read last is wrong to it, and the one before is in force; its log says why"
    return None


def _handshaken(connection: socket.socket) -> ssl.SSLSocket:
    """With the server's certificate as it is: which one it has is to be seen."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    return context.wrap_socket(connection)


def _certificate(web: WebConfig, lock: WebLock) -> bytes | None:
    tls = lock.file.tls_server_config
    text = tls.cert
    if tls.cert_file and web.config_file is not None:
        text = Path(web.config_file.parent / tls.cert_file).read_text()
    first = _FIRST_CERTIFICATE.search(text)
    return None if first is None else ssl.PEM_cert_to_DER_cert(first[0])
