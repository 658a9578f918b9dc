package dev.penstock.wire.document;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.wire.Json;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.TreeMap;

/**
 * Hashes a job, so that two jobs with the same id can be compared. Two jobs are the same if they are equal as JSON. The
 * order of keys, blanks and the notation of numbers do not matter. The hash leaves out {@code job.id} and {@code
 * job.tenant}. In {@code job}, null counts as absent.
 */
public final class BodyHash {
    private static final int BYTES = 16;

    private BodyHash() {}

    /**
     * @param document a well-formed job
     * @return 32 hexadecimal digits of a SHA-256
     */
    public static String of(byte[] document) {
        try {
            return of(Json.parseStrict(document));
        } catch (Json.MalformedJson e) {
            throw new IllegalArgumentException(e.reason(), e);
        }
    }

    static String of(JsonNode document) {
        MessageDigest digest;
        try {
            digest = MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new AssertionError("every Java platform has SHA-256", e);
        }
        StringBuilder canonical = new StringBuilder();
        if (document instanceof ObjectNode root && root.get("job") instanceof ObjectNode job) {
            ObjectNode own = job.deepCopy();
            own.remove("id");
            own.remove("tenant");
            ObjectNode rest = root.objectNode();
            rest.setAll(root);
            rest.remove("job");
            job.properties().forEach(field -> {
                if (field.getValue().isNull()) {
                    own.remove(field.getKey());
                }
            });
            if (!own.isEmpty()) {
                rest.set("job", own);
            }
            write(rest, canonical);
        } else if (document instanceof ObjectNode root && root.path("job").isNull()) {
            ObjectNode rest = root.objectNode();
            rest.setAll(root);
            rest.remove("job");
            write(rest, canonical);
        } else {
            write(document, canonical);
        }
        byte[] hash = digest.digest(canonical.toString().getBytes(StandardCharsets.UTF_8));
        return HexFormat.of().formatHex(hash, 0, BYTES);
    }

    private static void write(JsonNode node, StringBuilder canonical) {
        if (node.isObject()) {
            TreeMap<String, JsonNode> sorted = new TreeMap<>();
            node.properties().forEach(field -> sorted.put(field.getKey(), field.getValue()));
            canonical.append('{');
            sorted.forEach((name, value) -> {
                text(name, canonical);
                write(value, canonical);
            });
            canonical.append('}');
        } else if (node.isArray()) {
            canonical.append('[');
            node.forEach(value -> write(value, canonical));
            canonical.append(']');
        } else if (node.isNumber()) {
            canonical.append('#').append(plain(node.decimalValue())).append(';');
        } else if (node.isTextual()) {
            text(node.textValue(), canonical);
        } else {
            canonical.append(node.asText()).append(';');
        }
    }

    private static BigDecimal plain(BigDecimal number) {
        return number.signum() == 0 ? BigDecimal.ZERO : number.stripTrailingZeros();
    }

    /** Writes the text's length before the text, so that no text can look like the end of another. */
    private static void text(String text, StringBuilder canonical) {
        canonical.append('"').append(text.length()).append(':').append(text);
    }
}
