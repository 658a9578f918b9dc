package dev.penstock.wire.record;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.wire.Json;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * One version of the settings that change at run time, from the settings log. Each record of the log has all settings,
 * and the number of the version that it changes. The record is valid only if this version is the current one. So if two
 * replicas write at the same time, one of them must write again.
 *
 * @param number the offset of the record with this version; −1 before the first record
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
    private static final String PAUSES = "pauses";

    /** Returns the version before the first record. */
    public static SettingsVersion start() {
        return new SettingsVersion(-1, Json.mapper().createObjectNode());
    }

    /** Returns the version after one more record of the log. */
    public SettingsVersion after(long offset, byte @Nullable [] value) {
        JsonNode record = value == null ? null : Json.parseLenient(new String(value, StandardCharsets.UTF_8));
        return record != null
                        && record.path(SETTINGS) instanceof ObjectNode changed
                        && record.path(BASED_ON).isIntegralNumber()
                        && record.path(BASED_ON).asLong() == number
                ? new SettingsVersion(offset, changed)
                : this;
    }

    /** Returns a record that makes these settings the next version. */
    public byte[] next(ObjectNode changed) {
        ObjectNode record = Json.mapper().createObjectNode().put(BASED_ON, number);
        record.set(SETTINGS, changed);
        return Json.bytes(record);
    }

    /** Returns the intake mode; empty if no replica has received a job yet. */
    public Optional<IntakeMode> intakeMode() {
        return IntakeMode.of(settings.path(INTAKE).path(MODE).asText());
    }

    /**
     * Returns, for each partition, the offset below which records may have run in the other mode. The keys have the
     * form topic/partition.
     */
    public Map<String, Long> recoverBelow() {
        return offsets(settings.path(INTAKE).path(RECOVER_BELOW));
    }

    /**
     * A change of the mode that is under way, or was interrupted.
     *
     * @param starts for each partition, the offset at which the new group begins; the keys have the form
     *     topic/partition
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

    /** Returns these settings with a change of the mode that has begun. They keep the positions of the old groups. */
    public ObjectNode withMoving(Moving moving) {
        ObjectNode changed = settings.deepCopy();
        ObjectNode intake = changed.withObjectProperty(INTAKE)
                .putObject(MOVING)
                .put(TO, moving.to().wireName());
        put(intake.putObject(STARTS), moving.starts());
        return changed;
    }

    private static void put(ObjectNode byPlace, Map<String, Long> offsets) {
        offsets.forEach(byPlace::put);
    }

    /** Returns these settings with another intake mode. */
    public ObjectNode withIntake(IntakeMode mode, Map<String, Long> recoverBelow) {
        ObjectNode changed = settings.deepCopy();
        ObjectNode intake = changed.putObject(INTAKE).put(MODE, mode.wireName());
        if (!recoverBelow.isEmpty()) {
            put(intake.putObject(RECOVER_BELOW), recoverBelow);
        }
        return changed;
    }

    /** Returns the nodes that were added at run time, by name. Their keys are the same as in the configuration. */
    public Map<String, JsonNode> nodes() {
        Map<String, JsonNode> nodes = new TreeMap<>();
        settings.path(NODES).properties().forEach(node -> nodes.put(node.getKey(), node.getValue()));
        return nodes;
    }

    /** Returns these settings with one more node, or with a replacement for the node of that name. */
    public ObjectNode withNode(String name, JsonNode node) {
        ObjectNode changed = settings.deepCopy();
        changed.withObjectProperty(NODES).set(name, node);
        return changed;
    }

    /** Returns these settings without that node. */
    public ObjectNode withoutNode(String name) {
        ObjectNode changed = settings.deepCopy();
        if (changed.get(NODES) instanceof ObjectNode nodes) {
            nodes.remove(name);
        }
        return changed;
    }

    /** Returns what is paused. */
    public Pauses pauses() {
        return Pauses.of(settings.path(PAUSES));
    }

    /** Returns these settings with other pauses. */
    public ObjectNode withPauses(Pauses pauses) {
        ObjectNode changed = settings.deepCopy();
        changed.set(PAUSES, pauses.toJson());
        return changed;
    }

    /**
     * Returns, by the reference to an API key, the place to which this key may be sent. Removing a node does not change
     * the place.
     */
    public Map<String, String> secrets() {
        Map<String, String> places = new TreeMap<>();
        settings.path(SECRETS)
                .properties()
                .forEach(secret -> places.put(secret.getKey(), secret.getValue().asText()));
        return places;
    }

    /**
     * Returns these settings with one more node. From then on, the key with this reference may be sent only to that
     * place.
     */
    public ObjectNode withNode(String name, JsonNode node, String reference, String place) {
        ObjectNode changed = withNode(name, node);
        changed.withObjectProperty(SECRETS).put(reference, place);
        return changed;
    }
}
