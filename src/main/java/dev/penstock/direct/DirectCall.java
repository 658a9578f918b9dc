package dev.penstock.direct;

import dev.penstock.execution.Execution;
import dev.penstock.execution.ExecutionContext;
import dev.penstock.execution.Outcome;
import dev.penstock.execution.Spans;
import dev.penstock.execution.StopSignal;
import dev.penstock.execution.Work;
import dev.penstock.job.Answer;
import dev.penstock.job.JobEvent;
import dev.penstock.job.JobFailure;
import dev.penstock.job.PromptJob;
import dev.penstock.job.RecordPlace;
import dev.penstock.job.TokenEvent;
import dev.penstock.route.match.Decision;
import dev.penstock.schedule.QueueEntry;
import dev.penstock.settings.Settings;
import io.opentelemetry.context.Context;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.function.Supplier;
import org.jboss.logging.Logger;
import org.jboss.logging.MDC;
import org.jspecify.annotations.Nullable;

/**
 * One direct call. A thread of its own executes the job. The thread of the caller reads the answer. If the caller leaves
 * or reads nothing for too long, the request at the node ends. Thread-safe, but only one thread at a time reads.
 */
public final class DirectCall {
    private static final Logger LOG = Logger.getLogger(DirectCall.class);
    /** A call has no record. */
    private static final RecordPlace NO_RECORD = new RecordPlace("", 0, 0);

    static final JobFailure STOPPING =
            JobFailure.of(JobFailure.Code.NO_NODE, "this replica stops: send the call again, another replica answers");

    private static final JobFailure BROKE =
            JobFailure.of(JobFailure.Code.INTERNAL, "Penstock failed; its log has the reason");

    private final PromptJob job;
    private final Decision decision;
    private final ExecutionContext context;
    private final Ended whenEnded;
    private final CallBuffer buffer;
    private final StopSignal signal = new StopSignal();
    private volatile Runnable whenDropped = () -> {};
    private volatile JobEvent.@Nullable Started started;
    private volatile @Nullable Execution execution;

    /** What the caller reads next. */
    public sealed interface Next {
        /** A part of a streamed answer; never empty. */
        record Piece(Answer.Head head, List<TokenEvent> deltas) implements Next {}

        /** The answer is complete. A streamed answer has all of its text in the pieces before. */
        record Completed(Answer answer) implements Next {}

        /** The call failed. Pieces may have come before. */
        record Failed(JobFailure failure) implements Next {}

        /** The caller has left, or has read nothing for too long. */
        record Left() implements Next {}
    }

    /** Receives the outcome of each call. */
    @FunctionalInterface
    public interface Ended {
        /** Takes the outcome. The caller has it already, so this method may wait for a short time. */
        void ended(PromptJob job, JobEvent outcome);
    }

    DirectCall(PromptJob job, Decision decision, ExecutionContext context, CallRoom room, Ended whenEnded) {
        this.job = job;
        this.decision = decision;
        this.context = context;
        this.whenEnded = whenEnded;
        Settings.Api limits = context.settings().api();
        buffer = new CallBuffer(limits.streamBytes(), limits.answer(), room);
    }

    /** Waits for the next part of the answer. */
    public Next next() throws InterruptedException {
        return buffer.take();
    }

    /** Returns the name of the node of the last attempt; empty before the first attempt. */
    public Optional<String> node() {
        return Optional.ofNullable(started).map(JobEvent.Started::node);
    }

    /** Returns the number of attempts so far. */
    public int attempts() {
        Execution running = execution;
        return running == null ? 0 : running.lastAttempt();
    }

    /** Returns the name of the routing rule; empty if no rule matches. */
    public Optional<String> rule() {
        return decision.rule().isNone()
                ? Optional.empty()
                : Optional.of(decision.rule().name());
    }

    /** Sets the action that ends the connection of a caller who reads nothing. */
    public void whenDropped(Runnable action) {
        whenDropped = action;
    }

