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
import dev.penstock.job.JobFailure;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Penstock's JSON parser; no other class parses JSON. Documents from outside must be valid UTF-8, without duplicate
 * keys and without anything after the value. The depth and the number of tokens are limited, and so are the lengths of
 * names, strings and numbers. If the parser throws any exception, the document is refused. Numbers keep their digits.
 */
public final class Json {
    static final int MAX_NESTING = 200;
    /**
     * The depth limit for lenient parsing. This limit is higher, because Penstock's own events contain documents from
     * outside at some depth.
     */
    private static final int MAX_NESTING_LENIENT = 1_000;

    /**
     * The largest number of tokens. A token costs up to 25 bytes in memory: 8 MB of {@code [],} would become 140 MB.
     */
    static final int MAX_TOKENS = 1_000_000;
    /** The limit for a document of vectors, which consists mostly of numbers. */
    static final int MAX_TOKENS_OF_VECTORS = 16_000_000;

    static final int MAX_NUMBER = 1_000;
    /** The largest exponent, because arithmetic may write out as many digits as the exponent says. */
    static final int MAX_EXPONENT = 9_999;

    static final int MAX_NAME = 1_000;
    private static final int MAX_NAME_LENIENT = 50_000;
    /** The longest string. The limit is large, because the size of a document is checked before it is parsed. */
    static final int MAX_STRING = 128 << 20;

