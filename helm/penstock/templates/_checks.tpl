{{/* Values that contradict each other; what one value alone can be wrong about is in values.schema.json. */}}
{{- define "penstock.check" -}}
{{- $v := .Values -}}
{{- $p := $v.penstock -}}
{{- $sqlite := eq (include "penstock.ledgerKind" .) "sqlite" -}}
{{- $scaled := include "penstock.scaled" . -}}
{{- if not ($p.auth).mode -}}
{{- fail "penstock.auth.mode must be set. This version has none only: every client that the NetworkPolicy lets in (networkPolicy.clients) may run jobs" -}}
{{- end -}}
{{- if not $v.networkPolicy.enabled -}}
{{- fail "networkPolicy.enabled: with penstock.auth.mode none the NetworkPolicy is the only protection of the API" -}}
{{- end -}}
{{- if not $v.kafka.bootstrapServers -}}
{{- fail "kafka.bootstrapServers must be set, e.g. my-cluster-kafka-bootstrap.kafka.svc:9092" -}}
{{- end -}}
{{- /* the variables that add a node, with the node's name; none is added if penstock.nodes has that name */ -}}
{{- $making := dict "VLLM_URL" "vllm" "OLLAMA_HOST" "ollama" "LMSTUDIO_URL" "lm-studio" "LLAMA_SERVER_URL" "llama-server" -}}
{{- $making = merge $making (dict "OPENAI_BASE_URL" "openai" "OPENAI_API_KEY" "openai" "AZURE_OPENAI_ENDPOINT" "azure-openai") -}}
{{- $making = merge $making (dict "ANTHROPIC_BASE_URL" "anthropic" "ANTHROPIC_API_KEY" "anthropic") -}}
{{- range $v.extraEnv -}}
{{- $made := get $making .name -}}
{{- if and $made (not (hasKey (default (dict) $p.nodes) $made)) -}}
{{- fail (printf "extraEnv: %s makes a node of a model server that the NetworkPolicy does not know: name it in penstock.nodes, as %s" .name $made) -}}
{{- end -}}
{{- end -}}
{{- if not $p.nodes -}}
{{- fail "penstock.nodes: there is no model server. Name one, e.g. penstock.nodes.gpu-a: {backend: vllm, url: \"http://vllm:8000\"}" -}}
{{- end -}}
{{- range $name, $node := $p.nodes -}}
{{- if and (eq (default "never" $node.pull) "missing") (not (has $node.backend (list "ollama" "llama-server"))) -}}
{{- fail (printf "penstock.nodes.%s.pull: %s fetches no models on command: leave it out, or set never" $name $node.backend) -}}
{{- end -}}
{{- end -}}
{{- with (get $p "default-profile") -}}
{{- if not (hasKey (default (dict) $p.profiles) .) -}}
{{- fail (printf "penstock.default-profile: there is no profile '%s' in penstock.profiles" .) -}}
{{- end -}}
{{- end -}}
{{- $timeout := include "penstock.seconds" (default "10m" ($p.jobs).timeout) | int64 -}}
{{- $maxTimeout := include "penstock.seconds" (default "1h" (get (default (dict) $p.jobs) "max-timeout")) | int64 -}}
{{- if gt $timeout $maxTimeout -}}
{{- fail "penstock.jobs.timeout is above penstock.jobs.max-timeout" -}}
{{- end -}}

