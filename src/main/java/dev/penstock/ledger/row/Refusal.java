package dev.penstock.ledger.row;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.job.RecordPlace;
import dev.penstock.job.RecordStamp;
import dev.penstock.wire.Json;
import dev.penstock.wire.document.EventDocument;
import java.nio.charset.StandardCharsets;
import java.util.Comparator;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The content of a {@code rejected} event. A row keeps only the refusal that is last in the reply partition, in
 * whatever order the refusals are read.
 *
 * @param record the refused record, with the time of the event
 * @param offset the offset of the event in its reply partition
 * @param event the whole event as JSON
 */
public record Refusal(RecordStamp record, long offset, String event) {
    private static final Comparator<Refusal> ORDER = Comparator.comparingLong(Refusal::offset)
            .thenComparing(Refusal::record)
            .thenComparing(Refusal::event);

    /** Returns the refusal; empty if the event names no record. */
    public static Optional<Refusal> of(long offset, long millis, byte[] value) {
        RecordPlace place = EventDocument.rejectedPlace(value);
        return place == null
                ? Optional.empty()
                : Optional.of(
                        new Refusal(new RecordStamp(millis, place), offset, new String(value, StandardCharsets.UTF_8)));
    }

    /** Returns the same refusal with a new name for a topic. */
    Refusal ofTopic(String topic, String name) {
        return new Refusal(record.ofTopic(topic, name), offset, event);
    }

    static @Nullable Refusal later(@Nullable Refusal one, Refusal other) {
        return one == null || ORDER.compare(other, one) > 0 ? other : one;
    }

    ObjectNode toJson() {
        return Json.mapper()
                .createObjectNode()
                .put("topic", record.place().topic())
                .put("partition", record.place().partition())
                .put("offset", record.place().offset())
                .put("ms", record.millis())
                .put("at", offset)
                .put("event", event);
    }

    static @Nullable Refusal ofJson(@Nullable JsonNode node) {
        if (node == null) {
            return null;
        }
        RecordPlace place = new RecordPlace(
                node.path("topic").asText(),
                node.path("partition").asInt(),
                node.path("offset").asLong());
        return new Refusal(
                new RecordStamp(node.path("ms").asLong(), place),
                node.path("at").asLong(),
                node.path("event").asText());
    }
}
