package dev.penstock.api.direct;

import dev.penstock.job.Answer;
import dev.penstock.job.JobFailure;
import dev.penstock.job.TokenEvent;
import dev.penstock.wire.Json;
import dev.penstock.wire.document.ErrorDocument;
import java.util.List;

/** The format of an API whose answers are never streamed. {@link TaskBody} refuses calls that ask for a stream. */
public abstract class WholeFormat implements AnswerFormat {
    @Override
    public final String streamType() {
        throw notStreamed();
    }

    @Override
    public final String begin(Answer.Head head) {
        throw notStreamed();
    }

    @Override
    public final String piece(Answer.Head head, List<TokenEvent> deltas) {
        throw notStreamed();
    }

    @Override
    public final String end(Answer answer) {
        throw notStreamed();
    }

    @Override
    public final String broken(JobFailure failure) {
        throw notStreamed();
    }

    @Override
    public byte[] error(JobFailure failure) {
        return Json.bytes(ErrorDocument.of(failure));
    }

    private static IllegalStateException notStreamed() {
        return new IllegalStateException("this API streams no answer");
    }
}
