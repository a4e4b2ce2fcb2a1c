"""Web configuration files in exporter-toolkit's format, with certificates of an authority of the tests' own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import bcrypt
import trustme
import yaml

TLS = {"cert_file": "server.crt", "key_file": "server.key"}
"""Relative to the folder of the file, as they are written."""

VERIFIED = {**TLS, "client_auth_type": "RequireAndVerifyClientCert", "client_ca_file": "ca.pem"}
CLIENT = "prometheus.example.com"


@dataclass(frozen=True, slots=True)
class WebFolder:
    """A folder with `server.crt`, `server.key`, `ca.pem`, `client.pem` (key and certificate) and `web.yml`."""

    path: Path
    authority: trustme.CA

    @property
    def file(self) -> Path:
        """The web configuration file."""
        return self.path / "web.yml"

    def write(self, text: str | None = None, /, **sections: object) -> Path:
        """Put this in the file's place at once."""
        draft = self.path / ".web.yml"
        draft.write_text(yaml.safe_dump(sections) if text is None else text)
        return draft.replace(self.file)

    def new_certificate(self) -> None:
        """Another certificate and key for the server."""
        made = self.authority.issue_cert("localhost", "127.0.0.1")
        made.private_key_pem.write_to_path(str(self.path / "server.key"))
        (self.path / "server.crt").write_bytes(b"".join(blob.bytes() for blob in made.cert_chain_pems))


def web_folder(path: Path) -> WebFolder:
    """Make one."""
    path.mkdir(exist_ok=True)
    folder = WebFolder(path, trustme.CA())
    folder.authority.cert_pem.write_to_path(str(path / "ca.pem"))
    folder.authority.issue_cert(CLIENT).private_key_and_cert_chain_pem.write_to_path(str(path / "client.pem"))
    trustme.CA().issue_cert(CLIENT).private_key_and_cert_chain_pem.write_to_path(str(path / "stranger.pem"))
    folder.new_certificate()
    return folder


def hash_of(password: str, cost: int = 4) -> str:
    """A bcrypt hash, as cheap as there is."""
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(cost)).decode()
