package dev.penstock.intake.watch;

import dev.penstock.intake.setup.TopicShape;
import dev.penstock.kafka.KafkaClients;
import dev.penstock.settings.Settings;
import dev.penstock.wire.Reason;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.config.TopicConfig;
import org.jboss.logging.Logger;

/** Finds topics whose records the broker stores compressed. A small compressed record may become large in memory. */
final class TopicCompression {
    private static final Logger LOG = Logger.getLogger(TopicCompression.class);
    private static final Duration PERIOD = Duration.ofSeconds(30);
    private static final String ABOUT = "compression.";

    private final KafkaClients kafka;
    private final Settings settings;
    private final Clock clock;
    private final Warnings warnings;
    private Instant nextAt = Instant.MIN;

    TopicCompression(KafkaClients kafka, Settings settings, Clock clock, Warnings warnings, MeterRegistry meters) {
        this.kafka = kafka;
        this.settings = settings;
        this.clock = clock;
        this.warnings = warnings;
        TopicShape.boundedOnes(settings)
                .forEach(topic -> Gauge.builder(
                                "penstock.topic.unbounded", warnings, known -> known.isInForce(ABOUT + topic) ? 1 : 0)
                        .tag("topic", topic)
                        .register(meters));
    }

    /**
     * Asks the broker at most twice a minute. Without DESCRIBE_CONFIGS on a topic, the topic's compression stays
     * unknown.
     */
    void check(Admin admin) throws InterruptedException {
        if (clock.instant().isBefore(nextAt)) {
            return;
        }
        nextAt = clock.instant().plus(PERIOD);
        Map<ConfigResource, KafkaFuture<Config>> asked = admin.describeConfigs(TopicShape.boundedOnes(settings).stream()
                        .map(topic -> new ConfigResource(ConfigResource.Type.TOPIC, topic))
                        .toList())
                .values();
        for (Map.Entry<ConfigResource, KafkaFuture<Config>> topic : asked.entrySet()) {
            try {
                ConfigEntry entry = topic.getValue().get().get(TopicConfig.COMPRESSION_TYPE_CONFIG);
                if (entry != null && entry.value() != null) {
                    note(topic.getKey().name(), entry.value());
                }
            } catch (ExecutionException e) {
                LOG.debugf(
                        "topic=%s its compression is not known: %s",
                        topic.getKey().name(), Reason.of(e));
            }
        }
    }

    /** @param type the topic's {@code compression.type} */
    void note(String topic, String type) {
        if (TopicShape.bounds(type)) {
            warnings.end(ABOUT + topic);
        } else {
            warnings.warn(ABOUT + topic, TopicShape.unbounded(topic, type, kafka.bootstrapServers()));
        }
    }
}
