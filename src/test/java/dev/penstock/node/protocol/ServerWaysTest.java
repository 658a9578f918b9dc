package dev.penstock.node.protocol;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.Answer;
import dev.penstock.job.JobFailure;
import dev.penstock.job.Task;
import dev.penstock.job.TokenEvent;
import dev.penstock.job.Usage;
import dev.penstock.node.http.NodeErrors;
import dev.penstock.node.protocol.answer.AnswerParser;
import dev.penstock.node.protocol.answer.Cutter;
import dev.penstock.settings.Backend;
import dev.penstock.settings.NodeSettings;
import dev.penstock.testkit.upstream.Recording;
import dev.penstock.wire.Json;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Tests the peculiarities of each kind of server, as bytes through its parser or as a request to it. */
class ServerWaysTest {
    /** The answer of llama-server 0.7.0 to two prompts, without its timings. */
    private static final String TWO_PROMPTS = """
            data: null

            data: {"choices":[{"text":" being","index":0,"logprobs":null,"finish_reason":null}],"model":"tiny"}

            data: {"choices":[{"text":" has","index":1,"logprobs":null,"finish_reason":null}],"model":"tiny"}

            data: {"choices":[{"text":"","index":0,"logprobs":null,"finish_reason":"length"}],"model":"tiny","usage":{"completion_tokens":3,"prompt_tokens":2,"total_tokens":5,"prompt_tokens_details":{"cached_tokens":1}}}

            data: {"choices":[{"text":"","index":1,"logprobs":null,"finish_reason":"length"}],"model":"tiny","usage":{"completion_tokens":4,"prompt_tokens":5,"total_tokens":9,"prompt_tokens_details":{"cached_tokens":2}}}

            data: [DONE]

            """;

    /** The answer of llama-server 0.7.0 to a chat with n 2. */
    private static final String TWO_CHOICES = """
            data: {"choices":[{"finish_reason":null,"index":1,"delta":{"role":"assistant","content":"a"}}]}

            data: {"choices":[{"finish_reason":null,"index":0,"delta":{"role":"assistant","content":"b"}}]}

            data: {"choices":[{"finish_reason":"length","index":1,"delta":{}}]}

            data: {"choices":[],"usage":{"completion_tokens":2,"prompt_tokens":21,"total_tokens":23,"prompt_tokens_details":{"cached_tokens":0}}}

            data: {"choices":[{"finish_reason":"length","index":0,"delta":{}}]}

            data: {"choices":[],"usage":{"completion_tokens":2,"prompt_tokens":21,"total_tokens":23,"prompt_tokens_details":{"cached_tokens":0}}}

            data: [DONE]

            """;

    @Test
    void several_prompts_at_llama_server() throws Exception {
        Prompt prompt = prompt(Task.COMPLETION, "{\"prompt\":[\"a\",\"bb\"]}");

        List<TokenEvent> said = said(Backend.LLAMA_SERVER, prompt, TWO_PROMPTS);

        assertThat(said).endsWith(new TokenEvent.End());
        assertThat(answer(said).usage()).isEqualTo(new Usage(7, 7, 3));
        assertThat(answer(said).choices()).hasSize(2);
    }

    @Test
    void several_choices_at_llama_server() throws Exception {
        List<TokenEvent> said = said(Backend.LLAMA_SERVER, prompt(Task.CHAT, "{\"messages\":[],\"n\":2}"), TWO_CHOICES);

        assertThat(said).endsWith(new TokenEvent.End());
        assertThat(answer(said).usage()).isEqualTo(new Usage(42, 4));
    }

