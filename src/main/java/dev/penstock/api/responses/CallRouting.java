package dev.penstock.api.responses;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/** Reads from the headers of a call how its job is routed. */
final class CallRouting {
    private static final List<String> NAMES = List.of("priority", "timeout", "session", "pool", "node", "cache");
    private static final Map<String, String> PRIORITIES =
            Map.of("flex", "low", "priority", "high", "fast", "high", "ultrafast", "high");

    private CallRouting() {}

    /**
     * Returns members of {@code job}. A header {@code x-penstock-priority} gives the member {@code priority}, and so
     * on. Without a priority, the service tier gives one.
     *
     * @param headers returns the value of a header, or null
     * @param chat the request, which may have an object {@code job}
     */
    static Map<String, String> of(UnaryOperator<@Nullable String> headers, ObjectNode chat) {
        Map<String, String> members = new LinkedHashMap<>();
        for (String name : NAMES) {
            String value = headers.apply("x-penstock-" + name);
            if (value != null) {
                members.put(name, value);
            }
        }
        String ofTier = PRIORITIES.get(chat.path("service_tier").asText());
        if (ofTier != null && !chat.path("job").has("priority")) {
            members.putIfAbsent("priority", ofTier);
        }
        return Map.copyOf(members);
    }
}
