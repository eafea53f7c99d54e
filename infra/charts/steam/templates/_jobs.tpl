{{/* The pod of a command that ends: include "steam.job" (dict "root" . "name" n "args" list "volume" claim) */}}
{{- define "steam.job" -}}
{{- $root := .root -}}
metadata:
  labels: {{- include "steam.labels" (list $root .name) | nindent 4 }}
spec:
  {{- include "steam.pod" (list $root dict) | nindent 2 }}
  restartPolicy: Never
  containers:
    - name: {{ .name }}
      {{- include "steam.image" (list $root "jobs") | nindent 6 }}
      {{- with .command }}
      command: {{- toYaml . | nindent 8 }}
      {{- end }}
      args: {{- toYaml .args | nindent 8 }}
      env:
        {{- include "steam.topology" $root | nindent 8 }}
        {{- include "steam.amqp" (list $root "STEAM_AMQP" "steam-processor") | nindent 8 }}
        {{- include "steam.token" $root | nindent 8 }}
        {{- if $root.Values.producer.enabled }}
        - name: STEAM_GATEWAY_PASSWORD
          valueFrom: {secretKeyRef: {name: {{ $root.Values.broker.existingSecret }}, key: steam-gateway}}
        {{- end }}
      {{- with $root.Values.notifications.existingSecret }}
      envFrom:
        - secretRef: {name: {{ . }}}
      {{- end }}
      {{- include "steam.confined" $root | nindent 6 }}
      resources: {{- toYaml $root.Values.cronJobs.resources | nindent 8 }}
      volumeMounts:
        {{- include "steam.mounts" $root | nindent 8 }}
        {{- if .volume }}
        - {name: backup, mountPath: /backup}
        {{- end }}
  volumes:
    {{- include "steam.volumes" $root | nindent 4 }}
    {{- with .volume }}
    - name: backup
      persistentVolumeClaim: {claimName: {{ . }}}
    {{- end }}
{{- end }}
