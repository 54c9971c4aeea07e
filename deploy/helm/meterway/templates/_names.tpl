{{/* Names and labels. Most helpers take (dict "root" $ "name" "ingest"); those of one service also "entry" and "spec". */}}

{{- define "meterway.chart" -}}
{{- printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "meterway.fullname" -}}
{{- $name := .Values.nameOverride | default .Chart.Name -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 42 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 42 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 42 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* The longest component name has 20 characters, and `-admin` must still fit into 63 + room for hashes. */}}
{{- define "meterway.componentName" -}}
{{- printf "%s-%s" (include "meterway.fullname" .root) .name -}}
{{- end -}}

{{- define "meterway.selector" -}}
app.kubernetes.io/name: {{ .root.Values.nameOverride | default .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .name }}
{{- end -}}

{{- define "meterway.labels" -}}
{{ include "meterway.selector" . }}
app.kubernetes.io/part-of: meterway
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
helm.sh/chart: {{ include "meterway.chart" .root }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Without versions: a new version of the chart alone must not replace pods. */}}
{{- define "meterway.podLabels" -}}
{{ include "meterway.selector" . }}
app.kubernetes.io/part-of: meterway
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Name, namespace, labels and annotations of an object; "suffix" and "annotations" are optional. */}}
{{- define "meterway.metadata" -}}
name: {{ include "meterway.componentName" . }}{{ .suffix }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "meterway.labels" . | nindent 2 }}
{{- $annotations := merge (dict) (.annotations | default dict) .root.Values.commonAnnotations }}
{{- with $annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "meterway.serviceAccountName" -}}
{{- if .spec.serviceAccount.name -}}
{{- .spec.serviceAccount.name -}}
{{- else if .spec.serviceAccount.create -}}
{{- include "meterway.componentName" . -}}
{{- else -}}
default
{{- end -}}
{{- end -}}

{{- define "meterway.image" -}}
{{- $v := .root.Values -}}
{{- $registry := $v.global.imageRegistry | default $v.image.registry -}}
{{- $repository := .spec.image.repository | default (printf "%s/%s" $v.image.repository .entry.program) -}}
{{- $reference := ternary (printf "%s/%s" $registry $repository) $repository (ne $registry "") -}}
{{- if .spec.image.digest -}}
{{- printf "%s@%s" $reference .spec.image.digest -}}
{{- else -}}
{{- printf "%s:%s" $reference (.spec.image.tag | default $v.image.tag | default .root.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/* Sets every leaf of the second map in the first, which changes. Sprig's mergeOverwrite skips false, 0 and "". */}}
{{- define "meterway.override" -}}
{{- $into := index . 0 -}}
{{- range $key, $value := index . 1 -}}
{{- if and (kindIs "map" $value) (kindIs "map" (get $into $key)) -}}
{{- include "meterway.override" (list (get $into $key) $value) -}}
{{- else -}}
{{- $_ := set $into $key $value -}}
{{- end -}}
{{- end -}}
{{- end -}}
