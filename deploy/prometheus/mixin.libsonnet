// Rules and dashboards as a monitoring mixin: https://monitoring.mixins.dev. Everything is in rules/ and in
// grafana/dashboards, this only shows it to Jsonnet.
//
// (import 'mixin.libsonnet') + { _config+:: { runbookURL: 'https://wiki.example.com/prisma-postgres' } }
{
  local shippedRunbookURL =
    'https://github.com/prisma-postgres-exporter/prisma-postgres-exporter/blob/main/deploy/runbook.md',

  _config+:: {
    // Where the runbook is; `#` and the section follow.
    runbookURL: shippedRunbookURL,
  },

  local rulesOf(text) = std.parseYaml(std.strReplace(text, shippedRunbookURL, $._config.runbookURL)),

  prometheusRules+:: { groups+: rulesOf(importstr 'rules/records.yaml').groups },
  prometheusAlerts+:: { groups+: rulesOf(importstr 'rules/alerts.yaml').groups },

  // By the name of the file, as Grafana's provisioning and the mixins' own tools take them.
  grafanaDashboardFolder:: 'Prisma Postgres',
  grafanaDashboards+:: {
    'prisma-postgres-cost.json': import '../../grafana/dashboards/prisma-postgres-cost.json',
    'prisma-postgres-database.json': import '../../grafana/dashboards/prisma-postgres-database.json',
    'prisma-postgres-exporter.json': import '../../grafana/dashboards/prisma-postgres-exporter.json',
    'prisma-postgres-overview.json': import '../../grafana/dashboards/prisma-postgres-overview.json',
  },
}
