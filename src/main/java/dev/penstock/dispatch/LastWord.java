package dev.penstock.dispatch;

import dev.penstock.job.Answer;
import dev.penstock.job.JobEvent;
import dev.penstock.job.JobFailure;
import dev.penstock.job.TokenEvent;
import dev.penstock.reply.JobReplies;
import dev.penstock.settings.Settings;
import dev.penstock.wire.Json;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Gets a run's outcome onto the broker, as often as it takes. Owned by the thread of the run. */
final class LastWord {
    /** JSON writes a control character in six. */
    private static final int MOST_BYTES_A_CHAR = 6;

    private static final int ROOM_FOR_THE_REST = 16 * 1024;

    private static final int CHARS_A_CHUNK = 64 * 1024;

    private final JobReplies replies;
    private final boolean streams;
    private final Hold hold;
    private final StopSignal signal;
    private final Settings settings;

    /** @param streams whether the job wants chunks */
    LastWord(JobReplies replies, boolean streams, Hold hold, StopSignal signal, Settings settings) {
        this.replies = replies;
        this.streams = streams;
        this.hold = hold;
        this.signal = signal;
        this.settings = settings;
    }

    /**
     * Says the outcome of the attempt under way, and once more as a new attempt while an event of it is missing on the
     * topic: a reader could not join the text.
     *
     * @return what was said in the end: an answer that no record can hold is a failure; null: the lock was lost before it was there
     */
    @Nullable
    Outcome say(Outcome outcome) throws InterruptedException {
        if (outcome.isTruncated() && !streams && outcome.answer() != null) {
            sendAsChunks(outcome.answer());
        }
        replies.send(outcome.event());
        return awaitSent(outcome);
    }

    /** Says the whole answer as a new attempt: {@code started}, its chunks, the outcome. */
    boolean sayAgain(Outcome outcome, int attempt) throws InterruptedException {
        send(outcome, attempt);
        return awaitSent(outcome) != null;
    }

    /** An answer that no record can hold stands in the chunks alone, also where none were asked for. */
    Outcome fitting(Outcome outcome) {
        if (outcome.event() instanceof JobEvent.Completed completed
                && !completed.answer().embeddings().isEmpty()) {
            return fittingEmbeddings(outcome, completed);
        }
        return outcome.event() instanceof JobEvent.Completed completed && isTooLarge(completed.answer())
                ? outcome.truncated(completed)
                : outcome;
    }

    /** Counted only where it may be; a description stands beside the message that it is in. */
    private boolean isTooLarge(Answer answer) {
        long room = settings.maxRecord() - logprobs(answer);
        return answer.chars() * MOST_BYTES_A_CHAR > room && 2 * texts(answer) + ROOM_FOR_THE_REST > room;
    }

    private static long texts(Answer answer) {
        return answer.choices().stream()
                .mapToLong(choice -> Json.bytes(choice.text()).length
                        + Json.bytes(choice.thinking()).length
                        + choice.toolCalls().stream()
                                .mapToLong(call -> Json.bytes(call.arguments()).length)
                                .sum())
                .sum();
    }

    private static long logprobs(Answer answer) {
        return answer.choices().stream()
                .filter(choice -> !choice.logprobs().isEmpty())
                .mapToLong(choice -> Json.bytes(choice.logprobs()).length + ROOM_FOR_THE_REST)
                .sum();
    }

    /** Embeddings have no chunks that they could stand in. */
    private Outcome fittingEmbeddings(Outcome outcome, JobEvent.Completed completed) {
        int bytes = Json.bytes(completed.answer().embeddings()).length;
        if (bytes + ROOM_FOR_THE_REST <= settings.maxRecord()) {
            return outcome;
        }
        return tooLarge(
                outcome,
                completed,
                "the embeddings have %d bytes, and a record takes %d (penstock.kafka.max-record): send fewer inputs, or ask for encoding_format base64"
                        .formatted(bytes, settings.maxRecord()));
    }

    private static Outcome tooLarge(Outcome outcome, JobEvent.Completed completed, String words) {
        JobFailure failure = JobFailure.of(JobFailure.Code.TOO_LARGE, words);
        return new Outcome(
                new JobEvent.Failed(failure, completed.execution(), completed.metadata()),
                outcome.started(),
                null,
                outcome.node());
    }

    private @Nullable Outcome awaitSent(Outcome outcome) throws InterruptedException {
        Outcome said = outcome;
        int tries = 1;
        while (!replies.awaitSent()) {
            if (replies.wasTooLarge() && said.event() instanceof JobEvent.Completed completed) {
                // one event of it, such as the arguments of a tool call: saying it again would not help
                said = tooLarge(
                        said,
                        completed,
                        "an event of the answer is larger than a record, which takes %d bytes (penstock.kafka.max-record): ask for less at once"
                                .formatted(settings.maxRecord()));
            }
            signal.pause(settings.retries().backoff(tries++));
            if (signal.reason() == StopSignal.Reason.LOCK_LOST || !hold.renew()) {
                return null;
            }
            send(said, replies.attempt() + 1);
        }
        return said;
    }

    private void send(Outcome outcome, int attempt) {
        replies.begin(attempt);
        if (outcome.started() != null) {
            replies.send(outcome.started());
        }
        if (outcome.answer() != null && (streams || outcome.isTruncated())) {
            sendAsChunks(outcome.answer());
        }
        replies.send(outcome.event());
    }

    private void sendAsChunks(Answer answer) {
        for (TokenEvent delta : answer.asDeltas()) {
            if (delta instanceof TokenEvent.Text(int choice, TokenEvent.Field field, String text)) {
                int start = 0;
                while (start < text.length()) {
                    int end = Math.min(text.length(), start + CHARS_A_CHUNK);
                    // a character beyond the basic plane stays whole
                    end += end < text.length() && Character.isLowSurrogate(text.charAt(end)) ? 1 : 0;
                    sendChunk(answer, new TokenEvent.Text(choice, field, text.substring(start, end)));
                    start = end;
                }
            } else if (!(delta instanceof TokenEvent.Finish)) {
                sendChunk(answer, delta);
            }
        }
    }

    private void sendChunk(Answer answer, TokenEvent delta) {
        replies.send(new JobEvent.Chunk(answer.head(), List.of(delta)));
    }
}
