package dev.penstock.api.ollama;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.job.JobId;
import dev.penstock.job.Priority;
import dev.penstock.job.PromptJob;
import dev.penstock.job.Task;
import dev.penstock.node.protocol.Prompt;
import dev.penstock.node.protocol.WireProtocol;
import dev.penstock.settings.Backend;
import dev.penstock.settings.NodeSettings;
import dev.penstock.wire.AllowedHosts;
import dev.penstock.wire.InvalidField;
import dev.penstock.wire.Json;
import dev.penstock.wire.document.JobDocument;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Tests Ollama's requests as bodies of direct calls. Every body is a valid job. */
class OllamaRequestsTest {
    private static final String PIXEL =
            "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

    @Test
    void a_chat_is_a_chat_and_streams_unless_it_says_no() throws InvalidField {
        assertThat(chat("{'model':'tiny','messages':[{'role':'user','content':'Hi'}]}"))
                .isEqualTo(json("{'model':'tiny','stream':true,'messages':[{'role':'user','content':'Hi'}]}"));
        assertThat(chat("{'model':'tiny','stream':false,'messages':[{'role':'user','content':'Hi'}]}")
                        .path("stream")
                        .asBoolean(true))
                .isFalse();
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '"', textBlock = """
            {'temperature':0.2}                          | {'temperature':0.2}
            {'top_p':0.9,'top_k':40,'min_p':0.05}        | {'top_p':0.9,'top_k':40,'min_p':0.05}
            {'typical_p':0.7}                            | {'typical_p':0.7}
            {'seed':42}                                  | {'seed':42}
            {'seed':-1}                                  | {}
            {'num_predict':128}                          | {'max_tokens':128}
            {'num_predict':128.0}                        | {'max_tokens':128}
            {'num_predict':-1}                           | {}
            {'num_predict':-2}                           | {}
            {'num_predict':0}                            | {}
            {'repeat_penalty':1.1,'repeat_last_n':64}    | {'repetition_penalty':1.1,'repeat_last_n':64}
            {'presence_penalty':0.5}                     | {'presence_penalty':0.5}
            {'frequency_penalty':0.5}                    | {'frequency_penalty':0.5}
            {'num_keep':5}                               | {'n_keep':5}
            {'mirostat':2,'mirostat_tau':5,'mirostat_eta':0.1} | {'mirostat':2,'mirostat_tau':5,'mirostat_eta':0.1}
            {'stop':['a','b']}                           | {'stop':['a','b']}
            {'stop':'a'}                                 | {'stop':'a'}
            {'stop':[]}                                  | {}
            {'temperature':null}                         | {}
            {'num_ctx':8192,'num_gpu':1,'use_mmap':true} | {}
            {'unheard_of':1}                             | {}
            """)
    void an_option_becomes_the_field_of_a_job(String options, String fields) throws InvalidField {
        ObjectNode body =
                chat("{'model':'tiny','messages':[{'role':'user','content':'Hi'}],'options':" + options + "}");

        body.remove(List.of("model", "stream", "messages"));
        assertThat(body).isEqualTo(json(fields));
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '"', textBlock = """
            {'temperature':'hot'}  | options.temperature: expected a number, got a string
            {'top_k':1.5}          | options.top_k: expected an integer, got a number
            {'stop':[1]}           | options.stop: expected an array of strings, got an array
            {'num_predict':'x'}    | options.num_predict: expected an integer, got a string
            []                     | options: expected an object, got an array
            """)
    void an_option_of_another_type_is_refused(String options, String message) {
        assertThatThrownBy(() ->
                        chat("{'model':'tiny','messages':[{'role':'user','content':'Hi'}],'options':" + options + "}"))
                .isInstanceOfSatisfying(
                        InvalidField.class,
                        e -> assertThat(e.failure().message()).isEqualTo(message));
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '"', textBlock = """
            'json'                                  | {'type':'json_object'}
            {'type':'object','required':['age']}    | {'type':'json_schema','json_schema':{'name':'answer','schema':{'type':'object','required':['age']}}}
            ''                                      |
            null                                    |
            """)
    void a_format_is_a_response_format(String format, String expected) throws InvalidField {
        ObjectNode body = chat("{'model':'tiny','messages':[{'role':'user','content':'Hi'}],'format':" + format + "}");

        if (expected == null) {
            assertThat(body.has("response_format")).isFalse();
        } else {
            assertThat(body.get("response_format")).isEqualTo(json(expected));
        }
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '"', textBlock = """
            true   | {'think':true}
            false  | {'think':false}
            'low'  | {'think':'low','reasoning_effort':'low'}
            'high' | {'think':'high','reasoning_effort':'high'}
            'max'  | {'think':'max','reasoning_effort':'xhigh'}
            """)
    void a_level_of_thinking_is_also_an_effort(String think, String fields) throws InvalidField {
        ObjectNode body = chat("{'model':'tiny','messages':[{'role':'user','content':'Hi'}],'think':" + think + "}");

        body.remove(List.of("model", "stream", "messages"));
        assertThat(body).isEqualTo(json(fields));
    }

