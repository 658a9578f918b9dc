package dev.penstock.kafka.share;

import dev.penstock.kafka.share.lane.BrokerCode;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;

/**
 * The broker's errors for one topic, each logged once, and the errors that last. Some errors are usual for a moment: a
 * new group answers fetches with UNKNOWN_SERVER_ERROR until its state exists, and a partition that moves has no leader.
 * They are logged only if they last. Only the client's thread uses it, except {@link #refusals}.
 */
final class Complaints {
    static final long LASTING_MILLIS = 10_000;

    /** An error that does not come again within this time has passed. */
    static final long PASSED_MILLIS = 3_000;

    private static final int MOST = 1_000;

    private final Set<String> logged = new HashSet<>();
    private final Map<Integer, Spell> spells = new HashMap<>();
    /** The errors that last, by what the broker refuses. */
    private final Map<String, String> refusals = new ConcurrentHashMap<>();

    private record Spell(long since, long last) {}

    /** Returns whether to log this for the first time. */
    boolean isNews(String complaint) {
        return logged.size() < MOST && logged.add(complaint);
    }

    /**
     * Returns the errors that last until the broker's next answer without an error, by what the broker refuses. From
     * any thread.
     */
    Map<String, String> refusals() {
        return new TreeMap<>(refusals);
    }

    /**
     * The broker answered a request.
     *
     * @param what the request, in the words of an operator
     */
    void answered(String what, BrokerCode code, String error) {
        switch (code) {
            case NONE -> end(what);
            case REFUSED, MEMBER_LIMIT, SESSION_LIMIT -> refused(what, error);
            case RETRY, MOVED, NOT_COORDINATOR, NOT_OURS, SESSION_GONE, UNKNOWN_MEMBER -> {}
        }
    }

    /** The broker refuses something until a person changes something. */
    void refused(String what, String error) {
        refusals.put(what, error);
    }

    /** The broker does not refuse it any more. */
    void end(String what) {
        if (!refusals.isEmpty()) {
            refusals.remove(what);
        }
    }

    /**
     * Returns whether to log the error of a partition.
     *
     * @param now milliseconds of a clock that never goes back
     */
    boolean isNews(int partition, BrokerCode code, String error, long now) {
        return switch (code) {
            case NONE -> {
                spells.remove(partition);
                if (!refusals.isEmpty()) {
                    end(fetchOf(partition));
                }
                yield false;
            }
            case RETRY, MOVED, NOT_COORDINATOR -> {
                boolean lasts = lasts(partition, now);
                if (lasts) {
                    refused(fetchOf(partition), error);
                }
                yield lasts && isNews(error);
            }
            case REFUSED -> {
                refused(fetchOf(partition), error);
                yield isNews(error);
            }
            case NOT_OURS, SESSION_GONE, SESSION_LIMIT, UNKNOWN_MEMBER, MEMBER_LIMIT -> isNews(error);
        };
    }

    private static String fetchOf(int partition) {
        return "fetch of partition " + partition;
    }

    private boolean lasts(int partition, long now) {
        Spell spell = spells.get(partition);
        long since = spell != null && now - spell.last() <= PASSED_MILLIS ? spell.since() : now;
        spells.put(partition, new Spell(since, now));
        return now - since >= LASTING_MILLIS;
    }
}
