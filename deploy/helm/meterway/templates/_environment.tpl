{{/* Secrets reach a process as environment variables from Secrets that exist; only those that it needs. */}}

{{- define "meterway.fromSecret" -}}
- name: {{ index . 0 }}
  valueFrom: {secretKeyRef: {name: {{ index . 1 }}, key: {{ index . 2 }}}}
{{- end -}}

{{- define "meterway.environment" -}}
{{- $v := .root.Values -}}
{{- $needs := .entry.needs -}}
{{- if hasPrefix "SASL" $v.kafka.securityProtocol }}
{{ include "meterway.fromSecret" (list "METER__KAFKA__PROPERTIES__SASL.USERNAME" $v.kafka.sasl.existingSecret $v.kafka.sasl.usernameKey) }}
{{ include "meterway.fromSecret" (list "METER__KAFKA__PROPERTIES__SASL.PASSWORD" $v.kafka.sasl.existingSecret $v.kafka.sasl.passwordKey) }}
{{- end }}
{{- if $v.registry.existingSecret }}
{{ include "meterway.fromSecret" (list "METER__REGISTRY__URL" $v.registry.existingSecret $v.registry.urlKey) }}
{{- end }}
{{- if and (has "catalog" $needs) $v.lake.catalog.existingSecret }}
{{ include "meterway.fromSecret" (list "METER__LAKE__CATALOG__URI" $v.lake.catalog.existingSecret $v.lake.catalog.uriKey) }}
{{- end }}
{{- if and (has "s3" $needs) $v.lake.s3.existingSecret }}
{{ include "meterway.fromSecret" (list "METER__LAKE__S3__ACCESS_KEY" $v.lake.s3.existingSecret $v.lake.s3.accessKeyKey) }}
{{ include "meterway.fromSecret" (list "METER__LAKE__S3__SECRET_KEY" $v.lake.s3.existingSecret $v.lake.s3.secretKeyKey) }}
{{- end }}
{{- if and (has "dynamodb" $needs) $v.dynamodb.existingSecret }}
{{- $prefix := index (dict "ingest" "METER_INGEST__IDEMPOTENCY" "alert" "METER_ALERT__DYNAMODB" "dashboard" "METER_DASHBOARD__DYNAMODB") .name }}
{{ include "meterway.fromSecret" (list (printf "%s__ACCESS_KEY" $prefix) $v.dynamodb.existingSecret $v.dynamodb.accessKeyKey) }}
{{ include "meterway.fromSecret" (list (printf "%s__SECRET_KEY" $prefix) $v.dynamodb.existingSecret $v.dynamodb.secretKeyKey) }}
{{- end }}
{{- if eq .name "redshift-loader" }}
{{ include "meterway.fromSecret" (list "METER_REDSHIFT_LOADER__WAREHOUSE__URL" $v.warehouse.existingSecret $v.warehouse.loaderUrlKey) }}
{{- end }}
{{- if eq .name "dashboard" }}
{{ include "meterway.fromSecret" (list "METER_DASHBOARD__WAREHOUSE__URL" $v.dashboard.existingSecret $v.dashboard.warehouseUrlKey) }}
{{ include "meterway.fromSecret" (list "METER_DASHBOARD__STORE__URL" $v.dashboard.existingSecret $v.dashboard.storeUrlKey) }}
{{- end }}
{{- if eq .name "metadata" }}
{{ include "meterway.fromSecret" (list "METER_METADATA__POSTGRES__URL" $v.register.existingSecret $v.register.appUrlKey) }}
{{- end }}
{{- with $v.register.tokenSecret }}
{{- if eq $.name "metadata" }}
{{ include "meterway.fromSecret" (list "METER_METADATA__GRPC__TOKEN" . $v.register.tokenKey) }}
{{- else if has "metadata" $needs }}
{{ include "meterway.fromSecret" (list (printf "METER_%s__METADATA__TOKEN" (upper $.name)) . $v.register.tokenKey) }}
{{- end }}
{{- end }}
{{- if and (eq .name "alert") $v.webhook.existingSecret }}
{{ include "meterway.fromSecret" (list "METER_ALERT__WEBHOOK__URL" $v.webhook.existingSecret $v.webhook.urlKey) }}
{{ include "meterway.fromSecret" (list "METER_ALERT__WEBHOOK__SECRET" $v.webhook.existingSecret $v.webhook.secretKey) }}
{{- end }}
{{- end -}}

