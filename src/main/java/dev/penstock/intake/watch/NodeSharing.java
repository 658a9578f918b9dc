package dev.penstock.intake.watch;

import dev.penstock.settings.Settings;
import dev.penstock.wire.Reason;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.common.errors.AuthorizationException;

/** Shares the limits of the nodes among the live replicas, and warns if the shares of a node exceed its limit. */
final class NodeSharing {
    private static final String REPLICAS = "replicas";
    private static final String SLOTS = "slots.";

    private final Settings settings;
    private final Warnings warnings;

    NodeSharing(Settings settings, Warnings warnings) {
        this.settings = settings;
        this.warnings = warnings;
    }

    /** Divides the limits among the live replicas, after the broker has listed these replicas. */
    interface Sharing {
        /** @return a warning for each node whose shares exceed its limit, by the node's name */
        Map<String, String> share() throws ExecutionException, InterruptedException;
    }

    void check(Sharing sharing) throws ExecutionException, InterruptedException {
        Map<String, String> tooMuch;
        try {
            tooMuch = sharing.share();
        } catch (ExecutionException e) {
            if (e.getCause() instanceof AuthorizationException) {
                warnings.warnOnce(
                        REPLICAS,
                        () ->
                                "the broker does not list the live replicas, so each takes all of max-in-flight: %s. Grant DESCRIBE on the group %s"
                                        .formatted(
                                                Reason.of(e), settings.groups().ledger()));
            }
            throw e;
        }
        warnings.end(REPLICAS);
        warnings.endIf(about -> about.startsWith(SLOTS) && !tooMuch.containsKey(about.substring(SLOTS.length())));
        tooMuch.forEach((node, words) -> warnings.warn(SLOTS + node, words));
    }
}