    @Test
    void images_become_parts_of_the_message() throws InvalidField {
        ObjectNode body = chat("{'model':'tiny','messages':[{'role':'user','content':'What is it?','images':['%s']}]}"
                .formatted(PIXEL));

        assertThat(body.at("/messages/0/content"))
                .isEqualTo(json(
                        "[{'type':'text','text':'What is it?'},{'type':'image_url','image_url':{'url':'data:image/png;base64,%s'}}]"
                                .formatted(PIXEL)));
    }

    @Test
    void tool_calls_have_their_arguments_as_text_and_their_answers_have_their_ids() throws InvalidField {
        ObjectNode body = chat("""
                {'model':'tiny','messages':[
                  {'role':'user','content':'Weather?'},
                  {'role':'assistant','content':'','thinking':'I ask.','tool_calls':[
                    {'function':{'name':'weather','arguments':{'city':'Oslo'}}},
                    {'function':{'name':'time','arguments':{}}},
                    {'id':'call_x','function':{'name':'weather','arguments':{'city':'Rome'}}}]},
                  {'role':'tool','tool_name':'time','content':'noon'},
                  {'role':'tool','tool_name':'weather','content':'cold'},
                  {'role':'tool','tool_call_id':'call_x','content':'warm'}],
                 'tools':[{'type':'function','function':{'name':'weather','parameters':{'type':'object'}}}]}""");

        assertThat(body.path("messages")).isEqualTo(json("""
                [{'role':'user','content':'Weather?'},
                 {'role':'assistant','content':'','reasoning':'I ask.','tool_calls':[
                   {'id':'call_0','type':'function','function':{'name':'weather','arguments':'{\\"city\\":\\"Oslo\\"}'}},
                   {'id':'call_1','type':'function','function':{'name':'time','arguments':'{}'}},
                   {'id':'call_x','type':'function','function':{'name':'weather','arguments':'{\\"city\\":\\"Rome\\"}'}}]},
                 {'role':'tool','content':'noon','tool_call_id':'call_1'},
                 {'role':'tool','content':'cold','tool_call_id':'call_0'},
                 {'role':'tool','content':'warm','tool_call_id':'call_x'}]"""));
        assertThat(body.path("tools"))
                .isEqualTo(json("[{'type':'function','function':{'name':'weather','parameters':{'type':'object'}}}]"));
    }

    @Test
    void an_answer_of_a_tool_without_a_name_belongs_to_the_first_open_call() throws InvalidField {
        ObjectNode body = chat("""
                {'model':'tiny','messages':[
                  {'role':'assistant','tool_calls':[{'function':{'name':'f','arguments':{}}}]},
                  {'role':'tool','content':'1'},
                  {'role':'tool','tool_name':'g','content':'2'}]}""");

        assertThat(body.at("/messages/1/tool_call_id").asText()).isEqualTo("call_0");
        assertThat(body.at("/messages/2").toString())
                .isEqualTo("{\"role\":\"tool\",\"content\":\"2\",\"tool_name\":\"g\"}");
    }

