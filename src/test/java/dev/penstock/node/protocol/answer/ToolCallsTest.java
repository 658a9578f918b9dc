package dev.penstock.node.protocol.answer;

import static dev.penstock.node.protocol.answer.AnswerRig.DONE;
import static dev.penstock.node.protocol.answer.AnswerRig.anthropic;
import static dev.penstock.node.protocol.answer.AnswerRig.assertChunksAreTheMessage;
import static dev.penstock.node.protocol.answer.AnswerRig.calls;
import static dev.penstock.node.protocol.answer.AnswerRig.event;
import static dev.penstock.node.protocol.answer.AnswerRig.finish;
import static dev.penstock.node.protocol.answer.AnswerRig.ollama;
import static dev.penstock.node.protocol.answer.AnswerRig.openAi;
import static dev.penstock.node.protocol.answer.AnswerRig.quoted;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.Answer;
import dev.penstock.job.TokenEvent;
import dev.penstock.wire.Json;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The pieces of tool calls, of every server, become whole calls. */
class ToolCallsTest {
    @Test
    void a_function_call_of_the_old_form_is_a_tool_call() {
        List<TokenEvent> said = openAi(event("{'delta':{'function_call':{'name':'f','arguments':'{\\\"a\\\"'}}}")
                + event("{'delta':{'function_call':{'arguments':':1}'}}}")
                + event(finish("function_call"))
                + DONE);

        assertThat(calls(said)).singleElement().satisfies(call -> {
            assertThat(call.name()).isEqualTo("f");
            assertThat(call.arguments()).isEqualTo("{\"a\":1}");
            assertThat(call.id()).startsWith("call_");
        });
        assertThat(said).contains(new TokenEvent.Finish(0, "tool_calls"));
    }

    /** pieces of the calls | id name arguments of each call; a star for an id from Penstock. */
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "[0,'a','f','']; [0,'','','{}']|a f {}",
                "[0,'a','f','{']; [0,null,null,'}']|a f {}",
                "[0,'a','f','{']; [0,'a','f','}']|a f {}",
                "[0,'a','f','{}']; [0,'b','g','{}']|a f {}; b g {}",
                "[0,'a','f','{']; [0,'b','g','{']; [0,'a','','}']; [0,'b','','}']|a f {}; b g {}",
                "[0,'','f','{}']; [0,'','g','{}']|* f {}; * g {}",
                "[0,'','f','{}']; [0,'','f','{}']|* f {}; * f {}",
                "[0,'','f','']; [0,'late','','{}']|late f {}",
                "[0,'','f','{']; [0,'late','','}']|* f {}",
                "[null,'a','f','{']; [null,'','','}']|a f {}",
                "[null,'','f','{']; [null,'','','}']; [null,'','g','{}']|* f {}; * g {}",
                "[0,'a','f','{}']; [1,'a','g','{}']|a f {}; * g {}",
                "[0,'a','get_','']; [0,'a','weather','']; [0,'','','{}']|a get_weather {}",
                "[0,'a','f','']|a f ",
                "[0,'','f','']|* f ",
                "[1,'b','g','{}']; [0,'a','f','{}']|b g {}; a f {}"
            })
    void pieces_of_calls_are_put_together_and_every_call_has_an_id_of_its_own(String pieces, String calls) {
        StringBuilder body = new StringBuilder();
        for (String piece : pieces.split("; ", -1)) {
            JsonNode fields = Objects.requireNonNull(Json.parseLenient(quoted(piece)));
            Map<String, Object> call = new java.util.LinkedHashMap<>();
            if (!fields.get(0).isNull()) {
                call.put("index", fields.get(0).asInt());
            }
            call.put("id", fields.get(1));
            call.put("function", Map.of("name", fields.get(2), "arguments", fields.get(3)));
            body.append("data: ")
                    .append(new String(
                            Json.bytes(Map.of(
                                    "id",
                                    "chatcmpl-1",
                                    "choices",
                                    List.of(Map.of("index", 0, "delta", Map.of("tool_calls", List.of(call)))))),
                            StandardCharsets.UTF_8))
                    .append("\n\n");
        }
        List<TokenEvent> said = openAi(body + event(finish("tool_calls")) + DONE);

        List<Answer.ToolCall> whole = calls(said);
        assertThat(whole).extracting(Answer.ToolCall::id).doesNotHaveDuplicates();
        assertThat(String.join(
                                "; ",
                                whole.stream()
                                        .map(call -> (call.id().startsWith("call_") ? "*" : call.id()) + " "
                                                + call.name() + " " + call.arguments())
                                        .toList())
                        .strip())
                .isEqualTo(calls.strip());
        assertChunksAreTheMessage(said);
    }

    @Test
    void arguments_as_an_object_are_kept() {
        List<TokenEvent> said = openAi(
                event("{'delta':{'tool_calls':[{'index':0,'id':'a','function':{'name':'f','arguments':{'x':1}}}]}}")
                        + event(finish("tool_calls"))
                        + DONE);

        assertThat(calls(said)).containsExactly(new Answer.ToolCall("a", "f", "{\"x\":1}"));
    }

    @Test
    void a_call_without_an_id_has_one_at_every_server() {
        List<TokenEvent> ollama = ollama(
                quoted(
                        "{'message':{'tool_calls':[{'id':'','function':{'name':'f','arguments':{}}},{'function':{'name':'f','arguments':{}}}]},'done':true,'done_reason':'stop'}\n"));
        assertThat(calls(ollama))
                .hasSize(2)
                .extracting(Answer.ToolCall::id)
                .doesNotHaveDuplicates()
                .doesNotContain("");
        String block = "data: "
                + quoted(
                        "{'type':'content_block_start','index':0,'content_block':{'type':'tool_use','id':'','name':'f','input':{}}}")
                + "\n\ndata: " + quoted("{'type':'content_block_stop','index':0}") + "\n\n";
        List<TokenEvent> anthropic = anthropic(block + block + "data: "
                + quoted("{'type':'message_delta','delta':{'stop_reason':'tool_use'}}") + "\n\n");
        assertThat(calls(anthropic))
                .hasSize(2)
                .extracting(Answer.ToolCall::id)
                .doesNotHaveDuplicates()
                .doesNotContain("");
        assertThat(calls(anthropic)).extracting(Answer.ToolCall::arguments).containsExactly("{}", "{}");
    }
}
