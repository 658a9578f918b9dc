package dev.penstock.wire.document;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.MissingNode;
import dev.penstock.wire.Json;
import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * A JSON object that may be large, kept as text. Only requested fields are parsed, because a tree of all its numbers
 * would take many times as much memory.
 */
public final class LargeObject {
    private final String text;
    private final Map<String, Field> fields;

    /**
     * The place of a field in the text.
     *
     * @param begin the position of the quote before the field's name
     * @param end a position after the field's value; only a comma and blanks may lie between the two
     */
    private record Field(int begin, int end) {}

    private LargeObject(String text, Map<String, Field> fields) {
        this.text = text;
        this.fields = fields;
    }

    /**
     * Reads any JSON value. A value that is not an object has no fields. Returns null if the text is not JSON or
     * exceeds the limits.
     */
    public static @Nullable LargeObject of(String text) {
        try (JsonParser parser = Json.parser(text)) {
            Map<String, Field> fields = new LinkedHashMap<>();
            JsonToken token = parser.nextToken();
            if (token != JsonToken.START_OBJECT) {
                parser.skipChildren();
                return token != null && parser.nextToken() == null ? new LargeObject(text, fields) : null;
            }
            token = parser.nextToken();
            while (token == JsonToken.FIELD_NAME) {
                String name = parser.currentName();
                int begin = (int) parser.currentTokenLocation().getCharOffset();
                parser.nextToken();
                parser.skipChildren();
                token = parser.nextToken();
                int end = token == JsonToken.FIELD_NAME
                        ? (int) parser.currentTokenLocation().getCharOffset()
                        : text.lastIndexOf('}');
                fields.put(name, new Field(begin, end));
            }
            return token == JsonToken.END_OBJECT && parser.nextToken() == null ? new LargeObject(text, fields) : null;
        } catch (IOException | RuntimeException | StackOverflowError _) {
            return null;
        }
    }

    /** Returns whether the object has a field of this name. */
    public boolean has(String name) {
        return fields.containsKey(name);
    }

    /** Returns the value of a field; a missing node if there is no such field. */
    public JsonNode path(String name) {
        Field field = fields.get(name);
        if (field == null) {
            return MissingNode.getInstance();
        }
        int colon = text.indexOf(':', endOfName(field.begin));
        JsonNode value = Json.parseLenient(text.substring(colon + 1, end(field)));
        return value == null ? MissingNode.getInstance() : value;
    }

    /** Returns the object without these fields, as text. */
    public String without(Set<String> names) {
        StringBuilder left = new StringBuilder(text.length()).append('{');
        fields.forEach((name, field) -> {
            if (!names.contains(name)) {
                left.append(left.length() > 1 ? "," : "").append(text, field.begin, end(field));
            }
        });
        return left.append('}').toString();
    }

    private int endOfName(int begin) {
        int at = begin + 1;
        while (text.charAt(at) != '"') {
            at += text.charAt(at) == '\\' ? 2 : 1;
        }
        return at + 1;
    }

    private int end(Field field) {
        int end = field.end;
        while (text.charAt(end - 1) == ',' || Character.isWhitespace(text.charAt(end - 1))) {
            end--;
        }
        return end;
    }
}