    @Test
    void log_probabilities_pass() throws InvalidField {
        ObjectNode body =
                chat("{'model':'tiny','messages':[{'role':'user','content':'Hi'}],'logprobs':true,'top_logprobs':2}");

        assertThat(body.path("logprobs").asBoolean()).isTrue();
        assertThat(body.path("top_logprobs").asInt()).isEqualTo(2);
    }

    @Test
    void keep_alive_passes_only_if_the_configuration_allows_it() throws InvalidField {
        String request = "{'model':'tiny','keep_alive':'10m','messages':[{'role':'user','content':'Hi'}]}";

        assertThat(chat(request).has("keep_alive")).isFalse();
        Asked asked = ChatRequest.of(body(request), "tiny", Set.of("keep_alive"));
        assertThat(((Asked.Call) asked).body().path("keep_alive").asText()).isEqualTo("10m");
    }

    @Test
    void a_generation_is_a_chat_of_one_message() throws InvalidField {
        assertThat(
                        generate(
                                "{'model':'tiny','prompt':'Hi','system':'Be brief.','truncate':true,'options':{'num_predict':3}}"))
                .isEqualTo(
                        json(
                                "{'model':'tiny','stream':true,'max_tokens':3,'messages':[{'role':'system','content':'Be brief.'},{'role':'user','content':'Hi'}]}"));
        assertThat(generate("{'model':'tiny','prompt':'Hi','images':['%s']}".formatted(PIXEL))
                        .at("/messages/0/content/1/type")
                        .asText())
                .isEqualTo("image_url");
    }

    @Test
    void a_generation_with_a_suffix_is_a_completion() throws InvalidField {
        assertThat(generate("{'model':'tiny','prompt':'def f','suffix':'return 1','logprobs':true,'top_logprobs':2}"))
                .isEqualTo(json("{'model':'tiny','stream':true,'prompt':'def f','suffix':'return 1','logprobs':2}"));
    }

    /** The body has the field, so that the job is refused with the key that allows it. */
    @Test
    void a_raw_generation_needs_the_permission_for_raw() throws InvalidField {
        Asked asked = GenerateRequest.of(body("{'model':'tiny','prompt':'Hi','raw':true}"), "tiny", Set.of());
        ObjectNode body = ((Asked.Call) asked).body();

        assertThat(body.path("raw").asBoolean()).isTrue();
        assertThat(parsed(body, Set.of()))
                .isInstanceOfSatisfying(
                        JobDocument.Parsed.Refused.class,
                        refused -> assertThat(refused.failure().message())
                                .contains("raw", "penstock.jobs.allowed-fields"));
        assertThat(parsed(body, Set.of("raw"))).isInstanceOf(JobDocument.Parsed.Valid.class);
    }

