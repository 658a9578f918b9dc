package dev.penstock.execution;

import dev.penstock.execution.call.Asked;
import dev.penstock.execution.call.NodeCall;
import dev.penstock.execution.call.SecondCall;
import dev.penstock.execution.result.AnswerCheck;
import dev.penstock.job.Answer;
import dev.penstock.job.JobFailure;
import dev.penstock.job.TokenEvent;
import dev.penstock.job.Usage;
import dev.penstock.node.Node;
import dev.penstock.node.media.Until;
import dev.penstock.node.protocol.WireProtocol;
import dev.penstock.node.upstream.TokenStream;
import dev.penstock.schedule.Admission;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * One attempt, as a stream of its progress: the chunks of the answer, then the end of the attempt. It publishes nothing.
 * A hedged attempt asks a second node if the first one is silent; then the first of the two that speaks goes on. Not
 * thread-safe: the thread of the run owns it. Closing it ends the requests and frees their slots.
 */
final class AttemptStream implements AutoCloseable {
    private final Asked asked;
    private final GivingWay givingWay;
    private final Transcript transcript;
    private final StopSignal signal;
    private final ExecutionContext context;
    private final LongSupplier nanos;
    private final Until until;
    private final long begunNanos;
    private final long deadlineNanos;
    /** When the second node is asked; {@code Long.MAX_VALUE} if it was asked, or is never asked. */
    private long secondNanos;

    private NodeCall call;
    private @Nullable SecondCall second;
    private @Nullable Beside beside;
    private StopSignal.Waking waking = () -> {};
    private ChunkBatch batch;
    private Answer.Head head;
    private boolean announced;
    private long lastTokenNanos;
    private @Nullable Long firstTokenMillis;
    private @Nullable End end;

    /**
     * The request of a hedged attempt that failed while the other one went on. Its end is noted at its node already.
     *
     * @param wasFirst whether it was the first request
     */
    record Beside(JobFailure failure, String node, boolean wasFirst) {}

    /** A piece of the answer, or the end of the attempt. */
    sealed interface Progress {
        /** The first token has come, in an attempt that may be hedged. The node is known from now on. */
        record Spoke() implements Progress {}

        /** A piece of the answer; never empty. */
        record Chunk(Answer.Head head, List<TokenEvent> deltas) implements Progress {}

        /** The end of the attempt. Nothing follows it. */
        record Ended(End end) implements Progress {}
    }

    /** How an attempt ended. */
    sealed interface End {
        /** @param here the usage of this attempt alone */
        record Whole(Answer answer, Usage here) implements End {}

        record Failed(JobFailure failure) implements End {}

        /** The stop signal was given. */
        record Stopped() implements End {}

        /** The job's own time is over. */
        record TooLate() implements End {}

        /** The attempt gives its slot to another job. All of its text is in chunks. */
        record Preempted() implements End {}
    }

    /**
     * Begins an attempt. The first call of {@link #next} sends the request.
     *
     * @param call the request at the attempt's node
     * @param head the head of the answer, with the requested model
     * @param atMost the time left for the job
     */
    AttemptStream(
            NodeCall call,
            Asked asked,
            Answer.Head head,
            GivingWay givingWay,
            Transcript transcript,
            StopSignal signal,
            Duration atMost,
            ExecutionContext context) {
        this.call = call;
        this.asked = asked;
        this.head = head;
        this.givingWay = givingWay;
        this.transcript = transcript;
        this.signal = signal;
        this.context = context;
        nanos = context.nanos();
        batch = batch();
        begunNanos = nanos.getAsLong();
        lastTokenNanos = begunNanos;
        deadlineNanos = begunNanos + atMost.toNanos();
        secondNanos = givingWay.hedge().isOn() ? begunNanos + givingWay.hedge().afterNanos() : Long.MAX_VALUE;
        // the wait for media uses the system's own clock
        until = new Until(signal.whenGiven(), System.nanoTime() + atMost.toNanos());
    }

    private ChunkBatch batch() {
        return asked.job().stream()
                ? new ChunkBatch(
                        context.chunkLinger(), context.settings().replies().chunkMaxChars())
                : ChunkBatch.unwanted();
    }

    /** Returns the slot of the request that spoke; before that, of the request that goes on. */
    Node.Slot slot() {
        return call.slot();
    }

