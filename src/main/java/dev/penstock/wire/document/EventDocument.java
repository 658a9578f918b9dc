package dev.penstock.wire.document;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.job.Answer;
import dev.penstock.job.EventMark;
import dev.penstock.job.JobEvent;
import dev.penstock.job.JobFailure;
import dev.penstock.job.JobId;
import dev.penstock.job.PublishedText;
import dev.penstock.job.RecordPlace;
import dev.penstock.job.TokenEvent;
import dev.penstock.job.Usage;
import dev.penstock.wire.Json;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.apache.kafka.common.utils.Bytes;
import org.jspecify.annotations.Nullable;

/** The value of an event: an OpenAI object with the additional field {@code job}. */
public final class EventDocument {
    private EventDocument() {}

    public static byte[] write(JobId id, EventMark mark, JobEvent event) {
        return document(json -> {
            json.writeObjectFieldStart("job");
            json.writeStringField("id", id.value());
            json.writeStringField("event", mark.kind().wireName());
            json.writeNumberField("seq", mark.seq());
            json.writeNumberField("attempt", mark.attempt());
            json.writeStringField("run", mark.run());
            writeBody(json, event);
        });
    }

    /** Returns a whole answer as OpenAI's own document, without the fields of a job. */
    public static byte[] answer(Answer answer) {
        return document(json -> writeAnswer(json, answer));
    }

    /** Returns a piece of an answer as OpenAI's own document, without the fields of a job. */
    public static byte[] chunk(Answer.Head head, List<TokenEvent> deltas) {
        return document(json -> writeChunk(json, new JobEvent.Chunk(head, deltas)));
    }

    /** Returns OpenAI's last piece of an answer, which has the usage and no choices. */
    public static byte[] usageChunk(Answer.Head head, Usage usage) {
        return document(json -> {
            writeChunk(json, new JobEvent.Chunk(head, List.of()));
            writeUsage(json, "usage", usage);
        });
    }

    /** Writes the fields of a document. */
    interface Fields {
        void write(JsonGenerator json) throws IOException;
    }

