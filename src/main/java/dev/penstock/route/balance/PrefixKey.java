package dev.penstock.route.balance;

import dev.penstock.job.PromptJob;
import dev.penstock.job.PromptSize;
import dev.penstock.route.StableHash;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * The hash of a prompt's beginning: the model, the system messages, the tools, and about 256 tokens of the rest. Jobs with
 * the same hash profit from the same cache of a node. Media do not count.
 */
final class PrefixKey {
    /** The characters of 256 tokens by the usual ratio. A learnt ratio would differ between replicas. */
    static final int CHARS = (int) (256 * PromptSize.USUAL_CHARS_PER_TOKEN);
    /** A token number counts as so many characters. */
    private static final int CHARS_OF_NUMBER = (int) PromptSize.USUAL_CHARS_PER_TOKEN;

    private final StableHash hash = new StableHash();
    private int left;

    private PrefixKey() {}

    /** @param model the model or profile with which the job runs; null if the job names none */
    static long of(PromptJob job, @Nullable String model) {
        PrefixKey key = new PrefixKey();
        key.whole(model);
        key.whole(job.body().get("system"));
        key.whole(job.body().get("tools"));
        key.whole(job.body().get("functions"));
        key.left = CHARS;
        if (job.body().get("messages") instanceof List<?> messages) {
            messages.forEach(message -> key.message(message));
        } else {
            key.add(job.body().get("prompt"));
            key.add(job.body().get("input"));
        }
        return key.hash.value();
    }

    private void message(@Nullable Object message) {
        if (PromptJob.isOfSystem(message)) {
            int before = left;
            whole(message);
            left = before;
        } else {
            add(message);
        }
    }

    private void whole(@Nullable Object value) {
        left = Integer.MAX_VALUE;
        add(value);
    }

    private void add(@Nullable Object value) {
        if (left <= 0) {
            return;
        }
        switch (value) {
            case String text -> {
                int chars = Math.min(left, text.length());
                hash.add(text, chars);
                left -= chars;
            }
            case Number number -> {
                String text = number.toString();
                hash.add(text, text.length());
                left -= CHARS_OF_NUMBER;
            }
            case List<?> list -> list.forEach(each -> add(each));
            case Map<?, ?> fields -> {
                // in the order of the names, because the order of a map may differ between replicas
                Map<String, @Nullable Object> sorted = new TreeMap<>();
                fields.forEach((name, each) -> sorted.put(String.valueOf(name), each));
                sorted.forEach((name, each) -> {
                    if (!PromptSize.MEDIA.contains(name)) {
                        add(each);
                    }
                });
            }
            case null, default -> {
                // flags are no text
            }
        }
        // so that texts that only divide differently have another hash
        hash.add('\0');
    }
}
