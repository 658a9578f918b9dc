package dev.penstock.webhook;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.intake.group.PlayedLog;
import dev.penstock.reply.WebhookDelay;
import dev.penstock.reply.WebhookRecord;
import dev.penstock.reply.WebhookTopic;
import dev.penstock.settings.read.TestSettings;
import dev.penstock.testkit.Conditions;
import dev.penstock.testkit.PlayedClock;
import dev.penstock.testkit.PlayedProducer;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.time.Clock;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.MockProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class WebhookLoopTest {
    private static final TopicPartition PARTITION = new TopicPartition("prompt-webhooks", 1);
    private static final int MOST = 3;

    private volatile Instant now = Instant.parse("2026-05-01T12:00:00Z");
    private final Clock clock = PlayedClock.of(() -> now);
    private final PlayedLog log = new PlayedLog(PARTITION);
    private final List<WebhookLoop.Taken> taken = new CopyOnWriteArrayList<>();
    private final Counter strange = new SimpleMeterRegistry().counter("strange");
    private final WebhookLoop loop = new WebhookLoop(
            new WebhookLoop.Setup(PARTITION.topic(), () -> log, taken::add, MOST, 1 << 20, strange, clock));
    private final Thread thread = Thread.ofPlatform().start(loop::run);

    @AfterEach
    void end() throws Exception {
        loop.close();
        now = now.plusSeconds(60);
        thread.join();
    }

    private void append(String job, Instant due) {
        MockProducer<byte[], byte[]> producer = PlayedProducer.of(PARTITION.topic(), 6);
        new WebhookTopic(
                        TestSettings.ofFile(Map.of(
                                "penstock.webhooks.orders.url", "http://127.0.0.1:1",
                                "penstock.webhooks.orders.secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")),
                        producer,
                        clock)
                .write(TestRecords.announced("orders", job, now).later(due), WebhookDelay.SECONDS)
                .join();
        ProducerRecord<byte[], byte[]> written = producer.history().getFirst();
        log.append(offset -> {
            ConsumerRecord<byte[], byte[]> record = new ConsumerRecord<>(
                    PARTITION.topic(), PARTITION.partition(), offset, written.key(), written.value());
            written.headers().forEach(record.headers()::add);
            return record;
        });
    }

    private List<String> jobs() {
        return taken.stream()
                .map(WebhookLoop.Taken::record)
                .map(WebhookRecord::id)
                .map(Object::toString)
                .toList();
    }

    private void awaitTaken(int count) {
        Conditions.await(() -> taken.size() == count, () -> "taken: " + jobs());
    }

    @Test
    void what_is_finished_out_of_order_is_committed_up_to_the_first_that_is_not() {
        append("a", now);
        append("b", now);
        awaitTaken(2);

        loop.finished(taken.get(1));
        Conditions.await(() -> loop.inFlight() == 1);
        assertThat(log.committedOffset()).isLessThan(1);

        loop.finished(taken.get(0));
        Conditions.await(() -> log.committedOffset() == 2);
    }

    @Test
    void a_partition_pauses_at_a_head_that_is_not_due_and_goes_on_when_it_is() {
        append("a", now);
        append("b", now.plusSeconds(5));
        append("c", now.plusSeconds(5));
        awaitTaken(1);
        loop.finished(taken.getFirst());
        Conditions.await(() -> log.committedOffset() == 1);
        assertThat(jobs()).containsExactly("a");

        now = now.plusSeconds(5);

        awaitTaken(3);
        assertThat(jobs()).containsExactly("a", "b", "c");
    }

    @Test
    void no_more_are_taken_than_may_be_in_flight() {
        for (int i = 0; i < MOST; i++) {
            append("a" + i, now);
        }
        awaitTaken(MOST);
        Conditions.await(() -> loop.inFlight() == MOST);
        Conditions.await(() -> log.paused().contains(PARTITION));
        append("b", now);

        loop.finished(taken.getFirst());

        awaitTaken(MOST + 1);
        assertThat(jobs()).last().isEqualTo("b");
    }

    @Test
    void a_record_of_another_program_is_counted_and_passed_over() {
        log.append(offset -> new ConsumerRecord<>(
                PARTITION.topic(), PARTITION.partition(), offset, new byte[0], new byte[] {'{', '}'}));
        append("a", now);

        awaitTaken(1);
        loop.finished(taken.getFirst());

        Conditions.await(() -> log.committedOffset() == 2);
        assertThat(strange.count()).isEqualTo(1);
    }

    @Test
    void a_loop_that_ends_waits_for_its_deliveries_and_commits_them() throws Exception {
        append("a", now);
        awaitTaken(1);
        Conditions.await(() -> loop.inFlight() == 1);

        loop.close();
        loop.finished(taken.getFirst());

        thread.join();
        assertThat(log.closed()).isTrue();
        assertThat(log.committedOffset()).isEqualTo(1);
    }

    @Test
    void a_loop_that_ends_does_not_wait_for_ever() throws Exception {
        append("a", now);
        awaitTaken(1);
        Conditions.await(() -> loop.inFlight() == 1);

        loop.close();
        now = now.plusSeconds(3);

        thread.join();
        assertThat(log.committedOffset()).isLessThan(1);
    }
}
