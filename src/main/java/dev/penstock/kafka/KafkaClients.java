package dev.penstock.kafka;

import dev.penstock.wire.record.RecordSize;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.CommonClientConfigs;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AdminClientConfig;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.DescribeConfigsOptions;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.config.SaslConfigs;
import org.apache.kafka.common.errors.RecordBatchTooLargeException;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.security.oauthbearer.ClientJwtValidator;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.jspecify.annotations.Nullable;

/**
 * Makes every Kafka client of Penstock. Penstock's own settings override the user's {@code kafka.*} keys. One {@link
 * #admin()} serves all occasional requests. Thread-safe.
 */
public final class KafkaClients implements AutoCloseable {
    private static final String COMMITTED =
            IsolationLevel.READ_COMMITTED.toString().toLowerCase(Locale.ROOT);
    private static final int METADATA_MAX_AGE_MILLIS = 2_000;
    private static final int CONFIG_MILLIS = 2_000;
    private static final int BRIEF_WAIT_MILLIS = 10;
    /**
     * A broker waits so long for a member that does not rejoin, and a member waits five seconds longer for the answer to
     * its request to join (4.3.1). With Kafka's five minutes, a group that lost a member while its broker restarted took
     * no record for five minutes. Every loop polls several times a second.
     */
    private static final int REJOINS_WITHIN_MILLIS = 60_000;

    private static final String ALLOWED_TOKEN_URLS = "org.apache.kafka.sasl.oauthbearer.allowed.urls";

    /** The default address of Kafka. */
    public static final String DEFAULT_SERVERS = "localhost:9092";

    private final Map<String, Object> common;
    private final int maxRecord;
    /** Guarded by this. */
    private @Nullable Admin shared;

    /**
     * @param common the user's keys without their prefix
     * @param maxRecord the largest record, in bytes
     */
    public KafkaClients(Map<String, Object> common, int maxRecord) {
        this.common = Map.copyOf(withDefaults(common));
        this.maxRecord = maxRecord;
    }

    /** Returns the properties of any client: the user's keys, and defaults for some of the others. */
    public static Map<String, Object> withDefaults(Map<String, ?> given) {
        Map<String, Object> all = new HashMap<>(given);
        all.putIfAbsent(CommonClientConfigs.BOOTSTRAP_SERVERS_CONFIG, DEFAULT_SERVERS);
        Object tokens = all.get(SaslConfigs.SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL);
        if (tokens != null) {
            // the default class also checks tokens for brokers, with a library that is not here (4.3.1)
            all.putIfAbsent(SaslConfigs.SASL_OAUTHBEARER_JWT_VALIDATOR_CLASS, ClientJwtValidator.class.getName());
            allowTokenUrl(tokens.toString());
        }
        return all;
    }

    /**
     * Allows the token server of the user's keys. Kafka's client (4.x) requires this as a system property, so that an
     * untrusted configuration cannot choose a server. A property of the user stays.
     */
    private static void allowTokenUrl(String url) {
        if (System.getProperty(ALLOWED_TOKEN_URLS) == null) {
            System.setProperty(ALLOWED_TOKEN_URLS, url);
        }
    }

    /** Returns the size of the largest record, in bytes. */
    public int maxRecord() {
        return maxRecord;
    }

    public String bootstrapServers() {
        return String.valueOf(common.get(CommonClientConfigs.BOOTSTRAP_SERVERS_CONFIG));
    }

    /**
     * Returns the shared client for all requests with the user's timeouts. A caller must not close it.
     *
     * @throws KafkaException it cannot be made now; the next call tries again
     */
    public synchronized Admin admin() {
        Admin known = shared;
        if (known == null) {
            known = admin("penstock-admin");
            shared = known;
        }
        return known;
    }

    /** Returns a new client for one caller, whose calls end within this time. */
    public Admin admin(String clientId, Duration within) {
        int millis = (int) within.toMillis();
        return admin(
                clientId,
                Map.of(
                        AdminClientConfig.DEFAULT_API_TIMEOUT_MS_CONFIG, millis,
                        AdminClientConfig.REQUEST_TIMEOUT_MS_CONFIG, millis));
    }

    /** Returns a new client for one caller, with the user's timeouts. */
    public Admin admin(String clientId) {
        return admin(clientId, Map.of());
    }

    /**
     * Returns a new client for one caller. The caller has other timeouts, or it must not wait for other callers: a
     * client sends only one request at a time to each broker (4.3.1).
     *
     * @param more the properties of this client only
     */
    public Admin admin(String clientId, Map<String, Object> more) {
        Map<String, Object> properties = with(more);
        properties.put(CommonClientConfigs.CLIENT_ID_CONFIG, clientId);
        return Admin.create(properties);
    }

