package dev.penstock.job;

import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The size of a prompt, of which the scheduler never sees the text. Text counts in characters, and so do the definitions
 * of tools. A prompt of token numbers counts exactly. Media do not count.
 *
 * @param chars the characters of the text
 * @param numbers the number of tokens that are given as numbers
 */
public record PromptSize(long chars, long numbers) {
    /** The usual number of characters for a token. Models and languages differ from it by up to a factor of 2. */
    public static final double USUAL_CHARS_PER_TOKEN = 4;

    public static final PromptSize NONE = new PromptSize(0, 0);

    /** The fields of a body that are part of the prompt. */
    public static final List<String> PARTS =
            List.of("messages", "prompt", "system", "input", "documents", "text_2", "tools", "functions");

    /**
     * The texts that a model reads once more with each text of another field. Beside the content of another task, they
     * are parameters.
     */
    private static final Map<String, String> COMPARED = Map.of("query", "documents", "text_1", "text_2");

    private static final Set<String> OTHER_CONTENT = Set.of("messages", "prompt", "input", "images");

    /** The fields that hold media, which have other tokens than text. */
    public static final Set<String> MEDIA =
            Set.of("image_url", "input_audio", "video_url", "file", "images", "audio", "videos");

    /** Returns the size of the prompt in a request. */
    public static PromptSize of(Map<String, Object> body) {
        PromptSize all = NONE;
        for (String part : PARTS) {
            Object value = body.get(part);
            if (value != null) {
                all = all.plus(ofPart(value));
            }
        }
        if (Collections.disjoint(body.keySet(), OTHER_CONTENT)) {
            for (Map.Entry<String, String> pair : COMPARED.entrySet()) {
                all = all.plus(compared(body.get(pair.getKey()), body.get(pair.getValue())));
            }
        }
        return all;
    }

    /** Returns the size of one text for each of the others. If there are several texts, each is read once. */
    private static PromptSize compared(@Nullable Object text, @Nullable Object others) {
        if (text == null) {
            return NONE;
        }
        PromptSize once = ofPart(text);
        boolean single = !(text instanceof List<?> texts) || texts.size() == 1;
        int times = single && others instanceof List<?> many ? many.size() : 1;
        return new PromptSize(once.chars * times, once.numbers * times);
    }

    /** Returns the size of one part of a prompt, such as a message. */
    public static PromptSize ofPart(Object value) {
        long[] charsAndNumbers = new long[2];
        add(value, charsAndNumbers);
        return new PromptSize(charsAndNumbers[0], charsAndNumbers[1]);
    }

    public PromptSize plus(PromptSize other) {
        return new PromptSize(chars + other.chars, numbers + other.numbers);
    }

    public PromptSize minus(PromptSize other) {
        return new PromptSize(chars - other.chars, numbers - other.numbers);
    }

    /**
     * Returns an estimate of the tokens.
     *
     * @param charsPerToken the number of characters for a token; positive
     */
    public long tokens(double charsPerToken) {
        return (long) Math.ceil(chars / charsPerToken) + numbers;
    }

    private static void add(Object value, long[] charsAndNumbers) {
        switch (value) {
            case String text -> charsAndNumbers[0] += text.length();
            case List<?> list -> {
                for (Object each : list) {
                    if (each instanceof Number) {
                        charsAndNumbers[1]++;
                    } else if (each != null) {
                        add(each, charsAndNumbers);
                    }
                }
            }
            case Map<?, ?> fields -> {
                for (Map.Entry<?, ?> field : fields.entrySet()) {
                    if (field.getValue() != null && !MEDIA.contains(String.valueOf(field.getKey()))) {
                        add(field.getValue(), charsAndNumbers);
                    }
                }
            }
            default -> {
                // flags and single numbers are no text
            }
        }
    }
}
