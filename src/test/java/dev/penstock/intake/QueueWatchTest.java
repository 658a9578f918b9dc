package dev.penstock.intake;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.kafka.KafkaClients;
import dev.penstock.settings.Settings;
import dev.penstock.settings.read.TestSettings;
import dev.penstock.settings.start.BrokerWatch;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.time.Clock;
import java.util.Map;
import org.apache.kafka.clients.admin.Admin;
import org.junit.jupiter.api.Test;

class QueueWatchTest {
    private final SimpleMeterRegistry meters = new SimpleMeterRegistry();

    @Test
    void a_topic_whose_records_may_grow_is_in_health_and_metrics_until_it_is_mended() {
        Settings settings = TestSettings.defaults();
        KafkaClients kafka = new KafkaClients(Map.of("bootstrap.servers", "broker:9092"), settings.maxRecord());
        QueueWatch watch = new QueueWatch(
                kafka,
                settings,
                Clock.systemUTC(),
                meters,
                new BrokerWatch(kafka, Clock.systemUTC(), meters),
                new Nothing());

        watch.compression("prompt-jobs", "producer");
        watch.compression("prompt-commands", "uncompressed");

        assertThat(watch.warnings()).containsOnlyKeys("compression.prompt-jobs");
        assertThat(watch.warnings().get("compression.prompt-jobs"))
                .contains("compression.type is producer")
                .endsWith(
                        "kafka-configs --bootstrap-server broker:9092 --alter --topic prompt-jobs --add-config compression.type=uncompressed");
        assertThat(unbounded("prompt-jobs")).isEqualTo(1);
        assertThat(unbounded("prompt-commands")).isZero();
        // records of Penstock itself may be compressed
        assertThat(meters.find("penstock.topic.unbounded")
                        .tag("topic", "prompt-replies")
                        .gauge())
                .isNull();

        watch.compression("prompt-jobs", "uncompressed");
        assertThat(watch.warnings()).isEmpty();
        assertThat(unbounded("prompt-jobs")).isZero();
    }

    private double unbounded(String topic) {
        return meters.get("penstock.topic.unbounded")
                .tag("topic", topic)
                .gauge()
                .value();
    }

    /** Nothing runs, and nothing waits. */
    record Nothing() implements QueueWatch.Replica {
        @Override
        public Map<String, String> share(Admin admin) {
            return Map.of();
        }

        @Override
        public boolean isOpen() {
            return true;
        }

        @Override
        public void logWaits() {}
    }
}
