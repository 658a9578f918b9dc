package dev.penstock.api.responses;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.PublishedText;
import dev.penstock.job.TokenEvent;
import java.util.List;
import org.junit.jupiter.api.Test;

/** A stream sends an answer once, even if several attempts write it. */
class FurtherAttemptsTest extends PlayedJob {
    @Test
    void a_text_that_goes_on_at_another_node_goes_on_in_the_stream() {
        started(null);
        chunk(content("Hel"));
        started(new PublishedText.Place(1, 1));
        chunk(content("lo"));
        chunk(content("."), finish("stop"));
        completed("Hello.");

        StrictReader reader = strict();

        assertThat(reader.text()).isEqualTo("Hello.");
        assertThat(reader.types().stream().filter("response.in_progress"::equals))
                .hasSize(1);
        resumesAnywhere();
    }

    @Test
    void a_text_that_goes_on_before_what_was_sent_is_sent_once() {
        started(null);
        chunk(content("Hel"));
        chunk(content("lo, w"));
        started(new PublishedText.Place(1, 1));
        chunk(content("lo, "));
        chunk(content("world"));
        completed("Hello, world");

        assertThat(strict().text()).isEqualTo("Hello, world");
        assertThat(whole())
                .filteredOn(event -> event.type().equals("response.output_text.delta"))
                .extracting(event -> event.data().path("delta").asText())
                .containsExactly("Hel", "lo, w", "orld");
        resumesAnywhere();
    }

    @Test
    void an_answer_that_starts_over_with_the_same_text_goes_on() {
        started(null);
        chunk(new TokenEvent.Text(0, TokenEvent.Field.REASONING, "Hm."), content("Hel"));
        started(null);
        chunk(new TokenEvent.Text(0, TokenEvent.Field.REASONING, "Hm"));
        chunk(new TokenEvent.Text(0, TokenEvent.Field.REASONING, "."), content("He"));
        chunk(content("llo"));
        completed("Hello");

        assertThat(strict().text()).isEqualTo("Hello");
        resumesAnywhere();
    }

    @Test
    void an_answer_that_starts_over_with_another_text_ends_the_stream_with_an_error() {
        started(null);
        chunk(content("Hel"));
        started(null);
        chunk(content("Good"));
        chunk(content(" day"), finish("stop"));
        completed("Good day");

        List<StreamEvent> all = whole();

        assertThat(all.getLast().type()).isEqualTo("error");
        assertThat(all.getLast().data().path("code").asText()).isEqualTo("stream_broken");
        new StrictReader().read(all);
        // after the error, a reader gets the end with the whole answer
        List<StreamEvent> rest = read(events, FIRST, all.getLast().number());
        assertThat(rest).extracting(StreamEvent::type).containsExactly("response.completed");
        assertThat(rest.getFirst().number()).isEqualTo(all.getLast().number() + 1);
        assertThat(rest.getFirst()
                        .data()
                        .path("response")
                        .path("output")
                        .path(0)
                        .path("content")
                        .path(0)
                        .path("text")
                        .asText())
                .isEqualTo("Good day");
    }

    @Test
    void an_answer_that_starts_over_and_is_shorter_ends_the_stream_with_an_error() {
        started(null);
        chunk(content("Hello"));
        started(null);
        chunk(content("Hel"), finish("stop"));
        completed("Hel");

        assertThat(whole().getLast().type()).isEqualTo("error");
    }

    @Test
    void a_call_that_starts_over_with_another_id_ends_the_stream_with_an_error() {
        started(null);
        chunk(new TokenEvent.ToolCall(0, 0, "c1", "f", ""));
        started(null);
        chunk(new TokenEvent.ToolCall(0, 0, "c2", "f", "{}"));

        assertThat(whole().getLast().type()).isEqualTo("error");
    }

    @Test
    void calls_that_start_over_alike_go_on() {
        started(null);
        chunk(content("Wait."), new TokenEvent.ToolCall(0, 0, "c1", "f", ""));
        chunk(new TokenEvent.ToolCall(0, 0, null, null, "{\"a\""));
        started(null);
        chunk(content("Wait."), new TokenEvent.ToolCall(0, 0, "c1", "f", "{\"a"));
        chunk(new TokenEvent.ToolCall(0, 0, null, null, "\":1}"), new TokenEvent.ToolCall(0, 1, "c2", "g", "{}"));
        chunk(finish("tool_calls"));
        completed("");

        StrictReader reader = strict();

        assertThat(reader.response().path("output"))
                .extracting(item -> item.path("arguments").asText())
                .containsExactly("", "{\"a\":1}", "{}");
        resumesAnywhere();
    }

    @Test
    void an_answer_that_is_published_again_is_sent_once() {
        started(null);
        chunk(content("Hel"));
        chunk(content("lo"), finish("stop"));
        started(null);
        chunk(content("Hello"), finish("stop"));
        completed("Hello");

        assertThat(strict().text()).isEqualTo("Hello");
        resumesAnywhere();
    }
}
