"""What the Prometheus Operator's objects may hold, as far as the chart fills them in; a key that is not here fails.

From `monitoring.coreos.com_servicemonitors.yaml` and `…_prometheusrules.yaml` of the operator's releases.
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
METADATA = _strict(("name", "labels"), name=TEXT, labels=TEXTS)

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

SCHEMAS = {
    kind: _strict(
        ("apiVersion", "kind", "metadata", "spec"),
        apiVersion={"const": "monitoring.coreos.com/v1"},
        kind={"const": kind},
        metadata=METADATA,
        spec=spec,
    )
    for kind, spec in {
        "ServiceMonitor": _strict(
            ("selector", "endpoints"),
            selector=_strict(("matchLabels",), matchLabels=TEXTS),
            endpoints={"type": "array", "minItems": 1, "items": ENDPOINT},
        ),
        "PrometheusRule": _strict(("groups",), groups={"type": "array", "minItems": 1, "items": GROUP}),
    }.items()
}
"""By kind."""
