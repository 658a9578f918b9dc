package dev.penstock.settings.read;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.settings.NodeSettings;
import dev.penstock.settings.Secrets;
import dev.penstock.settings.source.PenstockConfig;
import io.quarkus.runtime.configuration.DurationConverter;
import io.quarkus.runtime.configuration.MemorySize;
import io.quarkus.runtime.configuration.MemorySizeConverter;
import io.smallrye.config.ConfigValidationException;
import io.smallrye.config.PropertiesConfigSource;
import io.smallrye.config.SmallRyeConfigBuilder;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** Reads one node that was added at run time. */
public final class AddedNodeReader {
    private static final int HIGHEST = 1_000;
    private static final String API_KEY = "api-key";
    private static final Set<String> STARTING = Set.of("llama-cli");
    private static final Set<String> OF_PROCESSES = Set.of(
            "command", "model-path", "ctx-size", "batch-size", "ubatch-size", "gpu-layers", "mmproj", "arguments");
    private static final Pattern SECRET =
            Pattern.compile("(?i)(proxy-)?authorization|cookie|.*(api-?key|token|secret|password).*");
    private static final String MISSING = "is missing";
    private final String name;
    private final AddedNode.Keys given;
    private final String prefix;
    private final Set<String> mistakes = new LinkedHashSet<>();
    private final List<String> lacking = new ArrayList<>();
    private final Map<String, String> keys = new HashMap<>();
    private static final Set<String> FLAGS = Set.of("adaptive");
    private static final Set<String> MAY_BE_EMPTY = Set.of("headers", "parameters", "extra-body", "timeouts");

    private boolean startsProcess;
    private @Nullable String reference;

    AddedNodeReader(String name, AddedNode.Keys given) {
        this.name = name;
        this.given = given;
        prefix = "penstock.nodes." + name;
    }

    /** Returns whether the value of this header is a secret. */
    public static boolean isSecret(String header) {
        return SECRET.matcher(header).matches();
    }

    AddedNode read(JsonNode document) {
        if (!name.matches(NodesReader.NODE_NAME)) {
            return new AddedNode.Unfit(List.of("name: " + NodesReader.NODE_NAME_RULE));
        }
        document.properties().forEach(field -> take(field.getKey(), field.getValue()));
        if (startsProcess) {
            return new AddedNode.Unfit(List.copyOf(mistakes));
        }
        for (String required : List.of("backend", "url")) {
            if (!document.hasNonNull(required)) {
                mistake(required, MISSING);
            }
        }
        NodeSettings node = null;
        try {
            PenstockConfig config = new SmallRyeConfigBuilder()
                    .withMapping(PenstockConfig.class)
                    .withSources(new PropertiesConfigSource(keys, "node " + name, HIGHEST))
                    .withConverter(Duration.class, HIGHEST, new DurationConverter())
                    .withConverter(MemorySize.class, HIGHEST, new MemorySizeConverter())
                    .build()
                    .getConfigMapping(PenstockConfig.class);
            List<String> ofItsValues = new ArrayList<>();
            node = SettingsReader.node(config, ofItsValues).orElse(null);
            mistakes.addAll(ofItsValues);
        } catch (ConfigValidationException e) {
            for (int i = 0; i < e.getProblemCount(); i++) {
                mistakes.add(ConfigMistake.of(e.getProblem(i).getMessage()).toString());
            }
        }
        return node == null || !mistakes.isEmpty()
                ? new AddedNode.Unfit(List.copyOf(mistakes))
                : new AddedNode.Fit(withKey(node), lacking);
    }

    private NodeSettings withKey(NodeSettings node) {
        if (reference == null) {
            return node;
        }
        Optional<String> key =
                given.secrets().find(reference, node.url(), given.boundTo().get(reference), given.environment());
        if (key.isEmpty()) {
            lacking.add("%s.%s: %s".formatted(prefix, API_KEY, given.secrets().missing()));
        }
        return node.with(key.orElse(null));
    }

    private void take(String key, JsonNode value) {
        if (!key.matches("[A-Za-z-]+")) {
            mistake(key, "there is no such key");
        } else if (OF_PROCESSES.contains(key) || (key.equals("backend") && STARTING.contains(value.asText()))) {
            startsProcess = true;
            mistake(key, "a node that starts a process comes from the configuration only");
        } else if (key.equals(API_KEY)) {
            takeReference(value.asText());
        } else if (key.equals("headers")) {
            value.fieldNames().forEachRemaining(header -> {
                if (header.isEmpty()) {
                    mistake("headers.", HeaderRules.mistake(header, "").orElse(""));
                } else if (isSecret(header)) {
                    mistake("headers." + header, "a secret is given by reference only: api-key: env:NAME");
                }
            });
            flatten(
                    key,
                    value instanceof ObjectNode headers ? headers.deepCopy().without("") : value);
        } else if ((key.equals("extra-body") || key.equals("parameters")) && value.isObject()) {
            // as JSON, so that numbers and texts keep their types
            value.properties()
                    .forEach(field -> keys.put(
                            prefix(key + "." + quoted(field.getKey())),
                            field.getValue().toString()));
        } else {
            flatten(key, value);
        }
    }

    /**
     * Remembers the reference to the key. The reader looks up the key at the end, because the lookup depends on the
     * node's address.
     */
    private void takeReference(String text) {
        if (Secrets.isReference(text)) {
            reference = text;
            keys.put(prefix(API_KEY), text);
        } else {
            mistake(API_KEY, "is given by reference only, as env:NAME or file:/path, and looked up by each replica");
        }
    }

    private void flatten(String key, JsonNode value) {
        if (value.isContainerNode() && value.isEmpty() && !MAY_BE_EMPTY.contains(key)) {
            mistake(key, "expected a value");
        } else if (FLAGS.contains(key) && !value.isBoolean() && !value.isNull()) {
            mistake(key, "expected true or false");
        } else if (value.isObject()) {
            value.properties().forEach(field -> flatten(key + "." + quoted(field.getKey()), field.getValue()));
        } else if (value.isArray()) {
            for (int i = 0; i < value.size(); i++) {
                flatten(key + "[" + i + "]", value.get(i));
            }
        } else if (!value.isNull()) {
            keys.put(prefix(key), value.asText());
        }
    }

    private String prefix(String key) {
        return "penstock.nodes." + quoted(name) + "." + key;
    }

    private static String quoted(String segment) {
        return segment.matches("[A-Za-z0-9_-]+") ? segment : "\"" + segment.replace("\"", "") + "\"";
    }

    private void mistake(String key, String message) {
        mistakes.add(prefix + "." + key + ": " + message);
    }
}
