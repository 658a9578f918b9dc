package dev.penstock.intake.record;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.dispatch.Deferral;
import dev.penstock.job.JobId;
import dev.penstock.job.Priority;
import dev.penstock.job.PromptJob;
import dev.penstock.job.Task;
import dev.penstock.job.Waiting;
import dev.penstock.route.RouteKey;
import dev.penstock.schedule.Delay;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.stream.Stream;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.record.TimestampType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class OriginRecordTest {
    private static final Instant NOW = Instant.ofEpochMilli(1_795_000_000_000L);
    private static final JobId JOB = new JobId("job-1");
    private static final RouteKey ROUTE_KEY = new RouteKey("tiny", Task.CHAT, new PromptJob.Pins("gpu", null));
    private static final OriginRecord.TopicDefaults TOPIC = new OriginRecord.TopicDefaults("team-a", Priority.HIGH);

    @Test
    void a_copy_says_where_it_came_from_and_what_its_topic_is() {
        OriginRecord origin = OriginRecord.itself(record("team-a-jobs", NOW.toEpochMilli(), "job-id", "own"));

        OriginRecord copied = deferred(origin, Optional.of(TOPIC), 2, 1);

        assertThat(copied.place()).isEqualTo(origin.place());
        assertThat(copied.record().value()).isEqualTo(origin.record().value());
        assertThat(copied.record().timestamp()).isEqualTo(NOW.toEpochMilli());
        assertThat(header(copied.record(), "job-id")).isEqualTo("own");
        assertThat(copied.id()).isEqualTo(JOB);
        assertThat(copied.notBefore()).isEqualTo(NOW.plus(Delay.SHORT.length()));
        assertThat(copied.deferredAt()).isEqualTo(NOW);
        assertThat(copied.handedBack()).isEqualTo(2);
        assertThat(copied.failures()).isEqualTo(1);
        assertThat(copied.topic()).isEqualTo(TOPIC);
        assertThat(copied.why()).isEqualTo(Waiting.Code.NODE_DOWN);
        assertThat(copied.routeKey()).isEqualTo(ROUTE_KEY);
    }

    @Test
    void what_a_replica_without_its_topic_copies_again_says_it_still() {
        OriginRecord first =
                deferred(OriginRecord.itself(record("team-a-jobs", 1, "other", "x")), Optional.of(TOPIC), 0, 0);

        OriginRecord again = deferred(first, Optional.empty(), 0, 0);

        assertThat(again.topic()).isEqualTo(TOPIC);
        assertThat(again.place()).isEqualTo(first.place());
        assertThat(header(again.record(), "other")).isEqualTo("x");
    }

    @Test
    void headers_of_ours_in_a_record_are_its_producers_and_mean_nothing() {
        OriginRecord origin = OriginRecord.itself(record("team-a-jobs", 1, "penstock-tenant", "team-b"));

        assertThat(origin.topic()).isNull();
        assertThat(deferred(origin, Optional.empty(), 0, 0).topic()).isNull();
    }

    @Test
    void what_is_no_copy_of_ours_is_nobodys() {
        assertThat(OriginRecord.ofDeferred(record("prompt-jobs-deferred", 1, "job-id", "job-1")))
                .isEmpty();
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            penstock-origin      | prompt-jobs/3
            penstock-origin      | prompt jobs/3/42
            penstock-origin      | prompt-jobs/-1/42
            penstock-origin      | prompt-jobs/3/99999999999999999999
            penstock-origin      | /3/42
            penstock-created-at  | -9223372036854775808
            penstock-created-at  | 9223372036854775807
            penstock-created-at  | soon
            penstock-not-before  | 9223372036854775807
            penstock-not-before  | 1895000000000
            penstock-not-before  | -9223372036854775808
            penstock-not-before  | 1.5e12
            penstock-set-aside   | 9223372036854775807
            penstock-set-aside   | yesterday
            penstock-handed-back | -1
            penstock-handed-back | 9223372036854775807
            penstock-handed-back | one
            penstock-failures    | -2147483649
            penstock-failures    | 4294967296
            job-id               | ..
            job-id               | a b
            """)
    void what_says_what_none_of_ours_says_is_nobodys(String header, String value) {
        ProducerRecord<byte[], byte[]> deferred = copied(
                OriginRecord.itself(record("team-a-jobs", NOW.toEpochMilli(), "other", "x")), Optional.of(TOPIC), 2, 1);
        assertThat(OriginRecord.ofDeferred(consumed(deferred))).isPresent();

        deferred.headers().remove(header).add(header, value.getBytes(StandardCharsets.UTF_8));

        assertThat(OriginRecord.ofDeferred(consumed(deferred))).isEmpty();
    }

    /** Whatever it is, it is a deferred record or not, and causes no exception. */
    @Test
    void no_bytes_in_a_header_stop_the_reader() {
        Random random = new Random(12);
        ProducerRecord<byte[], byte[]> good = copied(
                OriginRecord.itself(record("team-a-jobs", NOW.toEpochMilli(), "other", "x")), Optional.of(TOPIC), 2, 1);
        List<String> names =
                Stream.of(good.headers().toArray()).map(Header::key).toList();
        int strange = 0;
        for (int i = 0; i < 20_000; i++) {
            ProducerRecord<byte[], byte[]> deferred = new ProducerRecord<>(
                    good.topic(), good.partition(), null, good.key(), good.value(), new RecordHeaders(good.headers()));
            String name = names.get(random.nextInt(names.size()));
            byte[] value = new byte[random.nextInt(24)];
            random.nextBytes(value);
            if (random.nextBoolean()) {
                value = Long.toString(random.nextLong()).getBytes(StandardCharsets.UTF_8);
            }
            deferred.headers().remove(name).add(name, random.nextInt(20) == 0 ? null : value);
            Optional<OriginRecord> origin = OriginRecord.ofDeferred(consumed(deferred));
            strange += origin.isEmpty() ? 1 : 0;
            origin.ifPresent(found -> {
                assertThat(found.notBefore()).isBefore(NOW.plus(Duration.ofDays(2)));
                assertThat(found.record().timestamp()).isLessThan(253_402_300_800_000L);
            });
        }
        assertThat(strange).isGreaterThan(5_000);
    }

    private static ConsumerRecord<byte[], byte[]> consumed(ProducerRecord<byte[], byte[]> deferred) {
        return new ConsumerRecord<>(
                deferred.topic(),
                deferred.partition(),
                7,
                NOW.toEpochMilli(),
                TimestampType.LOG_APPEND_TIME,
                deferred.key().length,
                deferred.value().length,
                deferred.key(),
                deferred.value(),
                deferred.headers(),
                Optional.empty());
    }

    private static OriginRecord deferred(
            OriginRecord origin, Optional<OriginRecord.TopicDefaults> topic, int handedBack, int failures) {
        return OriginRecord.ofDeferred(consumed(copied(origin, topic, handedBack, failures)))
                .orElseThrow();
    }

    private static ProducerRecord<byte[], byte[]> copied(
            OriginRecord origin, Optional<OriginRecord.TopicDefaults> topic, int handedBack, int failures) {
        return origin.toDeferred(
                "prompt-jobs-deferred",
                4,
                topic,
                JOB,
                new Deferral(Delay.SHORT, Waiting.Code.NODE_DOWN, ROUTE_KEY),
                handedBack,
                failures,
                NOW);
    }

    private static ConsumerRecord<byte[], byte[]> record(String topic, long timestamp, String header, String value) {
        byte[] body = "{}".getBytes(StandardCharsets.UTF_8);
        return new ConsumerRecord<>(
                topic,
                3,
                42,
                timestamp,
                TimestampType.LOG_APPEND_TIME,
                -1,
                body.length,
                null,
                body,
                new RecordHeaders().add(header, value.getBytes(StandardCharsets.UTF_8)),
                Optional.empty());
    }

    private static String header(ConsumerRecord<byte[], byte[]> record, String name) {
        return new String(record.headers().lastHeader(name).value(), StandardCharsets.UTF_8);
    }
}
