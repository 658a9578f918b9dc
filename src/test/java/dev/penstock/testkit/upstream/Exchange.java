package dev.penstock.testkit.upstream;

import java.time.Instant;
import org.jspecify.annotations.Nullable;

/**
 * A request and its outcome.
 *
 * @param endedAt null while it is in flight
 * @param tokensSent the number of written tokens; for an answer that is not streamed, of generated tokens
 */
public record Exchange(
        UpstreamRequest request,
        Instant startedAt,
        @Nullable Instant endedAt,
        Outcome outcome,
        int tokensSent) {

    static Exchange started(UpstreamRequest request, Instant now) {
        return new Exchange(request, now, null, Outcome.IN_FLIGHT, 0);
    }

    Exchange sent(int tokens) {
        return new Exchange(request, startedAt, endedAt, outcome, tokens);
    }

    Exchange ended(Outcome how, Instant now) {
        return new Exchange(request, startedAt, now, how, tokensSent);
    }
}
