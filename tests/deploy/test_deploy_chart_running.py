"""The container as the Deployment starts it, as a process: its arguments, environment, volumes and probes."""

from __future__ import annotations

import http.client
import signal
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from chart_value_sets import OF_A_VARIABLE
from dockerfile import command, stages
from helm_chart import NEEDS_HELM, Object, Values, objects, the
from processes import Samples, Vendor, fetch, parse_metrics, run, vendor, wait_until
from processes import command as started

from ports import free_port
from web_files import TLS, VERIFIED, hash_of, web_folder

pytestmark = NEEDS_HELM


class Pod:
    """The pod of a rendered chart: each volume a folder, each Secret's text from `secrets` by name and key."""

    def __init__(self, rendered: list[Object], folder: Path, secrets: Mapping[str, Mapping[str, str]]) -> None:
        self._spec = the("Deployment", rendered)["spec"]["template"]["spec"]
        self._container = self._spec["containers"][0]
        self._config_maps = {each["metadata"]["name"]: each["data"] for each in rendered if each["kind"] == "ConfigMap"}
        self._secrets = secrets
        self._mounts = {mount["mountPath"]: folder / mount["name"] for mount in self._container["volumeMounts"]}
        for mount in self._container["volumeMounts"]:
            self._fill(mount["name"], folder / mount["name"])

    @property
    def arguments(self) -> list[str]:
        """What follows the image's program, on any free port."""
        assert command(stages()[-1], "ENTRYPOINT")[-1] == "prisma-postgres-exporter"
        return [self._here(argument) for argument in self._container["args"]]

    @property
    def environ(self) -> dict[str, str]:
        """The container's variables, with this machine's folders in the place of the volumes."""
        found: dict[str, str] = {}
        for source in self._container.get("envFrom", ()):
            found |= self._secrets[source["secretRef"]["name"]]
        for variable in self._container["env"]:
            reference = variable.get("valueFrom", {}).get("secretKeyRef")
            text = self._secrets[reference["name"]][reference["key"]] if reference else variable["value"]
            found[variable["name"]] = self._here(text)
        return found

    def probes(self, url: str) -> dict[str, int]:
        """Ask what the kubelet asks, and return the statuses by the name of the probe, 0 for a connection alone."""
        names = ("startupProbe", "livenessProbe", "readinessProbe")
        return {name: _probed(self._container[name], urlsplit(url).port) for name in names}

    def _fill(self, name: str, folder: Path) -> None:
        volume = next(each for each in self._spec["volumes"] if each["name"] == name)
        folder.mkdir()
        if "configMap" in volume:
            _mount(folder, self._config_maps[volume["configMap"]["name"]])
        elif "secret" in volume:
            _mount(folder, self._secrets[volume["secret"]["secretName"]], mode=volume["secret"]["defaultMode"])

    def _here(self, text: str) -> str:
        for path, folder in self._mounts.items():
            text = text.replace(path, str(folder))
        return text.replace(":9478", "127.0.0.1:0")


def test_the_pod_collects_into_the_ledger_on_its_volume(tmp_path: Path) -> None:
    with vendor(workspaces=2, databases=6) as upstream, _pod(upstream, tmp_path, {}) as (pod, url):
        samples = _with_usage(url)

        assert set(pod.probes(url).values()) == {200}
        assert len(samples.labels("prisma_postgres_database_info", "database_id")) == 6
        assert samples.labels("prisma_postgres_exporter_credential_up", "credential") == {"acme", "globex"}
    assert (tmp_path / "ledger" / "prisma-postgres-exporter.db").is_file()


def test_two_pods_share_a_ledger_in_postgres_and_keep_nothing_themselves(tmp_path: Path, postgres_url: str) -> None:
    values = {"replicas": 2, "store": {"kind": "postgres", "postgres": {"existingSecret": "ledger", "key": "uri"}}}
    ledger = {"uri": postgres_url}
    with (
        vendor(workspaces=2, databases=4) as upstream,
        _pod(upstream, tmp_path / "first", values, ledger=ledger) as (first, first_url),
        _pod(upstream, tmp_path / "second", values, ledger=ledger) as (second, second_url),
    ):
        shown = [
            _with_usage(url).labels("prisma_postgres_database_info", "database_id") for url in (first_url, second_url)
        ]
        assert shown == [set(upstream.database_ids)] * 2
        assert {*first.probes(first_url).values(), *second.probes(second_url).values()} == {200}
        checked = run("store", "check", cwd=tmp_path, environ={"PRISMA_POSTGRES_STORE_URL": postgres_url})
        assert checked.returncode == 0, checked.stdout + checked.stderr

    for folder in (tmp_path / "first", tmp_path / "second"):
        assert sorted(path.name for path in folder.iterdir()) == ["config", "tmp", "tokens"]


@pytest.mark.parametrize(
    ("values", "variable"),
    [
        (OF_A_VARIABLE, "shop"),
        ({"token": {"existingSecret": ""}, "envFrom": [{"secretRef": {"name": "shop"}}]}, "token-1"),
    ],
    ids=["token_env", "envFrom"],
)
def test_the_pod_takes_its_token_from_a_variable(tmp_path: Path, values: Values, variable: str) -> None:
    with vendor(workspaces=2, databases=2) as upstream:
        (token, _) = upstream.world.tokens
        shop = {"prisma": token, "PRISMA_POSTGRES_TOKEN": token}
        with _pod(upstream, tmp_path, values, shop=shop) as (pod, url):
            samples = _with_usage(url)

    assert samples.labels("prisma_postgres_exporter_credential_up", "credential") == {variable}
    assert "PRISMA_POSTGRES_TOKEN_FILE" not in pod.environ


