package dev.penstock.api.openai;

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
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Test;

/** Compares the answers with those that OpenAI's own API gives, field by field. */
class OpenAiFormatTest {
    private static final Answer.Head CHAT = new Answer.Head("chatcmpl-1", 1_700_000_000, "gpt", Task.CHAT);
    private static final Answer.Head COMPLETION = new Answer.Head("cmpl-1", 1_700_000_000, "gpt", Task.COMPLETION);

    private static TokenEvent text(int choice, String text) {
        return new TokenEvent.Text(choice, TokenEvent.Field.CONTENT, text);
    }

    private static Answer answer(Answer.Head head, TokenEvent... events) {
        Answer.Builder builder = new Answer.Builder();
        for (TokenEvent event : events) {
            builder.add(event);
        }
        return builder.build(head);
    }

    /** Returns the documents of a stream. Its last line must be [DONE]. */
    private static List<JsonNode> documents(String stream) {
        List<JsonNode> documents = new ArrayList<>();
        assertThat(stream).endsWith("\n\ndata: [DONE]\n\n");
        for (String event : stream.strip().split("\n\n", -1)) {
            assertThat(event).startsWith("data: ").doesNotContain("\n");
            if (!event.equals("data: [DONE]")) {
                documents.add(Objects.requireNonNull(Json.parseLenient(event.substring("data: ".length()))));
            }
        }
        return documents;
    }

    private static JsonNode json(String document) {
        return Objects.requireNonNull(Json.parseLenient(document.replace('\'', '"')));
    }

    private static JsonNode chatChunk(String choice) {
        return json(
                "{'id':'chatcmpl-1','object':'chat.completion.chunk','created':1700000000,'model':'gpt','choices':[%s]}"
                        .formatted(choice));
    }

    @Test
    void a_stream_has_the_role_first_the_reason_last_and_then_done() {
        OpenAiFormat format = new OpenAiFormat(false);

        String stream = format.begin(CHAT)
                + format.piece(CHAT, List.of(new TokenEvent.Role(0), text(0, "Hel"), text(0, "lo")))
                + format.piece(CHAT, List.of(text(0, " you"), new TokenEvent.Finish(0, "length")))
                + format.end(answer(CHAT, text(0, "Hello you"), new TokenEvent.Finish(0, "length")));

        assertThat(format.streamType()).isEqualTo("text/event-stream");
        assertThat(documents(stream))
                .containsExactly(
                        chatChunk("{'index':0,'delta':{'role':'assistant','content':'Hello'},'finish_reason':null}"),
                        chatChunk("{'index':0,'delta':{'content':' you'},'finish_reason':null}"),
                        chatChunk("{'index':0,'delta':{},'finish_reason':'length'}"));
    }

    @Test
    void each_chunk_has_one_choice_and_each_choice_its_role_and_its_reason() {
        OpenAiFormat format = new OpenAiFormat(false);

        String stream = format.piece(CHAT, List.of(text(0, "a"), text(1, "b"), text(0, "c")))
                + format.end(answer(CHAT, text(0, "ac"), text(1, "b"), new TokenEvent.Finish(1, "length")));

        assertThat(documents(stream))
                .containsExactly(
                        chatChunk("{'index':0,'delta':{'role':'assistant','content':'ac'},'finish_reason':null}"),
                        chatChunk("{'index':1,'delta':{'role':'assistant','content':'b'},'finish_reason':null}"),
                        chatChunk("{'index':0,'delta':{},'finish_reason':'stop'}"),
                        chatChunk("{'index':1,'delta':{},'finish_reason':'length'}"));
    }

    @Test
    void only_a_client_that_wants_the_usage_gets_it_in_a_chunk_without_choices() {
        Answer answer = answer(CHAT, text(0, "Hi"), new TokenEvent.Spent(new Usage(9, 2)));
        OpenAiFormat with = new OpenAiFormat(true);
        OpenAiFormat without = new OpenAiFormat(false);

        List<JsonNode> documents = documents(with.piece(CHAT, List.of(text(0, "Hi"))) + with.end(answer));

        JsonNode last = documents.getLast();
        assertThat(last.path("choices")).isEmpty();
        assertThat(last.path("choices").isArray()).isTrue();
        assertThat(last.path("usage")).isEqualTo(json("{'prompt_tokens':9,'completion_tokens':2,'total_tokens':11}"));
        assertThat(documents).hasSize(3);
        assertThat(without.piece(CHAT, List.of(text(0, "Hi"))) + without.end(answer))
                .doesNotContain("usage");
    }

