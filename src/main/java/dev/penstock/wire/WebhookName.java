package dev.penstock.wire;

import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Reads {@code job.webhook}. */
public final class WebhookName {
    private WebhookName() {}

    /**
     * Returns the name of the job's webhook; null if the job has none.
     *
     * @param known the names of the configured webhooks
     */
    public static @Nullable String of(Fields job, Set<String> known) throws InvalidField {
        Optional<String> given = job.text("webhook");
        if (given.isPresent() && !known.contains(given.get())) {
            throw new InvalidField(
                    "job.webhook",
                    known.isEmpty()
                            ? "no webhook is configured (penstock.webhooks)"
                            : "there is no webhook '%s'. Available: %s"
                                    .formatted(
                                            Json.firstLine(given.get()),
                                            String.join(
                                                    ", ",
                                                    known.stream().sorted().toList())));
        }
        return given.orElse(null);
    }
}
