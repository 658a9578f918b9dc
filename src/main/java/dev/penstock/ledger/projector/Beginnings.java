package dev.penstock.ledger.projector;

import dev.penstock.kafka.KafkaClients;
import dev.penstock.settings.Settings;
import dev.penstock.wire.record.IntakeMode;
import java.time.Clock;
import java.util.Map;
import java.util.UUID;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;

/**
 * The offsets at which a new ledger begins to read.
 *
 * @param topicIds the ids of the topics that the offsets belong to
 */
record Beginnings(Map<TopicPartition, Long> offsets, Map<String, UUID> topicIds) {
    Beginnings {
        offsets = Map.copyOf(offsets);
        topicIds = Map.copyOf(topicIds);
    }

    /** Finds the offsets. It is called when a partition has no position yet. */
    @FunctionalInterface
    interface Source {
        Beginnings find() throws InterruptedException;
    }

    /** Asks the broker for the offsets. */
    static Beginnings of(KafkaClients kafka, Settings settings, IntakeMode mode, Clock clock)
            throws InterruptedException {
        Admin admin = kafka.admin();
        try (KafkaConsumer<byte[], byte[]> reader = kafka.briefReader("penstock-ledger-start", Map.of())) {
            TopicPlaces places = TopicPlaces.of(admin, settings);
            return new Beginnings(
                    places.beginnings(admin, reader, settings, mode, clock.instant()),
                    places.origin().topicIds());
        }
    }
}
