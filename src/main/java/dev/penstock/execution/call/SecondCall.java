package dev.penstock.execution.call;

import dev.penstock.job.JobFailure;
import dev.penstock.job.TokenEvent;
import dev.penstock.node.media.Until;
import dev.penstock.node.protocol.WireProtocol;
import io.opentelemetry.context.Context;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * The second request of a hedged attempt. A thread of its own sends it, and reads its answer up to the first token.
 * Then the thread of the run takes the request over, or closes it. Only the thread of the run calls the methods.
 */
public final class SecondCall implements AutoCloseable {
    private static final long FAR = Long.MAX_VALUE / 4;

    private final NodeCall call;
    private final LongSupplier nanos;
    private final CompletableFuture<Result> result = new CompletableFuture<>();
    private final CompletableFuture<@Nullable Void> closed = new CompletableFuture<>();
    /** Whether the thread must stop to read. */
    private volatile boolean released;

    /** What the thread has read. */
    public sealed interface Result {
        /** The events so far. The last one is the first token or the end of the answer, unless the call was taken over. */
        record Heard(List<TokenEvent> events) implements Result {
            public Heard {
                events = List.copyOf(events);
            }
        }

        /** The request failed before its first token. */
        record Failed(JobFailure failure) implements Result {}
    }

    private SecondCall(NodeCall call, LongSupplier nanos) {
        this.call = call;
        this.nanos = nanos;
    }

    /**
     * Begins the request.
     *
     * @param until ends any wait for media
     * @param onResult runs when the first token or a failure is there, on any thread
     */
    public static SecondCall begin(NodeCall call, Asked asked, Until until, LongSupplier nanos, Runnable onResult) {
        SecondCall second = new SecondCall(call, nanos);
        var _ = second.result.whenComplete((_, _) -> onResult.run());
        Until orClosed = new Until(CompletableFuture.anyOf(until.stopped(), second.closed), until.deadlineNanos());
        // the node receives the context of the attempt's span
        Thread.ofVirtual().name("penstock-hedge").start(Context.current().wrap(() -> second.read(asked, orClosed)));
        return second;
    }

    public NodeCall call() {
        return call;
    }

    /** Returns whether the first token or a failure is there. */
    public boolean isDone() {
        return result.isDone();
    }

    /**
     * Takes the request over. It waits until the thread does not use the request any more.
     *
     * @throws CompletionException if an unexpected exception has ended the thread; then the request is closed
     */
    public Result takeOver() {
        released = true;
        call.wake();
        try {
            return result.join();
        } catch (CompletionException e) {
            close();
            throw e;
        }
    }

    private void read(Asked asked, Until until) {
        try {
            result.complete(listen(asked, until));
        } catch (Until.Over _) {
            call.slot().excused();
            result.complete(failed(JobFailure.of(JobFailure.Code.TIMEOUT, "the job's time is over")));
        } catch (WireProtocol.Unsupported e) {
            call.slot().excused();
            result.complete(failed(e.failure()));
        } catch (InterruptedException | RuntimeException | Error e) {
            result.completeExceptionally(e);
        }
    }

    private Result listen(Asked asked, Until until) throws WireProtocol.Unsupported, InterruptedException, Until.Over {
        call.open(asked, until, nanos);
        List<TokenEvent> events = new ArrayList<>();
        while (!released) {
            long left = call.silence().leftNanos(nanos.getAsLong());
            TokenEvent event = call.stream().next(Math.clamp(left, 0, FAR), 0);
            if (event instanceof TokenEvent.Broken(JobFailure failure)) {
                return failed(failure);
            }
            if (event != null) {
                events.add(event);
                if (NodeCall.speaks(event) || event instanceof TokenEvent.End) {
                    break;
                }
            } else if (left <= 0) {
                return failed(call.silence().tooLong());
            }
        }
        return new Result.Heard(events);
    }

    private Result failed(JobFailure failure) {
        return new Result.Failed(failure.atNode(call.node().name()));
    }

    /** Ends the request, and frees its slot as soon as the thread does not use the request any more. */
    @Override
    public void close() {
        released = true;
        closed.complete(null);
        call.wake();
        var _ = result.whenComplete((_, _) -> {
            try (var _ = call.slot();
                    call) {
                // the resources only have to be closed
            }
        });
    }
}
