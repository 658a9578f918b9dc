package dev.penstock.node.protocol;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.NullNode;
import dev.penstock.job.JobFailure;
import dev.penstock.job.Task;
import dev.penstock.settings.Backend;
import dev.penstock.settings.NodeSettings;
import dev.penstock.testkit.upstream.Recording;
import dev.penstock.wire.Json;
import java.net.URI;
import java.util.Collections;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** Tests a job's request in each backend's own form. */
class RequestsTest {
    private static final String PNG = "iVBORw0KGgoAAAANSUhEUg==";

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            VLLM              | max_tokens:7 top_k:5 min_p:0.1 repetition_penalty:1.1                  | mirostat,unheard_of
            LLAMA_SERVER      | max_tokens:7 top_k:5 min_p:0.1 repeat_penalty:1.1 mirostat:2           | unheard_of
            LM_STUDIO         | max_tokens:7 top_k:5 repeat_penalty:1.1                                | min_p,mirostat,unheard_of
            OPENAI            | max_completion_tokens:7                                                | min_p,mirostat,repetition_penalty,top_k,unheard_of
            AZURE_OPENAI      | max_tokens:7                                                           | min_p,mirostat,repetition_penalty,top_k,unheard_of
            OPENAI_COMPATIBLE | max_tokens:7 top_k:5 min_p:0.1 repetition_penalty:1.1 mirostat:2 unheard_of:1 |
            ANTHROPIC         | max_tokens:7 top_k:5                                                   | min_p,mirostat,repetition_penalty,unheard_of
            OLLAMA            | options.num_predict:7 options.top_k:5 options.min_p:0.1 options.repeat_penalty:1.1 | mirostat,unheard_of
            """)
    void what_has_an_equivalent_is_translated_and_the_rest_is_named(Backend backend, String sent, String ignored)
            throws WireProtocol.Unsupported {
        WireProtocol.Request request = request(backend, Task.CHAT, """
                {"messages":[{"role":"user","content":"Hi"}],"max_tokens":7,"temperature":0.2,"top_k":5,"min_p":0.1,
                 "repetition_penalty":1.1,"mirostat":2,"unheard_of":1,"seed":null,"stream":true,"n":1}""");

        JsonNode body = body(request);
        for (String pair : sent.split(" ", -1)) {
            String path = "/" + pair.substring(0, pair.indexOf(':')).replace('.', '/');
            assertThat(body.at(path).asText()).as(path).isEqualTo(pair.substring(pair.indexOf(':') + 1));
        }
        assertThat(request.ignored()).containsExactly(ignored == null ? new String[0] : ignored.split(",", -1));
        for (String name : request.ignored()) {
            assertThat(body.toString()).as(name).doesNotContain("\"" + name + "\"");
        }
        assertThat(body.path("stream").asBoolean()).isTrue();
    }

    /** llama.cpp 0.7.0 always returns as many dimensions as its model has. vLLM 0.32.0 ignores best_of. */
    @Test
    void what_a_server_would_pass_over_is_named() throws WireProtocol.Unsupported {
        WireProtocol.Request embeddings = request(
                Backend.LLAMA_SERVER,
                Task.EMBEDDINGS,
                "{\"input\":\"a\",\"dimensions\":8,\"encoding_format\":\"float\"}");
        WireProtocol.Request best =
                request(Backend.VLLM, Task.COMPLETION, "{\"prompt\":\"a\",\"best_of\":3,\"echo\":true}");
        WireProtocol.Request none = request(
                Backend.LLAMA_SERVER,
                Task.COMPLETION,
                "{\"prompt\":\"a\",\"best_of\":3,\"echo\":true,\"suffix\":\"b\"}");
        WireProtocol.Request bestOfAll =
                request(Backend.OPENAI_COMPATIBLE, Task.COMPLETION, "{\"prompt\":\"a\",\"best_of\":3}");

        assertThat(embeddings.ignored()).containsExactly("dimensions");
        assertThat(best.ignored()).containsExactly("best_of");
        assertThat(body(best).path("echo").asBoolean()).isTrue();
        assertThat(none.ignored()).containsExactly("best_of", "echo", "suffix");
        assertThat(none.bodies().getFirst().toString())
                .doesNotContain("best_of")
                .doesNotContain("echo")
                .doesNotContain("suffix");
        assertThat(body(bestOfAll).path("best_of").asInt()).isEqualTo(3);
    }

    @Test
    void a_completion_of_any_json_is_a_schema_at_llama_server() throws WireProtocol.Unsupported {
        WireProtocol.Request request = request(
                Backend.LLAMA_SERVER,
                Task.COMPLETION,
                "{\"prompt\":\"a\",\"response_format\":{\"type\":\"json_object\"}}");

        assertThat(body(request).at("/json_schema/type").asText()).isEqualTo("object");
        assertThat(request.ignored()).isEmpty();
    }

    /** The form of llama.cpp. */
    @ParameterizedTest
    @CsvSource({
        "OLLAMA, CHAT, /format",
        "LM_STUDIO, CHAT, /response_format/json_schema/schema",
        "LLAMA_SERVER, CHAT, /response_format/schema",
        "LLAMA_SERVER, COMPLETION, /json_schema"
    })
    void the_schema_of_a_json_object_is_kept(Backend backend, Task task, String place) throws WireProtocol.Unsupported {
        WireProtocol.Request request = request(backend, task, asking(task, """
                {"type":"json_object","schema":{"type":"object","properties":{"a":{"type":"string"}}}}"""));

        assertThat(body(request).at(place))
                .isEqualTo(json("{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\"}}}"));
        assertThat(request.ignored()).isEmpty();
    }

    @ParameterizedTest
    @CsvSource({"OLLAMA, CHAT, format", "OLLAMA, COMPLETION, format", "LLAMA_SERVER, COMPLETION, json_schema"})
    void a_form_that_names_no_schema_is_named(Backend backend, Task task, String place)
            throws WireProtocol.Unsupported {
        for (String form :
                List.of("{\"type\":\"json_schema\"}", "{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"r\"}}")) {
            WireProtocol.Request request = request(backend, task, asking(task, form));

            assertThat(request.ignored()).containsExactly("response_format");
            assertThat(body(request).has(place)).isFalse();
        }
        assertThat(request(backend, task, asking(task, "{\"type\":\"text\"}")).ignored())
                .isEmpty();
    }

    private static String asking(Task task, String form) {
        String asked =
                task == Task.CHAT ? "\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]" : "\"prompt\":\"Hi\"";
        return "{%s,\"response_format\":%s}".formatted(asked, form);
    }

    @Test
    void a_router_lists_which_of_its_models_are_loaded() {
        JsonNode listed = json(Recording.of("llama-server/router-models").body());

        assertThat(protocol(Backend.LLAMA_SERVER).models(listed, List.of()))
                .extracting(model -> model.id() + " " + model.loaded())
                .containsExactly("tiny-a false", "tiny-b true", "tiny-think true");
    }

    @Test
    void what_ollama_says_of_a_model_is_what_it_is_for() {
        JsonNode tags = json(Recording.of("ollama/tags")
                .body()
                .replaceFirst(
                        "(\"name\":\"tiny-embed:latest\".*?\"capabilities\":)\\[\"completion\"]", "$1[\"embedding\"]"));
        JsonNode loaded = json(Recording.of("ollama/ps-loaded").body());

        Map<String, WireProtocol.Model> models = byId(protocol(Backend.OLLAMA).models(tags, List.of(loaded)));

        Set<Task> text = Set.of(Task.CHAT, Task.COMPLETION);
        assertThat(models.get("tiny:latest")).isEqualTo(new WireProtocol.Model("tiny:latest", true, 4096L, text));
        assertThat(models.get("tiny-tools-json:latest"))
                .isEqualTo(new WireProtocol.Model("tiny-tools-json:latest", false, 4096L, text));
        assertThat(models.get("tiny-embed:latest"))
                .isEqualTo(new WireProtocol.Model("tiny-embed:latest", false, 4096L, Set.of(Task.EMBEDDINGS)));
        assertThat(models.get("bad-vision:latest"))
                .isEqualTo(new WireProtocol.Model(
                        "bad-vision:latest",
                        false,
                        4096L,
                        Set.of(Task.CHAT, Task.COMPLETION, Task.DESCRIBE, Task.TAG)));
    }

    /** According to the documentation of 0.3.6 and newer; loaded_context_length came later. */
    @Test
    void what_lm_studio_says_of_its_models_is_read() {
        JsonNode listed = json("""
                {"object":"list","data":[
                  {"id":"qwen2-vl-7b-instruct","object":"model","owned_by":"organization_owner"},
                  {"id":"meta-llama-3.1-8b-instruct","object":"model","owned_by":"organization_owner"},
                  {"id":"text-embedding-nomic-embed-text-v1.5","object":"model","owned_by":"organization_owner"},
                  {"id":"new","object":"model","owned_by":"organization_owner"}]}""");
        JsonNode own = json("""
                {"object":"list","data":[
                  {"id":"qwen2-vl-7b-instruct","object":"model","type":"vlm","publisher":"mlx-community","arch":"qwen2_vl",
                   "compatibility_type":"mlx","quantization":"4bit","state":"not-loaded","max_context_length":32768},
                  {"id":"meta-llama-3.1-8b-instruct","object":"model","type":"llm","publisher":"lmstudio-community","arch":"llama",
                   "compatibility_type":"gguf","quantization":"Q4_K_M","state":"loaded","max_context_length":131072,"loaded_context_length":4096},
                  {"id":"text-embedding-nomic-embed-text-v1.5","object":"model","type":"embeddings","publisher":"nomic-ai","arch":"nomic-bert",
                   "compatibility_type":"gguf","quantization":"Q4_0","state":"not-loaded","max_context_length":2048}]}""");

        assertThat(protocol(Backend.LM_STUDIO).models(listed, List.of(own)))
                .containsExactly(
                        new WireProtocol.Model(
                                "qwen2-vl-7b-instruct",
                                false,
                                32768L,
                                Set.of(Task.CHAT, Task.COMPLETION, Task.DESCRIBE, Task.TAG)),
                        new WireProtocol.Model(
                                "meta-llama-3.1-8b-instruct", true, 4096L, Set.of(Task.CHAT, Task.COMPLETION)),
                        new WireProtocol.Model(
                                "text-embedding-nomic-embed-text-v1.5", false, 2048L, Set.of(Task.EMBEDDINGS)),
                        new WireProtocol.Model("new", true, null, EnumSet.allOf(Task.class)));
        assertThat(protocol(Backend.LM_STUDIO).models(listed, Collections.singletonList(null)))
                .as("an older one has no listing of its own")
                .hasSize(4)
                .allMatch(WireProtocol.Model::loaded);
    }

    private static Map<String, WireProtocol.Model> byId(List<WireProtocol.Model> models) {
        return models.stream().collect(Collectors.toMap(WireProtocol.Model::id, model -> model));
    }

    @ParameterizedTest
    @EnumSource(value = Backend.class, mode = EnumSource.Mode.EXCLUDE, names = "LLAMA_CLI")
    void defaults_apply_where_the_job_says_nothing_and_are_never_reported(Backend backend)
            throws WireProtocol.Unsupported {
        Map<String, Object> defaults =
                Map.of("temperature", 0.35, "max_tokens", 99, "mirostat", 0, "ctx_size", 12192, "ubatch_size", 1024);
        Prompt prompt = Prompt.of(
                Task.CHAT,
                "m",
                map("{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],\"max_completion_tokens\":7}"),
                defaults,
                Map.of("options", Map.of("num_gpu", 1), "keep_alive", "10m"),
                0);

        WireProtocol.Request request = protocol(backend).request(prompt);

        JsonNode body = body(request);
        assertThat(request.ignored()).isEmpty();
        assertThat(body.toString())
                .contains("0.35")
                .contains(":7")
                .doesNotContain("99")
                .doesNotContain("ubatch_size");
        assertThat(body.at("/keep_alive").asText()).as("extra-body").isEqualTo("10m");
        assertThat(body.at("/options/num_gpu").asInt()).isEqualTo(1);
        assertThat(body.at("/options/num_ctx").asInt()).isEqualTo(backend == Backend.OLLAMA ? 12192 : 0);
    }

    @Test
    void a_node_can_remove_a_parameter() {
        assertThat(Prompt.defaults(
                        Map.of("temperature", 0.35, "top_k", 40),
                        Map.of("temperature", NullNode.getInstance(), "top_k", 5)))
                .isEqualTo(Map.of("top_k", 5));
    }

    @Test
    void a_job_cannot_have_a_model_loaded_anew() throws WireProtocol.Unsupported {
        WireProtocol.Request request = request(
                Backend.OLLAMA,
                Task.CHAT,
                "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],\"ctx_size\":99,\"num_ctx\":77}");

        assertThat(request.ignored()).containsExactly("ctx_size", "num_ctx");
        assertThat(body(request).toString()).doesNotContain("99").doesNotContain("77");
    }

    @ParameterizedTest
    @CsvSource({
        "VLLM, /response_format/json_schema/schema/type",
        "OLLAMA, /format/type",
        "OPENAI, /response_format/json_schema/schema/type",
        "AZURE_OPENAI, /response_format/json_schema/schema/type",
        "ANTHROPIC, /output_config/format/schema/type",
        "LM_STUDIO, /response_format/json_schema/schema/type",
        "LLAMA_SERVER, /response_format/json_schema/schema/type"
    })
    void tags_are_requested_as_structured_output(Backend backend, String place) throws WireProtocol.Unsupported {
        WireProtocol.Request request = request(backend, Task.TAG, "{\"images\":[\"" + PNG + "\"]}");

        assertThat(body(request).at(place).asText()).isEqualTo("object");
        assertThat(request.ignored()).isEmpty();
    }

    @ParameterizedTest
    @EnumSource(
            value = Backend.class,
            names = {"LLAMA_CLI", "OPENAI_COMPATIBLE"},
            mode = EnumSource.Mode.EXCLUDE)
    void tags_are_requested_without_a_schema_where_the_node_configures_text(Backend backend)
            throws WireProtocol.Unsupported {
        WireProtocol.Request request = protocol(backend)
                .request(Prompt.of(
                        Task.TAG,
                        "m",
                        map("{\"images\":[\"" + PNG + "\"]}"),
                        Map.of("response_format", Map.of("type", "text")),
                        Map.of(),
                        0));

        assertThat(body(request).toString()).doesNotContain("schema").doesNotContain("\"format\"");
        assertThat(request.ignored()).isEmpty();
    }

    /** Its reasoning models refuse max_tokens. */
    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            {"messages":[],"max_tokens":7}                            | 7
            {"messages":[],"max_completion_tokens":8,"max_tokens":7}  | 8
            {"messages":[]}                                           | 99
            """)
    void a_node_whose_limit_has_the_newer_name_gets_every_limit_by_it(String asked, int limit)
            throws WireProtocol.Unsupported {
        WireProtocol.Request request = protocol(Backend.AZURE_OPENAI)
                .request(Prompt.of(Task.CHAT, "m", map(asked), Map.of("max_completion_tokens", 99), Map.of(), 0));

        assertThat(body(request).path("max_completion_tokens").asInt()).isEqualTo(limit);
        assertThat(body(request).has("max_tokens")).isFalse();
        assertThat(request.ignored()).isEmpty();
    }

    @Test
    void a_server_that_may_know_no_schema_gets_a_request_for_tags_in_words_only() throws WireProtocol.Unsupported {
        JsonNode body = body(
                request(Backend.OPENAI_COMPATIBLE, Task.TAG, "{\"images\":[\"" + PNG + "\"],\"prompt\":\"Tags?\"}"));

        assertThat(body.has("response_format")).isFalse();
        assertThat(body.at("/messages/0/content/0/text").asText())
                .startsWith("Tags?")
                .contains("JSON");
    }

    @ParameterizedTest
    @EnumSource(value = Backend.class, mode = EnumSource.Mode.EXCLUDE, names = "LLAMA_CLI")
    void an_image_is_sent_in_each_ones_form(Backend backend) throws WireProtocol.Unsupported {
        JsonNode body = body(
                request(backend, Task.DESCRIBE, "{\"images\":[\"" + PNG + "\",\"data:image/jpeg;base64,/9j/AA==\"]}"));

        String first = switch (backend) {
            case OLLAMA -> "/messages/0/images/0";
            case ANTHROPIC -> "/messages/0/content/1/source/data";
            default -> "/messages/0/content/1/image_url/url";
        };
        assertThat(body.at(first).asText()).endsWith(PNG);
        assertThat(body.toString()).contains("/9j/AA==").contains("Describe these images.");
        if (backend == Backend.ANTHROPIC) {
            assertThat(body.at("/messages/0/content/1/source/media_type").asText())
                    .isEqualTo("image/png");
            assertThat(body.at("/messages/0/content/2/source/media_type").asText())
                    .isEqualTo("image/jpeg");
        }
        if (backend == Backend.LLAMA_SERVER) {
            assertThat(body.path("cache_prompt").asBoolean(true)).isFalse();
        }
    }

    @Test
    void images_in_a_chat_take_no_cache_slot_either_and_text_does() throws WireProtocol.Unsupported {
        String image =
                "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,AAAA\"}}]}]}";
        String text = "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"Hi\"}]}]}";

        assertThat(body(request(Backend.LLAMA_SERVER, Task.CHAT, image))
                        .path("cache_prompt")
                        .asBoolean(true))
                .isFalse();
        assertThat(body(request(Backend.LLAMA_SERVER, Task.CHAT, text)).has("cache_prompt"))
                .isFalse();
    }

    @ParameterizedTest
    @EnumSource(
            value = Backend.class,
            names = {"ANTHROPIC", "LLAMA_CLI"},
            mode = EnumSource.Mode.EXCLUDE)
    void inputs_are_split_to_the_nodes_limit(Backend backend) throws WireProtocol.Unsupported {
        List<String> inputs = IntStream.range(0, 7).mapToObj(i -> "input " + i).toList();
        Prompt prompt = Prompt.of(Task.EMBEDDINGS, "m", Map.of("input", inputs), Map.of("temperature", 1), Map.of(), 3);

        WireProtocol.Request request = protocol(backend).request(prompt);

        assertThat(request.bodies()).hasSize(3);
        assertThat(request.bodies().stream()
                        .map(bytes -> json(bytes.toString()).path("input").size()))
                .containsExactly(3, 3, 1);
        assertThat(request.bodies().getLast().toString()).doesNotContain("temperature");
        for (String one : List.of("{\"input\":\"Hi\"}", "{\"input\":[1,2,3]}")) {
            assertThat(request(backend, Task.EMBEDDINGS, one).bodies()).hasSize(1);
        }
    }

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

    /** vLLM 0.32.0 ignores max_completion_tokens there. */
    @ParameterizedTest
    @EnumSource(
            value = Backend.class,
            names = {"VLLM", "LLAMA_SERVER", "LM_STUDIO", "OPENAI", "AZURE_OPENAI", "OPENAI_COMPATIBLE"})
    void a_completion_is_limited_by_the_older_name(Backend backend) throws WireProtocol.Unsupported {
        Map<String, Object> asked = map("{\"prompt\":\"Hi\",\"max_completion_tokens\":7}");

        WireProtocol.Request request = protocol(backend)
                .request(Prompt.of(Task.COMPLETION, "davinci", asked, Map.of("max_tokens", 99), Map.of(), 0));

        assertThat(request.path()).contains("/completions").doesNotContain("chat");
        assertThat(body(request).path("max_tokens").asInt()).isEqualTo(7);
        assertThat(body(request).has("max_completion_tokens")).isFalse();
        assertThat(request.ignored()).isEmpty();
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            OPENAI    | COMPLETION | {"prompt":["a","b"]}                                                              | prompt
            OLLAMA    | COMPLETION | {"prompt":["a","b"]}                                                              | prompt
            ANTHROPIC | COMPLETION | {"prompt":["a","b"]}                                                              | prompt
            OLLAMA    | CHAT | {"messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{}}]}]}      | messages
            ANTHROPIC | CHAT | {"messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{}}]}]}      | messages
            ANTHROPIC | CHAT | {"messages":[],"tools":[{"type":"custom","custom":{"name":"look"}}]}                    | tools[0]
            """)
    void what_one_kind_of_server_cannot_say_another_may(Backend backend, Task task, String body, String param) {
        assertThatThrownBy(() -> request(backend, task, body))
                .isInstanceOfSatisfying(WireProtocol.Unsupported.class, e -> {
                    assertThat(e.failure().code().remedy()).isEqualTo(JobFailure.Remedy.OTHER_NODE);
                    assertThat(e.failure().param()).isEqualTo(param);
                    assertThat(e.failure().message()).startsWith(param + ": ");
                });
    }

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

    @Test
    void any_json_is_a_schema_at_lm_studio() throws WireProtocol.Unsupported {
        JsonNode body = body(request(
                Backend.LM_STUDIO, Task.CHAT, "{\"messages\":[],\"response_format\":{\"type\":\"json_object\"}}"));

        assertThat(body.at("/response_format/type").asText()).isEqualTo("json_schema");
        assertThat(body.at("/response_format/json_schema/schema/type").asText()).isEqualTo("object");
    }

    @ParameterizedTest
    @CsvSource({"OPENAI, 3, 3", "AZURE_OPENAI, 3, 3", "OLLAMA, 3, 3", "OPENAI, 0, 0", "OLLAMA, true, 0"})
    void the_logprobs_of_a_completion_are_requested_like_a_chats(Backend backend, String asked, int top)
            throws WireProtocol.Unsupported {
        JsonNode body = body(request(backend, Task.COMPLETION, "{\"prompt\":\"a\",\"logprobs\":" + asked + "}"));

        assertThat(body.path("logprobs")).isEqualTo(json("true"));
        assertThat(body.path("top_logprobs").asInt(0)).isEqualTo(top);
        assertThat(body(request(Backend.VLLM, Task.COMPLETION, "{\"prompt\":\"a\",\"logprobs\":3}"))
                        .path("logprobs")
                        .asInt())
                .as("a completion that stays one")
                .isEqualTo(3);
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

    /** Penstock does not read the audio of a stream. */
    @ParameterizedTest
    @EnumSource(
            value = Backend.class,
            names = {"OPENAI", "AZURE_OPENAI"})
    void no_spoken_answer_is_requested(Backend backend) throws WireProtocol.Unsupported {
        WireProtocol.Request request = request(
                backend,
                Task.CHAT,
                "{\"messages\":[],\"modalities\":[\"text\",\"audio\"],\"audio\":{\"voice\":\"ash\",\"format\":\"wav\"}}");

        assertThat(request.ignored()).containsExactly("audio", "modalities");
        assertThat(body(request).has("audio")).isFalse();
        assertThat(body(request).has("modalities")).isFalse();
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
    void a_completion_at_openai_is_a_chat_unless_the_model_is_old() throws WireProtocol.Unsupported {
        String body = "{\"system\":\"Be brief.\",\"prompt\":\"Hi\"}";
        WireProtocol.Request chat = request(Backend.OPENAI, Task.COMPLETION, body);
        WireProtocol.Request old = protocol(Backend.OPENAI)
                .request(Prompt.of(Task.COMPLETION, "gpt-3.5-turbo-instruct", map(body), Map.of(), Map.of(), 0));

        assertThat(chat.path()).isEqualTo("/v1/chat/completions");
        assertThat(body(chat).at("/messages/1/content").asText()).isEqualTo("Hi");
        assertThat(old.path()).isEqualTo("/v1/completions");
        assertThat(body(old).path("prompt").asText()).isEqualTo("Be brief.\n\nHi");
    }

    @Test
    void azure_has_a_path_for_each_deployment_and_a_header_for_the_key() throws WireProtocol.Unsupported {
        WireProtocol azure = new AzureOpenAiProtocol("2025-01-01-preview");

        WireProtocol.Request request =
                azure.request(Prompt.of(Task.CHAT, "my gpt/4o", map("{\"messages\":[]}"), Map.of(), Map.of(), 0));

        assertThat(request.path())
                .isEqualTo("/openai/deployments/my%20gpt%2F4o/chat/completions?api-version=2025-01-01-preview");
        assertThatThrownBy(() ->
                        azure.request(Prompt.of(Task.CHAT, "../x", map("{\"messages\":[]}"), Map.of(), Map.of(), 0)))
                .isInstanceOf(WireProtocol.Unsupported.class);
        assertThat(azure.headers("k")).containsExactly(Map.entry("api-key", "k"));
        assertThat(new AnthropicProtocol().headers("k"))
                .containsEntry("x-api-key", "k")
                .containsKey("anthropic-version");
        assertThat(new VllmProtocol().headers("k")).containsExactly(Map.entry("Authorization", "Bearer k"));
    }

    private static WireProtocol.Request request(Backend backend, Task task, String body)
            throws WireProtocol.Unsupported {
        return protocol(backend).request(Prompt.of(task, "m", map(body), Map.of(), Map.of(), 0));
    }

    private static WireProtocol protocol(Backend backend) {
        return WireProtocol.of(NodeSettings.at(backend, URI.create("http://localhost")));
    }

    private static JsonNode body(WireProtocol.Request request) {
        return json(request.bodies().getFirst().toString());
    }

    private static JsonNode json(String text) {
        return Objects.requireNonNull(Json.parseLenient(text), text);
    }

    private static Map<String, Object> map(String text) {
        return Json.mapper().convertValue(json(text), new com.fasterxml.jackson.core.type.TypeReference<>() {});
    }
}
