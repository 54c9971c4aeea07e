{{/*
What each service is: its program, what it serves, and what it must reach. Everything else (settings, secrets, volumes,
network policy, autoscaling) follows from this table.
  serves:   name and port of what others call, besides the admin port
  callers:  key of networkPolicy with those from outside who may call; components of the release that may
  needs:    kafka, registry, catalog, s3, warehouse, dynamodb, register (the database), metadata, ingest (services)
  lag:      what KEDA looks at: topic and group
  rolling:  how pods are replaced: `surge` (new before old: no request is refused) or `replace` (one move of partitions
            less; partitions rest for the seconds between)
*/}}
{{- define "meterway.catalogue" -}}
ingest:
  program: ingest
  serves: {name: http, port: 8080}
  callers: {outside: gateways, open: true, components: [canary, test]}
  needs: [kafka, registry, metadata, dynamodb]
  rolling: surge
validate:
  program: validate
  needs: [kafka, registry]
  rolling: replace
  lag:
    - {topic: meter.readings.raw.v1, group: validate}
parquet-sink:
  program: parquet-sink
  needs: [kafka, registry, catalog, s3]
  rolling: replace
  lag:
    - {topic: meter.readings.validated.v1, group: parquet-sink-readings}
    - {topic: meter.readings.raw.v1, group: parquet-sink-landing}
redshift-loader:
  program: redshift-loader
  needs: [kafka, registry, catalog, s3, warehouse]
  rolling: replace
alert:
  program: alert
  needs: [kafka, registry, dynamodb, webhook]
  rolling: replace
  lag:
    - {topic: meter.readings.validated.v1, group: alert}
metadata:
  program: metadata
  serves: {name: grpc, port: 50051}
  callers: {outside: registerClients, components: [ingest, dashboard, canary, test]}
  needs: [kafka, registry, register]
  rolling: surge
dashboard:
  program: dashboard
  serves: {name: http, port: 8090}
  callers: {outside: users, open: true, components: []}
  needs: [kafka, registry, metadata, dynamodb, warehouse, oidc]
  rolling: surge
validate-replay:
  program: validate
  needs: [kafka, registry]
  rolling: replace
parquet-sink-replay:
  program: parquet-sink
  needs: [kafka, registry, catalog, s3]
  rolling: replace
canary:
  program: meterway
  cli: true
  needs: [kafka, registry, ingest, metadata, catalog, s3, warehouse, dynamodb]
  rolling: replace
{{- end -}}

{{/* The enabled services, as YAML: name → entry of the catalogue and spec (defaults below the service's own values). */}}
{{- define "meterway.enabled" -}}
{{- range $name, $entry := include "meterway.catalogue" . | fromYaml -}}
{{- $spec := deepCopy $.Values.defaults -}}
{{- include "meterway.override" (list $spec (index $.Values.services $name)) -}}
{{- if $spec.enabled }}
{{ $name }}:
  entry: {{ $entry | toJson }}
  spec: {{ $spec | toJson }}
{{- end -}}
{{- end -}}
{{- end -}}
