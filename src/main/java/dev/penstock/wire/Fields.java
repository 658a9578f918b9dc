package dev.penstock.wire;

import com.fasterxml.jackson.databind.JsonNode;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.Arrays;
import java.util.Collection;
import java.util.Iterator;
import java.util.Locale;
import java.util.Optional;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** Reads typed members of one JSON object. Every error message has the member's path. */
public final class Fields {
    private static final int MOST_DIGITS = 40;

    private final String prefix;
    private final @Nullable JsonNode object;

    /** @param object the object; null if it is absent */
    public Fields(String prefix, @Nullable JsonNode object) {
        this.prefix = prefix;
        this.object = object;
    }

    public static String kind(JsonNode node) {
        return switch (node.getNodeType()) {
            case MISSING -> "nothing";
            case NULL -> "null";
            case POJO, BINARY -> "a value";
            case ARRAY -> "an array";
            case OBJECT -> "an object";
            case STRING -> "a string";
            case NUMBER -> "a number";
            case BOOLEAN -> "a boolean";
        };
    }

    public static void checkOptional(JsonNode root, String name, Predicate<JsonNode> fits, String expected)
            throws InvalidField {
        JsonNode value = root.get(name);
        if (value != null && !value.isNull() && !fits.test(value)) {
            throw new InvalidField(name, "expected " + expected + ", got " + kind(value));
        }
    }

    public boolean has(String name) {
        return object != null && object.hasNonNull(name);
    }

    public void onlyKnown(Collection<String> known) throws InvalidField {
        Iterator<String> names = object == null ? Arrays.<String>asList().iterator() : object.fieldNames();
        while (names.hasNext()) {
            String name = names.next();
            if (!known.contains(name)) {
                throw new InvalidField(
                        prefix + name,
                        "unknown field; did you mean " + prefix
                                + Nearest.of(name, known).orElse("…") + "?");
            }
        }
    }

    public Optional<String> text(String name) throws InvalidField {
        return value(name, JsonNode::isTextual, "a string").map(JsonNode::textValue);
    }

    public Optional<JsonNode> object(String name) throws InvalidField {
        return value(name, JsonNode::isObject, "an object");
    }

    public Optional<Boolean> flag(String name) throws InvalidField {
        return value(name, JsonNode::isBoolean, "a boolean").map(JsonNode::booleanValue);
    }

    public Optional<Integer> positiveInteger(String name) throws InvalidField {
        Optional<JsonNode> value =
                value(name, node -> isInteger(node) && integer(node).bitLength() < Integer.SIZE, "a positive integer");
        Optional<Integer> number = value.map(node -> integer(node).intValueExact());
        if (number.isPresent() && number.get() < 1) {
            throw new InvalidField(prefix + name, "must be at least 1");
        }
        return number;
    }

    /** Returns whether a number is an integer, in any notation: 100, 100.0 or 1e2. */
    public static boolean isInteger(JsonNode node) {
        if (node.isIntegralNumber() || !node.isNumber()) {
            return node.isIntegralNumber();
        }
        BigDecimal plain = node.decimalValue().stripTrailingZeros();
        // without writing out the digits, because 1e999999999 has too many
        return plain.scale() <= 0 && (long) plain.precision() - plain.scale() <= MOST_DIGITS;
    }

    /** @param node an integer */
    public static BigInteger integer(JsonNode node) {
        return node.isIntegralNumber()
                ? node.bigIntegerValue()
                : node.decimalValue().toBigIntegerExact();
    }

    public <E extends Enum<E>> Optional<E> oneOf(String name, E[] values) throws InvalidField {
        Optional<String> given = text(name);
        if (given.isEmpty()) {
            return Optional.empty();
        }
        for (E value : values) {
            if (value.name().toLowerCase(Locale.ROOT).equals(given.get())) {
                return Optional.of(value);
            }
        }
        String allowed = Arrays.stream(values)
                .map(value -> value.name().toLowerCase(Locale.ROOT))
                .collect(Collectors.joining(", "));
        throw new InvalidField(prefix + name, "'" + Json.firstLine(given.get()) + "' is none of " + allowed);
    }

    /** Returns a member's value. Null counts as absent, because OpenAI's clients send null for absent fields. */
    private Optional<JsonNode> value(String name, Predicate<JsonNode> fits, String expected) throws InvalidField {
        JsonNode value = object == null ? null : object.get(name);
        if (value == null || value.isNull()) {
            return Optional.empty();
        }
        if (!fits.test(value)) {
            throw new InvalidField(prefix + name, "expected " + expected + ", got " + kind(value));
        }
        return Optional.of(value);
    }
}
