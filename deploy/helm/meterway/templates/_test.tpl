{{/* What the pod of `helm test` must reach, from the stages it looks at. */}}
{{- define "meterway.testNeeds" -}}
{{- $needs := list "kafka" "registry" "metadata" -}}
{{- if ne .Values.tests.via "kafka" }}{{ $needs = append $needs "ingest" }}{{ end -}}
{{- if has "lake" .Values.tests.stages }}{{ $needs = concat $needs (list "catalog" "s3") }}{{ end -}}
{{- if has "warehouse" .Values.tests.stages }}{{ $needs = append $needs "warehouse" }}{{ end -}}
{{- if has "live" .Values.tests.stages }}{{ $needs = append $needs "dynamodb" }}{{ end -}}
{{- $needs | toJson -}}
{{- end -}}

{{/* With roles instead of keys, the test reads the lake as parquet-sink does, and the live status as that role may. */}}
{{- define "meterway.testServiceAccount" -}}
{{- .Values.tests.serviceAccountName | default .Values.hooks.serviceAccountName -}}
{{- end -}}
