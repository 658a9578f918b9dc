package dev.penstock.node.protocol;

import static dev.penstock.node.protocol.RequestRig.body;
import static dev.penstock.node.protocol.RequestRig.json;
import static dev.penstock.node.protocol.RequestRig.map;
import static dev.penstock.node.protocol.RequestRig.protocol;
import static dev.penstock.node.protocol.RequestRig.request;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.Task;
import dev.penstock.settings.Backend;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Tests a job's request in Anthropic's form. */
class AnthropicRequestsTest {
    @Test
    void anthropic_has_no_embeddings_and_another_node_may() {
        assertThatThrownBy(() -> request(Backend.ANTHROPIC, Task.EMBEDDINGS, "{\"input\":\"Hi\"}"))
                .isInstanceOfSatisfying(
                        WireProtocol.Unsupported.class,
                        e -> assertThat(e.failure().code().wireName()).isEqualTo("model_not_found"));
    }

    @Test
    void a_conversation_with_tools_in_anthropics_words() throws WireProtocol.Unsupported {
        JsonNode body = body(request(Backend.ANTHROPIC, Task.CHAT, """
                {"messages":[
                   {"role":"system","content":"Be brief."},
                   {"role":"user","content":"Weather?"},
                   {"role":"assistant","content":null,"tool_calls":[
                     {"id":"c1","type":"function","function":{"name":"look","arguments":"{\\"at\\":\\"sky\\"}"}},
                     {"id":"c2","type":"function","function":{"name":"feel","arguments":"{}"}}]},
                   {"role":"tool","tool_call_id":"c1","content":"blue"},
                   {"role":"tool","tool_call_id":"c2","content":"warm"}],
                 "tools":[{"type":"function","function":{"name":"look","description":"Looks","parameters":{"type":"object"}}}],
                 "tool_choice":"required","parallel_tool_calls":false,"stop":"END","user":"u1",
                 "thinking":{"type":"enabled","budget_tokens":2000}}"""));

        assertThat(body.at("/system/0/text").asText()).isEqualTo("Be brief.");
        assertThat(body.path("messages")).hasSize(3);
        assertThat(body.at("/messages/1/content/0/input/at").asText()).isEqualTo("sky");
        assertThat(body.at("/messages/2/content/1/tool_use_id").asText()).isEqualTo("c2");
        assertThat(body.at("/tools/0/input_schema/type").asText()).isEqualTo("object");
        assertThat(body.at("/tool_choice/type").asText()).isEqualTo("any");
        assertThat(body.at("/tool_choice/disable_parallel_tool_use").asBoolean())
                .isTrue();
        assertThat(body.at("/stop_sequences/0").asText()).isEqualTo("END");
        assertThat(body.at("/metadata/user_id").asText()).isEqualTo("u1");
        assertThat(body.at("/thinking/budget_tokens").asInt()).isEqualTo(2000);
        assertThat(body.path("max_tokens").asInt()).as("the API wants one").isPositive();
    }

    @Test
    void what_is_to_be_cached_at_anthropic_is_marked_wherever_the_job_marks_it() throws WireProtocol.Unsupported {
        JsonNode body = body(request(Backend.ANTHROPIC, Task.CHAT, """
                {"messages":[
                   {"role":"system","content":[{"type":"text","text":"Much.","cache_control":{"type":"ephemeral","ttl":"1h"}}]},
                   {"role":"user","content":"Long.","cache_control":{"type":"ephemeral"}},
                   {"role":"assistant","tool_calls":[{"id":"c1","function":{"name":"look","arguments":"{}"}}]},
                   {"role":"tool","tool_call_id":"c1","content":"blue","cache_control":{"type":"ephemeral"}},
                   {"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,aGk="},"cache_control":{"type":"ephemeral"}}]}],
                 "tools":[{"type":"function","function":{"name":"look"},"cache_control":{"type":"ephemeral"}}],
                 "cache_control":{"type":"ephemeral"}}"""));

        assertThat(body.at("/system/0/cache_control/ttl").asText()).isEqualTo("1h");
        assertThat(body.at("/messages/0/content/0/cache_control/type").asText()).isEqualTo("ephemeral");
        assertThat(body.at("/messages/2/content/0/type").asText()).isEqualTo("tool_result");
        assertThat(body.at("/messages/2/content/0/cache_control/type").asText()).isEqualTo("ephemeral");
        assertThat(body.at("/messages/2/content/1/source/data").asText()).isEqualTo("aGk=");
        assertThat(body.at("/messages/2/content/1/cache_control/type").asText()).isEqualTo("ephemeral");
        assertThat(body.at("/tools/0/cache_control/type").asText()).isEqualTo("ephemeral");
        assertThat(body.at("/cache_control/type").asText()).isEqualTo("ephemeral");
    }

