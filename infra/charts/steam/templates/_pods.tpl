{{/* What every pod of Steam has: include "steam.pod" (list . values-of-the-component) */}}
{{- define "steam.pod" -}}
{{- $root := index . 0 -}}
{{- $of := index . 1 -}}
automountServiceAccountToken: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $of.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $of.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $of.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "steam.confined" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{- define "steam.mounts" -}}
- {name: settings, mountPath: /etc/steam, readOnly: true}
- {name: tmp, mountPath: /tmp}
{{- end }}

{{- define "steam.volumes" -}}
- name: settings
  configMap: {name: {{ include "steam.name" . }}}
- name: tmp
  emptyDir: {sizeLimit: 256Mi}
{{- end }}

{{- define "steam.probes" -}}
startupProbe:
  httpGet: {path: /healthz, port: http}
  periodSeconds: 2
  failureThreshold: 60
# A store or a broker that is away makes a pod unready and never restarts it.
readinessProbe:
  httpGet: {path: /readyz, port: http}
  periodSeconds: 5
livenessProbe:
  httpGet: {path: /healthz, port: http}
  periodSeconds: 20
  timeoutSeconds: 5
  failureThreshold: 3
{{- end }}

{{/* A password of the broker, and the address with it: include "steam.amqp" (list . variable account) */}}
{{- define "steam.amqp" -}}
{{- $root := index . 0 -}}
- name: {{ index . 1 }}_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ $root.Values.broker.existingSecret }}, key: {{ index . 2 }}}}
- name: {{ index . 1 }}_URL
  value: amqp://{{ index . 2 }}:$({{ index . 1 }}_PASSWORD)@{{ $root.Values.broker.host }}:5672/
{{- end }}

{{- define "steam.token" -}}
- name: STEAM_INFLUXDB_TOKEN
  valueFrom: {secretKeyRef: {name: {{ .Values.influxdb.existingSecret }}, key: token}}
{{- end }}

{{/* The topology's account: it declares and audits queues. */}}
{{- define "steam.topology" -}}
{{ include "steam.amqp" (list . "STEAM_TOPOLOGY_AMQP" "steam-topology") }}
- name: STEAM_MANAGEMENT_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ .Values.broker.existingSecret }}, key: steam-topology}}
{{- end }}
