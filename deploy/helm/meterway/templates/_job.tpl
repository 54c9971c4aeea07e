{{/* A pod that runs one command and ends. Takes "root", "name", "program", "args", "needs", "environment", "resources". */}}
{{- define "meterway.onePod" -}}
{{- $certificates := dict "root" .root "needs" .needs -}}
{{- $image := dict "root" .root "entry" (dict "program" .program) "spec" .root.Values.defaults -}}
{{- include "meterway.podSecurity" .root }}
serviceAccountName: {{ .serviceAccount | default .root.Values.hooks.serviceAccountName }}
restartPolicy: Never
containers:
  - name: {{ .name }}
    image: {{ include "meterway.image" $image }}
    imagePullPolicy: {{ .root.Values.image.pullPolicy }}
    {{- include "meterway.containerSecurity" . | nindent 4 }}
    {{- with .args }}
    args:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    env:
      {{- .environment | trim | nindent 6 }}
    resources:
      {{- toYaml .resources | nindent 6 }}
    volumeMounts:
      - {name: tmp, mountPath: /tmp}
      {{- with include "meterway.certificates" (merge (dict "part" "mounts") $certificates) | trim }}
      {{- . | nindent 6 }}
      {{- end }}
volumes:
  - {name: tmp, emptyDir: {sizeLimit: 64Mi}}
  {{- with include "meterway.certificates" (merge (dict "part" "volumes") $certificates) | trim }}
  {{- . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* A Job before each install and upgrade. It may use nothing that the release itself makes. */}}
{{- define "meterway.hookJob" -}}
apiVersion: batch/v1
kind: Job
metadata:
  {{- include "meterway.metadata" (merge (dict "annotations" (dict
      "helm.sh/hook" "pre-install,pre-upgrade"
      "helm.sh/hook-delete-policy" "before-hook-creation,hook-succeeded")) (pick . "root" "name")) | nindent 2 }}
spec:
  backoffLimit: 3
  activeDeadlineSeconds: {{ .root.Values.hooks.activeDeadlineSeconds }}
  template:
    metadata:
      labels:
        {{- include "meterway.podLabels" (pick . "root" "name") | nindent 8 }}
    spec:
      {{- include "meterway.onePod" (merge (dict "resources" .root.Values.hooks.resources) .) | nindent 6 }}
{{- end -}}
