package dev.penstock.settings.topic;

import dev.penstock.settings.KafkaSettings;
import dev.penstock.settings.Settings;
import dev.penstock.thread.SupervisedThread;
import dev.penstock.wire.Reason;
import dev.penstock.wire.record.RecordGuard;
import dev.penstock.wire.record.SettingsVersion;
import jakarta.annotation.PreDestroy;
import jakarta.inject.Inject;
import jakarta.inject.Singleton;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.jboss.logging.Logger;

/** Follows the settings that change at run time. Every replica reads their topic, without a group. */
@Singleton
public final class SettingsFeed {
    private static final Logger LOG = Logger.getLogger(SettingsFeed.class);
    private static final Duration POLL = Duration.ofMillis(500);
    private static final Duration RETRY = Duration.ofSeconds(1);

    private static final RecordGuard GUARD = RecordGuard.of("settings");

    private final Supplier<org.apache.kafka.clients.consumer.Consumer<byte[], byte[]>> consumers;
    private final TopicPartition partition;
    private final SupervisedThread thread = new SupervisedThread("penstock-settings", this::read);
    private final CountDownLatch caughtUp = new CountDownLatch(1);

    /* Guarded by this. */
    private final List<Consumer<SettingsVersion>> listeners = new ArrayList<>();
    private SettingsVersion version = SettingsVersion.start();

    @Inject
    public SettingsFeed(KafkaSettings kafka, Settings settings) {
        this(
                () -> kafka.reader("penstock-settings-feed", Map.of(ConsumerConfig.FETCH_MAX_WAIT_MS_CONFIG, 500)),
                settings.topics().settings());
    }

    /** @param consumers creates a consumer; the reading thread assigns the partition and closes the consumer */
    SettingsFeed(Supplier<org.apache.kafka.clients.consumer.Consumer<byte[], byte[]>> consumers, String topic) {
        this.consumers = consumers;
        partition = new TopicPartition(topic, 0);
    }

    /**
     * Adds a listener. It receives each later version, one at a time. A caller that waits for a version resumes only
     * after all listeners have received it.
     */
    public synchronized void onChange(Consumer<SettingsVersion> listener) {
        listeners.add(listener);
    }

    /** Returns the number of the version that is in force in this replica; −1 if there is none. */
    public synchronized long number() {
        return version.number();
    }

    /** Returns the version that is in force in this replica. */
    public synchronized SettingsVersion version() {
        return version;
    }

    /** Returns whether this replica has read all changes that were written before it started. */
    public boolean isCaughtUp() {
        return caughtUp.getCount() == 0;
    }

    /** Starts to read the settings from the beginning of their topic. Returns when the current version is known. */
    public void follow() throws InterruptedException {
        thread.start();
        caughtUp.await();
    }

    private void read() throws InterruptedException {
        do {
            try (org.apache.kafka.clients.consumer.Consumer<byte[], byte[]> consumer = consumers.get()) {
                read(consumer);
            } catch (KafkaException e) {
                LOG.warnf("the settings could not be read, trying again: %s", Reason.of(e));
            }
        } while (thread.pause(RETRY));
    }

    private void read(org.apache.kafka.clients.consumer.Consumer<byte[], byte[]> consumer) {
        consumer.assign(List.of(partition));
        consumer.seekToBeginning(List.of(partition));
        long end = consumer.endOffsets(List.of(partition)).getOrDefault(partition, 0L);
        AtomicReference<SettingsVersion> read = new AtomicReference<>(SettingsVersion.start());
        while (!thread.isStopping()) {
            for (ConsumerRecord<byte[], byte[]> record : GUARD.poll(consumer, POLL)) {
                GUARD.read(record, () -> read.set(read.get().after(record.offset(), record.value())));
            }
            if (consumer.position(partition) >= end) {
                accept(read.get());
                caughtUp.countDown();
            }
        }
    }

    /** Applies a version that was read up to the end of the topic. An old version has no effect. */
    public synchronized void accept(SettingsVersion read) {
        if (read.number() > version.number()) {
            version = read;
            for (Consumer<SettingsVersion> listener : listeners) {
                try {
                    listener.accept(read);
                } catch (RuntimeException e) {
                    LOG.errorf(e, "version %d of the settings could not be applied whole", read.number());
                }
            }
        }
    }

    @PreDestroy
    void close() {
        thread.stop();
    }
}
