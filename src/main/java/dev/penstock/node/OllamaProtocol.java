package dev.penstock.node;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.JobFailure;
import dev.penstock.job.PromptJob;
import dev.penstock.job.Task;
import dev.penstock.job.TokenEvent;
import dev.penstock.job.Usage;
import dev.penstock.wire.Json;
import io.vertx.core.buffer.Buffer;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** Ollama's own API (measured: 0.33.0), streamed as NDJSON: /api/chat and /api/generate. */
final class OllamaProtocol implements WireProtocol {

    @Override
    public Request request(PromptJob job, String model) throws Unsupported {
        return switch (job.task()) {
            case CHAT -> new Request("/api/chat", Buffer.buffer(Json.bytes(OllamaRequest.chat(job.body(), model))));
            case COMPLETION ->
                new Request("/api/generate", Buffer.buffer(Json.bytes(OllamaRequest.generate(job.body(), model))));
            case EMBEDDINGS -> throw new Unsupported("input", "embeddings are not available in this version");
            case DESCRIBE, TAG -> throw new Unsupported("images", "vision is not available in this version");
        };
    }

    @Override
    public LineParser parser(PromptJob job) {
        return new Parser(job.task());
    }

    @Override
    public String modelsPath() {
        return "/api/tags";
    }

    @Override
    public List<String> furtherPaths() {
        return List.of("/api/ps");
    }

    @Override
    public List<Model> models(JsonNode listed, List<@Nullable JsonNode> further) {
        Set<String> loaded = new HashSet<>();
        JsonNode running = further.getFirst();
        if (running != null) {
            running.path("models")
                    .forEach(model -> loaded.add(model.path("name").asText()));
        }
        List<Model> models = new ArrayList<>();
        for (JsonNode model : listed.path("models")) {
            String name = model.path("name").asText();
            JsonNode context = model.path("details").path("context_length");
            models.add(new Model(name, loaded.contains(name), context.isNumber() ? context.longValue() : null));
        }
        return models;
    }

    /** Only {@code "done":true} with a done_reason means complete; a stream may end cleanly without it. */
    private static final class Parser implements LineParser {
        private final Task task;
        private int toolCalls;
        private boolean over;

        Parser(Task task) {
            this.task = task;
        }

        @Override
        public void line(String line, Consumer<TokenEvent> events) {
            if (over) {
                return;
            }
            JsonNode chunk = Json.parseLenient(line);
            if (chunk == null || !chunk.isObject()) {
                stop(
                        events,
                        JobFailure.Code.STREAM_BROKEN,
                        "sent what is no JSON object: " + ServerErrors.shorten(line));
                return;
            }
            if (chunk.hasNonNull("error")) {
                stop(events, JobFailure.Code.NODE_ERROR, "failed in mid-stream: " + ServerErrors.message(chunk));
                return;
            }
            JsonNode message = task == Task.CHAT ? chunk.path("message") : chunk;
            text(TokenEvent.Field.CONTENT, message.path(task == Task.CHAT ? "content" : "response"), events);
            text(TokenEvent.Field.REASONING, message.path("thinking"), events);
            for (JsonNode call : message.path("tool_calls")) {
                JsonNode function = call.path("function");
                events.accept(new TokenEvent.ToolCall(
                        0,
                        toolCalls,
                        call.path("id").asText("call_" + toolCalls),
                        function.path("name").asText(),
                        function.path("arguments").toString()));
                toolCalls++;
            }
            if (chunk.path("logprobs").isArray() && !chunk.path("logprobs").isEmpty()) {
                events.accept(new TokenEvent.Logprobs(0, Map.of("content", chunk.get("logprobs"))));
            }
            if (chunk.path("done").asBoolean(false)) {
                done(chunk, events);
            }
        }

        private void done(JsonNode chunk, Consumer<TokenEvent> events) {
            String reason = chunk.path("done_reason").asText("");
            if (reason.isEmpty()) {
                stop(events, JobFailure.Code.STREAM_BROKEN, "aborted its stream: done without a done_reason");
                return;
            }
            over = true;
            boolean calls = toolCalls > 0 && reason.equals("stop");
            events.accept(new TokenEvent.Spent(new Usage(
                    chunk.path("prompt_eval_count").asLong(),
                    chunk.path("eval_count").asLong())));
            events.accept(new TokenEvent.Finish(0, calls ? "tool_calls" : reason));
            events.accept(new TokenEvent.End());
        }

        private static void text(TokenEvent.Field field, JsonNode text, Consumer<TokenEvent> events) {
            if (text.isTextual() && !text.textValue().isEmpty()) {
                events.accept(new TokenEvent.Text(0, field, text.textValue()));
            }
        }

        private void stop(Consumer<TokenEvent> events, JobFailure.Code code, String message) {
            over = true;
            events.accept(new TokenEvent.Broken(JobFailure.of(code, message)));
        }
    }
}
