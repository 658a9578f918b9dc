package dev.penstock.wire;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.core.json.JsonWriteFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.cfg.JsonNodeFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * JSON as Penstock reads it: strict UTF-8, no duplicate keys, nothing after the value, bounded nesting. Numbers keep their
 * digits.
 */
public final class Json {
    static final int MAX_NESTING = 200;

    private static final ObjectMapper STRICT = JsonMapper.builder(JsonFactory.builder()
                    .streamReadConstraints(StreamReadConstraints.builder()
                            .maxNestingDepth(MAX_NESTING)
                            .maxStringLength(Integer.MAX_VALUE)
                            .build())
                    .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
                    .build())
            .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
            .enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS)
            .disable(JsonNodeFeature.STRIP_TRAILING_BIGDECIMAL_ZEROES)
            .build();

    /** For what model servers say: nothing is known of their habits, so nothing but the syntax is asked for. */
    private static final ObjectMapper LENIENT = JsonMapper.builder(JsonFactory.builder()
                    .enable(JsonWriteFeature.COMBINE_UNICODE_SURROGATES_IN_UTF8)
                    .build())
            .enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS)
            .disable(JsonNodeFeature.STRIP_TRAILING_BIGDECIMAL_ZEROES)
            .build();

    private Json() {}

    /**
     * Parses a document from outside.
     *
     * @throws MalformedJson with one line that says what is wrong
     */
    public static JsonNode parseStrict(byte[] bytes) throws MalformedJson {
        String text;
        try {
            text = StandardCharsets.UTF_8
                    .newDecoder()
                    .decode(ByteBuffer.wrap(bytes))
                    .toString();
        } catch (CharacterCodingException e) {
            throw new MalformedJson("not valid UTF-8", e);
        }
        try (JsonParser parser = new ExactNumbers(STRICT.createParser(text))) {
            JsonNode node = STRICT.readTree(parser);
            if (node == null || node.isMissingNode()) {
                throw new MalformedJson("empty: expected a JSON object", null);
            }
            return node;
        } catch (IOException e) {
            if (!(e instanceof JsonProcessingException syntax)) {
                throw new UncheckedIOException(e);
            }
            throw new MalformedJson(JsonMistake.of(syntax), syntax);
        }
    }

    /** A text of an object within an object, where the whole is well-formed; found without building the document. */
    static Optional<String> textAt(byte[] document, String object, String field) {
        String found = null;
        try (JsonParser parser = LENIENT.createParser(document)) {
            if (parser.nextToken() != JsonToken.START_OBJECT) {
                return Optional.empty();
            }
            while (parser.nextToken() == JsonToken.FIELD_NAME) {
                boolean wanted = parser.currentName().equals(object);
                if (parser.nextToken() != JsonToken.START_OBJECT || !wanted) {
                    parser.skipChildren();
                    continue;
                }
                while (parser.nextToken() == JsonToken.FIELD_NAME) {
                    boolean sought = parser.currentName().equals(field);
                    if (parser.nextToken() == JsonToken.VALUE_STRING && sought) {
                        found = parser.getText();
                    }
                    parser.skipChildren();
                }
            }
            return parser.currentToken() == JsonToken.END_OBJECT && parser.nextToken() == null
                    ? Optional.ofNullable(found)
                    : Optional.empty();
        } catch (IOException _) {
            return Optional.empty();
        }
    }

    /** Parses what a model server sent; null where it is no JSON. */
    public static @Nullable JsonNode parseLenient(String text) {
        try (JsonParser parser = new ExactNumbers(LENIENT.createParser(text))) {
            return LENIENT.readTree(parser);
        } catch (IOException _) {
            return null;
        }
    }

    /** A document of our own making, as UTF-8. */
    public static byte[] bytes(Object document) {
        try {
            return LENIENT.writeValueAsBytes(document);
        } catch (JsonProcessingException e) {
            throw new IllegalArgumentException("no JSON value", e);
        }
    }

    /** The mapper for documents of our own making. */
    public static ObjectMapper mapper() {
        return LENIENT;
    }

    static String firstLine(String message) {
        String line = message.lines().findFirst().orElse("");
        return line.length() > 300 ? line.substring(0, 300) + "…" : line;
    }

    /** Says in one line why a document could not be read. */
    public static final class MalformedJson extends Exception {
        MalformedJson(String message, @Nullable Throwable cause) {
            super(message, cause);
        }

        /** The one line; never null. */
        public String reason() {
            return String.valueOf(getMessage());
        }
    }
}
