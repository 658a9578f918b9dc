package dev.penstock.node.protocol.answer;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.Answer;
import dev.penstock.job.JobFailure;
import dev.penstock.job.Task;
import dev.penstock.job.TokenEvent;
import dev.penstock.job.Usage;
import dev.penstock.wire.Json;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/**
 * Tests event streams of the messages API. They come from its documentation, because there is no recording of the
 * real service.
 */
class AnthropicStreamTest {
    private static final String START = """
            event: message_start
            data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":21,"cache_creation_input_tokens":188,"cache_read_input_tokens":1800,"cache_creation":{"ephemeral_5m_input_tokens":188,"ephemeral_1h_input_tokens":0},"output_tokens":1,"service_tier":"standard"}}}

            event: ping
            data: {"type": "ping"}

            """;
    private static final String THINKING = """
            event: content_block_start
            data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}

            event: content_block_delta
            data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Let me solve"}}

            event: content_block_delta
            data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":" this step by step"}}

            event: content_block_delta
            data: {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"EqQBCgIYAhIM1gbcDa9GJwZA"}}

            event: content_block_stop
            data: {"type":"content_block_stop","index":0}

            event: content_block_start
            data: {"type":"content_block_start","index":1,"content_block":{"type":"redacted_thinking","data":"EmwKAhgBEgy3va3pzix"}}

            event: content_block_stop
            data: {"type":"content_block_stop","index":1}

            """;
    private static final String TEXT_AND_TOOL = """
            event: content_block_start
            data: {"type":"content_block_start","index":2,"content_block":{"type":"text","text":""}}

            event: content_block_delta
            data: {"type":"content_block_delta","index":2,"delta":{"type":"text_delta","text":"Okay, I look."}}

            event: content_block_stop
            data: {"type":"content_block_stop","index":2}

            event: content_block_start
            data: {"type":"content_block_start","index":3,"content_block":{"type":"tool_use","id":"toolu_01","name":"get_weather","input":{}}}

            event: content_block_delta
            data: {"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":""}}

            event: content_block_delta
            data: {"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":"{\\"location\\":"}}

            event: content_block_delta
            data: {"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":" \\"Paris\\"}"}}

            event: content_block_stop
            data: {"type":"content_block_stop","index":3}

            """;
    private static final String STOP = """
            event: message_delta
            data: {"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":89}}

            event: message_stop
            data: {"type":"message_stop"}

            """;

    @Test
    void thinking_comes_as_reasoning_and_its_signed_blocks_whole() {
        Answer.Choice choice =
                answer(START + THINKING + TEXT_AND_TOOL + STOP).choices().getFirst();

        assertThat(choice.text().get(TokenEvent.Field.REASONING)).isEqualTo("Let me solve this step by step");
        assertThat(choice.text().get(TokenEvent.Field.CONTENT)).isEqualTo("Okay, I look.");
        assertThat(choice.thinking())
                .isEqualTo(List.of(
                        json(
                                "{\"type\":\"thinking\",\"thinking\":\"Let me solve this step by step\",\"signature\":\"EqQBCgIYAhIM1gbcDa9GJwZA\"}"),
                        json("{\"type\":\"redacted_thinking\",\"data\":\"EmwKAhgBEgy3va3pzix\"}")));
        assertThat(choice.toolCalls())
                .containsExactly(new Answer.ToolCall("toolu_01", "get_weather", "{\"location\": \"Paris\"}"));
        assertThat(choice.finishReason()).isEqualTo("tool_calls");
    }

    @Test
    void the_prompt_counts_whole_whatever_of_it_was_in_the_cache() {
        assertThat(answer(START + TEXT_AND_TOOL + STOP).usage()).isEqualTo(new Usage(21 + 188 + 1800, 89, 1800));
    }

    @Test
    void a_later_count_of_the_prompt_replaces_an_earlier_one() {
        String stop = STOP.replace(
                "\"output_tokens\":89",
                "\"input_tokens\":30,\"cache_creation_input_tokens\":null,\"cache_read_input_tokens\":1900,\"output_tokens\":90");

        assertThat(answer(START + TEXT_AND_TOOL + stop).usage()).isEqualTo(new Usage(30 + 188 + 1900, 90, 1900));
    }

    @Test
    void thinking_without_a_signature_is_only_reasoning() {
        String unsigned = THINKING.replaceAll(
                        "(?s)event: content_block_delta\ndata: [^\n]*signature_delta[^\n]*\n\n", "")
                .replaceAll("(?s)event: content_block_start\ndata: [^\n]*redacted.*", "");
        Answer.Choice choice =
                answer(START + unsigned + TEXT_AND_TOOL + STOP).choices().getFirst();

        assertThat(choice.text().get(TokenEvent.Field.REASONING)).isEqualTo("Let me solve this step by step");
        assertThat(choice.thinking()).isEmpty();
    }

    @Test
    void an_error_in_mid_stream_has_the_servers_words() {
        List<TokenEvent> events = parse(START + THINKING + """
                event: error
                data: {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}

                """);

        assertThat(events.getLast()).isInstanceOfSatisfying(TokenEvent.Broken.class, broken -> {
            assertThat(broken.failure().code()).isEqualTo(JobFailure.Code.NODE_OVERLOADED);
            assertThat(broken.failure().message()).contains("Overloaded");
        });
    }

    private static JsonNode json(String text) {
        return Json.mapper().valueToTree(Json.parseLenient(text));
    }

    private static Answer answer(String stream) {
        Answer.Builder builder = new Answer.Builder();
        List<TokenEvent> events = parse(stream);
        events.forEach(builder::add);
        assertThat(events.getLast()).isInstanceOf(TokenEvent.End.class);
        return builder.build(new Answer.Head("id", 1, "claude", Task.CHAT));
    }

    private static List<TokenEvent> parse(String stream) {
        List<TokenEvent> events = new ArrayList<>();
        AnthropicStream parser = new AnthropicStream();
        Cutter cutter = parser.cutter(1 << 20, events::add);
        cutter.feed(stream.getBytes(StandardCharsets.UTF_8));
        cutter.end();
        return events;
    }
}
