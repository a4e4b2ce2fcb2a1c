"""Values that the chart is rendered with in tests: each kind of installation, and everything at once."""

from __future__ import annotations

from collections.abc import Mapping

from helm_chart import Values

RUNBOOK = "https://wiki.example.com/prisma-postgres"
POSTGRES: Values = {"kind": "postgres", "postgres": {"existingSecret": "ledger", "key": "uri"}}
ENABLED: Values = {"enabled": True}
EVERYTHING: Values = {
    "image": {
        "repository": "registry.example.com/exporter",
        "digest": f"sha256:{'0' * 64}",
        "pullSecrets": [{"name": "registry"}],
    },
    "fullnameOverride": "usage",
    "replicas": 3,
    "token": {"existingSecret": "tokens", "keys": ["acme", "globex"]},
    "config": {"cost": {"budgets": [{"name": "all", "monthly_usd": 150}]}, "poll": {"windows": ["24h"]}},
    "webConfig": {"existingSecret": "web", "secretKey": "lock.yml"},
    "store": POSTGRES,
    "service": {"annotations": {"example.com/team": "data"}},
    "serviceAccount": {"name": "usage-reader", "annotations": {"example.com/role": "none"}},
    "serviceMonitor": {
        **ENABLED,
        "labels": {"release": "monitoring"},
        "scheme": "https",
        "tlsConfig": {"ca": {"secret": {"name": "web", "key": "ca.pem"}}, "serverName": "exporter.example.com"},
        "basicAuth": {
            "username": {"name": "login", "key": "username"},
            "password": {"name": "login", "key": "password"},
        },
        "relabelings": [{"action": "labeldrop", "regex": "pod"}],
        "metricRelabelings": [{"sourceLabels": ["__name__"], "regex": "python_.*", "action": "drop"}],
    },
    "prometheusRule": {**ENABLED, "labels": {"release": "monitoring"}, "runbookUrl": RUNBOOK},
    "dashboards": {**ENABLED, "namespace": "monitoring"},
    "networkPolicy": {
        **ENABLED,
        "from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}],
        "postgres": {"to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}]},
        "extraEgress": [{"ports": [{"port": 3128, "protocol": "TCP"}]}],
    },
    "podDisruptionBudget": {**ENABLED, "maxUnavailable": "50%"},
    "podLabels": {"team": "data"},
    "podAnnotations": {"example.com/note": "none"},
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [{"key": "monitoring", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
    "topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway"}
    ],
    "priorityClassName": "low",
    "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy.example.com:3128"}],
    "extraVolumes": [{"name": "prices", "configMap": {"name": "prices"}}],
    "extraVolumeMounts": [{"name": "prices", "mountPath": "/etc/prices"}],
}
VALUE_SETS: Mapping[str, Values] = {
    "defaults": {},
    "Postgres, two replicas": {"replicas": 2, "store": POSTGRES},
    "everything": EVERYTHING,
    "demo": {"demo": ENABLED, "networkPolicy": ENABLED},
    "SQLite on a claim that exists": {"store": {"sqlite": {"existingClaim": "ledger"}}},
    "SQLite without a volume": {"store": {"sqlite": {"persistence": False}}, "serviceAccount": {"create": False}},
    "users chosen by the cluster": {
        "podSecurityContext": dict.fromkeys(["runAsUser", "runAsGroup", "fsGroup"]),
        "store": {"sqlite": {"storageClass": "fast"}},
    },
}
