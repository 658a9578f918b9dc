package dev.penstock.execution;

import dev.penstock.job.Answer;
import dev.penstock.job.JobFailure;
import dev.penstock.job.PromptJob;
import dev.penstock.job.PublishedText;
import dev.penstock.job.Task;
import dev.penstock.job.TokenEvent;
import dev.penstock.job.Usage;
import dev.penstock.node.Node;
import dev.penstock.node.NodeRequest;
import dev.penstock.node.StallTimeouts;
import dev.penstock.node.media.Until;
import dev.penstock.node.protocol.WireProtocol;
import dev.penstock.node.upstream.TokenStream;
import dev.penstock.settings.Rule;
import dev.penstock.settings.Settings;
import dev.penstock.wire.document.TagList;
import java.time.Duration;
import java.util.List;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * One attempt at one node, as a stream of its progress: the chunks of the answer, then the end of the attempt. It
 * publishes nothing. Not thread-safe: the thread of the run owns it. Closing it ends the request.
 */
final class AttemptStream implements AutoCloseable {
    private static final int MOST_OF_AN_ANSWER_IN_A_FAILURE = 100;

    private final Node.Slot slot;
    private final Node node;
    private final PromptJob job;
    private final Rule rule;
    private final @Nullable PublishedText continued;
    private final Transcript transcript;
    private final StopSignal signal;
    private final LongSupplier nanos;
    private final ChunkBatch batch;
    private final Until until;
    private final long begunNanos;
    private final long deadlineNanos;
    private Answer.Head head;
    private long lastTokenNanos;
    private @Nullable Long firstTokenMillis;
    private List<String> ignoredParameters = List.of();
    private @Nullable NodeRequest request;
    private @Nullable Open open;
    private @Nullable End end;

    /** A request that was sent. */
    private record Open(TokenStream stream, StopSignal.Waking waking, StallTimeouts silence) implements AutoCloseable {
        @Override
        public void close() {
            try (stream;
                    waking) {
                // the resources only have to be closed
            }
        }
    }

    /** A piece of the answer, or the end of the attempt. */
    sealed interface Progress {
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
    }

    /**
     * Begins an attempt. The first call of {@link #next} sends the request.
     *
     * @param slot the attempt's room at its node; the caller closes it
     * @param rule the job's routing rule
     * @param head the head of the answer, with the requested model
     * @param continued the published text that the answer continues; null if the answer starts over
     * @param atMost the time left for the job
     */
    AttemptStream(
            Node.Slot slot,
            PromptJob job,
            Rule rule,
            Answer.Head head,
            @Nullable PublishedText continued,
            Transcript transcript,
            StopSignal signal,
            Duration atMost,
            ExecutionContext context) {
        this.slot = slot;
        node = slot.node();
        this.job = job;
        this.rule = rule;
        this.head = head;
        this.continued = continued;
        this.transcript = transcript;
        this.signal = signal;
        nanos = context.nanos();
        Settings.Replies batching = context.settings().replies();
        batch = job.stream() ? new ChunkBatch(batching.chunkLinger(), batching.chunkMaxChars()) : ChunkBatch.unwanted();
        begunNanos = nanos.getAsLong();
        lastTokenNanos = begunNanos;
        deadlineNanos = begunNanos + atMost.toNanos();
        // the wait for media uses the system's own clock
        until = new Until(signal.whenGiven(), System.nanoTime() + atMost.toNanos());
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
        return ignoredParameters;
    }

    /** Returns the time from the first token to the last token. */
    long streamMillis() {
        return firstTokenMillis == null ? 0 : (lastTokenNanos - begunNanos) / 1_000_000 - firstTokenMillis;
    }

    /** Waits for the next piece of the answer, or for the end. */
    Progress next() throws InterruptedException {
        try {
            return end == null ? read(open()) : new Progress.Ended(end);
        } catch (Until.Over _) {
            return ended(signal.isGiven() ? new End.Stopped() : new End.TooLate());
        } catch (WireProtocol.Unsupported e) {
            slot.excused();
            return ended(new End.Failed(e.failure().atNode(node.name())));
        }
    }

