package dev.penstock.ledger.projector;

import dev.penstock.kafka.RecordGuard;
import dev.penstock.settings.Settings;
import dev.penstock.wire.record.IntakeMode;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListOffsetsOptions;
import org.apache.kafka.clients.admin.ListShareGroupOffsetsSpec;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.SharePartitionOffsetInfo;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.GroupIdNotFoundException;

/**
 * Where the topics begin and end, and the positions of their groups.
 *
 * @param jobs the partitions of every job topic
 * @param replies the partitions of the reply topic
 * @param others the partitions of commands and deferred records
 * @param origin the cluster, and all these topics
 */
public record TopicPlaces(
        List<TopicPartition> jobs, List<TopicPartition> replies, List<TopicPartition> others, Origin origin) {
    /** A worker's clock stamps its events, the broker's clock the records. */
    private static final Duration CLOCK_SKEW = Duration.ofMinutes(1);

    private static final Duration FIRST_WITHIN = Duration.ofSeconds(5);
    private static final ListOffsetsOptions COMMITTED = new ListOffsetsOptions(IsolationLevel.READ_COMMITTED);

    public static TopicPlaces of(Admin admin, Settings settings) throws InterruptedException {
        List<String> names = new ArrayList<>(
                settings.intake().topics().stream().map(Settings.JobTopic::name).toList());
        Map<String, List<TopicPartition>> partitions = new HashMap<>();
        List<String> all = new ArrayList<>(names);
        all.addAll(List.of(
                settings.topics().replies(),
                settings.topics().commands(),
                settings.topics().deferred()));
        Map<String, UUID> ids = new HashMap<>();
        String clusterId = get(admin.describeCluster().clusterId());
        get(admin.describeTopics(all).allTopicNames()).forEach((name, topic) -> {
            ids.put(name, id(topic));
            partitions.put(
                    name,
                    topic.partitions().stream()
                            .map(partition -> new TopicPartition(name, partition.partition()))
                            .toList());
        });
        List<TopicPartition> others =
                new ArrayList<>(partitions.getOrDefault(settings.topics().commands(), List.of()));
        others.addAll(partitions.getOrDefault(settings.topics().deferred(), List.of()));
        return new TopicPlaces(
                names.stream()
                        .flatMap(name -> partitions.getOrDefault(name, List.of()).stream())
                        .toList(),
                partitions.getOrDefault(settings.topics().replies(), List.of()),
                List.copyOf(others),
                new Origin(clusterId, ids));
    }

    static UUID id(TopicDescription topic) {
        return new UUID(
                topic.topicId().getMostSignificantBits(), topic.topicId().getLeastSignificantBits());
    }

    /** Where the logs begin. */
    Map<TopicPartition, Long> logStarts(Admin admin) throws InterruptedException {
        List<TopicPartition> all = new ArrayList<>(jobs);
        all.addAll(replies);
        all.addAll(others);
        return offsets(admin, all, OffsetSpec.earliest());
    }

    public List<TopicPartition> deferred(Settings settings) {
        return others.stream()
                .filter(partition -> partition.topic().equals(settings.topics().deferred()))
                .toList();
    }

    /** The ends of the settled records: those of an open transaction lie behind them. */
    public static Map<TopicPartition, Long> offsets(Admin admin, List<TopicPartition> partitions, OffsetSpec which)
            throws InterruptedException {
        Map<TopicPartition, OffsetSpec> asked = new HashMap<>();
        partitions.forEach(partition -> asked.put(partition, which));
        Map<TopicPartition, Long> offsets = new HashMap<>();
        get(admin.listOffsets(asked, COMMITTED).all())
                .forEach((partition, found) -> offsets.put(partition, found.offset()));
        return offsets;
    }

    /**
     * The offset below which a group has finished everything, for every job partition that it has begun. The broker
     * reports the start of a share group as of its last write but one (4.3.1: it is written with an acknowledgement,
     * and moved after it). So a partition whose records are all finished may look as if the last ones were not; its lag
     * shows that they are.
     *
     * @throws KafkaException the broker did not answer
     */
    public static Map<TopicPartition, Long> groupStarts(
            Admin admin, Settings settings, IntakeMode mode, List<TopicPartition> jobs) throws InterruptedException {
        if (mode == IntakeMode.CLASSIC) {
            Map<TopicPartition, Long> committed = new HashMap<>();
            for (Settings.JobTopic topic : settings.intake().topics()) {
                committed.putAll(committed(admin, settings.group(topic)));
            }
            return committed;
        }
        // asked first: the lag counts at least what lies below
        Map<TopicPartition, Long> ends = offsets(admin, jobs, OffsetSpec.latest());
        Map<String, ListShareGroupOffsetsSpec> groups = new HashMap<>();
        settings.intake().topics().forEach(topic -> groups.put(settings.group(topic), new ListShareGroupOffsetsSpec()));
        Map<TopicPartition, Long> starts = new HashMap<>();
        var asked = admin.listShareGroupOffsets(groups);
        for (String group : groups.keySet()) {
            for (Map.Entry<TopicPartition, SharePartitionOffsetInfo> found :
                    get(asked.partitionsToOffsetInfo(group)).entrySet()) {
                SharePartitionOffsetInfo info = found.getValue();
                if (info != null && info.startOffset() >= 0) {
                    boolean done = info.lag().orElse(-1L) == 0;
                    long end = ends.getOrDefault(found.getKey(), 0L);
                    starts.put(found.getKey(), done ? Math.max(end, info.startOffset()) : info.startOffset());
                }
            }
        }
        return starts;
    }

    /** The committed offsets of a consumer group; empty where the group does not exist. */
    public static Map<TopicPartition, Long> committed(Admin admin, String group) throws InterruptedException {
        Map<TopicPartition, Long> committed = new HashMap<>();
        try {
            admin.listConsumerGroupOffsets(group)
                    .partitionsToOffsetAndMetadata()
                    .get()
                    .forEach((partition, offset) -> {
                        if (offset != null) {
                            committed.put(partition, offset.offset());
                        }
                    });
        } catch (ExecutionException e) {
            if (!(e.getCause() instanceof GroupIdNotFoundException)) {
                throw e.getCause() instanceof KafkaException known ? known : new KafkaException(e);
            }
        }
        return committed;
    }

    /**
     * Where a new ledger begins: replies and commands at their start; each job topic where the replies still contain
     * its jobs, or at the oldest unfinished record, whichever comes first. The events of earlier jobs may be gone, and
     * such a job would look as if it had never run.
     */
    Map<TopicPartition, Long> beginnings(
            Admin admin, KafkaConsumer<byte[], byte[]> reader, Settings settings, IntakeMode mode, Instant now)
            throws InterruptedException {
        Map<TopicPartition, Long> starts = new HashMap<>();
        starts.putAll(offsets(admin, others, OffsetSpec.earliest()));
        Map<TopicPartition, Long> replyStarts = offsets(admin, replies, OffsetSpec.earliest());
        starts.putAll(replyStarts);
        Map<TopicPartition, Long> unfinished = groupStarts(admin, settings, mode, jobs);
        Map<TopicPartition, Long> earliest = offsets(admin, jobs, OffsetSpec.earliest());
        Instant horizon = horizon(reader, replyStarts, now);
        Map<TopicPartition, Long> byTime = new HashMap<>();
        if (horizon.isAfter(Instant.EPOCH)) {
            long millis = horizon.plus(CLOCK_SKEW).toEpochMilli();
            Map<TopicPartition, Long> ends = offsets(admin, jobs, OffsetSpec.latest());
            offsets(admin, jobs, OffsetSpec.forTimestamp(millis))
                    .forEach((partition, offset) ->
                            byTime.put(partition, offset >= 0 ? offset : ends.getOrDefault(partition, 0L)));
        }
        for (TopicPartition partition : jobs) {
            long first = earliest.getOrDefault(partition, 0L);
            long byReplies = byTime.getOrDefault(partition, first);
            long byGroup = unfinished.getOrDefault(partition, first);
            starts.put(partition, Math.max(first, Math.min(byReplies, byGroup)));
        }
        return starts;
    }

    /** The time from which on every reply partition is complete; the epoch where none has forgotten anything. */
    private static Instant horizon(
            KafkaConsumer<byte[], byte[]> reader, Map<TopicPartition, Long> starts, Instant now) {
        long horizon = 0;
        for (Map.Entry<TopicPartition, Long> start : starts.entrySet()) {
            if (start.getValue() > 0) {
                reader.assign(List.of(start.getKey()));
                reader.seek(start.getKey(), start.getValue());
                long first = Long.MAX_VALUE;
                long end = reader.endOffsets(List.of(start.getKey())).getOrDefault(start.getKey(), 0L);
                long until = System.nanoTime() + FIRST_WITHIN.toNanos();
                // aborted records come as a position that moves
                while (first == Long.MAX_VALUE
                        && reader.position(start.getKey()) < end
                        && System.nanoTime() - until < 0) {
                    for (ConsumerRecord<byte[], byte[]> record :
                            RecordGuard.of("ledger").poll(reader, Duration.ofSeconds(1))) {
                        first = Math.min(first, record.timestamp());
                    }
                }
                // an empty partition has forgotten everything that was there
                horizon = Math.max(horizon, first == Long.MAX_VALUE ? now.toEpochMilli() : first);
            }
        }
        return Instant.ofEpochMilli(horizon);
    }

    private static <T> T get(KafkaFuture<T> future) throws InterruptedException {
        try {
            return future.get();
        } catch (ExecutionException e) {
            throw e.getCause() instanceof KafkaException kafka ? kafka : new KafkaException(e);
        }
    }
}
