{{/* The settings of a service that follow from the chart's values; the service's own `config` wins. */}}
{{- define "meterway.config" -}}
{{- $v := .root.Values -}}
{{- $fullname := include "meterway.fullname" .root -}}
{{- $table := dict
      "shutdown_grace" (printf "%ds" (int .spec.shutdownGraceSeconds))
      "admin" (dict "listen" "0.0.0.0:9100")
      "log" (dict "level" $v.log.level "format" $v.log.format)
      "kafka" (dict "bootstrap_servers" $v.kafka.bootstrapServers "client_id" .name
                    "properties" (include "meterway.kafkaProperties" .root | fromYaml)) -}}
{{- if $v.registry.url -}}
{{- $_ := set $table "registry" (dict "url" $v.registry.url) -}}
{{- end -}}
{{- if has "catalog" .entry.needs -}}
{{- $catalog := dict "kind" $v.lake.catalog.kind "name" $v.lake.catalog.name "warehouse" $v.lake.warehouse "properties" $v.lake.catalog.properties -}}
{{- if not $v.lake.catalog.existingSecret -}}
{{- $_ := set $catalog "uri" $v.lake.catalog.uri -}}
{{- end -}}
{{- $s3 := dict "endpoint" $v.lake.s3.endpoint "region" $v.lake.s3.region "path_style" $v.lake.s3.pathStyle -}}
{{- $_ := set $table "lake" (dict "namespace" $v.lake.namespace "catalog" $catalog "s3" $s3) -}}
{{- end -}}
{{- $own := include (printf "meterway.config.%s" .name) (dict "values" $v "fullname" $fullname) | fromYaml -}}
{{- include "meterway.override" (list $table $own) -}}
{{- include "meterway.override" (list $table .spec.config) -}}
{{- include "meterway.toml" (dict "table" $table "path" "") | trim -}}
{{- end -}}

{{/* One line per key, `a.b."c.d" = value`. JSON's strings, numbers, booleans and arrays are TOML's, too. */}}
{{- define "meterway.toml" -}}
{{- range $key, $value := .table -}}
{{- $quoted := ternary $key ($key | toJson) (regexMatch "^[A-Za-z0-9_-]+$" $key) -}}
{{- if kindIs "map" $value -}}
{{- include "meterway.toml" (dict "table" $value "path" (printf "%s%s." $.path $quoted)) -}}
{{- else if not (kindIs "invalid" $value) }}
{{ $.path }}{{ $quoted }} = {{ $value | toJson }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "meterway.kafkaProperties" -}}
security.protocol: {{ .Values.kafka.securityProtocol }}
{{- if hasPrefix "SASL" .Values.kafka.securityProtocol }}
sasl.mechanism: {{ .Values.kafka.sasl.mechanism }}
{{- end }}
{{- with .Values.kafka.tls }}
{{- if .caSecret }}
ssl.ca.location: /etc/meterway/kafka-ca/{{ .caKey }}
{{- end }}
{{- if .clientSecret }}
ssl.certificate.location: /etc/meterway/kafka-client/{{ .certKey }}
ssl.key.location: /etc/meterway/kafka-client/{{ .keyKey }}
{{- end }}
{{- end }}
{{- range $key, $value := .Values.kafka.properties }}
{{ $key | quote }}: {{ $value | toString | quote }}
{{- end }}
{{- end -}}

{{- define "meterway.config.ingest" -}}
http: {listen: "0.0.0.0:8080"}
metadata: {url: "http://{{ .fullname }}-metadata:50051"}
idempotency:
  enabled: {{ .values.idempotency.enabled }}
  {{- with .values.dynamodb }}
  region: {{ .region | quote }}
  endpoint: {{ .endpoint | quote }}
  table: {{ .requestsTable | quote }}
  create_table: {{ .createTables }}
  {{- end }}
{{- end -}}

{{- define "meterway.config.validate" -}}
lane: live
{{- end -}}

{{- define "meterway.config.parquet-sink" -}}
{}
{{- end -}}

{{- define "meterway.config.redshift-loader" -}}
warehouse:
  {{- with .values.warehouse }}
  dialect: {{ .dialect }}
  migrate: {{ .migrate }}
  readers: {{ .readers | toJson }}
  redshift_iam_role: {{ .redshiftIamRole | quote }}
  {{- if .caSecret }}
  tls_ca_file: /etc/meterway/warehouse-ca/{{ .caKey }}
  {{- end }}
  {{- end }}
{{- end -}}

{{- define "meterway.config.alert" -}}
dynamodb:
  {{- with .values.dynamodb }}
  region: {{ .region | quote }}
  endpoint: {{ .endpoint | quote }}
  status_table: {{ .statusTable | quote }}
  alerts_table: {{ .alertsTable | quote }}
  create_tables: {{ .createTables }}
  {{- end }}
{{- end -}}

{{- define "meterway.config.dashboard" -}}
http: {listen: "0.0.0.0:8090"}
web: {assets: /usr/share/meterway/web}
metadata: {url: "http://{{ .fullname }}-metadata:50051"}
oidc:
  {{- with .values.oidc }}
  issuer: {{ .issuer | quote }}
  jwks_url: {{ .jwksUrl | quote }}
  audience: {{ .audience | quote }}
  client_id: {{ .clientId | quote }}
  {{- end }}
dynamodb:
  {{- with .values.dynamodb }}
  region: {{ .region | quote }}
  endpoint: {{ .endpoint | quote }}
  status_table: {{ .statusTable | quote }}
  alerts_table: {{ .alertsTable | quote }}
  {{- end }}
{{- with .values.warehouse }}
{{- if .caSecret }}
warehouse: {ca_file: /etc/meterway/warehouse-ca/{{ .caKey }}}
store: {ca_file: /etc/meterway/warehouse-ca/{{ .caKey }}}
{{- end }}
{{- end }}
{{- end -}}

{{- define "meterway.config.metadata" -}}
grpc: {listen: "0.0.0.0:50051"}
{{- with .values.register }}
{{- if .caSecret }}
postgres: {ca_file: /etc/meterway/register-ca/{{ .caKey }}}
{{- end }}
{{- end }}
{{- end -}}

{{- define "meterway.config.validate-replay" -}}
lane: replay
topics: {raw: meter.readings.replay.v1, validated: meter.readings.replay.validated.v1}
consumer: {group: validate-replay}
{{- end -}}

{{/* The short idle_commit_age is for replays that change nothing: the command waits until the heads have passed. */}}
{{- define "meterway.config.parquet-sink-replay" -}}
sink: {idle_commit_age: 60s}
routes:
  readings: {topic: meter.readings.replay.validated.v1, group: parquet-sink-replay}
  rejected: {enabled: false}
  landing: {enabled: false}
  dead_letters: {enabled: false}
  alerts: {enabled: false}
{{- end -}}
