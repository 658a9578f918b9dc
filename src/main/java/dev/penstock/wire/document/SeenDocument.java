package dev.penstock.wire.document;

import com.fasterxml.jackson.core.JsonGenerator;
import dev.penstock.job.Answer;
import dev.penstock.job.TokenEvent;
import dev.penstock.wire.Json;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** Writes what a model sees in images: a description, or tags. */
public final class SeenDocument {
    private SeenDocument() {}

    /**
     * Returns the answer of {@code POST /v1/describe} or {@code POST /v1/tag}, as UTF-8 JSON.
     *
     * @param node the node that gave the answer; null leaves it out
     */
    public static byte[] of(Answer answer, @Nullable String node) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream(512);
        try (JsonGenerator json = Json.mapper().createGenerator(bytes)) {
            json.writeStartObject();
            write(json, answer);
            json.writeStringField("model", answer.head().model());
            if (node != null) {
                json.writeStringField("node", node);
            }
            EventDocument.writeUsage(json, "usage", answer.usage());
            json.writeEndObject();
        } catch (IOException e) {
            throw new UncheckedIOException("writing to memory does not fail", e);
        }
        return bytes.toByteArray();
    }

    /** Writes the field with the description or the tags; no field for any other task, and none without tags. */
    static void write(JsonGenerator json, Answer answer) throws IOException {
        switch (answer.head().task()) {
            case DESCRIBE ->
                json.writeStringField("description", content(answer).strip());
            case TAG -> {
                Optional<List<String>> tags = TagList.of(content(answer));
                if (tags.isPresent()) {
                    json.writePOJOField("tags", tags.get());
                }
            }
            case CHAT, COMPLETION, EMBEDDINGS, RERANK, SCORE -> {}
        }
    }

    private static String content(Answer answer) {
        return answer.choices().getFirst().text().getOrDefault(TokenEvent.Field.CONTENT, "");
    }
}
