package dev.penstock.node.protocol.answer;

import static dev.penstock.node.protocol.answer.AnswerRig.DONE;
import static dev.penstock.node.protocol.answer.AnswerRig.anthropic;
import static dev.penstock.node.protocol.answer.AnswerRig.assertChunksAreTheMessage;
import static dev.penstock.node.protocol.answer.AnswerRig.calls;
import static dev.penstock.node.protocol.answer.AnswerRig.event;
import static dev.penstock.node.protocol.answer.AnswerRig.failure;
import static dev.penstock.node.protocol.answer.AnswerRig.finish;
import static dev.penstock.node.protocol.answer.AnswerRig.ollama;
import static dev.penstock.node.protocol.answer.AnswerRig.openAi;
import static dev.penstock.node.protocol.answer.AnswerRig.quoted;
import static dev.penstock.node.protocol.answer.AnswerRig.read;
import static dev.penstock.node.protocol.answer.AnswerRig.text;
import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.JobFailure;
import dev.penstock.job.TokenEvent;
import dev.penstock.testkit.upstream.Recording;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The text of a server is kept, or the attempt fails with its name: bytes in, the answer or the failure out. */
class WireKindsTest {
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
}
