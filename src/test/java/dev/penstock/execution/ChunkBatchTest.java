package dev.penstock.execution;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.TokenEvent;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;

class ChunkBatchTest {
    private static final long MS = 1_000_000;
    private final ChunkBatch batch = new ChunkBatch(Duration.ofMillis(50), 10);

    @Test
    void the_first_text_goes_at_once_and_later_text_after_the_linger() {
        batch.add(text("a"), 0);
        assertThat(batch.dueInNanos(0)).isLessThanOrEqualTo(0);
        batch.take();

        batch.add(text("b"), 10 * MS);
        batch.add(text("c"), 30 * MS);
        assertThat(batch.dueInNanos(30 * MS)).isEqualTo(30 * MS);
        assertThat(batch.dueInNanos(60 * MS)).isZero();
        assertThat(batch.take()).isEqualTo(List.of(text("b"), text("c")));
    }

    @Test
    void enough_text_does_not_wait() {
        batch.add(text("a"), 0);
        batch.take();

        batch.add(text("0123456789"), 1);
        assertThat(batch.dueInNanos(1)).isZero();
    }

    @Test
    void without_text_there_is_no_chunk() {
        batch.add(new TokenEvent.Finish(0, "stop"), 0);

        assertThat(batch.dueInNanos(Long.MAX_VALUE / 2)).isEqualTo(Long.MAX_VALUE);
        assertThat(batch.hasText()).isFalse();
    }

    @Test
    void for_a_job_without_chunks_it_keeps_nothing() {
        ChunkBatch unwanted = ChunkBatch.unwanted();

        for (int i = 0; i < 1000; i++) {
            unwanted.add(text("some text"), i);
        }

        assertThat(unwanted.size()).isZero();
        assertThat(unwanted.isFull()).isFalse();
        assertThat(unwanted.dueInNanos(Long.MAX_VALUE)).isEqualTo(Long.MAX_VALUE);
    }

    @Test
    void what_no_chunk_carries_is_not_kept() {
        batch.add(new TokenEvent.Embedding(0, List.of(1, 2)), 0);

        assertThat(batch.size()).isZero();
    }

    private static TokenEvent text(String text) {
        return new TokenEvent.Text(0, TokenEvent.Field.CONTENT, text);
    }
}
