package dev.penstock.reply;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.wire.record.EventHeaders;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.record.TimestampType;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

class DeadLetterLogTest {
    private static final TopicPartition PARTITION = new TopicPartition("prompt-jobs-dlq", 0);

    private final List<ConsumerRecord<byte[], byte[]>> log = new ArrayList<>();
    private int read;

    @Test
    void the_newest_that_are_open_come_first_however_far_back_they_lie() {
        for (int i = 0; i < 6_000; i++) {
            letter();
        }
        for (long offset = 3; offset < 6_000; offset++) {
            note(offset, "dropped");
        }

        assertThat(newest(null, 5)).extracting(DeadLetter::offset).containsExactly(2L, 1L, 0L);
        assertThat(newest(null, 2)).extracting(DeadLetter::offset).containsExactly(2L, 1L);
        assertThat(newest(newest(null, 2).getLast(), 2))
                .extracting(DeadLetter::offset)
                .containsExactly(0L);
        assertThat(newest(null, 2))
                .allSatisfy(letter -> assertThat(letter.value()).isNull());
    }

    @Test
    void no_more_is_read_than_it_takes_and_nothing_twice() {
        for (int i = 0; i < 6_000; i++) {
            letter();
        }

        newest(null, 5);
        assertThat(read).isEqualTo(200);

        read = 0;
        newest(DeadLetter.place(Instant.ofEpochMilli(log.get(10).timestamp()), 0, 10), 20);
        assertThat(read).isEqualTo(6_000);
    }

    @Test
    void one_is_found_with_its_value_and_with_what_became_of_it() {
        letter();
        letter();
        letter();
        note(1, "retried as job-2");
        letter();

        assertThat(find(0))
                .isInstanceOfSatisfying(
                        DeadLetterLog.Found.Open.class,
                        found -> assertThat(found.letter().value()).isNotNull());
        assertThat(find(1)).isEqualTo(new DeadLetterLog.Found.Closed("retried as job-2"));
        assertThat(find(3)).as("a note is no letter").isEqualTo(new DeadLetterLog.Found.Nothing());
    }

    private List<DeadLetter> newest(@Nullable DeadLetter after, int limit) {
        return DeadLetterLog.newest(
                this::read, Map.of(PARTITION, 0L), Map.of(PARTITION, (long) log.size()), after, limit);
    }

    private DeadLetterLog.Found find(long offset) {
        return DeadLetterLog.find(this::read, PARTITION, offset, log.size());
    }

    private void read(
            TopicPartition partition, long from, long end, Consumer<ConsumerRecord<byte[], byte[]>> onRecord) {
        assertThat(partition).isEqualTo(PARTITION);
        List<ConsumerRecord<byte[], byte[]>> part = log.subList((int) from, (int) end);
        read += part.size();
        part.forEach(onRecord);
    }

    private void letter() {
        append(new RecordHeaders()
                .add("dlq-reason", EventHeaders.utf8("poison"))
                .add("dlq-message", EventHeaders.utf8("it died"))
                .add("dlq-topic", EventHeaders.utf8("prompt-jobs"))
                .add("dlq-partition", EventHeaders.utf8("0"))
                .add("dlq-offset", EventHeaders.utf8("7"))
                .add("dlq-attempts", EventHeaders.utf8("3"))
                .add("dlq-job-id", EventHeaders.utf8("job-1")));
    }

    private void note(long offset, String how) {
        append(DeadLetter.closing(offset, how));
    }

    private void append(Headers headers) {
        byte[] value = "{}".getBytes(StandardCharsets.UTF_8);
        log.add(new ConsumerRecord<>(
                PARTITION.topic(),
                PARTITION.partition(),
                log.size(),
                1_000L + log.size(),
                TimestampType.LOG_APPEND_TIME,
                0,
                value.length,
                null,
                value,
                headers,
                Optional.empty()));
    }
}
