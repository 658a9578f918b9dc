package dev.penstock.route.match;

import dev.penstock.job.PromptJob;
import dev.penstock.job.Task;
import dev.penstock.settings.Conditions;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Finds what a prompt contains or requests. It uses the fields of the request, and simple signs in its text: no model
 * and no network. The signs of code are a fence, or several lines that look like code.
 */
final class PromptTraits {
    private static final String FENCE = "```";
    private static final int CODE_LINES = 3;
    private static final int LONGEST_CODE_LINE = 200;
    /** The part of the lines that must look like code. */
    private static final int ONE_IN = 4;

    private static final Pattern CODE_START = Pattern.compile(
            "(?:def|class|func|fn|function|import|from|package|public|private|protected|static|const|let|var|return|if|for|while|switch|using|namespace|struct|impl|SELECT|INSERT|UPDATE|CREATE|#include|#define|@[A-Za-z])\\b.*[(){};:=<>*].*|[\\w.]+\\(.*\\)|import \\w[\\w.]*|from \\w[\\w.]* import .*");
    private static final Pattern CODE_END = Pattern.compile(".*(?:[;{}]|\\)\\s*:|=>|->|\\\\)$");

    private static final Set<String> REASONING_FIELDS = Set.of("reasoning_effort", "reasoning", "thinking", "think");
    private static final Set<Object> OFF = Set.of("none", "disabled", "off", false);
    private static final List<String> REASONING_WORDS = List.of(
            "step by step",
            "think carefully",
            "think hard",
            "chain of thought",
            "prove that",
            "explain your reasoning",
            "show your work",
            "schritt für schritt",
            "denke nach",
            "beweise",
            "étape par étape",
            "paso a paso",
            "passo a passo",
            "passo dopo passo");

    private PromptTraits() {}

    /**
     * @param asked the traits that matter
     * @param text the text that the classifier reads; empty if no trait in it matters
     */
    static Set<Conditions.Trait> of(PromptJob job, Set<Conditions.Trait> asked, String text) {
        Set<Conditions.Trait> found = EnumSet.noneOf(Conditions.Trait.class);
        for (Conditions.Trait trait : asked) {
            if (has(trait, job, text)) {
                found.add(trait);
            }
        }
        return found;
    }

    /** Returns whether the trait may depend on the text. */
    static boolean needsText(Conditions.Trait trait) {
        return switch (trait) {
            case CODE, REASONING -> true;
            case IMAGES, TOOLS, JSON -> false;
        };
    }

    private static boolean has(Conditions.Trait trait, PromptJob job, String text) {
        return switch (trait) {
            case CODE -> hasCode(text);
            case IMAGES ->
                job.task() == Task.DESCRIBE
                        || job.task() == Task.TAG
                        || hasImage(job.body().get("messages"));
            case TOOLS -> isFull(job.body().get("tools")) || isFull(job.body().get("functions"));
            case JSON -> wantsJson(job.body());
            case REASONING -> wantsReasoning(job.body(), text);
        };
    }

    private static boolean hasCode(String text) {
        if (text.contains(FENCE)) {
            return true;
        }
        int lines = 0;
        int code = 0;
        for (String line : text.split("\n", -1)) {
            String stripped = line.strip();
            if (!stripped.isEmpty()) {
                lines++;
                // a longer line is prose, and would cost the patterns much time
                boolean isShort = stripped.length() <= LONGEST_CODE_LINE;
                boolean ends = isShort && CODE_END.matcher(stripped).matches();
                boolean starts = isShort && CODE_START.matcher(stripped).matches();
                code += ends || starts ? 1 : 0;
            }
        }
        return code >= CODE_LINES && code * ONE_IN >= lines;
    }

    private static boolean hasImage(@Nullable Object messages) {
        if (!(messages instanceof List<?> list)) {
            return false;
        }
        for (Object message : list) {
            if (message instanceof Map<?, ?> fields && fields.get("content") instanceof List<?> parts) {
                for (Object part : parts) {
                    if (part instanceof Map<?, ?> piece
                            && ("image_url".equals(piece.get("type")) || piece.containsKey("image_url"))) {
                        return true;
                    }
                }
            }
        }
        return false;
    }

    private static boolean isFull(@Nullable Object list) {
        return list instanceof List<?> given && !given.isEmpty();
    }

    private static boolean wantsJson(Map<String, Object> body) {
        return (body.get("response_format") instanceof Map<?, ?> format
                        && ("json_object".equals(format.get("type")) || "json_schema".equals(format.get("type"))))
                || body.containsKey("json_schema")
                || body.containsKey("guided_json")
                || "json".equals(body.get("format"));
    }

    private static boolean wantsReasoning(Map<String, Object> body, String text) {
        for (String field : REASONING_FIELDS) {
            Object value = body.get(field);
            if (value instanceof Map<?, ?> object ? isOn(object) : value != null && !OFF.contains(value)) {
                return true;
            }
        }
        String lower = text.toLowerCase(Locale.ROOT);
        return REASONING_WORDS.stream().anyMatch(lower::contains);
    }

    /** Returns whether an object such as {@code {"type": "enabled"}} or {@code {"effort": "high"}} asks for reasoning. */
    private static boolean isOn(Map<?, ?> object) {
        return object.values().stream().noneMatch(value -> value != null && OFF.contains(value));
    }
}
