package dev.penstock.intake.watch;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListOffsetsOptions;
import org.apache.kafka.clients.admin.ListOffsetsResult;
import org.apache.kafka.clients.admin.ListShareGroupOffsetsSpec;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.SharePartitionOffsetInfo;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.GroupIdNotFoundException;

/** The number of records that a group has not finished, from the broker's own figures (4.3.1). */
final class GroupLag {
    /** The records of an open transaction do not count. */
    private static final ListOffsetsOptions COMMITTED = new ListOffsetsOptions(IsolationLevel.READ_COMMITTED);

    private GroupLag() {}

    /**
     * @param records the number of unfinished records in all partitions
     * @param begun the partitions in which the group has finished at least one record, each with its lag
     */
    record OfShareGroup(long records, Map<TopicPartition, SharePartitionOffsetInfo> begun) {}

    /**
     * Returns the lag of a share group. The broker reports no lag for a partition in which the group has finished no
     * record yet. All records of such a partition count, because the group begins at the partition's start.
     *
     * @param partitions the partitions of the group's topic
     */
    static OfShareGroup ofShareGroup(Admin admin, String group, List<TopicPartition> partitions)
            throws ExecutionException, InterruptedException {
        Map<TopicPartition, SharePartitionOffsetInfo> begun = new HashMap<>();
        try {
            begun.putAll(admin.listShareGroupOffsets(Map.of(group, new ListShareGroupOffsetsSpec()))
                    .partitionsToOffsetInfo(group)
                    .get());
        } catch (ExecutionException e) {
            if (!(e.getCause() instanceof GroupIdNotFoundException)) {
                throw e;
            }
        }
        begun.values().removeIf(info -> info == null || info.lag().isEmpty());
        long left = begun.values().stream()
                .mapToLong(info -> info.lag().orElseThrow())
                .sum();
        return new OfShareGroup(
                left
                        + length(
                                admin,
                                partitions.stream()
                                        .filter(partition -> !begun.containsKey(partition))
                                        .toList()),
                begun);
    }

    /** Returns the lag of a consumer group. A partition without a committed offset does not count. */
    static long ofConsumerGroup(Admin admin, String group) throws ExecutionException, InterruptedException {
        Map<TopicPartition, OffsetAndMetadata> committed = new HashMap<>(admin.listConsumerGroupOffsets(group)
                .partitionsToOffsetAndMetadata()
                .get());
        committed.values().removeIf(offset -> offset == null);
        long finished =
                committed.values().stream().mapToLong(OffsetAndMetadata::offset).sum();
        return sum(admin, List.copyOf(committed.keySet()), OffsetSpec.latest()) - finished;
    }

    private static long length(Admin admin, List<TopicPartition> partitions)
            throws ExecutionException, InterruptedException {
        return sum(admin, partitions, OffsetSpec.latest()) - sum(admin, partitions, OffsetSpec.earliest());
    }

    private static long sum(Admin admin, List<TopicPartition> partitions, OffsetSpec which)
            throws ExecutionException, InterruptedException {
        if (partitions.isEmpty()) {
            return 0;
        }
        Map<TopicPartition, OffsetSpec> asked = new HashMap<>();
        partitions.forEach(partition -> asked.put(partition, which));
        return admin.listOffsets(asked, COMMITTED).all().get().values().stream()
                .mapToLong(ListOffsetsResult.ListOffsetsResultInfo::offset)
                .sum();
    }
}
