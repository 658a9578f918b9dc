package dev.penstock.kafka.share;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.testkit.Broker;
import dev.penstock.testkit.Certificates;
import dev.penstock.testkit.Conditions;
import dev.penstock.testkit.TokenServer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.ScramCredentialInfo;
import org.apache.kafka.clients.admin.ScramMechanism;
import org.apache.kafka.clients.admin.UserScramCredentialUpsertion;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The share client logs in with the ordinary settings of a Kafka client, and again while its sessions last. */
class ShareLoginIT {
    private static final Duration PATIENCE = Duration.ofSeconds(Integer.getInteger("penstock.share.patience", 60));
    private static final String TOPIC = "secured";
    private static final int REAUTHENTICATION_MILLIS = 2_000;

    @TempDir
    private Path folder = Path.of("");

    @Test
    void certificates_and_scram() throws Exception {
        Certificates server = Certificates.create(folder, "broker");
        Certificates user = Certificates.create(folder, "client");
        Map<String, String> settings = listener("SASL_SSL");
        settings.put("sasl.enabled.mechanisms", "SCRAM-SHA-512");
        settings.put(
                "listener.name.secured.scram-sha-512.sasl.jaas.config",
                "org.apache.kafka.common.security.scram.ScramLoginModule required;");
        settings.put("listener.name.secured.ssl.client.auth", "required");
        settings.putAll(server.settings(user));
        try (Broker broker = Broker.start(port(settings, "PLAINTEXT"), settings)) {
            try (Admin admin = broker.admin()) {
                admin.alterUserScramCredentials(List.of(new UserScramCredentialUpsertion(
                                "penstock", new ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096), "secret")))
                        .all()
                        .get();
            }
            Map<String, Object> client = new HashMap<>(user.settings(server));
            client.put("security.protocol", "SASL_SSL");
            client.put("sasl.mechanism", "SCRAM-SHA-512");
            client.put(
                    "sasl.jaas.config",
                    "org.apache.kafka.common.security.scram.ScramLoginModule required username=\"penstock\" password=\"secret\";");
            works(broker, port(settings, "SECURED"), client);
        }
    }

    @Test
    void tokens_of_a_server() throws Exception {
        try (TokenServer server = TokenServer.start(folder)) {
            Map<String, String> settings = listener("SASL_PLAINTEXT");
            settings.putAll(server.broker("secured"));
            try (Broker broker = Broker.start(port(settings, "PLAINTEXT"), settings)) {
                works(broker, port(settings, "SECURED"), new HashMap<>(server.client()));
                assertThat(server.tokens()).isPositive();
            }
        }
    }

    /** Jobs run for longer than the broker accepts a login, and none loses its lock. */
    private static void works(Broker broker, int port, Map<String, Object> security) throws Exception {
        try (Admin admin = broker.admin()) {
            admin.createTopics(List.of(new NewTopic(TOPIC, 2, (short) 1))).all().get();
        }
        broker.setGroup("group-" + TOPIC, "share.auto.offset.reset", "earliest");
        broker.setGroup("group-" + TOPIC, "share.record.lock.duration.ms", "3000");
        WorkingMember.Work work = new WorkingMember.Work(10, 4 * REAUTHENTICATION_MILLIS);
        try (WorkingMember member = new WorkingMember("127.0.0.1:" + port, security, work)
                        .take(TOPIC, 40)
                        .start();
                KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(
                        Map.of("bootstrap.servers", broker.bootstrap()),
                        new ByteArraySerializer(),
                        new ByteArraySerializer())) {
            for (int i = 0; i < 80; i++) {
                var _ = producer.send(
                        new ProducerRecord<>(TOPIC, i % 2, null, ("record-" + i).getBytes(StandardCharsets.UTF_8)));
            }
            Conditions.await(() -> work.doneAt().size() == 80, PATIENCE, "all jobs");
            System.out.printf("%s: %s%n", security.get("sasl.mechanism"), member.statistics());
            assertThat(member.lost).isEmpty();
            assertThat(member.statistics().disconnects()).isZero();
            assertThat(work.runs().values()).allMatch(runs -> runs == 1);
        }
    }

    private static Map<String, String> listener(String protocol) {
        Map<String, String> settings = Broker.listeners(Broker.freePort(), Broker.freePort(), protocol);
        settings.put("listener.name.secured.connections.max.reauth.ms", Integer.toString(REAUTHENTICATION_MILLIS));
        return settings;
    }

    private static int port(Map<String, String> settings, String listener) {
        return Integer.parseInt(
                settings.getOrDefault("listeners", "").replaceAll(".*" + listener + "://127.0.0.1:(\\d+).*", "$1"));
    }
}
