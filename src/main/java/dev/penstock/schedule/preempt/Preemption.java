package dev.penstock.schedule.preempt;

import dev.penstock.job.Priority;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.function.Predicate;
import java.util.function.Supplier;

/**
 * The attempts that this replica runs, and the choice of the one that stops for a waiting job. The scheduler's lock
 * guards it.
 */
public final class Preemption {
    /** A run that was stopped so often is not stopped again. */
    public static final int MOST = 3;

    /* Both by the turn of the run's queue entry. */
    private final Map<Long, Candidate> running = new HashMap<>();
    /** The waiting jobs that may stop a running one and have not done so. */
    private final Map<Long, Supplier<Optional<Need>>> waiting = new LinkedHashMap<>();

    /** The waiting jobs for which an attempt was asked to stop, by the turn of that attempt's run. */
    private final Map<Long, Asking> asking = new HashMap<>();

    private record Asking(long turn, Supplier<Optional<Need>> need) {}

    /**
     * A running attempt that may stop.
     *
     * @param topic the topic of the job; the run holds one of the replica's slots for this topic, unless it is a direct
     *     call
     * @param preemptions how often the run was stopped before
     */
    public record Candidate(Priority priority, String topic, int preemptions, RunningAttempt attempt) {
        public String node() {
            return attempt.node();
        }
    }

    /**
     * What a waiting job lacks.
     *
     * @param priority the priority of the job
     * @param helps tests whether the job can start when a running attempt stops
     * @param lacksReplicaSlot whether the job lacks a slot of the replica
     */
    public record Need(Priority priority, Predicate<Candidate> helps, boolean lacksReplicaSlot) {}

    public void began(long turn, Candidate candidate) {
        running.put(turn, candidate);
    }

    /** Notes that an attempt has stopped because it was asked to. */
    public void stopped(long turn) {
        asking.remove(turn);
    }

    /** Notes the end of an attempt. If it was asked to stop and ended otherwise, the waiting job may stop another one. */
    public void ended(long turn) {
        running.remove(turn);
        Asking again = asking.remove(turn);
        if (again != null) {
            waiting.put(again.turn(), again.need());
        }
    }

    /**
     * Notes that a job waits that may stop a running one.
     *
     * @param need finds what the job lacks at the moment; empty if no running job can help
     */
    public void waits(long turn, Supplier<Optional<Need>> need) {
        waiting.put(turn, need);
    }

    public void waitsNoMore(long turn) {
        waiting.remove(turn);
        asking.values().removeIf(each -> each.turn() == turn);
    }

    /** Asks a running attempt to stop for each waiting job, once in a wait. */
    public void askForWaiting() {
        waiting.entrySet().removeIf(each -> {
            Asking job = new Asking(each.getKey(), each.getValue());
            return job.need().get().filter(need -> asks(job, need)).isPresent();
        });
    }

    private boolean asks(Asking job, Need need) {
        RunningAttempt victim = victim(need, running.values()).orElse(null);
        if (victim == null) {
            return false;
        }
        running.forEach((turn, candidate) -> {
            if (candidate.attempt() == victim) {
                asking.put(turn, job);
            }
        });
        victim.ask(need.lacksReplicaSlot());
        return true;
    }

    /** Returns the attempt of lower priority that stops for a job: the one whose answer needs the most tokens. */
    static Optional<RunningAttempt> victim(Need need, Collection<Candidate> running) {
        return running.stream()
                .filter(candidate ->
                        candidate.priority().rank() > need.priority().rank()
                                && candidate.preemptions() < MOST
                                && candidate.attempt().mayStop()
                                && need.helps().test(candidate))
                .max(Comparator.<Candidate>comparingLong(
                                candidate -> candidate.attempt().left())
                        .thenComparingInt(candidate -> candidate.priority().rank()))
                .map(Candidate::attempt);
    }
}
