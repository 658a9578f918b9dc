package dev.penstock.settings.start;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.kafka.KafkaClients;
import dev.penstock.testkit.PlayedClock;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.common.errors.TimeoutException;
import org.junit.jupiter.api.Test;

/** Tests when Kafka counts as away. */
class BrokerWatchTest {
    private static final Instant START = Instant.parse("2026-05-01T12:00:00Z");
    private static final BrokerWatch.Question SILENCE = () -> {
        throw new ExecutionException(new TimeoutException("no broker"));
    };

    private Instant now = START;

    private final Clock clock = PlayedClock.of(() -> now);

    private final BrokerWatch watch = new BrokerWatch(
            new KafkaClients(Map.of("bootstrap.servers", "kafka.example:9092"), 1), clock, new SimpleMeterRegistry());

    @Test
    void five_seconds_without_an_answer_are_an_outage_and_the_next_answer_ends_it() throws InterruptedException {
        look(Duration.ZERO, SILENCE);
        look(Duration.ofMillis(4_999), SILENCE);
        assertThat(watch.away()).isNull();

        look(Duration.ofMillis(1), SILENCE);
        BrokerWatch.Away away = Objects.requireNonNull(watch.away());
        assertThat(away.since()).isEqualTo(START);
        assertThat(away.message()).contains("Kafka at kafka.example:9092 does not answer", "KAFKA_BOOTSTRAP_SERVERS");

        look(Duration.ofSeconds(1), () -> {});
        assertThat(watch.away()).isNull();
    }

    @Test
    void an_answer_between_two_silences_begins_the_count_anew() throws InterruptedException {
        look(Duration.ZERO, SILENCE);
        look(Duration.ofSeconds(4), () -> {});
        look(Duration.ofSeconds(4), SILENCE);
        look(Duration.ofSeconds(4), SILENCE);
        assertThat(watch.away()).isNull();

        look(Duration.ofSeconds(1), SILENCE);
        assertThat(watch.away()).isNotNull();
    }

    private void look(Duration later, BrokerWatch.Question question) throws InterruptedException {
        now = now.plus(later);
        watch.look(question);
    }
}