{{- if $sqlite -}}
{{- if and (not $scaled) (gt (int64 $v.replicas) 1) -}}
{{- fail (printf "replicas is %d: SQLite is for one replica. Set penstock.ledger.kind to postgresql" (int64 $v.replicas)) -}}
{{- end -}}
{{- if $v.api.enabled -}}
{{- fail "api.enabled: SQLite is for one replica. Set penstock.ledger.kind to postgresql" -}}
{{- end -}}
{{- if and $scaled (gt (int64 $v.autoscaling.maxReplicas) 1) -}}
{{- fail "autoscaling.maxReplicas is above 1: SQLite is for one replica. Set penstock.ledger.kind to postgresql" -}}
{{- end -}}
{{- if eq $v.updateStrategy "RollingUpdate" -}}
{{- fail "updateStrategy: with penstock.ledger.kind sqlite it is Recreate, since two replicas cannot have the file at once" -}}
{{- end -}}
{{- end -}}
{{- if eq (include "penstock.ledgerKind" .) "postgresql" -}}
{{- if not ($p.ledger).url -}}
{{- fail "penstock.ledger.url must be set for postgresql, as jdbc:postgresql://host:5432/database" -}}
{{- end -}}
{{- if not $v.database.existingSecret -}}
{{- fail "database.existingSecret must name the Secret with the database's user and password" -}}
{{- end -}}
{{- else if ($p.ledger).url -}}
{{- fail "penstock.ledger.url is for penstock.ledger.kind postgresql" -}}
{{- end -}}

{{- if include "penstock.usesSasl" . -}}
{{- if not $v.kafka.sasl.existingSecret -}}
{{- fail (printf "kafka.sasl.existingSecret must name a Secret for kafka.securityProtocol %s" $v.kafka.securityProtocol) -}}
{{- end -}}
{{- if not (or $v.kafka.sasl.jaasConfigKey (and $v.kafka.sasl.usernameKey $v.kafka.sasl.passwordKey)) -}}
{{- fail "kafka.sasl.jaasConfigKey, or usernameKey and passwordKey, must say what is where in kafka.sasl.existingSecret" -}}
{{- end -}}
{{- else if $v.kafka.sasl.existingSecret -}}
{{- fail (printf "kafka.sasl.existingSecret is for SASL, and kafka.securityProtocol is %s" $v.kafka.securityProtocol) -}}
{{- end -}}
{{- if not (include "penstock.usesTls" .) -}}
{{- if or $v.kafka.tls.caSecret $v.kafka.tls.clientSecret -}}
{{- fail (printf "kafka.tls is for TLS, and kafka.securityProtocol is %s" $v.kafka.securityProtocol) -}}
{{- end -}}
{{- end -}}
{{- range $key, $_ := $v.kafka.properties -}}
{{- if regexMatch "(password|jaas|secret|keystore.key|token)" $key -}}
{{- fail (printf "kafka.properties: %s holds a secret; it belongs in a Secret (kafka.sasl, kafka.tls, extraEnv)" $key) -}}
{{- end -}}
{{- end -}}

{{- $variables := dict -}}
{{- range $name, $_ := $v.nodeApiKeys -}}
{{- if not (hasKey (default (dict) $p.nodes) $name) -}}
{{- fail (printf "nodeApiKeys.%s: there is no node '%s' in penstock.nodes" $name $name) -}}
{{- end -}}
{{- $variable := include "penstock.keyVariable" $name -}}
{{- if hasKey $variables $variable -}}
{{- fail (printf "nodeApiKeys: the names %s and %s differ too little for the variable %s" (get $variables $variable) $name $variable) -}}
{{- end -}}
{{- $_ := set $variables $variable $name -}}
{{- end -}}

{{- $variables = dict -}}
{{- range $name, $_ := $v.webhookSecrets -}}
{{- if not (hasKey (default (dict) $p.webhooks) $name) -}}
{{- fail (printf "webhookSecrets.%s: there is no webhook '%s' in penstock.webhooks" $name $name) -}}
{{- end -}}
{{- $variable := include "penstock.webhookVariable" $name -}}
{{- if hasKey $variables $variable -}}
{{- fail (printf "webhookSecrets: the names %s and %s differ too little for the variable %s" (get $variables $variable) $name $variable) -}}
{{- end -}}
{{- $_ := set $variables $variable $name -}}
{{- end -}}
{{- range $name, $_ := $p.webhooks -}}
{{- if not (hasKey $v.webhookSecrets $name) -}}
{{- fail (printf "webhookSecrets.%s must name the Secret of the webhook" $name) -}}
{{- end -}}
{{- end -}}