    static byte[] document(Fields fields) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream(512);
        try (JsonGenerator json = Json.mapper().createGenerator(bytes)) {
            json.writeStartObject();
            fields.write(json);
            json.writeEndObject();
        } catch (IOException e) {
            throw new UncheckedIOException("writing to memory does not fail", e);
        }
        return bytes.toByteArray();
    }

    /** An event that is published once more. */
    public record Replay(long seq, Bytes value) {}

    /** Returns the same event, with {@code "replayed": true}. */
    public static Replay replay(String event) {
        JsonNode document = Json.parseVectors(event);
        if (!(document instanceof ObjectNode root) || !(root.get("job") instanceof ObjectNode job)) {
            throw new IllegalArgumentException("no event");
        }
        job.put("replayed", true);
        return new Replay(job.path("seq").asLong(), Bytes.wrap(Json.bytes(root)));
    }

    /** Returns the number of an event within its attempt. */
    public static long seq(String event) {
        LargeObject document = LargeObject.of(event);
        return document == null ? 0 : document.path("job").path("seq").asLong();
    }

    /** Returns the failure in an event; empty if it has none. */
    public static Optional<JobFailure> failure(byte[] value) {
        JsonNode event = Json.parseLenient(new String(value, StandardCharsets.UTF_8));
        JsonNode error = event == null ? null : event.get("error");
        if (error == null || !error.isObject()) {
            return Optional.empty();
        }
        String code = error.path("code").asText();
        return Arrays.stream(JobFailure.Code.values())
                .filter(known -> known.wireName().equals(code))
                .findFirst()
                .map(known -> new JobFailure(
                        known,
                        error.path("message").asText(),
                        error.path("param").asText(null),
                        error.path("node").asText(null)));
    }

    /** Returns the place of the record that a {@code rejected} event reports; null if the value has none. */
    public static @Nullable RecordPlace rejectedPlace(byte @Nullable [] value) {
        JsonNode event = value == null ? null : Json.parseLenient(new String(value, StandardCharsets.UTF_8));
        JsonNode place = event == null ? null : event.path("job").get("record");
        return place == null
                ? null
                : new RecordPlace(
                        place.path("topic").asText(),
                        place.path("partition").asInt(),
                        place.path("offset").asLong());
    }

    /** Closes the object {@code job}, and writes the other fields of the event. */
    private static void writeBody(JsonGenerator json, JobEvent event) throws IOException {
        switch (event) {
            case JobEvent.Started started -> {
                json.writeStringField("node", started.node());
                json.writeStringField("backend", started.backend());
                json.writeStringField("model", started.model());
                json.writeStringField("at", started.at().toString());
                writePlace(json, started.record());
                if (started.resumedFrom() != null) {
                    json.writeObjectFieldStart("resumed_from");
                    json.writeNumberField("attempt", started.resumedFrom().attempt());
                    json.writeNumberField("seq", started.resumedFrom().seq());
                    json.writeEndObject();
                }
                json.writeEndObject();
                writeMetadata(json, started.metadata());
            }
            case JobEvent.Chunk chunk -> {
                json.writeEndObject();
                writeChunk(json, chunk);
            }
            case JobEvent.Completed completed -> {
                writeExecution(json, completed.execution());
                if (completed.truncated()) {
                    json.writeBooleanField("truncated", true);
                }
                json.writeEndObject();
                writeAnswer(json, completed.answer());
                writeMetadata(json, completed.metadata());
            }
            case JobEvent.Failed failed -> {
                writeExecution(json, failed.execution());
                json.writeEndObject();
                ErrorDocument.writeField(json, failed.failure());
                writeMetadata(json, failed.metadata());
            }
            case JobEvent.Cancelled cancelled -> {
                writeExecution(json, cancelled.execution());
                json.writeEndObject();
                writeMetadata(json, cancelled.metadata());
            }
            case JobEvent.Expired expired -> {
                writeExecution(json, expired.execution());
                json.writeEndObject();
                if (expired.early() != null) {
                    ErrorDocument.writeField(json, expired.early());
                }
                writeMetadata(json, expired.metadata());
            }
            case JobEvent.Rejected rejected -> {
                writePlace(json, rejected.record());
                RecordPlace letter = rejected.deadLetter();
                json.writeStringField("dead_letter", letter.partition() + "-" + letter.offset());
                json.writeEndObject();
                ErrorDocument.writeField(json, rejected.failure());
            }
        }
    }

    private static void writeChunk(JsonGenerator json, JobEvent.Chunk chunk) throws IOException {
        boolean chat = chunk.head().task().answersInChat();
        writeHead(json, chunk.head(), chat ? "chat.completion.chunk" : "text_completion");
        DeltaDocument.writeChoices(json, chunk, chat);
    }

    private static void writePlace(JsonGenerator json, RecordPlace place) throws IOException {
        json.writeObjectFieldStart("record");
        json.writeStringField("topic", place.topic());
        json.writeNumberField("partition", place.partition());
        json.writeNumberField("offset", place.offset());
        json.writeEndObject();
    }

    static void writeExecution(JsonGenerator json, JobEvent.@Nullable Execution execution) throws IOException {
        if (execution == null) {
            return;
        }
        json.writeStringField("node", execution.node());
        json.writeStringField("backend", execution.backend());
        json.writeStringField("model", execution.model());
        json.writeNumberField("queued_ms", execution.queuedMillis());
        if (execution.firstTokenMillis() != null) {
            json.writeNumberField("first_token_ms", execution.firstTokenMillis());
        }
        json.writeNumberField("total_ms", execution.totalMillis());
        json.writeNumberField("attempts", execution.attempts());
        if (!execution.ignoredParameters().isEmpty()) {
            json.writePOJOField("ignored_parameters", execution.ignoredParameters());
        }
        if (!execution.segments().isEmpty()) {
            json.writeArrayFieldStart("segments");
            for (PublishedText.Segment segment : execution.segments()) {
                json.writeStartObject();
                json.writeStringField("node", segment.node());
                json.writeStringField("model", segment.model());
                json.writeNumberField("attempt", segment.attempt());
                json.writeNumberField("from_seq", segment.fromSeq());
                json.writeNumberField("completion_tokens", segment.completionTokens());
                json.writeEndObject();
            }
            json.writeEndArray();
        }
        if (execution.droppedTurns() > 0) {
            json.writeNumberField("dropped_turns", execution.droppedTurns());
        }
        if (execution.usageAllAttempts() != null) {
            writeUsage(json, "usage_all_attempts", execution.usageAllAttempts());
        }
    }

    private static void writeMetadata(JsonGenerator json, Map<String, String> metadata) throws IOException {
        if (!metadata.isEmpty()) {
            json.writePOJOField("metadata", metadata);
        }
    }

    private static void writeHead(JsonGenerator json, Answer.Head head, String object) throws IOException {
        json.writeStringField("id", head.id());
        json.writeStringField("object", object);
        json.writeNumberField("created", head.created());
        json.writeStringField("model", head.model());
    }

    private static void writeAnswer(JsonGenerator json, Answer answer) throws IOException {
        switch (answer.head().task()) {
            case EMBEDDINGS -> writeEmbeddings(json, answer);
            case RERANK, SCORE -> ScoreDocument.write(json, answer);
            case CHAT, COMPLETION, DESCRIBE, TAG -> {
                writeChoices(json, answer);
                // in addition to the message with the same text
                SeenDocument.write(json, answer);
            }
        }
        writeUsage(json, "usage", answer.usage());
    }

    static void writeUsage(JsonGenerator json, String field, Usage usage) throws IOException {
        json.writeObjectFieldStart(field);
        json.writeNumberField("prompt_tokens", usage.promptTokens());
        json.writeNumberField("completion_tokens", usage.completionTokens());
        json.writeNumberField("total_tokens", usage.totalTokens());
        if (usage.cachedTokens() > 0) {
            json.writeObjectFieldStart("prompt_tokens_details");
            json.writeNumberField("cached_tokens", usage.cachedTokens());
            json.writeEndObject();
        }
        if (usage.reasoningTokens() > 0) {
            json.writeObjectFieldStart("completion_tokens_details");
            json.writeNumberField("reasoning_tokens", usage.reasoningTokens());
            json.writeEndObject();
        }
        json.writeEndObject();
    }

    private static void writeEmbeddings(JsonGenerator json, Answer answer) throws IOException {
        json.writeStringField("object", "list");
        json.writeStringField("model", answer.head().model());
        json.writeArrayFieldStart("data");
        for (int i = 0; i < answer.embeddings().size(); i++) {
            json.writeStartObject();
            json.writeStringField("object", "embedding");
            json.writeNumberField("index", i);
            json.writePOJOField("embedding", answer.embeddings().get(i));
            json.writeEndObject();
        }
        json.writeEndArray();
    }

    private static void writeChoices(JsonGenerator json, Answer answer) throws IOException {
        boolean chat = answer.head().task().answersInChat();
        writeHead(json, answer.head(), chat ? "chat.completion" : "text_completion");
        json.writeArrayFieldStart("choices");
        for (Answer.Choice choice : answer.choices()) {
            json.writeStartObject();
            json.writeNumberField("index", choice.index());
            if (chat) {
                writeMessage(json, choice);
            } else {
                json.writeStringField("text", choice.text().getOrDefault(TokenEvent.Field.CONTENT, ""));
            }
            DeltaDocument.writeLogprobs(json, choice.logprobs());
            json.writeStringField("finish_reason", choice.finishReason());
            json.writeEndObject();
        }
        json.writeEndArray();
    }

    private static void writeMessage(JsonGenerator json, Answer.Choice choice) throws IOException {
        json.writeObjectFieldStart("message");
        json.writeStringField("role", choice.role());
        String content = choice.text().get(TokenEvent.Field.CONTENT);
        boolean onlyCalls = content == null && !choice.toolCalls().isEmpty();
        json.writeStringField("content", onlyCalls ? null : content == null ? "" : content);
        for (Map.Entry<TokenEvent.Field, String> text : choice.text().entrySet()) {
            if (text.getKey() != TokenEvent.Field.CONTENT) {
                json.writeStringField(text.getKey().wireName(), text.getValue());
            }
        }
        if (!choice.toolCalls().isEmpty()) {
            json.writeArrayFieldStart("tool_calls");
            for (Answer.ToolCall call : choice.toolCalls()) {
                json.writeStartObject();
                json.writeStringField("id", call.id());
                json.writeStringField("type", "function");
                json.writeObjectFieldStart("function");
                json.writeStringField("name", call.name());
                json.writeStringField("arguments", call.arguments());
                json.writeEndObject();
                json.writeEndObject();
            }
            json.writeEndArray();
        }
        DeltaDocument.writeThinking(json, choice.thinking());
        json.writeEndObject();
    }
}
