package dev.penstock.settings;

import dev.penstock.wire.Reason;
import dev.penstock.wire.SettingsVersion;
import jakarta.annotation.PreDestroy;
import jakarta.inject.Singleton;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.function.Consumer;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.jboss.logging.Logger;

/** The settings that change at run time, as they become known: every replica reads the log of them, without a group. */
@Singleton
public class SettingsFeed {
    private static final Logger LOG = Logger.getLogger(SettingsFeed.class);
    private static final Duration POLL = Duration.ofMillis(500);
    private static final Duration RETRY = Duration.ofSeconds(1);

    private final KafkaSettings kafka;
    private final TopicPartition partition;
    private final CountDownLatch caughtUp = new CountDownLatch(1);
    private volatile boolean closed;

    /* Guarded by this. */
    private final List<Consumer<SettingsVersion>> listeners = new ArrayList<>();
    private SettingsVersion version = SettingsVersion.start();

    public SettingsFeed(KafkaSettings kafka, Settings settings) {
        this.kafka = kafka;
        partition = new TopicPartition(settings.topics().settings(), 0);
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
        Thread.ofPlatform().daemon().name("penstock-settings").start(() -> {
            while (!closed) {
                try {
                    read();
                } catch (KafkaException e) {
                    LOG.warnf("the settings could not be read, trying again: %s", Reason.of(e));
                    pause();
                } catch (RuntimeException e) {
                    LOG.error("the settings could not be applied, trying again", e);
                    pause();
                }
            }
        });
        caughtUp.await();
    }

    private void read() {
        try (KafkaConsumer<byte[], byte[]> consumer =
                kafka.reader("penstock-settings-feed", Map.of(ConsumerConfig.FETCH_MAX_WAIT_MS_CONFIG, 500))) {
            consumer.assign(List.of(partition));
            consumer.seekToBeginning(List.of(partition));
            long end = consumer.endOffsets(List.of(partition)).getOrDefault(partition, 0L);
            SettingsVersion read = SettingsVersion.start();
            while (!closed) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(POLL)) {
                    read = read.after(record.offset(), record.value());
                }
                if (consumer.position(partition) >= end) {
                    accept(read);
                    caughtUp.countDown();
                }
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

    private static void pause() {
        try {
            Thread.sleep(RETRY);
        } catch (InterruptedException _) {
            Thread.currentThread().interrupt();
        }
    }

    @PreDestroy
    void close() {
        closed = true;
    }
}
