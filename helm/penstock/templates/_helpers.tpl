{{- define "penstock.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{/* at most 52 characters: "-metrics" and the like come behind it */}}
{{- define "penstock.fullname" -}}
{{- $name := include "penstock.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "penstock.instanceLabels" -}}
app.kubernetes.io/name: {{ include "penstock.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "penstock.labels" -}}
{{ include "penstock.instanceLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "penstock.testLabels" -}}
app.kubernetes.io/name: {{ include "penstock.name" . }}-test
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: test
{{- end -}}

{{/* the annotations of a metadata, on lines of their own, where there are any: call with (list $) or (list $ more) */}}
{{- define "penstock.annotations" -}}
{{- $own := dict -}}
{{- if gt (len .) 1 }}{{ $own = default (dict) (index . 1) }}{{ end -}}
{{- with merge (dict) $own (index . 0).Values.commonAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
{{- end -}}
{{- end -}}

{{- define "penstock.image" -}}
{{- $image := .Values.image -}}
{{- with $image.registry }}{{ . }}/{{ end -}}
{{- $image.repository -}}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ default .Chart.AppVersion $image.tag }}{{ end -}}
{{- end -}}

{{- define "penstock.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "penstock.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* a duration as Quarkus reads it, in whole seconds, rounded up */}}
{{- define "penstock.seconds" -}}
{{- $number := regexFind "^[0-9]+" . | int64 -}}
{{- $unit := regexFind "[a-z]+$" . -}}
{{- if eq $unit "ms" -}}{{ div (add $number 999) 1000 }}
{{- else if eq $unit "m" -}}{{ mul $number 60 }}
{{- else if eq $unit "h" -}}{{ mul $number 3600 }}
{{- else if eq $unit "d" -}}{{ mul $number 86400 }}
{{- else -}}{{ $number }}
{{- end -}}
{{- end -}}

{{- define "penstock.ledgerKind" -}}
{{- default "sqlite" (.Values.penstock.ledger).kind -}}
{{- end -}}

{{- define "penstock.drain" -}}
{{- default "60s" (.Values.penstock.drain).timeout -}}
{{- end -}}

{{- define "penstock.scaled" -}}
{{- if ne .Values.autoscaling.kind "none" }}true{{ end -}}
{{- end -}}

{{/* the variable that holds a node's API key */}}
{{- define "penstock.keyVariable" -}}
{{- printf "API_KEY_%s" (regexReplaceAll "[^A-Z0-9]" (upper .) "_") -}}
{{- end -}}

{{/* the variable that holds the secret of a webhook */}}
{{- define "penstock.webhookVariable" -}}
{{- printf "WEBHOOK_SECRET_%s" (regexReplaceAll "[^A-Z0-9]" (upper .) "_") -}}
{{- end -}}

{{/* a topic's name: call with (list $ key default) */}}
{{- define "penstock.topic" -}}
{{- default (index . 2) (get (default (dict) (index . 0).Values.penstock.topics) (index . 1)) -}}
{{- end -}}

{{/* stands before the name of every consumer group */}}
{{- define "penstock.groupsPrefix" -}}
{{- default "" (get .Values.penstock "groups-prefix") -}}
{{- end -}}

{{/* the job topics, as a JSON list in .names */}}
{{- define "penstock.jobTopics" -}}
{{- $names := list -}}
{{- with (.Values.penstock.intake).topics -}}
{{- range . }}{{ $names = append $names .name }}{{ end -}}
{{- else -}}
{{- $names = list (include "penstock.topic" (list . "jobs-high" "prompt-jobs-high")) (include "penstock.topic" (list . "jobs" "prompt-jobs")) (include "penstock.topic" (list . "jobs-low" "prompt-jobs-low")) -}}
{{- end -}}
{{- toJson (dict "names" $names) -}}
{{- end -}}

{{- define "penstock.usesTls" -}}
{{- if has .Values.kafka.securityProtocol (list "SSL" "SASL_SSL") }}true{{ end -}}
{{- end -}}

{{- define "penstock.usesSasl" -}}
{{- if hasPrefix "SASL_" .Values.kafka.securityProtocol }}true{{ end -}}
{{- end -}}

{{/* application.yaml: penstock's own tree, with what the chart knows better */}}
{{- define "penstock.config" -}}
{{- $config := deepCopy .Values.penstock -}}
{{- range $name, $key := .Values.nodeApiKeys -}}
{{- $node := get $config.nodes $name -}}
{{- $_ := set $node "api-key" (printf "${%s}" (include "penstock.keyVariable" $name)) -}}
{{- end -}}
{{- range $name, $_ := .Values.webhookSecrets -}}
{{- $webhook := get $config.webhooks $name -}}
{{- $_ := set $webhook "secret" (printf "${%s}" (include "penstock.webhookVariable" $name)) -}}
{{- end -}}
{{- if eq (include "penstock.ledgerKind" .) "sqlite" -}}
{{- $_ := set $config.ledger "path" (default "/data/penstock.db" $config.ledger.path) -}}
{{- end -}}
{{- toYaml (dict "penstock" $config) -}}
{{- end -}}

{{/* which pods of this release answer on the API */}}
{{- define "penstock.servingComponent" -}}
{{- if .Values.api.enabled }}api{{ else }}worker{{ end -}}
{{- end -}}

{{/* selects the series of this release in Prometheus; ServiceMonitor gives them both labels */}}
{{- define "penstock.series" -}}
namespace="{{ .Release.Namespace }}",job="{{ include "penstock.fullname" . }}-metrics"
{{- end -}}
