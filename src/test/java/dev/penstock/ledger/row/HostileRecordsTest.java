package dev.penstock.ledger.row;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.kafka.RecordGuard;
import dev.penstock.settings.read.TestSettings;
import dev.penstock.testkit.HostileBytes;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.junit.jupiter.api.Test;

/** No bytes on any topic stop the ledger's reader. */
class HostileRecordsTest {
    private static final Projection PROJECTION =
            new Projection(TestSettings.defaults(), Map.of("prompt-jobs", new UUID(1, 2)));

    @Test
    void whatever_a_record_holds_it_is_read_and_none_behind_it_is_left_out() {
        int said = 0;
        for (String topic : List.of("prompt-jobs", "prompt-replies", "prompt-commands", "prompt-jobs-deferred")) {
            List<ConsumerRecord<byte[], byte[]>> records =
                    new ArrayList<>(HostileBytes.records(topic, 0, topic.hashCode(), 4_000));
            said += PROJECTION.changes(records).values().stream()
                    .mapToInt(List::size)
                    .sum();
            records.add(new ConsumerRecord<>(
                    "prompt-jobs",
                    0,
                    4_000,
                    new byte[0],
                    "{\"prompt\":\"x\",\"job\":{\"id\":\"behind\"}}".getBytes(StandardCharsets.UTF_8)));

            assertThat(PROJECTION.changes(records).keySet())
                    .extracting(Object::toString)
                    .contains("behind");
        }

        assertThat(said).isGreaterThan(500);
        // no exception had to be caught: each reader checks what it reads
        assertThat(RecordGuard.warnings()).doesNotContainKey("ledger");
    }

    @Test
    void the_numbers_that_stopped_it() {
        for (String number : List.of("1e99999999999999999999", "1e-2147483648")) {
            byte[] value = "{\"prompt\":\"x\",\"z\":%s}".formatted(number).getBytes(StandardCharsets.UTF_8);

            assertThat(PROJECTION.read(new ConsumerRecord<>("prompt-jobs", 0, 7, null, value)))
                    .isEmpty();
        }
    }
}
