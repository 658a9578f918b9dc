package dev.penstock.api.responses;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.job.Answer;
import dev.penstock.job.JobFailure;
import dev.penstock.job.Task;
import dev.penstock.job.TokenEvent;
import dev.penstock.job.Usage;
import dev.penstock.wire.Json;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Test;

class ResponsesFormatTest {
    private static final Clock CLOCK = Clock.fixed(Instant.ofEpochSecond(1_700_000_005), ZoneOffset.UTC);
    private static final Answer.Head HEAD = new Answer.Head("chatcmpl-1", 1_700_000_000, "llama", Task.CHAT);

    private final Answer.Builder answer = new Answer.Builder();
    private final StrictReader reader = new StrictReader();

    private static ResponsesFormat format(String asked) {
        ObjectNode request = (ObjectNode) json(asked);
        return new ResponsesFormat(new ResponseHead("resp_call_1", 1_700_000_000, request), CLOCK);
    }

    private static JsonNode json(String text) {
        return Objects.requireNonNull(Json.parseLenient(text.replace('\'', '"')), text);
    }

    private static TokenEvent content(String text) {
        return new TokenEvent.Text(0, TokenEvent.Field.CONTENT, text);
    }

    private static TokenEvent reasoning(String text) {
        return new TokenEvent.Text(0, TokenEvent.Field.REASONING, text);
    }

    private static TokenEvent call(int index, String id, String name, String arguments) {
        return new TokenEvent.ToolCall(0, index, id, name, arguments);
    }

    private static TokenEvent more(int index, String arguments) {
        return new TokenEvent.ToolCall(0, index, null, null, arguments);
    }

    /** Streams the pieces, and reads the stream strictly. */
    private void stream(ResponsesFormat format, List<List<TokenEvent>> pieces) {
        reader.read(format.begin(HEAD));
        for (List<TokenEvent> piece : pieces) {
            piece.forEach(answer::add);
            reader.read(format.piece(HEAD, piece));
        }
        answer.add(new TokenEvent.Spent(new Usage(5, 7, 2, 3)));
        reader.read(format.end(answer.build(HEAD)));
        assertThat(reader.hasEnded()).isTrue();
    }

    @Test
    void a_text_has_the_events_of_openai_in_their_order() {
        stream(
                format("{}"),
                List.of(
                        List.of(new TokenEvent.Role(0), content("Hel")),
                        List.of(content("l"), content("o")),
                        List.of(new TokenEvent.Finish(0, "stop"))));

        assertThat(reader.types())
                .containsExactly(
                        "response.created",
                        "response.in_progress",
                        "response.output_item.added",
                        "response.content_part.added",
                        "response.output_text.delta",
                        "response.output_text.delta",
                        "response.output_text.done",
                        "response.content_part.done",
                        "response.output_item.done",
                        "response.completed");
        assertThat(reader.text()).isEqualTo("Hello");
        assertThat(reader.response().path("usage"))
                .isEqualTo(
                        json(
                                "{'input_tokens':5,'input_tokens_details':{'cached_tokens':2,'cache_write_tokens':0},'output_tokens':7,'output_tokens_details':{'reasoning_tokens':3},'total_tokens':12}"));
        assertThat(reader.response().path("completed_at").asLong()).isEqualTo(1_700_000_005);
        assertThat(reader.response().path("model").asText()).isEqualTo("llama");
    }

    @Test
    void reasoning_is_an_item_before_the_message() {
        stream(format("{}"), List.of(List.of(reasoning("Hm")), List.of(reasoning("m."), content("Hi")), List.of()));

        assertThat(reader.types())
                .containsExactly(
                        "response.created",
                        "response.in_progress",
                        "response.output_item.added",
                        "response.content_part.added",
                        "response.reasoning_text.delta",
                        "response.reasoning_text.delta",
                        "response.reasoning_text.done",
                        "response.content_part.done",
                        "response.output_item.done",
                        "response.output_item.added",
                        "response.content_part.added",
                        "response.output_text.delta",
                        "response.output_text.done",
                        "response.content_part.done",
                        "response.output_item.done",
                        "response.completed");
        assertThat(reader.response()
                        .path("output")
                        .path(0)
                        .path("content")
                        .path(0)
                        .path("text")
                        .asText())
                .isEqualTo("Hmm.");
    }

    @Test
    void reasoning_is_a_summary_if_the_request_asks_for_one() {
        stream(format("{'reasoning':{'summary':'auto'}}"), List.of(List.of(reasoning("Hmm."), content("Hi"))));

        assertThat(reader.types())
                .contains(
                        "response.reasoning_summary_part.added",
                        "response.reasoning_summary_text.delta",
                        "response.reasoning_summary_text.done",
                        "response.reasoning_summary_part.done");
        assertThat(reader.response().path("output").path(0).path("summary"))
                .isEqualTo(json("[{'type':'summary_text','text':'Hmm.'}]"));
    }

    @Test
    void calls_are_items_with_their_arguments() {
        stream(
                format("{}"),
                List.of(
                        List.of(content("Wait.")),
                        List.of(call(0, "c1", "f", "")),
                        List.of(more(0, "{\"a\":"), more(0, "1}")),
                        List.of(call(1, "c2", "g", "{}"), new TokenEvent.Finish(0, "tool_calls"))));

        assertThat(reader.types().subList(8, reader.types().size()))
                .containsExactly(
                        "response.output_item.added",
                        "response.function_call_arguments.delta",
                        "response.function_call_arguments.delta",
                        "response.function_call_arguments.done",
                        "response.output_item.done",
                        "response.output_item.added",
                        "response.function_call_arguments.delta",
                        "response.function_call_arguments.done",
                        "response.output_item.done",
                        "response.completed");
        assertThat(reader.response().path("output").path(1).path("arguments").asText())
                .isEqualTo("{\"a\":1}");
        assertThat(reader.response().path("output").path(2).path("call_id").asText())
                .isEqualTo("c2");
        assertThat(reader.response().path("output").path(2).path("status").asText())
                .isEqualTo("completed");
    }

