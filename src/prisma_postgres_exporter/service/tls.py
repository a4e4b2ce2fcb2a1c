"""A TLS context made of the `tls_server_config` of a web configuration file."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import ssl
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from prisma_postgres_exporter.config import CIPHERS, CURVES, TlsConfig
from prisma_postgres_exporter.errors import ConfigurationError

_VERSIONS = {
    "TLS10": ssl.TLSVersion.TLSv1,
    "TLS11": ssl.TLSVersion.TLSv1_1,
    "TLS12": ssl.TLSVersion.TLSv1_2,
    "TLS13": ssl.TLSVersion.TLSv1_3,
}
_VERIFYING = {"VerifyClientCertIfGiven": ssl.CERT_OPTIONAL, "RequireAndVerifyClientCert": ssl.CERT_REQUIRED}


def server_context(tls: TlsConfig, read: Callable[[str], bytes]) -> ssl.SSLContext:
    """The context; `read` gives the content of a file that the configuration names.

    Raises:
        ConfigurationError: a file cannot be read, a certificate or key cannot be used, or they are not of each other.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["http/1.1"])
    _choose_versions(context, tls)
    if not tls.prefer_server_cipher_suites:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    try:
        _choose_curves(context, tls)
        cert = read(tls.cert_file) if tls.cert_file else tls.cert.encode()
        key = read(tls.key_file) if tls.key_file else tls.key.get_secret_value().encode()
        with _as_file(cert) as cert_path, _as_file(key) as key_path:
            # Without a password OpenSSL would ask whoever sits at the terminal for it.
            context.load_cert_chain(cert_path, key_path, password="")
    except (ssl.SSLError, ValueError) as error:
        raise _unusable("cert_file and key_file", error) from None
    _verify_clients(context, tls, read)
    return context


def names_of(certificate: Mapping[str, Any]) -> Iterator[str]:
    """The subject alternative names of a verified certificate (as `getpeercert` gives it): DNS, e-mail, URI, IP."""
    for kind, value in certificate.get("subjectAltName", ()):
        yield str(ipaddress.ip_address(value.strip())) if kind == "IP Address" else value


def notes_of(tls: TlsConfig) -> Sequence[str]:
    """What Python's TLS does otherwise than the configuration says."""
    if len(tls.curve_preferences) > 1 and not hasattr(ssl.SSLContext, "set_groups"):
        yes = tls.curve_preferences[0]
        return [f"curve_preferences: this Python can be held to one curve only: it is {yes}, the first of them"]
    return []


def _choose_versions(context: ssl.SSLContext, tls: TlsConfig) -> None:
    suites = [CIPHERS[name] for name in tls.cipher_suites if name in CIPHERS]
    old = ["@SECLEVEL=0"] if tls.min_version < "TLS12" else []
    if suites:
        context.set_ciphers(":".join((*suites, *old)))
    elif old:
        context.set_ciphers("DEFAULT@SECLEVEL=0")
    # With suites of TLS 1.3 alone nothing is left for the versions before it.
    least = "TLS13" if tls.cipher_suites and not suites else tls.min_version
    if least > tls.max_version:
        raise ConfigurationError(["tls_server_config.cipher_suites: has none for max_version"])
    context.minimum_version, context.maximum_version = _VERSIONS[least], _VERSIONS[tls.max_version]


def _choose_curves(context: ssl.SSLContext, tls: TlsConfig) -> None:
    curves = [CURVES[name] for name in tls.curve_preferences]
    if curves and hasattr(context, "set_groups"):
        context.set_groups(":".join(curves))
    elif curves:
        context.set_ecdh_curve(curves[0])


def _verify_clients(context: ssl.SSLContext, tls: TlsConfig, read: Callable[[str], bytes]) -> None:
    context.verify_mode = _VERIFYING.get(tls.client_auth_type, ssl.CERT_NONE)
    given = read(tls.client_ca_file) if tls.client_ca_file else tls.client_ca.encode()
    # Comments between the certificates may be in any language.
    ca = given.decode("ascii", errors="ignore")
    if context.verify_mode == ssl.CERT_NONE:
        return
    if not tls.client_ca_file and not ca:
        context.load_default_certs(ssl.Purpose.CLIENT_AUTH)
        return
    try:
        context.load_verify_locations(cadata=ca)
    except (ssl.SSLError, ValueError) as error:
        raise _unusable("client_ca_file", error) from None


def _unusable(what: str, error: Exception) -> ConfigurationError:
    # OpenSSL's reasons name no content; a ValueError of Python's may.
    reason = (error.reason or "not a PEM file") if isinstance(error, ssl.SSLError) else "not a PEM file"
    said = reason.lower().replace("_", " ")
    return ConfigurationError([f"tls_server_config: {what} cannot be used: {said}"])


@contextlib.contextmanager
def _as_file(content: bytes) -> Iterator[str]:
    """A path that has this content while the context lasts, in memory where that is possible: a key has no copy."""
    if hasattr(os, "memfd_create"):
        descriptor, folder = os.memfd_create("pem"), "/proc/self/fd"
        path = f"{folder}/{descriptor}"
    else:
        descriptor, path = tempfile.mkstemp()
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(content)
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield path
    finally:
        os.close(descriptor)
        if not path.startswith("/proc/"):
            os.unlink(path)
