package dev.penstock.deploy;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.EventMark;
import dev.penstock.testkit.Broker;
import dev.penstock.testkit.Certificates;
import dev.penstock.testkit.JobSender;
import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.ReplyLog;
import dev.penstock.testkit.TokenServer;
import dev.penstock.testkit.upstream.Answer;
import dev.penstock.testkit.upstream.FakeUpstream;
import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.ExecutionException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.ScramCredentialInfo;
import org.apache.kafka.clients.admin.ScramMechanism;
import org.apache.kafka.clients.admin.UserScramCredentialUpsertion;
import org.apache.kafka.common.acl.AccessControlEntry;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.Resource;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;
import org.apache.kafka.common.utils.SecurityUtils;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * The service can use a broker with all security features on. It has the variables and files that the chart gives to
 * a pod, and the rights and topics that Strimzi creates for it.
 */
class SecuredKafkaIT {
    private static final Duration PATIENCE = Duration.ofMinutes(4);
    private static final String PASSWORD = "correct horse; battery=staple";
    private static final String JAAS =
            "org.apache.kafka.common.security.scram.ScramLoginModule required username=\"penstock\" password=\"%s\";"
                    .formatted(PASSWORD);
    private static final Pattern REFERENCE = Pattern.compile("\\$\\(([A-Z_]+)\\)");

    @TempDir
    private Path folder = Path.of("");

    @ParameterizedTest
    @CsvSource({
        "a JAAS line as Strimzi writes it, 'existingSecret: account', true",
        "name and password, 'existingSecret: account, usernameKey: username, passwordKey: password', false"
    })
    void tls_with_a_certificate_of_our_own_and_scram_and_the_rights_that_the_chart_gives(
            String how, String sasl, boolean topics)
            throws IOException, InterruptedException, ExecutionException, GeneralSecurityException {
        Certificates server = Certificates.create(folder, "broker");
        Certificates client = Certificates.create(folder, "client");
        int secured = Broker.freePort();
        try (Broker broker = start(secured, server, client);
                FakeUpstream fake = FakeUpstream.start().script(_ -> Answer.of("past", " it"))) {
            List<Manifest> manifests = render(secured, fake, sasl, topics);
            grant(broker, manifests);
            Manifest workload = one(manifests, "Deployment");
            Map<String, String> secrets = Map.of(
                    "account/sasl.jaas.config",
                    JAAS,
                    "account/username",
                    "penstock",
                    "account/password",
                    PASSWORD,
                    "client/user.crt",
                    client.certificate(),
                    "client/user.key",
                    client.privateKey());
            // the chart mounts it under this name
            Files.writeString(folder.resolve("ca.crt"), server.certificate());
            PenstockProcess.Builder penstock = PenstockProcess.with("unused:1")
                    .name("secured")
                    // each consumer has connections of its own, each with its handshakes
                    .config("penstock.intake.consumers", "2")
                    // a ledger from an earlier broker may have an outcome for this job
                    .config("penstock.ledger.path", folder.resolve("ledger.db").toString())
                    .node("fake", "vllm", URI.create(fake.url()), 4);
            variables(workload, secrets)
                    .forEach((name, value) ->
                            penstock.environment(name, value.replace("/opt/penstock/kafka-ca", folder.toString())));

            // the test sends the job and reads its end through the broker's other listener
            try (PenstockProcess running = penstock.startReady();
                    ReplyLog replies = ReplyLog.follow(broker.bootstrap());
                    JobSender jobs = new JobSender(broker.bootstrap())) {
                jobs.send("secured", "Hi");
                jobs.sendRaw(null, "{\"job\": {\"id\": \"broken\"}}".getBytes(StandardCharsets.UTF_8));
                jobs.flush();
                replies.awaitOutcomes(List.of("secured"), PATIENCE);
                // with its dead letter
                var _ = replies.awaitEvent("broken", event -> event.mark().kind() == EventMark.Kind.REJECTED, PATIENCE);

                assertThat(replies.completedText("secured")).as(how).isEqualTo("past it");
                assertThat(running.process().output())
                        .noneMatch(line -> line.toLowerCase(Locale.ROOT).contains("authoriz"));
            }
        }
    }

    private static List<Manifest> render(int secured, FakeUpstream fake, String sasl, boolean topics) {
        Path values = Chart.valuesFile("""
            penstock:
              auth: {mode: none}
              nodes: {fake: {backend: vllm, url: "%s"}}
            kafka:
              bootstrapServers: 127.0.0.1:%d
              securityProtocol: SASL_SSL
              tls: {caSecret: ca, clientSecret: client}
              sasl: {%s}
            strimzi: {enabled: true, cluster: kafka, topicReplicas: 1, topics: %s, user: penstock}
            """.formatted(fake.url(), secured, sasl, topics));
        return Chart.render(values);
    }

    private static Manifest one(List<Manifest> manifests, String kind) {
        return manifests.stream()
                .filter(manifest -> manifest.is(kind))
                .findFirst()
                .orElseThrow();
    }

