package dev.penstock.cli.kafka;

import dev.penstock.cli.job.Problem;
import dev.penstock.job.JobFailure;
import dev.penstock.job.JobId;
import dev.penstock.kafka.BoundedValues;
import dev.penstock.kafka.KafkaClients;
import dev.penstock.wire.document.ErrorDocument;
import dev.penstock.wire.record.RecordSize;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.CommonClientConfigs;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AdminClientConfig;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.config.ConfigException;
import org.apache.kafka.common.errors.AuthenticationException;
import org.apache.kafka.common.errors.AuthorizationException;
import org.apache.kafka.common.errors.InvalidTopicException;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.utils.Utils;
import org.jspecify.annotations.Nullable;

/**
 * Creates Kafka clients, and translates their failures for the user.
 *
 * @param more further properties from the user, for every client
 */
public record KafkaAccess(String brokers, Map<String, Object> more) {
    static final Duration ANSWER_WITHIN = Duration.ofSeconds(10);

    /**
     * The largest request. It has room for the service's largest record (penstock.kafka.max-record) and the record's
     * overhead.
     */
    private static final int MAX_REQUEST = 64 * 1024 * 1024;

    public KafkaAccess {
        more = Map.copyOf(more);
    }

    /** Returns a producer that sends each record once, to all in-sync replicas. */
    public KafkaProducer<byte[], byte[]> producer() throws Problem {
        Map<String, Object> properties = common();
        properties.put(ProducerConfig.ACKS_CONFIG, "all");
        properties.put(ProducerConfig.LINGER_MS_CONFIG, 0);
        properties.put(ProducerConfig.MAX_BLOCK_MS_CONFIG, (int) ANSWER_WITHIN.toMillis());
        properties.put(ProducerConfig.MAX_REQUEST_SIZE_CONFIG, MAX_REQUEST);
        properties.put(ProducerConfig.BUFFER_MEMORY_CONFIG, 2L * MAX_REQUEST);
        try {
            return new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer());
        } catch (KafkaException e) {
            throw problem(e);
        }
    }

    /** Returns a consumer without a group. Its caller assigns partitions to it. It does not create topics. */
    public KafkaConsumer<byte[], byte[]> consumer() throws Problem {
        Map<String, Object> properties = common();
        properties.put(ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG, false);
        properties.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
        properties.put(ConsumerConfig.ALLOW_AUTO_CREATE_TOPICS_CONFIG, false);
        properties.put(ConsumerConfig.ISOLATION_LEVEL_CONFIG, "read_committed");
        properties.put(ConsumerConfig.DEFAULT_API_TIMEOUT_MS_CONFIG, (int) ANSWER_WITHIN.toMillis());
        properties.put(ConsumerConfig.REQUEST_TIMEOUT_MS_CONFIG, (int) ANSWER_WITHIN.toMillis());
        properties.remove(ConsumerConfig.GROUP_ID_CONFIG);
        try {
            return BoundedValues.consumer(properties, RecordSize.kept(0));
        } catch (KafkaException e) {
            throw problem(e);
        }
    }

    public Admin admin() throws Problem {
        return admin(ANSWER_WITHIN);
    }

    /** @param within the time limit of each request */
    public Admin admin(Duration within) throws Problem {
        Map<String, Object> properties = common();
        int millis = shorter(properties.get(AdminClientConfig.DEFAULT_API_TIMEOUT_MS_CONFIG), (int) within.toMillis());
        properties.put(AdminClientConfig.DEFAULT_API_TIMEOUT_MS_CONFIG, millis);
        properties.put(AdminClientConfig.REQUEST_TIMEOUT_MS_CONFIG, millis);
        try {
            return Admin.create(properties);
        } catch (KafkaException e) {
            throw problem(e);
        }
    }

    /** Returns the user's time limit if it is shorter than this limit, else this limit. */
    private static int shorter(@Nullable Object own, int millis) {
        try {
            return own == null
                    ? millis
                    : Math.clamp(Long.parseLong(own.toString().strip()), 1, millis);
        } catch (NumberFormatException _) {
            return millis;
        }
    }

    /** Waits for the broker's answer and returns it. */
    public <T> T get(KafkaFuture<T> answer) throws Problem, InterruptedException {
        try {
            return answer.get();
        } catch (ExecutionException e) {
            throw e.getCause() instanceof KafkaException cause ? problem(cause) : Problem.brokenOff(String.valueOf(e));
        }
    }

    private Map<String, Object> common() {
        Map<String, Object> properties = KafkaClients.withDefaults(more);
        properties.put(CommonClientConfigs.BOOTSTRAP_SERVERS_CONFIG, brokers);
        properties.putIfAbsent(CommonClientConfigs.CLIENT_ID_CONFIG, "penstock-cli");
        // turns off metrics, because no program reads a command's metrics
        properties.put(CommonClientConfigs.METRIC_REPORTER_CLASSES_CONFIG, "");
        properties.put(CommonClientConfigs.ENABLE_METRICS_PUSH_CONFIG, false);
        return properties;
    }

    /**
     * Returns the number of a topic's partitions. Throws a problem if the topic is missing, because this command must
     * not create it.
     */
    public int partitions(KafkaConsumer<byte[], byte[]> consumer, String topic) throws Problem {
        try {
            int partitions = consumer.partitionsFor(topic, ANSWER_WITHIN).size();
            if (partitions > 0) {
                return partitions;
            }
        } catch (UnknownTopicOrPartitionException | InvalidTopicException _) {
            // the code below reports this failure
        } catch (KafkaException e) {
            throw problem(e);
        }
        throw Problem.refused(
                "there is no topic '%s' at %s: Penstock makes it when it starts".formatted(topic, brokers));
    }

    /** Returns the partition that holds a job's records. */
    static int partition(JobId id, int partitions) {
        return Utils.toPositive(Utils.murmur2(Utils.utf8(id.value()))) % partitions;
    }

    /** Writes a record, and waits until the broker has confirmed it. */
    public RecordMetadata write(KafkaProducer<byte[], byte[]> producer, ProducerRecord<byte[], byte[]> record)
            throws Problem, InterruptedException {
        try {
            return producer.send(record).get();
        } catch (ExecutionException e) {
            throw e.getCause() instanceof KafkaException cause ? problem(cause) : Problem.brokenOff(String.valueOf(e));
        } catch (KafkaException e) {
            throw problem(e);
        }
    }

    /** Describes a Kafka client's failure in one line, with the cause and the way out. */
    public Problem problem(KafkaException e) {
        Throwable root = e.getCause() instanceof ConfigException cause ? cause : e;
        return switch (root) {
            case ConfigException config ->
                String.valueOf(config.getMessage()).contains("bootstrap")
                        ? Problem.brokenOff("--kafka: none of '%s' is a broker's host:port".formatted(brokers))
                        : Problem.usage("--kafka-config: " + config.getMessage());
            case TimeoutException _ ->
                Problem.brokenOff(
                        "Kafka at %s does not answer: is it running? (--kafka sets the brokers)".formatted(brokers));
            case AuthenticationException _ ->
                Problem.refused(
                        "Kafka at %s refused the credentials of --kafka-config: %s".formatted(brokers, e.getMessage()));
            case AuthorizationException _ ->
                Problem.refused("Kafka at %s does not allow it: %s".formatted(brokers, e.getMessage()));
            case RecordTooLargeException _ -> {
                String message = "the job is larger than the topic takes: " + e.getMessage();
                yield Problem.refused(
                        message,
                        ErrorDocument.of(JobFailure.of(JobFailure.Code.TOO_LARGE, message))
                                .path("error"));
            }
            default -> Problem.brokenOff("Kafka at %s: %s".formatted(brokers, e.getMessage()));
        };
    }
}
