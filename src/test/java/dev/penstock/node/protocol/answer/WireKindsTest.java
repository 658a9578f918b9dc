package dev.penstock.node.protocol.answer;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.Answer;
import dev.penstock.job.EventMark;
import dev.penstock.job.JobEvent;
import dev.penstock.job.JobFailure;
import dev.penstock.job.JobId;
import dev.penstock.job.Task;
import dev.penstock.job.TokenEvent;
import dev.penstock.testkit.upstream.Recording;
import dev.penstock.wire.Json;
import dev.penstock.wire.document.EventDocument;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The text of a server is kept, or the attempt fails with its name: bytes in, the answer or the failure out. */
class WireKindsTest {
    private static final String DONE = "data: [DONE]\n\n";

    @ParameterizedTest
    @ValueSource(
            strings = {
                "{'delta':{'content':[{'type':'text','text':'Hello'}]}}",
                "{'delta':{'content':[{'type':'thinking','thinking':[{'type':'text','text':'Hm'}]},{'type':'output_text','text':'Hello'}],'reasoning':null}}",
                "{'delta':{'content':['Hel','lo']}}",
                "{'delta':{'content':{'type':'text','text':'Hello'}}}",
                "{'message':{'role':'assistant','content':'Hello'}}",
                "{'delta':{},'text':'Hello'}",
                "{'delta':{'content':'Hello'},'text':'Hello'}",
                "{'delta':'Hello'}"
            })
    void text_is_read_in_every_form(String choice) {
        assertThat(text(openAi(event(choice) + event(finish("stop")) + DONE), TokenEvent.Field.CONTENT))
                .isEqualTo("Hello");
    }

