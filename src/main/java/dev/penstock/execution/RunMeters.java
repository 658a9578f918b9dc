package dev.penstock.execution;

import dev.penstock.job.Answer;
import dev.penstock.job.JobEvent;
import dev.penstock.job.JobFailure;
import dev.penstock.job.PromptJob;
import dev.penstock.job.Usage;
import dev.penstock.node.Node;
import dev.penstock.schedule.QueueEntry;
import dev.penstock.settings.Rule;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.DistributionSummary;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Timer;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** The meters of all executions. */
public final class RunMeters {
    private final MeterRegistry meters;
    private final Counter restarts;
    private final Counter missedDeadlines;
    private final Counter continued;
    private final Counter hedged;
    private final Counter preempted;
    private final Counter misfits;
    private final Timer queued;
    private final Timer firstToken;
    private final Timer perToken;
    private final DistributionSummary promptTokens;
    private final DistributionSummary completionTokens;

    /** Counters with labels, so that a run does not search the registry. */
    private final Map<Labels, Counter> counters = new ConcurrentHashMap<>();

    /** @param values names of labels and their values, in turn */
    private record Labels(String name, List<String> values) {}

    /**
     * Creates the meters. The meters whose labels do not depend on a run exist from the start, at zero. Otherwise an
     * alert could not see their first increase.
     */
    public RunMeters(MeterRegistry meters) {
        this.meters = meters;
        restarts = meters.counter("penstock.failovers", "kind", "restart");
        missedDeadlines = meters.counter("penstock.deadline.missed");
        continued = meters.counter("penstock.failovers", "kind", "continued");
        hedged = meters.counter("penstock.hedged");
        preempted = meters.counter("penstock.preempted");
        misfits = meters.counter("penstock.result.invalid");
        queued = histogram("penstock.job.queue.seconds");
        firstToken = histogram("gen_ai.server.time_to_first_token");
        perToken = histogram("gen_ai.server.time_per_output_token");
        promptTokens = meters.summary("gen_ai.client.token.usage", "type", "input");
        completionTokens = meters.summary("gen_ai.client.token.usage", "type", "output");
        Stream.of(JobFailure.Code.RATE_LIMITED, JobFailure.Code.NO_NODE, JobFailure.Code.NODE_OVERLOADED)
                .forEach(this::refused);
    }

    private Counter counter(String name, String... labels) {
        return counters.computeIfAbsent(new Labels(name, List.of(labels)), _ -> meters.counter(name, labels));
    }

    private Timer histogram(String name) {
        return Timer.builder(name).publishPercentileHistogram().register(meters);
    }

    void queued(long millis) {
        queued.record(Duration.ofMillis(millis));
    }

    /** Counts a job that gets the first slot of its life. */
    void routed(Rule rule, Node node) {
        counter("penstock.route", "rule", rule.name(), "pool", node.settings().pool())
                .increment();
    }

    /**
     * Counts an attempt that follows the failure of a node, or of a replica whose text the attempt continues.
     *
     * @param continues whether the attempt continues the text of an earlier one
     * @param last the failure of the attempt before; null if there was none
     */
    void follows(Node node, boolean continues, @Nullable JobFailure last) {
        if (continues) {
            continued.increment();
        } else if (last != null && last.misfit() == null && !node.name().equals(last.node())) {
            restarts.increment();
        }
    }

    /** Counts the second request of a hedged attempt. */
    void hedged() {
        hedged.increment();
    }

    /** Counts a request of a hedged attempt that ended because the other one spoke first, or because the attempt ended. */
    void overtaken(Node node) {
        counter("penstock.attempts", "node", node.name(), "outcome", "hedged").increment();
    }

    /** Counts a request of a hedged attempt that failed while the other one went on. */
    void failedBeside(Node node, JobFailure failure) {
        counter(
                        "penstock.attempts",
                        "node",
                        node.name(),
                        "outcome",
                        failure.code().wireName())
                .increment();
    }

    /** Counts a direct call that got no node. */
    void refused(QueueEntry entry, JobFailure failure) {
        if (entry.isCall()) {
            refused(failure.code()).increment();
        }
    }

    private Counter refused(JobFailure.Code code) {
        return counter("penstock.calls.refused", "code", code.wireName());
    }

    /** Counts an attempt that gave its slot to another job. */
    void preempted() {
        preempted.increment();
    }

    /**
     * Records an attempt that ended.
     *
     * @param firstTokenMillis the time to the first token; null if no token arrived
     * @param streamMillis the time from the first token to the last token
     */
    void attempted(
            PromptJob job, Node.Slot slot, AttemptStream.End end, @Nullable Long firstTokenMillis, long streamMillis) {
        Node node = slot.node();
        counter("penstock.attempts", "node", node.name(), "outcome", outcome(end))
                .increment();
        if (firstTokenMillis != null) {
            firstToken.record(Duration.ofMillis(firstTokenMillis));
        }
        if (end instanceof AttemptStream.End.Whole(Answer answer, Usage here)) {
            slot.answered(here, streamMillis / 1000.0);
            tokens(job, answer, here.completionTokens(), streamMillis);
        }
        if (end instanceof AttemptStream.End.Failed(JobFailure failure) && failure.misfit() != null) {
            misfits.increment();
        }
        boolean interrupted = firstTokenMillis != null && isInterrupted(end);
        counter(
                        "penstock.streams.interrupted",
                        "backend",
                        node.settings().backend().wireName())
                .increment(interrupted ? 1 : 0);
    }

    /** @param streamed the tokens of the attempt's own part of the answer */
    private void tokens(PromptJob job, Answer answer, long streamed, long streamMillis) {
        long reported = answer.usage().completionTokens();
        promptTokens.record((double) answer.usage().promptTokens());
        completionTokens.record((double) reported);
        counter("penstock.tenant.tokens", "tenant", job.tenant(), "type", "input")
                .increment((double) answer.usage().promptTokens());
        counter("penstock.tenant.tokens", "tenant", job.tenant(), "type", "output")
                .increment((double) reported);
        if (streamed > 1) {
            perToken.record(Duration.ofNanos(streamMillis * 1_000_000 / (streamed - 1)));
        }
    }

    private static String outcome(AttemptStream.End end) {
        return switch (end) {
            case AttemptStream.End.Whole _ -> "completed";
            case AttemptStream.End.Failed(var failure) -> failure.code().wireName();
            case AttemptStream.End.Stopped _ -> "stopped";
            case AttemptStream.End.TooLate _ -> "timeout";
            case AttemptStream.End.Preempted _ -> "preempted";
        };
    }

    private static boolean isInterrupted(AttemptStream.End end) {
        return end instanceof AttemptStream.End.Failed(JobFailure failure)
                && (failure.code() == JobFailure.Code.STREAM_BROKEN || failure.code() == JobFailure.Code.IDLE_TIMEOUT);
    }

    /**
     * Records a job that ended.
     *
     * @param node the node of the last attempt; null if there was no attempt
     */
    public void ended(PromptJob job, JobEvent outcome, @Nullable Node node) {
        String kind = outcome.kind().wireName();
        if (outcome instanceof JobEvent.Expired) {
            missedDeadlines.increment();
        }
        counter(
                        "penstock.jobs",
                        "outcome",
                        kind,
                        "task",
                        job.task().wireName(),
                        "backend",
                        node == null ? "none" : node.settings().backend().wireName(),
                        "pool",
                        node == null ? "none" : node.settings().pool())
                .increment();
        counter("penstock.tenant.jobs", "tenant", job.tenant(), "outcome", kind).increment();
    }
}