{{- if $scaled -}}
{{- if gt (int64 $v.autoscaling.minReplicas) (int64 $v.autoscaling.maxReplicas) -}}
{{- fail "autoscaling.minReplicas is above autoscaling.maxReplicas" -}}
{{- end -}}
{{- $fromZero := eq (int64 $v.autoscaling.minReplicas) 0 -}}
{{- if eq $v.autoscaling.kind "hpa" -}}
{{- if $fromZero -}}
{{- fail "autoscaling.minReplicas is 0: only KEDA scales from zero (autoscaling.kind: keda)" -}}
{{- end -}}
{{- else -}}
{{- if not $v.autoscaling.keda.prometheusAddress -}}
{{- fail "autoscaling.keda.prometheusAddress must be set: the backlog and the jobs in flight are read from there" -}}
{{- end -}}
{{- if and $fromZero (include "penstock.usesSasl" .) (not $v.autoscaling.keda.kafkaSecret) (not (and $v.kafka.sasl.usernameKey $v.kafka.sasl.passwordKey)) -}}
{{- fail "autoscaling.keda.kafkaSecret must name a Secret with username and password: KEDA looks at Kafka itself to scale from zero, and kafka.sasl has no usernameKey and passwordKey" -}}
{{- end -}}
{{- if and $fromZero (eq (include "penstock.ledgerKind" .) "none") -}}
{{- fail "autoscaling.minReplicas is 0: what wakes the first replica is the lag of the ledger's group, and penstock.ledger.kind is none" -}}
{{- end -}}
{{- end -}}
{{- if eq (toString (($p.intake).enabled)) "false" -}}
{{- fail "penstock.intake.enabled is false: there is no backlog that autoscaling could follow" -}}
{{- end -}}
{{- end -}}
{{- if and $v.api.enabled (eq (toString (($p.intake).enabled)) "false") -}}
{{- fail "penstock.intake.enabled is false: then no replica takes jobs, and api.enabled has nothing to take off them" -}}
{{- end -}}

{{- if and $v.ingress.enabled (not $v.ingress.hosts) -}}
{{- fail "ingress.hosts: name at least one host" -}}
{{- end -}}
{{- if and $v.httpRoute.enabled (not $v.httpRoute.parentRefs) -}}
{{- fail "httpRoute.parentRefs: name the Gateway" -}}
{{- end -}}
{{- $others := false -}}
{{- range $v.networkPolicy.clients }}{{ if or .ipBlock .namespaceSelector }}{{ $others = true }}{{ end }}{{ end -}}
{{- $open := ternary "ingress" (ternary "httpRoute" (ternary (printf "service.type %s" $v.service.type) "" (ne $v.service.type "ClusterIP")) $v.httpRoute.enabled) $v.ingress.enabled -}}
{{- if and $open (not $others) -}}
{{- fail (printf "networkPolicy.clients lets in pods of this namespace only, so that no client gets in by %s: add who calls from there, e.g. {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: ingress-nginx}}} or an ipBlock" $open) -}}
{{- end -}}
{{- if and $v.strimzi.enabled (not $v.strimzi.cluster) -}}
{{- fail "strimzi.cluster must name the Kafka resource" -}}
{{- end -}}
{{- if and $v.strimzi.enabled (not $v.strimzi.topics) (not $v.strimzi.user) -}}
{{- fail "strimzi.enabled: with strimzi.topics false and no strimzi.user there is nothing to make" -}}
{{- end -}}
{{- if and $v.strimzi.enabled $v.strimzi.user -}}
{{- if and (eq $v.strimzi.authentication "tls") (not $v.kafka.tls.clientSecret) -}}
{{- fail (printf "strimzi.authentication is tls, and kafka.tls.clientSecret does not name the Secret of the user %s" $v.strimzi.user) -}}
{{- end -}}
{{- if and (eq $v.strimzi.authentication "scram-sha-512") (not (include "penstock.usesSasl" .)) -}}
{{- fail (printf "strimzi.user: with kafka.securityProtocol %s no client would use the user %s; set SASL_SSL, or strimzi.user: \"\" for none" $v.kafka.securityProtocol $v.strimzi.user) -}}
{{- end -}}
{{- end -}}
{{- end -}}
