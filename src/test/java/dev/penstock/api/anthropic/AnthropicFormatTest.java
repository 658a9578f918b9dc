package dev.penstock.api.anthropic;

import static dev.penstock.api.anthropic.FormatRig.answer;
import static dev.penstock.api.anthropic.FormatRig.json;
import static dev.penstock.api.anthropic.FormatRig.parse;
import static dev.penstock.api.anthropic.FormatRig.stream;
import static dev.penstock.api.anthropic.FormatRig.whole;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.job.JobFailure;
import dev.penstock.job.TokenEvent;
import dev.penstock.job.TokenEvent.Field;
import dev.penstock.job.Usage;
import dev.penstock.settings.Backend;
import dev.penstock.testkit.upstream.Recording;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Tests answers in Anthropic's form, read by a strict reader of its protocol. */
class AnthropicFormatTest {
    @ParameterizedTest
    @ValueSource(
            strings = {
                "documented",
                "vllm/anthropic-messages-stream",
                "vllm/anthropic-tool-stream",
                "vllm/think-anthropic-stream",
                "vllm/anthropic-stop-sequence-stream"
            })
    void a_stream_of_an_anthropic_node_comes_out_event_by_event_as_it_went_in(String name) {
        String recorded = name.equals("documented")
                ? FormatRig.DOCUMENTED
                : Recording.of(name).body();

        StrictReader written = stream(parse(Backend.ANTHROPIC, recorded), 1);

        assertThat(comparable(written.events())).isEqualTo(comparable(events(recorded)));
    }

    /** This server closes no block before the end of its answer, so only the message is compared. */
    @ParameterizedTest
    @CsvSource({
        "llama-server/anthropic-messages-stream, text",
        "llama-server/think-anthropic-stream, thinking text",
        "llama-server/tools-anthropic-stream, text tool_use tool_use tool_use tool_use tool_use tool_use"
    })
    void the_blocks_of_a_llama_servers_message_are_the_same(String name, String types) {
        List<TokenEvent> events = parse(Backend.ANTHROPIC, Recording.of(name).body());

        ObjectNode message = stream(events, 1).message();

        assertThat(types(message)).isEqualTo(List.of(types.split(" ", -1)));
        assertThat(message).isEqualTo(whole(answer(events)));
    }

    @ParameterizedTest
    @CsvSource({
        "VLLM, vllm/chat-stream-usage, text, end_turn",
        "VLLM, vllm/chat-emoji-split-stream, text, end_turn",
        "VLLM, vllm/chat-stop-string-stream, text, stop_sequence",
        "VLLM, vllm/think-stream, thinking text, end_turn",
        "VLLM, vllm/tool-auto-stream, text tool_use, tool_use",
        "VLLM, vllm/tool-named-stream, tool_use, tool_use",
        "VLLM, vllm/tool-required-stream, tool_use tool_use, tool_use",
        "LLAMA_SERVER, llama-server/chat-stream-usage, text, end_turn",
        "LLAMA_SERVER, llama-server/think-reasoning-stream, thinking text, end_turn",
        "LLAMA_SERVER, llama-server/tools-required-stream, text tool_use tool_use tool_use tool_use, tool_use",
        "OLLAMA, ollama/chat-stream, text, max_tokens",
        "OLLAMA, ollama/think-stream, thinking text, end_turn",
        "OLLAMA, ollama/tools-stream, text tool_use, max_tokens"
    })
    void any_servers_answer_is_a_message_streamed_or_not(Backend backend, String name, String types, String reason) {
        List<TokenEvent> events = parse(backend, Recording.of(name).body());

        ObjectNode message = stream(events, 1).message();

        assertThat(types(message)).isEqualTo(List.of(types.split(" ", -1)));
        assertThat(message.path("stop_reason").asText()).isEqualTo(reason);
        assertThat(message).isEqualTo(whole(answer(events)));
        assertThat(stream(events, 3).message()).as("whatever the pieces").isEqualTo(message);
        assertThat(stream(events, Integer.MAX_VALUE / 2).message()).isEqualTo(message);
    }

    @Test
    void a_whole_message_has_thinking_text_and_calls() {
        assertThat(whole(answer(parse(Backend.ANTHROPIC, FormatRig.DOCUMENTED))))
                .isEqualTo(json("""
                {"id":"msg_1","type":"message","role":"assistant","model":"m","content":[
                   {"type":"thinking","thinking":"Let me solve this step by step","signature":"EqQBCgIYAhIM1gbcDa9GJwZA"},
                   {"type":"redacted_thinking","data":"EmwKAhgBEgy3va3pzix"},
                   {"type":"text","text":"Okay, I look."},
                   {"type":"tool_use","id":"toolu_01","name":"get_weather","input":{"location":"Paris"}},
                   {"type":"tool_use","id":"toolu_02","name":"get_time","input":{}}],
                 "stop_reason":"tool_use","stop_sequence":null,
                 "usage":{"input_tokens":209,"cache_creation_input_tokens":null,"cache_read_input_tokens":1800,"output_tokens":89}}"""));
    }

