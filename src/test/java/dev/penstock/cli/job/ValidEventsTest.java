package dev.penstock.cli.job;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.EventMark;
import org.junit.jupiter.api.Test;

class ValidEventsTest {
    private final ValidEvents valid = new ValidEvents();

    @Test
    void each_event_counts_once_and_nothing_after_the_outcome() {
        assertThat(counts(EventMark.Kind.CHUNK, 1, "a", 3)).isFalse();
        assertThat(counts(EventMark.Kind.STARTED, 1, "a", 0)).isTrue();
        assertThat(counts(EventMark.Kind.CHUNK, 1, "a", 1)).isTrue();
        assertThat(counts(EventMark.Kind.CHUNK, 1, "a", 1)).isFalse();
        assertThat(counts(EventMark.Kind.CHUNK, 1, "b", 2)).isFalse();
        assertThat(counts(EventMark.Kind.STARTED, 2, "b", 0)).isTrue();
        assertThat(counts(EventMark.Kind.CHUNK, 1, "a", 2)).isFalse();
        assertThat(counts(EventMark.Kind.COMPLETED, 2, "b", 1)).isTrue();
        assertThat(counts(EventMark.Kind.COMPLETED, 3, "c", 0)).isFalse();
    }

    private boolean counts(EventMark.Kind kind, int attempt, String run, long seq) {
        return valid.accept(new EventMark(kind, attempt, run, seq), "{}").isPresent();
    }
}