@pytest.mark.slow
def test_the_pod_of_the_demo_needs_nothing_but_a_place_for_temporary_files(tmp_path: Path) -> None:
    pod = Pod(objects({"demo": {"enabled": True}}), tmp_path, {})
    with _running(pod, tmp_path) as url:
        _with_usage(url)
        assert set(pod.probes(url).values()) == {200}

    assert [path.name for path in tmp_path.iterdir()] == ["tmp"]
    assert list((tmp_path / "tmp").iterdir()) == []


def test_the_variables_that_kubernetes_adds_for_services_are_switched_off_and_would_change_nothing(
    tmp_path: Path,
) -> None:
    rendered = objects()
    service = the("Service", rendered)
    name = service["metadata"]["name"].upper().replace("-", "_")
    (port,) = [str(each["port"]) for each in service["spec"]["ports"]]
    links = {
        f"{name}_SERVICE_HOST": "192.0.2.1",
        f"{name}_SERVICE_PORT": port,
        f"{name}_SERVICE_PORT_HTTP": port,
        f"{name}_PORT": f"tcp://192.0.2.1:{port}",
        f"{name}_PORT_{port}_TCP": f"tcp://192.0.2.1:{port}",
        f"{name}_PORT_{port}_TCP_PROTO": "tcp",
        f"{name}_PORT_{port}_TCP_PORT": port,
        f"{name}_PORT_{port}_TCP_ADDR": "192.0.2.1",
    }
    with vendor(workspaces=1, databases=1) as upstream:
        environ = {
            "PRISMA_POSTGRES_API_URL": upstream.url,
            "PRISMA_POSTGRES_TOKEN": ",".join(upstream.world.tokens),
            "PRISMA_POSTGRES_LISTEN": f"127.0.0.1:{free_port()}",
        }
        without = run("check", cwd=tmp_path, environ=environ)
        linked = run("check", cwd=tmp_path, environ={**environ, **links})

    assert without.returncode == 0, without.stdout + without.stderr
    # The first line has the time.
    assert (linked.returncode, linked.stdout.partition("\n")[2]) == (0, without.stdout.partition("\n")[2])
    assert name not in linked.stdout + linked.stderr
    assert the("Deployment", rendered)["spec"]["template"]["spec"]["enableServiceLinks"] is False


@pytest.mark.parametrize(
    ("probes", "statuses", "sections"),
    [
        ("HTTPS", {200}, {"tls_server_config": TLS}),
        ("", {0}, {"tls_server_config": VERIFIED, "basic_auth_users": {"alice": hash_of("of-alice")}}),
    ],
    ids=["TLS", "client certificates and passwords"],
)
def test_the_pod_speaks_as_the_secret_of_its_web_configuration_says(
    tmp_path: Path, probes: str, statuses: set[int], sections: Mapping[str, object]
) -> None:
    folder = web_folder(tmp_path / "made")
    folder.write(**sections)
    web = {name: (folder.path / name).read_text() for name in ("web.yml", "server.crt", "server.key", "ca.pem")}
    values = {"webConfig": {"existingSecret": "web", "probes": probes}}
    with vendor(workspaces=2, databases=1) as upstream, _pod(upstream, tmp_path / "pod", values, web=web) as (pod, url):
        assert url.startswith("https://")
        wait_until(lambda: set(pod.probes(url).values()) == statuses, "the probes")
        checked = run("check", cwd=tmp_path, environ=pod.environ)

    assert "web.yml: TLS" in checked.stdout


@contextmanager
def _pod(upstream: Vendor, folder: Path, values: Values, **secrets: Mapping[str, str]) -> Iterator[tuple[Pod, str]]:
    """Run the pod of these values against a vendor, with a token for each of its workspaces."""
    folder.mkdir(exist_ok=True)
    config = {"api_url": upstream.url, "poll": {"requests_per_second": 1000}, **values.get("config", {})}
    tokens = dict(zip(("acme", "globex"), upstream.world.tokens, strict=True))
    pod = Pod(objects({**values, "config": config}), folder, {"prisma-postgres-token": tokens, **secrets})
    with _running(pod, folder) as url:
        yield pod, url


@contextmanager
def _running(pod: Pod, folder: Path) -> Iterator[str]:
    with started(*pod.arguments, cwd=folder, environ=pod.environ) as running:
        yield running.wait_for(r'"url": "(https?://127\.0\.0\.1:\d+)"')
        running.send(signal.SIGTERM)
        assert running.wait() == 0, running.output


def _probed(probe: Mapping[str, Any], port: int | None) -> int:
    """What the kubelet sees; it verifies no certificate."""
    if "tcpSocket" in probe:
        socket.create_connection(("127.0.0.1", port or 0)).close()
        return 0
    asked = probe["httpGet"]
    if asked.get("scheme") == "HTTPS":
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection: http.client.HTTPConnection = http.client.HTTPSConnection("127.0.0.1", port, context=context)
    else:
        connection = http.client.HTTPConnection("127.0.0.1", port)
    with closing(connection):
        connection.request("GET", asked["path"])
        return connection.getresponse().status


def _with_usage(url: str) -> Samples:
    def shown() -> Samples | None:
        samples = parse_metrics(fetch(f"{url}/metrics").text)
        return samples if samples.named("prisma_postgres_database_operations_total") else None

    return wait_until(shown, "usage in /metrics")


def _mount(folder: Path, texts: Mapping[str, str], *, mode: int = 0o644) -> None:
    """Lay files out as the kubelet does: each a link into a folder that a link beside them leads to."""
    version = folder / "..2026_11_24_00_00_00.1"
    version.mkdir()
    (folder / "..data").symlink_to(version.name)
    for name, text in texts.items():
        (version / name).write_text(text)
        (version / name).chmod(mode)
        (folder / name).symlink_to(Path("..data") / name)
