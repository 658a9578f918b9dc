package dev.penstock.wire.schema;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.wire.InvalidField;
import dev.penstock.wire.Printable;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Walks through the parts of a schema. It refuses what cannot be checked in bounded time, and counts the steps of each
 * part. A place in the schema is a JSON pointer.
 */
final class SchemaShape {
    private static final String REF = "$ref";
    /** The keywords whose value is a part. */
    private static final Set<String> ONE = Set.of(
            "items",
            "additionalItems",
            "contains",
            "additionalProperties",
            "propertyNames",
            "not",
            "if",
            "then",
            "else",
            "contentSchema");
    /** The keywords whose value is an array of parts. Before draft 2020-12, {@code items} is one of them. */
    private static final Set<String> MANY = Set.of("allOf", "anyOf", "oneOf", "prefixItems", "items");
    /** The keywords whose value is an object of parts. */
    private static final Set<String> NAMED =
            Set.of("properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies");
    /** The keywords whose parts check the same value as the part that has the keyword. */
    private static final Set<String> SAME_VALUE =
            Set.of("allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas", "dependencies");
    /** Keywords of which the work depends on everything that was checked before, and references without a fixed target. */
    private static final Set<String> UNAVAILABLE = Set.of(
            "unevaluatedProperties",
            "unevaluatedItems",
            "$dynamicRef",
            "$dynamicAnchor",
            "$recursiveRef",
            "$recursiveAnchor");
    /** The identity of a schema. Penstock reads it at the top only, because it changes what references lead to. */
    private static final Set<String> IDENTITY = Set.of("$id", "$schema", "$vocabulary");

    /** The longest chain of parts that check the same value. */
    private static final int LONGEST_CHAIN = 50;
    /** The largest exponent, because arithmetic may write out as many digits as the exponent says. */
    private static final int LARGEST_SCALE = 400;

    private static final int IN_PROGRESS = -1;

    private final String path;
    private final List<String> references = new ArrayList<>();
    /** The parts that check the same value as the part of the key. */
    private final Map<String, List<String>> chains = new LinkedHashMap<>();

    /** @param path the field of the schema, for messages */
    private SchemaShape(String path) {
        this.path = path;
    }

    /**
     * A schema that can be checked.
     *
     * @param counted the schema, in which each part has the {@link StepKeyword}
     * @param references the places to which it refers
     */
    record Shaped(JsonNode counted, List<String> references) {
        Shaped {
            references = List.copyOf(references);
        }
    }

    static Shaped of(JsonNode schema, String path) throws InvalidField {
        SchemaShape shape = new SchemaShape(path);
        JsonNode counted = shape.part(schema, "");
        shape.checkReferences();
        return new Shaped(counted, shape.references);
    }

    private InvalidField invalid(String place, String message) {
        return new InvalidField(path + place, message);
    }

    private JsonNode part(JsonNode part, String place) throws InvalidField {
        List<String> chain = new ArrayList<>();
        chains.put(place, chain);
        if (!(part instanceof ObjectNode given)) {
            return part;
        }
        ObjectNode counted = given.objectNode();
        long steps = 1;
        for (Map.Entry<String, JsonNode> member : given.properties()) {
            String keyword = member.getKey();
            JsonNode value = member.getValue();
            String at = place + "/" + escaped(keyword);
            check(keyword, value, at, place.isEmpty());
            if (place.isEmpty() && IDENTITY.contains(keyword)) {
                continue;
            }
            if (keyword.equals(REF)) {
                chain.add(value.asText().substring(1));
                references.add(value.asText());
            }
            List<String> parts = new ArrayList<>();
            counted.set(keyword, member(keyword, value, at, parts));
            if (SAME_VALUE.contains(keyword)) {
                chain.addAll(parts);
            }
            steps += parts.isEmpty() ? 1 + sizeOf(value) : 1 + parts.size();
        }
        counted.put(StepKeyword.NAME, steps);
        return counted;
    }

    /** @param parts receives the places of the parts in this value */
    private JsonNode member(String keyword, JsonNode value, String at, List<String> parts) throws InvalidField {
        if (value instanceof ArrayNode array && MANY.contains(keyword)) {
            ArrayNode counted = array.arrayNode();
            for (int i = 0; i < array.size(); i++) {
                parts.add(at + "/" + i);
                counted.add(part(array.get(i), at + "/" + i));
            }
            return counted;
        }
        if (value instanceof ObjectNode object && NAMED.contains(keyword)) {
            ObjectNode counted = object.objectNode();
            for (Map.Entry<String, JsonNode> named : object.properties()) {
                String inside = at + "/" + escaped(named.getKey());
                if (keyword.equals("patternProperties")) {
                    checkPattern(named.getKey(), inside);
                }
                parts.add(inside);
                counted.set(named.getKey(), part(named.getValue(), inside));
            }
            return counted;
        }
        if (ONE.contains(keyword) && !value.isArray()) {
            parts.add(at);
            return part(value, at);
        }
        return value;
    }

    private void check(String keyword, JsonNode value, String at, boolean top) throws InvalidField {
        if (UNAVAILABLE.contains(keyword)) {
            throw invalid(at, "is not available in this version: leave it out");
        }
        if (!top && IDENTITY.contains(keyword)) {
            throw invalid(at, "is allowed at the top of the schema only");
        }
        if (keyword.equals(REF)
                && !value.asText().equals("#")
                && !value.asText().startsWith("#/")) {
            throw invalid(at, "a reference leads to a place in this schema, such as #/$defs/name");
        }
        if (keyword.equals("pattern")) {
            checkPattern(value.asText(), at);
        }
        if (value.isNumber() && Math.abs((long) value.decimalValue().scale()) > LARGEST_SCALE) {
            throw invalid(at, "the number is out of range");
        }
    }

    private void checkPattern(String pattern, String at) throws InvalidField {
        Optional<String> mistake = LinearPattern.mistake(pattern);
        if (mistake.isPresent()) {
            throw invalid(at, mistake.get());
        }
    }

    /** Checks that each reference leads to a part, and that no part checks the same value again without end. */
    private void checkReferences() throws InvalidField {
        for (String reference : references) {
            if (!chains.containsKey(reference.substring(1))) {
                throw invalid(
                        "", "the reference %s leads to no part of the schema".formatted(Printable.line(reference)));
            }
        }
        Map<String, Integer> lengths = new HashMap<>();
        for (String place : chains.keySet()) {
            chainFrom(place, lengths, 0);
        }
    }

    /** Returns the length of the longest chain of parts that check the same value as this part. */
    private int chainFrom(String place, Map<String, Integer> lengths, int before) throws InvalidField {
        Integer known = lengths.get(place);
        if (known != null && known != IN_PROGRESS) {
            return known;
        }
        if (known != null || before > LONGEST_CHAIN) {
            throw invalid(place, "refers to itself, or to others that refer to others, without an end");
        }
        lengths.put(place, IN_PROGRESS);
        int longest = 0;
        for (String next : chains.getOrDefault(place, List.of())) {
            longest = Math.max(longest, 1 + chainFrom(next, lengths, before + 1));
        }
        if (longest > LONGEST_CHAIN) {
            throw invalid(place, "too many parts check the same value one after another");
        }
        lengths.put(place, longest);
        return longest;
    }

    private static long sizeOf(JsonNode value) {
        long size = 1;
        for (JsonNode inside : value) {
            size += sizeOf(inside);
        }
        return size;
    }

    private static String escaped(String name) {
        return name.replace("~", "~0").replace("/", "~1");
    }
}
