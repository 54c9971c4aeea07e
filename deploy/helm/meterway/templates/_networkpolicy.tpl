{{- define "meterway.releaseSelector" -}}
app.kubernetes.io/name: {{ .Values.nameOverride | default .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* The policy of one kind of pod: its admin port for monitoring, its own port for its callers, and what it needs. */}}
{{- define "meterway.networkPolicy" -}}
{{- $policy := .root.Values.networkPolicy -}}
{{- $egress := include "meterway.egress" . | trim -}}
{{- $ingress := include "meterway.ingress" . | trim -}}
{{- if or $egress $ingress }}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "meterway.metadata" . | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- include "meterway.selector" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
  {{- with $ingress }}
  ingress:
    {{- . | nindent 4 }}
  {{- end }}
  {{- with $egress }}
  egress:
    {{- . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end -}}

{{- define "meterway.ingress" -}}
{{- $policy := .root.Values.networkPolicy -}}
{{- if and .entry.program $policy.monitoring }}
- from:
    {{- toYaml $policy.monitoring | nindent 4 }}
  ports: [{protocol: TCP, port: admin}]
{{- end }}
{{- with .entry.serves }}
{{- $callers := $.entry.callers }}
{{- $outside := get $policy $callers.outside }}
{{- if and $callers.open (not $outside) }}
- ports: [{protocol: TCP, port: {{ .name }}}]
{{- else }}
- from:
    {{- range $callers.components }}
    - podSelector: {matchLabels: {{ include "meterway.selector" (dict "root" $.root "name" .) | fromYaml | toJson }}}
    {{- end }}
    {{- with $outside }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  ports: [{protocol: TCP, port: {{ .name }}}]
{{- end }}
{{- end }}
{{- with .spec.networkPolicy.extraIngress }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "meterway.egress" -}}
{{- $v := .root.Values -}}
{{- $needs := .entry.needs -}}
{{- /* Roles of service accounts are fetched from STS. */}}
{{- if or (and (has "s3" $needs) (not $v.lake.s3.existingSecret)) (and (has "dynamodb" $needs) (not $v.dynamodb.existingSecret)) }}
{{- $needs = append $needs "sts" }}
{{- end }}
{{- if not $v.webhook.existingSecret }}{{ $needs = without $needs "webhook" }}{{ end }}
{{- range $need := $needs }}
{{- if has $need (list "ingest" "metadata") }}
{{- $serves := (get (include "meterway.catalogue" $.root | fromYaml) $need).serves }}
- to:
    - podSelector: {matchLabels: {{ include "meterway.selector" (dict "root" $.root "name" $need) | fromYaml | toJson }}}
  ports: [{protocol: TCP, port: {{ $serves.port }}}]
{{- else }}
{{- $rule := get $v.networkPolicy.egress $need }}
# {{ $need }}
- ports:
    {{- range $rule.ports }}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
  {{- with $rule.to }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}
{{- with .spec.networkPolicy.extraEgress }}
{{ toYaml . }}
{{- end }}
{{- end -}}
