package dev.penstock.node.protocol;

import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The tools of a chat, and the tool choice: a word, or an object that names a tool. OpenAI's older fields functions
 * and function_call mean the same.
 */
record Tools(@Nullable Object list, @Nullable Object choice) {

    /** If a job uses both the newer and the older fields, the older ones count as not understood. */
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
                call instanceof Map<?, ?> function ? Map.of("type", "function", "function", function) : call);
    }

    void into(Translation translation) {
        translation.put("tools", list).put("tool_choice", choice);
    }

    /**
     * Translates the choice for a server that accepts only words. If the job requires one tool, the server gets only
     * that tool and must call one.
     *
     * @throws WireProtocol.Unsupported if there is no such tool
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
