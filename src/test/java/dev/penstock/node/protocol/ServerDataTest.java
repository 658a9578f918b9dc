package dev.penstock.node.protocol;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.Answer;
import dev.penstock.job.EventMark;
import dev.penstock.job.JobEvent;
import dev.penstock.job.JobId;
import dev.penstock.job.Task;
import dev.penstock.job.TokenEvent;
import dev.penstock.job.Usage;
import dev.penstock.node.protocol.answer.AnswerParser;
import dev.penstock.node.protocol.answer.AnthropicStream;
import dev.penstock.node.protocol.answer.Cutter;
import dev.penstock.node.protocol.answer.OllamaStream;
import dev.penstock.node.protocol.answer.OpenAiStream;
import dev.penstock.testkit.WireSchemas;
import dev.penstock.wire.Json;
import dev.penstock.wire.document.EventDocument;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Data of a server besides text: Penstock cleans it, or the attempt fails with its name. No event breaks the schema.
 */
class ServerDataTest {
    private static final WireSchemas SCHEMAS = new WireSchemas();

    @ParameterizedTest
    @ValueSource(
            strings = {
                "-1",
                "-9223372036854775808",
                "9223372036854775807",
                "9223372036854775808",
                "99999999999999999999999999",
                "-99999999999999999999999999",
                "1e300",
                "-1e300",
                "4611686018427387904",
                "1000000000001",
                "[3]",
                "null"
            })
    void a_count_that_no_answer_can_have_says_nothing(String count) {
        String openAi = """
                data: {"choices":[{"index":0,"delta":{"role":"assistant","content":"a"},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":3}}

                data: {"choices":[],"usage":{"prompt_tokens":%1$s,"completion_tokens":%1$s,"prompt_tokens_details":{"cached_tokens":%1$s},"completion_tokens_details":{"reasoning_tokens":%1$s}}}

                """.formatted(count);
        String anthropic = """
                data: {"type":"message_start","message":{"role":"assistant","usage":{"input_tokens":7,"output_tokens":3}}}

                data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"input_tokens":%1$s,"cache_creation_input_tokens":%1$s,"cache_read_input_tokens":%1$s,"output_tokens":%1$s}}

                data: {"type":"message_stop"}

                """.formatted(count);

        for (List<TokenEvent> events : List.of(
                read(new OpenAiStream(true, 1), openAi),
                read(new SummedUsage(new OpenAiStream(true, 1)), openAi),
                read(new AnthropicStream(), anthropic))) {
            assertThat(answer(events).usage()).as(events.toString()).isEqualTo(new Usage(7, 3));
            assertFitSchema(events);
        }
        List<TokenEvent> ollama = read(
                new OllamaStream(true),
                "{\"message\":{\"role\":\"assistant\",\"content\":\"a\"},\"done\":true,\"done_reason\":\"stop\",\"prompt_eval_count\":%1$s,\"eval_count\":%1$s}\n"
                        .formatted(count));
        assertThat(answer(ollama).usage()).isEqualTo(Usage.NONE);
        assertFitSchema(ollama);
    }

    @Test
    void sums_of_counts_do_not_overflow() {
        Usage sum = Usage.NONE;
        for (int i = 0; i < 100; i++) {
            sum = sum.plus(new Usage(1_000_000_000_000L, 1_000_000_000_000L, 1_000_000_000_000L, 1_000_000_000_000L));
        }

        assertThat(sum.totalTokens()).isEqualTo(2_000_000_000_000L);
    }

    @ParameterizedTest
    @ValueSource(strings = {"system", "user", "tool", "", "\\u0000", "<b>assistant</b>"})
    void an_answer_is_the_assistants(String role) {
        List<List<TokenEvent>> all = List.of(
                read(
                        new OpenAiStream(true, 1),
                        "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"%s\",\"content\":\"a\"},\"finish_reason\":\"stop\"}]}\n\n"
                                .formatted(role)),
                read(
                        new OllamaStream(true),
                        "{\"message\":{\"role\":\"%s\",\"content\":\"a\"},\"done\":true,\"done_reason\":\"stop\"}\n"
                                .formatted(role)),
                read(
                        new AnthropicStream(),
                        "data: {\"type\":\"message\",\"role\":\"%s\",\"content\":[{\"type\":\"text\",\"text\":\"a\"}],\"stop_reason\":\"end_turn\"}\n\n"
                                .formatted(role)));

        for (List<TokenEvent> events : all) {
            assertThat(answer(events).choices().getFirst().role()).isEqualTo("assistant");
            assertThat(chunk(events).findValuesAsText("role")).allMatch("assistant"::equals);
            assertFitSchema(events);
        }
    }

