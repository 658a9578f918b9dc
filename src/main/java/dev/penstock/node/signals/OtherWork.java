package dev.penstock.node.signals;

import java.time.Duration;

/**
 * The work of a node's other clients: what the server reports beyond this replica's own requests.
 *
 * @param running the requests of others that the server works on
 * @param waiting the requests of others that wait there
 * @param isNearlyFull whether the server's cache for prompts is nearly full, so that new requests may wait or push out
 *     others
 */
public record OtherWork(int running, int waiting, boolean isNearlyFull) {
    /** Nothing is known of other clients. */
    public static final OtherWork NONE = new OtherWork(0, 0, false);

    /** Older signals are ignored. */
    public static final Duration FRESH_FOR = Duration.ofSeconds(5);

    /** From this use of the cache on, a node counts as nearly full. */
    private static final double NEARLY_FULL = 0.95;
    /**
     * The part of a prompt that one running request of another client delays a first token. Such a request has most of
     * its prompt behind it, but its tokens share the server's steps with new prompts.
     */
    private static final double PART_OF_RUNNING = 0.25;

    /**
     * Compares the server's figures with this replica's counters, which come first: requests count as those of others
     * only beyond this replica's own.
     *
     * @param own the most requests that this replica had in flight while the server wrote its figures; so a request that
     *     begins or ends in the meantime is not taken for another client's
     */
    public static OtherWork of(Signals signals, int own) {
        int others = Math.max(0, signals.running() + signals.waiting() - own);
        int waiting = Math.min(others, signals.waiting());
        return new OtherWork(others - waiting, waiting, signals.cacheUse() > NEARLY_FULL);
    }

    /**
     * Returns the prompt tokens that this work puts before a new prompt: a whole mean prompt for each waiting request, and
     * a quarter of one for each running request.
     */
    public double tokens(double meanPromptTokens) {
        return (waiting + running * PART_OF_RUNNING) * meanPromptTokens;
    }
}
