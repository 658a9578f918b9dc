package dev.penstock.kafka.share;

import dev.penstock.kafka.share.lane.BrokerCode;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;

/**
 * The broker's errors for one topic, each logged once. Some errors are usual for a moment: a new group answers fetches
 * with UNKNOWN_SERVER_ERROR until its state exists, and a partition that moves has no leader. They are logged only if
 * they last.
 */
final class Complaints {
    static final long LASTING_MILLIS = 10_000;

    /** An error that does not come again within this time has passed. */
    static final long PASSED_MILLIS = 3_000;

    private static final int MOST = 1_000;

    private final Set<String> logged = new HashSet<>();
    private final Map<Integer, Spell> spells = new HashMap<>();

    private record Spell(long since, long last) {}

    /** Returns whether to log this for the first time. */
    boolean isNews(String complaint) {
        return logged.size() < MOST && logged.add(complaint);
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
                yield false;
            }
            case RETRY, MOVED, NOT_COORDINATOR -> lasts(partition, now) && isNews(error);
            case NOT_OURS, SESSION_GONE, SESSION_LIMIT, UNKNOWN_MEMBER, MEMBER_LIMIT, REFUSED -> isNews(error);
        };
    }

    private boolean lasts(int partition, long now) {
        Spell spell = spells.get(partition);
        long since = spell != null && now - spell.last() <= PASSED_MILLIS ? spell.since() : now;
        spells.put(partition, new Spell(since, now));
        return now - since >= LASTING_MILLIS;
    }
}
