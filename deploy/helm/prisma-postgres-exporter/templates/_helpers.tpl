{{- define "prisma-postgres-exporter.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* At most 40 characters, so that what is added to it still is a name. */}}
{{- define "prisma-postgres-exporter.fullname" -}}
{{- $name := include "prisma-postgres-exporter.name" . }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "prisma-postgres-exporter.selectorLabels" -}}
app.kubernetes.io/name: {{ include "prisma-postgres-exporter.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "prisma-postgres-exporter.labels" -}}
{{ include "prisma-postgres-exporter.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "prisma-postgres-exporter.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "prisma-postgres-exporter.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "prisma-postgres-exporter.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end }}
{{- end }}

{{/* "true" or nothing. */}}
{{- define "prisma-postgres-exporter.usesSqlite" -}}
{{- if and (not .Values.demo.enabled) (eq .Values.store.kind "sqlite") }}true{{ end }}
{{- end }}

{{- define "prisma-postgres-exporter.usesPostgres" -}}
{{- if and (not .Values.demo.enabled) (eq .Values.store.kind "postgres") }}true{{ end }}
{{- end }}

{{- define "prisma-postgres-exporter.makesClaim" -}}
{{- with .Values.store.sqlite }}
{{- if and (include "prisma-postgres-exporter.usesSqlite" $) .persistence (not .existingClaim) }}true{{ end }}
{{- end }}
{{- end }}

{{/* What the kubelet asks, given the root and a path. */}}
{{- define "prisma-postgres-exporter.probe" -}}
{{- $web := .root.Values.webConfig }}
{{- $probes := default (ternary "TCP" "HTTP" (ne $web.existingSecret "")) $web.probes }}
{{- if eq $probes "TCP" -}}
tcpSocket: { port: http }
{{- else -}}
httpGet: { path: {{ .path }}, port: http{{ if eq $probes "HTTPS" }}, scheme: HTTPS{{ end }} }
{{- end }}
{{- end }}

{{/* Every problem at once, each with what to do about it. */}}
{{- define "prisma-postgres-exporter.check" -}}
{{- $problems := list }}
{{- $replicas := int .Values.replicas }}
{{- if and .Values.demo.enabled (gt $replicas 1) }}
{{- $problems = append $problems (printf "replicas: %d with demo.enabled: each would show a world of its own; set replicas to 1" $replicas) }}
{{- end }}
{{- if and (include "prisma-postgres-exporter.usesSqlite" .) (gt $replicas 1) }}
{{- $problems = append $problems (printf "replicas: %d with store.kind sqlite: a SQLite file is for one; set replicas to 1, or store.kind to postgres" $replicas) }}
{{- end }}
{{- if and (include "prisma-postgres-exporter.usesPostgres" .) (not .Values.store.postgres.existingSecret) }}
{{- $problems = append $problems "store.postgres.existingSecret: name the Secret with the server's URL: kubectl create secret generic NAME --from-literal=url=postgresql://…" }}
{{- end }}
{{- if not (or .Values.demo.enabled .Values.token.existingSecret .Values.config.credentials) }}
{{- $problems = append $problems "token.existingSecret: name the Secret with the service token, or set demo.enabled" }}
{{- end }}
{{- if dig "store" "url" "" .Values.config }}
{{- $problems = append $problems "config.store.url: the ledger's place is said with store.kind" }}
{{- end }}
{{- if dig "web" "listen" "" .Values.config }}
{{- $problems = append $problems "config.web.listen: the port is said with service.port" }}
{{- end }}
{{- if and .Values.webConfig.existingSecret .Values.demo.enabled }}
{{- $problems = append $problems "webConfig.existingSecret with demo.enabled: the demo is open to everyone; leave one of them out" }}
{{- end }}
{{- if and .Values.webConfig.existingSecret (dig "web" "config_file" "" .Values.config) }}
{{- $problems = append $problems "config.web.config_file: the web configuration file is said with webConfig.existingSecret; leave one of them out" }}
{{- end }}
{{- range $number, $credential := .Values.config.credentials }}
{{- if $credential.token }}
{{- $problems = append $problems (printf "config.credentials[%d].token: a ConfigMap is no place for a token; put it into a Secret and name it with token.existingSecret" $number) }}
{{- end }}
{{- end }}
{{- if $problems }}
{{- fail (printf "\n  %s\n" (join "\n  " $problems)) }}
{{- end }}
{{- end }}
