package dev.penstock.route.match;

import dev.penstock.job.PromptJob;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The part of a prompt's text that the classifier reads: at most {@link #MOST} characters. A chat's newest messages come
 * first, so that the prompt of a long chat counts and not only its beginning.
 */
final class PromptText {
    static final int MOST = 4_096;
    /** The largest number of messages or parts that are read. It bounds the work for a prompt of empty texts. */
    private static final int MOST_PARTS = 64;

    private final StringBuilder text = new StringBuilder();
    private int parts;

    private PromptText() {}

    static String of(PromptJob job) {
        PromptText reading = new PromptText();
        Object messages = job.body().get("messages");
        if (messages instanceof List<?> list) {
            for (int i = list.size() - 1; i >= 0 && reading.goesOn(); i--) {
                reading.parts++;
                if (list.get(i) instanceof Map<?, ?> message) {
                    reading.add(message.get("content"));
                }
            }
        } else {
            reading.add(job.body().get("prompt"));
            reading.add(job.body().get("input"));
            reading.add(job.body().get("query"));
            reading.add(job.body().get("text_1"));
            reading.add(job.body().get("system"));
        }
        return reading.text.toString();
    }

    private boolean goesOn() {
        return text.length() < MOST && parts < MOST_PARTS;
    }

    private void add(@Nullable Object content) {
        switch (content) {
            case String given -> {
                text.append(given, 0, Math.min(given.length(), MOST - text.length()));
                if (goesOn()) {
                    text.append('\n');
                }
            }
            case List<?> list -> {
                for (Object part : list) {
                    if (!goesOn()) {
                        return;
                    }
                    parts++;
                    add(part instanceof Map<?, ?> fields ? fields.get("text") : part);
                }
            }
            case null, default -> {
                // no text
            }
        }
    }
}