    /** vLLM's continuous_usage_stats: each report covers the whole answer so far. */
    @Test
    void usage_of_the_whole_answer_so_far_is_not_added_up() throws Exception {
        String body = """
                data: {"choices":[{"index":0,"delta":{"content":"a"}}],"usage":{"prompt_tokens":5,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":4}}}

                data: {"choices":[{"index":0,"delta":{"content":"b"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":2,"completion_tokens_details":{"reasoning_tokens":1}}}

                data: {"choices":[],"usage":{"prompt_tokens":0,"completion_tokens":0,"prompt_tokens_details":null,"completion_tokens_details":null}}

                data: [DONE]

                """;

        Answer answer = answer(said(Backend.VLLM, chat(), body));

        assertThat(answer.usage()).isEqualTo(new Usage(5, 2, 4, 1));
    }

    @ParameterizedTest
    @CsvSource({"none, /reasoning_effort", "high, /chat_template_kwargs/reasoning_effort"})
    void llama_server_turns_thinking_off_by_its_own_field(String effort, String place) throws Exception {
        JsonNode body = request(
                Backend.LLAMA_SERVER,
                prompt(Task.CHAT, "{\"messages\":[],\"reasoning_effort\":\"%s\"}".formatted(effort)));

        assertThat(body.at(place).asText()).isEqualTo(effort);
        assertThat(body.toString()).containsOnlyOnce("reasoning_effort");
    }

    @ParameterizedTest
    @EnumSource(names = {"CHAT", "COMPLETION", "EMBEDDINGS"})
    void a_path_that_vllm_does_not_serve_sends_the_job_to_another_node(Task task) {
        NodeSettings node = node(Backend.VLLM);
        Prompt prompt = new Prompt(task, "e5", Map.of(), Map.of(), Map.of(), 0, null);
        NodeErrors errors = new NodeErrors(node, WireProtocol.of(node));

        JobFailure failure = errors.refused(404, "{\"detail\":\"Not Found\"}", prompt);

        assertThat(failure.code()).isEqualTo(JobFailure.Code.MODEL_NOT_FOUND);
        assertThat(failure.message()).contains("'e5'", "'vllm'", "Not Found");
        assertThat(errors.refused(404, "{\"detail\":\"Not Found\"}", null).code())
                .isEqualTo(JobFailure.Code.NODE_ERROR);
    }

    @Test
    void ollamas_repeat_limit_says_so() throws Exception {
        assertThat(said(
                                Backend.OLLAMA,
                                chat(),
                                Recording.of("ollama/repeat-limit-stream").body())
                        .getLast())
                .isInstanceOfSatisfying(TokenEvent.Broken.class, broken -> {
                    assertThat(broken.failure().code()).isEqualTo(JobFailure.Code.STREAM_BROKEN);
                    assertThat(broken.failure().message()).contains("stopped the answer at its repeat limit");
                });
        assertThat(said(
                                Backend.OLLAMA,
                                chat(),
                                "{\"message\":{\"role\":\"assistant\",\"content\":\"a a\"},\"done\":false}")
                        .getLast())
                .isInstanceOfSatisfying(
                        TokenEvent.Broken.class,
                        broken ->
                                assertThat(broken.failure().message()).contains("without done: true", "repeat limit"));
    }

    @Test
    void logprobs_of_completions_have_the_form_of_a_chats() throws Exception {
        String vllm = """
                data: {"choices":[{"index":0,"text":" way","finish_reason":null,"logprobs":{"text_offset":[0],"token_logprobs":[-5.418337821960449],"tokens":[" way"],"top_logprobs":[{" in":-2.9605884552001953," way":-5.418337821960449}]}}]}

                data: {"choices":[{"index":0,"text":"","finish_reason":"length","logprobs":{"text_offset":[4],"token_logprobs":[null],"tokens":["bytes:\\\\xe2\\\\x82"],"top_logprobs":[null]}}]}

                data: [DONE]

                """;

        List<Object> logprobs = answer(said(Backend.VLLM, prompt(Task.COMPLETION, "{\"prompt\":\"a\"}"), vllm))
                .choices()
                .getFirst()
                .logprobs();

        assertThat(logprobs.getFirst()).hasToString("""
                        {"content":[{"token":" way","logprob":-5.418337821960449,"bytes":[32,119,97,121],"top_logprobs":[\
                        {"token":" in","logprob":-2.9605884552001953,"bytes":[32,105,110]},\
                        {"token":" way","logprob":-5.418337821960449,"bytes":[32,119,97,121]}]}]}""");
        assertThat(logprobs.get(1))
                .hasToString(
                        "{\"content\":[{\"token\":\"bytes:\\\\xe2\\\\x82\",\"logprob\":null,\"bytes\":[226,130],\"top_logprobs\":[]}]}");
    }

