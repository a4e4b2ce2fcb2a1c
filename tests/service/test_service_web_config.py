"""A web configuration file gets the verdict that exporter-toolkit gives it, and is read again when it changes."""

from __future__ import annotations

import os
import re
import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from prisma_postgres_exporter.config import WebConfig
from prisma_postgres_exporter.errors import ConfigurationError
from prisma_postgres_exporter.expose import ExporterHealth
from prisma_postgres_exporter.service.web_lock import WebLock, WebLockKeeper, exposure, read_lock
from web_files import TLS, VERIFIED, WebFolder, hash_of, web_folder

ALL_CIPHERS = [
    f"TLS_ECDHE_{key}_WITH_{suite}"
    for key in ("ECDSA", "RSA")
    for suite in (
        "AES_128_GCM_SHA256",
        "AES_256_GCM_SHA384",
        "CHACHA20_POLY1305_SHA256",
        "AES_128_CBC_SHA",
        "AES_256_CBC_SHA",
    )
] + ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"]
ONE_CIPHER = ["TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"]
NOW = datetime(2026, 11, 5, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> WebFolder:
    folder = web_folder(tmp_path_factory.mktemp("web"))
    commented = "# Autorität ☃\n" + (folder.path / "ca.pem").read_text()
    (folder.path / "commented.pem").write_text(commented)
    return folder


def tls(**changed: object) -> dict[str, object]:
    return {"tls_server_config": {**TLS, **changed}}


TLS_TEXT = yaml.safe_dump(tls())
A_HASH = hash_of("a")
GOOD: dict[str, str | dict[str, object]] = {
    "empty": "",
    "a comment alone": "# nothing yet\n",
    "sections without a value": "tls_server_config:\nbasic_auth_users:\nrate_limit:\nhttp_server_config:\n",
    "certificate and key": tls(),
    "verified if given": tls(client_auth_type="VerifyClientCertIfGiven"),
    "verified": {"tls_server_config": VERIFIED},
    "verified by the system's authorities": tls(client_auth_type="RequireAndVerifyClientCert"),
    "asked for, not verified": tls(client_auth_type="RequestClientCert"),
    "names": {"tls_server_config": {**VERIFIED, "client_allowed_sans": ["one", "two"]}},
    "versions": tls(min_version="TLS10", max_version="TLS12"),
    "versions without TLS": {"tls_server_config": {"min_version": "TLS13"}},
    "all ciphers": tls(cipher_suites=ALL_CIPHERS),
    "some ciphers": tls(
        cipher_suites=["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", *ONE_CIPHER], min_version="TLS12", max_version="TLS12"
    ),
    "the client's order": tls(cipher_suites=ALL_CIPHERS, prefer_server_cipher_suites=False),
    "all curves": tls(curve_preferences=["CurveP256", "CurveP384", "CurveP521", "X25519"]),
    "one curve": tls(curve_preferences=["CurveP521"], min_version="TLS13"),
    "no HTTP/2 and a cipher that it does not know": {
        **tls(cipher_suites=ONE_CIPHER, max_version="TLS12"),
        "http_server_config": {"http2": False},
    },
    "headers": {
        "http_server_config": {
            "headers": {
                "X-Frame-Options": "deny",
                "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
                "X-Content-Type-Options": "nosniff",
                "X-XSS-Protection": 1,
                "Content-Security-Policy": "default-src 'self'",
            }
        }
    },
    "users": {"basic_auth_users": {"alice": hash_of("a"), "bob": hash_of("b", 5).replace("$2b$", "$2y$")}},
    "users and TLS": {**tls(), "basic_auth_users": {"alice": hash_of("a")}},
    "no rate limit": {"rate_limit": {"interval": 0, "burst": 0}},
    "a rate limit": {"rate_limit": {"interval": "1m0.5s", "burst": 20}},
    "a document without anything": "---\n",
    "a document of null": "null\n",
    "the first of two documents": f"---\n{TLS_TEXT}---\njunk: [\n",
    "YAML 1.1": f"%YAML 1.1\n---\n{TLS_TEXT}",
    "booleans of YAML 1.1": f"{TLS_TEXT}  prefer_server_cipher_suites: y\nhttp_server_config: {{http2: Off}}\n",
    "a section without a value turns HTTP/2 off": f"{TLS_TEXT}  cipher_suites: {ONE_CIPHER}\nhttp_server_config:\n",
    "ciphers of TLS 1.3 alone, and it alone": tls(cipher_suites=["TLS_AES_128_GCM_SHA256"], min_version="TLS13"),
    "ciphers of TLS 1.3 alone without HTTP/2": {
        **tls(cipher_suites=["TLS_AES_128_GCM_SHA256"]),
        "http_server_config": {"http2": False},
    },
    "versions that contradict each other, without TLS": {
        "tls_server_config": {"min_version": "TLS13", "max_version": "TLS10"}
    },
    "names without certificates": tls(client_allowed_sans=["one"]),
    "an authority with a comment in its language": tls(
        client_ca_file="commented.pem", client_auth_type="RequireAndVerifyClientCert"
    ),
    "texts that look like numbers": f"basic_auth_users: {{007: {A_HASH}, 1:30: {A_HASH}, 2026-01-01: {A_HASH}}}\n",
    "texts that look like booleans": f"basic_auth_users:\n  yes: {A_HASH}\n  ~: {A_HASH}\n",
    "an unknown tag": f"basic_auth_users: {{!x alice: {A_HASH}}}\n",
    "hashes of other makers": "basic_auth_users: {a: " + f"{A_HASH}, b: {A_HASH}".replace("$2b$", "$2A$") + "}\n",
    "nanoseconds": "rate_limit: {interval: 1_000, burst: 0x10}\n",
    "a part of a request": "rate_limit: {interval: 1s, burst: 1.5}\n",
    "a header without a value": "http_server_config: {headers: {X-XSS-Protection: }}\n",
}
BAD: dict[str, tuple[str | dict[str, object], str]] = {
    "junk": ("hWkNKCp3fvIx3jKnsaBI\nTuEjdwNS8A2vYdFbiKqr\n", "keys and values"),
    "not YAML": ("tls_server_config: [", "not YAML"),
    "an unknown key": ({"tls_server_config": {"cert_filse": "server.crt"}}, "did you mean cert_file"),
    "an unknown section": ({"tls_config": {}}, "did you mean tls_server_config"),
    "a key twice": ("rate_limit: {}\nrate_limit: {}\n", "stands twice"),
    "no certificate": ({"tls_server_config": {"cert_file": "", "key_file": "server.key"}}, "needs cert_file"),
    "no inline certificate": ({"tls_server_config": {"cert": "", "key_file": "server.key"}}, "needs cert_file"),
    "no key": ({"tls_server_config": {"cert_file": "server.crt", "key_file": ""}}, "needs key_file"),
    "no inline key": ({"tls_server_config": {"cert_file": "server.crt", "key": ""}}, "needs key_file"),
    "neither": ({"tls_server_config": {"cert_file": "", "key_file": "", "client_auth_type": "x"}}, "needs cert_file"),
    "certificate not there": (tls(cert_file="somefile"), "somefile: cannot be read: No such file"),
    "key not there": (tls(key_file="somefile"), "somefile: cannot be read: No such file"),
    "a key for a certificate": (tls(cert_file="server.key"), "cert_file and key_file cannot be used"),
    "the key of another": (tls(key_file="client.pem"), "key values mismatch"),
    "client CA not there": (
        tls(client_ca_file="somefile", client_auth_type="RequireAndVerifyClientCert"),
        "somefile: cannot be read",
    ),
    "client CA without a policy": (tls(client_ca_file="ca.pem"), "needs client_auth_type"),
    "an unknown policy": (tls(client_auth_type="Everyone"), "'Everyone' is not known"),
    "an invented cipher": (tls(cipher_suites=["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA2048"]), "SHA2048' is not one of"),
    "an insecure cipher": (tls(cipher_suites=["TLS_RSA_WITH_RC4_128_SHA"]), "is not one of"),
    "an invented curve": (tls(curve_preferences=["CurveP257"]), "'CurveP257' is not one of"),
    "an invented version": (tls(min_version="TLS111"), "min_version"),
    "HTTP/2 without its cipher": (tls(cipher_suites=ONE_CIPHER, max_version="TLS12"), "HTTP/2 needs"),
    "a header that cannot be set": ({"http_server_config": {"headers": {"Content-Type": "foo"}}}, "cannot be set"),
    "another frame option": ({"http_server_config": {"headers": {"X-Frame-Options": "foo"}}}, "deny or sameorigin"),
    "another content type option": (
        {"http_server_config": {"headers": {"X-Content-Type-Options": "sniff"}}},
        "must be nosniff",
    ),
    "a password in clear": ({"basic_auth_users": {"john": "doe"}}, "not a bcrypt hash"),
    "a rate without a unit": ({"rate_limit": {"interval": "1", "burst": 1}}, "not a duration"),
    "a boolean in quotes": (f"{TLS_TEXT}http_server_config: {{http2: 'true'}}\n", "without quotes"),
    "a boolean by its tag a text": (f"{TLS_TEXT}  prefer_server_cipher_suites: !!str true\n", "without quotes"),
    "a word that is no boolean": (f"{TLS_TEXT}  prefer_server_cipher_suites: t\n", "must be true or false"),
    "a number in quotes": ("rate_limit: {interval: 1s, burst: '1'}\n", "write it without quotes"),
    "a number beyond all": ("rate_limit: {interval: 1s, burst: 99999999999999999999}\n", "not a number"),
    "a span beyond all": ("rate_limit: {interval: 9999999h}\n", "too long"),
    "a day": ("rate_limit: {interval: 1d}\n", "not a duration"),
    "ciphers of TLS 1.3 alone": (tls(cipher_suites=["TLS_AES_128_GCM_SHA256"]), "HTTP/2 needs"),
    "no list": (f"{TLS_TEXT}  cipher_suites: TLS_AES_128_GCM_SHA256\n", "tls_server_config.cipher_suites"),
    "a list for a section": ("tls_server_config: []\n", "tls_server_config"),
    "a user twice": (f"basic_auth_users: {{a: {A_HASH}, a: {A_HASH}}}\n", "stands twice"),
    "a user without a password": ("basic_auth_users: {a: }\n", "not a bcrypt hash"),
    "a hash that takes too little": ("basic_auth_users: {a: " + A_HASH.replace("$04$", "$03$") + "}\n", "not a bcrypt"),
    "a version in small letters": (tls(min_version="tls12"), "min_version"),
    "an unknown key below": ({"http_server_config": {"junk": True}}, "no such key"),
    "an unknown section without a value": ("basic_auth_user:\n", "did you mean basic_auth_users"),
    "an unknown key without a value": ("http_server_config: {http: }\n", "no such key"),
    "YAML 1.2": (f"%YAML 1.2\n---\n{TLS_TEXT}", "only 1.1"),
    # What nobody could get in by is refused here: exporter-toolkit takes these.
    "versions that contradict each other": (tls(min_version="TLS13", max_version="TLS12"), "nobody could connect"),
    "an authority without a certificate": (
        tls(client_ca_file="server.key", client_auth_type="RequireAndVerifyClientCert"),
        "client_ca_file cannot be used",
    ),
    "a hash that is none's": (f"basic_auth_users: {{a: {A_HASH}x}}\n", "not a bcrypt hash"),
    # What Python's TLS cannot do it does not pretend to do: exporter-toolkit takes these three.
    "any certificate": (tls(client_auth_type="RequireAnyClientCert"), "use RequireAndVerifyClientCert"),
    "any certificate, by its old name": (tls(client_auth_type="RequireClientCert"), "use RequireAndVerifyClientCert"),
    "names of any certificate": (
        tls(client_auth_type="RequestClientCert", client_allowed_sans=["one"]),
        "use RequireAndVerifyClientCert",
    ),
}


def written(folder: WebFolder, content: str | dict[str, object]) -> Path:
    return folder.write(content if isinstance(content, str) else yaml.safe_dump(content))


@pytest.mark.parametrize("content", GOOD.values(), ids=GOOD)
def test_what_exporter_toolkit_takes_is_taken(folder: WebFolder, content: str | dict[str, object]) -> None:
    lock = read_lock(written(folder, content))
    assert (lock.context is not None) == lock.file.tls_server_config.is_enabled


@pytest.mark.parametrize(("content", "message"), BAD.values(), ids=BAD)
def test_what_exporter_toolkit_refuses_is_refused(
    folder: WebFolder, content: str | dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(message)) as refused:
        read_lock(written(folder, content))
    assert all(str(folder.file) in problem for problem in refused.value.problems)
    assert "doe" not in str(refused.value)


def test_a_name_is_what_is_written(folder: WebFolder) -> None:
    users = f"basic_auth_users: {{007: {A_HASH}, yes: {A_HASH}, 'no': {A_HASH}, 0x1F: {A_HASH}, ~: {A_HASH}}}\n"
    assert read_lock(folder.write(users)).file.basic_auth_users.keys() == {"007", "yes", "no", "0x1F", ""}


def test_a_rate_is_as_go_reads_it(folder: WebFolder) -> None:
    for interval, burst, seconds, count in (("1_000", "0x10", 1e-6, 16), ("'1.5h'", "010", 5400.0, 8), ("", "2.9", 0.0, 2)):  # fmt: skip  # noqa: E501
        limit = read_lock(folder.write(f"rate_limit: {{interval: {interval}, burst: {burst}}}\n")).file.rate_limit
        assert (limit.interval, limit.burst) == (seconds, count)


def test_certificate_and_key_may_stand_in_the_file(folder: WebFolder) -> None:
    cert, key = (folder.path / "server.crt").read_text(), (folder.path / "server.key").read_text()
    assert read_lock(folder.write(tls_server_config={"cert": cert, "key": key})).context is not None
    assert read_lock(folder.write(tls_server_config={"cert_file": "server.crt", "key": key})).context is not None


def test_a_key_with_a_password_is_refused_and_nobody_is_asked_for_it(folder: WebFolder) -> None:
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key((folder.path / "server.key").read_bytes(), None)
    encryption = serialization.BestAvailableEncryption(b"secret")
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    (folder.path / "locked.key").write_bytes(pem)
    with pytest.raises(ConfigurationError, match="cannot be used"):
        read_lock(folder.write(tls_server_config={**TLS, "key_file": "locked.key"}))


def test_who_is_bound_to_workspaces_must_have_a_password(folder: WebFolder) -> None:
    file = folder.write(basic_auth_users={"alice": hash_of("a")})
    assert read_lock(file, ["alice"]).file.basic_auth_users
    with pytest.raises(ConfigurationError, match=r"has no 'bob', whom web\.users binds"):
        read_lock(file, ["alice", "bob"])


def test_several_curves_that_this_python_cannot_have_are_the_first_and_it_says_so(folder: WebFolder) -> None:
    lock = read_lock(folder.write(**tls(curve_preferences=["CurveP384", "CurveP256"])))
    said = [] if hasattr(ssl.SSLContext, "set_groups") else ["it is CurveP384, the first of them"]
    assert [note.rpartition(": ")[2] for note in lock.notes] == said


def test_a_pipe_is_refused_as_it_can_be_read_once(folder: WebFolder, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigurationError, match=r"pipe: is a pipe, which can be read once"):
        read_lock(tmp_path / "pipe")
    with pytest.raises(ConfigurationError, match=r"pipe: is a pipe, which can be read once"):
        read_lock(folder.write(**tls(cert_file=str(tmp_path / "pipe"))))


# Read again ---------------------------------------------------------------------------------------
def keeper_of(folder: WebFolder, **web: object) -> tuple[WebLockKeeper, ExporterHealth]:
    health = ExporterHealth()
    config = WebConfig.model_validate({"config_file": str(folder.file), **web})
    return WebLockKeeper(config, health, lambda: NOW), health


async def look(keeper: WebLockKeeper) -> WebLock:
    await keeper.look()
    return keeper.lock


def is_good(health: ExporterHealth) -> bool:
    return b"prisma_postgres_exporter_web_config_reload_success 1.0" in health.text(0).text


async def test_a_change_of_the_file_or_of_what_it_names_is_read(folder: WebFolder) -> None:
    folder.write(**tls(), basic_auth_users={"alice": hash_of("a")})
    keeper, health = keeper_of(folder)
    first = keeper.lock
    assert await look(keeper) is first
    folder.write(**tls(), basic_auth_users={"alice": hash_of("a"), "bob": hash_of("b")})
    second = await look(keeper)
    assert set(second.file.basic_auth_users) == {"alice", "bob"}
    folder.new_certificate()
    third = await look(keeper)
    assert third.context is not second.context
    assert is_good(health)


async def test_a_bad_one_keeps_the_old_and_says_so_until_it_is_good_again(folder: WebFolder) -> None:
    folder.write(**tls(), basic_auth_users={"alice": hash_of("a")})
    keeper, health = keeper_of(folder)
    first = keeper.lock
    folder.write("tls_server_config: [")
    assert await look(keeper) is first
    assert not is_good(health)
    [note] = keeper.notes
    assert "not in force since 2026-11-05 12:00:00 UTC" in note
    assert "not YAML" in note
    folder.write(**tls(), basic_auth_users={"bob": hash_of("b")})
    assert set((await look(keeper)).file.basic_auth_users) == {"bob"}
    assert is_good(health)
    assert keeper.notes == []


async def test_a_certificate_that_goes_and_comes_back(folder: WebFolder) -> None:
    folder.write(**tls(), basic_auth_users={"alice": hash_of("a")})
    keeper, health = keeper_of(folder)
    key = (folder.path / "server.key").read_bytes()
    (folder.path / "server.key").unlink()
    first = await look(keeper)
    assert not is_good(health)
    (folder.path / "server.key").write_bytes(key)
    assert await look(keeper) is not first
    assert is_good(health)


@pytest.mark.parametrize(
    ("later", "gone"),
    [
        ("", "tls_server_config is gone"),
        ({"tls_server_config": VERIFIED}, "basic_auth_users is gone"),
        ({**tls(), "basic_auth_users": {"alice": hash_of("a")}}, "RequireAndVerifyClientCert is gone"),
    ],
)
async def test_a_file_that_an_editor_has_just_emptied_opens_nothing(
    folder: WebFolder, later: str | dict[str, object], gone: str
) -> None:
    folder.write(tls_server_config=VERIFIED, basic_auth_users={"alice": hash_of("a")})
    keeper, health = keeper_of(folder)
    first = keeper.lock
    written(folder, later)
    assert await look(keeper) is first
    assert gone in str(keeper.problem)
    assert not is_good(health)


async def test_names_of_client_certificates_are_not_taken_off_while_it_runs(folder: WebFolder) -> None:
    folder.write(tls_server_config={**VERIFIED, "client_allowed_sans": ["prometheus"]})
    keeper, _ = keeper_of(folder)
    first = keeper.lock
    written(folder, {"tls_server_config": VERIFIED})
    assert await look(keeper) is first
    assert "client_allowed_sans is gone" in str(keeper.problem)


async def test_what_a_start_refuses_is_not_read_again_either(folder: WebFolder) -> None:
    folder.write(basic_auth_users={"alice": hash_of("a"), "bob": hash_of("b")})
    keeper, health = keeper_of(folder, users={"alice": ["wksp_1"]})
    first = keeper.lock
    written(folder, {"basic_auth_users": {"bob": hash_of("b")}})
    assert await look(keeper) is first
    assert "has no 'alice', whom web.users binds" in str(keeper.problem)
    assert not is_good(health)
    with pytest.raises(ConfigurationError, match=r"whom web\.users binds"):
        keeper_of(folder, users={"alice": ["wksp_1"]})
    # How to keep a bound user out without a restart.
    written(folder, {"basic_auth_users": {"alice": hash_of("another"), "bob": hash_of("b")}})
    assert await look(keeper) is not first
    assert is_good(health)


@pytest.mark.parametrize(
    ("listen", "content", "is_said"),
    [
        (":9478", None, True),
        ("0.0.0.0:9478", None, True),
        ("systemd", None, True),
        (["127.0.0.1:9478", "192.0.2.1:9478"], None, True),
        ("127.0.0.1:9478", None, False),
        (["[::1]:9478", "localhost:9478", "unix:/run/web.sock"], None, False),
        (":9478", tls(), True),
        (":9478", {"tls_server_config": VERIFIED}, False),
        (":9478", {"basic_auth_users": {"alice": hash_of("a")}}, False),
    ],
)
def test_it_is_said_where_everyone_who_reaches_the_port_gets_in(
    folder: WebFolder, listen: object, content: dict[str, object] | None, is_said: bool
) -> None:
    file = None if content is None else read_lock(written(folder, content)).file
    assert (exposure(WebConfig.model_validate({"listen": listen}), file) is not None) == is_said
