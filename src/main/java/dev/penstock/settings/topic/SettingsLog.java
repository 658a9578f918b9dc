package dev.penstock.settings.topic;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.kafka.KafkaClients;
import dev.penstock.kafka.SettingsTopic;
import dev.penstock.settings.Settings;
import dev.penstock.wire.record.SettingsVersion;
import jakarta.inject.Singleton;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.function.Function;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;

/**
 * Reads and writes the topic of the settings that change at run time. The topic has one partition, keeps its records
 * for ever, and is read from the beginning.
 */
@Singleton
public final class SettingsLog {
    private static final Duration PATIENCE = Duration.ofSeconds(10);

    private final KafkaClients kafka;
    private final String topic;

    public SettingsLog(KafkaClients kafka, Settings settings) {
        this.kafka = kafka;
        topic = settings.topics().settings();
    }

    /**
     * Returns the version in force, read to the end of the topic.
     *
     * @throws KafkaException the broker did not answer
     */
    public SettingsVersion read() {
        Map<String, Object> impatient = Map.of(ConsumerConfig.DEFAULT_API_TIMEOUT_MS_CONFIG, (int) PATIENCE.toMillis());
        try (KafkaConsumer<byte[], byte[]> reader = kafka.briefReader("penstock-settings", impatient)) {
            return SettingsTopic.read(reader, topic);
        }
    }

    /**
     * Changes the settings. If another replica has changed them at the same time, this method repeats the change on top
     * of the other change.
     *
     * @param change returns the changed settings; if it returns its argument, nothing changes
     * @return the version in force
     * @throws KafkaException the broker did not answer; the change may have been made
     */
    public SettingsVersion change(Function<SettingsVersion, ObjectNode> change) throws InterruptedException {
        int patience = (int) PATIENCE.toMillis();
        Map<String, Object> impatient = Map.of(
                ProducerConfig.DELIVERY_TIMEOUT_MS_CONFIG,
                patience,
                ProducerConfig.REQUEST_TIMEOUT_MS_CONFIG,
                patience / 2,
                ProducerConfig.MAX_BLOCK_MS_CONFIG,
                patience);
        try (KafkaProducer<byte[], byte[]> producer = kafka.producer("penstock-settings", impatient)) {
            while (true) {
                SettingsVersion before = read();
                ObjectNode changed = change.apply(before);
                if (changed.equals(before.settings())) {
                    return before;
                }
                long offset = KafkaClients.send(producer, new ProducerRecord<>(topic, 0, null, before.next(changed)))
                        .get()
                        .offset();
                SettingsVersion after = read();
                if (after.number() == offset) {
                    return after;
                }
            }
        } catch (ExecutionException e) {
            throw e.getCause() instanceof KafkaException known ? known : new KafkaException(e);
        }
    }
}