    @Test
    void the_digits_of_ollamas_arguments_stay() throws Exception {
        String arguments = "{\"p\":0.1234567890123456789,\"r\":1.10,\"y\":1e400,\"n\":-0}";
        String line =
                "{\"message\":{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"c1\",\"function\":{\"name\":\"f\",\"arguments\":"
                        + arguments + "}}]},\"done\":true,\"done_reason\":\"stop\"}";

        assertThat(answer(said(Backend.OLLAMA, chat(), line))
                        .choices()
                        .getFirst()
                        .toolCalls())
                .containsExactly(new Answer.ToolCall("c1", "f", arguments));
    }

    @Test
    void the_digits_of_anthropics_arguments_stay() throws Exception {
        String arguments = "{\"p\":0.1234567890123456789,\"r\":1.10,\"y\":1e400}";
        String body = """
                data: {"type":"message_start","message":{"role":"assistant","usage":{"input_tokens":15,"cache_creation_input_tokens":4,"cache_read_input_tokens":100,"output_tokens":1}}}
                data: {"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"c1","name":"f","input":%s}}
                data: {"type":"content_block_stop","index":0}
                data: {"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"input_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":null,"output_tokens":9}}
                data: {"type":"message_stop"}
                """.formatted(arguments);

        Answer answer = answer(said(Backend.ANTHROPIC, chat(), body));

        assertThat(answer.choices().getFirst().toolCalls()).containsExactly(new Answer.ToolCall("c1", "f", arguments));
        assertThat(answer.usage()).isEqualTo(new Usage(119, 9, 100));
    }