    @Test
    void inputs_for_embeddings_stay_as_they_are() throws InvalidField {
        assertThat(embed("{'model':'tiny','input':['a','b'],'dimensions':8,'truncate':true}"))
                .isEqualTo(json(
                        "{'model':'tiny','stream':false,'encoding_format':'float','input':['a','b'],'dimensions':8}"));
        Asked older = EmbedRequest.one(body("{'model':'tiny','prompt':'a'}"), "tiny", Set.of());
        assertThat(((Asked.Call) older).body().path("input").asText()).isEqualTo("a");
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '"', textBlock = """
            {'model':'tiny'}                                 | load
            {'model':'tiny','messages':[],'prompt':''}       | load
            {'model':'tiny','keep_alive':'10m'}              | load
            {'model':'tiny','keep_alive':-1}                 | load
            {'model':'tiny','keep_alive':0}                  | unload
            {'model':'tiny','keep_alive':'0'}                | unload
            {'model':'tiny','keep_alive':'0s'}               | unload
            """)
    void a_request_without_a_prompt_loads_or_unloads(String request, String reason) throws InvalidField {
        assertThat(ChatRequest.of(body(request), "tiny", Set.of())).isEqualTo(new Asked.NoPrompt(reason));
        assertThat(GenerateRequest.of(body(request), "tiny", Set.of())).isEqualTo(new Asked.NoPrompt(reason));
        assertThat(EmbedRequest.one(body(request), "tiny", Set.of())).isEqualTo(new Asked.NoPrompt("load"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"{'model':'tiny'}", "{'model':'tiny','input':''}", "{'model':'tiny','input':[]}"})
    void no_input_needs_no_model(String request) throws InvalidField {
        assertThat(EmbedRequest.many(body(request), "tiny", Set.of())).isEqualTo(new Asked.NoPrompt("load"));
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '"', textBlock = """
            {'messages':'Hi'}                                                      | messages: expected an array, got a string
            {'messages':['Hi']}                                                    | messages[0]: expected an object, got a string
            {'messages':[{'content':'Hi'}]}                                        | messages[0].role: is needed
            {'messages':[{'role':'user','content':[]}]}                            | messages[0].content: expected a string, got an array
            {'messages':[{'role':'user','images':'x'}]}                            | messages[0].images: expected an array of base64 strings, got a string
            {'messages':[{'role':'user','images':['http://a/b.png']}]}             | messages[0].images[0]: expected an image in base64
            {'messages':[{'role':'assistant','tool_calls':[{'function':{'name':'f','arguments':'{}'}}]}]} | messages[0].tool_calls[0].function.arguments: expected an object, got a string
            {'messages':[{'role':'assistant','tool_calls':[{}]}]}                  | messages[0].tool_calls[0].function.name: is needed
            {'messages':[{'role':'user','content':'Hi'}],'format':'xml'}           | format: expected \\"json\\" or a JSON schema
            {'messages':[{'role':'user','content':'Hi'}],'think':'a lot'}          | think: expected true, false, low, medium, high or max
            {'messages':[{'role':'user','content':'Hi'}],'stream':'no'}            | stream: expected a boolean, got a string
            """)
    void a_mistake_in_a_chat_is_named(String request, String message) {
        assertThatThrownBy(() -> chat(request))
                .isInstanceOfSatisfying(
                        InvalidField.class,
                        e -> assertThat(e.failure().message().replace("\"", "\\\""))
                                .isEqualTo(message));
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '"', textBlock = """
            {'prompt':'Hi','context':[1,2]}        | context: is not available in this version: send the conversation to /api/chat instead
            {'prompt':'Hi','raw':true,'images':['iVBO']} | images: cannot stand beside raw, template or suffix
            {'prompt':7}                           | prompt: expected a string, got a number
            """)
    void a_mistake_in_a_generation_is_named(String request, String message) {
        assertThatThrownBy(() -> generate(request))
                .isInstanceOfSatisfying(
                        InvalidField.class,
                        e -> assertThat(e.failure().message()).isEqualTo(message));
    }

    @ParameterizedTest
    @ValueSource(strings = {"{'input':7}", "{'input':[1,2]}", "{'input':[[1,2]]}", "{'input':{}}"})
    void inputs_that_are_no_text_are_refused_as_by_ollama(String request) {
        assertThatThrownBy(() -> embed(request)).hasMessage("invalid input type");
    }

    @ParameterizedTest
    @ValueSource(strings = {"{}", "{'model':null}", "{'model':''}", "{'model':' '}"})
    void a_model_is_needed(String request) {
        assertThatThrownBy(() -> body(request).model()).hasMessage("model is required");
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "[]", "'x'", "{", "{} {}"})
    void what_is_no_object_is_refused(String request) {
        assertThatThrownBy(() -> body(request)).isInstanceOf(InvalidField.class);
    }

