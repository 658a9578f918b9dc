package dev.penstock.intake;

import dev.penstock.settings.KafkaSettings;
import dev.penstock.settings.Settings;
import dev.penstock.wire.IntakeMode;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListShareGroupOffsetsSpec;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.common.TopicPartition;
import org.jboss.logging.Logger;

/** How many records of each job topic no group member has finished, as the broker itself counts them. */
final class QueueLag implements AutoCloseable {
    private static final Logger LOG = Logger.getLogger(QueueLag.class);
    private static final Duration PERIOD = Duration.ofSeconds(10);

    private final KafkaSettings kafka;
    private final Settings settings;
    private final Map<String, Long> lag = new ConcurrentHashMap<>();
    private final ScheduledExecutorService timer = Executors.newSingleThreadScheduledExecutor(
            Thread.ofPlatform().daemon().name("penstock-lag").factory());

    QueueLag(KafkaSettings kafka, Settings settings, MeterRegistry meters) {
        this.kafka = kafka;
        this.settings = settings;
        for (Settings.JobTopic topic : settings.intake().topics()) {
            Gauge.builder("penstock.queue.lag", lag, known -> known.getOrDefault(topic.name(), 0L))
                    .tag("topic", topic.name())
                    .register(meters);
        }
    }

    void start(IntakeMode mode) {
        var _ = timer.scheduleWithFixedDelay(() -> measure(mode), 0, PERIOD.toMillis(), TimeUnit.MILLISECONDS);
    }

    private void measure(IntakeMode mode) {
        try (Admin admin = kafka.admin("penstock-lag")) {
            switch (mode) {
                case SHARE -> ofShareGroups(admin);
                case CLASSIC -> ofConsumerGroups(admin);
            }
        } catch (ExecutionException | RuntimeException e) {
            LOG.debugf("the lag could not be read: %s", e.getMessage());
        } catch (InterruptedException _) {
            Thread.currentThread().interrupt();
        }
    }

    private void ofShareGroups(Admin admin) throws ExecutionException, InterruptedException {
        Map<String, ListShareGroupOffsetsSpec> groups = new HashMap<>();
        settings.intake().topics().forEach(topic -> groups.put(topic.group(), new ListShareGroupOffsetsSpec()));
        var offsets = admin.listShareGroupOffsets(groups);
        for (Settings.JobTopic topic : settings.intake().topics()) {
            long sum = 0;
            var partitions = offsets.partitionsToOffsetInfo(topic.group()).get();
            for (var partition : partitions.values()) {
                sum += partition == null ? 0 : partition.lag().orElse(0L);
            }
            lag.put(topic.name(), sum);
        }
    }

    private void ofConsumerGroups(Admin admin) throws ExecutionException, InterruptedException {
        for (Settings.JobTopic topic : settings.intake().topics()) {
            var committed = admin.listConsumerGroupOffsets(topic.group())
                    .partitionsToOffsetAndMetadata()
                    .get();
            Map<TopicPartition, OffsetSpec> asked = new HashMap<>();
            committed.keySet().forEach(partition -> asked.put(partition, OffsetSpec.latest()));
            long sum = 0;
            for (var end : admin.listOffsets(asked).all().get().entrySet()) {
                var offset = committed.get(end.getKey());
                sum += offset == null ? 0 : end.getValue().offset() - offset.offset();
            }
            lag.put(topic.name(), sum);
        }
    }

    @Override
    public void close() {
        timer.shutdownNow();
    }
}
