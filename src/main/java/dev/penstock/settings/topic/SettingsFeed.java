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

/** Follows the settings that change at run time. Every replica reads their topic, without a group. */
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

    /** @param consumers creates a consumer; the reading thread assigns the partition and closes the consumer */
    SettingsFeed(Supplier<org.apache.kafka.clients.consumer.Consumer<byte[], byte[]>> consumers, String topic) {
        tail = TopicTail.ofPartition(NAMES, consumers, new TopicPartition(topic, 0), Log::new);
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
        return tail.isCaughtUp();
    }

    /** Starts to read the settings from the beginning of their topic. Returns when the current version is known. */
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
        tail.close();
    }
}
