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
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * OpenAI's chat completions and completions, streamed as server-sent events: OpenAI, vLLM (0.32.0), llama-server
 * (llama.cpp 0.7.0), LM Studio and whatever else speaks it.
 */
final class OpenAiProtocol implements WireProtocol {

    @Override
    public Request request(PromptJob job, String model) throws Unsupported {
        Map<String, Object> body = new LinkedHashMap<>(job.body());
        body.put("model", model);
        body.put("stream", true);
        body.put("stream_options", Map.of("include_usage", true));
        return switch (job.task()) {
            case CHAT -> new Request("/v1/chat/completions", Buffer.buffer(Json.bytes(body)));
            case COMPLETION -> {
                Object system = body.remove("system");
                if (system != null) {
                    body.compute("prompt", (_, prompt) -> system + "\n\n" + prompt);
                }
                yield new Request("/v1/completions", Buffer.buffer(Json.bytes(body)));
            }
            case EMBEDDINGS -> throw new Unsupported("input", "embeddings are not available in this version");
            case DESCRIBE, TAG -> throw new Unsupported("images", "vision is not available in this version");
        };
    }

    @Override
    public LineParser parser(PromptJob job) {
        int choices = job.body().get("n") instanceof Number n ? Math.max(1, n.intValue()) : 1;
        return new Parser(job.task(), choices);
    }

    @Override
    public String modelsPath() {
        return "/v1/models";
    }

    @Override
    public List<String> furtherPaths() {
        return List.of();
    }

    @Override
    public List<Model> models(JsonNode listed, List<@Nullable JsonNode> further) {
        List<Model> models = new ArrayList<>();
        for (JsonNode model : listed.path("data")) {
            // vLLM says max_model_len, llama-server meta.n_ctx
            JsonNode context = model.has("max_model_len")
                    ? model.get("max_model_len")
                    : model.path("meta").path("n_ctx");
            models.add(new Model(model.path("id").asText(), true, context.isNumber() ? context.longValue() : null));
        }
        return models;
    }

    /**
     * An answer is finished only with a finish_reason for each choice and then {@code [DONE]}, without an error event:
     * vLLM sends {@code [DONE]} after an error too, and finish_reason abort when it was killed.
     */
    private static final class Parser implements LineParser {
        private final Task task;
        private final int choices;
        private final Set<Integer> finished = new HashSet<>();
        private boolean over;

        Parser(Task task, int choices) {
            this.task = task;
            this.choices = choices;
        }

        @Override
        public void line(String line, Consumer<TokenEvent> events) {
            if (over || !line.startsWith("data:")) {
                return;
            }
            String data = line.substring(5).strip();
            if (data.equals("[DONE]")) {
                over = true;
                events.accept(
                        finished.size() >= choices
                                ? new TokenEvent.End()
                                : broken(JobFailure.Code.STREAM_BROKEN, "ended its stream without a finish_reason"));
                return;
            }
            JsonNode chunk = Json.parseLenient(data);
            if (chunk == null || !chunk.isObject()) {
                stop(
                        events,
                        JobFailure.Code.STREAM_BROKEN,
                        "sent what is no JSON object: " + ServerErrors.shorten(data));
            } else if (chunk.hasNonNull("error")) {
                stop(events, JobFailure.Code.NODE_ERROR, "failed in mid-stream: " + ServerErrors.message(chunk));
            } else {
                chunk(chunk, events);
            }
        }

        private void chunk(JsonNode chunk, Consumer<TokenEvent> events) {
            for (JsonNode choice : chunk.path("choices")) {
                int index = choice.path("index").asInt(0);
                if (task == Task.CHAT) {
                    delta(index, choice.path("delta"), events);
                } else {
                    text(index, TokenEvent.Field.CONTENT, choice.path("text"), events);
                }
                if (choice.hasNonNull("logprobs")) {
                    events.accept(new TokenEvent.Logprobs(index, choice.get("logprobs")));
                }
                JsonNode reason = choice.path("finish_reason");
                if (reason.isTextual() && reason.textValue().equals("abort")) {
                    stop(events, JobFailure.Code.NODE_ERROR, "aborted the request");
                    return;
                }
                if (reason.isTextual()) {
                    finished.add(index);
                    events.accept(new TokenEvent.Finish(index, reason.textValue()));
                }
            }
            JsonNode usage = chunk.path("usage");
            if (usage.isObject()) {
                events.accept(new TokenEvent.Spent(new Usage(
                        usage.path("prompt_tokens").asLong(),
                        usage.path("completion_tokens").asLong())));
            }
        }

        private static void delta(int index, JsonNode delta, Consumer<TokenEvent> events) {
            text(index, TokenEvent.Field.CONTENT, delta.path("content"), events);
            // vLLM 0.32 and Ollama say reasoning; llama-server and older vLLM reasoning_content
            text(index, TokenEvent.Field.REASONING, delta.path("reasoning"), events);
            text(index, TokenEvent.Field.REASONING, delta.path("reasoning_content"), events);
            text(index, TokenEvent.Field.REFUSAL, delta.path("refusal"), events);
            for (JsonNode call : delta.path("tool_calls")) {
                JsonNode function = call.path("function");
                events.accept(new TokenEvent.ToolCall(
                        index,
                        call.path("index").asInt(0),
                        call.path("id").textValue(),
                        function.path("name").textValue(),
                        function.path("arguments").asText("")));
            }
        }

        private static void text(int index, TokenEvent.Field field, JsonNode text, Consumer<TokenEvent> events) {
            if (text.isTextual() && !text.textValue().isEmpty()) {
                events.accept(new TokenEvent.Text(index, field, text.textValue()));
            }
        }

        private void stop(Consumer<TokenEvent> events, JobFailure.Code code, String message) {
            over = true;
            events.accept(broken(code, message));
        }

        private static TokenEvent broken(JobFailure.Code code, String message) {
            return new TokenEvent.Broken(JobFailure.of(code, message));
        }
    }
}
