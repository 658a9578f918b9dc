package dev.penstock.intake.watch;

import dev.penstock.settings.Settings;
import dev.penstock.wire.Reason;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.common.errors.AuthorizationException;

/**
 * Shares the limits of the nodes and of the tenants among the live replicas, and warns if the shares exceed a limit.
 */
final class LimitSharing {
    private static final String REPLICAS = "replicas";
    private static final Set<String> LIMITS = Set.of("slots.", "tenants.");

    private final Settings settings;
    private final Warnings warnings;

    LimitSharing(Settings settings, Warnings warnings) {
        this.settings = settings;
        this.warnings = warnings;
    }

    /** Divides the limits among the live replicas, after the broker has listed these replicas. */
    interface Sharing {
        /** @return a warning for each limit that its shares exceed: slots. and a node's name, or tenants. and a tenant's */
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
                                "the broker does not list the live replicas, so each takes all of each limit: %s. Grant DESCRIBE on the group %s"
                                        .formatted(
                                                Reason.of(e), settings.groups().ledger()));
            }
            throw e;
        }
        warnings.end(REPLICAS);
        warnings.endIf(about -> LIMITS.stream().anyMatch(about::startsWith) && !tooMuch.containsKey(about));
        tooMuch.forEach(warnings::warn);
    }
}