    @Test
    void thinking_at_anthropic_has_room_and_comes_back_as_it_was() throws WireProtocol.Unsupported {
        Map<String, Object> asked = map("""
                {"messages":[
                   {"role":"user","content":"Weather?"},
                   {"role":"assistant","content":"I look.","reasoning":"Hm.",
                    "thinking_blocks":[{"type":"thinking","thinking":"Hm.","signature":"EqQB"},{"type":"redacted_thinking","data":"Ev0"}],
                    "tool_calls":[{"id":"c1","function":{"name":"look","arguments":"{}"}}]},
                   {"role":"tool","tool_call_id":"c1","content":"blue"}],
                 "thinking":{"type":"enabled","budget_tokens":8000},"top_p":0.97}""");
        Map<String, Object> defaults = Map.of("temperature", 0.35, "max_tokens", 2048, "top_k", 40);

        WireProtocol.Request request =
                protocol(Backend.ANTHROPIC).request(Prompt.of(Task.CHAT, "m", asked, defaults, Map.of(), 0));

        JsonNode body = body(request);
        assertThat(body.path("thinking").path("budget_tokens").asInt()).isEqualTo(8000);
        assertThat(body.path("max_tokens").asInt()).as("more than it may think").isEqualTo(10_048);
        assertThat(body.has("temperature"))
                .as("a default that the API refuses then")
                .isFalse();
        assertThat(body.has("top_k")).isFalse();
        assertThat(body.path("top_p").asDouble()).isEqualTo(0.97);
        assertThat(body.at("/messages/1/content"))
                .extracting(block -> block.path("type").asText())
                .containsExactly("thinking", "redacted_thinking", "text", "tool_use");
        assertThat(body.at("/messages/1/content/0/signature").asText()).isEqualTo("EqQB");
        assertThat(request.ignored()).isEmpty();
    }

    /** A llama-server with Anthropic's API opens the address in a block. */
    @Test
    void nothing_but_thoughts_goes_to_anthropic_as_thinking() throws WireProtocol.Unsupported {
        JsonNode body = body(request(Backend.ANTHROPIC, Task.CHAT, """
                {"messages":[{"role":"assistant","content":"I look.","thinking_blocks":[
                   {"type":"image","source":{"type":"url","url":"http://169.254.169.254/"}},
                   {"type":"thinking","thinking":"Hm.","signature":"EqQB","source":{"url":"http://169.254.169.254/"}},
                   "http://169.254.169.254/"]}]}"""));

        assertThat(body.at("/messages/0/content/0"))
                .isEqualTo(json("{\"type\":\"thinking\",\"thinking\":\"Hm.\",\"signature\":\"EqQB\"}"));
        assertThat(body.at("/messages/0/content/1/text").asText()).isEqualTo("I look.");
        assertThat(body.toString()).doesNotContain("169.254");
    }

    /** Claude's newer models answer 400 to both together. */
    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            {"temperature":0.2,"top_p":0.9} | {}                              | temperature=0.2 | top_p
            {"top_p":0.9}                   | {"temperature":0.35}            | top_p=0.9       |
            {"temperature":0.2}             | {"top_p":0.5}                   | temperature=0.2 |
            {}                              | {"temperature":0.35,"top_p":0.5} | temperature=0.35 |
            {}                              | {"top_p":0.5}                   | top_p=0.5       |
            """)
    void anthropic_gets_one_of_temperature_and_top_p(String asked, String defaults, String sent, String ignored)
            throws WireProtocol.Unsupported {
        Prompt prompt = Prompt.of(
                Task.COMPLETION, "m", OpenAiProtocol.with(map(asked), "prompt", "Hi"), map(defaults), Map.of(), 0);

        WireProtocol.Request request = protocol(Backend.ANTHROPIC).request(prompt);

        JsonNode body = body(request);
        assertThat(Stream.of("temperature", "top_p").filter(body::has).map(name -> name + "=" + body.get(name)))
                .containsExactly(sent);
        assertThat(request.ignored()).containsExactly(ignored == null ? new String[0] : new String[] {ignored});
    }
}
