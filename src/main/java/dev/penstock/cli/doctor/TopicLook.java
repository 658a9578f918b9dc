package dev.penstock.cli.doctor;

import dev.penstock.wire.Reason;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeMap;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicPartitionInfo;
import org.apache.kafka.common.config.TopicConfig;
import org.jspecify.annotations.Nullable;

/**
 * Checks one topic: its partitions, their replicas, and settings that differ from the settings that Penstock expects.
 */
final class TopicLook {
    private static final int REPLICAS = 3;

    private final String brokers;
    private final int brokerCount;
    private final List<Finding> found;

    /** @param found the list to which the findings are added */
    TopicLook(String brokers, int brokerCount, List<Finding> found) {
        this.brokers = brokers;
        this.brokerCount = brokerCount;
        this.found = found;
    }

    /** @param answer the broker's answer with the topic's settings; null if they were not requested */
    void look(Installation.Topic topic, TopicDescription description, @Nullable KafkaFuture<Config> answer)
            throws InterruptedException {
        String what = "topic " + topic.name();
        List<TopicPartitionInfo> partitions = description.partitions();
        int replicas = partitions.stream()
                .mapToInt(partition -> partition.replicas().size())
                .min()
                .orElse(0);
        List<Finding> bad = new ArrayList<>();
        if (partitions.size() < topic.atLeast()) {
            bad.add(Finding.fail(
                    what,
                    "has %d partition%s, and %d are needed"
                            .formatted(partitions.size(), partitions.size() == 1 ? "" : "s", topic.atLeast()),
                    "kafka-topics --bootstrap-server %s --alter --topic %s --partitions %d"
                            .formatted(brokers, topic.name(), topic.atLeast())));
        }
        long leaderless = partitions.stream()
                .filter(partition ->
                        partition.leader() == null || partition.leader().isEmpty())
                .count();
        if (leaderless > 0) {
            bad.add(Finding.fail(
                    what,
                    "%d of %d partitions have no leader".formatted(leaderless, partitions.size()),
                    "start the brokers that have them"));
        }
        if (replicas < Math.min(REPLICAS, brokerCount)) {
            bad.add(Finding.warn(
                    what,
                    "has %d replica%s on %d brokers: a lost broker may take records with it"
                            .formatted(replicas, replicas == 1 ? "" : "s", brokerCount),
                    "kafka-reassign-partitions, to %d".formatted(Math.min(REPLICAS, brokerCount))));
        }
        if (answer != null) {
            try {
                configs(topic, partitions, answer.get(), bad);
            } catch (ExecutionException e) {
                bad.add(Finding.warn(
                        what, "the broker does not report its configuration: " + Reason.of(e), "DESCRIBE_CONFIGS"));
            }
        }
        found.addAll(bad);
        if (bad.isEmpty()) {
            found.add(Finding.ok(
                    what,
                    "%d partition%s, %d replica%s"
                            .formatted(
                                    partitions.size(),
                                    partitions.size() == 1 ? "" : "s",
                                    replicas,
                                    replicas == 1 ? "" : "s")));
        }
    }

    private void configs(
            Installation.Topic topic, List<TopicPartitionInfo> partitions, Config config, List<Finding> bad) {
        String what = "topic " + topic.name();
        new TreeMap<>(topic.configs()).forEach((key, wanted) -> {
            ConfigEntry entry = config.get(key);
            if (entry != null && entry.value() != null && !serves(topic, key, entry.value(), wanted)) {
                bad.add(Finding.warn(
                        what,
                        "%s is %s, and Penstock makes it %s: %s"
                                .formatted(key, entry.value(), wanted, meaning(topic, key)),
                        alter(topic, key, wanted)));
            }
        });
        ConfigEntry cleanup = config.get(TopicConfig.CLEANUP_POLICY_CONFIG);
        if (cleanup != null && String.valueOf(cleanup.value()).contains("compact")) {
            bad.add(Finding.fail(
                    what,
                    "it is compacted: all records of a key but the last are deleted",
                    alter(topic, TopicConfig.CLEANUP_POLICY_CONFIG, "delete")));
        }
        ConfigEntry least = config.get(TopicConfig.MIN_IN_SYNC_REPLICAS_CONFIG);
        int needed = least == null || least.value() == null ? 1 : Integer.parseInt(least.value());
        long short_ = partitions.stream()
                .filter(partition -> partition.isr().size() < needed)
                .count();
        if (short_ > 0) {
            bad.add(Finding.fail(
                    what,
                    "%d of %d partitions take no records: fewer replicas are in sync than min.insync.replicas, %d"
                            .formatted(short_, partitions.size(), needed),
                    "start the brokers that have them, or lower min.insync.replicas"));
        }
    }

    private String alter(Installation.Topic topic, String key, String value) {
        return "kafka-configs --bootstrap-server %s --alter --topic %s --add-config %s=%s"
                .formatted(brokers, topic.name(), key, value);
    }

    private static boolean serves(Installation.Topic topic, String key, String found, String wanted) {
        return switch (key) {
            case TopicConfig.MAX_MESSAGE_BYTES_CONFIG -> Long.parseLong(found) >= Long.parseLong(wanted);
            case TopicConfig.COMPRESSION_TYPE_CONFIG ->
                // with the value "producer", the broker keeps the compression of Penstock's own producer
                found.equals(wanted) || (topic.isOnlyPenstocks() && found.equals("producer"));
            default -> found.equals(wanted);
        };
    }

    private static String meaning(Installation.Topic topic, String key) {
        return switch (key) {
            case TopicConfig.MAX_MESSAGE_BYTES_CONFIG -> "the largest records do not fit";
            case TopicConfig.MESSAGE_TIMESTAMP_TYPE_CONFIG ->
                "where clocks differ, a recovered job may end without an outcome";
            case TopicConfig.COMPRESSION_TYPE_CONFIG ->
                topic.isOnlyPenstocks()
                        ? "it takes more room, or consumers need another codec"
                        : "its max.message.bytes bounds compressed records, and a small one may grow to more than a replica's memory";
            default -> "it is kept for another time";
        };
    }
}
