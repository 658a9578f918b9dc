package dev.penstock.settings.topic;

import dev.penstock.kafka.KafkaClients;
import dev.penstock.kafka.TopicTail;
import dev.penstock.settings.Settings;
import dev.penstock.wire.record.SettingsVersion;
import jakarta.annotation.PreDestroy;
import jakarta.inject.Inject;
import jakarta.inject.Singleton;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.TopicPartition;
import org.jboss.logging.Logger;

/** Follows the settings that change at run time. Every replica reads their log, without a group. */
@Singleton
public final class SettingsFeed {
    private static final Logger LOG = Logger.getLogger(SettingsFeed.class);
    private static final TopicTail.Names NAMES = new TopicTail.Names("penstock-settings", "settings", "the settings");

    private final TopicTail tail;

    /* Guarded by this. */
    private final List<Consumer<SettingsVersion>> listeners = new ArrayList<>();
    private SettingsVersion version = SettingsVersion.start();

    @Inject
    public SettingsFeed(KafkaClients kafka, Settings settings) {
        this(
                () -> kafka.reader("penstock-settings-feed", Map.of(ConsumerConfig.FETCH_MAX_WAIT_MS_CONFIG, 500)),
                settings.topics().settings());
    }

    /** @param consumers the reading thread assigns and closes each consumer */
    SettingsFeed(Supplier<org.apache.kafka.clients.consumer.Consumer<byte[], byte[]>> consumers, String topic) {
        tail = TopicTail.ofPartition(NAMES, consumers, new TopicPartition(topic, 0), Log::new);
    }

    /**
     * Adds a listener. It gets each version from now on, one after the other, and before any waiting caller resumes.
     */
    public synchronized void onChange(Consumer<SettingsVersion> listener) {
        listeners.add(listener);
    }

    /** Returns the number of the version in force here; −1 before any. */
    public synchronized long number() {
        return version.number();
    }

    /** Returns the version in force here. */
    public synchronized SettingsVersion version() {
        return version;
    }

    /** Returns whether this replica knows everything that was written before it started. */
    public boolean isCaughtUp() {
        return tail.isCaughtUp();
    }

    /** Starts to follow the settings from the beginning. Returns when the current version is known. */
    public void follow() throws InterruptedException {
        tail.follow();
    }

    /** One read of the log: the version so far. */
    private final class Log implements TopicTail.Reader {
        private SettingsVersion read = SettingsVersion.start();

        @Override
        public void read(ConsumerRecord<byte[], byte[]> record) {
            read = read.after(record.offset(), record.value());
        }

        @Override
        public void polled(boolean caughtUp) {
            if (caughtUp) {
                accept(read);
            }
        }
    }

    /** Takes a version that another caller has read to the end of the log. An old version has no effect. */
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
        tail.close();
    }
}
