package dev.penstock.node.program;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.JobFailure;
import dev.penstock.job.TokenEvent;
import dev.penstock.job.Usage;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Tests the output of the programs of llama.cpp 0.7.0, cut anywhere. */
class TextOutputTest {
    private static final String BANNER = """


            Loading model...\s

            ▄▄ ▄▄

            build      : b11669
            model      : a.gguf

            available commands:
              /exit or Ctrl+C     stop or exit


            """;
    private static final String FAREWELL = "\n\nExiting...\n";
    private static final String PROMPT = "Say \"it\"\n> -- é";
    private static final String ECHO = "\n> " + PROMPT + "\n";

    private static final String FIGURES = "0.1 I slot print_timing: |        eval time =  2.41 ms /    3 tokens";
    private static final String RUNS = "0.1 I common_perf_print:        eval time =       1.40 ms /    51 runs";

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 7, 10_000})
    void an_answer_is_what_follows_the_prompt(int size) {
        List<TokenEvent> said = chat(BANNER + ECHO + " é 😀\n\n> ok\n\nExit" + "\n" + FAREWELL, size, 0, null, FIGURES);

        assertThat(text(said, TokenEvent.Field.CONTENT)).isEqualTo(" é 😀\n\n> ok\n\nExit");
        assertThat(said).endsWith(new TokenEvent.Finish(0, "stop"), new TokenEvent.End());
        assertThat(said.getFirst()).isEqualTo(new TokenEvent.Role(0));
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 5, 10_000})
    void thoughts_are_reasoning(int size) {
        String thinking = "\n[Start thinking]\n\nhm [End\n[End thinking]\n\n yes";

        List<TokenEvent> whole = chat(BANNER + ECHO + thinking + "\n" + FAREWELL, size, 0, null, FIGURES);
        List<TokenEvent> cut =
                chat(BANNER + ECHO + "\n[Start thinking]\n\nhm, hm" + "\n" + FAREWELL, size, 0, null, FIGURES);

        assertThat(text(whole, TokenEvent.Field.REASONING)).isEqualTo("hm [End");
        assertThat(text(whole, TokenEvent.Field.CONTENT)).isEqualTo(" yes");
        assertThat(text(cut, TokenEvent.Field.REASONING)).isEqualTo("hm, hm");
        assertThat(text(cut, TokenEvent.Field.CONTENT)).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 3, 10_000})
    void a_stop_string_ends_it_wherever_it_is_cut(int size) {
        List<TokenEvent> said =
                chat(BANNER + ECHO + "one two STO three STOP four\n" + FAREWELL, size, 0, List.of("STOP", "never"));

        assertThat(text(said, TokenEvent.Field.CONTENT)).isEqualTo("one two STO three ");
        assertThat(said).endsWith(new TokenEvent.Finish(0, "stop"), new TokenEvent.End());
    }

    @Test
    void an_error_is_no_answer() {
        String printed = BANNER + ECHO
                + "Error: request (200023 tokens) exceeds the available context size (4096 tokens), try increasing it\n"
                + FAREWELL;

        List<TokenEvent> said = chat(
                printed,
                3,
                0,
                null,
                "0.00.521.563 E srv    send_error: task id = 0, error: request (200023 tokens) exceeds the available"
                        + " context size (4096 tokens), try increasing it");

        assertThat(said).singleElement().isInstanceOfSatisfying(TokenEvent.Broken.class, broken -> {
            assertThat(broken.failure().code()).isEqualTo(JobFailure.Code.CONTEXT_LENGTH_EXCEEDED);
            assertThat(broken.failure().message())
                    .startsWith("reports that the prompt has 200,023 tokens, and its limit is 4,096: ");
        });
        String counted = "0.1 I slot print_timing: |        eval time =  2.41 ms /    3 tokens";
        assertThat(text(
                        chat(BANNER + ECHO + "Error: none\n" + FAREWELL, 1, 0, null, counted),
                        TokenEvent.Field.CONTENT))
                .isEqualTo("Error: none");
    }

    @Test
    void what_was_cut_at_the_end_of_the_program_is_no_answer() {
        String refused = "Error: request (9 tokens) exceeds the available context size (4 tokens)\n";

        assertThat(completion("{\"ok\":fa", 100).getLast())
                .isInstanceOfSatisfying(
                        TokenEvent.Broken.class,
                        broken -> assertThat(broken.failure().code()).isEqualTo(JobFailure.Code.STREAM_BROKEN));
        assertThat(chat(BANNER + ECHO + refused + FAREWELL, 1, 0, null))
                .singleElement()
                .isInstanceOfSatisfying(
                        TokenEvent.Broken.class,
                        broken ->
                                assertThat(broken.failure().code()).isEqualTo(JobFailure.Code.CONTEXT_LENGTH_EXCEEDED));
    }

    @Test
    void its_count_is_the_usage_and_shows_whether_it_was_cut() {
        String[] log = {
            "0.1 I slot print_timing: id  0 | task 0 | prompt eval time =  0.79 ms /    56 tokens (0.01 ms per token)",
            "0.1 I slot print_timing: id  0 | task 0 |        eval time =  2.41 ms /    30 tokens (0.08 ms per token)",
            "0.1 I slot      release: id  0 | task 0 | stop processing: n_tokens = 85, truncated = 0"
        };

        List<TokenEvent> said = of(
                TextOutput.ofChat(PROMPT, StopStrings.of(null), OptionalLong.of(30), TextOutputTest::counted),
                BANNER + ECHO + "a\n" + FAREWELL,
                100,
                0,
                log);

        assertThat(said).contains(new TokenEvent.Spent(new Usage(56, 30)), new TokenEvent.Finish(0, "length"));
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 4, 10_000})
    void a_completion_says_whether_the_model_ended_it(int size) {
        List<TokenEvent> ended = completion(" é [end of it [end of text]\n\n\n", size);
        List<TokenEvent> cut = completion("one\n\ntwo\n\n", size);

        assertThat(text(ended, TokenEvent.Field.CONTENT)).isEqualTo(" é [end of it");
        assertThat(ended).contains(new TokenEvent.Finish(0, "stop"));
        assertThat(text(cut, TokenEvent.Field.CONTENT)).isEqualTo("one\n\ntwo");
        assertThat(cut).contains(new TokenEvent.Finish(0, "length"));
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 4, 10_000})
    void the_answer_about_images_is_read_from_the_first_byte(int size) {
        List<TokenEvent> ended = images("\na river\n\n\n", OptionalLong.empty(), size, 0, RUNS);
        List<TokenEvent> cut = images("\na river\n\n", OptionalLong.of(52), size, 0, RUNS);
        List<TokenEvent> bare = images("a river\n\n\n", OptionalLong.empty(), size, 0, RUNS);

        assertThat(text(ended, TokenEvent.Field.CONTENT)).isEqualTo("a river");
        assertThat(ended).contains(new TokenEvent.Finish(0, "stop"), new TokenEvent.Spent(new Usage(2, 52)));
        assertThat(cut).contains(new TokenEvent.Finish(0, "length"));
        assertThat(text(bare, TokenEvent.Field.CONTENT)).isEqualTo("a river");
    }

    @Test
    void images_fill_the_context() {
        String full = "0.1 W decode: failed to find a memory slot for batch of size 1";
        String failed = "0.1 E failed to decode token";

        List<TokenEvent> spoken = images("\na river", OptionalLong.empty(), 3, 1, full, failed);
        List<TokenEvent> silent = images("", OptionalLong.empty(), 3, 1, full, failed);

        assertThat(text(spoken, TokenEvent.Field.CONTENT)).isEqualTo("a river");
        assertThat(spoken).contains(new TokenEvent.Finish(0, "length"), new TokenEvent.Spent(new Usage(2, 2)));
        assertThat(failure(silent)).isEqualTo(JobFailure.Code.CONTEXT_LENGTH_EXCEEDED);
    }

    @Test
    void an_image_that_cannot_be_read_is_the_job_s_fault() {
        List<TokenEvent> said = images(
                "",
                OptionalLong.empty(),
                3,
                1,
                "0.1 E mtmd_helper_bitmap_init_from_buf: failed to decode buffer as either image/audio/video");

        assertThat(failure(said)).isEqualTo(JobFailure.Code.INVALID_REQUEST);
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 7, 10_000})
    void a_farewell_without_the_closing_figures_is_no_end(int size) {
        String progress = "0.3 I slot print_timing: id  0 | task 0 | n_gen =    386, tg = 127.91 t/s";
        String cancelled = "0.4 W srv          stop: cancel task, id_task = 0";

        assertThat(failure(chat(BANNER + ECHO + "one two\n" + FAREWELL, size, 0, null, progress, cancelled)))
                .isEqualTo(JobFailure.Code.STREAM_BROKEN);
        assertThat(failure(of(
                        TextOutput.ofCompletion(
                                "a b", false, StopStrings.of(null), OptionalLong.empty(), TextOutputTest::counted),
                        "one two [end of text]\n\n\n",
                        size,
                        0)))
                .isEqualTo(JobFailure.Code.STREAM_BROKEN);
        assertThat(failure(images("\none two\n\n\n", OptionalLong.empty(), size, 0)))
                .isEqualTo(JobFailure.Code.STREAM_BROKEN);
    }

    @Test
    void an_answer_that_a_stop_string_ends_counts_its_tokens() {
        String prompt = "0.6 I slot operator(): id 0 | new prompt, n_ctx_slot = 4096, n_keep = 0, task.n_tokens = 25";
        List<TokenEvent> counted = chat(BANNER + ECHO + "one two three STOP four", 1, 130, "STOP", prompt);
        List<TokenEvent> told = of(
                TextOutput.ofCompletion(
                        "a b", false, StopStrings.of("STOP"), OptionalLong.empty(), TextOutputTest::counted),
                "one STOP",
                1,
                130,
                RUNS);

        assertThat(counted).contains(new TokenEvent.Spent(new Usage(25, 4)), new TokenEvent.Finish(0, "stop"));
        assertThat(told).contains(new TokenEvent.Spent(new Usage(2, 52)), new TokenEvent.Finish(0, "stop"));
    }

    @Test
    void a_program_that_was_killed_has_not_finished() {
        List<TokenEvent> spoken = chat(BANNER + ECHO + "one tw", 100, 137, null);
        List<TokenEvent> silent = chat(BANNER, 100, 1, null, "0.1 E load_model: failed to load model, 'a.gguf'");

        assertThat(spoken.getLast())
                .isInstanceOfSatisfying(
                        TokenEvent.Broken.class,
                        broken -> assertThat(broken.failure().code()).isEqualTo(JobFailure.Code.STREAM_BROKEN));
        assertThat(silent.getLast()).isInstanceOfSatisfying(TokenEvent.Broken.class, broken -> {
            assertThat(broken.failure().code()).isEqualTo(JobFailure.Code.NODE_ERROR);
            assertThat(broken.failure().message()).contains("failed to load model, 'a.gguf'");
        });
    }

    /** Counts a token for each blank, and one more. */
    private static OptionalLong counted(String text) {
        return OptionalLong.of(text.chars().filter(c -> c == ' ').count() + 1);
    }

    private static JobFailure.Code failure(List<TokenEvent> said) {
        assertThat(said.getLast()).isInstanceOf(TokenEvent.Broken.class);
        return ((TokenEvent.Broken) said.getLast()).failure().code();
    }

    private static List<TokenEvent> images(String printed, OptionalLong limit, int size, int status, String... said) {
        return of(
                TextOutput.ofImages("a b", StopStrings.of(null), limit, TextOutputTest::counted),
                printed,
                size,
                status,
                said);
    }

    private static List<TokenEvent> chat(String printed, int size, int status, @Nullable Object stop, String... said) {
        return of(
                TextOutput.ofChat(PROMPT, StopStrings.of(stop), OptionalLong.empty(), TextOutputTest::counted),
                printed,
                size,
                status,
                said);
    }

    private static List<TokenEvent> completion(String printed, int size) {
        return of(
                TextOutput.ofCompletion(
                        "a b", false, StopStrings.of(null), OptionalLong.empty(), TextOutputTest::counted),
                printed,
                size,
                0,
                RUNS);
    }

    /** Lines that a program of llama.cpp prints beside its answer. */
    @Test
    void figures_that_no_program_prints_count_as_none() {
        List<TokenEvent> events = new ArrayList<>();
        LastLines said = new LastLines();
        said.add("prompt eval time = 1 ms / " + "99999999999999999999999" + " tokens");
        said.add("       eval time = 1 ms / " + "99999999999999999999999" + " tokens");
        TextOutput output =
                TextOutput.ofChat("p", StopStrings.of(null), OptionalLong.empty(), _ -> OptionalLong.empty());
        output.piece("\n> p\nHello\n\n\nExiting...\n".getBytes(StandardCharsets.UTF_8), events::add);

        output.end(0, said, events::add);

        assertThat(events).last().isInstanceOf(TokenEvent.End.class);
    }

    private static List<TokenEvent> of(TextOutput output, String printed, int size, int status, String... said) {
        List<TokenEvent> events = new ArrayList<>();
        byte[] bytes = printed.getBytes(StandardCharsets.UTF_8);
        for (int at = 0; at < bytes.length; at += size) {
            output.piece(Arrays.copyOfRange(bytes, at, Math.min(bytes.length, at + size)), events::add);
        }
        LastLines lines = new LastLines();
        for (String line : said) {
            lines.add(line);
        }
        if (!events.contains(new TokenEvent.End())) {
            output.end(status, lines, events::add);
        }
        return events;
    }

    private static String text(List<TokenEvent> said, TokenEvent.Field field) {
        StringBuilder text = new StringBuilder();
        for (TokenEvent event : said) {
            if (event instanceof TokenEvent.Text(int _, TokenEvent.Field of, String piece) && of == field) {
                text.append(piece);
            }
        }
        return text.toString();
    }
}