    /** The requests are recorded (tools-result, think-history, chat-options-all, chat-format-schema). */
    @ParameterizedTest
    @ValueSource(strings = {"""
                {'model':'tiny-tools','messages':[{'role':'user','content':'Tell me about the river'},{'role':'assistant','content':'',
                'tool_calls':[{'function':{'name':'get_weather','arguments':{'city':'Oslo'}}}]},
                {'role':'tool','tool_name':'get_weather','content':'rain'}],'stream':false,'tools':[{'type':'function',
                'function':{'name':'get_weather','description':'Weather in a city','parameters':{'type':'object',
                'properties':{'city':{'type':'string','maxLength':8}},'required':['city']}}}],'options':{'num_predict':6,'seed':2}}""", """
                {'model':'tiny-think','messages':[{'role':'user','content':'Tell me about the river'},
                {'role':'assistant','content':'Long.','thinking':'hm'},{'role':'user','content':'And stone'}],
                'stream':false,'options':{'num_predict':40,'seed':7}}""", """
                {'model':'tiny','messages':[{'role':'user','content':'Tell me about the river'}],'stream':false,'options':{
                'num_predict':8,'seed':1,'temperature':0.2,'top_k':10,'top_p':0.9,'min_p':0.05,'typical_p':0.9,'repeat_last_n':33,
                'repeat_penalty':1.2,'presence_penalty':0.5,'frequency_penalty':0.5,'num_keep':4,'stop':['zzz']}}""", """
                {'model':'tiny','messages':[{'role':'user','content':'Tell me about the river'}],'stream':false,'think':'high',
                'format':{'type':'object','properties':{'city':{'type':'string','maxLength':12}},'required':['city'],
                'additionalProperties':false},'options':{'num_predict':60,'seed':1}}"""})
    void a_chat_reaches_an_ollama_node_as_the_client_sent_it(String request)
            throws InvalidField, WireProtocol.Unsupported {
        PromptJob job = ((JobDocument.Parsed.Valid) parsed(chat(request), Set.of())).job();
        WireProtocol ollama = WireProtocol.of(NodeSettings.at(Backend.OLLAMA, URI.create("http://localhost")));

        WireProtocol.Request sent = ollama.request(Prompt.of(job.task(), "tiny", job.body(), Map.of(), Map.of(), 0));

        ObjectNode expected = (ObjectNode) json(request);
        ObjectNode body = (ObjectNode) json(sent.bodies().getFirst().toString());
        body.path("messages").forEach(message -> ((ObjectNode) message).remove("tool_call_id"));
        // a node always streams, and never cuts a prompt
        expected.put("stream", true).put("truncate", false).put("model", "tiny");
        assertThat(body).isEqualTo(expected);
        assertThat(sent.path()).isEqualTo("/api/chat");
        assertThat(sent.ignored()).isEmpty();
    }

    private static ObjectNode chat(String request) throws InvalidField {
        return valid(ChatRequest.of(body(request), "tiny", Set.of()), Task.CHAT);
    }

    private static ObjectNode generate(String request) throws InvalidField {
        Asked asked = GenerateRequest.of(body(request), "tiny", Set.of());
        return valid(asked, ((Asked.Call) asked).body().has("messages") ? Task.CHAT : Task.COMPLETION);
    }

    private static ObjectNode embed(String request) throws InvalidField {
        return valid(EmbedRequest.many(body(request), "tiny", Set.of()), Task.EMBEDDINGS);
    }

    private static ObjectNode valid(Asked asked, Task task) {
        // parsed once more, so that equal numbers have equal nodes
        ObjectNode body = (ObjectNode) json(((Asked.Call) asked).body().toString());
        assertThat(parsed(body, Set.of())).isInstanceOfSatisfying(JobDocument.Parsed.Valid.class, valid -> {
            PromptJob job = valid.job();
            assertThat(job.task()).isEqualTo(task);
        });
        return body;
    }

    private static JobDocument.Parsed parsed(ObjectNode body, Set<String> allowed) {
        return JobDocument.parse(
                Json.bytes(body),
                new JobDocument.Arrival(null, new JobId("a"), Instant.EPOCH),
                new JobDocument.Defaults(
                        Priority.NORMAL,
                        "default",
                        Duration.ofMinutes(1),
                        Duration.ofMinutes(1),
                        new JobDocument.Permissions(allowed, AllowedHosts.NONE, Set.of())));
    }

    private static OllamaBody body(String request) throws InvalidField {
        return OllamaBody.parse(request.replace('\'', '"').getBytes(StandardCharsets.UTF_8));
    }

    /** Parses JSON with single quotes. */
    private static JsonNode json(String text) {
        return Objects.requireNonNull(Json.parseLenient(text.replace('\'', '"')));
    }
}
