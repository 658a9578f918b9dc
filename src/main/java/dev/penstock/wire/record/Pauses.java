package dev.penstock.wire.record;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.wire.Json;
import java.time.Instant;
import java.time.format.DateTimeParseException;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** The topics, pools and nodes that an operator has paused. Immutable. */
public final class Pauses {
    public static final Pauses NONE = new Pauses(Map.of());

    private final Map<Kind, Map<String, Instant>> since;

    /** What can be paused. */
    public enum Kind {
        /** A job topic: none of its jobs starts. */
        TOPIC,
        /** The nodes of a pool, also those that are added later. */
        POOL,
        NODE;

        private final String wireName = name().toLowerCase(Locale.ROOT);

        public String wireName() {
            return wireName;
        }

        public static Optional<Kind> of(String wireName) {
            return Stream.of(values())
                    .filter(kind -> kind.wireName.equals(wireName))
                    .findFirst();
        }
    }

    /** @param since the time when the operator paused it */
    public record Pause(Kind kind, String name, Instant since) {
        /** Returns the pause in words, such as {@code pool gpu is paused since …}. */
        public String words() {
            return "%s %s is paused since %s".formatted(kind.wireName(), name, since);
        }
    }

    private Pauses(Map<Kind, Map<String, Instant>> since) {
        this.since = since;
    }

    /** Reads the pauses from the settings. An entry that Penstock never writes is left out. */
    static Pauses of(JsonNode json) {
        Map<Kind, Map<String, Instant>> since = new EnumMap<>(Kind.class);
        for (Kind kind : Kind.values()) {
            Map<String, Instant> names = new TreeMap<>();
            json.path(kind.wireName()).properties().forEach(entry -> {
                Instant time = time(entry.getValue().asText());
                if (time != null) {
                    names.put(entry.getKey(), time);
                }
            });
            since.put(kind, names);
        }
        return new Pauses(since);
    }

    private static @Nullable Instant time(String text) {
        try {
            return Instant.parse(text);
        } catch (DateTimeParseException _) {
            return null;
        }
    }

    ObjectNode toJson() {
        ObjectNode json = Json.mapper().createObjectNode();
        all().forEach(pause -> json.withObjectProperty(pause.kind().wireName())
                .put(pause.name(), pause.since().toString()));
        return json;
    }

    /** Returns these pauses and one more. A pause that exists keeps its time. */
    public Pauses with(Pause pause) {
        return find(pause.kind(), pause.name()).isPresent()
                ? this
                : changed(pause.kind(), names -> {
                    names.put(pause.name(), pause.since());
                });
    }

    public Pauses without(Kind kind, String name) {
        return changed(kind, names -> names.remove(name));
    }

    private interface Change {
        void apply(Map<String, Instant> names);
    }

    private Pauses changed(Kind kind, Change change) {
        Map<Kind, Map<String, Instant>> changed = new EnumMap<>(Kind.class);
        changed.putAll(since);
        Map<String, Instant> names = new TreeMap<>(of(kind));
        change.apply(names);
        changed.put(kind, names);
        return new Pauses(changed);
    }

    private Map<String, Instant> of(Kind kind) {
        return since.getOrDefault(kind, Map.of());
    }

    public Optional<Pause> find(Kind kind, String name) {
        return Optional.ofNullable(of(kind).get(name)).map(time -> new Pause(kind, name, time));
    }

    /** Returns the pause that stops a node: its own, or that of its pool. */
    public Optional<Pause> ofNode(String node, String pool) {
        return find(Kind.NODE, node).or(() -> find(Kind.POOL, pool));
    }

    /** Returns the paused topics, each with the time since when it is paused. */
    public Map<String, Instant> topics() {
        return Map.copyOf(of(Kind.TOPIC));
    }

    /** Returns all pauses, by kind and name. */
    public List<Pause> all() {
        List<Pause> all = new ArrayList<>();
        for (Kind kind : Kind.values()) {
            of(kind).forEach((name, time) -> all.add(new Pause(kind, name, time)));
        }
        return all;
    }

    @Override
    public boolean equals(@Nullable Object other) {
        return other instanceof Pauses pauses && all().equals(pauses.all());
    }

    @Override
    public int hashCode() {
        return all().hashCode();
    }

    @Override
    public String toString() {
        return all().toString();
    }
}
