"""Ask the exporter of this container whether it is healthy: the image has no curl, and needs none."""

import argparse
import http.client
import os
import socket
import ssl
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from prisma_postgres_exporter.config import SYSTEMD, UNIX, WebConfig, WebFile, host_and_port, load_config, read_web_file
from prisma_postgres_exporter.errors import ConfigurationError

NAMES = ("prisma-postgres-exporter", "prisma_postgres_exporter")
SERVING = {"serve", "demo"}
TIMEOUT_SECONDS = 4
ALIVE = (http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.TOO_MANY_REQUESTS)
"""What a service answers that asks for a password or has a rate limit, and is there."""


def main(proc: Path) -> int:
    """Return 0 when the first address that the service listens on is healthy, otherwise 1.

    That is when `/-/healthy` answers 200, or asks for a password. Where clients need a certificate, or the web
    configuration file cannot be read just now, it is when the connection is taken.
    """
    service = _service(proc)
    if service is None:
        web = _web(os.environ)
    else:
        # As the service was started: with its flags, its environment, and names of files as it reads them.
        os.chdir(service / "cwd")
        environ = dict(line.split("=", 1) for line in _lines(service / "environ") if "=" in line)
        web = _web(environ, _flags(_lines(service / "cmdline")))
    address = next((listen for listen in web.listen if listen != SYSTEMD), None)
    if address is None:
        print("systemd has the only address that is listened on: nothing can be asked")
        return 1
    try:
        file = read_web_file(web.config_file, web.users) if web.config_file is not None else WebFile()
    except ConfigurationError as error:
        print(*error.problems, sep="\n")
        file = None
    try:
        with _connected(address) as connection:
            return _ask(connection, file)
    except (OSError, http.client.HTTPException) as error:
        print(f"{address} does not answer: {error}")
        return 1


def _service(proc: Path) -> Path | None:
    """The process that serves, or the demo, the oldest if there are several: an image may begin with a shell."""
    for process in sorted((path for path in proc.iterdir() if path.name.isdigit()), key=lambda path: int(path.name)):
        words = _lines(process / "cmdline")
        is_ours = any(Path(word).name in NAMES for word in words[:3])
        if is_ours and not SERVING.isdisjoint(words) and _lines(process / "environ"):
            return process
    return None


def _lines(path: Path) -> Sequence[str]:
    """What /proc says of a process, nothing of one that ended or is another user's."""
    try:
        return path.read_bytes().decode(errors="surrogateescape").rstrip("\0").split("\0")
    except OSError:
        return ()


def _flags(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--config")
    parser.add_argument("--listen", action="append")
    parser.add_argument("--web-config-file", "--web.config.file")
    return parser.parse_known_args(words)[0]


def _web(environ: Mapping[str, str], flags: argparse.Namespace | None = None) -> WebConfig:
    """How the service serves; without the file where that, changed since its start, is wrong."""
    flags = flags or _flags(())
    typed = {"listen": flags.listen, "web_config_file": flags.web_config_file}
    try:
        return load_config(environ=environ, config_path=flags.config, needed=("web",), **typed).web
    except ConfigurationError as error:
        print(*error.problems, sep="\n")
        without = {name: value for name, value in environ.items() if name != "PRISMA_POSTGRES_CONFIG"}
        return load_config(environ=without, needed=("web",), **typed).web


def _connected(address: str) -> socket.socket:
    """A connection of its own: urllib would follow the proxy that the environment names."""
    if address.startswith(UNIX):
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(TIMEOUT_SECONDS)
        connection.connect(address.removeprefix(UNIX))
        return connection
    host, port = host_and_port(address)
    return socket.create_connection((host or "localhost", port), TIMEOUT_SECONDS)


def _ask(connection: socket.socket, file: WebFile | None) -> int:
    if file is None:
        print("the connection is taken")
        return 0
    if file.tls_server_config.is_enabled:
        try:
            connection = _handshaken(connection)
        except (ssl.SSLError, ConnectionResetError):
            # Before TLS 1.3 a server that wants a certificate ends it here.
            if not file.tls_server_config.verifies_clients:
                raise
    if file.tls_server_config.verifies_clients:
        print("the handshake is answered")
        return 0
    asking = http.client.HTTPConnection("localhost")
    asking.sock = connection
    asking.request("GET", "/-/healthy")
    answer = asking.getresponse()
    print(answer.status, answer.read().decode(errors="replace").strip())
    return 0 if answer.status == http.HTTPStatus.OK or answer.status in ALIVE else 1


def _handshaken(connection: socket.socket) -> ssl.SSLSocket:
    """With the server's certificate as it is: this is the same machine, and nothing secret is sent."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    return context.wrap_socket(connection)


if __name__ == "__main__":
    sys.exit(main(Path(*sys.argv[1:2] or ["/proc"])))
