package dev.penstock.execution.time;

import dev.penstock.job.JobEvent;
import dev.penstock.job.PromptJob;
import dev.penstock.node.Node;
import dev.penstock.schedule.Admission;
import dev.penstock.schedule.Avoid;
import dev.penstock.schedule.QueueEntry;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Waits for a node, as long as the job's time limits allow. With {@code deadlines.refuse-early}, a job that has not started
 * waits only as long as it can meet its deadline. Its thread owns it.
 */
public final class NodeWait {
    private final QueueEntry entry;
    private final Clock clock;
    private final @Nullable DeadlineForecast forecast;

    private @Nullable JobEvent tooLate;

    /**
     * @param refusesEarly whether the job ends as soon as it cannot meet its deadline
     * @param mostTokens the largest number of tokens of the answer; 0 if it is not limited
     */
    public static NodeWait of(QueueEntry entry, Clock clock, PromptJob job, boolean refusesEarly, long mostTokens) {
        boolean predicts = refusesEarly && job.deadline() != null;
        return new NodeWait(entry, clock, predicts ? new DeadlineForecast(job, mostTokens) : null);
    }

    /** @param forecast predicts whether the job meets its deadline; null if it waits until its deadline is over */
    private NodeWait(QueueEntry entry, Clock clock, @Nullable DeadlineForecast forecast) {
        this.entry = entry;
        this.clock = clock;
        this.forecast = forecast;
    }

    /** Returns the outcome of a job that cannot meet its deadline any more; null if nothing predicts that. */
    public @Nullable JobEvent tooLate() {
        return tooLate;
    }

    public Admission await(Avoid avoid, TimeLimits limits) throws InterruptedException {
        return forecast == null || limits.firstStarted() != null
                ? entry.await(avoid, limits.left(clock.instant()))
                : await(forecast, avoid, limits);
    }

    private Admission await(DeadlineForecast prediction, Avoid avoid, TimeLimits limits) throws InterruptedException {
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
                    Admission admission = entry.await(avoid, left.isPositive() ? atMost : left);
                    if (!(admission instanceof Admission.TimedOut)
                            || !limits.left(clock.instant()).isPositive()) {
                        return admission;
                    }
                }
            }
        }
    }
}
