package dev.penstock.kafka;

import dev.penstock.wire.record.SettingsVersion;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.common.TopicPartition;

/** Reads the log of the settings that change at run time. */
public final class SettingsTopic {
    private SettingsTopic() {}

    /** Returns the version in force now. */
    public static SettingsVersion read(Consumer<byte[], byte[]> reader, String topic) {
        SettingsVersion[] version = {SettingsVersion.start()};
        LogRange.read("settings", reader, new TopicPartition(topic, 0), record -> {
            version[0] = version[0].after(record.offset(), record.value());
        });
        return version[0];
    }
}
