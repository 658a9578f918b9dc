package dev.penstock.node;

import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The tools of a chat, and which of them is to be called: a word, or an object that names one. OpenAI's older words for
 * them, functions and function_call, mean the same.
 */
record Tools(@Nullable Object list, @Nullable Object choice) {

    /** The older words of a job that uses the newer too count as not understood. */
    static Tools of(Translation translation) {
        Object list = translation.take("tools");
        Object choice = translation.take("tool_choice");
        Object functions = translation.take("functions");
        Object call = translation.take("function_call");
        if (list != null || choice != null) {
            translation.leave("functions");
            translation.leave("function_call");
            return new Tools(list, choice);
        }
        return new Tools(
                functions instanceof List<?> given
                        ? given.stream()
                                .filter(Map.class::isInstance)
                                .map(function -> Map.of("type", "function", "function", function))
                                .toList()
                        : null,
                call instanceof Map<?, ?> named ? Map.of("type", "function", "function", named) : call);
    }

    void into(Translation translation) {
        translation.put("tools", list).put("tool_choice", choice);
    }

    /**
     * For a server that knows words alone: one that has to call the tool of that name gets no other, and has to call one.
     *
     * @throws WireProtocol.Unsupported where there is no such tool
     */
    void inWordsInto(Translation translation) throws WireProtocol.Unsupported {
        if (!(choice instanceof Map<?, ?> object)) {
            into(translation);
        } else if (name(object) instanceof String wanted) {
            Object tool = (list instanceof List<?> tools ? tools : List.of())
                    .stream()
                            .filter(each -> each instanceof Map<?, ?> fields && wanted.equals(name(fields)))
                            .findFirst()
                            .orElseThrow(() -> new WireProtocol.Unsupported(
                                    "tool_choice", "there is no tool '%s' among tools".formatted(wanted)));
            translation.put("tools", List.of(tool)).put("tool_choice", "required");
        } else {
            translation.put("tools", list).leave("tool_choice");
        }
    }

    private static @Nullable Object name(Map<?, ?> tool) {
        return tool.get("function") instanceof Map<?, ?> function ? function.get("name") : null;
    }
}
