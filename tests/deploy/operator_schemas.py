"""What the Prometheus Operator's and the Gateway API's objects may hold, as far as the chart fills them in.

A key that is not here fails. From `gateway.networking.k8s.io_httproutes.yaml` of the Gateway API's releases, and
`monitoring.coreos.com_servicemonitors.yaml` and `…_prometheusrules.yaml` of the operator's.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

DURATION = r"^(0|(([0-9]+)y)?(([0-9]+)w)?(([0-9]+)d)?(([0-9]+)h)?(([0-9]+)m)?(([0-9]+)s)?(([0-9]+)ms)?)$"


def _strict(required: tuple[str, ...], **properties: Schema) -> Schema:
    return {"type": "object", "required": list(required), "properties": properties, "additionalProperties": False}


TEXT: Schema = {"type": "string"}
TEXTS: Schema = {"type": "object", "additionalProperties": TEXT}
SPAN: Schema = {"type": "string", "minLength": 1, "pattern": DURATION}
METADATA = _strict(("name", "labels"), name=TEXT, namespace=TEXT, labels=TEXTS, annotations=TEXTS)

RELABELING = _strict(
    (),
    action=TEXT,
    regex=TEXT,
    replacement=TEXT,
    separator=TEXT,
    sourceLabels={"type": "array", "items": TEXT},
    targetLabel=TEXT,
)
KEY = _strict(("key",), name=TEXT, key=TEXT)
TLS = _strict(
    (),
    ca=_strict((), secret=KEY, configMap=KEY),
    cert=_strict((), secret=KEY, configMap=KEY),
    keySecret=KEY,
    serverName=TEXT,
    insecureSkipVerify={"type": "boolean"},
)
ENDPOINT = _strict(
    (),
    port=TEXT,
    path={"type": "string", "pattern": "^/"},
    interval=SPAN,
    scrapeTimeout=SPAN,
    scheme={"enum": ["http", "https"]},
    tlsConfig=TLS,
    basicAuth=_strict((), username=KEY, password=KEY),
    relabelings={"type": "array", "items": RELABELING},
    metricRelabelings={"type": "array", "items": RELABELING},
)
RECORD = _strict(("record", "expr"), record=TEXT, expr=TEXT, labels=TEXTS)
ALERT = _strict(
    ("alert", "expr", "labels", "annotations"),
    alert=TEXT,
    expr=TEXT,
    **{"for": SPAN},
    keep_firing_for=SPAN,
    labels=TEXTS,
    annotations=TEXTS,
)
GROUP = _strict(
    ("name", "rules"),
    name={"type": "string", "minLength": 1},
    interval=SPAN,
    rules={"type": "array", "minItems": 1, "items": {"oneOf": [RECORD, ALERT]}},
)

PATH_MATCH = _strict((), type={"enum": ["Exact", "PathPrefix", "RegularExpression"]}, value=TEXT)
REWRITE = _strict((), path=_strict(("type",), type=TEXT, replacePrefixMatch=TEXT, replaceFullPath=TEXT), hostname=TEXT)
ROUTE = _strict(
    (),
    matches={"type": "array", "items": _strict((), path=PATH_MATCH)},
    filters={"type": "array", "items": _strict(("type",), type=TEXT, urlRewrite=REWRITE)},
    backendRefs={"type": "array", "items": _strict(("name",), name=TEXT, port={"type": "integer"})},
)
SPECS = {
    "ServiceMonitor": _strict(
        ("selector", "endpoints"),
        selector=_strict(("matchLabels",), matchLabels=TEXTS),
        namespaceSelector=_strict((), any={"type": "boolean"}, matchNames={"type": "array", "items": TEXT}),
        endpoints={"type": "array", "minItems": 1, "items": ENDPOINT},
    ),
    "PrometheusRule": _strict(("groups",), groups={"type": "array", "minItems": 1, "items": GROUP}),
    "HTTPRoute": _strict(
        ("parentRefs", "rules"),
        parentRefs={
            "type": "array",
            "minItems": 1,
            "items": _strict(("name",), name=TEXT, namespace=TEXT, sectionName=TEXT),
        },
        hostnames={"type": "array", "items": TEXT},
        rules={"type": "array", "minItems": 1, "items": ROUTE},
    ),
}
VERSIONS = {"HTTPRoute": "gateway.networking.k8s.io/v1"}

SCHEMAS = {
    kind: _strict(
        ("apiVersion", "kind", "metadata", "spec"),
        apiVersion={"const": VERSIONS.get(kind, "monitoring.coreos.com/v1")},
        kind={"const": kind},
        metadata=METADATA,
        spec=spec,
    )
    for kind, spec in SPECS.items()
}
"""By kind."""
