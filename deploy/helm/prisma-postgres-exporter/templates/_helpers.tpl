{{- define "prisma-postgres-exporter.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* At most 54 characters, so that with the longest suffix, of 9, it is still a label of 63; without dots, as a Service's is. */}}
{{- define "prisma-postgres-exporter.fullname" -}}
{{- $name := include "prisma-postgres-exporter.name" . }}
{{- $full := printf "%s-%s" .Release.Name $name }}
{{- if .Values.fullnameOverride }}
{{- $full = .Values.fullnameOverride }}
{{- else if contains $name .Release.Name }}
{{- $full = .Release.Name }}
{{- end }}
{{- $full | replace "." "-" | trunc 54 | trimAll "-" }}
{{- end }}

{{/* Given the root and an object's own name, namespace, labels and annotations, none of which it has to have. What
     selectors and Helm need wins over the object's own, and that over what is common to all. */}}
{{- define "prisma-postgres-exporter.metadata" -}}
{{- $ours := include "prisma-postgres-exporter.labels" .root | fromYaml -}}
name: {{ default (include "prisma-postgres-exporter.fullname" .root) .name }}
{{- with .namespace }}
namespace: {{ . | quote }}
{{- end }}
labels:
  {{- toYaml (merge (dict) $ours (default dict .labels) .root.Values.commonLabels) | nindent 2 }}
{{- with merge (dict) (default dict .annotations) .root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "prisma-postgres-exporter.selectorLabels" -}}
app.kubernetes.io/name: {{ include "prisma-postgres-exporter.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
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

{{/* Where PRISMA_POSTGRES_TOKEN_FILE of extraEnv leads, nothing without it; it wins over the credentials of the file. */}}
{{- define "prisma-postgres-exporter.ownTokenFile" -}}
{{- range .Values.extraEnv }}
{{- if eq .name "PRISMA_POSTGRES_TOKEN_FILE" }}{{ default "elsewhere" .value }}{{ end }}
{{- end }}
{{- end }}

{{/* "true" or nothing: whether tokens are read from the folder that the Secret is mounted at. Credentials that are
     variables, or files of other volumes, leave the Secret out, which may not exist. */}}
{{- define "prisma-postgres-exporter.mountsTokens" -}}
{{- if and (not .Values.demo.enabled) .Values.token.existingSecret }}
{{- $folder := "/etc/prisma-postgres-exporter/tokens/" }}
{{- $paths := ternary (list) (list $folder) (not (empty .Values.config.credentials)) }}
{{- range .Values.config.credentials }}
{{- $paths = append $paths (default "" .token_file) }}
{{- end }}
{{- with include "prisma-postgres-exporter.ownTokenFile" . }}
{{- $paths = list . }}
{{- end }}
{{- range $paths }}
{{- if hasPrefix $folder (printf "%s/" (clean .)) }}true{{ end }}
{{- end }}
{{- end }}
{{- end }}

{{/* What the kubelet asks, given the root and a path. */}}
{{- define "prisma-postgres-exporter.probe" -}}
{{- $web := .root.Values.webConfig }}
{{- $isLocked := or $web.existingSecret (dig "web" "config_file" "" .root.Values.config) }}
{{- $probes := default (ternary "TCP" "HTTP" (not (empty $isLocked))) $web.probes }}
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
{{- $names := list }}
{{- range .Values.extraEnv }}
{{- $names = append $names .name }}
{{- end }}
{{- $hasToken := or (has "PRISMA_POSTGRES_TOKEN" $names) (has "PRISMA_POSTGRES_TOKEN_FILE" $names) (has "PRISMA_SERVICE_TOKEN" $names) }}
{{- if not (or .Values.demo.enabled .Values.token.existingSecret .Values.config.credentials $hasToken .Values.envFrom) }}
{{- $problems = append $problems "token.existingSecret: name the Secret with the service token, give PRISMA_POSTGRES_TOKEN with extraEnv or envFrom, or set demo.enabled" }}
{{- end }}
{{- range tuple "LISTEN service.port" "CONFIG config" "STORE_URL store.kind" "WEB_CONFIG_FILE webConfig.existingSecret" }}
{{- $variable := printf "PRISMA_POSTGRES_%s" (splitList " " . | first) }}
{{- $flag := splitList " " . | first | lower | replace "_" "-" }}
{{- if has $variable $names }}
{{- $problems = append $problems (printf "extraEnv: %s is said with %s" $variable (splitList " " . | last)) }}
{{- end }}
{{- $place := splitList " " . | last }}
{{- range $.Values.extraArgs }}
{{- /* --web-config-file is --web.config.file too. */}}
{{- $given := regexFind "^-+[^= ]+" . }}
{{- if eq (regexReplaceAll "^-+" $given "" | replace "." "-") $flag }}
{{- $problems = append $problems (printf "extraArgs: %s is said with %s" $given $place) }}
{{- end }}
{{- end }}
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
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.parentRefs) }}
{{- $problems = append $problems "httpRoute.parentRefs: name the gateway that it belongs to" }}
{{- end }}
{{- if and (or .Values.ingress.enabled .Values.httpRoute.enabled) (dig "web" "hosts" "" .Values.config) }}
{{- $hosts := list }}
{{- if .Values.ingress.enabled }}
{{- range .Values.ingress.hosts }}
{{- $hosts = append $hosts .host }}
{{- end }}
{{- end }}
{{- if .Values.httpRoute.enabled }}
{{- $hosts = concat $hosts .Values.httpRoute.hostnames }}
{{- end }}
{{- range uniq $hosts }}
{{- if not (has . $.Values.config.web.hosts) }}
{{- $problems = append $problems (printf "config.web.hosts: without %s the exporter refuses what the ingress or the route sends to it; add it" .) }}
{{- end }}
{{- end }}
{{- end }}
{{- range $number, $credential := .Values.config.credentials }}
{{- if and $credential.token_env (not (has $credential.token_env $names)) (not $.Values.envFrom) }}
{{- $problems = append $problems (printf "config.credentials[%d].token_env: give %s with extraEnv (valueFrom: secretKeyRef) or envFrom" $number $credential.token_env) }}
{{- end }}
{{- if $credential.token }}
{{- $problems = append $problems (printf "config.credentials[%d].token: a ConfigMap is no place for a token; put it into a Secret and name it with token.existingSecret" $number) }}
{{- end }}
{{- end }}
{{- if $problems }}
{{- fail (printf "\n  %s\n" (join "\n  " $problems)) }}
{{- end }}
{{- end }}