    @Test
    void parts_of_thinking_and_refusing_are_read_in_their_fields() {
        List<TokenEvent> said = openAi(event(
                        "{'delta':{'content':[{'type':'thinking','thinking':[{'type':'text','text':'Hm'}]},{'type':'reasoning','summary':[{'type':'summary_text','text':'.'}]},{'type':'refusal','refusal':'No'}]}}")
                + event(finish("stop"))
                + DONE);

        assertThat(text(said, TokenEvent.Field.REASONING)).isEqualTo("Hm.");
        assertThat(text(said, TokenEvent.Field.REFUSAL)).isEqualTo("No");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "{'delta':{'words':'Hello'}}|choices[0].delta.words",
                "{'delta':{'content':[{'type':'poem','lines':['Hello']}]}}|choices[0].delta.content[0] of type poem.lines",
                "{'delta':{'content':5}}|choices[0].delta.content (a number)",
                "{'delta':{'audio':{'transcript':'Hello'}}}|choices[0].delta.audio",
                "{'delta':{'tool_calls':[{'index':0,'id':'a','custom':{'input':'x'}}]}}|tool_calls[0].custom",
                "{'delta':{},'generated':'Hello'}|choices[0].generated"
            })
    void text_that_no_parser_knows_is_a_failure_with_its_name(String choice, String name) {
        JobFailure failure = failure(openAi(event(choice) + event(finish("stop")) + DONE));

        assertThat(failure.code()).isEqualTo(JobFailure.Code.NODE_ERROR);
        assertThat(failure.message()).contains(name);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "{'token':{'text':'Hello'}}",
                "{'content':'Hello','stop':false}",
                "{'choices':[],'output_text':'Hello'}",
                "{'choices':['Hello']}"
            })
    void text_beside_the_choices_is_a_failure(String chunk) {
        assertThat(failure(openAi("data: " + quoted(chunk) + "\n\n" + event(finish("stop")) + DONE))
                        .message())
                .contains("field that is not known");
    }

    @Test
    void what_stands_beside_an_answer_is_no_failure() {
        String choice =
                "{'delta':{'role':'assistant','content':'Hello','annotations':[{'title':'x'}],'audio':null},'stop_reason':'</s>','token_ids':[1],'content_filter_results':{'hate':{'severity':'safe'}},'native_finish_reason':'STOP'}";
        assertThat(text(openAi(event(choice) + event(finish("stop")) + DONE), TokenEvent.Field.CONTENT))
                .isEqualTo("Hello");
    }

    @Test
    void the_whole_message_after_its_deltas_counts_once() {
        String deltas = event("{'delta':{'content':'Hel'}}") + event("{'delta':{'content':'lo'}}");
        String whole = "{'message':{'role':'assistant','content':'%s'},'finish_reason':'stop'}";

        assertThat(text(openAi(deltas + event(whole.formatted("Hello!"))), TokenEvent.Field.CONTENT))
                .isEqualTo("Hello!");
        assertThat(failure(openAi(deltas + event(whole.formatted("Bye")))).message())
                .contains("choices[0].message");
    }

    /** A server sends a whole document in place of a stream, also over several lines. */
    @Test
    void a_plain_document_is_the_answer() {
        String body = quoted(
                "{\n 'id':'x','choices':[\n {'index':0,'message':{'role':'assistant','content':'Hello'},'finish_reason':'stop'}],\n 'usage':{'prompt_tokens':1,'completion_tokens':2}\n}");

        assertThat(text(openAi(body), TokenEvent.Field.CONTENT)).isEqualTo("Hello");
        assertThat(openAi(body)).last().isInstanceOf(TokenEvent.End.class);
        String ollama = quoted(
                "{\n 'model':'m','message':{'role':'assistant','content':[{'type':'text','text':'Hello'}]},\n 'done':true,'done_reason':'stop'\n}");
        assertThat(text(ollama(ollama), TokenEvent.Field.CONTENT)).isEqualTo("Hello");
        String anthropic = quoted(
                "{'type':'message','id':'m','role':'assistant','content':[{'type':'text','text':'Hello'}],'stop_reason':'end_turn','usage':{'input_tokens':1,'output_tokens':1}}");
        assertThat(text(anthropic(anthropic), TokenEvent.Field.CONTENT)).isEqualTo("Hello");
        assertThat(anthropic(anthropic)).last().isInstanceOf(TokenEvent.End.class);
    }

    @Test
    void lines_and_blocks_of_others_fail_by_name_too() {
        assertThat(failure(ollama(quoted("{'message':{'role':'assistant','poem':'Hello'},'done':false}\n")))
                        .message())
                .contains("message.poem");
        assertThat(failure(anthropic("data: "
                                + quoted(
                                        "{'type':'content_block_start','index':0,'content_block':{'type':'poem','lines':'Hello'}}")
                                + "\n\n"))
                        .message())
                .contains("content_block of type poem.lines");
        assertThat(failure(anthropic("data: "
                                + quoted(
                                        "{'type':'content_block_delta','index':0,'delta':{'type':'poem_delta','poem':'Hello'}}")
                                + "\n\n"))
                        .message())
                .contains("delta.poem");
    }

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

    @Test
    void an_empty_reason_is_no_end() {
        String going = "{'delta':{'content':'x'},'finish_reason':''}";
        List<TokenEvent> said = openAi(event(going) + event(going) + event(finish("stop")) + DONE);

        assertThat(said).filteredOn(event -> event instanceof TokenEvent.Finish).hasSize(1);
        assertThat(text(said, TokenEvent.Field.CONTENT)).isEqualTo("xx");
        assertThat(openAi(event(going) + DONE)).last().isInstanceOf(TokenEvent.Broken.class);
    }

    @ParameterizedTest
    @CsvSource({
        "end_turn, stop",
        "STOP, stop",
        "COMPLETE, stop",
        "eos, stop",
        "max_tokens, length",
        "MAX_TOKENS, length",
        "tool_use, tool_calls",
        "function_call, tool_calls",
        "SAFETY, content_filter"
    })
    void the_usual_words_are_mapped(String said, String reason) {
        assertThat(openAi(event(finish(said)) + DONE)).contains(new TokenEvent.Finish(0, reason));
    }

    @Test
    void a_reason_for_every_choice_and_a_clean_end_is_whole() {
        String one = event("{'index':0,'delta':{'content':'a'},'finish_reason':'stop'}");
        String two = event("{'index':1,'delta':{'content':'b'},'finish_reason':'stop'}");

        assertThat(openAi(one)).last().isInstanceOf(TokenEvent.End.class);
        assertThat(read(new OpenAiStream(true, 2), one + two)).last().isInstanceOf(TokenEvent.End.class);
        assertThat(failure(read(new OpenAiStream(true, 2), one + DONE)).message())
                .contains("1 of 2 choices");
        assertThat(failure(openAi(event("{'delta':{'content':'a'}}"))).message())
                .contains("finish_reason");
    }

    @ParameterizedTest
    @MethodSource("framings")
    void every_framing_says_the_same(String body) {
        assertThat(text(openAi(body), TokenEvent.Field.CONTENT)).isEqualTo("Hello");
        assertThat(openAi(body)).last().isInstanceOf(TokenEvent.End.class);
    }

    static Stream<String> framings() {
        String plain = event("{'delta':{'content':'Hel'}}") + ": ping\n\n" + event("{'delta':{'content':'lo'}}")
                + event(finish("stop")) + DONE;
        return Stream.of(
                plain,
                "\uFEFF" + plain,
                plain.replace("\n", "\r"),
                plain.replace("\n", "\r\n"),
                plain.replace("data: ", "data:"),
                plain.replace("data: ", "event: message\nid: 1\nretry: 5\nodd\ndata: "),
                plain.replace("\"delta\"", "\ndata: \"delta\""),
                plain.replace("\n\n", "\n").replace(": ping\n", ": ping\n\n"),
                plain.stripTrailing(),
                "data: null\n\ndata:\n\n" + plain);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "{'error':{'message':'no words','code':400}}|INVALID_REQUEST",
                "{'error':{'message':'no words','type':'overloaded_error'}}|NODE_OVERLOADED",
                "{'error':'no words'}|NODE_ERROR",
                "{'object':'error','message':'no words','type':'BadRequestError','code':400}|INVALID_REQUEST",
                "{'detail':'no words'}|NODE_ERROR",
                "{'detail':[{'loc':['body'],'msg':'no words'}]}|NODE_ERROR",
                "{'message':'no words','code':'503'}|NODE_OVERLOADED",
                "{'errors':[{'message':'no words'}]}|NODE_ERROR",
                "[{'error':{'code':429,'message':'no words','status':'RESOURCE_EXHAUSTED'}}]|NODE_OVERLOADED",
                "{'error':'{\\\"error\\\":{\\\"message\\\":\\\"no words\\\"}}'}|NODE_ERROR",
                "{'error':{'message':'maximum context length is 10, no words'}}|CONTEXT_LENGTH_EXCEEDED",
                "{'error':{'message':'{\\\"error\\\":{\\\"code\\\":\\\"context_length_exceeded\\\",\\\"message\\\":\\\"no words\\\"}}'}}|CONTEXT_LENGTH_EXCEEDED",
                "{'error':{'code':'context_length_exceeded','message':'no words'}}|CONTEXT_LENGTH_EXCEEDED",
                "{'object':'error','code':400,'message':'prompt exceeds the context window, no words'}|CONTEXT_LENGTH_EXCEEDED"
            })
    void a_servers_own_words_at_status_200_are_the_failure(String document, JobFailure.Code code) {
        String json = quoted(document);
        for (String body : List.of(
                json,
                "data: " + json + "\n\n",
                "event: error\ndata: " + json + "\n\n",
                json.replaceFirst("\\{", "{\n "))) {
            JobFailure failure = failure(openAi(body));
            assertThat(failure.message()).as(body).contains("no words");
            assertThat(failure.code()).as("%s: %s", body, failure).isEqualTo(code);
        }
        if (!json.startsWith("[")) {
            assertThat(failure(ollama(json)).message()).contains("no words");
            assertThat(failure(anthropic("data: " + json + "\n\n")).message()).contains("no words");
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "event: error\ndata: upstream is gone\n\n",
                "error: {\"code\":500,\"message\":\"upstream is gone\"}\n\n",
                "upstream is gone\n",
                "event: error\ndata: {\"message\":\"upstream is gone\"}\n\n"
            })
    void words_outside_of_json_are_the_failure_too(String body) {
        assertThat(failure(openAi(body)).message()).contains("upstream is gone");
    }

    @ParameterizedTest
    @CsvSource({"200", "400", "413", "422", "500", "503"})
    void a_context_that_overflows_is_known_by_its_code_at_every_status(int status) {
        String body = "{\"error\":{\"message\":\"Too much.\",\"code\":\"context_length_exceeded\"}}";
        assertThat(ServerErrors.meaning(status, body, false)).isInstanceOf(ServerErrors.Meaning.PromptTooLong.class);
    }

    @Test
    void halves_of_characters_wait_for_each_other() {
        String half = "{'delta':{'content':'a\\ud83d'}}";
        String other = "{'delta':{'content':'\\ude00b'}}";
        String thought = "{'delta':{'reasoning':'x\\ud83d'}}";
        String call =
                "{'delta':{'tool_calls':[{'index':0,'id':'a','function':{'name':'f','arguments':'\\\"\\ud83d'}}]}}";
        String rest = "{'delta':{'tool_calls':[{'index':0,'function':{'arguments':'\\ude00\\\"'}}]}}";
        List<TokenEvent> said = openAi(event(half)
                + event(thought)
                + event(call)
                + event(other)
                + event("{'delta':{'reasoning':'\\ude01'}}")
                + event(rest)
                + event(finish("stop"))
                + DONE);

        assertThat(text(said, TokenEvent.Field.CONTENT)).isEqualTo("a\ud83d\ude00b");
        assertThat(text(said, TokenEvent.Field.REASONING)).isEqualTo("x\ud83d\ude01");
        assertThat(calls(said).getFirst().arguments()).isEqualTo("\"\ud83d\ude00\"");
        assertThat(said).allSatisfy(event -> {
            if (event instanceof TokenEvent.Text text) {
                assertThat(StandardCharsets.UTF_8.newEncoder().canEncode(text.text()))
                        .isTrue();
            } else if (event instanceof TokenEvent.ToolCall piece) {
                assertThat(StandardCharsets.UTF_8.newEncoder().canEncode(piece.arguments()))
                        .isTrue();
            }
        });
        assertThat(text(openAi(event(half) + event(finish("stop")) + DONE), TokenEvent.Field.CONTENT))
                .as("the server leaves it unpaired")
                .isEqualTo("a\ud83d");
        assertChunksAreTheMessage(said);
    }

    /** Every recorded answer of status 200, in the dialect of its path. */
    @ParameterizedTest
    @MethodSource("recordings")
    void no_recorded_answer_has_text_that_is_not_known(String name) {
        String body = Recording.of(name).body();
        boolean stream = body.contains("\"choices\"") || body.contains("\"done\"") || body.contains("message_start");
        List<TokenEvent> said = name.contains("anthropic")
                ? anthropic(body)
                : body.contains("\"choices\"") ? openAi(body) : stream ? ollama(body) : List.of();

        assertThat(said)
                .noneMatch(event -> event instanceof TokenEvent.Broken(JobFailure failure)
                        && failure.message().contains("field that is not known"));
    }

    static List<String> recordings() throws IOException {
        Path root = Path.of("src/test/resources/recordings");
        try (Stream<Path> files = Files.walk(root)) {
            return files.filter(file -> file.toString().endsWith(".txt"))
                    .map(file -> root.relativize(file).toString().replace(".txt", ""))
                    .filter(name -> Recording.of(name).status() == 200)
                    .sorted()
                    .toList();
        }
    }

    private static void assertChunksAreTheMessage(List<TokenEvent> said) {
        Answer.Head head = new Answer.Head("id", 1, "m", Task.CHAT);
        Map<Integer, StringBuilder> arguments = new TreeMap<>();
        Map<Integer, StringBuilder> ids = new TreeMap<>();
        StringBuilder content = new StringBuilder();
        Answer.Builder builder = new Answer.Builder();
        for (TokenEvent event : said) {
            builder.add(event);
            JsonNode delta = document(new JobEvent.Chunk(head, List.of(event)))
                    .path("choices")
                    .path(0)
                    .path("delta");
            content.append(delta.path("content").asText(""));
            for (JsonNode call : delta.path("tool_calls")) {
                int index = call.path("index").asInt();
                ids.computeIfAbsent(index, _ -> new StringBuilder())
                        .append(call.path("id").asText(""));
                arguments
                        .computeIfAbsent(index, _ -> new StringBuilder())
                        .append(call.path("function").path("name").asText(""))
                        .append(call.path("function").path("arguments").asText(""));
            }
        }
        JsonNode message = document(new JobEvent.Completed(
                        builder.build(head),
                        false,
                        new JobEvent.Execution("n", "vllm", "m", 1, 2L, 3, 1, List.of()),
                        Map.of()))
                .path("choices")
                .path(0)
                .path("message");
        assertThat(message.path("content").asText("")).isIn(content.toString(), "null");
        int at = 0;
        for (JsonNode call : message.path("tool_calls")) {
            assertThat(call.path("id").asText()).isEqualTo(String.valueOf(ids.get(at)));
            assertThat(call.path("function").path("name").asText()
                            + call.path("function").path("arguments").asText())
                    .isEqualTo(String.valueOf(arguments.get(at++)));
        }
        assertThat(at).isEqualTo(ids.size());
    }

    private static JsonNode document(JobEvent event) {
        byte[] bytes = EventDocument.write(new JobId("j"), new EventMark(event.kind(), 1, "r", 1), event);
        return Objects.requireNonNull(Json.parseLenient(new String(bytes, StandardCharsets.UTF_8)));
    }

    private static String finish(String reason) {
        return "{'delta':{},'finish_reason':'%s'}".formatted(reason);
    }

    private static String event(String choice) {
        return "data: {\"id\":\"chatcmpl-1\",\"choices\":[" + quoted(choice) + "]}\n\n";
    }

    private static String quoted(String json) {
        return json.replace('\'', '"');
    }

    private static List<TokenEvent> openAi(String body) {
        return read(new OpenAiStream(true, 1), body);
    }

    private static List<TokenEvent> ollama(String body) {
        return read(new OllamaStream(true), body);
    }

    private static List<TokenEvent> anthropic(String body) {
        return read(new AnthropicStream(), body);
    }

    private static List<TokenEvent> read(AnswerParser parser, String body) {
        List<TokenEvent> events = new ArrayList<>();
        WholeCharacters whole = new WholeCharacters(events::add);
        Cutter cutter = parser.cutter(1 << 20, whole);
        for (byte b : body.getBytes(StandardCharsets.UTF_8)) {
            assertThat(cutter.feed(new byte[] {b})).isTrue();
        }
        cutter.end();
        parser.end(whole);
        return events;
    }

    private static String text(List<TokenEvent> events, TokenEvent.Field field) {
        StringBuilder text = new StringBuilder();
        for (TokenEvent event : events) {
            if (event instanceof TokenEvent.Text(int _, TokenEvent.Field of, String words) && of == field) {
                text.append(words);
            }
        }
        return text.toString();
    }

    private static List<Answer.ToolCall> calls(List<TokenEvent> events) {
        Answer.Builder builder = new Answer.Builder();
        events.forEach(builder::add);
        return builder.build(new Answer.Head("id", 1, "m", Task.CHAT))
                .choices()
                .getFirst()
                .toolCalls();
    }

    private static JobFailure failure(List<TokenEvent> events) {
        return events.stream()
                .filter(event -> event instanceof TokenEvent.Broken)
                .map(event -> ((TokenEvent.Broken) event).failure())
                .findFirst()
                .orElseThrow(() -> new AssertionError("no failure in " + events));
    }
}
