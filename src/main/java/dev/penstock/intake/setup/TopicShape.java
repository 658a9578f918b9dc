package dev.penstock.intake.setup;

import dev.penstock.reply.WebhookDelay;
import dev.penstock.schedule.Delay;
import dev.penstock.settings.Settings;
import dev.penstock.wire.record.RecordSize;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.config.TopicConfig;

/**
 * The properties with which Penstock creates a topic.
 *
 * @param configs its settings, without its retention
 */
public record TopicShape(int partitions, Duration retention, Map<String, String> configs) {
    private static final int JOB_PARTITIONS = 4;
    private static final int REPLY_PARTITIONS = 12;
    /** Kafka's value for no limit: −1. */
    private static final Duration FOR_EVER = Duration.ofMillis(-1);

    private static final Duration WEEK = Duration.ofDays(7);
    private static final Duration DAY = Duration.ofDays(1);
    private static final Duration MONTH = Duration.ofDays(30);
    /**
     * The timestamp type with which the broker sets the timestamps of the records. By these timestamps, a job's
     * recovery finds the offset where it begins to read.
     */
    private static final String BROKERS_TIME = "LogAppendTime";
    /**
     * The setting that makes the broker decompress records, so that the topic's size limit applies to their real size.
     */
    private static final String UNCOMPRESSED = "uncompressed";

    public TopicShape {
        configs = Map.copyOf(configs);
    }

    /**
     * Returns the topics that must not contain compressed records: all topics that replicas read, except for the
     * reply topic. Only Penstock writes to the reply topic.
     */
    public static List<String> boundedOnes(Settings settings) {
        List<String> names = new ArrayList<>();
        settings.intake().topics().forEach(topic -> names.add(topic.name()));
        Settings.Topics topics = settings.topics();
        names.addAll(List.of(topics.deferred(), topics.commands(), topics.settings(), topics.deadLetters()));
        if (!settings.webhooks().isEmpty()) {
            names.add(topics.webhooks());
        }
        return names;
    }

    /** Returns whether a topic's size limit applies to the size of its records in memory. */
    public static boolean bounds(String compression) {
        return compression.equals(UNCOMPRESSED);
    }

    /** Returns the warning, with its remedy, for a topic of {@link #boundedOnes} that has another compression. */
    public static String unbounded(String topic, String compression, String brokers) {
        return "topic=%s its %s is %s: its max.message.bytes bounds compressed records, and a small one may grow to more than the memory of each replica that reads it. kafka-configs --bootstrap-server %s --alter --topic %s --add-config %s=%s"
                .formatted(
                        topic,
                        TopicConfig.COMPRESSION_TYPE_CONFIG,
                        compression,
                        brokers,
                        topic,
                        TopicConfig.COMPRESSION_TYPE_CONFIG,
                        UNCOMPRESSED);
    }

    /** Returns the shape of every topic of an installation, by the topic's name. */
    public static Map<String, TopicShape> all(Settings settings) {
        int record = settings.maxRecord() + RecordSize.OVERHEAD;
        // a deferred record has more headers than its origin
        int copy = record + RecordSize.OVERHEAD;
        Map<String, String> uncompressed = Map.of(TopicConfig.COMPRESSION_TYPE_CONFIG, UNCOMPRESSED);
        Map<String, String> jobs = Map.of(
                TopicConfig.COMPRESSION_TYPE_CONFIG,
                UNCOMPRESSED,
                TopicConfig.MESSAGE_TIMESTAMP_TYPE_CONFIG,
                BROKERS_TIME);
        Map<String, TopicShape> all = new LinkedHashMap<>();
        for (Settings.JobTopic topic : settings.intake().topics()) {
            all.put(topic.name(), of(JOB_PARTITIONS, WEEK, record, jobs));
        }
        Settings.Topics names = settings.topics();
        all.put(names.deferred(), of(Delay.values().length, WEEK, copy, uncompressed));
        all.put(
                names.replies(),
                of(
                        REPLY_PARTITIONS,
                        DAY,
                        record,
                        Map.of(
                                TopicConfig.COMPRESSION_TYPE_CONFIG,
                                settings.replies().compression().ofTopic(),
                                TopicConfig.MESSAGE_TIMESTAMP_TYPE_CONFIG,
                                BROKERS_TIME)));
        all.put(names.commands(), of(JOB_PARTITIONS, DAY, record, uncompressed));
        all.put(names.settings(), of(1, FOR_EVER, record, uncompressed));
        all.put(names.deadLetters(), of(JOB_PARTITIONS, MONTH, copy, uncompressed));
        all.put(names.usage(), of(JOB_PARTITIONS, WEEK, record, Map.of()));
        if (!settings.webhooks().isEmpty()) {
            all.put(names.webhooks(), of(WebhookDelay.values().length, WEEK, copy, uncompressed));
        }
        return all;
    }

    private static TopicShape of(int partitions, Duration retention, int bytes, Map<String, String> more) {
        Map<String, String> configs = new HashMap<>(more);
        configs.put(TopicConfig.MAX_MESSAGE_BYTES_CONFIG, Integer.toString(bytes));
        return new TopicShape(partitions, retention, configs);
    }
}