{{/* The same for the command line: the canary, the test, the Job of the topics. Takes "root" and "needs". */}}
{{- define "meterway.cliEnvironment" -}}
{{- $v := .root.Values -}}
{{- $fullname := include "meterway.fullname" .root -}}
- {name: NO_COLOR, value: "1"}
- {name: KAFKA_BOOTSTRAP, value: {{ $v.kafka.bootstrapServers | quote }}}
{{- $properties := include "meterway.kafkaProperties" .root | fromYaml }}
{{- if hasPrefix "SASL" $v.kafka.securityProtocol }}
{{ include "meterway.fromSecret" (list "KAFKA_USERNAME" $v.kafka.sasl.existingSecret $v.kafka.sasl.usernameKey) }}
{{ include "meterway.fromSecret" (list "KAFKA_PASSWORD" $v.kafka.sasl.existingSecret $v.kafka.sasl.passwordKey) }}
{{- $_ := set $properties "sasl.username" "$(KAFKA_USERNAME)" }}
{{- $_ := set $properties "sasl.password" "$(KAFKA_PASSWORD)" }}
{{- end }}
{{- $pairs := list }}
{{- range $key, $value := $properties }}{{ $pairs = append $pairs (printf "%s=%s" $key $value) }}{{ end }}
- {name: KAFKA_PROPERTIES, value: {{ join ";" $pairs | quote }}}
{{- if $v.registry.existingSecret }}
{{ include "meterway.fromSecret" (list "SCHEMA_REGISTRY_URL" $v.registry.existingSecret $v.registry.urlKey) }}
{{- else }}
- {name: SCHEMA_REGISTRY_URL, value: {{ $v.registry.url | quote }}}
{{- end }}
{{- if has "ingest" .needs }}
- {name: INGEST_URL, value: "http://{{ $fullname }}-ingest:{{ include "meterway.ingestPort" .root }}"}
{{- end }}
{{- if has "metadata" .needs }}
- {name: METADATA_GRPC_URL, value: "http://{{ $fullname }}-metadata:50051"}
{{- with $v.register.tokenSecret }}
{{ include "meterway.fromSecret" (list "METADATA_TOKEN" . $v.register.tokenKey) }}
{{- end }}
{{- end }}
{{- if has "catalog" .needs }}
{{- if $v.lake.catalog.existingSecret }}
{{ include "meterway.fromSecret" (list "ICEBERG_CATALOG_URL" $v.lake.catalog.existingSecret $v.lake.catalog.uriKey) }}
{{- end }}
- {name: ICEBERG_CATALOG_NAME, value: {{ $v.lake.catalog.name | quote }}}
- {name: ICEBERG_NAMESPACE, value: {{ $v.lake.namespace | quote }}}
{{- if $v.lake.s3.endpoint }}
- {name: S3_ENDPOINT, value: {{ $v.lake.s3.endpoint | quote }}}
{{- end }}
- {name: S3_REGION, value: {{ $v.lake.s3.region | quote }}}
- {name: S3_BUCKET, value: {{ regexReplaceAll "^s3a?://([^/]+).*$" $v.lake.warehouse "${1}" | quote }}}
{{- if $v.lake.s3.existingSecret }}
{{ include "meterway.fromSecret" (list "S3_READER_ACCESS_KEY" $v.lake.s3.existingSecret $v.lake.s3.accessKeyKey) }}
{{ include "meterway.fromSecret" (list "S3_READER_SECRET_KEY" $v.lake.s3.existingSecret $v.lake.s3.secretKeyKey) }}
{{- end }}
{{- end }}
{{- if and (has "warehouse" .needs) $v.warehouse.existingSecret }}
{{ include "meterway.fromSecret" (list "WAREHOUSE_READER_URL" $v.warehouse.existingSecret $v.warehouse.readerUrlKey) }}
{{- if $v.warehouse.caSecret }}
- {name: WAREHOUSE_CA_FILE, value: /etc/meterway/warehouse-ca/{{ $v.warehouse.caKey }}}
{{- end }}
{{- end }}
{{- if has "dynamodb" .needs }}
- {name: AWS_REGION, value: {{ $v.dynamodb.region | quote }}}
{{- if $v.dynamodb.endpoint }}
- {name: DYNAMODB_ENDPOINT, value: {{ $v.dynamodb.endpoint | quote }}}
{{- end }}
- {name: METERWAY_STATUS_TABLE, value: {{ $v.dynamodb.statusTable | quote }}}
- {name: METERWAY_ALERTS_TABLE, value: {{ $v.dynamodb.alertsTable | quote }}}
{{- if $v.dynamodb.existingSecret }}
{{ include "meterway.fromSecret" (list "AWS_ACCESS_KEY_ID" $v.dynamodb.existingSecret $v.dynamodb.accessKeyKey) }}
{{ include "meterway.fromSecret" (list "AWS_SECRET_ACCESS_KEY" $v.dynamodb.existingSecret $v.dynamodb.secretKeyKey) }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "meterway.ingestPort" -}}
{{- $service := (index .Values.services "ingest").service | default dict -}}
{{- $service.port | default .Values.defaults.service.port | default 8080 -}}
{{- end -}}