    @Test
    void a_tool_call_comes_in_pieces_of_its_arguments() {
        OpenAiFormat format = new OpenAiFormat(false);

        String stream = format.piece(CHAT, List.of(new TokenEvent.ToolCall(0, 0, "call_1", "weather", "")))
                + format.piece(CHAT, List.of(new TokenEvent.ToolCall(0, 0, null, null, "{\"city\":")))
                + format.end(answer(
                        CHAT,
                        new TokenEvent.ToolCall(0, 0, "call_1", "weather", "{\"city\":"),
                        new TokenEvent.Finish(0, "tool_calls")));

        assertThat(documents(stream))
                .containsExactly(
                        chatChunk(
                                "{'index':0,'delta':{'role':'assistant','tool_calls':[{'index':0,'id':'call_1','type':'function','function':{'name':'weather','arguments':''}}]},'finish_reason':null}"),
                        chatChunk(
                                "{'index':0,'delta':{'tool_calls':[{'index':0,'function':{'arguments':'{\\\"city\\\":'}}]},'finish_reason':null}"),
                        chatChunk("{'index':0,'delta':{},'finish_reason':'tool_calls'}"));
    }

    @Test
    void a_completion_has_text_and_no_role() {
        OpenAiFormat format = new OpenAiFormat(false);

        String stream = format.piece(COMPLETION, List.of(text(0, "Hi")))
                + format.end(answer(COMPLETION, text(0, "Hi"), new TokenEvent.Finish(0, "stop")));

        assertThat(documents(stream))
                .containsExactly(
                        json(
                                "{'id':'cmpl-1','object':'text_completion','created':1700000000,'model':'gpt','choices':[{'index':0,'text':'Hi','finish_reason':null}]}"),
                        json(
                                "{'id':'cmpl-1','object':'text_completion','created':1700000000,'model':'gpt','choices':[{'index':0,'text':'','finish_reason':'stop'}]}"));
    }

    @Test
    void an_empty_answer_is_a_whole_stream_too() {
        OpenAiFormat format = new OpenAiFormat(false);

        String stream = format.begin(CHAT) + format.end(answer(CHAT, new TokenEvent.Finish(0, "stop")));

        assertThat(documents(stream))
                .containsExactly(chatChunk("{'index':0,'delta':{'role':'assistant'},'finish_reason':'stop'}"));
    }

    @Test
    void a_whole_answer_has_no_field_of_a_job() {
        byte[] whole = new OpenAiFormat(false)
                .whole(answer(
                        CHAT,
                        text(0, "Hello"),
                        new TokenEvent.Finish(0, "stop"),
                        new TokenEvent.Spent(new Usage(9, 2))));

        assertThat(Json.parseLenient(new String(whole, StandardCharsets.UTF_8)))
                .isEqualTo(
                        json(
                                "{'id':'chatcmpl-1','object':'chat.completion','created':1700000000,'model':'gpt','choices':[{'index':0,'message':{'role':'assistant','content':'Hello'},'finish_reason':'stop'}],'usage':{'prompt_tokens':9,'completion_tokens':2,'total_tokens':11}}"));
    }

    @Test
    void embeddings_are_a_list() {
        Answer.Head head = new Answer.Head("cmpl-1", 0, "bge", Task.EMBEDDINGS);
        byte[] whole = new OpenAiFormat(false)
                .whole(answer(
                        head,
                        new TokenEvent.Embedding(0, List.of(1, 2)),
                        new TokenEvent.Embedding(1, "AACAPw=="),
                        new TokenEvent.Spent(new Usage(4, 0))));

        assertThat(Json.parseLenient(new String(whole, StandardCharsets.UTF_8)))
                .isEqualTo(
                        json(
                                "{'object':'list','model':'bge','data':[{'object':'embedding','index':0,'embedding':[1,2]},{'object':'embedding','index':1,'embedding':'AACAPw=='}],'usage':{'prompt_tokens':4,'completion_tokens':0,'total_tokens':4}}"));
    }

    @Test
    void an_error_has_the_shape_of_openai_whole_and_in_a_stream() {
        JobFailure failure = JobFailure.of(JobFailure.Code.MODEL_NOT_FOUND, "model 'x' is on no node");
        OpenAiFormat format = new OpenAiFormat(false);
        JsonNode expected = json(
                "{'error':{'message':'model \\u0027x\\u0027 is on no node','type':'not_found_error','param':null,'code':'model_not_found'}}");

        assertThat(Json.parseLenient(new String(format.error(failure), StandardCharsets.UTF_8)))
                .isEqualTo(expected);
        assertThat(format.broken(failure)).startsWith("data: {").endsWith("}\n\n");
        assertThat(Json.parseLenient(format.broken(failure).substring("data: ".length())))
                .isEqualTo(expected);
    }

    @Test
    void log_probabilities_stay_with_their_text() {
        OpenAiFormat format = new OpenAiFormat(false);
        Object logprobs = Map.of("content", List.of(Map.of("token", "Hi", "logprob", -1)));

        String chunk = format.piece(CHAT, List.of(text(0, "Hi"), new TokenEvent.Logprobs(0, logprobs)));

        assertThat(chunk).contains("\"logprobs\":{\"content\":[{").contains("\"token\":\"Hi\"");
    }
}
