package dev.penstock.node.protocol.answer;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.MissingNode;
import dev.penstock.job.JobFailure;
import dev.penstock.job.TokenEvent;
import dev.penstock.job.Usage;
import dev.penstock.wire.Json;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;

/**
 * Parses OpenAI's stream. An answer is complete if each choice has a finish_reason, {@code [DONE]} or a clean end of
 * the body follows, and no event reports an error. {@code [DONE]} alone is not enough, because vLLM sends it after an
 * error too. When vLLM is killed, it sends the finish_reason abort.
 */
public final class OpenAiStream implements AnswerParser {
    /** The fields of a chunk that this parser reads, and the fields without text of the answer. */
    private static final Set<String> OF_CHUNK = Set.of(
            "choices",
            "error",
            "prompt_text",
            "kv_transfer_params",
            "ec_transfer_params",
            "prompt_filter_results",
            "obfuscation",
            "time_info",
            "x_groq",
            "nvext",
            "stats",
            "model_info",
            "runtime",
            "warning",
            "warnings",
            "event");

    /** The names of the field with the answer in other APIs. */
    private static final Set<String> OF_ANSWERS = Set.of(
            "content", "text", "response", "message", "delta", "output", "output_text", "generated_text", "completion");

    /** The number of choices that are always read, because some servers number their choices differently. */
    private static final int FEW = 16;

    private final boolean chat;
    private final int choices;
    private final Map<Integer, OpenAiChoice> byIndex = new HashMap<>();
    private final Set<Integer> finished = new HashSet<>();
    private final ReportedModel model = new ReportedModel();
    private boolean over;

    /** @param chat whether the answer is a chat message, and not a completion's text */
    public OpenAiStream(boolean chat, int choices) {
        this.chat = chat;
        this.choices = choices;
    }

    @Override
    public Cutter cutter(int longest, Consumer<TokenEvent> events) {
        return new EventSplitter(longest, value -> line(value, events), words -> failed(words, events));
    }

    /** Parses the data of an event. */
    @Override
    public void line(String data, Consumer<TokenEvent> events) {
        // llama-server begins an answer to several prompts with null
        if (over || data.isBlank() || data.equals("null")) {
            return;
        }
        if (data.equals("[DONE]")) {
            end(events);
            return;
        }
        JsonNode value = Json.parseLenient(data);
        if (value != null && value.isArray()) {
            value.forEach(chunk -> take(chunk, data, events));
        } else {
            take(value == null ? MissingNode.getInstance() : value, data, events);
        }
    }

    private void take(JsonNode chunk, String data, Consumer<TokenEvent> events) {
        if (over) {
            return;
        }
        if (!chunk.isObject()) {
            stop(events, JobFailure.Code.STREAM_BROKEN, "sent what is no JSON object: " + ServerErrors.shorten(data));
        } else if (ServerErrors.isError(chunk)) {
            stop(events, ServerErrors.midStream(chunk), ServerErrors.failing(chunk, !byIndex.isEmpty()));
        } else {
            try {
                chunk(chunk, events);
            } catch (UnreadText e) {
                stop(events, JobFailure.Code.NODE_ERROR, "sent text in a field that is not known: " + e.what());
            }
        }
    }

    private void chunk(JsonNode chunk, Consumer<TokenEvent> events) throws UnreadText {
        if (!chunk.path("choices").isArray()) {
            UnreadText.check("", chunk, OF_CHUNK);
        }
        for (Map.Entry<String, JsonNode> field : chunk.properties()) {
            JsonNode value = field.getValue();
            if (value.isTextual() && !value.textValue().isEmpty() && OF_ANSWERS.contains(field.getKey())) {
                throw new UnreadText(field.getKey());
            }
        }
        model.report(chunk.path("model"), events);
        int at = 0;
        for (JsonNode choice : chunk.path("choices")) {
            JsonNode given = choice.path("index");
            int index = given.isNumber() || given.isTextual() ? given.asInt(at) : at;
            at++;
            if (index < 0 || index >= Math.max(choices, FEW) || (given.isNumber() && !given.canConvertToInt())) {
                stop(
                        events,
                        JobFailure.Code.NODE_ERROR,
                        "sent a choice that the request did not ask for: its index is "
                                + ServerErrors.shorten(given.isMissingNode() ? String.valueOf(at) : given.asText()));
                return;
            }
            if (!choice.isObject()) {
                throw new UnreadText("choices[%d]".formatted(index));
            }
            OpenAiChoice one = byIndex.computeIfAbsent(index, number -> new OpenAiChoice(number, identity(chunk)));
            one.read(choice, chat, events);
            String reason = OpenAiChoice.finishReason(choice);
            String whole = reason.isEmpty() ? "" : FinishReasons.openAi(reason);
            if (whole == null) {
                stop(
                        events,
                        JobFailure.Code.NODE_ERROR,
                        "did not finish the answer: finish_reason " + ServerErrors.shorten(reason));
                return;
            }
            if (!whole.isEmpty()) {
                finished.add(index);
                one.finish(whole, OpenAiChoice.stopSequence(choice, whole), events);
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

    private static String identity(JsonNode chunk) {
        return chunk.path("id").asText("") + " " + chunk.path("created").asText("");
    }

    /** Handles the end of the body. A clean end has the same effect as {@code [DONE]}. */
    @Override
    public void end(Consumer<TokenEvent> events) {
        if (over) {
            return;
        }
        if (finished.size() >= choices) {
            over = true;
            events.accept(new TokenEvent.End());
        } else if (finished.isEmpty()) {
            stop(events, JobFailure.Code.STREAM_BROKEN, "ended its stream without a finish_reason");
        } else {
            stop(
                    events,
                    JobFailure.Code.STREAM_BROKEN,
                    "ended its stream with %d of %d choices".formatted(finished.size(), choices));
        }
    }

    @Override
    public void failed(String words, Consumer<TokenEvent> events) {
        if (!over) {
            over = true;
            AnswerParser.super.failed(words, events);
        }
    }

    private void stop(Consumer<TokenEvent> events, JobFailure.Code code, String message) {
        over = true;
        events.accept(new TokenEvent.Broken(JobFailure.of(code, message)));
    }
}
