package dev.penstock.wire.document;

import com.fasterxml.jackson.core.JsonGenerator;
import dev.penstock.job.Answer;
import dev.penstock.job.Task;
import dev.penstock.wire.Json;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;

/** Writes the answer to a ranking as {@code POST /v1/rerank} has it, or to a score as {@code POST /v1/score} has it. */
public final class ScoreDocument {
    private ScoreDocument() {}

    /** Returns the whole document of a ranking or of scores, as UTF-8 JSON. */
    public static byte[] of(Answer answer) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream(512);
        try (JsonGenerator json = Json.mapper().createGenerator(bytes)) {
            json.writeStartObject();
            write(json, answer);
            EventDocument.writeUsage(json, "usage", answer.usage());
            json.writeEndObject();
        } catch (IOException e) {
            throw new UncheckedIOException("writing to memory does not fail", e);
        }
        return bytes.toByteArray();
    }

    /** Writes all fields except for the usage. */
    static void write(JsonGenerator json, Answer answer) throws IOException {
        boolean ranking = answer.head().task() == Task.RERANK;
        json.writeStringField("id", answer.head().id());
        if (!ranking) {
            json.writeStringField("object", "list");
            json.writeNumberField("created", answer.head().created());
        }
        json.writeStringField("model", answer.head().model());
        json.writeArrayFieldStart(ranking ? "results" : "data");
        for (Answer.Score score : answer.scores()) {
            json.writeStartObject();
            json.writeNumberField("index", score.index());
            if (!ranking) {
                json.writeStringField("object", "score");
            }
            if (score.document() != null) {
                json.writeObjectFieldStart("document");
                json.writeStringField("text", score.document());
                json.writeEndObject();
            }
            json.writeNumberField(ranking ? "relevance_score" : "score", score.value());
            json.writeEndObject();
        }
        json.writeEndArray();
    }
}