    /** Returns the model that this request asks for. */
    String requestedModel() {
        return call.model();
    }

    /** Returns the other request of a hedged attempt, if it failed. */
    Optional<Beside> beside() {
        return Optional.ofNullable(beside);
    }

    /** Returns the model that the server reports; the requested model if the server reports none. */
    String model() {
        return head.model();
    }

    /** Returns the time from the attempt's start to its first token; null if no token came. */
    @Nullable
    Long firstTokenMillis() {
        return firstTokenMillis;
    }

    /** Returns the fields of the job for which the node's backend has no equivalent. */
    List<String> ignoredParameters() {
        return call.isOpen() ? call.stream().ignoredParameters() : List.of();
    }

    /** Returns the time from the first token to the last token. */
    long streamMillis() {
        return firstTokenMillis == null ? 0 : (lastTokenNanos - begunNanos) / 1_000_000 - firstTokenMillis;
    }

    /** Waits for the next piece of the answer, or for the end. */
    Progress next() throws InterruptedException {
        try {
            if (end == null && !call.isOpen()) {
                call.open(asked, until, nanos);
                opened();
            }
            return read();
        } catch (Until.Over _) {
            return ended(signal.isGiven() ? new End.Stopped() : new End.TooLate());
        } catch (WireProtocol.Unsupported e) {
            slot().excused();
            return ended(new End.Failed(e.failure().atNode(call.node().name())));
        }
    }

    /** Waits for the request that goes on: from now on, signals wake its stream. */
    private void opened() {
        waking.close();
        if (secondNanos != Long.MAX_VALUE) {
            // the time for media is not the node's
            secondNanos = nanos.getAsLong() + givingWay.hedge().afterNanos();
        }
        TokenStream stream = call.stream();
        waking = signal.wakeBy(stream::wake);
        givingWay.opened(call, asked.job());
        report();
    }

    private Progress read() throws InterruptedException {
        while (true) {
            if (end != null) {
                return last(end);
            }
            if (givingWay.hedge().isOn() && firstTokenMillis != null && !announced) {
                announced = true;
                return new Progress.Spoke();
            }
            if (batch.isFull()) {
                return chunk();
            }
            long now = nanos.getAsLong();
            long untilChunk = batch.dueInNanos(now);
            long untilSilent = call.silence().leftNanos(now);
            long untilDeadline = deadlineNanos - now;
            long untilSecond = secondNanos == Long.MAX_VALUE ? Long.MAX_VALUE : secondNanos - now;
            if (signal.isGiven()) {
                return ended(new End.Stopped());
            }
            if (untilDeadline <= 0) {
                return ended(new End.TooLate());
            }
            if (givingWay.stopsNow(transcript, firstTokenMillis != null)) {
                end = new End.Preempted();
            } else if (second != null && second.isDone()) {
                settle(second);
            } else if (untilSecond <= 0) {
                askSecond();
            } else {
                // a chunk that is due includes all tokens that have arrived, and does not wait for more
                long wait = Math.min(Math.min(untilChunk, untilSecond), Math.min(untilSilent, untilDeadline));
                TokenEvent event = call.stream().next(Math.max(0, wait), batch.missing());
                if (event != null) {
                    take(event);
                } else if (untilSilent <= 0) {
                    failed(call.silence().tooLong());
                } else if (untilChunk <= 0) {
                    return chunk();
                }
            }
        }
    }

    private void askSecond() {
        secondNanos = Long.MAX_VALUE;
        Admission.Granted spare = givingWay.hedge().spare().get().orElse(null);
        if (spare != null) {
            context.meters().hedged();
            NodeCall other = new NodeCall(spare.slot(), spare.model());
            second = SecondCall.begin(other, asked, until, nanos, call::wake);
        }
    }

    /** Takes the first token or the failure of the second request. */
    private void settle(SecondCall other) {
        second = null;
        switch (other.takeOver()) {
            case SecondCall.Result.Heard(List<TokenEvent> events) -> {
                slot().overtaken();
                context.meters().overtaken(call.node());
                hangUp(call);
                goOn(other.call(), events);
            }
            case SecondCall.Result.Failed(JobFailure failure) -> leave(other.call(), failure, false);
        }
    }

