package dev.penstock.api.rerank;

import dev.penstock.api.direct.WholeFormat;
import dev.penstock.job.Answer;
import dev.penstock.wire.document.ScoreDocument;

/** Writes a ranking or scores in the form of vLLM's endpoints. */
final class ScoreFormat extends WholeFormat {
    @Override
    public byte[] whole(Answer answer) {
        return ScoreDocument.of(answer);
    }
}
