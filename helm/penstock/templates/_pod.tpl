{{/* A Deployment: call with (dict "root" $ "component" worker|api "name" … "replicas" number or nil "resources" …) */}}
{{- define "penstock.deployment" -}}
{{- $root := .root -}}
{{- $v := $root.Values -}}
{{- $sqlite := eq (include "penstock.ledgerKind" $root) "sqlite" -}}
{{- $sasl := include "penstock.usesSasl" $root -}}
{{- $tls := include "penstock.usesTls" $root -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .name }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- include "penstock.labels" $root | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
  {{- include "penstock.annotations" (list $root) }}
spec:
  {{- if not (kindIs "invalid" .replicas) }}
  replicas: {{ int64 .replicas }}
  {{- end }}
  revisionHistoryLimit: 5
  selector:
    matchLabels:
      {{- include "penstock.instanceLabels" $root | nindent 6 }}
      app.kubernetes.io/component: {{ .component }}
  strategy:
    {{- if eq (default (ternary "Recreate" "RollingUpdate" $sqlite) $v.updateStrategy) "Recreate" }}
    type: Recreate
    {{- else }}
    type: RollingUpdate
    rollingUpdate:
      maxUnavailable: 0
      maxSurge: 1
    {{- end }}
  template:
    metadata:
      labels:
        {{- include "penstock.labels" $root | nindent 8 }}
        app.kubernetes.io/component: {{ .component }}
        {{- with $v.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      annotations:
        # the service reads the file only at its start, so each change needs new pods
        checksum/config: {{ include "penstock.config" $root | sha256sum }}
        {{- with $v.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      serviceAccountName: {{ include "penstock.serviceAccount" $root }}
      automountServiceAccountToken: false
      # for a Service with the name penstock, Kubernetes would set PENSTOCK_PORT=tcp://…, which looks like configuration
      enableServiceLinks: false
      {{- with $v.image.pullSecrets }}
      imagePullSecrets:
        {{- range . }}
        - name: {{ . }}
        {{- end }}
      {{- end }}
      # the drain, plus 30 s to hand back the remaining jobs
      terminationGracePeriodSeconds: {{ add (include "penstock.seconds" (include "penstock.drain" $root) | int64) 30 }}
      securityContext:
        runAsNonRoot: true
        {{- with $v.podSecurity.runAsUser }}
        runAsUser: {{ int64 . }}
        {{- end }}
        {{- with $v.podSecurity.runAsGroup }}
        runAsGroup: {{ int64 . }}
        {{- end }}
        {{- with $v.podSecurity.fsGroup }}
        fsGroup: {{ int64 . }}
        fsGroupChangePolicy: OnRootMismatch
        {{- end }}
        seccompProfile:
          type: RuntimeDefault
      {{- with $v.priorityClassName }}
      priorityClassName: {{ . }}
      {{- end }}
      {{- with $v.runtimeClassName }}
      runtimeClassName: {{ . }}
      {{- end }}
      {{- with $v.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $v.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $v.affinity }}
      affinity:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      topologySpreadConstraints:
        {{- if $v.topologySpreadConstraints }}
        {{- toYaml $v.topologySpreadConstraints | nindent 8 }}
        {{- else }}
        {{- $component := .component }}
        {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
        - topologyKey: {{ . }}
          maxSkew: 1
          whenUnsatisfiable: ScheduleAnyway
          matchLabelKeys: [pod-template-hash]
          labelSelector:
            matchLabels:
              {{- include "penstock.instanceLabels" $root | nindent 14 }}
              app.kubernetes.io/component: {{ $component }}
        {{- end }}
        {{- end }}
      containers:
        - name: penstock
          image: {{ include "penstock.image" $root }}
          imagePullPolicy: {{ $v.image.pullPolicy }}
          workingDir: /opt/penstock
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities:
              drop: [ALL]
          env:
            - name: KAFKA_BOOTSTRAP_SERVERS
              value: {{ $v.kafka.bootstrapServers | quote }}
            - name: KAFKA_SECURITY_PROTOCOL
              value: {{ $v.kafka.securityProtocol }}
            {{- if and $tls $v.kafka.tls.caSecret }}
            - name: KAFKA_SSL_TRUSTSTORE_TYPE
              value: PEM
            - name: KAFKA_SSL_TRUSTSTORE_LOCATION
              value: /opt/penstock/kafka-ca/ca.crt
            {{- end }}
            {{- if and $tls $v.kafka.tls.clientSecret }}
            - name: KAFKA_SSL_KEYSTORE_TYPE
              value: PEM
            - name: KAFKA_SSL_KEYSTORE_CERTIFICATE_CHAIN
              valueFrom:
                secretKeyRef:
                  name: {{ $v.kafka.tls.clientSecret }}
                  key: {{ $v.kafka.tls.clientCertKey }}
            - name: KAFKA_SSL_KEYSTORE_KEY
              valueFrom:
                secretKeyRef:
                  name: {{ $v.kafka.tls.clientSecret }}
                  key: {{ $v.kafka.tls.clientKeyKey }}
            {{- end }}
            {{- if $sasl }}
            - name: KAFKA_SASL_MECHANISM
              value: {{ $v.kafka.sasl.mechanism }}
            {{- if $v.kafka.sasl.usernameKey }}
            - name: SASL_USERNAME
              valueFrom:
                secretKeyRef:
                  name: {{ $v.kafka.sasl.existingSecret }}
                  key: {{ $v.kafka.sasl.usernameKey }}
            - name: SASL_PASSWORD
              valueFrom:
                secretKeyRef:
                  name: {{ $v.kafka.sasl.existingSecret }}
                  key: {{ $v.kafka.sasl.passwordKey }}
            - name: KAFKA_SASL_JAAS_CONFIG
              value: org.apache.kafka.common.security.{{ ternary "plain.PlainLoginModule" "scram.ScramLoginModule" (eq $v.kafka.sasl.mechanism "PLAIN") }} required username="$(SASL_USERNAME)" password="$(SASL_PASSWORD)";
            {{- else }}
            - name: KAFKA_SASL_JAAS_CONFIG
              valueFrom:
                secretKeyRef:
                  name: {{ $v.kafka.sasl.existingSecret }}
                  key: {{ $v.kafka.sasl.jaasConfigKey }}
            {{- end }}
            {{- end }}
            {{- range $key, $value := $v.kafka.properties }}
            - name: {{ printf "KAFKA_%s" (regexReplaceAll "[^A-Z0-9]" (upper $key) "_") }}
              {{- /* Helm reads every number as a float64, and would print a large one as 1.8e+06 */}}
              value: {{ ternary (int64 $value) $value (kindIs "float64" $value) | toString | quote }}
            {{- end }}
            {{- if eq (include "penstock.ledgerKind" $root) "postgresql" }}
            - name: PENSTOCK_LEDGER_USERNAME
              valueFrom:
                secretKeyRef:
                  name: {{ $v.database.existingSecret }}
                  key: {{ $v.database.usernameKey }}
            - name: PENSTOCK_LEDGER_PASSWORD
              valueFrom:
                secretKeyRef:
                  name: {{ $v.database.existingSecret }}
                  key: {{ $v.database.passwordKey }}
            {{- end }}
            {{- range $name, $key := $v.nodeApiKeys }}
            - name: {{ include "penstock.keyVariable" $name }}
              valueFrom:
                secretKeyRef:
                  name: {{ $key.existingSecret }}
                  key: {{ $key.key }}
            {{- end }}
            {{- range $name, $secret := $v.webhookSecrets }}
            - name: {{ include "penstock.webhookVariable" $name }}
              valueFrom:
                secretKeyRef:
                  name: {{ $secret.existingSecret }}
                  key: {{ $secret.key }}
            {{- end }}
            {{- if eq .component "api" }}
            - name: PENSTOCK_INTAKE_ENABLED
              value: "false"
            {{- end }}
            - name: QUARKUS_LOG_CONSOLE_JSON_ENABLED
              value: {{ $v.logging.json | quote }}
            {{- with $v.tracing.otlpEndpoint }}
            - name: QUARKUS_OTEL_EXPORTER_OTLP_ENDPOINT
              value: {{ . | quote }}
            {{- end }}
            {{- with $v.extraEnv }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
          {{- with $v.extraEnvFrom }}
          envFrom:
            {{- toYaml . | nindent 12 }}
          {{- end }}
          ports:
            - name: http
              containerPort: 8080
            - name: management
              containerPort: 9000
          startupProbe:
            httpGet: {path: /q/health/started, port: management}
            {{- toYaml $v.probes.startup | nindent 12 }}
          readinessProbe:
            httpGet: {path: /q/health/ready, port: management}
            {{- toYaml $v.probes.readiness | nindent 12 }}
          livenessProbe:
            httpGet: {path: /q/health/live, port: management}
            {{- toYaml $v.probes.liveness | nindent 12 }}
          {{- with $v.preStopSeconds }}
          lifecycle:
            preStop:
              # gives all clients time to stop using this pod's address
              sleep:
                seconds: {{ int64 . }}
          {{- end }}
          resources:
            {{- toYaml .resources | nindent 12 }}
          volumeMounts:
            - name: config
              mountPath: /opt/penstock/config
              readOnly: true
            - name: tmp
              mountPath: /tmp
            {{- if $sqlite }}
            - name: data
              mountPath: /data
            {{- end }}
            {{- if and $tls $v.kafka.tls.caSecret }}
            - name: kafka-ca
              mountPath: /opt/penstock/kafka-ca
              readOnly: true
            {{- end }}
            {{- with $v.extraVolumeMounts }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
      volumes:
        - name: config
          configMap:
            name: {{ include "penstock.fullname" $root }}
        - name: tmp
          emptyDir:
            sizeLimit: 256Mi
        {{- if $sqlite }}
        - name: data
          persistentVolumeClaim:
            claimName: {{ default (include "penstock.fullname" $root) $v.persistence.existingClaim }}
        {{- end }}
        {{- if and $tls $v.kafka.tls.caSecret }}
        - name: kafka-ca
          secret:
            secretName: {{ $v.kafka.tls.caSecret }}
            items:
              - key: {{ $v.kafka.tls.caKey }}
                path: ca.crt
        {{- end }}
        {{- with $v.extraVolumes }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
{{- end -}}
