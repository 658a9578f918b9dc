package dev.penstock.node.protocol;

import static dev.penstock.node.protocol.RequestRig.body;
import static dev.penstock.node.protocol.RequestRig.json;
import static dev.penstock.node.protocol.RequestRig.request;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.JobFailure;
import dev.penstock.job.Task;
import dev.penstock.settings.Backend;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Tests a job's tools in each backend's own form. */
class ToolRequestsTest {
    @ParameterizedTest
    @EnumSource(
            value = Backend.class,
            names = {"LLAMA_SERVER", "LM_STUDIO"})
    void a_named_tool_is_the_only_one_where_a_choice_is_a_word(Backend backend) throws WireProtocol.Unsupported {
        String body = """
                {"messages":[],"tools":[{"type":"function","function":{"name":"look"}},{"type":"function","function":{"name":"feel"}}],
                 "tool_choice":{"type":"function","function":{"name":"%s"}}}""";
        WireProtocol.Request request = request(backend, Task.CHAT, body.formatted("feel"));

        assertThat(body(request).path("tool_choice").asText()).isEqualTo("required");
        assertThat(body(request).path("tools")).hasSize(1);
        assertThat(body(request).at("/tools/0/function/name").asText()).isEqualTo("feel");
        assertThat(request.ignored()).isEmpty();
        assertThatThrownBy(() -> request(backend, Task.CHAT, body.formatted("smell")))
                .isInstanceOfSatisfying(
                        WireProtocol.Unsupported.class,
                        e -> assertThat(e.failure().code()).isEqualTo(JobFailure.Code.INVALID_REQUEST));
        assertThat(request(
                                backend,
                                Task.CHAT,
                                "{\"messages\":[],\"tools\":[],\"tool_choice\":{\"type\":\"allowed_tools\"}}")
                        .ignored())
                .containsExactly("tool_choice");
    }

    @ParameterizedTest
    @EnumSource(
            value = Backend.class,
            names = {"OPENAI", "AZURE_OPENAI", "VLLM"})
    void functions_are_tools(Backend backend) throws WireProtocol.Unsupported {
        String functions = "\"messages\":[],\"functions\":[{\"name\":\"look\"}],\"function_call\":";
        WireProtocol.Request named = request(backend, Task.CHAT, "{" + functions + "{\"name\":\"look\"}}");
        WireProtocol.Request both =
                request(backend, Task.CHAT, "{" + functions + "\"auto\",\"tools\":[{\"type\":\"function\"}]}");

        assertThat(body(named).path("tools"))
                .isEqualTo(json("[{\"type\":\"function\",\"function\":{\"name\":\"look\"}}]"));
        assertThat(body(named).path("tool_choice"))
                .isEqualTo(json("{\"type\":\"function\",\"function\":{\"name\":\"look\"}}"));
        assertThat(body(named).has("functions")).isFalse();
        assertThat(body(named).has("function_call")).isFalse();
        assertThat(named.ignored()).isEmpty();
        assertThat(body(request(backend, Task.CHAT, "{" + functions + "\"auto\"}"))
                        .path("tool_choice")
                        .asText())
                .isEqualTo("auto");
        assertThat(both.ignored()).containsExactly("function_call", "functions");
    }

    @Test
    void functions_stay_for_an_unknown_server() throws WireProtocol.Unsupported {
        WireProtocol.Request request = request(
                Backend.OPENAI_COMPATIBLE,
                Task.CHAT,
                "{\"messages\":[],\"functions\":[{\"name\":\"look\"}],\"function_call\":\"auto\",\"tool_choice\":\"none\"}");

        assertThat(body(request).at("/functions/0/name").asText()).isEqualTo("look");
        assertThat(body(request).path("function_call").asText()).isEqualTo("auto");
        assertThat(body(request).path("tool_choice").asText()).isEqualTo("none");
    }

    @Test
    void a_tool_call_of_the_history_in_ollamas_words() throws WireProtocol.Unsupported {
        JsonNode body = body(request(Backend.OLLAMA, Task.CHAT, """
                {"messages":[
                   {"role":"developer","content":[{"type":"text","text":"Be "},{"type":"text","text":"brief."}]},
                   {"role":"assistant","tool_calls":[{"id":"c1","function":{"name":"look","arguments":"{\\"at\\":\\"sky\\"}"}}]},
                   {"role":"tool","tool_call_id":"c1","content":"blue"}],
                 "tools":[{"type":"function","function":{"name":"look"}}],"tool_choice":"none",
                 "reasoning_effort":"none","response_format":{"type":"json_object"},"stop":"END"}"""));

        assertThat(body.at("/messages/0/role").asText()).isEqualTo("system");
        assertThat(body.at("/messages/0/content").asText()).isEqualTo("Be brief.");
        assertThat(body.at("/messages/1/tool_calls/0/function/arguments/at").asText())
                .isEqualTo("sky");
        assertThat(body.at("/messages/2/tool_name").asText()).isEqualTo("look");
        assertThat(body.has("tools")).as("tool_choice none").isFalse();
        assertThat(body.path("think").asBoolean(true)).isFalse();
        assertThat(body.at("/format/type").asText()).isEqualTo("object");
        assertThat(body.at("/options/stop/0").asText()).isEqualTo("END");
    }

    @Test
    void reasoning_of_the_history_is_thinking_at_ollama() throws WireProtocol.Unsupported {
        JsonNode body = body(request(Backend.OLLAMA, Task.CHAT, """
                {"messages":[{"role":"assistant","content":"Blue.","reasoning":"The sky."},
                             {"role":"assistant","content":"Red.","reasoning":"A","thinking":"B"},
                             {"role":"user","content":"Why?"}]}"""));

        assertThat(body.at("/messages/0/thinking").asText()).isEqualTo("The sky.");
        assertThat(body.at("/messages/0").has("reasoning")).isFalse();
        assertThat(body.at("/messages/1/thinking").asText()).isEqualTo("B");
        assertThat(body.at("/messages/2").has("thinking")).isFalse();
    }
}
