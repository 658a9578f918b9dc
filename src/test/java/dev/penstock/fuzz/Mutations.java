package dev.penstock.fuzz;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.wire.Json;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.random.RandomGenerator;
import java.util.regex.Matcher;

/** Changes valid input. The generator alone decides the result. */
record Mutations(RandomGenerator random) {
    private static final int LONG = 20_000;

    /** Values that have broken parsers of JSON, names, numbers and times. */
    private static final List<String> HOSTILE = List.of(
            "null",
            "true",
            "\"\"",
            "[]",
            "{}",
            "0",
            "-1",
            "-0",
            "0.0",
            "1e-30",
            "1e400",
            "1e999999",
            "-1e-2147483647",
            "9223372036854775807",
            "9223372036854775808",
            "-9223372036854775809",
            "2147483648",
            "123456789012345678901234567890",
            "0.1234567890123456789012345678901234567890",
            "\"\\u0000\"",
            "\"\\ud800\"",
            "\"\\udc00\\ud800\"",
            "\"a\\nb\\u001b[2J\\u009b\\u202e\"",
            "\"../../etc/passwd\"",
            "\".\"",
            "\"..\"",
            "\"%2e%2e%2f\"",
            "\"'; DROP TABLE jobs; --\"",
            "\"P1000000000D\"",
            "\"PT0S\"",
            "\"+999999999-12-31T23:59:59Z\"",
            "\"-999999999-01-01T00:00:00Z\"",
            "\"file:/etc/passwd\"",
            "\"env:HOME\"",
            "\"data:image/png;base64,####\"",
            "\"http://127.0.0.1:1/x.png\"",
            "[[[[[[[[[[]]]]]]]]]]",
            "{\"a\":{\"a\":{\"a\":{}}}}");

    private static final List<String> TOKENS = List.of(
            "{", "}", "[", "]", "\"", ":", ",", "\\", "\\u", "\\ud800", "null", "NaN", "1e99", "-", "\0", "\u0080",
            "\ufeff");

    boolean chance(int percent) {
        return random.nextInt(100) < percent;
    }

    <T> T any(List<T> values) {
        return values.get(random.nextInt(values.size()));
    }

    /** Returns any value, as JSON. */
    String value() {
        return switch (random.nextInt(12)) {
            case 0 -> "\"" + "a".repeat(random.nextInt(LONG)) + "\"";
            case 1 -> "\"" + letters(random.nextInt(300)) + "\"";
            case 2 -> "[".repeat(random.nextInt(400)) + "]".repeat(random.nextInt(400));
            case 3 -> Long.toString(random.nextLong());
            default -> any(HOSTILE);
        };
    }

    /** Returns letters of any script, without quotes and backslashes. */
    private String letters(int count) {
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < count; i++) {
            int c = random.nextInt(chance(80) ? 0x3000 : 0x110000);
            boolean plain = c >= ' ' && c != '"' && c != '\\' && !(c >= 0xD800 && c <= 0xDFFF);
            text.appendCodePoint(plain ? c : 'x');
        }
        return text.toString();
    }

    /** Returns a document with some changed members, and perhaps some changed bytes. */
    byte[] document(String sound) {
        JsonNode document = Json.parseLenient(sound);
        String text = sound;
        for (int i = random.nextInt(4); i > 0 && document != null; i--) {
            change(document);
            text = new String(Json.bytes(document), StandardCharsets.UTF_8);
        }
        // inserts values as text: no JSON writer would write all of them
        while (text.contains(HOLE)) {
            text = text.replaceFirst(HOLE, Matcher.quoteReplacement(value()));
        }
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        return chance(25) ? bytes(bytes) : bytes;
    }

    private static final String HOLE = "\"@hole@\"";

    private void change(JsonNode document) {
        List<JsonNode> containers = new ArrayList<>();
        collect(document, containers);
        JsonNode chosen = any(containers);
        if (chosen instanceof ObjectNode object) {
            List<String> names = new ArrayList<>();
            object.fieldNames().forEachRemaining(names::add);
            String name = names.isEmpty() || chance(15) ? letters(random.nextInt(20)) : any(names);
            if (chance(20)) {
                object.remove(name);
            } else {
                object.put(name, "@hole@");
            }
        } else if (chosen instanceof ArrayNode array) {
            for (int i = random.nextInt(3); i >= 0; i--) {
                array.add("@hole@");
            }
        }
    }

    private static void collect(JsonNode node, List<JsonNode> containers) {
        if (node.isContainerNode()) {
            containers.add(node);
            node.forEach(child -> collect(child, containers));
        }
    }

    /** Changes, removes, inserts or repeats some bytes. */
    byte[] bytes(byte[] sound) {
        byte[] bytes = sound;
        for (int i = 1 + random.nextInt(6); i > 0; i--) {
            bytes = once(bytes);
        }
        return bytes;
    }

    private byte[] once(byte[] bytes) {
        if (bytes.length == 0) {
            return new byte[] {(byte) random.nextInt(256)};
        }
        int at = random.nextInt(bytes.length);
        int length = Math.min(bytes.length - at, 1 + random.nextInt(chance(80) ? 8 : bytes.length));
        return switch (random.nextInt(6)) {
            case 0 -> {
                byte[] changed = bytes.clone();
                changed[at] = (byte) random.nextInt(256);
                yield changed;
            }
            case 1 -> joined(bytes, at, at + length, new byte[0]);
            case 2 -> joined(bytes, at, at, Arrays.copyOfRange(bytes, at, at + length));
            case 3 -> joined(bytes, at, at, any(TOKENS).getBytes(StandardCharsets.UTF_8));
            case 4 -> Arrays.copyOf(bytes, at);
            default -> joined(bytes, at, at + length, value().getBytes(StandardCharsets.UTF_8));
        };
    }

    private static byte[] joined(byte[] bytes, int from, int to, byte[] between) {
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        all.write(bytes, 0, from);
        all.writeBytes(between);
        all.write(bytes, to, bytes.length - to);
        return all.toByteArray();
    }
}
