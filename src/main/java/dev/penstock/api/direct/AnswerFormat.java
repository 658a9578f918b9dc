package dev.penstock.api.direct;

import dev.penstock.job.Answer;
import dev.penstock.job.JobFailure;
import dev.penstock.job.TokenEvent;
import java.util.List;

/**
 * How an API writes the answer to a direct call: a call that is answered without a trip through Kafka. One object serves
 * one call. Only one thread at a time uses it.
 */
public interface AnswerFormat {
    /** Returns the content type of a streamed answer. */
    String streamType();

    /** Returns an answer that is not streamed, as UTF-8 JSON. */
    byte[] whole(Answer answer);

    /** Returns the text that comes before the first piece; may be empty. */
    String begin(Answer.Head head);

    /**
     * Returns the text for one piece of a streamed answer; may be empty.
     *
     * @param deltas the new events since the last piece; never empty
     */
    String piece(Answer.Head head, List<TokenEvent> deltas);

    /** Returns the text that ends a complete stream. */
    String end(Answer answer);

    /** Returns the text that ends a stream that failed after its first piece. */
    String broken(JobFailure failure);

    /** Returns the body of an error, as UTF-8 JSON. The status is that of the failure's code. */
    byte[] error(JobFailure failure);
}
