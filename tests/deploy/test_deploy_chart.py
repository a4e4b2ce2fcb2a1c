"""The chart: what Helm makes of it is what Kubernetes and the Prometheus Operator take, and hangs together."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml
from chart_value_sets import ENABLED, EVERYTHING, OF_A_VARIABLE, POSTGRES, VALUE_SETS
from dockerfile import stages, values
from helm_chart import CHART, NEEDS_HELM, Object, Values, helm, objects, render, the
from operator_schemas import SCHEMAS

from prisma_postgres_exporter import __version__
from prisma_postgres_exporter.config import load_config

KUBERNETES = ("1.25", "1.31", "1.37")

pytestmark = NEEDS_HELM


@pytest.fixture(params=[*VALUE_SETS.values()], ids=[*VALUE_SETS])
def rendered(request: pytest.FixtureRequest) -> list[Object]:
    return objects(request.param)


@pytest.fixture(scope="module")
def whole() -> list[Object]:
    return objects(EVERYTHING)


def test_helm_finds_nothing_to_complain_about() -> None:
    said = helm("lint", "--strict", str(CHART))

    assert "WARNING" not in said
    assert "ERROR" not in said


def test_kubernetes_and_the_operator_take_every_object(rendered: list[Object]) -> None:
    for found in rendered:
        if found["kind"] in SCHEMAS:
            jsonschema.validate(found, SCHEMAS[found["kind"]])
        else:
            for version in KUBERNETES:
                kubernetes_validate.validate(found, version, strict=True)


def test_every_name_is_given_once_and_everything_named_is_there(rendered: list[Object]) -> None:
    names = [(found["kind"], found["metadata"]["name"]) for found in rendered]
    pod = the("Deployment", rendered)["spec"]["template"]
    container = pod["spec"]["containers"][0]
    volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}

    assert len(names) == len(set(names))
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes.keys()
    if "config" in volumes:
        assert ("ConfigMap", volumes["config"]["configMap"]["name"]) in names
    for selector in _selectors(rendered):
        assert selector.items() <= pod["metadata"]["labels"].items()
    (port,) = the("Service", rendered)["spec"]["ports"]
    assert port["targetPort"] in [each["name"] for each in container["ports"]]


def test_the_volume_of_the_ledger_is_the_claim_that_is_made() -> None:
    found = objects()
    ledger = _volume(found, "ledger")

    assert ledger["persistentVolumeClaim"]["claimName"] == the("PersistentVolumeClaim", found)["metadata"]["name"]
    assert the("PersistentVolumeClaim", found)["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}


def test_a_claim_that_exists_is_used_and_none_is_made() -> None:
    found = objects(VALUE_SETS["SQLite on a claim that exists"])

    assert _volume(found, "ledger")["persistentVolumeClaim"]["claimName"] == "ledger"
    assert "PersistentVolumeClaim" not in [each["kind"] for each in found]


def test_two_pods_never_share_a_sqlite_file() -> None:
    for name, found in ((name, objects(chosen)) for name, chosen in VALUE_SETS.items()):
        deployment = the("Deployment", found)["spec"]
        uses_sqlite = "ledger" in {volume["name"] for volume in deployment["template"]["spec"]["volumes"]}
        assert (deployment["strategy"]["type"] == "Recreate") == uses_sqlite, name
        assert not uses_sqlite or deployment["replicas"] == 1, name


def test_pods_keep_to_the_restricted_standard_and_cannot_ask_the_cluster(rendered: list[Object]) -> None:
    pod = the("Deployment", rendered)["spec"]["template"]["spec"]
    container = pod["containers"][0]

    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    assert {next(iter(volume.keys() - {"name"})) for volume in pod["volumes"]} <= {
        "configMap",
        "emptyDir",
        "persistentVolumeClaim",
        "secret",
    }
    assert pod["automountServiceAccountToken"] is False
    accounts = [found for found in rendered if found["kind"] == "ServiceAccount"]
    assert [account["automountServiceAccountToken"] for account in accounts] == [False] * len(accounts)
    assert pod["serviceAccountName"] in [*(account["metadata"]["name"] for account in accounts), "default"]


def test_the_pod_runs_as_the_images_user_and_keeps_the_ledger_where_the_image_has_a_place_for_it() -> None:
    image = stages()[-1]
    pod = the("Deployment", objects())["spec"]["template"]["spec"]
    user, group = map(int, values(image, "USER")[-1].split(":"))
    (container,) = pod["containers"]

    assert {key: pod["securityContext"][key] for key in ("runAsUser", "runAsGroup", "fsGroup")} == {
        "runAsUser": user,
        "runAsGroup": group,
        "fsGroup": group,
    }
    assert values(image, "VOLUME")[-1] in [mount["mountPath"] for mount in container["volumeMounts"]]
    assert [str(port["containerPort"]) for port in container["ports"]] == values(image, "EXPOSE")


def test_tokens_are_files_that_only_the_exporter_reads_and_in_no_object(rendered: list[Object]) -> None:
    pod = the("Deployment", rendered)["spec"]["template"]["spec"]
    modes = [volume["secret"]["defaultMode"] for volume in pod["volumes"] if "secret" in volume]

    assert set(modes) <= {0o440}
    assert "Secret" not in [found["kind"] for found in rendered]
    assert "PRISMA_POSTGRES_TOKEN" not in [variable["name"] for variable in pod["containers"][0]["env"]]


def test_only_the_named_keys_of_a_secret_are_mounted(whole: list[Object]) -> None:
    assert _volume(whole, "tokens")["secret"]["items"] == [
        {"key": "acme", "path": "acme"},
        {"key": "globex", "path": "globex"},
    ]


def test_credentials_of_the_configuration_win_over_the_folder_of_tokens() -> None:
    folder = "/etc/prisma-postgres-exporter/tokens"
    chosen = {"config": {"credentials": [{"name": "acme", "token_file": f"{folder}/acme"}]}}
    (container,) = the("Deployment", objects(chosen))["spec"]["template"]["spec"]["containers"]

    assert folder in [mount["mountPath"] for mount in container["volumeMounts"]]
    assert "PRISMA_POSTGRES_TOKEN_FILE" not in [variable["name"] for variable in container["env"]]


@pytest.mark.parametrize("name", ["a token in a variable", "variables of a Secret"])
def test_tokens_that_are_variables_wait_for_no_other_secret(name: str) -> None:
    pod = the("Deployment", objects(VALUE_SETS[name]))["spec"]["template"]["spec"]
    (container,) = pod["containers"]

    assert [volume for volume in pod["volumes"] if "secret" in volume] == []
    assert "PRISMA_POSTGRES_TOKEN_FILE" not in [variable["name"] for variable in container["env"]]
    notes = helm("install", "usage", str(CHART), "--dry-run=client", "--values=-", stdin=json.dumps(VALUE_SETS[name]))
    assert "prisma-postgres-token" not in notes


CSI, FOLDER = "/mnt/csi/prisma", "/etc/prisma-postgres-exporter/tokens"


@pytest.mark.parametrize(
    ("chosen", "is_mounted"),
    [
        ({"config": {"credentials": [{"token_file": f"{CSI}/acme"}]}}, False),
        ({"config": {"credentials": [{"token_file": f"{FOLDER}-csi/acme"}]}}, False),
        ({"config": {"credentials": [{"token_file": f"{FOLDER}/../csi/acme"}]}}, False),
        ({"extraEnv": [{"name": "PRISMA_POSTGRES_TOKEN_FILE", "value": CSI}]}, False),
        (
            {
                "config": {"credentials": [{"token_file": f"{CSI}/acme"}], "web": {"config_file": f"{CSI}/web.yml"}},
                "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy.example.com"}],
            },
            False,
        ),
        ({"config": {"credentials": [{"token_file": FOLDER}]}}, True),
        (
            {
                "config": {
                    "credentials": [
                        {"token_file": f"{CSI}/a"},
                        {"token_file": f"{FOLDER}/b"},
                    ]
                }
            },
            True,
        ),
        (
            {"extraEnv": [{"name": "PRISMA_POSTGRES_TOKEN_FILE", "value": f"{FOLDER}/acme"}]},
            True,
        ),
    ],
    ids=str,
)
def test_the_secret_is_mounted_only_where_tokens_are_read_from_it(chosen: Values, is_mounted: bool) -> None:
    """Tokens on a CSI volume: the pod waited for a Secret that nobody had made."""
    own = {
        "extraVolumes": [{"name": "csi", "csi": {"driver": "secrets-store.csi.k8s.io", "readOnly": True}}],
        "extraVolumeMounts": [{"name": "csi", "mountPath": CSI}],
    }
    pod = the("Deployment", objects({**own, **chosen}))["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    variables = [variable["name"] for variable in container["env"]]

    assert [volume["name"] for volume in pod["volumes"] if "secret" in volume] == (["tokens"] if is_mounted else [])
    assert ("tokens" in [mount["name"] for mount in container["volumeMounts"]]) is is_mounted
    assert variables.count("PRISMA_POSTGRES_TOKEN_FILE") == len(
        [one for one in chosen.get("extraEnv", ()) if "FILE" in one["name"]]
    )


def test_a_file_beside_a_variable_is_still_mounted() -> None:
    folder = "/etc/prisma-postgres-exporter/tokens"
    credentials = [*OF_A_VARIABLE["config"]["credentials"], {"name": "acme", "token_file": f"{folder}/acme"}]

    assert _volume(objects({**OF_A_VARIABLE, "config": {"credentials": credentials}}), "tokens")


@pytest.mark.parametrize(
    "release",
    ["u" * 53, f"{'usage-' * 8}long", f"{'u' * 52}v", "a.b", "123", f"prisma-postgres-exporter-{'x' * 28}"],
)
def test_names_of_the_longest_releases_are_whole_labels_and_tell_two_releases_apart(release: str) -> None:
    values = {name: EVERYTHING[name] for name in ("serviceMonitor", "prometheusRule", "dashboards", "ingress")}
    found = [*yaml.safe_load_all(helm("template", release, str(CHART), "--values=-", stdin=json.dumps(values)))]
    names = [each["metadata"]["name"] for each in found if each]
    other = the("Service", [*yaml.safe_load_all(helm("template", f"{release[:-1]}w", str(CHART)))])

    assert [name for name in names if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", name)] == []
    assert len([name for name in names if name.endswith(("-cost", "-database", "-exporter", "-overview"))]) >= 4
    assert other["metadata"]["name"] not in names
    for each in found:
        if each["kind"] not in SCHEMAS:
            kubernetes_validate.validate(each, "1.37", strict=True)


def test_common_labels_and_annotations_are_on_every_object_and_the_objects_own_win(whole: list[Object]) -> None:
    pod = the("Deployment", whole)["spec"]["template"]
    for found in [*whole, pod]:
        metadata = found["metadata"]
        assert metadata["labels"]["cost-centre"] == "42"
        assert metadata["labels"]["app.kubernetes.io/name"] == "prisma-postgres-exporter"
        assert metadata["annotations"]["example.com/owner"] == "platform"
    assert pod["metadata"]["labels"]["team"] == "data"
    assert the("Service", whole)["metadata"]["annotations"]["example.com/team"] == "data"
    assert the("HTTPRoute", whole)["metadata"]["annotations"]["example.com/team"] == "data"
    assert the("Deployment", whole)["metadata"]["annotations"]["reloader.stakater.com/auto"] == "true"
    for selector in _selectors(whole):
        assert "cost-centre" not in selector


def test_the_claim_is_kept_whatever_its_annotations_are() -> None:
    chosen = {"annotations": {"helm.sh/resource-policy": "delete", "example.com/backup": "daily"}}
    claim = the("PersistentVolumeClaim", objects({"store": {"sqlite": chosen}}))

    assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep", "example.com/backup": "daily"}


def test_arguments_variables_and_containers_of_your_own_stand_behind_the_charts(whole: list[Object]) -> None:
    exporter, proxy = the("Deployment", whole)["spec"]["template"]["spec"]["containers"]

    assert exporter["args"] == ["serve", "--log-format=json", "--api-url=https://api.example.com"]
    assert exporter["env"][-1]["name"] == "HTTPS_PROXY"
    assert exporter["envFrom"] == [{"secretRef": {"name": "more"}}]
    assert proxy["name"] == "proxy"


def test_the_ingress_and_the_route_lead_to_the_service(whole: list[Object]) -> None:
    service = the("Service", whole)
    (port,) = service["spec"]["ports"]
    ingress, route = the("Ingress", whole)["spec"], the("HTTPRoute", whole)["spec"]
    backends = [path["backend"]["service"] for rule in ingress["rules"] for path in rule["http"]["paths"]]

    assert backends == [{"name": service["metadata"]["name"], "port": {"name": port["name"]}}] * 2
    assert route["rules"][0]["backendRefs"] == [{"name": service["metadata"]["name"], "port": port["port"]}]
    assert (service["spec"]["ipFamilyPolicy"], service["spec"]["ipFamilies"]) == ("PreferDualStack", ["IPv6", "IPv4"])


def test_the_probes_ask_the_port_that_is_listened_on_as_the_web_configuration_answers() -> None:
    def asked(chosen: Values) -> list[str]:
        (container,) = the("Deployment", objects(chosen))["spec"]["template"]["spec"]["containers"]
        (port,) = container["ports"]
        listen = [each["value"] for each in container["env"] if each["name"] == "PRISMA_POSTGRES_LISTEN"]
        assert listen == [f":{port['containerPort']}"]
        probes = [container[f"{name}Probe"] for name in ("startup", "liveness", "readiness")]
        actions = [next(each[key] for key in ("httpGet", "tcpSocket") if key in each) for each in probes]
        assert {action["port"] for action in actions} == {port["name"]}
        return [action.get("scheme", "HTTP") if "path" in action else "TCP" for action in actions]

    assert asked({"service": {"port": 80}}) == ["HTTP"] * 3
    assert asked({"webConfig": {"existingSecret": "web"}}) == ["TCP"] * 3
    assert asked({"config": {"web": {"config_file": "/web/web.yml"}}}) == ["TCP"] * 3
    assert asked({"webConfig": {"existingSecret": "web", "probes": "HTTPS"}}) == ["HTTPS"] * 3


def test_the_configuration_is_the_one_that_was_given_to_the_last_digit(tmp_path: Path) -> None:
    prices = {"plan": "enterprise", "version": "contract", "fee_usd": 900, "included_operations": 500_000_000}
    prices |= {"included_storage": "1000GiB", "usd_per_million_operations": 0.5, "usd_per_gib_month": 0.05}
    wanted = {
        "poll": {"interval": "7m", "windows": ["24h", "366d"]},
        "cost": {
            "workspaces": [{"workspace": "acme", "prices": prices}],
            "budgets": [{"name": "b", "monthly_usd": 2.5}],
        },
        "discovery": {"exclude": {"databases": ["^preview-"]}},
    }
    path = tmp_path / "config.yaml"
    path.write_text(the("ConfigMap", objects({"config": wanted}))["data"]["config.yaml"])

    loaded = load_config(environ={}, config_path=str(path))

    assert yaml.safe_load(path.read_text()) == wanted
    assert loaded.cost.workspaces[0].prices is not None
    assert loaded.cost.workspaces[0].prices.included_operations == 500_000_000


def test_pods_are_replaced_when_the_configuration_changes_and_only_then() -> None:
    def annotations(chosen: Values) -> Any:
        return the("Deployment", objects(chosen))["spec"]["template"]["metadata"]["annotations"]

    assert annotations({}) == annotations({"serviceMonitor": ENABLED})
    assert annotations({}) != annotations({"config": {"poll": {"interval": "6m"}}})


def test_the_demo_needs_neither_secret_nor_network() -> None:
    found = objects(VALUE_SETS["demo"])
    pod = the("Deployment", found)["spec"]["template"]["spec"]

    assert sorted(each["kind"] for each in found) == ["Deployment", "NetworkPolicy", "Service", "ServiceAccount"]
    assert [volume["name"] for volume in pod["volumes"]] == ["tmp"]
    policy = the("NetworkPolicy", found)["spec"]
    assert "Egress" in policy["policyTypes"]
    assert "egress" not in policy


def test_the_policy_lets_out_what_the_exporter_asks_for() -> None:
    def ports(chosen: Values) -> list[int]:
        policy = the("NetworkPolicy", objects({"networkPolicy": ENABLED, **chosen}))["spec"]
        return [port["port"] for rule in policy["egress"] for port in rule["ports"]]

    assert ports({}) == [53, 53, 5353, 5353, 443]
    assert ports({"store": POSTGRES}) == [53, 53, 5353, 5353, 443, 5432]


def test_a_packed_chart_is_the_same_chart(tmp_path: Path) -> None:
    helm("package", str(CHART), "--destination", str(tmp_path))
    (packed,) = tmp_path.glob("*.tgz")

    assert render(EVERYTHING, chart=str(packed)) == render(EVERYTHING)


def test_the_chart_says_the_version_of_the_exporter_it_runs() -> None:
    about = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))

    assert about["appVersion"] == __version__
    assert the("Deployment", objects())["spec"]["template"]["spec"]["containers"][0]["image"].endswith(
        f":{__version__}"
    )


def test_what_helm_says_after_an_installation_names_what_was_installed() -> None:
    notes = helm("install", "usage", str(CHART), "--namespace=metrics", "--dry-run=client").partition("NOTES:")[2]

    assert "kubectl -n metrics port-forward service/usage-prisma-postgres-exporter 9478" in notes
    assert "create secret generic prisma-postgres-token" in notes


def _selectors(rendered: list[Object]) -> Iterator[Mapping[str, str]]:
    for found in rendered:
        spec = found.get("spec", {})
        if found["kind"] == "Service":
            yield spec["selector"]
        for name in ("selector", "podSelector"):
            if "matchLabels" in spec.get(name, {}) and found["kind"] != "ServiceMonitor":
                yield spec[name]["matchLabels"]


def _volume(rendered: list[Object], name: str) -> Any:
    volumes = the("Deployment", rendered)["spec"]["template"]["spec"]["volumes"]
    return next(volume for volume in volumes if volume["name"] == name)
