package dev.penstock.wire.schema;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.networknt.schema.JsonMetaSchema;
import com.networknt.schema.JsonNodePath;
import com.networknt.schema.JsonSchema;
import com.networknt.schema.JsonSchemaFactory;
import com.networknt.schema.PathType;
import com.networknt.schema.SchemaLocation;
import com.networknt.schema.SchemaValidatorsConfig;
import com.networknt.schema.SpecVersion.VersionFlag;
import com.networknt.schema.ValidationMessage;
import com.networknt.schema.resource.DisallowSchemaLoader;
import dev.penstock.job.JobFailure;
import dev.penstock.wire.Fields;
import dev.penstock.wire.InvalidField;
import dev.penstock.wire.Json;
import dev.penstock.wire.Printable;
import java.nio.charset.StandardCharsets;
import java.util.Collection;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * A JSON schema that checks the texts of models. The schema and the texts come from outside, so the time and the memory
 * of a check are bounded, and nothing is read from the network. Draft 2020-12 applies unless {@code $schema} names an
 * older one. Not thread-safe: the thread of the run owns it.
 */
public final class AnswerSchema {
    /** The largest schema, in bytes. */
    public static final int LARGEST = 65_536;
    /** The deepest nesting of a schema. */
    static final int DEEPEST = 50;
    /** The longest text that is checked, in characters. */
    public static final int LONGEST_TEXT = 1_000_000;

    static final int MOST_VIOLATIONS = 20;
    static final int LONGEST_MESSAGE = 300;
    private static final int LONGEST_PATH = 200;

    /** The drafts of JSON Schema, the default one first. */
    private static final List<Draft> DRAFTS = Stream.of(
                    VersionFlag.V202012, VersionFlag.V201909, VersionFlag.V7, VersionFlag.V6)
            .map(Draft::of)
            .toList();

    private final JsonSchema schema;
    private final Steps steps;

    private AnswerSchema(JsonSchema schema, Steps steps) {
        this.schema = schema;
        this.steps = steps;
    }

    /**
     * A draft of JSON Schema.
     *
     * @param keywords the draft's keywords
     * @param form the schema of the draft's own schemas
     */
    private record Draft(String id, JsonMetaSchema keywords, JsonSchema form) {
        static Draft of(VersionFlag version) {
            JsonSchema form = JsonSchemaFactory.getInstance(version)
                    .getSchema(SchemaLocation.of(version.getId()), config().build());
            return new Draft(
                    version.getId(), JsonSchemaFactory.checkVersion(version).getInstance(), form);
        }

        /** Returns a schema whose checks count their steps. */
        JsonSchema counting(JsonNode schema, Steps steps) {
            JsonMetaSchema counting = JsonMetaSchema.builder(keywords)
                    .keyword(new StepKeyword(steps))
                    .build();
            return JsonSchemaFactory.builder()
                    .defaultMetaSchemaIri(counting.getIri())
                    .metaSchema(counting)
                    // a reference outside is refused before; this is the second lock
                    .schemaLoaders(loaders -> loaders.add(DisallowSchemaLoader.getInstance()))
                    .build()
                    .getSchema(
                            schema,
                            config().regularExpressionFactory(new LinearPattern(steps))
                                    .build());
        }

        /** Returns whether a schema names this draft, with or without an empty fragment. */
        boolean isNamed(String given) {
            return given.equals(id) || (given + "#").equals(id) || given.equals(id + "#");
        }
    }

    private static SchemaValidatorsConfig.Builder config() {
        return SchemaValidatorsConfig.builder()
                .pathType(PathType.JSON_POINTER)
                .locale(Locale.ENGLISH)
                .preloadJsonSchema(false);
    }

    /**
     * Returns the schema.
     *
     * @param path the field of the schema, for messages
     * @throws InvalidField if the schema is not valid, or cannot be checked in bounded time
     */
    public static AnswerSchema of(JsonNode given, String path) throws InvalidField {
        if (!(given instanceof ObjectNode)) {
            throw new InvalidField(path, "expected an object, got " + Fields.kind(given));
        }
        if (depth(given) > DEEPEST) {
            throw new InvalidField(path, "is nested more than %d deep".formatted(DEEPEST));
        }
        int bytes = Json.bytes(given).length;
        if (bytes > LARGEST) {
            throw new InvalidField(path, "has %d bytes, the limit is %d".formatted(bytes, LARGEST));
        }
        Draft draft = draft(given.path("$schema"), path);
        checkForm(given, draft, path);
        SchemaShape.Shaped shaped = SchemaShape.of(given, path);
        Steps steps = new Steps();
        JsonSchema schema = draft.counting(shaped.counted(), steps);
        for (String reference : shaped.references()) {
            checkReference(schema, reference, path);
        }
        return new AnswerSchema(schema, steps);
    }

