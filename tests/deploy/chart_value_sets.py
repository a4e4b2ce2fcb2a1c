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
    "commonLabels": {"cost-centre": "42", "team": "everyone", "app.kubernetes.io/name": "another"},
    "commonAnnotations": {"example.com/owner": "platform", "example.com/team": "everyone"},
    "replicas": 3,
    "token": {"existingSecret": "tokens", "keys": ["acme", "globex"]},
    "config": {"cost": {"budgets": [{"name": "all", "monthly_usd": 150}]}, "poll": {"windows": ["24h"]}},
    "webConfig": {"existingSecret": "web", "secretKey": "lock.yml"},
    "store": POSTGRES,
    "service": {
        "annotations": {"example.com/team": "data"},
        "ipFamilyPolicy": "PreferDualStack",
        "ipFamilies": ["IPv6", "IPv4"],
    },
    "ingress": {
        **ENABLED,
        "className": "nginx",
        "annotations": {"nginx.ingress.kubernetes.io/rewrite-target": "/$1"},
        "hosts": [
            {"host": "usage.example.com", "paths": [{"path": "/ppe/(.*)", "pathType": "ImplementationSpecific"}]},
            {"host": "usage.example.org", "paths": [{"path": "/", "pathType": "Prefix"}]},
        ],
        "tls": [{"secretName": "usage-tls", "hosts": ["usage.example.com", "usage.example.org"]}],
    },
    "httpRoute": {
        **ENABLED,
        "annotations": {"example.com/team": "data"},
        "parentRefs": [{"name": "public", "namespace": "gateways", "sectionName": "https"}],
        "hostnames": ["usage.example.com"],
        "matches": [{"path": {"type": "PathPrefix", "value": "/ppe"}}],
        "filters": [
            {"type": "URLRewrite", "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}}}
        ],
    },
    "serviceAccount": {"name": "usage-reader", "annotations": {"example.com/role": "none"}},
    "serviceMonitor": {
        **ENABLED,
        "namespace": "monitoring",
        "labels": {"release": "monitoring"},
        "annotations": {"example.com/note": "none"},
        "scheme": "https",
        "tlsConfig": {"ca": {"secret": {"name": "web", "key": "ca.pem"}}, "serverName": "exporter.example.com"},
        "basicAuth": {
            "username": {"name": "login", "key": "username"},
            "password": {"name": "login", "key": "password"},
        },
        "relabelings": [{"action": "labeldrop", "regex": "pod"}],
        "metricRelabelings": [{"sourceLabels": ["__name__"], "regex": "python_.*", "action": "drop"}],
    },
    "prometheusRule": {
        **ENABLED,
        "namespace": "monitoring",
        "labels": {"release": "monitoring"},
        "runbookUrl": RUNBOOK,
    },
    "dashboards": {**ENABLED, "namespace": "monitoring"},
    "networkPolicy": {
        **ENABLED,
        "from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}],
        "postgres": {"to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}]},
        "extraEgress": [{"ports": [{"port": 3128, "protocol": "TCP"}]}],
    },
    "podDisruptionBudget": {**ENABLED, "maxUnavailable": "50%"},
    "deploymentAnnotations": {"reloader.stakater.com/auto": "true"},
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
    "envFrom": [{"secretRef": {"name": "more"}}],
    "extraArgs": ["--api-url=https://api.example.com"],
    "extraContainers": [{"name": "proxy", "image": "registry.example.com/proxy:1", "ports": [{"containerPort": 4180}]}],
    "extraVolumes": [{"name": "prices", "configMap": {"name": "prices"}}],
    "extraVolumeMounts": [{"name": "prices", "mountPath": "/etc/prices"}],
}
OF_A_VARIABLE: Values = {
    "config": {"credentials": [{"name": "shop", "token_env": "SHOP_TOKEN"}]},
    "extraEnv": [{"name": "SHOP_TOKEN", "valueFrom": {"secretKeyRef": {"name": "shop", "key": "prisma"}}}],
}
VALUE_SETS: Mapping[str, Values] = {
    "defaults": {},
    "Postgres, two replicas": {"replicas": 2, "store": POSTGRES},
    "everything": EVERYTHING,
    "demo": {"demo": ENABLED, "networkPolicy": ENABLED},
    "SQLite on a claim that exists": {"store": {"sqlite": {"existingClaim": "ledger"}}},
    "SQLite without a volume": {"store": {"sqlite": {"persistence": False}}, "serviceAccount": {"create": False}},
    "a token in a variable": OF_A_VARIABLE,
    "variables of a Secret": {"token": {"existingSecret": ""}, "envFrom": [{"secretRef": {"name": "tokens"}}]},
    "users chosen by the cluster": {
        "podSecurityContext": dict.fromkeys(["runAsUser", "runAsGroup", "fsGroup"]),
        "store": {"sqlite": {"storageClass": "fast"}},
    },
}
