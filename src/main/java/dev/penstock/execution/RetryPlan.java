package dev.penstock.execution;

import dev.penstock.job.JobFailure;
import dev.penstock.schedule.Avoid;
import dev.penstock.settings.Settings;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.function.Predicate;
import java.util.random.RandomGenerator;
import java.util.stream.Collectors;

/**
 * Decides which nodes the next attempt of a job avoids after failed attempts, and for how long. It also counts the
 * failed attempts. An attempt does not count if the node refused it for load, was still loading its model, or could not
 * be reached, because such a node has not tried the job. Time, chance and the states of the nodes are arguments. Not
 * thread-safe: the thread of the run owns it.
 */
final class RetryPlan {
    private final Settings.Retries retries;
    private final int maxAttempts;
    private final RandomGenerator chance;
    private final Set<String> useless = new HashSet<>();
    private final Map<String, Instant> notBefore = new HashMap<>();
    private final Map<String, Integer> failuresAt = new HashMap<>();
    private int counted;

    /** The next step after a failed attempt. */
    sealed interface Next {
        /** Another attempt, at any node that {@link #avoid} allows. */
        record Anywhere() implements Next {}

        /** Another attempt if another node is up. The failed node cannot serve the job. */
        record Elsewhere() implements Next {}

        /** No further attempt. The failure is the job's outcome. */
        record GiveUp(JobFailure failure) implements Next {}
    }

    /**
     * A failed attempt.
     *
     * @param spoke whether the answer had begun
     */
    record Failed(JobFailure failure, String node, boolean spoke) {}

    /** @param counted the number of earlier failed attempts that count against max_attempts */
    RetryPlan(Settings.Retries retries, int maxAttempts, int counted, RandomGenerator chance) {
        this.retries = retries;
        this.maxAttempts = maxAttempts;
        this.counted = counted;
        this.chance = chance;
    }

    /**
     * Adds a failed attempt, and returns the next step.
     *
     * @param left the time left for the job
     * @param mayHaveOther tests whether a node outside the given set may serve the job, now or later
     */
    Next after(Failed failed, Instant now, Duration left, Predicate<Set<String>> mayHaveOther) {
        JobFailure failure = failed.failure();
        return switch (failure.code().remedy()) {
            case NONE -> new Next.GiveUp(failure);
            case OTHER_NODE -> {
                useless.add(failed.node());
                yield new Next.Elsewhere();
            }
            case RETRY -> {
                int inARow = failuresAt.merge(failed.node(), 1, Integer::sum);
                notBefore.put(failed.node(), now.plus(pause(failure, inARow)));
                counted += counts(failure, failed.spoke()) ? 1 : 0;
                yield counted < maxAttempts ? retry(failure, now, left, mayHaveOther) : new Next.GiveUp(failure);
            }
        };
    }

    /**
     * Adds a request that failed beside the one that decided over its attempt. The later attempts avoid its node. It does
     * not count.
     */
    void beside(JobFailure failure, String node, Instant now) {
        switch (failure.code().remedy()) {
            case NONE -> {}
            case OTHER_NODE -> useless.add(node);
            case RETRY -> notBefore.put(node, now.plus(pause(failure, failuresAt.merge(node, 1, Integer::sum))));
        }
    }

    /**
     * Decides whether another attempt follows. It gives up if the server asks for a longer pause than the time left,
     * and no other node may serve the job in that time.
     */
    private Next retry(JobFailure failure, Instant now, Duration left, Predicate<Set<String>> mayHaveOther) {
        Duration asked = failure.again().after();
        if (asked == null || asked.compareTo(left) < 0 || mayHaveOther.test(closedUntil(now.plus(left)))) {
            return new Next.Anywhere();
        }
        return new Next.GiveUp(failure.saying(". It asks to wait %s, and the job has %s left"
                .formatted(asked, Duration.ofMillis(Math.max(0, left.toMillis())))));
    }

    private static boolean counts(JobFailure failure, boolean spoke) {
        return switch (failure.code()) {
            case NODE_UNREACHABLE, NODE_OVERLOADED -> spoke;
            default -> true;
        };
    }

    /**
     * Returns how long the job avoids a node that failed. An unreachable node is down until a probe succeeds, so it
     * needs a further pause only if it fails again.
     */
    private Duration pause(JobFailure failure, int inARow) {
        boolean unreachable = failure.code() == JobFailure.Code.NODE_UNREACHABLE;
        Duration backoff =
                unreachable && inARow == 1 ? Duration.ZERO : retries.backoff(unreachable ? inARow - 1 : inARow);
        // so that jobs that failed together return at different times
        backoff = Duration.ofMillis((long) Math.ceil(backoff.toMillis() * (0.5 + chance.nextDouble() / 2)));
        Duration asked = failure.again().after();
        return asked != null && asked.compareTo(backoff) > 0 ? asked : backoff;
    }

    /** Leaves out a node that cannot continue the answer. */
    void leaveOut(String node) {
        useless.add(node);
    }

    /** Returns the nodes that the next attempt must avoid, for a time or altogether. */
    Avoid avoid() {
        return new Avoid(useless, notBefore);
    }

    /** Returns the nodes that cannot take the job before the given time. */
    private Set<String> closedUntil(Instant end) {
        Set<String> closed = notBefore.entrySet().stream()
                .filter(node -> !node.getValue().isBefore(end))
                .map(Map.Entry::getKey)
                .collect(Collectors.toCollection(HashSet::new));
        closed.addAll(useless);
        return closed;
    }

    /** Returns the nodes that cannot serve the job. */
    Set<String> useless() {
        return Set.copyOf(useless);
    }

    /** Returns how many failed attempts count against the job's max_attempts. */
    int counted() {
        return counted;
    }

    /**
     * Returns the failure of an attempt. If both requests of a hedged attempt failed before they spoke, it is that of the
     * first one.
     */
    Failed failed(JobFailure failure, AttemptStream attempt, Instant now) {
        boolean spoke = attempt.firstTokenMillis() != null;
        String node = attempt.slot().node().name();
        AttemptStream.Beside beside = attempt.beside().orElse(null);
        if (beside != null && beside.wasFirst() && !spoke) {
            beside(failure, node, now);
            return new Failed(beside.failure(), beside.node(), false);
        }
        if (beside != null) {
            beside(beside.failure(), beside.node(), now);
        }
        return new Failed(failure, node, spoke);
    }
}