    private Open open() throws InterruptedException, Until.Over, WireProtocol.Unsupported {
        Open opened = open;
        if (opened == null) {
            NodeRequest sent = node.request(job, head.model(), rule.set().parameters(), continued, until);
            slot.sent();
            request = sent;
            TokenStream stream = sent.stream();
            // the node cannot answer while the media are fetched, so the stall timeout begins here
            StallTimeouts silence = new StallTimeouts(
                    node.settings(), rule.timeouts().over(node.timeouts()), job.task(), nanos.getAsLong());
            opened = new Open(stream, signal.wakeBy(stream::wake), silence);
            open = opened;
            ignoredParameters = stream.ignoredParameters();
        }
        return opened;
    }

    private Progress read(Open opened) throws InterruptedException {
        while (true) {
            if (batch.isFull()) {
                return chunk();
            }
            long now = nanos.getAsLong();
            long untilChunk = batch.dueInNanos(now);
            long untilSilent = opened.silence().leftNanos(now);
            long untilDeadline = deadlineNanos - now;
            if (signal.isGiven()) {
                return ended(new End.Stopped());
            }
            if (untilDeadline <= 0) {
                return ended(new End.TooLate());
            }
            // a chunk that is due includes all tokens that have arrived, and does not wait for more
            long wait = Math.min(untilChunk, Math.min(untilSilent, untilDeadline));
            TokenEvent event = opened.stream().next(Math.max(0, wait), batch.missing());
            if (event != null) {
                take(event, opened.silence());
                if (end != null) {
                    return last(end);
                }
            } else if (untilSilent <= 0) {
                end = new End.Failed(opened.silence().tooLong().atNode(node.name()));
                return last(end);
            } else if (untilChunk <= 0) {
                return chunk();
            }
        }
    }

    /**
     * Returns the text that is in no chunk yet, if it is still of use: a whole answer must have all of its text, and
     * after a failure, another attempt can continue only what is published. Then the end follows.
     */
    private Progress last(End how) {
        boolean isOfUse = how instanceof End.Whole || (how instanceof End.Failed && transcript.isContinuable());
        return isOfUse && batch.hasText() ? chunk() : new Progress.Ended(how);
    }

    private Progress chunk() {
        return new Progress.Chunk(head, batch.take());
    }

    private Progress ended(End how) {
        end = how;
        return new Progress.Ended(how);
    }

    private void take(TokenEvent event, StallTimeouts silence) {
        switch (event) {
            case TokenEvent.Text _,
                    TokenEvent.ToolCall _,
                    TokenEvent.Thinking _,
                    TokenEvent.Logprobs _,
                    TokenEvent.Embedding _ -> {
                long now = nanos.getAsLong();
                lastTokenNanos = now;
                silence.endsAt(now);
                slot.heard();
                if (firstTokenMillis == null) {
                    firstTokenMillis = (now - begunNanos) / 1_000_000;
                }
                keep(event, now);
            }
            case TokenEvent.Model(String name) -> head = head.by(name);
            case TokenEvent.Role _, TokenEvent.Finish _, TokenEvent.Spent _ -> keep(event, nanos.getAsLong());
            case TokenEvent.End _ -> end = whole(transcript.answer(head));
            case TokenEvent.Broken(JobFailure failure) -> end = new End.Failed(failure.atNode(node.name()));
        }
    }

    private void keep(TokenEvent event, long now) {
        transcript.add(event);
        batch.add(event, now);
    }

    /**
     * Returns the end of an attempt with a complete answer. If the job asks for tags and the answer is no list of tags,
     * the attempt has failed.
     */
    private End whole(Answer answer) {
        if (job.task() != Task.TAG) {
            return new End.Whole(answer, transcript.here());
        }
        String text = answer.choices().getFirst().text().getOrDefault(TokenEvent.Field.CONTENT, "");
        if (TagList.of(text).isPresent()) {
            return new End.Whole(answer, transcript.here());
        }
        // the model is the cause, and not the node
        slot.excused();
        String line = text.strip().replaceAll("\\s+", " ");
        return new End.Failed(JobFailure.of(
                        JobFailure.Code.NODE_ERROR,
                        "the model's answer is no list of tags: '%s'"
                                .formatted(
                                        line.length() > MOST_OF_AN_ANSWER_IN_A_FAILURE
                                                ? line.substring(0, MOST_OF_AN_ANSWER_IN_A_FAILURE) + "…"
                                                : line))
                .atNode(node.name()));
    }

    @Override
    public void close() {
        try (var _ = request;
                var _ = open) {
            // the resources only have to be closed
        }
    }
}
