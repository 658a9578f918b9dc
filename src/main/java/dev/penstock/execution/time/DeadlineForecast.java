package dev.penstock.execution.time;

import dev.penstock.job.JobEvent;
import dev.penstock.job.JobFailure;
import dev.penstock.job.PromptJob;
import dev.penstock.node.RequestsInFlight;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;

/**
 * Predicts from measured rates whether a job that has not started can meet its deadline. It assumes that the fastest node
 * that may serve the job takes it at once, has nothing else to do, and gives an answer of mean length. Time and rates are
 * arguments.
 */
public final class DeadlineForecast {
    /** The shortest wait, so that rounding causes no wait of no length. */
    private static final Duration LEAST_WAIT = Duration.ofMillis(1);

    private final PromptJob job;
    private final long mostTokens;

    /** @param mostTokens the largest number of tokens of the answer; 0 if it is not limited */
    public DeadlineForecast(PromptJob job, long mostTokens) {
        this.job = job;
        this.mostTokens = mostTokens;
    }

    /**
     * A node that may serve the job.
     *
     * @param isUp whether the node is up now
     */
    public record Candidate(boolean isUp, RequestsInFlight.Speed speed) {}

    /** What a job that waits should do now. */
    public sealed interface Advice {
        /**
         * Wait, and then ask again.
         *
         * @param atMost the time after which the job cannot meet its deadline any more; if nothing is predicted, half of
         *     the time left, because rates may be measured in the meantime
         */
        record Wait(Duration atMost) implements Advice {}

        /**
         * The job cannot meet its deadline.
         *
         * @param needed the least time that the job needs
         */
        record TooLate(Duration needed) implements Advice {}
    }

    public Advice advise(List<Candidate> candidates, Duration left) {
        Optional<Duration> needed = needed(candidates);
        if (needed.isEmpty()) {
            return new Advice.Wait(max(left.dividedBy(2)));
        }
        Duration spare = left.minus(needed.get());
        return spare.isNegative() ? new Advice.TooLate(needed.get()) : new Advice.Wait(max(spare));
    }

    private static Duration max(Duration wait) {
        return wait.compareTo(LEAST_WAIT) < 0 ? LEAST_WAIT : wait;
    }

    /**
     * Returns the time from the start to the end of the answer at the fastest node. It is empty if no rate is known, or if
     * a node that is up may be faster because its rates are not known. Tasks without an answer in text are not predicted.
     */
    private Optional<Duration> needed(List<Candidate> candidates) {
        boolean anyUnknown = candidates.stream()
                .anyMatch(node -> node.isUp() && !node.speed().isMeasured());
        if (anyUnknown || !job.task().answersInText()) {
            return Optional.empty();
        }
        return candidates.stream()
                .map(Candidate::speed)
                .filter(RequestsInFlight.Speed::isMeasured)
                .map(this::needed)
                .min(Duration::compareTo);
    }

    private Duration needed(RequestsInFlight.Speed speed) {
        double firstToken = job.promptSize().tokens(speed.charsPerToken()) / speed.prefill();
        double tokens =
                mostTokens == 0 ? speed.meanAnswerTokens() : Math.min((double) mostTokens, speed.meanAnswerTokens());
        // the first token comes with the end of the prompt
        double rest = Math.max(0, tokens - 1) / speed.decode();
        return Duration.ofMillis((long) ((firstToken + rest) * 1_000));
    }

    /** Returns the outcome of a job that ends early. */
    public JobEvent tooLate(Advice.TooLate advice, Duration left, Instant now) {
        String message =
                "the job cannot meet its deadline any more: the fastest node needs about %s s, and %s s are left (penstock.deadlines.refuse-early; predicted at %s)"
                        .formatted(seconds(advice.needed()), seconds(left), now);
        return new JobEvent.Expired(null, job.metadata(), JobFailure.of(JobFailure.Code.TIMEOUT, message));
    }

    private static String seconds(Duration time) {
        return "%.1f".formatted(Math.max(0, time.toMillis()) / 1_000.0);
    }
}
