package dev.penstock.intake;

import dev.penstock.dispatch.Dispatcher;
import dev.penstock.settings.KafkaSettings;
import dev.penstock.settings.Settings;
import java.time.Clock;
import java.time.Duration;
import java.util.Map;
import java.util.function.BooleanSupplier;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.KafkaConsumer;

/** Takes the jobs that were set aside when they are due; their order within a partition is that of their time. */
final class DeferredIntake {
    private static final Duration CLOSE_WITHIN = Duration.ofSeconds(8);
    private static final Duration SESSION_TIMEOUT = Duration.ofSeconds(10);
    private static final Duration HEARTBEAT = Duration.ofSeconds(1);

    private final Settings settings;
    private final KafkaSettings kafka;
    private final LogConsumerLoop loop;
    private final Thread thread;

    /** @param open whether there is any node for a job now */
    DeferredIntake(
            Settings settings,
            KafkaSettings kafka,
            JobRecords records,
            Dispatcher dispatcher,
            Held.Writers writers,
            BooleanSupplier open,
            Clock clock) {
        this.settings = settings;
        this.kafka = kafka;
        loop = new LogConsumerLoop(new LogConsumerLoop.Setup(
                settings.topics().deferred(),
                this::consumer,
                Origin::ofCopy,
                true,
                2 * settings.intake().slots(),
                open,
                records::start,
                held -> dispatcher.lost(held.origin().place(), held.place()),
                held -> dispatcher.leave(held.origin().place(), held.place()),
                writers,
                clock));
        thread = Thread.ofPlatform().daemon().name("penstock-deferred").unstarted(loop);
    }

    void start() {
        thread.start();
    }

    private KafkaConsumer<byte[], byte[]> consumer() {
        return kafka.reader(
                "penstock-deferred",
                Map.of(
                        ConsumerConfig.GROUP_ID_CONFIG,
                        settings.topics().deferredGroup(),
                        ConsumerConfig.PARTITION_ASSIGNMENT_STRATEGY_CONFIG,
                        CooperativeStickyAssignor.class.getName(),
                        ConsumerConfig.SESSION_TIMEOUT_MS_CONFIG,
                        (int) SESSION_TIMEOUT.toMillis(),
                        ConsumerConfig.HEARTBEAT_INTERVAL_MS_CONFIG,
                        (int) HEARTBEAT.toMillis(),
                        ConsumerConfig.MAX_POLL_RECORDS_CONFIG,
                        settings.intake().slots(),
                        ConsumerConfig.MAX_PARTITION_FETCH_BYTES_CONFIG,
                        Math.max(ConsumerConfig.DEFAULT_MAX_PARTITION_FETCH_BYTES, settings.maxRecord() + 131_072)));
    }

    /** Takes no further records. */
    void stop() {
        loop.stop();
    }

    /** Leaves the group. */
    void awaitClosed() throws InterruptedException {
        loop.close();
        thread.join(CLOSE_WITHIN);
    }
}
