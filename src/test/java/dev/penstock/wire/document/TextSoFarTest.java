package dev.penstock.wire.document;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.tuple;

import dev.penstock.job.PublishedText;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class TextSoFarTest {
    private final TextSoFar text = new TextSoFar();

    private void started(int attempt) {
        text.started(attempt, "node-" + attempt, "tiny", null);
    }

    private void resumed(int attempt, int from, long seq) {
        text.started(attempt, "node-" + attempt, "tiny", new PublishedText.Place(from, seq));
    }

    private void chunk(int attempt, long seq, String piece) {
        text.chunk(new PublishedText.Place(attempt, seq), Optional.of(piece));
    }

    private PublishedText published() {
        return text.published().orElseThrow();
    }

    @Test
    void a_started_makes_the_text_void_unless_it_continues_it() {
        started(1);
        chunk(1, 1, "one ");
        chunk(1, 2, "two ");
        resumed(2, 1, 2);
        chunk(2, 1, "three");
        assertThat(text.text()).contains("one two three");

        started(3);
        chunk(3, 1, "new");
        assertThat(text.text()).contains("new");
        assertThat(published().segments()).containsExactly(new PublishedText.Segment("node-3", "tiny", 3, 1, 1));
    }

    @Test
    void the_text_after_the_named_chunk_is_void() {
        started(1);
        chunk(1, 1, "kept ");
        chunk(1, 2, "void ");
        resumed(2, 1, 1);
        chunk(2, 1, "and more");

        assertThat(text.text()).contains("kept and more");
        assertThat(published().last()).isEqualTo(new PublishedText.Place(2, 1));
    }

    @Test
    void a_chain_of_attempts_is_one_text() {
        started(1);
        chunk(1, 1, "one ");
        chunk(1, 2, "two ");
        resumed(2, 1, 2);
        chunk(2, 1, "three ");
        resumed(3, 2, 1);
        chunk(3, 1, "four");

        PublishedText published = published();
        assertThat(published.text()).isEqualTo("one two three four");
        assertThat(published.last()).isEqualTo(new PublishedText.Place(3, 1));
        assertThat(published.segments())
                .extracting(PublishedText.Segment::node, PublishedText.Segment::fromSeq)
                .containsExactly(tuple("node-1", 1L), tuple("node-2", 1L), tuple("node-3", 1L));
    }

    @Test
    void an_attempt_that_sent_nothing_leaves_the_chunk_before_it_as_the_last() {
        started(1);
        chunk(1, 1, "one ");
        resumed(2, 1, 1);
        assertThat(published().last()).isEqualTo(new PublishedText.Place(1, 1));

        resumed(3, 1, 1);
        chunk(3, 1, "two");

        assertThat(published().text()).isEqualTo("one two");
        assertThat(published().segments())
                .extracting(PublishedText.Segment::attempt)
                .containsExactly(1, 3);
    }

    @Test
    void a_later_attempt_may_go_back_before_the_chunks_of_another() {
        started(1);
        chunk(1, 1, "one ");
        resumed(2, 1, 1);
        chunk(2, 1, "void");
        resumed(3, 1, 1);
        chunk(3, 1, "two");

        assertThat(text.text()).contains("one two");
    }

    @Test
    void a_text_whose_beginning_was_not_read_is_not_known() {
        resumed(2, 1, 1);
        chunk(2, 1, "three");
        assertThat(text.text()).isEmpty();
        assertThat(text.published()).isEmpty();

        started(3);
        chunk(3, 1, "new");
        assertThat(text.text()).contains("new");
    }

    @Test
    void more_than_plain_text_and_half_a_character_and_too_much_text_cannot_be_continued() {
        started(1);
        chunk(1, 1, "one");
        text.chunk(new PublishedText.Place(1, 2), Optional.empty());
        assertThat(text.published()).isEmpty();

        started(2);
        chunk(2, 1, "x\uD83D");
        assertThat(text.published()).isEmpty();
        chunk(2, 2, "\uDE00");
        assertThat(published().text()).isEqualTo("x😀");

        started(3);
        chunk(3, 1, "x".repeat(TextSoFar.MOST_CHARS));
        chunk(3, 2, "x");
        assertThat(text.published()).isEmpty();
    }

    @Test
    void the_tokens_of_a_text_are_estimated() {
        started(1);
        chunk(1, 1, "the river was long");

        assertThat(published().tokens()).isEqualTo(5);
    }
}
