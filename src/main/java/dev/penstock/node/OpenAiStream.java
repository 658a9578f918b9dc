package dev.penstock.node;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.NullNode;
import dev.penstock.job.JobFailure;
import dev.penstock.job.TokenEvent;
import dev.penstock.job.Usage;
import dev.penstock.wire.Json;
import java.util.HashSet;
import java.util.Set;
import java.util.function.Consumer;

/**
 * An answer is finished only with a finish_reason for each choice and then {@code [DONE]}, without an error event:
 * vLLM sends {@code [DONE]} after an error too, and finish_reason abort when it was killed.
 */
final class OpenAiStream implements WireProtocol.AnswerParser {
    private final boolean chat;
    private final int choices;
    private final Set<Integer> finished = new HashSet<>();
    private final Set<Integer> spoken = new HashSet<>();
    private final SaidModel model = new SaidModel();
    private boolean over;

    /** @param chat whether the deltas are a message's, and not a text's */
    OpenAiStream(boolean chat, int choices) {
        this.chat = chat;
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
        if (chunk instanceof NullNode) {
            // how llama-server begins a stream of several prompts
            return;
        }
        if (chunk == null || !chunk.isObject()) {
            stop(events, JobFailure.Code.STREAM_BROKEN, "sent what is no JSON object: " + ServerErrors.shorten(data));
        } else if (chunk.hasNonNull("error")) {
            stop(events, ServerErrors.midStream(chunk), "failed in mid-stream: " + ServerErrors.message(chunk));
        } else {
            chunk(chunk, events);
        }
    }

    private void chunk(JsonNode chunk, Consumer<TokenEvent> events) {
        model.tell(chunk.path("model"), events);
        for (JsonNode choice : chunk.path("choices")) {
            int index = choice.path("index").asInt(0);
            if (chat) {
                delta(index, choice.path("delta"), events);
            } else {
                text(index, TokenEvent.Field.CONTENT, choice.path("text"), events);
            }
            if (choice.hasNonNull("logprobs")) {
                JsonNode logprobs = choice.get("logprobs");
                events.accept(new TokenEvent.Logprobs(index, chat ? logprobs : Logprobs.inChatForm(logprobs)));
            }
            JsonNode reason = choice.path("finish_reason");
            if (reason.isTextual()) {
                String whole = FinishReasons.openAi(reason.textValue());
                if (whole == null) {
                    stop(
                            events,
                            JobFailure.Code.NODE_ERROR,
                            "did not finish the answer: finish_reason " + ServerErrors.shorten(reason.textValue()));
                    return;
                }
                finished.add(index);
                events.accept(new TokenEvent.Finish(index, whole));
            }
        }
        JsonNode usage = chunk.path("usage");
        if (usage.isObject()) {
            events.accept(new TokenEvent.Spent(new Usage(
                    usage.path("prompt_tokens").asLong(),
                    usage.path("completion_tokens").asLong(),
                    usage.path("prompt_tokens_details").path("cached_tokens").asLong(),
                    usage.path("completion_tokens_details")
                            .path("reasoning_tokens")
                            .asLong())));
        }
    }

    private void delta(int index, JsonNode delta, Consumer<TokenEvent> events) {
        if (delta.path("role").isTextual() && spoken.add(index)) {
            events.accept(new TokenEvent.Role(index, delta.path("role").textValue()));
        }
        text(index, TokenEvent.Field.CONTENT, delta.path("content"), events);
        // vLLM 0.32 and Ollama say reasoning; llama-server and older vLLM reasoning_content; some the same in both
        JsonNode reasoning = delta.path("reasoning");
        boolean said = reasoning.isTextual() && !reasoning.textValue().isEmpty();
        text(index, TokenEvent.Field.REASONING, said ? reasoning : delta.path("reasoning_content"), events);
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
