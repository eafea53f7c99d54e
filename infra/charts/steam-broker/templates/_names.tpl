{{- define "broker.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "broker.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "broker.labels" -}}
{{ include "broker.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: steam
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "broker.secret" -}}
{{ .Values.existingSecret | default (printf "%s-accounts" (include "broker.name" .)) }}
{{- end }}

{{- define "broker.image" -}}
{{- if .Values.image.digest }}{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else }}{{ .Values.image.repository }}:{{ .Values.image.tag }}{{ end }}
{{- end }}

{{- define "broker.tools" -}}
{{- $image := .Values.tools.image }}
{{- if $image.digest }}{{ $image.registry }}/jobs@{{ $image.digest }}
{{- else }}{{ $image.registry }}/jobs:{{ $image.tag | default .Chart.Version }}{{ end }}
{{- end }}

{{- define "broker.accounts" -}}
steam-processor steam-notifier steam-panel steam-topology steam-accounts steam-desk steam-gateway
{{- end }}
