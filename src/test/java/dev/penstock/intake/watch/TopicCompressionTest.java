package dev.penstock.intake.watch;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.intake.record.PausedTime;
import dev.penstock.settings.KafkaSettings;
import dev.penstock.settings.Settings;
import dev.penstock.settings.read.TestSettings;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.lang.reflect.Proxy;
import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.DescribeConfigsResult;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.TopicAuthorizationException;
import org.apache.kafka.common.internals.KafkaFutureImpl;
import org.junit.jupiter.api.Test;

class TopicCompressionTest {
    private final SimpleMeterRegistry meters = new SimpleMeterRegistry();
    private final Settings settings = TestSettings.defaults();
    private final KafkaSettings kafka =
            new KafkaSettings(Map.of("bootstrap.servers", "broker:9092"), settings.maxRecord());
    private final PausedTime time = new PausedTime();
    private final Warnings warnings = new Warnings();
    private final TopicCompression compression = new TopicCompression(kafka, settings, time, warnings, meters);
    private final AtomicInteger questions = new AtomicInteger();

    @Test
    void a_topic_whose_records_may_grow_is_in_health_and_metrics_until_it_is_mended() {
        compression.note("prompt-jobs", "producer");
        compression.note("prompt-commands", "uncompressed");

        assertThat(warnings.all()).containsOnlyKeys("compression.prompt-jobs");
        assertThat(warnings.all().get("compression.prompt-jobs"))
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

        compression.note("prompt-jobs", "uncompressed");
        assertThat(warnings.all()).isEmpty();
        assertThat(unbounded("prompt-jobs")).isZero();
    }

    @Test
    void it_asks_every_half_minute_and_leaves_out_topics_that_it_may_not_describe() throws InterruptedException {
        compression.check(broker());
        time.advance(Duration.ofSeconds(29));
        compression.check(broker());
        assertThat(questions).hasValue(1);
        assertThat(warnings.all()).containsOnlyKeys("compression.prompt-jobs");

        time.advance(Duration.ofSeconds(1));
        compression.check(broker());
        assertThat(questions).hasValue(2);
    }

    /** The job topic keeps what producers compress; no other topic may be described. */
    private Admin broker() {
        return (Admin) Proxy.newProxyInstance(
                Admin.class.getClassLoader(), new Class<?>[] {Admin.class}, (_, _, arguments) -> {
                    questions.incrementAndGet();
                    Map<ConfigResource, KafkaFuture<Config>> answers = new HashMap<>();
                    for (Object asked : (Collection<?>) arguments[0]) {
                        ConfigResource topic = (ConfigResource) asked;
                        KafkaFutureImpl<Config> answer = new KafkaFutureImpl<>();
                        if (topic.name().equals("prompt-jobs")) {
                            answer.complete(new Config(List.of(new ConfigEntry("compression.type", "producer"))));
                        } else {
                            answer.completeExceptionally(new TopicAuthorizationException(topic.name()));
                        }
                        answers.put(topic, answer);
                    }
                    return new DescribeConfigsResult(answers) {};
                });
    }

    private double unbounded(String topic) {
        return meters.get("penstock.topic.unbounded")
                .tag("topic", topic)
                .gauge()
                .value();
    }
}
