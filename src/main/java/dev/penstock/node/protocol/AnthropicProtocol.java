package dev.penstock.node.protocol;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.JobFailure;
import dev.penstock.job.Task;
import dev.penstock.node.protocol.answer.AnswerParser;
import dev.penstock.node.protocol.answer.AnthropicStream;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** The protocol of Anthropic's messages API. */
final class AnthropicProtocol implements WireProtocol {

    @Override
    public Request request(Prompt prompt) throws Unsupported {
        if (!prompt.task().answersInText()) {
            throw new Unsupported(JobFailure.of(
                    JobFailure.Code.MODEL_NOT_FOUND,
                    "anthropic has no %s: name another node"
                            .formatted(prompt.task().wireName())));
        }
        return AnthropicRequest.of(prompt).to("/v1/messages");
    }

    @Override
    public Optional<Request> count(Prompt prompt) throws Unsupported {
        return Optional.of(AnthropicRequest.count(prompt));
    }

    /**
     * The messages API continues a last message of the assistant, and sends only the rest. It refuses a last message that
     * ends with white space, and it has no continuation with thinking (Anthropic's documentation, "Prefill Claude's
     * response"). Models from Claude 4.6 on refuse the request ("Prefill removal" in "What's new in Claude 4.6"). Then
     * the job starts over.
     */
    @Override
    public Continues continues(Prompt prompt, String text) {
        boolean thinks = prompt.asked().get("thinking") instanceof Map<?, ?>
                || prompt.defaults().get("thinking") instanceof Map<?, ?>;
        boolean isText = prompt.task().answersInText() && prompt.task() != Task.TAG;
        return !isText || thinks || Character.isWhitespace(text.charAt(text.length() - 1))
                ? Continues.CANNOT
                : Continues.SENDS_THE_REST;
    }

    @Override
    public AnswerParser parser(Prompt prompt) {
        return new AnthropicStream();
    }

    @Override
    public String modelsPath() {
        return "/v1/models?limit=1000";
    }

    @Override
    public List<Model> models(JsonNode listed, List<@Nullable JsonNode> further) {
        List<Model> models = new ArrayList<>();
        for (JsonNode model : listed.path("data")) {
            JsonNode context = model.path("max_input_tokens");
            models.add(new Model(model.path("id").asText(), true, context.isNumber() ? context.longValue() : null));
        }
        return models;
    }

    @Override
    public Map<String, String> headers(@Nullable String key) {
        Map<String, String> headers = new LinkedHashMap<>();
        headers.put("anthropic-version", "2023-06-01");
        if (key != null) {
            headers.put("x-api-key", key);
        }
        return headers;
    }
}