    private static final ObjectMapper STRICT = JsonMapper.builder(JsonFactory.builder()
                    .streamReadConstraints(StreamReadConstraints.builder()
                            .maxNestingDepth(MAX_NESTING)
                            .maxTokenCount(MAX_TOKENS)
                            .maxNumberLength(MAX_NUMBER)
                            .maxNameLength(MAX_NAME)
                            .maxStringLength(MAX_STRING)
                            .build())
                    .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
                    .build())
            .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
            .enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS)
            .disable(JsonNodeFeature.STRIP_TRAILING_BIGDECIMAL_ZEROES)
            .build();

    /**
     * The parser for model servers' documents. It requires only valid syntax, because servers differ in everything
     * else.
     */
    private static final ObjectMapper LENIENT = lenient(MAX_TOKENS);

    private static final ObjectMapper VECTORS = lenient(MAX_TOKENS_OF_VECTORS);

    /** Java's decoder puts this character in the place of bytes that are not UTF-8. */
    private static final char REPLACEMENT = '\uFFFD';

    private Json() {}

    private static ObjectMapper lenient(int tokens) {
        return JsonMapper.builder(JsonFactory.builder()
                        .streamReadConstraints(StreamReadConstraints.builder()
                                .maxNestingDepth(MAX_NESTING_LENIENT)
                                .maxTokenCount(tokens)
                                .maxNumberLength(MAX_NUMBER)
                                .maxNameLength(MAX_NAME_LENIENT)
                                .maxStringLength(MAX_STRING)
                                .build())
                        .enable(JsonWriteFeature.COMBINE_UNICODE_SURROGATES_IN_UTF8)
                        .build())
                .enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS)
                .disable(JsonNodeFeature.STRIP_TRAILING_BIGDECIMAL_ZEROES)
                .build();
    }

    /**
     * Parses a document from outside.
     *
     * @throws MalformedJson with one line that gives the reason
     */
    public static JsonNode parseStrict(byte[] bytes) throws MalformedJson {
        String text = new String(bytes, StandardCharsets.UTF_8);
        if (text.indexOf(REPLACEMENT) >= 0 && !isUtf8(bytes)) {
            throw new MalformedJson("not valid UTF-8", null);
        }
        JsonNode node = read(STRICT, text);
        if (node == null || node.isMissingNode()) {
            throw new MalformedJson("empty: expected a JSON object", null);
        }
        return node;
    }

    private static boolean isUtf8(byte[] bytes) {
        try {
            var _ = StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes));
            return true;
        } catch (CharacterCodingException _) {
            return false;
        }
    }

    /** Returns a parsed document as maps, lists, texts, numbers, booleans and nulls. */
    public static @Nullable Object plain(JsonNode node) {
        return switch (node.getNodeType()) {
            case OBJECT -> {
                Map<String, @Nullable Object> fields = LinkedHashMap.newLinkedHashMap(node.size());
                node.properties().forEach(field -> fields.put(field.getKey(), plain(field.getValue())));
                yield fields;
            }
            case ARRAY -> {
                List<@Nullable Object> elements = new ArrayList<>(node.size());
                node.forEach(element -> elements.add(plain(element)));
                yield elements;
            }
            case STRING -> node.textValue();
            case NUMBER -> node.numberValue();
            case BOOLEAN -> node.booleanValue();
            case NULL, MISSING -> null;
            case BINARY, POJO -> throw new IllegalArgumentException("not a parsed document");
        };
    }

    /**
     * Parses a text. It turns every exception of the parser into MalformedJson, even if it is not a syntax error. Only
     * OutOfMemoryError passes through.
     */
    private static @Nullable JsonNode read(ObjectMapper mapper, String text) throws MalformedJson {
        try (ExactNumbers parser = new ExactNumbers(mapper.createParser(text))) {
            try {
                return mapper.readTree(parser);
            } catch (IOException | RuntimeException | StackOverflowError e) {
                throw JsonMistake.of(e, parser);
            }
        } catch (IOException | RuntimeException _) {
            throw new MalformedJson("not valid JSON: it cannot be read", null);
        }
    }

    /**
     * Returns a parser that reads a document of Penstock token by token. Its limits are the limits of {@link
     * #parseVectors}.
     */
    public static JsonParser parser(String text) throws IOException {
        return VECTORS.createParser(text);
    }

    /**
     * Returns a text field of an object inside the document, if the whole document is well-formed. It does not build a
     * tree of the document.
     */
    public static Optional<String> textAt(byte[] document, String object, String field) {
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
        } catch (IOException | RuntimeException | StackOverflowError _) {
            return Optional.empty();
        }
    }

    /**
     * Parses a text from a model server or from one of Penstock's topics. Returns null if the text is not JSON or
     * exceeds the limits.
     */
    public static @Nullable JsonNode parseLenient(String text) {
        return parse(LENIENT, text);
    }

    /**
     * Parses a text like {@link #parseLenient}, but with a higher limit for tokens: an answer with embeddings may hold
     * millions of numbers.
     */
    public static @Nullable JsonNode parseVectors(String text) {
        return parse(VECTORS, text);
    }

    private static @Nullable JsonNode parse(ObjectMapper mapper, String text) {
        try {
            return read(mapper, text);
        } catch (MalformedJson _) {
            return null;
        }
    }

    /** Writes a document of Penstock as UTF-8. */
    public static byte[] bytes(Object document) {
        try {
            return LENIENT.writeValueAsBytes(document);
        } catch (JsonProcessingException e) {
            throw new IllegalArgumentException("no JSON value", e);
        }
    }

    /** Writes a document of Penstock as a text. */
    public static String text(Object document) {
        return new String(bytes(document), StandardCharsets.UTF_8);
    }

    /** Returns the mapper for Penstock's own documents. */
    public static ObjectMapper mapper() {
        return LENIENT;
    }

    static String firstLine(String message) {
        String line = message.lines().findFirst().orElse("");
        return line.length() > 300 ? line.substring(0, 300) + "…" : line;
    }

    /** Reports that a document cannot be read. The reason is one line. */
    public static final class MalformedJson extends Exception {
        /**
         * If the document is well-formed but exceeds a limit, the path of the field that exceeds it; empty for the
         * document itself. Null if the document is not well-formed.
         */
        private final @Nullable String beyondLimit;

        public MalformedJson(String message, @Nullable String beyondLimit) {
            super(message);
            this.beyondLimit = beyondLimit;
        }

        /** Returns the reason in one line; never null. */
        public String reason() {
            return failure().message();
        }

        /** Returns the failure for callers, with the field if there is one. */
        public JobFailure failure() {
            String words = String.valueOf(getMessage());
            return beyondLimit == null || beyondLimit.isEmpty()
                    ? JobFailure.of(JobFailure.Code.INVALID_REQUEST, words)
                    : JobFailure.invalid(beyondLimit, words);
        }

        /**
         * Returns whether the document exceeds a limit, and its syntax is correct up to the point where the parser
         * stopped.
         */
        public boolean isBeyondLimit() {
            return beyondLimit != null;
        }
    }
}