    @Test
    void calls_whose_pieces_alternate_keep_their_arguments() {
        stream(
                format("{}"),
                List.of(List.of(call(0, "c1", "f", "{\"a\""), call(1, "c2", "g", "{"), more(0, ":1}"), more(1, "}"))));

        assertThat(reader.response().path("output"))
                .extracting(item -> item.path("arguments").asText())
                .containsExactly("{\"a\":1}", "{}");
    }

    @Test
    void log_probabilities_are_in_the_deltas_and_in_the_part() {
        JsonNode value = json("{'content':[{'token':'Hi','logprob':-0.5,'bytes':[72,105],'top_logprobs':[]}]}");

        stream(format("{}"), List.of(List.of(content("Hi"), new TokenEvent.Logprobs(0, value))));

        assertThat(reader.response()
                        .path("output")
                        .path(0)
                        .path("content")
                        .path(0)
                        .path("logprobs"))
                .isEqualTo(value.path("content"));
    }

    @Test
    void an_answer_that_reached_its_limit_is_incomplete() {
        stream(format("{}"), List.of(List.of(content("Hel"), new TokenEvent.Finish(0, "length"))));

        assertThat(reader.types()).last().isEqualTo("response.incomplete");
        assertThat(reader.response().path("status").asText()).isEqualTo("incomplete");
        assertThat(reader.response().path("incomplete_details")).isEqualTo(json("{'reason':'max_output_tokens'}"));
        assertThat(reader.response().path("output").path(0).path("status").asText())
                .isEqualTo("incomplete");
    }

    @Test
    void an_answer_without_text_has_an_empty_message() {
        stream(format("{}"), List.of(List.of(new TokenEvent.Finish(0, "stop"))));

        assertThat(reader.response()
                        .path("output")
                        .path(0)
                        .path("content")
                        .path(0)
                        .path("text")
                        .asText())
                .isEmpty();
    }

    @Test
    void a_refusal_is_a_part_of_its_own() {
        stream(
                format("{}"),
                List.of(List.of(content("Well. "), new TokenEvent.Text(0, TokenEvent.Field.REFUSAL, "No."))));

        assertThat(reader.response().path("output")).hasSize(1);
        assertThat(reader.response().path("output").path(0).path("content").path(1))
                .isEqualTo(json("{'type':'refusal','refusal':'No.'}"));
    }

    @Test
    void a_stream_that_breaks_ends_as_failed_with_what_it_has_sent() {
        ResponsesFormat format = format("{}");
        reader.read(format.begin(HEAD));
        reader.read(format.piece(HEAD, List.of(content("Hel"))));

        reader.read(format.broken(JobFailure.of(JobFailure.Code.STREAM_BROKEN, "the node is gone")));

        assertThat(reader.types()).last().isEqualTo("response.failed");
        assertThat(reader.text()).isEqualTo("Hel");
        assertThat(reader.response().path("error"))
                .isEqualTo(json("{'code':'server_error','message':'the node is gone','type':'stream_broken'}"));
    }

    @Test
    void the_whole_answer_equals_the_end_of_the_stream() {
        String asked =
                "{'instructions':'I','tools':[{'type':'function','name':'f'}],'temperature':0.5,'reasoning':{'effort':'low'}}";
        stream(
                format(asked),
                List.of(
                        List.of(reasoning("Hm."), content("Hello"), call(0, "c1", "f", "{}")),
                        List.of(new TokenEvent.Finish(0, "tool_calls"))));

        JsonNode whole = Objects.requireNonNull(
                Json.parseLenient(new String(format(asked).whole(answer.build(HEAD)), StandardCharsets.UTF_8)));

        assertThat((JsonNode) reader.response()).isEqualTo(whole);
        assertThat(whole.path("instructions").asText()).isEqualTo("I");
        assertThat(whole.path("temperature").asDouble()).isEqualTo(0.5);
        assertThat(whole.path("store").asBoolean()).isFalse();
        assertThat(whole.path("text")).isEqualTo(json("{'format':{'type':'text'}}"));
    }

    @Test
    void an_error_has_the_form_of_openai() {
        byte[] error = format("{}").error(JobFailure.of(JobFailure.Code.NO_NODE, "no node is up"));

        assertThat(Json.parseLenient(new String(error, StandardCharsets.UTF_8)))
                .isEqualTo(json(
                        "{'error':{'message':'no node is up','type':'server_error','param':null,'code':'no_node'}}"));
    }

    @Test
    void the_codes_of_errors_are_those_that_clients_know() {
        Map<JobFailure.Code, String> known = Map.of(
                JobFailure.Code.RATE_LIMITED, "rate_limit_exceeded",
                JobFailure.Code.INVALID_REQUEST, "invalid_prompt",
                JobFailure.Code.CONTEXT_LENGTH_EXCEEDED, "invalid_prompt");
        for (JobFailure.Code code : JobFailure.Code.values()) {
            ObjectNode error = ResponseObject.error(JobFailure.of(code, "m"));
            assertThat(error.path("code").asText()).isEqualTo(known.getOrDefault(code, "server_error"));
            assertThat(error.path("type").asText()).isEqualTo(code.wireName());
        }
    }
}