    @ParameterizedTest
    @CsvSource({
        "stop,           , false, false, end_turn",
        "stop,        END, false, false, stop_sequence",
        "length,         , false, false, max_tokens",
        "tool_calls,     , true,  false, tool_use",
        "stop,           , true,  false, tool_use",
        "length,         , true,  false, max_tokens",
        "content_filter, , false, false, refusal",
        "stop,           , false, true,  refusal"
    })
    void the_stop_reason_is_anthropics(String reason, String stop, boolean calls, boolean refuses, String expected) {
        List<TokenEvent> events = new ArrayList<>();
        if (refuses) {
            events.add(new TokenEvent.Text(0, Field.REFUSAL, "No."));
        }
        if (calls) {
            events.add(new TokenEvent.ToolCall(0, 0, "c1", "look", "{}"));
        }
        events.add(new TokenEvent.Finish(0, reason, stop));

        ObjectNode message = stream(events, 1).message();

        assertThat(message.path("stop_reason").asText()).isEqualTo(expected);
        assertThat(message.path("stop_sequence").textValue()).isEqualTo(stop);
        assertThat(message).isEqualTo(whole(answer(events)));
    }

    @Test
    void an_empty_answer_is_a_message_without_content() {
        List<TokenEvent> events = List.of(new TokenEvent.Finish(0, "stop"), new TokenEvent.Spent(new Usage(5, 1)));

        assertThat(stream(events, 1).message().path("content")).isEmpty();
        assertThat(StrictReader.of(new AnthropicFormat().end(answer(events))).message())
                .as("without a piece before")
                .isEqualTo(whole(answer(events)));
    }

    /** Some servers send a piece of each call in turn. */
    @Test
    void calls_whose_pieces_come_in_turn_are_one_block_after_the_other() {
        StrictReader written = stream(
                List.of(
                        new TokenEvent.Text(0, Field.CONTENT, "I look."),
                        call(0, "c0", "a", ""),
                        call(1, "c1", "b", ""),
                        call(0, null, null, "{\"x\":"),
                        call(1, null, null, "{\"y\":"),
                        call(2, "c2", "c", ""),
                        call(0, null, null, "1}"),
                        call(1, null, null, "{}}"),
                        new TokenEvent.Finish(0, "tool_calls")),
                1);

        assertThat(written.message().path("content")).isEqualTo(json("""
                [{"type":"text","text":"I look."},
                 {"type":"tool_use","id":"c0","name":"a","input":{"x":1}},
                 {"type":"tool_use","id":"c1","name":"b","input":{"y":{}}},
                 {"type":"tool_use","id":"c2","name":"c","input":{}}]"""));
    }

    @Test
    void the_first_call_is_streamed_while_others_wait() {
        AnthropicFormat format = new AnthropicFormat();
        String begin = format.begin(FormatRig.HEAD);
        format.piece(FormatRig.HEAD, List.of(call(0, "c0", "a", "{\"x\":"), call(1, "c1", "b", "{\"y\":2}")));

        String next = format.piece(FormatRig.HEAD, List.of(call(0, null, null, "1")));

        assertThat(begin).contains("message_start");
        assertThat(next).contains("\"partial_json\":\"1\"").doesNotContain("c1");
        assertThat(format.piece(FormatRig.HEAD, List.of(call(0, null, null, "}"))))
                .contains("c1");
    }

    @Test
    void a_name_in_pieces_starts_the_block_as_a_whole() {
        StrictReader written = stream(
                List.of(
                        call(0, "c0", "get_", ""),
                        call(0, null, "weather", ""),
                        call(0, null, null, "{}"),
                        new TokenEvent.Finish(0, "tool_calls")),
                1);

        assertThat(written.message().path("content").path(0).path("name").asText())
                .isEqualTo("get_weather");
    }

    @Test
    void arguments_that_the_limit_cut_are_an_empty_object() {
        List<TokenEvent> events = List.of(call(0, "c0", "a", "{\"x\":"), new TokenEvent.Finish(0, "length"));

        assertThat(whole(answer(events)).path("content").path(0).path("input")).isEqualTo(json("{}"));
        assertThat(stream(events, 1).message().path("stop_reason").asText()).isEqualTo("max_tokens");
    }

    /** With the display of thinking turned off, Anthropic sends blocks with only a signature. */
    @Test
    void thinking_that_is_not_shown_keeps_its_signature() {
        List<TokenEvent> events = List.of(
                new TokenEvent.Thinking(0, json("{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"EqQB\"}")),
                new TokenEvent.Text(0, Field.CONTENT, "Yes"),
                new TokenEvent.Finish(0, "stop"));

        StrictReader written = stream(events, 1);

        assertThat(written.blocks())
                .isEqualTo(Map.of(
                        0, "content_block_start signature_delta content_block_stop",
                        1, "content_block_start text_delta content_block_stop"));
        assertThat(written.message()).isEqualTo(whole(answer(events)));
    }

