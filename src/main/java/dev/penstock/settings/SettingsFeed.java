package dev.penstock.settings;

import dev.penstock.thread.SupervisedThread;
import dev.penstock.wire.Reason;
import dev.penstock.wire.RecordGuard;
import dev.penstock.wire.SettingsVersion;
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

/** The settings that change at run time, as they become known: every replica reads the log of them, without a group. */
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

    /** @param consumers each assigned and closed by the reading thread */
    SettingsFeed(Supplier<org.apache.kafka.clients.consumer.Consumer<byte[], byte[]>> consumers, String topic) {
        this.consumers = consumers;
        partition = new TopicPartition(topic, 0);
    }

    /** The listener is called with each version from now on, one after the other, and before anybody waits for it. */
    public synchronized void onChange(Consumer<SettingsVersion> listener) {
        listeners.add(listener);
    }

    /** The number of the version that is in force here; −1 before any. */
    public synchronized long number() {
        return version.number();
    }

    /** The version that is in force here. */
    public synchronized SettingsVersion version() {
        return version;
    }

    /** Whether what had been written before this replica started is known. */
    public boolean isCaughtUp() {
        return caughtUp.getCount() == 0;
    }

    /** Reads the settings from the beginning, for ever, and returns when the version that is in force now is known. */
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

    /** A version that somebody read to the end of the log; where it is no news it changes nothing. */
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
