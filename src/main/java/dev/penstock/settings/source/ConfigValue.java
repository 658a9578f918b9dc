package dev.penstock.settings.source;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.wire.Json;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * The value of a free-form key. A configuration contains only text, but a request's body has numbers, lists and
 * objects.
 */
final class ConfigValue {
    private ConfigValue() {}

    static Map<String, Object> all(Map<String, String> given) {
        Map<String, Object> values = new LinkedHashMap<>();
        given.forEach((name, text) -> values.put(name, of(text)));
        return values;
    }

    /** Returns the JSON value if the text is JSON, else the text. */
    static Object of(String text) {
        try {
            JsonNode json = Json.parseStrict(text.getBytes(StandardCharsets.UTF_8));
            return json.isNull() ? json : Json.mapper().convertValue(json, new TypeReference<Object>() {});
        } catch (Json.MalformedJson _) {
            return text;
        }
    }
}
