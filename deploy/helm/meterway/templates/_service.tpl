{{/* Every object of one service. */}}
{{- define "meterway.service" -}}
{{- $spec := .spec -}}
{{- if and $spec.serviceAccount.create (not $spec.serviceAccount.name) }}
---
apiVersion: v1
kind: ServiceAccount
metadata:
  {{- include "meterway.metadata" (merge (dict "annotations" $spec.serviceAccount.annotations) .) | nindent 2 }}
automountServiceAccountToken: false
{{- end }}
{{- if not (or .entry.cli $spec.existingConfigMap) }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  {{- include "meterway.metadata" . | nindent 2 }}
data:
  config.toml: |
    {{- include "meterway.config" . | nindent 4 }}
{{- end }}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "meterway.metadata" . | nindent 2 }}
spec:
  {{- if eq $spec.autoscaling.mode "none" }}
  replicas: {{ $spec.replicas }}
  {{- end }}
  revisionHistoryLimit: 3
  selector:
    matchLabels:
      {{- include "meterway.selector" . | nindent 6 }}
  strategy:
    {{- if $spec.strategy }}
    {{- toYaml $spec.strategy | nindent 4 }}
    {{- else if eq .entry.rolling "surge" }}
    rollingUpdate: {maxSurge: 1, maxUnavailable: 0}
    {{- else }}
    rollingUpdate: {maxSurge: 0, maxUnavailable: 1}
    {{- end }}
  template:
    {{- include "meterway.podTemplate" . | nindent 4 }}
---
apiVersion: v1
kind: Service
metadata:
  {{- include "meterway.metadata" (merge (dict "suffix" "-admin") .) | nindent 2 }}
spec:
  clusterIP: None
  publishNotReadyAddresses: true
  selector:
    {{- include "meterway.selector" . | nindent 4 }}
  ports:
    - {name: admin, port: 9100, targetPort: admin}
{{- with .entry.serves }}
---
apiVersion: v1
kind: Service
metadata:
  {{- include "meterway.metadata" (merge (dict "annotations" $spec.service.annotations) $) | nindent 2 }}
spec:
  type: {{ $spec.service.type }}
  {{- with $spec.service.loadBalancerSourceRanges }}
  loadBalancerSourceRanges:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  selector:
    {{- include "meterway.selector" $ | nindent 4 }}
  ports:
    - {name: {{ .name }}, port: {{ $spec.service.port | default .port }}, targetPort: {{ .name }}{{ if eq .name "grpc" }}, appProtocol: kubernetes.io/h2c{{ end }}}
{{- if $spec.ingress.enabled }}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  {{- include "meterway.metadata" (merge (dict "annotations" $spec.ingress.annotations) $) | nindent 2 }}
spec:
  {{- with $spec.ingress.className }}
  ingressClassName: {{ . }}
  {{- end }}
  {{- with $spec.ingress.tls }}
  tls:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  rules:
    {{- range $spec.ingress.hosts }}
    - host: {{ . | quote }}
      http:
        paths:
          - path: /
            pathType: Prefix
            backend: {service: {name: {{ include "meterway.componentName" $ }}, port: {name: {{ $.entry.serves.name }}}}}
    {{- end }}
{{- end }}
{{- end }}
{{- if $spec.podDisruptionBudget.enabled }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "meterway.metadata" . | nindent 2 }}
spec:
  maxUnavailable: {{ $spec.podDisruptionBudget.maxUnavailable }}
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "meterway.selector" . | nindent 6 }}
{{- end }}
{{- include "meterway.autoscaling" . }}
{{ end -}}