    @Test
    void thinking_between_other_blocks_stays_in_its_place() {
        StrictReader written = stream(
                List.of(
                        new TokenEvent.Text(0, Field.REASONING, "One."),
                        signed("One."),
                        new TokenEvent.Text(0, Field.CONTENT, "I look."),
                        new TokenEvent.Text(0, Field.REASONING, "Two."),
                        signed("Two."),
                        call(0, "c0", "a", "{}"),
                        new TokenEvent.Finish(0, "tool_calls")),
                1);

        assertThat(types(written.message())).containsExactly("thinking", "text", "thinking", "tool_use");
        assertThat(written.message().at("/content/2/signature").asText()).isEqualTo("sig of Two.");
    }

    @Test
    void other_choices_are_left_out() {
        List<TokenEvent> events = List.of(
                new TokenEvent.Text(0, Field.CONTENT, "one"),
                new TokenEvent.Text(1, Field.CONTENT, "two"),
                new TokenEvent.Finish(0, "stop"),
                new TokenEvent.Finish(1, "length"));

        assertThat(stream(events, 1).message()).isEqualTo(whole(answer(events)));
        assertThat(whole(answer(events)).at("/content/0/text").asText()).isEqualTo("one");
    }

    @Test
    void a_stream_that_breaks_ends_with_an_event_error() {
        AnthropicFormat format = new AnthropicFormat();
        String stream = format.begin(FormatRig.HEAD)
                + format.piece(FormatRig.HEAD, List.of(new TokenEvent.Text(0, Field.CONTENT, "Hal")))
                + format.broken(JobFailure.of(JobFailure.Code.NODE_OVERLOADED, "the node is busy"));

        assertThat(StrictReader.of(stream).error())
                .isEqualTo(
                        json(
                                "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"the node is busy\"}}"));
    }

    @ParameterizedTest
    @CsvSource({
        "INVALID_REQUEST, invalid_request_error",
        "CONTEXT_LENGTH_EXCEEDED, invalid_request_error",
        "UNSUPPORTED_MEDIA_TYPE, invalid_request_error",
        "ID_CONFLICT, invalid_request_error",
        "UNAUTHORIZED, authentication_error",
        "FORBIDDEN, permission_error",
        "NOT_FOUND, not_found_error",
        "MODEL_NOT_FOUND, not_found_error",
        "TOO_LARGE, request_too_large",
        "RATE_LIMITED, rate_limit_error",
        "NODE_ERROR, api_error",
        "STREAM_BROKEN, api_error",
        "INTERNAL, api_error",
        "NO_NODE, overloaded_error",
        "NODE_OVERLOADED, overloaded_error",
        "TIMEOUT, timeout_error",
        "FIRST_TOKEN_TIMEOUT, timeout_error"
    })
    void an_error_has_anthropics_type(JobFailure.Code code, String type) {
        byte[] error = new AnthropicFormat().error(JobFailure.of(code, "why"));

        assertThat(json(new String(error, StandardCharsets.UTF_8)))
                .isEqualTo(
                        json("{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"message\":\"why\"}}".formatted(type)));
    }

    private static TokenEvent call(int index, @Nullable String id, @Nullable String name, String arguments) {
        return new TokenEvent.ToolCall(0, index, id, name, arguments);
    }

    private static TokenEvent signed(String text) {
        return new TokenEvent.Thinking(
                0,
                json("{\"type\":\"thinking\",\"thinking\":\"%s\",\"signature\":\"sig of %s\"}".formatted(text, text)));
    }

    private static List<String> types(JsonNode message) {
        List<String> types = new ArrayList<>();
        message.path("content").forEach(block -> types.add(block.path("type").asText()));
        return types;
    }

    private static List<JsonNode> events(String stream) {
        return stream.lines()
                .filter(line -> line.startsWith("data: "))
                .map(line -> json(line.substring("data: ".length())))
                .toList();
    }

    /**
     * Removes what may differ: pings, pieces without text, the id and the model, and the usage of the first event, which
     * is not known then.
     */
    private static List<JsonNode> comparable(List<JsonNode> events) {
        List<JsonNode> comparable = new ArrayList<>();
        for (JsonNode event : events) {
            ObjectNode copy = event.deepCopy();
            boolean empty = copy.path("delta").path("partial_json").asText("-").isEmpty();
            switch (copy.path("type").asText()) {
                case "message_start" -> ((ObjectNode) copy.get("message")).remove(List.of("id", "model", "usage"));
                case "content_block_start" -> {
                    ObjectNode block = (ObjectNode) copy.get("content_block");
                    if (block.path("type").asText().equals("thinking")) {
                        block.put("signature", "");
                    }
                }
                case "message_delta" -> ((ObjectNode) copy.get("usage")).retain("output_tokens");
                default -> {}
            }
            if (!empty && !copy.path("type").asText().equals("ping")) {
                comparable.add(copy);
            }
        }
        return comparable;
    }
}