    /** Ends the call and the connection of its caller, because the answer cannot be written. */
    public void cut() {
        leave();
        whenDropped.run();
    }

    /** Ends the call because its caller has left. Does nothing if the call has ended. */
    public void leave() {
        signal.stop(StopSignal.Reason.CANCELLED);
        buffer.abandon();
    }

    /** Ends the call because this replica stops. */
    void stop() {
        signal.stop(StopSignal.Reason.SHUTDOWN);
        buffer.end(new Next.Failed(STOPPING));
    }

    /** Ends a call that has not begun. */
    void refuse(JobFailure failure) {
        buffer.end(new Next.Failed(failure));
    }

    /**
     * Executes the job on this thread, and hands the answer to the caller.
     *
     * @param parent the trace of the caller
     * @param enter creates the queue entry
     */
    void run(Context parent, Supplier<QueueEntry> enter) throws InterruptedException {
        MDC.put("job", job.id().value());
        MDC.put("tenant", job.tenant());
        try (var _ = Spans.current(parent)) {
            ended(outcome(enter));
        } finally {
            // whatever happened: the caller must not wait for ever
            buffer.end(new Next.Failed(BROKE));
            MDC.remove("job");
            MDC.remove("tenant");
        }
    }

    private Outcome outcome(Supplier<QueueEntry> enter) throws InterruptedException {
        try (QueueEntry entry = enter.get()) {
            Work work = new Work(job, decision.rule(), NO_RECORD, null, 0, 0, 0, null);
            CallSink sink = new CallSink(buffer, event -> started = event, this::drop);
            Execution running = new Execution(work, entry, sink, signal, () -> true, context);
            execution = running;
            return switch (running.run()) {
                case Execution.Result.Concluded(Outcome outcome) -> outcome;
                case Execution.Result.Deferred _ -> throw new IllegalStateException("a call is never deferred");
                case Execution.Result.Released() -> failed(STOPPING);
            };
        } catch (RuntimeException | StackOverflowError e) {
            LOG.errorf(e, "job=%s an unexpected exception ended the call", job.id());
            return failed(BROKE);
        }
    }

    private Outcome failed(JobFailure failure) {
        return Outcome.withoutAttempt(new JobEvent.Failed(failure, null, job.metadata()));
    }

    private void drop() {
        LOG.infof("job=%s its caller read nothing for too long: the call ends (penstock.api.answer-timeout)", job.id());
        cut();
    }

    /** Hands the end to the caller first. What follows may wait. */
    private void ended(Outcome outcome) {
        JobEvent event = outcome.event();
        context.meters().ended(job, event, outcome.node());
        buffer.end(end(event));
        if (event instanceof JobEvent.Failed(JobFailure failure, var _, var _)) {
            // without the message, because a server's message may quote the prompt
            LOG.infof(
                    "job=%s outcome=failed code=%s attempts=%d",
                    job.id(), failure.code().wireName(), attempts());
        } else {
            LOG.debugf("job=%s outcome=%s attempts=%d", job.id(), event.kind().wireName(), attempts());
        }
        whenEnded.ended(job, event);
    }

    private static Next end(JobEvent outcome) {
        return switch (outcome) {
            case JobEvent.Completed completed -> new Next.Completed(completed.answer());
            case JobEvent.Failed failed -> new Next.Failed(failed.failure());
            case JobEvent.Cancelled _ -> new Next.Left();
            case JobEvent.Expired expired ->
                new Next.Failed(Objects.requireNonNullElseGet(
                        expired.early(),
                        () -> JobFailure.of(JobFailure.Code.TIMEOUT, "the deadline of the call is over")));
            case JobEvent.Started _, JobEvent.Chunk _, JobEvent.Rejected _ ->
                throw new IllegalArgumentException("no outcome: " + outcome.kind());
        };
    }
}
