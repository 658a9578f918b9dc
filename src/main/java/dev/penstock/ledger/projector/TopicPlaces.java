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
 * The partitions of the topics that the ledger reads. Its methods ask the broker for offsets of these partitions, and
 * for the positions of the groups.
 *
 * @param jobs the partitions of every job topic
 * @param replies the partitions of the reply topic
 * @param others the partitions of the command topic and of the deferred topic
 * @param origin the ids of the cluster and of all topics above
 */
public record TopicPlaces(
        List<TopicPartition> jobs, List<TopicPartition> replies, List<TopicPartition> others, Origin origin) {
    /**
     * The largest difference between the clock of a replica, which stamps events, and the clock that stamps job
     * records.
     */
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

    /** Returns the first offset of each partition. */
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

    /**
     * Returns the requested offset of each partition, such as its first offset or its end. The end is the one that a
     * read_committed consumer sees: records of an open transaction lie behind it.
     */
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
     * Returns, for each job partition that a group has begun, the offset below which the group has finished every
     * record. The broker reports the start of a share group as it was before the last write of the group's state.
     * (Kafka 4.3.1 writes the state at an acknowledgement, and moves the start afterwards.) So the last finished
     * records of a partition may look unfinished. But if the group's lag is 0, all records are finished.
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
        // read before the lag, so that the lag covers all records below these ends
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

    /** Returns the committed offsets of a consumer group; empty if the group does not exist. */
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
     * Returns the offsets at which a new ledger begins. The ledger reads replies, commands and deferred records from
     * the first offset. A job topic begins at the first job whose replies still exist, or at its oldest unfinished
     * record, whichever comes first. The reply topic may have dropped the events of earlier jobs, and such a job
     * would look as if it had never run.
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

    /**
     * Returns the time after which every reply partition has all its records; the epoch if no partition has dropped
     * any.
     */
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
                // a poll over aborted records returns no record, but moves the position
                while (first == Long.MAX_VALUE
                        && reader.position(start.getKey()) < end
                        && System.nanoTime() - until < 0) {
                    for (ConsumerRecord<byte[], byte[]> record :
                            RecordGuard.of("ledger").poll(reader, Duration.ofSeconds(1))) {
                        first = Math.min(first, record.timestamp());
                    }
                }
                // if no record was found, the partition has dropped all its records, and is complete only from now on
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
