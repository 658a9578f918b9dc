package dev.penstock.ledger.projector;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.LongStream;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class OwnPartitionsTest {
    private static final TopicPartition A = new TopicPartition("prompt-jobs", 0);
    private static final TopicPartition B = new TopicPartition("prompt-replies", 0);

    private final OwnPartitions partitions = new OwnPartitions();

    @BeforeEach
    void assign() {
        partitions.onPartitionsAssigned(List.of(A, B));
        partitions.place(A, 10);
    }

    @Test
    void an_assigned_partition_is_placed_once_it_has_a_position() {
        assertThat(partitions.placed()).containsExactly(A);
        assertThat(partitions.unplaced()).containsExactly(B);

        partitions.place(B, 0);
        assertThat(partitions.placed()).containsExactlyInAnyOrder(A, B);
        assertThat(partitions.unplaced()).isEmpty();
    }

    @Test
    void a_placed_partition_with_another_position_in_the_database_has_moved() {
        assertThat(partitions.moved(Map.of(A, 10L))).isEmpty();
        assertThat(partitions.moved(Map.of(A, 11L, B, 3L))).containsExactly(A);
        assertThat(partitions.moved(Map.of())).containsExactly(A);
    }

    @Test
    void a_partition_that_is_lost_or_revoked_is_neither() {
        partitions.onPartitionsLost(List.of(A));
        partitions.onPartitionsRevoked(List.of(B));

        assertThat(partitions.placed()).isEmpty();
        assertThat(partitions.unplaced()).isEmpty();
    }

    @Test
    void records_below_the_position_and_of_an_unplaced_partition_are_left_out() {
        ConsumerRecords<byte[], byte[]> records = records(Map.of(A, 8L, B, 0L), 4);
        Map<TopicPartition, Long> ends = partitions.ends(records);

        assertThat(ends).isEqualTo(Map.of(A, 12L));
        assertThat(partitions.newRecords(records, ends.keySet()))
                .extracting(ConsumerRecord::offset)
                .containsExactly(10L, 11L);
        partitions.advance(ends);
        assertThat(partitions.positions()).isEqualTo(Map.of(A, 12L));
    }

    @Test
    void a_partition_whose_log_begins_anew_is_placed_again() {
        Map<TopicPartition, Long> ends = partitions.ends(records(Map.of(A, 0L), 4));

        assertThat(ends).isEmpty();
        assertThat(partitions.placed()).isEmpty();
        assertThat(partitions.unplaced()).containsExactlyInAnyOrder(A, B);
    }

    @Test
    void what_another_projector_has_moved_is_placed_again_while_it_is_assigned() {
        partitions.place(B, 0);
        partitions.unplace(List.of(A, B), Set.of(B));

        assertThat(partitions.placed()).isEmpty();
        assertThat(partitions.unplaced()).containsExactly(B);
    }

    @Test
    void without_a_database_no_partition_is_placed() {
        partitions.unplaceAll(Set.of(A, B));

        assertThat(partitions.placed()).isEmpty();
        assertThat(partitions.unplaced()).containsExactlyInAnyOrder(A, B);
    }

    private static ConsumerRecords<byte[], byte[]> records(Map<TopicPartition, Long> from, int number) {
        Map<TopicPartition, List<ConsumerRecord<byte[], byte[]>>> records = new HashMap<>();
        Map<TopicPartition, OffsetAndMetadata> next = new HashMap<>();
        from.forEach((partition, first) -> {
            records.put(
                    partition,
                    LongStream.range(first, first + number)
                            .mapToObj(offset -> new ConsumerRecord<>(
                                    partition.topic(), partition.partition(), offset, new byte[0], new byte[0]))
                            .toList());
            next.put(partition, new OffsetAndMetadata(first + number));
        });
        return new ConsumerRecords<>(records, next);
    }
}
