package dev.penstock.dispatch;

import dev.penstock.job.Answer;
import dev.penstock.job.JobEvent;
import dev.penstock.job.JobFailure;
import dev.penstock.job.PromptJob;
import dev.penstock.job.Task;
import dev.penstock.job.TokenEvent;
import dev.penstock.node.Node;
import dev.penstock.node.StallTimeouts;
import dev.penstock.node.media.Until;
import dev.penstock.node.protocol.WireProtocol;
import dev.penstock.node.upstream.TokenStream;
import dev.penstock.reply.ChunkBatch;
import dev.penstock.reply.JobReplies;
import dev.penstock.settings.Settings;
import dev.penstock.wire.document.TagList;
import java.time.Duration;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** One attempt at one node: reads its stream, and sends what comes as chunks. Owned by the thread of the run. */
final class Attempt {
    private final PromptJob job;
    private Answer.Head head;
    private final JobReplies replies;
    private final StopSignal signal;
    private final Settings.Timeouts timeouts;
    private final ChunkBatch batch;
    private final Answer.Builder answer = new Answer.Builder();
    private final long begunNanos = System.nanoTime();
    private long lastTokenNanos = begunNanos;
    private @Nullable Long firstTokenMillis;
    private List<String> ignoredParameters = List.of();

    Attempt(
            PromptJob job,
            Answer.Head head,
            JobReplies replies,
            StopSignal signal,
            Settings.Timeouts timeouts,
            Settings.Replies batching) {
        this.job = job;
        this.head = head;
        this.replies = replies;
        this.signal = signal;
        this.timeouts = timeouts;
        batch = job.stream() ? new ChunkBatch(batching.chunkLinger(), batching.chunkMaxChars()) : ChunkBatch.unwanted();
    }

    /** How an attempt ended. */
    sealed interface End {
        record Whole(Answer answer) implements End {}

        record Failed(JobFailure failure) implements End {}

        /** The signal was given. */
        record Stopped() implements End {}

        /** The job's own time ran out. */
        record TooLate() implements End {}
    }

    /** The model that runs: what the server says, where it says so; else the one it was asked for. */
    String model() {
        return head.model();
    }

    /** From the attempt's begin; null: no token came. */
    @Nullable
    Long firstTokenMillis() {
        return firstTokenMillis;
    }

    /** Fields of the job that the node's backend has no equivalent for. */
    List<String> ignoredParameters() {
        return ignoredParameters;
    }

    /** From the first token to the last. */
    long streamMillis() {
        return firstTokenMillis == null ? 0 : (lastTokenNanos - begunNanos) / 1_000_000 - firstTokenMillis;
    }

    /** @param atMost what is left of the job's own time */
    End run(Node node, String model, Duration atMost) throws InterruptedException {
        long deadline = begunNanos + atMost.toNanos();
        try (Node.Request request = node.request(job, model, new Until(signal.whenGiven(), deadline));
                TokenStream stream = request.stream();
                var _ = signal.wakeBy(stream::wake)) {
            // the node is not silent while something is fetched for it
            StallTimeouts silence = new StallTimeouts(node.settings(), timeouts, job.task(), System.nanoTime());
            ignoredParameters = stream.ignoredParameters();
            while (true) {
                long now = System.nanoTime();
                long untilChunk = batch.dueInNanos(now);
                if (batch.isFull()) {
                    if (!sendChunk()) {
                        return tooLarge(node);
                    }
                    continue;
                }
                long untilSilent = silence.leftNanos(now);
                long untilDeadline = deadline - now;
                if (signal.isGiven()) {
                    return new End.Stopped();
                }
                if (untilDeadline <= 0) {
                    return new End.TooLate();
                }
                if (untilSilent <= 0) {
                    return new End.Failed(silence.tooLong().atNode(node.name()));
                }
                // a chunk that is due takes along what has arrived, and waits for nothing
                long wait = Math.min(untilChunk, Math.min(untilSilent, untilDeadline));
                TokenEvent event = stream.next(Math.max(0, wait));
                if (event == null && untilChunk <= 0 && !sendChunk()) {
                    return tooLarge(node);
                }
                End end = event == null ? null : take(event, node, silence);
                if (end != null) {
                    return end;
                }
            }
        } catch (Until.Over _) {
            return signal.isGiven() ? new End.Stopped() : new End.TooLate();
        } catch (WireProtocol.Unsupported e) {
            return new End.Failed(e.failure().atNode(node.name()));
        }
    }

    private @Nullable End take(TokenEvent event, Node node, StallTimeouts silence) {
        switch (event) {
            case TokenEvent.Text _,
                    TokenEvent.ToolCall _,
                    TokenEvent.Thinking _,
                    TokenEvent.Logprobs _,
                    TokenEvent.Embedding _ -> {
                long now = System.nanoTime();
                lastTokenNanos = now;
                silence.endsAt(now);
                node.heard();
                if (firstTokenMillis == null) {
                    firstTokenMillis = (now - begunNanos) / 1_000_000;
                }
                answer.add(event);
                batch.add(event, now);
            }
            case TokenEvent.Model(String name) -> head = head.by(name);
            case TokenEvent.Role _, TokenEvent.Finish _, TokenEvent.Spent _ -> {
                answer.add(event);
                batch.add(event, System.nanoTime());
            }
            case TokenEvent.End _ -> {
                if (batch.hasText() && !sendChunk()) {
                    return tooLarge(node);
                }
                return whole(answer.build(head), node);
            }
            case TokenEvent.Broken(JobFailure failure) -> {
                return new End.Failed(failure.atNode(node.name()));
            }
        }
        return null;
    }

    /** What is no list of tags is no answer to a job that asked for one. */
    private End whole(Answer said, Node node) {
        if (job.task() != Task.TAG) {
            return new End.Whole(said);
        }
        String text = said.choices().getFirst().text().getOrDefault(TokenEvent.Field.CONTENT, "");
        if (TagList.of(text).isPresent()) {
            return new End.Whole(said);
        }
        String line = text.strip().replaceAll("\\s+", " ");
        return new End.Failed(JobFailure.of(
                        JobFailure.Code.NODE_ERROR,
                        "the model's answer is no list of tags: '%s'"
                                .formatted(line.length() > 100 ? line.substring(0, 100) + "…" : line))
                .atNode(node.name()));
    }

    /** @return false where no record can hold a part of it */
    private boolean sendChunk() {
        return replies.send(new JobEvent.Chunk(head, batch.take()));
    }

    private End tooLarge(Node node) {
        return new End.Failed(
                replies.tooLarge("a part of the answer cannot be cut").atNode(node.name()));
    }
}