    private static int depth(JsonNode node) {
        int deepest = 0;
        for (JsonNode inside : node) {
            deepest = Math.max(deepest, depth(inside));
        }
        return 1 + deepest;
    }

    private static Draft draft(JsonNode named, String path) throws InvalidField {
        if (named.isMissingNode()) {
            return DRAFTS.getFirst();
        }
        for (Draft draft : DRAFTS) {
            if (draft.isNamed(named.asText())) {
                return draft;
            }
        }
        throw new InvalidField(
                path + "/$schema",
                "is none of " + DRAFTS.stream().map(Draft::id).collect(Collectors.joining(", ")));
    }

    /** Checks the schema against the schema of its draft. */
    private static void checkForm(JsonNode given, Draft draft, String path) throws InvalidField {
        List<JobFailure.Misfit.Violation> violations = shown(draft.form().validate(given));
        if (!violations.isEmpty()) {
            JobFailure.Misfit.Violation first = violations.getFirst();
            throw new InvalidField(path + first.path(), first.message());
        }
    }

    private static void checkReference(JsonSchema schema, String reference, String path) throws InvalidField {
        JsonSchema found;
        try {
            found = reference.equals("#") ? schema : schema.getSubSchema(SchemaLocation.Fragment.of(reference));
        } catch (Steps.Exhausted e) {
            throw new InvalidField(path, "has too many parts that refer to others", e);
        } catch (RuntimeException e) {
            throw new InvalidField(path, "the reference %s cannot be followed".formatted(Printable.line(reference)), e);
        }
        if (found == null) {
            throw new InvalidField(path, "the reference %s cannot be followed".formatted(Printable.line(reference)));
        }
    }

    /**
     * Returns where a text does not fit; empty if it fits. The text must be JSON and nothing else: a code fence around
     * it does not fit. The list is limited in number and length.
     */
    public List<JobFailure.Misfit.Violation> violations(String text) {
        if (text.length() > LONGEST_TEXT) {
            return whole("has %d characters, and only up to %d can be checked".formatted(text.length(), LONGEST_TEXT));
        }
        JsonNode value;
        try {
            value = Json.parseStrict(text.getBytes(StandardCharsets.UTF_8));
        } catch (Json.MalformedJson e) {
            return whole(e.reason());
        }
        try {
            return shown(schema.validate(steps, value, value, new JsonNodePath(PathType.JSON_POINTER)));
        } catch (Steps.Exhausted e) {
            return whole(String.valueOf(e.getMessage()));
        } catch (StackOverflowError _) {
            return whole("is nested too deep for the check");
        }
    }

    private static List<JobFailure.Misfit.Violation> whole(String message) {
        return List.of(new JobFailure.Misfit.Violation("", cut(message, LONGEST_MESSAGE)));
    }

    private static List<JobFailure.Misfit.Violation> shown(Collection<ValidationMessage> messages) {
        return messages.stream().limit(MOST_VIOLATIONS).map(AnswerSchema::shown).toList();
    }

    private static JobFailure.Misfit.Violation shown(ValidationMessage message) {
        String place = message.getInstanceLocation().toString();
        String words = message.getMessage();
        String prefix = place + ": ";
        return new JobFailure.Misfit.Violation(
                cut(place, LONGEST_PATH),
                cut(words.startsWith(prefix) ? words.substring(prefix.length()) : words, LONGEST_MESSAGE));
    }

    private static String cut(String text, int longest) {
        String line = text.replaceAll("\\s+", " ");
        if (line.length() <= longest) {
            return line;
        }
        int end = Character.isHighSurrogate(line.charAt(longest - 1)) ? longest - 1 : longest;
        return line.substring(0, end) + "…";
    }
}
