package dev.penstock.dispatch;

import dev.penstock.job.Answer;
import dev.penstock.job.EventMark;
import dev.penstock.job.JobEvent;
import dev.penstock.job.PromptJob;
import dev.penstock.ledger.Ledger;
import dev.penstock.node.Node;
import dev.penstock.reply.Recovery;
import dev.penstock.settings.Settings;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Timer;
import java.time.Clock;
import java.time.Duration;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/** What every run needs, and what every run counts. */
record RunContext(
        Line line,
        Recovery recovery,
        Ledger ledger,
        CancelCommands commands,
        Suspects suspects,
        Predicate<TakenJob> inHand,
        Settings settings,
        Clock clock,
        MeterRegistry meters) {

    /** Whether this replica itself has an earlier record of the same job. */
    boolean smallerInHand(TakenJob taken) {
        return inHand.test(taken);
    }

    void duplicate() {
        meters.counter("penstock.duplicates").increment();
    }

    void queued(long millis) {
        Timer.builder("penstock.job.queue.seconds")
                .publishPercentileHistogram()
                .register(meters)
                .record(Duration.ofMillis(millis));
    }

    /** @param streamMillis from the first token to the end */
    void attempted(Node node, Attempt.End end, @Nullable Long firstTokenMillis, long streamMillis) {
        String outcome = switch (end) {
            case Attempt.End.Whole _ -> "completed";
            case Attempt.End.Failed(var failure) -> failure.code().wireName();
            case Attempt.End.Stopped _ -> "stopped";
            case Attempt.End.TooLate _ -> "timeout";
        };
        meters.counter("penstock.attempts", "node", node.name(), "outcome", outcome)
                .increment();
        if (end instanceof Attempt.End.Whole(Answer answer)) {
            node.answered(answer.usage().completionTokens(), streamMillis / 1000.0);
        }
        if (firstTokenMillis != null) {
            node.firstToken(firstTokenMillis);
            Timer.builder("gen_ai.server.time_to_first_token")
                    .publishPercentileHistogram()
                    .register(meters)
                    .record(Duration.ofMillis(firstTokenMillis));
        }
    }

    void ended(PromptJob job, JobEvent outcome, @Nullable Node node) {
        EventMark.Kind kind = outcome.kind();
        meters.counter(
                        "penstock.jobs",
                        "outcome",
                        kind.wireName(),
                        "task",
                        job.task().wireName(),
                        "backend",
                        node == null ? "none" : node.settings().backend().wireName(),
                        "pool",
                        node == null ? "none" : node.settings().pool())
                .increment();
    }
}
