package dev.penstock.kafka.share;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.net.httpserver.HttpServer;
import dev.penstock.testkit.Broker;
import java.io.IOException;
import java.math.BigInteger;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.Signature;
import java.security.interfaces.RSAPublicKey;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BooleanSupplier;
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
    private static final String STORE_PASSWORD = "changeit";
    private static final int REAUTHENTICATION_MILLIS = 2_000;
    private static final String URLS = "org.apache.kafka.sasl.oauthbearer.allowed.urls";

    @TempDir
    private Path folder = Path.of("");

    @Test
    void certificates_and_scram() throws Exception {
        keyPair("broker");
        keyPair("client");
        Map<String, String> settings = listener("SASL_SSL");
        settings.put("sasl.enabled.mechanisms", "SCRAM-SHA-512");
        settings.put(
                "listener.name.secured.scram-sha-512.sasl.jaas.config",
                "org.apache.kafka.common.security.scram.ScramLoginModule required;");
        settings.put("listener.name.secured.ssl.client.auth", "required");
        settings.putAll(stores("broker", "client"));
        try (Broker broker = Broker.start(port(settings, "PLAINTEXT"), settings)) {
            try (Admin admin = broker.admin()) {
                admin.alterUserScramCredentials(List.of(new UserScramCredentialUpsertion(
                                "penstock", new ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096), "secret")))
                        .all()
                        .get();
            }
            Map<String, Object> client = new HashMap<>(stores("client", "broker"));
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
        KeyPair keys = rsa();
        Path jwks = folder.resolve("jwks.json");
        Files.writeString(jwks, jwks((RSAPublicKey) keys.getPublic()));
        AtomicInteger tokens = new AtomicInteger();
        HttpServer server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.createContext("/token", exchange -> {
            exchange.getRequestBody().readAllBytes();
            tokens.incrementAndGet();
            byte[] answer = "{\"access_token\":\"%s\",\"token_type\":\"Bearer\",\"expires_in\":30}"
                    .formatted(token(keys))
                    .getBytes(StandardCharsets.UTF_8);
            exchange.getResponseHeaders().add("Content-Type", "application/json");
            exchange.sendResponseHeaders(200, answer.length);
            exchange.getResponseBody().write(answer);
            exchange.close();
        });
        server.start();
        String url = "http://127.0.0.1:%d/token".formatted(server.getAddress().getPort());
        System.setProperty(URLS, url + "," + jwks.toUri());
        Map<String, String> settings = listener("SASL_PLAINTEXT");
        settings.put("sasl.enabled.mechanisms", "OAUTHBEARER");
        settings.put(
                "listener.name.secured.oauthbearer.sasl.jaas.config",
                "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;");
        settings.put(
                "listener.name.secured.oauthbearer.sasl.server.callback.handler.class",
                "org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallbackHandler");
        settings.put("sasl.oauthbearer.jwks.endpoint.url", jwks.toUri().toString());
        settings.put("sasl.oauthbearer.expected.audience", "kafka");
        try (Broker broker = Broker.start(port(settings, "PLAINTEXT"), settings)) {
            Map<String, Object> client = new HashMap<>();
            client.put("security.protocol", "SASL_PLAINTEXT");
            client.put("sasl.mechanism", "OAUTHBEARER");
            client.put(
                    "sasl.login.callback.handler.class",
                    "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginCallbackHandler");
            client.put("sasl.oauthbearer.token.endpoint.url", url);
            client.put(
                    "sasl.jaas.config",
                    "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required clientId=\"penstock\" clientSecret=\"secret\";");
            works(broker, port(settings, "SECURED"), client);
            assertThat(tokens.get()).isPositive();
        } finally {
            System.clearProperty(URLS);
            server.stop(0);
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
            await("all jobs", () -> work.doneAt().size() == 80);
            System.out.printf("%s: %s%n", security.get("sasl.mechanism"), member.statistics());
            assertThat(member.lost).isEmpty();
            assertThat(member.statistics().disconnects()).isZero();
            assertThat(work.runs().values()).allMatch(runs -> runs == 1);
        }
    }

    private static void await(String what, BooleanSupplier condition) throws InterruptedException {
        long end = System.nanoTime() + PATIENCE.toNanos();
        while (!condition.getAsBoolean()) {
            assertThat(System.nanoTime()).as(what).isLessThan(end);
            Thread.sleep(50);
        }
    }

    private static Map<String, String> listener(String protocol) {
        Map<String, String> settings = new HashMap<>();
        int plain = Broker.freePort();
        int secured = Broker.freePort();
        settings.put(
                "listeners",
                "PLAINTEXT://127.0.0.1:%d,SECURED://127.0.0.1:%d,CONTROLLER://127.0.0.1:%d"
                        .formatted(plain, secured, Broker.freePort()));
        settings.put(
                "advertised.listeners", "PLAINTEXT://127.0.0.1:%d,SECURED://127.0.0.1:%d".formatted(plain, secured));
        settings.put("inter.broker.listener.name", "PLAINTEXT");
        settings.put(
                "listener.security.protocol.map",
                "PLAINTEXT:PLAINTEXT,SECURED:%s,CONTROLLER:PLAINTEXT".formatted(protocol));
        settings.put("listener.name.secured.connections.max.reauth.ms", Integer.toString(REAUTHENTICATION_MILLIS));
        return settings;
    }

    private static int port(Map<String, String> settings, String listener) {
        return Integer.parseInt(
                settings.getOrDefault("listeners", "").replaceAll(".*" + listener + "://127.0.0.1:(\\d+).*", "$1"));
    }

    private Map<String, String> stores(String own, String trusted) {
        return Map.of(
                "ssl.keystore.type",
                "PKCS12",
                "ssl.keystore.location",
                folder.resolve(own + ".p12").toString(),
                "ssl.keystore.password",
                STORE_PASSWORD,
                "ssl.truststore.type",
                "PKCS12",
                "ssl.truststore.location",
                folder.resolve(trusted + ".trust.p12").toString(),
                "ssl.truststore.password",
                STORE_PASSWORD);
    }

    /** Creates a key with a self-signed certificate, and a trust store for it. */
    private void keyPair(String name) throws IOException, InterruptedException {
        String store = folder.resolve(name + ".p12").toString();
        String certificate = folder.resolve(name + ".pem").toString();
        keytool(
                "-genkeypair",
                "-alias",
                name,
                "-keyalg",
                "EC",
                "-dname",
                "CN=" + name,
                "-ext",
                "san=ip:127.0.0.1",
                "-keystore",
                store);
        keytool("-exportcert", "-rfc", "-alias", name, "-file", certificate, "-keystore", store);
        keytool(
                "-importcert",
                "-noprompt",
                "-alias",
                name,
                "-file",
                certificate,
                "-keystore",
                folder.resolve(name + ".trust.p12").toString());
    }

    private static void keytool(String... arguments) throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "keytool").toString()));
        command.addAll(List.of(arguments));
        command.addAll(List.of("-storetype", "PKCS12", "-storepass", STORE_PASSWORD));
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(process.waitFor()).as(output).isZero();
    }

    private static KeyPair rsa() throws GeneralSecurityException {
        KeyPairGenerator generator = KeyPairGenerator.getInstance("RSA");
        generator.initialize(2048);
        return generator.generateKeyPair();
    }

    private static String jwks(RSAPublicKey key) {
        return "{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"one\",\"alg\":\"RS256\",\"use\":\"sig\",\"n\":\"%s\",\"e\":\"%s\"}]}"
                .formatted(encoded(key.getModulus()), encoded(key.getPublicExponent()));
    }

    private static String encoded(BigInteger number) {
        byte[] bytes = number.toByteArray();
        int sign = bytes[0] == 0 ? 1 : 0;
        byte[] unsigned = java.util.Arrays.copyOfRange(bytes, sign, bytes.length);
        return encoded(unsigned);
    }

    private static String encoded(byte[] bytes) {
        return Base64.getUrlEncoder().withoutPadding().encodeToString(bytes);
    }

    private static String token(KeyPair keys) {
        long now = System.currentTimeMillis() / 1000;
        String head = "{\"alg\":\"RS256\",\"kid\":\"one\",\"typ\":\"JWT\"}";
        String claims = "{\"sub\":\"penstock\",\"aud\":\"kafka\",\"scope\":\"jobs\",\"iat\":%d,\"exp\":%d}"
                .formatted(now, now + 30);
        String signed =
                encoded(head.getBytes(StandardCharsets.UTF_8)) + "." + encoded(claims.getBytes(StandardCharsets.UTF_8));
        try {
            Signature signature = Signature.getInstance("SHA256withRSA");
            signature.initSign(keys.getPrivate());
            signature.update(signed.getBytes(StandardCharsets.UTF_8));
            return signed + "." + encoded(signature.sign());
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException(e);
        }
    }
}
