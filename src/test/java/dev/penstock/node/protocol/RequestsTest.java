package dev.penstock.node.protocol;

import static dev.penstock.node.protocol.RequestRig.body;
import static dev.penstock.node.protocol.RequestRig.json;
import static dev.penstock.node.protocol.RequestRig.map;
import static dev.penstock.node.protocol.RequestRig.protocol;
import static dev.penstock.node.protocol.RequestRig.request;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.NullNode;
import dev.penstock.job.JobFailure;
import dev.penstock.job.Task;
import dev.penstock.settings.Backend;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** Tests a job's request in each backend's own form. */
class RequestsTest {
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
}