    /** Creates what Strimzi's operators make of the resources. */
    private static void grant(Broker broker, List<Manifest> manifests) throws InterruptedException, ExecutionException {
        List<NewTopic> topics = manifests.stream()
                .filter(manifest -> manifest.is("KafkaTopic"))
                .map(Manifest::spec)
                .map(spec -> new NewTopic(
                                spec.path("topicName").asText(),
                                spec.path("partitions").asInt(),
                                (short) spec.path("replicas").asInt())
                        .configs(Manifest.strings(spec.path("config"))))
                .toList();
        List<AclBinding> rights = new ArrayList<>();
        for (JsonNode acl :
                one(manifests, "KafkaUser").spec().path("authorization").path("acls")) {
            JsonNode resource = acl.path("resource");
            var pattern = new ResourcePattern(
                    ResourceType.fromString(resource.path("type").asText()),
                    resource.path("name").asText(Resource.CLUSTER_NAME),
                    resource.path("patternType").asText().equals("prefix")
                            ? PatternType.PREFIXED
                            : PatternType.LITERAL);
            acl.path("operations")
                    .forEach(operation -> rights.add(new AclBinding(
                            pattern,
                            new AccessControlEntry(
                                    "User:penstock",
                                    "*",
                                    SecurityUtils.operation(operation.asText()),
                                    AclPermissionType.ALLOW))));
        }
        try (Admin admin = broker.admin()) {
            admin.createTopics(topics).all().get();
            admin.createAcls(rights).all().get();
        }
    }

    /** Resolves variables like the kubelet: it looks up secrets, and expands references to earlier variables. */
    private static Map<String, String> variables(Manifest workload, Map<String, String> secrets) {
        Map<String, String> variables = new HashMap<>();
        for (JsonNode variable :
                workload.podTemplate().path("spec").path("containers").path(0).path("env")) {
            JsonNode reference = variable.path("valueFrom").path("secretKeyRef");
            String value = reference.isObject()
                    ? Objects.requireNonNull(secrets.get(reference.path("name").asText() + "/"
                            + reference.path("key").asText()))
                    : REFERENCE
                            .matcher(variable.path("value").asText())
                            .replaceAll(match ->
                                    Matcher.quoteReplacement(Objects.requireNonNull(variables.get(match.group(1)))));
            variables.put(variable.path("name").asText(), value);
        }
        return variables;
    }

    /** The settings of Kafka's client are in variables. Nothing else allows the token server. */
    @Test
    void tokens_of_an_oauth_server() throws Exception {
        int secured = Broker.freePort();
        try (TokenServer server = TokenServer.start(folder)) {
            int plain = Broker.freePort();
            Map<String, String> settings = Broker.listeners(plain, secured, "SASL_PLAINTEXT");
            settings.putAll(server.broker("secured"));
            try (Broker broker = Broker.start(plain, settings);
                    FakeUpstream fake = FakeUpstream.start().script(_ -> Answer.of("past", " it"))) {
                PenstockProcess.Builder penstock = PenstockProcess.with("127.0.0.1:" + secured)
                        .name("tokens")
                        .config("penstock.intake.consumers", "2")
                        .config(
                                "penstock.ledger.path",
                                folder.resolve("ledger.db").toString())
                        .node("fake", "vllm", URI.create(fake.url()), 4);
                server.client()
                        .forEach((key, value) -> penstock.environment(
                                "KAFKA_" + key.toUpperCase(Locale.ROOT).replace('.', '_'), value));
                try (PenstockProcess _ = penstock.startReady();
                        ReplyLog replies = ReplyLog.follow(broker.bootstrap());
                        JobSender jobs = new JobSender(broker.bootstrap())) {
                    jobs.send("tokens", "Hi");
                    jobs.flush();
                    replies.awaitOutcomes(List.of("tokens"), PATIENCE);

                    assertThat(replies.completedText("tokens")).isEqualTo("past it");
                    assertThat(server.tokens()).isPositive();
                }
            }
        }
    }

    private static Broker start(int secured, Certificates server, Certificates client)
            throws InterruptedException, ExecutionException {
        int plain = Broker.freePort();
        Map<String, String> settings = Broker.listeners(plain, secured, "SASL_SSL");
        settings.put("sasl.enabled.mechanisms", "SCRAM-SHA-512");
        settings.put(
                "listener.name.secured.scram-sha-512.sasl.jaas.config",
                "org.apache.kafka.common.security.scram.ScramLoginModule required;");
        settings.put("listener.name.secured.ssl.client.auth", "required");
        settings.put("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer");
        // the user of the other listeners
        settings.put("super.users", "User:ANONYMOUS");
        settings.putAll(server.settings(client));
        Broker broker = Broker.start(plain, settings);
        try (Admin admin = broker.admin()) {
            admin.alterUserScramCredentials(List.of(new UserScramCredentialUpsertion(
                            "penstock", new ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096), PASSWORD)))
                    .all()
                    .get();
        }
        return broker;
    }
}
