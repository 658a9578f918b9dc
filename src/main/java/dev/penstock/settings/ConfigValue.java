package dev.penstock.settings;

import com.fasterxml.jackson.core.type.TypeReference;
import dev.penstock.wire.Json;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;

/** A value of a free-form key: configuration knows only text, a request's body knows numbers, lists and objects. */
final class ConfigValue {
    private ConfigValue() {}

    static Map<String, Object> all(Map<String, String> given) {
        Map<String, Object> values = new LinkedHashMap<>();
        given.forEach((name, text) -> values.put(name, of(text)));
        return values;
    }

    /** JSON where it is JSON, else the text. */
    private static Object of(String text) {
        try {
            Object value = Json.mapper()
                    .convertValue(
                            Json.parseStrict(text.getBytes(StandardCharsets.UTF_8)), new TypeReference<Object>() {});
            return value == null ? text : value;
        } catch (Json.MalformedJson _) {
            return text;
        }
    }
}
