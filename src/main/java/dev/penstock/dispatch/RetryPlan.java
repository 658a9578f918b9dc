package dev.penstock.dispatch;

import dev.penstock.job.JobFailure;
import dev.penstock.schedule.Avoid;
import dev.penstock.settings.Settings;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.random.RandomGenerator;
import java.util.stream.Collectors;

/**
 * What the failed attempts of a job mean for its next one: which nodes it leaves out, which it asks again and when, and how
 * many attempts count. A node that refuses for load, still loads its model, or cannot be reached, has not tried: that does
 * not count. Time and chance are arguments. Not thread-safe: owned by the thread of the run.
 */
final class RetryPlan {
    private final Settings.Retries retries;
    private final int maxAttempts;
    private final RandomGenerator chance;
    private final Set<String> useless = new HashSet<>();
    private final Map<String, Instant> notBefore = new HashMap<>();
    private final Map<String, Integer> failuresAt = new HashMap<>();
    private int counted;

    /** @param counted attempts that failed before, in an earlier run */
    RetryPlan(Settings.Retries retries, int maxAttempts, int counted, RandomGenerator chance) {
        this.retries = retries;
        this.maxAttempts = maxAttempts;
        this.counted = counted;
        this.chance = chance;
    }

    /**
     * Takes note of a failed attempt.
     *
     * @param spoke whether the answer had begun
     * @return whether another attempt may follow
     */
    boolean failed(JobFailure failure, String node, boolean spoke, Instant now) {
        return switch (failure.code().remedy()) {
            case NONE -> false;
            case OTHER_NODE -> {
                useless.add(node);
                yield true;
            }
            case RETRY -> {
                int inARow = failuresAt.merge(node, 1, Integer::sum);
                notBefore.put(node, now.plus(pause(failure, inARow)));
                counted += counts(failure, spoke) ? 1 : 0;
                yield counted < maxAttempts;
            }
        };
    }

    private static boolean counts(JobFailure failure, boolean spoke) {
        return switch (failure.code()) {
            case NODE_UNREACHABLE, NODE_OVERLOADED -> spoke;
            default -> true;
        };
    }

    /** A node that cannot be reached is down until a probe succeeds: that is pause enough, but for one that goes on like that. */
    private Duration pause(JobFailure failure, int inARow) {
        boolean unreachable = failure.code() == JobFailure.Code.NODE_UNREACHABLE;
        Duration backoff =
                unreachable && inARow == 1 ? Duration.ZERO : retries.backoff(unreachable ? inARow - 1 : inARow);
        if (failure.code() == JobFailure.Code.NODE_OVERLOADED) {
            // the jobs of one burst do not come again as one
            backoff = Duration.ofNanos((long) (backoff.toNanos() * (0.5 + chance.nextDouble() / 2)));
        }
        Duration asked = failure.again().after();
        return asked != null && asked.compareTo(backoff) > 0 ? asked : backoff;
    }

    /** Where the next attempt may not go yet, or not at all. */
    Avoid avoid() {
        return new Avoid(useless, notBefore);
    }

    /** The nodes that the job cannot be sent to until then. */
    Set<String> closedUntil(Instant end) {
        Set<String> closed = notBefore.entrySet().stream()
                .filter(node -> !node.getValue().isBefore(end))
                .map(Map.Entry::getKey)
                .collect(Collectors.toCollection(HashSet::new));
        closed.addAll(useless);
        return closed;
    }

    Set<String> useless() {
        return Set.copyOf(useless);
    }

    /** How many attempts count against the job's max_attempts. */
    int counted() {
        return counted;
    }
}
