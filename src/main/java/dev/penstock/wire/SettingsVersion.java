package dev.penstock.wire;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.common.TopicPartition;
import org.jspecify.annotations.Nullable;

/**
 * The settings that change at run time, as the log of them says: each record is the whole document, and names the version
 * that it was based on. It counts only where that is the current one; so of two writers at once one has to write again.
 *
 * @param number the offset of its record; −1: there is none yet
 */
public record SettingsVersion(long number, ObjectNode settings) {
    private static final String BASED_ON = "based_on";
    private static final String SETTINGS = "settings";
    private static final String INTAKE = "intake";
    private static final String MODE = "mode";
    private static final String RECOVER_BELOW = "recover_below";
    private static final String MOVING = "moving";
    private static final String TO = "to";
    private static final String STARTS = "starts";
    private static final String NODES = "nodes";
    private static final String SECRETS = "secrets";

    /** Nothing has been written yet. */
    public static SettingsVersion start() {
        return new SettingsVersion(-1, Json.mapper().createObjectNode());
    }

    /** The version after one more record of the log. */
    public SettingsVersion after(long offset, byte @Nullable [] value) {
        JsonNode record = value == null ? null : Json.parseLenient(new String(value, StandardCharsets.UTF_8));
        return record != null
                        && record.path(SETTINGS) instanceof ObjectNode changed
                        && record.path(BASED_ON).isIntegralNumber()
                        && record.path(BASED_ON).asLong() == number
                ? new SettingsVersion(offset, changed)
                : this;
    }

    /** The version in force now. */
    public static SettingsVersion read(Consumer<byte[], byte[]> reader, String topic) {
        SettingsVersion[] version = {start()};
        LogRange.read("settings", reader, new TopicPartition(topic, 0), record -> {
            version[0] = version[0].after(record.offset(), record.value());
        });
        return version[0];
    }

    /** A record that makes these settings the next version. */
    public byte[] next(ObjectNode changed) {
        ObjectNode record = Json.mapper().createObjectNode().put(BASED_ON, number);
        record.set(SETTINGS, changed);
        return Json.bytes(record);
    }

    /** How jobs are taken; empty: nobody has taken any yet. */
    public Optional<IntakeMode> intakeMode() {
        return IntakeMode.of(settings.path(INTAKE).path(MODE).asText());
    }

    /** By topic and partition, as topic/partition: records before that offset may have been run in the other mode. */
    public Map<String, Long> recoverBelow() {
        return offsets(settings.path(INTAKE).path(RECOVER_BELOW));
    }

    /**
     * A change of the mode that is under way, or broke off.
     *
     * @param starts by topic and partition, as topic/partition: where the new groups begin
     */
    public record Moving(IntakeMode to, Map<String, Long> starts) {}

    public Optional<Moving> moving() {
        JsonNode moving = settings.path(INTAKE).path(MOVING);
        return IntakeMode.of(moving.path(TO).asText()).map(to -> new Moving(to, offsets(moving.path(STARTS))));
    }

    private static Map<String, Long> offsets(JsonNode byPlace) {
        Map<String, Long> offsets = new HashMap<>();
        byPlace.properties()
                .forEach(
                        offset -> offsets.put(offset.getKey(), offset.getValue().asLong()));
        return offsets;
    }

    /** These settings while the mode is being changed: what the old groups knew outlives them. */
    public ObjectNode withMoving(Moving moving) {
        ObjectNode changed = settings.deepCopy();
        ObjectNode told = changed.withObjectProperty(INTAKE)
                .putObject(MOVING)
                .put(TO, moving.to().wireName());
        put(told.putObject(STARTS), moving.starts());
        return changed;
    }

    private static void put(ObjectNode byPlace, Map<String, Long> offsets) {
        offsets.forEach(byPlace::put);
    }

    /** These settings with another way to take jobs. */
    public ObjectNode withIntake(IntakeMode mode, Map<String, Long> recoverBelow) {
        ObjectNode changed = settings.deepCopy();
        ObjectNode intake = changed.putObject(INTAKE).put(MODE, mode.wireName());
        if (!recoverBelow.isEmpty()) {
            put(intake.putObject(RECOVER_BELOW), recoverBelow);
        }
        return changed;
    }

    /** The nodes that were added at run time, by name; their keys are those of the configuration. */
    public Map<String, JsonNode> nodes() {
        Map<String, JsonNode> nodes = new TreeMap<>();
        settings.path(NODES).properties().forEach(node -> nodes.put(node.getKey(), node.getValue()));
        return nodes;
    }

    /** These settings with one more node, or with another one of that name. */
    public ObjectNode withNode(String name, JsonNode node) {
        ObjectNode changed = settings.deepCopy();
        changed.withObjectProperty(NODES).set(name, node);
        return changed;
    }

    /** These settings without that node. */
    public ObjectNode withoutNode(String name) {
        ObjectNode changed = settings.deepCopy();
        if (changed.get(NODES) instanceof ObjectNode nodes) {
            nodes.remove(name);
        }
        return changed;
    }

    /** By the reference to a key, the place that it belongs to; a node that goes leaves that as it is. */
    public Map<String, String> secrets() {
        Map<String, String> places = new TreeMap<>();
        settings.path(SECRETS)
                .properties()
                .forEach(secret -> places.put(secret.getKey(), secret.getValue().asText()));
        return places;
    }

    /** These settings with one more node whose key's reference belongs to a place from now on. */
    public ObjectNode withNode(String name, JsonNode node, String reference, String place) {
        ObjectNode changed = withNode(name, node);
        changed.withObjectProperty(SECRETS).put(reference, place);
        return changed;
    }
}
