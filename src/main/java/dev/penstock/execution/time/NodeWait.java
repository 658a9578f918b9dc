package dev.penstock.execution.time;

import dev.penstock.job.JobEvent;
import dev.penstock.job.JobFailure;
import dev.penstock.job.PromptJob;
import dev.penstock.node.Node;
import dev.penstock.schedule.Admission;
import dev.penstock.schedule.Avoid;
import dev.penstock.schedule.QueueEntry;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Waits for a node, as long as the job's time limits allow. With {@code deadlines.refuse-early}, a job that has not started
 * waits only as long as it can meet its deadline. A direct call waits at most for {@code timeouts.queue} each time. Its
 * thread owns it.
 */
public final class NodeWait {
    private static final int MOST_LISTED = 5;

    private final QueueEntry entry;
    private final Clock clock;
    private final Duration queue;
    private final @Nullable DeadlineForecast forecast;

    private @Nullable JobEvent tooLate;

    /**
     * @param queue the longest time that a direct call waits for a node; a job waits longer
     * @param refusesEarly whether the job ends as soon as it cannot meet its deadline
     * @param mostTokens the largest number of tokens of the answer; 0 if it is not limited
     */
    public static NodeWait of(
            QueueEntry entry, Clock clock, PromptJob job, Duration queue, boolean refusesEarly, long mostTokens) {
        boolean predicts = refusesEarly && job.deadline() != null;
        return new NodeWait(entry, clock, queue, predicts ? new DeadlineForecast(job, mostTokens) : null);
    }

    /** @param forecast predicts whether the job meets its deadline; null if it waits until its deadline is over */
    private NodeWait(QueueEntry entry, Clock clock, Duration queue, @Nullable DeadlineForecast forecast) {
        this.entry = entry;
        this.clock = clock;
        this.queue = queue;
        this.forecast = forecast;
    }

    /** Returns the outcome of a job that cannot meet its deadline any more; null if nothing predicts that. */
    public @Nullable JobEvent tooLate() {
        return tooLate;
    }

    /** @param last the failure of the last attempt; null if none failed */
    public Admission await(Avoid avoid, TimeLimits limits, @Nullable JobFailure last) throws InterruptedException {
        Instant since = clock.instant();
        boolean isLimited = entry.isCall() && queue.compareTo(limits.left(since)) < 0;
        Instant end = isLimited ? since.plus(queue) : Instant.MAX;
        Admission admission = forecast == null || limits.firstStarted() != null
                ? entry.await(avoid, left(limits, end))
                : await(forecast, avoid, limits, end);
        return switch (admission) {
            case Admission.TimedOut()
            when isLimited && tooLate == null -> new Admission.Refused(withLast(overloaded(), last));
            case Admission.Refused(JobFailure failure)
            when entry.isCall() -> new Admission.Refused(withLast(failure, last));
            case Admission.Granted _,
                    Admission.Deferred _,
                    Admission.Stopped _,
                    Admission.TimedOut _,
                    Admission.Refused _ -> admission;
        };
    }

    /** Returns the time left, up to the end of the wait. */
    private Duration left(TimeLimits limits, Instant end) {
        Instant now = clock.instant();
        return shorter(limits.left(now), Duration.between(now, end));
    }

    private static Duration shorter(Duration one, Duration other) {
        return one.compareTo(other) < 0 ? one : other;
    }

    private Admission await(DeadlineForecast prediction, Avoid avoid, TimeLimits limits, Instant end)
            throws InterruptedException {
        while (true) {
            Instant now = clock.instant();
            Duration left = limits.left(now);
            List<DeadlineForecast.Candidate> candidates = entry.candidates().stream()
                    .map(node -> new DeadlineForecast.Candidate(
                            node.health().state() == Node.State.UP,
                            node.requests().speed()))
                    .toList();
            switch (prediction.advise(candidates, left)) {
                case DeadlineForecast.Advice.TooLate late -> {
                    tooLate = left.isPositive() ? prediction.tooLate(late, left, now) : null;
                    return new Admission.TimedOut();
                }
                case DeadlineForecast.Advice.Wait(Duration atMost) -> {
                    Duration most = left.isPositive() ? atMost : left;
                    Admission admission = entry.await(avoid, shorter(most, left(limits, end)));
                    if (!(admission instanceof Admission.TimedOut)
                            || !left(limits, end).isPositive()) {
                        return admission;
                    }
                }
            }
        }
    }

    private JobFailure overloaded() {
        List<String> names =
                entry.candidates().stream().map(Node::name).distinct().toList();
        String listed = names.stream().limit(MOST_LISTED).collect(Collectors.joining(", "));
        return JobFailure.of(
                        JobFailure.Code.NODE_OVERLOADED,
                        "the request waited %s s for a free slot of a node (penstock.timeouts.queue): %s%s"
                                .formatted(
                                        seconds(queue),
                                        listed,
                                        names.size() > MOST_LISTED
                                                ? " and %d more".formatted(names.size() - MOST_LISTED)
                                                : ""))
                .with(JobFailure.Again.SOON);
    }

    private static String seconds(Duration time) {
        return time.toMillis() % 1_000 == 0
                ? Long.toString(time.toSeconds())
                : "%.1f".formatted(time.toMillis() / 1_000.0);
    }

    private static JobFailure withLast(JobFailure failure, @Nullable JobFailure last) {
        return last == null ? failure : failure.saying(". Its last attempt failed: " + last.message());
    }
}