    @ParameterizedTest
    @CsvSource({
        "-1",
        "-2147483648",
        "16",
        "2147483647",
        "2147483648",
        "4294967296",
        "18446744073709551616",
        "1e300",
        "'\"-1\"'"
    })
    void an_unrequested_choice_fails_the_attempt(String index) {
        List<TokenEvent> events = read(
                new OpenAiStream(true, 1),
                "data: {\"choices\":[{\"index\":%s,\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}\n\n"
                        .formatted(index));

        assertThat(events)
                .singleElement()
                .isInstanceOfSatisfying(
                        TokenEvent.Broken.class,
                        broken -> assertThat(broken.failure().message())
                                .startsWith("sent a choice that the request did not ask for: its index is"));
    }

    @ParameterizedTest
    @CsvSource({"-7", "9999999999", "1e300", "'\"x\"'"})
    void the_index_of_a_tool_call_or_block_is_the_servers_own_and_goes_nowhere(String index) {
        List<TokenEvent> openAi = read(
                new OpenAiStream(true, 1),
                "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":%s,\"id\":\"c\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]},\"finish_reason\":\"tool_calls\"}]}\n\n"
                        .formatted(index));
        List<TokenEvent> anthropic = read(
                new AnthropicStream(),
                "data: {\"type\":\"message_start\",\"message\":{}}\n\ndata: {\"type\":\"content_block_start\",\"index\":%1$s,\"content_block\":{\"type\":\"tool_use\",\"id\":\"c\",\"name\":\"f\",\"input\":{}}}\n\ndata: {\"type\":\"content_block_stop\",\"index\":%1$s}\n\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\"}}\n\n"
                        .formatted(index));

        for (List<TokenEvent> events : List.of(openAi, anthropic)) {
            assertThat(events)
                    .filteredOn(TokenEvent.ToolCall.class::isInstance)
                    .isNotEmpty()
                    .allSatisfy(event ->
                            assertThat(((TokenEvent.ToolCall) event).index()).isZero());
            assertFitSchema(events);
        }
    }

    @Test
    void when_a_server_says_its_answer_was_created_is_its_own_affair() {
        List<TokenEvent> events = read(
                new OpenAiStream(true, 1),
                "data: {\"created\":-99999999999999999999,\"id\":-1,\"object\":7,\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}\n\n");

        assertThat(completed(events).path("created").asLong()).isEqualTo(1);
        assertFitSchema(events);
    }

    @ParameterizedTest
    @ValueSource(strings = {"0", "-1", "-9223372036854775808"})
    void a_context_that_no_model_has_is_none(String context) {
        assertThat(new WireProtocol.Model("m", true, Long.valueOf(context)).context())
                .isNull();
    }

    private static void assertFitSchema(List<TokenEvent> events) {
        SCHEMAS.check("event.schema.json", chunk(events).toString());
        SCHEMAS.check("event.schema.json", completed(events).toString());
    }

    private static JsonNode chunk(List<TokenEvent> events) {
        return json(EventMark.Kind.CHUNK, new JobEvent.Chunk(head(), events));
    }

    private static JsonNode completed(List<TokenEvent> events) {
        JobEvent.Execution execution =
                new JobEvent.Execution("n", "vllm", "m", 1, 1L, 1, 1, List.of(), List.of(), null, 0);
        return json(EventMark.Kind.COMPLETED, new JobEvent.Completed(answer(events), false, execution, Map.of()));
    }

    private static JsonNode json(EventMark.Kind kind, JobEvent event) {
        byte[] value = EventDocument.write(new JobId("j"), new EventMark(kind, 1, EventMark.newRun(), 1), event);
        return Objects.requireNonNull(Json.parseLenient(new String(value, StandardCharsets.UTF_8)));
    }

    private static Answer.Head head() {
        return new Answer.Head("id", 1, "m", Task.CHAT);
    }

    private static Answer answer(List<TokenEvent> events) {
        Answer.Builder builder = new Answer.Builder();
        events.forEach(builder::add);
        return builder.build(head());
    }

    private static List<TokenEvent> read(AnswerParser parser, String body) {
        List<TokenEvent> events = new ArrayList<>();
        Cutter cutter = parser.cutter(1 << 20, events::add);
        assertThat(cutter.feed(body.getBytes(StandardCharsets.UTF_8))).isTrue();
        cutter.end();
        parser.end(events::add);
        return events;
    }
}
