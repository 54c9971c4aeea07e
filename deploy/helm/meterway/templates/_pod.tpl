{{/* What pods and containers may do: the restricted standard of Kubernetes, and no token of its API. */}}
{{- define "meterway.podSecurity" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.global.imagePullSecrets }}
imagePullSecrets:
{{- range . }}
  - {name: {{ . }}}
{{- end }}
{{- end }}
{{- end -}}

{{- define "meterway.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end -}}

{{/* Certificates that the needs of a process bring with them; "part" is volumes or mounts. */}}
{{- define "meterway.certificates" -}}
{{- $v := .root.Values -}}
{{- $found := list -}}
{{- if $v.kafka.tls.caSecret }}{{ $found = append $found (list "kafka-ca" $v.kafka.tls.caSecret) }}{{ end -}}
{{- if $v.kafka.tls.clientSecret }}{{ $found = append $found (list "kafka-client" $v.kafka.tls.clientSecret) }}{{ end -}}
{{- if and (has "warehouse" .needs) $v.warehouse.caSecret }}{{ $found = append $found (list "warehouse-ca" $v.warehouse.caSecret) }}{{ end -}}
{{- if and (has "register" .needs) $v.register.caSecret }}{{ $found = append $found (list "register-ca" $v.register.caSecret) }}{{ end -}}
{{- range $found }}
{{- if eq $.part "volumes" }}
- {name: {{ index . 0 }}, secret: {secretName: {{ index . 1 }}, defaultMode: 0440}}
{{- else }}
- {name: {{ index . 0 }}, mountPath: /etc/meterway/{{ index . 0 }}, readOnly: true}
{{- end }}
{{- end }}
{{- end -}}

{{- define "meterway.podTemplate" -}}
{{- $names := dict "root" .root "name" .name -}}
{{- $certificates := dict "root" .root "needs" .entry.needs -}}
metadata:
  labels:
    {{- include "meterway.podLabels" $names | nindent 4 }}
    {{- with .spec.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    kubectl.kubernetes.io/default-container: {{ .name }}
    {{- if not (or .entry.cli .spec.existingConfigMap) }}
    checksum/config: {{ include "meterway.config" . | sha256sum }}
    {{- end }}
    {{- with .spec.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  {{- include "meterway.podSecurity" .root | nindent 2 }}
  serviceAccountName: {{ include "meterway.serviceAccountName" . }}
  terminationGracePeriodSeconds: {{ .spec.terminationGracePeriodSeconds | default (add .spec.preStopSeconds .spec.shutdownGraceSeconds 5) }}
  {{- with .spec.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with .spec.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .spec.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .spec.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .spec.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- range . }}
    -
      {{- toYaml . | nindent 6 }}
      {{- if not .labelSelector }}
      labelSelector:
        matchLabels:
          {{- include "meterway.selector" $names | nindent 10 }}
      matchLabelKeys: [pod-template-hash]
      {{- end }}
    {{- end }}
  {{- end }}
  containers:
    - name: {{ .name }}
      image: {{ include "meterway.image" . }}
      imagePullPolicy: {{ .root.Values.image.pullPolicy }}
      {{- include "meterway.containerSecurity" . | nindent 6 }}
      args:
        {{- if eq .name "canary" }}
        {{- with .root.Values.canary }}
        - canary
        - --admin-listen=0.0.0.0:9100
        - --interval={{ .interval }}
        - --patience={{ .patience }}
        - --via={{ .via }}
        - --stages={{ join "," .stages }}
        {{- end }}
        {{- else }}
        - --config=/etc/meterway/config/config.toml
        {{- end }}
        {{- with .spec.extraArgs }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- $environment := "" }}
      {{- if .entry.cli }}
      {{- $environment = include "meterway.cliEnvironment" $certificates | trim }}
      {{- else }}
      {{- $environment = include "meterway.environment" . | trim }}
      {{- end }}
      {{- if or $environment .spec.extraEnv }}
      env:
        {{- with $environment }}
        {{- . | nindent 8 }}
        {{- end }}
        {{- with .spec.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- end }}
      {{- with .spec.extraEnvFrom }}
      envFrom:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      ports:
        - {name: admin, containerPort: 9100}
        {{- with .entry.serves }}
        - {name: {{ .name }}, containerPort: {{ .port }}}
        {{- end }}
      startupProbe:
        httpGet: {path: /live, port: admin}
        {{- toYaml .spec.probes.startup | nindent 8 }}
      livenessProbe:
        httpGet: {path: /live, port: admin}
        {{- toYaml .spec.probes.liveness | nindent 8 }}
      readinessProbe:
        httpGet: {path: /ready, port: admin}
        {{- toYaml .spec.probes.readiness | nindent 8 }}
      {{- if .spec.preStopSeconds }}
      lifecycle:
        preStop: {sleep: {seconds: {{ .spec.preStopSeconds }}}}
      {{- end }}
      resources:
        {{- toYaml .spec.resources | nindent 8 }}
      volumeMounts:
        - {name: tmp, mountPath: /tmp}
        {{- if not .entry.cli }}
        - {name: config, mountPath: /etc/meterway/config, readOnly: true}
        {{- end }}
        {{- with include "meterway.certificates" (merge (dict "part" "mounts") $certificates) | trim }}
        {{- . | nindent 8 }}
        {{- end }}
        {{- with .spec.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - {name: tmp, emptyDir: {sizeLimit: {{ .spec.tmpSize }}}}
    {{- if not .entry.cli }}
    - {name: config, configMap: {name: {{ .spec.existingConfigMap | default (include "meterway.componentName" .) }}}}
    {{- end }}
    {{- with include "meterway.certificates" (merge (dict "part" "volumes") $certificates) | trim }}
    {{- . | nindent 4 }}
    {{- end }}
    {{- with .spec.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}
