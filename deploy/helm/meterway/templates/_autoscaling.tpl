{{- define "meterway.autoscaling" -}}
{{- $scaling := .spec.autoscaling -}}
{{- $max := $scaling.maxReplicas | default .root.Values.kafka.topics.partitions -}}
{{- $kafka := .root.Values.kafka -}}
{{- $secrets := list -}}
{{- if hasPrefix "SASL" $kafka.securityProtocol }}
{{- $secrets = append $secrets (list "username" $kafka.sasl.existingSecret $kafka.sasl.usernameKey) }}
{{- $secrets = append $secrets (list "password" $kafka.sasl.existingSecret $kafka.sasl.passwordKey) }}
{{- end }}
{{- if $kafka.tls.caSecret }}
{{- $secrets = append $secrets (list "ca" $kafka.tls.caSecret $kafka.tls.caKey) }}
{{- end }}
{{- if $kafka.tls.clientSecret }}
{{- $secrets = append $secrets (list "cert" $kafka.tls.clientSecret $kafka.tls.certKey) }}
{{- $secrets = append $secrets (list "key" $kafka.tls.clientSecret $kafka.tls.keyKey) }}
{{- end }}
{{- if eq $scaling.mode "cpu" }}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  {{- include "meterway.metadata" . | nindent 2 }}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: {{ include "meterway.componentName" . }}}
  minReplicas: {{ $scaling.minReplicas }}
  maxReplicas: {{ $max }}
  metrics:
    - type: Resource
      resource: {name: cpu, target: {type: Utilization, averageUtilization: {{ $scaling.targetCPU }}}}
  behavior:
    {{- include "meterway.scaleDown" $scaling | nindent 4 }}
{{- else if eq $scaling.mode "lag" }}
---
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  {{- include "meterway.metadata" . | nindent 2 }}
spec:
  scaleTargetRef: {name: {{ include "meterway.componentName" . }}}
  minReplicaCount: {{ $scaling.minReplicas }}
  maxReplicaCount: {{ $max }}
  pollingInterval: 30
  advanced:
    horizontalPodAutoscalerConfig:
      behavior:
        {{- include "meterway.scaleDown" $scaling | nindent 8 }}
  triggers:
    {{- range .entry.lag }}
    - type: kafka
      metadata:
        bootstrapServers: {{ $.root.Values.kafka.bootstrapServers | quote }}
        topic: {{ .topic }}
        consumerGroup: {{ .group }}
        lagThreshold: {{ $scaling.lagThreshold | toString | quote }}
        activationLagThreshold: {{ $scaling.activationLagThreshold | toString | quote }}
        offsetResetPolicy: earliest
        # More replicas than partitions with something to do would stand idle, and each one costs a rebalance.
        limitToPartitionsWithLag: "true"
        # A partition whose position does not move is stuck, or quiet: another replica would not help.
        excludePersistentLag: "true"
        {{- with $.root.Values.kafka }}
        {{- if hasPrefix "SASL" .securityProtocol }}
        sasl: {{ get (dict "SCRAM-SHA-512" "scram_sha512" "SCRAM-SHA-256" "scram_sha256" "PLAIN" "plaintext") .sasl.mechanism }}
        {{- end }}
        {{- if hasSuffix "SSL" .securityProtocol }}
        tls: enable
        {{- end }}
        {{- end }}
      {{- if $secrets }}
      authenticationRef: {name: {{ include "meterway.componentName" $ }}}
      {{- end }}
    {{- end }}
{{- if $secrets }}
---
apiVersion: keda.sh/v1alpha1
kind: TriggerAuthentication
metadata:
  {{- include "meterway.metadata" . | nindent 2 }}
spec:
  secretTargetRef:
    {{- range $secrets }}
    - {parameter: {{ index . 0 }}, name: {{ index . 1 }}, key: {{ index . 2 }}}
    {{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "meterway.scaleDown" -}}
scaleDown:
  stabilizationWindowSeconds: {{ .scaleDownStabilizationSeconds }}
  policies:
    - {type: Pods, value: 1, periodSeconds: 60}
{{- end -}}
