package dev.penstock.intake.share;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.testkit.Conditions;
import dev.penstock.testkit.PlayedAdmin;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.record.TimestampType;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Whether a record was written under a leader before the present one. */
@Timeout(60)
class LeaderEpochsTest {
    private static final TopicPartition PARTITION = new TopicPartition("prompt-jobs", 0);

    private final PlayedAdmin broker = new PlayedAdmin();
    private final AtomicInteger clients = new AtomicInteger();
    private final AtomicBoolean noClient = new AtomicBoolean();
    private final LeaderEpochs epochs = new LeaderEpochs(
            () -> {
                if (noClient.getAndSet(false)) {
                    throw new KafkaException("no client");
                }
                clients.incrementAndGet();
                return broker.client();
            },
            List.of(PARTITION));

    @AfterEach
    void close() {
        epochs.close();
    }

    @Test
    void a_record_of_an_earlier_leader_is_known_once_the_broker_has_answered() throws Exception {
        broker.log(PARTITION, 0, 10, 4);
        assertThat(epochs.isFromEarlierLeader(record(PARTITION, 3)))
                .as("nothing is known, and whoever must be sure asks")
                .isFalse();
        epochs.start();
        epochs.ask().get(20, TimeUnit.SECONDS);

        assertThat(epochs.isFromEarlierLeader(record(PARTITION, 3))).isTrue();
        assertThat(epochs.isFromEarlierLeader(record(PARTITION, 4))).isFalse();
        assertThat(epochs.isFromEarlierLeader(record(PARTITION, 5)))
                .as("the leader has changed since")
                .isFalse();
        assertThat(epochs.isFromEarlierLeader(record(PARTITION, null)))
                .as("a record without an epoch proves nothing")
                .isTrue();
    }

    @Test
    void an_epoch_only_grows() throws Exception {
        epochs.start();
        broker.log(PARTITION, 0, 10, 7);
        epochs.ask().get(20, TimeUnit.SECONDS);
        // a broker that is behind answers
        broker.log(PARTITION, 0, 10, 6);
        epochs.ask().get(20, TimeUnit.SECONDS);

        assertThat(epochs.isFromEarlierLeader(record(PARTITION, 6))).isTrue();
        broker.log(PARTITION, 0, 10, 8);
        epochs.ask().get(20, TimeUnit.SECONDS);
        assertThat(epochs.isFromEarlierLeader(record(PARTITION, 7))).isTrue();
    }

    @Test
    void records_of_a_partition_that_was_added_are_looked_up_at_first() throws Exception {
        TopicPartition added = new TopicPartition("prompt-jobs", 1);
        broker.log(added, 0, 10, 2);
        epochs.start();

        assertThat(epochs.isFromEarlierLeader(record(added, 2))).isTrue();
        epochs.ask().get(20, TimeUnit.SECONDS);
        assertThat(epochs.isFromEarlierLeader(record(added, 2))).isFalse();
        assertThat(epochs.isFromEarlierLeader(record(added, 1))).isTrue();
    }

    @Test
    void one_question_serves_all_that_wait_and_a_later_one_is_asked_anew() throws Exception {
        broker.hold();
        CompletableFuture<@Nullable Void> first = epochs.ask();
        assertThat(epochs.ask()).isSameAs(first);
        epochs.start();
        Conditions.await(broker::isHeld);
        // it may have been answered before the record came
        CompletableFuture<@Nullable Void> later = epochs.ask();
        assertThat(later).isNotSameAs(first);
        assertThat(epochs.ask()).isSameAs(later);
        assertThat(first).isNotDone();
        broker.release();

        first.get(20, TimeUnit.SECONDS);
        later.get(20, TimeUnit.SECONDS);
        assertThat(broker.offsetQuestions()).isEqualTo(2);
        assertThat(clients).hasValue(1);
    }

    @Test
    void a_broker_that_does_not_answer_leaves_it_open_and_is_asked_again() throws Exception {
        broker.log(PARTITION, 0, 10, 4);
        broker.fail(new TimeoutException("of the test"));
        epochs.start();

        CompletableFuture<@Nullable Void> asked = epochs.ask();
        assertThat(asked).failsWithin(Duration.ofSeconds(20));
        broker.fail(null);
        epochs.ask().get(20, TimeUnit.SECONDS);

        assertThat(epochs.isFromEarlierLeader(record(PARTITION, 3))).isTrue();
        assertThat(clients).hasValue(1);
    }

    @Test
    void a_client_that_cannot_be_made_fails_the_question() {
        noClient.set(true);
        epochs.start();

        assertThat(epochs.ask()).failsWithin(Duration.ofSeconds(20));
        assertThat(clients).hasValue(0);
    }

    private static ConsumerRecord<byte[], byte[]> record(TopicPartition place, @Nullable Integer epoch) {
        return new ConsumerRecord<>(
                place.topic(),
                place.partition(),
                7,
                0,
                TimestampType.CREATE_TIME,
                0,
                0,
                new byte[0],
                new byte[0],
                new RecordHeaders(),
                Optional.ofNullable(epoch));
    }
}
