package dev.penstock.job;

import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** The size of a prompt. It is an estimate for the scheduler, which never sees the text. */
final class PromptSize {
    /** The fields of a body, of a message, of a part and of a tool whose text the model reads. */
    private static final Set<String> READ = Set.of(
            "messages",
            "prompt",
            "system",
            "input",
            "tools",
            "content",
            "text",
            "function",
            "description",
            "parameters",
            "arguments",
            "tool_calls");

    private PromptSize() {}

    /** Returns the characters of the text in a body, without media. */
    static long chars(Map<?, ?> body) {
        long chars = 0;
        for (Map.Entry<?, ?> field : body.entrySet()) {
            chars += READ.contains(field.getKey()) ? all(field.getValue()) : 0;
        }
        return chars;
    }

    private static long all(@Nullable Object value) {
        return switch (value) {
            case null -> 0;
            case String text -> text.length();
            case List<?> list -> list.stream().mapToLong(PromptSize::all).sum();
            case Map<?, ?> fields -> chars(fields);
            default -> 0;
        };
    }
}
