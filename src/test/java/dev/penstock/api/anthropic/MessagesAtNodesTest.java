package dev.penstock.api.anthropic;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.api.anthropic.MessagesRequest.Parsed;
import dev.penstock.api.anthropic.MessagesRequest.Purpose;
import dev.penstock.job.JobFailure;
import dev.penstock.job.JobId;
import dev.penstock.job.Priority;
import dev.penstock.job.PromptJob;
import dev.penstock.job.Task;
import dev.penstock.node.protocol.Prompt;
import dev.penstock.node.protocol.WireProtocol;
import dev.penstock.settings.Backend;
import dev.penstock.wire.AllowedHosts;
import dev.penstock.wire.Json;
import dev.penstock.wire.document.JobDocument;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.EnumSource.Mode;

/** Tests the request that a node gets for a Messages request. */
class MessagesAtNodesTest {
    private static final String WHOLE = """
            {"model":"m","max_tokens":9000,"stream":true,
             "system":[{"type":"text","text":"Be brief.","cache_control":{"type":"ephemeral","ttl":"1h"}}],
             "messages":[
               {"role":"user","content":[
                 {"type":"image","source":{"type":"base64","media_type":"image/png","data":"aGk="}},
                 {"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"aGk="},"cache_control":{"type":"ephemeral"}},
                 {"type":"text","text":"Weather?"}]},
               {"role":"assistant","content":[
                 {"type":"thinking","thinking":"Hm.","signature":"EqQB"},
                 {"type":"redacted_thinking","data":"Ev0"},
                 {"type":"text","text":"I look."},
                 {"type":"thinking","thinking":"Both?","signature":"EqQC"},
                 {"type":"tool_use","id":"toolu_01","name":"look","input":{"at":"sky","n":1.50}},
                 {"type":"tool_use","id":"toolu_02","name":"feel","input":{},"cache_control":{"type":"ephemeral"}}]},
               {"role":"user","content":[
                 {"type":"tool_result","tool_use_id":"toolu_01","content":[{"type":"text","text":"blue"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"aGk="}}]},
                 {"type":"tool_result","tool_use_id":"toolu_02","content":"no hands","is_error":true,"cache_control":{"type":"ephemeral"}},
                 {"type":"text","text":"So?","cache_control":{"type":"ephemeral"}}]}],
             "tools":[
               {"name":"look","description":"Looks","input_schema":{"type":"object","properties":{"at":{"type":"string"}}}},
               {"name":"feel","input_schema":{"type":"object"},"strict":true,"cache_control":{"type":"ephemeral"}}],
             "tool_choice":{"type":"auto","disable_parallel_tool_use":true},
             "thinking":{"type":"enabled","budget_tokens":8000},
             "output_config":{"format":{"type":"json_schema","schema":{"type":"object"}},"effort":"low"},
             "stop_sequences":["END"],"top_p":0.97,"top_k":5,"metadata":{"user_id":"u1"},
             "cache_control":{"type":"ephemeral"}}""";

    @Test
    void an_anthropic_node_gets_the_request_as_it_came() throws WireProtocol.Unsupported {
        assertThat(at(Backend.ANTHROPIC, WHOLE)).isEqualTo(json(WHOLE));
    }

    @ParameterizedTest
    @EnumSource(
            mode = Mode.EXCLUDE,
            names = {"ANTHROPIC", "LLAMA_CLI", "OLLAMA"})
    void a_node_with_openais_api_gets_a_chat(Backend backend) throws WireProtocol.Unsupported {
        JsonNode body = at(backend, WHOLE);

        assertThat(body.path("messages"))
                .extracting(message -> message.path("role").asText())
                .containsExactly("system", "user", "assistant", "assistant", "tool", "tool", "user");
        assertThat(body.at("/messages/3/tool_calls/0/id").asText()).isEqualTo("toolu_01");
        assertThat(body.at("/messages/4/tool_call_id").asText()).isEqualTo("toolu_01");
        assertThat(body.at("/tools/0/function/name").asText()).isEqualTo("look");
        assertThat(body.at("/stop/0").asText()).isEqualTo("END");
    }

    /** OpenAI's API answers 400 to a field that it does not know. */
    @ParameterizedTest
    @EnumSource(names = {"OPENAI", "AZURE_OPENAI"})
    void openai_gets_nothing_that_is_anthropics(Backend backend) throws WireProtocol.Unsupported {
        assertThat(at(backend, WHOLE).toString())
                .contains("I look.", "toolu_02", "no hands")
                .doesNotContain("cache_control", "thinking", "reasoning\"", "is_error", "EqQB");
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '^', textBlock = """
            OLLAMA       | {'type':'enabled','budget_tokens':2000} | think                  | true
            OLLAMA       | {'type':'disabled'}                     | think                  | false
            OLLAMA       | {'type':'adaptive'}                     | think                  |
            LLAMA_SERVER | {'type':'enabled','budget_tokens':2000} | thinking_budget_tokens | 2000
            LLAMA_SERVER | {'type':'enabled','budget_tokens':2000} | reasoning_effort       |
            LLAMA_SERVER | {'type':'disabled'}                     | reasoning_effort       | none
            LLAMA_SERVER | {'type':'adaptive'}                     | reasoning_effort       |
            ANTHROPIC    | {'type':'disabled'}                     | thinking               | {'type':'disabled'}
            """)
    void thinking_is_in_the_servers_terms(Backend backend, String thinking, String field, String value)
            throws WireProtocol.Unsupported {
        JsonNode body = at(
                backend,
                ("{'model':'m','max_tokens':9,'messages':[{'role':'user','content':'Hi'}],'thinking':" + thinking + "}")
                        .replace('\'', '"'));

        assertThat(body.has(field) ? body.get(field).toString().replace("\"", "") : null)
                .isEqualTo(value == null ? null : value.replace("'", ""));
    }

    private static JsonNode at(Backend backend, String document) throws WireProtocol.Unsupported {
        PromptJob job = job(document);
        WireProtocol.Request request =
                FormatRig.protocol(backend).request(Prompt.of(Task.CHAT, "m", job.body(), Map.of(), Map.of(), 0));
        return json(request.bodies().getFirst().toString());
    }

    private static PromptJob job(String document) {
        JsonNode chat = switch (MessagesRequest.parse(
                document.getBytes(StandardCharsets.UTF_8), Purpose.ANSWER, AllowedHosts.NONE)) {
            case Parsed.Valid valid -> valid.chat();
            case Parsed.Refused(JobFailure failure) -> throw new AssertionError(failure);
        };
        JobDocument.Parsed parsed = JobDocument.parse(
                Json.bytes(chat),
                new JobDocument.Arrival(null, new JobId("j"), Instant.EPOCH),
                new JobDocument.Defaults(Priority.NORMAL, "default", Duration.ofMinutes(1), Duration.ofMinutes(1)));
        return switch (parsed) {
            case JobDocument.Parsed.Valid(PromptJob job) -> job;
            case JobDocument.Parsed.Refused refused -> throw new AssertionError(refused);
        };
    }

    private static JsonNode json(String text) {
        return Objects.requireNonNull(Json.parseLenient(text), text);
    }
}
