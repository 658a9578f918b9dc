package dev.penstock.route.match;

import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Estimates the tokens of a prompt from its characters. Text, and the definitions of tools, count by a ratio. A prompt
 * of token numbers counts exactly. Media do not count.
 */
public final class TokenEstimate {
    /** The usual number of characters for a token. Models and languages differ from it by up to a factor of 2. */
    public static final double CHARS_PER_TOKEN = 4;

    private static final List<String> PARTS = List.of("messages", "prompt", "system", "input", "tools", "functions");

    /** The fields that hold media, which have other tokens than text. */
    private static final Set<String> MEDIA = Set.of("image_url", "input_audio", "video_url", "file");

    private TokenEstimate() {}

    /**
     * @param body the job's request
     * @param charsPerToken the number of characters for a token; positive
     */
    public static long of(Map<String, Object> body, double charsPerToken) {
        long[] charsAndTokens = new long[2];
        for (String part : PARTS) {
            Object value = body.get(part);
            if (value != null) {
                add(value, charsAndTokens);
            }
        }
        return (long) Math.ceil(charsAndTokens[0] / charsPerToken) + charsAndTokens[1];
    }

    private static void add(Object value, long[] charsAndTokens) {
        switch (value) {
            case String text -> charsAndTokens[0] += text.length();
            case List<?> list -> {
                for (Object each : list) {
                    if (each instanceof Number) {
                        charsAndTokens[1]++;
                    } else if (each != null) {
                        add(each, charsAndTokens);
                    }
                }
            }
            case Map<?, ?> fields -> {
                for (Map.Entry<?, ?> field : fields.entrySet()) {
                    if (field.getValue() != null && !MEDIA.contains(String.valueOf(field.getKey()))) {
                        add(field.getValue(), charsAndTokens);
                    }
                }
            }
            default -> {
                // flags and single numbers are no text
            }
        }
    }
}