    @ParameterizedTest
    @EnumSource(value = Backend.class, names = "LLAMA_CLI", mode = EnumSource.Mode.EXCLUDE)
    void the_digits_of_a_job_stay_in_each_backends_words(Backend backend) throws Exception {
        Prompt prompt = prompt(Task.CHAT, """
                {"messages":[{"role":"user","content":"Hi"},
                  {"role":"assistant","tool_calls":[{"id":"c1","type":"function","function":{"name":"f",
                    "arguments":"{\\"p\\":0.1234567890123456789,\\"r\\":1.10,\\"y\\":1e400}"}}]},
                  {"role":"tool","tool_call_id":"c1","content":"ok"}],
                 "temperature":0.70,"top_k":40,
                 "tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","maximum":1e400,"multipleOf":0.10}}}]}""");

        String sent = WireProtocol.of(node(backend))
                .request(prompt)
                .bodies()
                .getFirst()
                .toString()
                .replace("\\\"", "\"");

        assertThat(sent)
                .contains("{\"p\":0.1234567890123456789,\"r\":1.10,\"y\":1e400}")
                .contains("\"maximum\":1e400,\"multipleOf\":0.10")
                .contains("\"temperature\":0.70");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "null",
                "[]",
                "[null,null]",
                "[0.1,null]",
                "[0.1,\"NaN\"]",
                "[0.1,1e400]",
                "\"\"",
                "\"no base64\"",
                "\"AADAfw==\"",
                "[[0.1],[0.2]]",
                "{}",
                "7"
            })
    void what_is_no_vector_is_no_answer(String vector) throws Exception {
        Prompt prompt = prompt(Task.EMBEDDINGS, "{\"input\":[\"a\",\"b\"]}");
        String openAi =
                "{\"data\":[{\"index\":0,\"embedding\":[0.5]},{\"index\":1,\"embedding\":%s}],\"usage\":{\"prompt_tokens\":2}}";

        for (Map.Entry<Backend, String> answer : Map.of(
                        Backend.VLLM, openAi, Backend.OLLAMA, "{\"embeddings\":[[0.5],%s]}")
                .entrySet()) {
            List<TokenEvent> said =
                    said(answer.getKey(), prompt, answer.getValue().formatted(vector));

            assertThat(said).noneMatch(event -> event instanceof TokenEvent.End).hasSize(1);
            assertThat(said.getLast()).isInstanceOfSatisfying(TokenEvent.Broken.class, broken -> {
                assertThat(broken.failure().code()).isEqualTo(JobFailure.Code.STREAM_BROKEN);
                assertThat(broken.failure().message()).contains("vector", "input 1");
            });
        }
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            {"data":[{"index":0,"embedding":[0.5]}]}                                     | sent 1 embeddings for 2 inputs
            {"data":[{"index":0,"embedding":[0.5]},{"index":0,"embedding":[0.5]}]}       | sent two embeddings for input 0
            {"data":[{"index":-1,"embedding":[0.5]},{"index":1,"embedding":[0.5]}]}      | sent 2 embeddings for 2 inputs
            {"data":null}                                                               | sent 0 embeddings for 2 inputs
            {"error":{"message":"out of memory","code":500}}                             | answered 200 with an error: out of memory
            [0.5]                                                                       | sent what is no JSON object: [0.5]
            """)
    void as_many_vectors_as_inputs(String document, String words) throws Exception {
        List<TokenEvent> said = said(Backend.VLLM, prompt(Task.EMBEDDINGS, "{\"input\":[\"a\",\"b\"]}"), document);

        assertThat(said)
                .singleElement()
                .isInstanceOfSatisfying(
                        TokenEvent.Broken.class,
                        broken -> assertThat(broken.failure().message()).contains(words));
    }

    @Test
    void a_vector_keeps_its_digits() throws Exception {
        List<TokenEvent> said = said(
                Backend.OLLAMA,
                prompt(Task.EMBEDDINGS, "{\"input\":\"a\"}"),
                "{\"embeddings\":[[0.10,1e-7,-0.123456789012345678]],\"prompt_eval_count\":1}");

        assertThat(answer(said).embeddings().getFirst()).hasToString("[0.10,1e-7,-0.123456789012345678]");
    }

    private static Prompt chat() throws Exception {
        return prompt(Task.CHAT, "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}");
    }

    private static Prompt prompt(Task task, String body) throws Exception {
        Map<String, Object> fields = Json.mapper()
                .convertValue(
                        Json.parseStrict(body.getBytes(StandardCharsets.UTF_8)),
                        new TypeReference<Map<String, Object>>() {});
        return Prompt.of(task, "m", fields, Map.of(), Map.of(), 0);
    }

    private static NodeSettings node(Backend backend) {
        return NodeSettings.at(backend, URI.create("http://gpu:8000"));
    }

    private static JsonNode request(Backend backend, Prompt prompt) throws Exception {
        byte[] body = WireProtocol.of(node(backend))
                .request(prompt)
                .bodies()
                .getFirst()
                .getBytes();
        return Json.parseStrict(body);
    }

    private static List<TokenEvent> said(Backend backend, Prompt prompt, String body) {
        AnswerParser parser = WireProtocol.of(node(backend)).parser(prompt);
        List<TokenEvent> events = new ArrayList<>();
        Cutter cutter = parser.cutter(1 << 20, events::add);
        cutter.feed(body.getBytes(StandardCharsets.UTF_8));
        cutter.end();
        parser.end(events::add);
        return events;
    }

    private static Answer answer(List<TokenEvent> said) {
        assertThat(said.getLast()).isInstanceOf(TokenEvent.End.class);
        Answer.Builder builder = new Answer.Builder();
        said.forEach(builder::add);
        return builder.build(new Answer.Head("id", 1, "m", Task.CHAT));
    }
}
