"""The chart's values: the defaults fit the schema, and what cannot work is refused with what to do."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
import yaml
from helm_chart import CHART, NEEDS_HELM, ChartRefused, Values, render

SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
DEFAULTS: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
FREE = ("config", "resources", "global")
"""Where a user writes what stands in another schema, or nothing."""


def test_the_schema_is_one_and_the_defaults_fit_it() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    jsonschema.Draft7Validator(SCHEMA).validate(DEFAULTS)


def test_values_and_schema_have_the_same_keys() -> None:
    described = dict(_described(SCHEMA))

    assert set(_given(DEFAULTS)) == described.keys()
    assert {path for path, is_closed in described.items() if not is_closed} == set()


@NEEDS_HELM
@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"replica": 2}, "replica"),
        ({"replicas": "two"}, "replicas"),
        ({"replicas": -1}, "replicas"),
        ({"store": {"kind": "mysql"}}, "kind"),
        ({"store": {"sqlite": {"size": "a lot"}}}, "size"),
        ({"service": {"port": 0}}, "port"),
        ({"token": {"existingSecret": "Not A Name"}}, "existingSecret"),
        ({"token": {"value": "x"}}, "value"),
        ({"image": {"digest": "latest"}}, "digest"),
        ({"serviceMonitor": {"interval": "often"}}, "interval"),
        ({"podDisruptionBudget": {"maxUnavailable": "half"}}, "maxUnavailable"),
        ({"config": None}, "config"),
        ({"config": {"pol": {}}}, "pol"),
        ({"config": {"poll": {"intervall": "5m"}}}, "intervall"),
        ({"config": {"cost": {"budgets": [{"name": "x", "monthly_usd": 1, "project": ["x"]}]}}}, "project"),
        ({"config": {"push": {"otlp": {"adress": "https://x"}}}}, "adress"),
        ({"logFormat": "xml"}, "logFormat"),
        ({"webConfig": {"probes": "https"}}, "probes"),
        ({"serviceMonitor": {"scheme": "HTTPS"}}, "scheme"),
        ({"service": {"ipFamilies": ["IPv5"]}}, "ipFamilies"),
        ({"ingress": {"hosts": [{"host": "usage.example.com"}]}}, "paths"),
        ({"commonLabels": {"team": 1}}, "team"),
        ({"extraArgs": "--log-format=json"}, "extraArgs"),
    ],
    ids=str,
)
def test_helm_refuses_values_that_the_schema_does_not_know(values: Values, key: str) -> None:
    with pytest.raises(ChartRefused, match="specifications of the schema") as refused:
        render(values)

    # The rest of the sentence is another one in each release of Helm.
    assert re.search(rf"\b{key}\b", str(refused.value))


@NEEDS_HELM
@pytest.mark.parametrize(
    ("values", "what_to_do"),
    [
        ({"replicas": 2}, "replicas: 2 with store.kind sqlite: a SQLite file is for one; set replicas to 1, or"),
        ({"replicas": 2, "demo": {"enabled": True}}, "replicas: 2 with demo.enabled: each would show a world of its"),
        ({"store": {"kind": "postgres"}}, "store.postgres.existingSecret: name the Secret with the server's URL"),
        (
            {"token": {"existingSecret": ""}},
            "token.existingSecret: name the Secret with the service token, give PRISMA_POSTGRES_TOKEN with extraEnv or",
        ),
        ({"config": {"store": {"url": "sqlite:///x"}}}, "config.store.url: the ledger's place is said with store.kind"),
        ({"config": {"web": {"listen": ":80"}}}, "config.web.listen: the port is said with service.port"),
        (
            {"webConfig": {"existingSecret": "web"}, "demo": {"enabled": True}},
            "webConfig.existingSecret with demo.enabled: the demo is open to everyone; leave one of them out",
        ),
        (
            {"webConfig": {"existingSecret": "web"}, "config": {"web": {"config_file": "web.yml"}}},
            "config.web.config_file: the web configuration file is said with webConfig.existingSecret; leave",
        ),
        ({"config": {"credentials": [{"token": "x"}]}}, "config.credentials[0].token: a ConfigMap is no place for a"),
        (
            {"config": {"credentials": [{"token_env": "SHOP"}]}},
            "config.credentials[0].token_env: give SHOP with extraEnv",
        ),
        ({"extraArgs": ["--listen=:80"]}, "extraArgs: --listen is said with service.port"),
        ({"extraArgs": ["--store-url", "x"]}, "extraArgs: --store-url is said with store.kind"),
        ({"extraArgs": ["--web-config-file=x"]}, "extraArgs: --web-config-file is said with webConfig.existingSecret"),
        ({"extraArgs": ["--web.config.file=x"]}, "extraArgs: --web.config.file is said with webConfig.existingSecret"),
        ({"extraArgs": ["--web.config.file", "x"]}, "extraArgs: --web.config.file is said with webConfig.existingSec"),
        ({"extraArgs": ["-web.config.file=x"]}, "extraArgs: -web.config.file is said with webConfig.existingSecret"),
        ({"extraArgs": ["-web.config.file", "x"]}, "extraArgs: -web.config.file is said with webConfig.existingSecret"),
        ({"extraEnv": [{"name": "PRISMA_POSTGRES_LISTEN", "value": ":1"}]}, "extraEnv: PRISMA_POSTGRES_LISTEN is said"),
        ({"httpRoute": {"enabled": True}}, "httpRoute.parentRefs: name the gateway that it belongs to"),
        (
            {"ingress": {"enabled": True}, "config": {"web": {"hosts": ["a.example.com"]}}},
            "config.web.hosts: without usage.example.com the exporter refuses what the ingress or the route sends",
        ),
    ],
    ids=str,
)
def test_helm_refuses_what_cannot_work_and_says_what_to_do(values: Values, what_to_do: str) -> None:
    with pytest.raises(ChartRefused) as refused:
        render(values)

    assert f"\n  {what_to_do}" in str(refused.value)


@NEEDS_HELM
def test_helm_names_every_problem_at_once() -> None:
    with pytest.raises(ChartRefused) as refused:
        render({"replicas": 2, "token": {"existingSecret": ""}})

    assert "replicas: 2" in str(refused.value)
    assert "token.existingSecret" in str(refused.value)


def _described(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, bool]]:
    """Each key of the schema, and whether it refuses keys that it does not name."""
    for name, part in schema["properties"].items():
        key = f"{path}{name}"
        if key == "global":  # Helm's own: a chart that has this one as a part may set it.
            continue
        is_closed = "properties" not in part or key in FREE or part["additionalProperties"] is False
        yield key, is_closed
        if "properties" in part and key not in FREE:
            yield from _described(part, f"{key}.")


def _given(values: dict[str, Any], path: str = "") -> Iterator[str]:
    """Each key of the values that is not the content of one."""
    closed = dict(_described(SCHEMA))
    for name, part in values.items():
        key = f"{path}{name}"
        yield key
        if isinstance(part, dict) and any(known.startswith(f"{key}.") for known in closed):
            yield from _given(part, f"{key}.")