    /**
     * Returns a producer with acks=all and idempotence, so that the events of one partition keep their order.
     *
     * @param more the properties of this client only
     */
    public KafkaProducer<byte[], byte[]> producer(String clientId, Map<String, Object> more) {
        Map<String, Object> properties = with(Map.of(
                CommonClientConfigs.CLIENT_ID_CONFIG,
                clientId,
                ProducerConfig.ACKS_CONFIG,
                "all",
                ProducerConfig.ENABLE_IDEMPOTENCE_CONFIG,
                true,
                // a record is larger than its value: it also has a key, headers and a share of the batch
                ProducerConfig.MAX_REQUEST_SIZE_CONFIG,
                maxRecord + 65_536,
                ProducerConfig.BUFFER_MEMORY_CONFIG,
                Math.max(33_554_432L, 4L * maxRecord)));
        properties.putAll(more);
        return new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer());
    }

    /**
     * Returns a consumer without a group: its caller assigns partitions and seeks. It returns no records of aborted or
     * open transactions. It discovers a new partition within seconds.
     */
    public KafkaConsumer<byte[], byte[]> reader(String clientId, Map<String, Object> more) {
        Map<String, Object> properties = with(Map.of(
                CommonClientConfigs.CLIENT_ID_CONFIG,
                clientId,
                ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG,
                false,
                ConsumerConfig.AUTO_OFFSET_RESET_CONFIG,
                "earliest",
                ConsumerConfig.ALLOW_AUTO_CREATE_TOPICS_CONFIG,
                false,
                ConsumerConfig.ISOLATION_LEVEL_CONFIG,
                COMMITTED,
                ConsumerConfig.METADATA_MAX_AGE_CONFIG,
                METADATA_MAX_AGE_MILLIS,
                ConsumerConfig.MAX_POLL_INTERVAL_MS_CONFIG,
                REJOINS_WITHIN_MILLIS));
        properties.remove(CommonClientConfigs.GROUP_ID_CONFIG);
        properties.putAll(more);
        return BoundedValues.consumer(properties, RecordSize.kept(maxRecord));
    }

    /**
     * Returns a {@link #reader} for the records that a topic has now, which its caller closes soon. At the end of the
     * topic a fetch waits at the broker, and the close of a consumer waits for its fetch (4.3.1). Here this wait is short.
     */
    public KafkaConsumer<byte[], byte[]> briefReader(String clientId, Map<String, Object> more) {
        Map<String, Object> properties = new HashMap<>(more);
        properties.put(ConsumerConfig.FETCH_MAX_WAIT_MS_CONFIG, BRIEF_WAIT_MILLIS);
        return reader(clientId, properties);
    }

    /** Sends a record. The future completes when the broker has the record. */
    public static CompletableFuture<RecordMetadata> send(
            Producer<byte[], byte[]> producer, ProducerRecord<byte[], byte[]> record) {
        CompletableFuture<RecordMetadata> sent = new CompletableFuture<>();
        var _ = producer.send(record, (place, failure) -> {
            if (failure == null) {
                sent.complete(place);
            } else {
                sent.completeExceptionally(failure);
            }
        });
        return sent;
    }

    /** Returns whether the broker or the producer refused a record for its size. */
    public static boolean isTooLarge(Throwable failure) {
        Throwable cause = cause(failure);
        return cause instanceof RecordTooLargeException || cause instanceof RecordBatchTooLargeException;
    }

    /**
     * Returns whether a wait for the broker timed out: for the metadata of the topic, for room in the buffer, or for an
     * answer.
     */
    public static boolean isTimeout(Throwable failure) {
        return cause(failure) instanceof TimeoutException;
    }

    /** Returns the original failure, without the exceptions that carried it from another thread. */
    public static Throwable cause(Throwable failure) {
        Throwable cause = failure.getCause();
        return cause != null && (failure instanceof CompletionException || failure instanceof ExecutionException)
                ? cause
                : failure;
    }

    /** Returns a topic's setting from the broker; empty if the broker does not answer at once. */
    public Optional<String> topicConfig(String topic, String key) {
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        DescribeConfigsOptions impatient = new DescribeConfigsOptions().timeoutMs(CONFIG_MILLIS);
        try {
            return admin().describeConfigs(List.of(resource), impatient).all().get().values().stream()
                    .map(config -> config.get(key))
                    .filter(Objects::nonNull)
                    .map(ConfigEntry::value)
                    .filter(Objects::nonNull)
                    .findFirst();
        } catch (ExecutionException | KafkaException _) {
            return Optional.empty();
        } catch (InterruptedException _) {
            Thread.currentThread().interrupt();
            return Optional.empty();
        }
    }

    /** Returns the common keys, overridden by more keys. */
    public Map<String, Object> with(Map<String, Object> more) {
        Map<String, Object> properties = new HashMap<>(common);
        properties.putAll(more);
        return properties;
    }

    @Override
    public synchronized void close() {
        if (shared != null) {
            shared.close(Duration.ofSeconds(2));
        }
    }
}
