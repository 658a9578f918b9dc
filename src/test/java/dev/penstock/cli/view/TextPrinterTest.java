package dev.penstock.cli.view;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.cli.job.Problem;
import dev.penstock.cli.job.ValidEvent;
import dev.penstock.job.EventMark;
import dev.penstock.wire.Json;
import org.junit.jupiter.api.Test;

class TextPrinterTest {
    private final Console console = new Console();
    private final TextPrinter printer = new TextPrinter(console.terminal());

    @Test
    void the_text_as_it_comes_then_the_end_of_the_line() throws Exception {
        started(1, "");
        chunk(1, 1, "Hel");
        chunk(1, 2, "lo");
        completed(1, 3, "Hello");

        assertThat(console.out()).isEqualTo("Hello\n");
        assertThat(console.err()).isEmpty();
    }

    @Test
    void a_later_attempt_starts_over() throws Exception {
        started(1, "");
        chunk(1, 1, "Hel");
        started(2, "");
        chunk(2, 1, "Good day");
        completed(2, 2, "Good day");

        assertThat(console.out()).isEqualTo("Hel\nGood day\n");
        assertThat(console.err()).contains("attempt 2 took over at node gpu-b: the text starts over");
    }

    @Test
    void a_resumed_text_goes_on_silently() throws Exception {
        started(1, "");
        chunk(1, 1, "Hel");
        started(2, ",\"resumed_from\":{\"attempt\":1,\"seq\":1}");
        chunk(2, 1, "lo");
        completed(2, 2, "Hello");

        assertThat(console.out()).isEqualTo("Hello\n");
        assertThat(console.err()).isEmpty();
    }

    @Test
    void a_text_resumed_further_back_is_printed_anew_from_its_beginning() throws Exception {
        started(1, "");
        chunk(1, 1, "Hel");
        chunk(1, 2, "xx");
        started(2, ",\"resumed_from\":{\"attempt\":1,\"seq\":1}");
        chunk(2, 1, "lo");
        completed(2, 2, "Hello");

        assertThat(console.out()).isEqualTo("Helxx\nHello\n");
        assertThat(console.err()).contains("the text starts over");
    }

    @Test
    void a_chain_of_resumed_attempts_is_one_text() throws Exception {
        started(1, "");
        chunk(1, 1, "He");
        started(2, ",\"resumed_from\":{\"attempt\":1,\"seq\":1}");
        chunk(2, 1, "ll");
        started(3, ",\"resumed_from\":{\"attempt\":2,\"seq\":1}");
        started(4, ",\"resumed_from\":{\"attempt\":2,\"seq\":1}");
        chunk(4, 1, "o");
        completed(4, 2, "Hello");

        assertThat(console.out()).isEqualTo("Hello\n");
        assertThat(console.err()).isEmpty();
    }

    @Test
    void an_outcome_alone_holds_the_whole_text() throws Exception {
        completed(1, 9, "Hello");

        assertThat(console.out()).isEqualTo("Hello\n");
    }

    @Test
    void a_ranking_and_scores_are_lines() throws Exception {
        event(
                EventMark.Kind.COMPLETED,
                1,
                1,
                "\"results\":[{\"index\":12,\"document\":{\"text\":\"%s\\nsecond\"},\"relevance_score\":0.93},{\"index\":0,\"relevance_score\":-3.5}]"
                        .formatted("ä".repeat(90)));
        assertThat(console.out()).isEqualTo("    0.9300    12  " + "ä".repeat(80) + "…\n   -3.5000     0\n");
        assertThat(console.err()).isEmpty();
        assertThat(ScoreLines.of(
                        Json.mapper().readTree("{\"data\":[{\"index\":0,\"object\":\"score\",\"score\":0.25}]}")))
                .isEqualTo("    0.2500     0\n");
        assertThat(ScoreLines.of(Json.mapper().readTree("{\"data\":[{\"index\":0,\"embedding\":[1]}]}")))
                .isEmpty();
    }

    @Test
    void a_failure_ends_the_line() throws Exception {
        started(1, "");
        chunk(1, 1, "Hel");
        event(EventMark.Kind.FAILED, 1, 2, "\"error\":{\"message\":\"gone\"}");

        assertThat(console.out()).isEqualTo("Hel\n");
    }

    private void started(int attempt, String more) throws Problem {
        event(EventMark.Kind.STARTED, attempt, 0, "\"job\":{\"node\":\"gpu-b\"" + more + "}");
    }

    private void chunk(int attempt, long seq, String text) throws Problem {
        event(
                EventMark.Kind.CHUNK,
                attempt,
                seq,
                "\"choices\":[{\"index\":1,\"delta\":{\"content\":\"other\"}},{\"index\":0,\"delta\":{\"content\":%s}}]"
                        .formatted(quoted(text)));
    }

    private void completed(int attempt, long seq, String text) throws Problem {
        event(
                EventMark.Kind.COMPLETED,
                attempt,
                seq,
                "\"choices\":[{\"index\":0,\"message\":{\"content\":%s}}]".formatted(quoted(text)));
    }

    private static JsonNode quoted(String text) {
        return Json.mapper().getNodeFactory().textNode(text);
    }

    private void event(EventMark.Kind kind, int attempt, long seq, String fields) throws Problem {
        printer.on(new ValidEvent(
                new EventMark(kind, attempt, "run", seq), kind == EventMark.Kind.STARTED, "{" + fields + "}"));
    }
}