    /** Goes on with the second request. */
    private void goOn(NodeCall other, List<TokenEvent> heard) {
        call = other;
        head = head.by(other.model());
        batch = batch();
        transcript.movedTo(other.node().name(), other.model());
        opened();
        for (TokenEvent event : heard) {
            take(event);
        }
    }

    /** Fails the attempt, unless its other request goes on. */
    private void failed(JobFailure failure) {
        JobFailure atNode = failure.atNode(call.node().name());
        SecondCall other = firstTokenMillis == null ? second : null;
        if (other == null) {
            end = new End.Failed(atNode);
            return;
        }
        second = null;
        leave(call, atNode, true);
        switch (other.takeOver()) {
            case SecondCall.Result.Heard(List<TokenEvent> events) -> goOn(other.call(), events);
            case SecondCall.Result.Failed(JobFailure too) -> {
                call = other.call();
                end = new End.Failed(too);
            }
        }
    }

    private void leave(NodeCall failed, JobFailure failure, boolean wasFirst) {
        beside = new Beside(failure, failed.node().name(), wasFirst);
        failed.slot().failed(failure);
        context.meters().failedBeside(failed.node(), failure);
        hangUp(failed);
    }

    private static void hangUp(NodeCall call) {
        try (var _ = call.slot();
                call) {
            // the resources only have to be closed
        }
    }

    /**
     * Returns the text that is in no chunk yet, if it is still of use: a whole answer must have all of its text, and
     * after a failure, another attempt can continue only what is published. Then the end follows.
     */
    private Progress last(End how) {
        boolean isWhole =
                how instanceof End.Whole || (how instanceof End.Failed(JobFailure failure) && failure.misfit() != null);
        boolean isOfUse =
                isWhole || ((how instanceof End.Failed || how instanceof End.Preempted) && transcript.isContinuable());
        return isOfUse && batch.hasText() ? chunk() : new Progress.Ended(how);
    }

    private Progress chunk() {
        return new Progress.Chunk(head, batch.take());
    }

    private Progress ended(End how) {
        end = how;
        return new Progress.Ended(how);
    }

    private void take(TokenEvent event) {
        if (NodeCall.speaks(event)) {
            long now = nanos.getAsLong();
            lastTokenNanos = now;
            call.silence().endsAt(now);
            slot().heard();
            if (firstTokenMillis == null) {
                firstTokenMillis = (now - begunNanos) / 1_000_000;
                secondNanos = Long.MAX_VALUE;
                dropSecond();
            }
        }
        switch (event) {
            case TokenEvent.Text _,
                    TokenEvent.ToolCall _,
                    TokenEvent.Thinking _,
                    TokenEvent.Logprobs _,
                    TokenEvent.Embedding _,
                    TokenEvent.Scored _,
                    TokenEvent.Role _,
                    TokenEvent.Finish _,
                    TokenEvent.Spent _ -> keep(event, nanos.getAsLong());
            case TokenEvent.Model(String name) -> head = head.by(name);
            case TokenEvent.End _ -> end = whole(transcript.answer(head));
            case TokenEvent.Broken(JobFailure failure) -> failed(failure);
        }
    }

    private void keep(TokenEvent event, long now) {
        transcript.add(event);
        batch.add(event, now);
        report();
    }

    private void report() {
        givingWay.wrote(call, transcript, firstTokenMillis != null);
    }

    /** Ends the second request because the first one speaks, or because the attempt ends. */
    private void dropSecond() {
        SecondCall other = second;
        if (other != null) {
            second = null;
            other.call().slot().excused();
            context.meters().overtaken(other.call().node());
            other.close();
        }
    }

    /** Returns the end of an attempt with a complete answer. It is a failure if it is not what the job asks for. */
    private End whole(Answer answer) {
        Optional<JobFailure> failure = AnswerCheck.failure(asked.job(), call, answer);
        // the model is the cause, and not the node
        failure.ifPresent(_ -> slot().excused());
        return failure.<End>map(why -> new End.Failed(why.atNode(call.node().name())))
                .orElseGet(() -> new End.Whole(answer, transcript.here()));
    }

    /** Ends the requests. The slot of the request that spoke stays, so that the end of the attempt is noted there. */
    void hangUp() {
        dropSecond();
        try (var _ = waking;
                var _ = call) {
            // the resources only have to be closed
        }
    }

    @Override
    public void close() {
        try (var _ = slot()) {
            hangUp();
        }
    }
}
