package dev.penstock.direct;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.Answer;
import dev.penstock.job.JobFailure;
import dev.penstock.job.Task;
import dev.penstock.job.TokenEvent;
import dev.penstock.testkit.Conditions;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class CallBufferTest {
    private static final Answer.Head HEAD = new Answer.Head("chatcmpl-1", 0, "llama", Task.CHAT);
    private static final DirectCall.Next.Failed FAILED =
            new DirectCall.Next.Failed(JobFailure.of(JobFailure.Code.NODE_ERROR, "broken"));
    private static final Duration LONG = Duration.ofMinutes(1);
    private static final int ONE = 64 + 2 * 10;

    private final CallRoom room = new CallRoom(1_000_000);

    private static List<TokenEvent> ten(String letter) {
        return List.of(new TokenEvent.Text(0, TokenEvent.Field.CONTENT, letter.repeat(10)));
    }

    @Test
    void a_reader_gets_all_pieces_that_have_come_as_one() throws InterruptedException {
        CallBuffer buffer = new CallBuffer(10_000, LONG, room);
        buffer.put(HEAD, ten("a"));
        buffer.put(HEAD.by("other"), ten("b"));

        assertThat(buffer.take())
                .isEqualTo(
                        new DirectCall.Next.Piece(HEAD.by("other"), List.of(ten("a").getFirst(), ten("b").getFirst())));
    }

    @Test
    void the_end_comes_after_what_is_unread_and_comes_again() throws InterruptedException {
        CallBuffer buffer = new CallBuffer(10_000, LONG, room);
        buffer.put(HEAD, ten("a"));
        buffer.end(FAILED);
        buffer.end(new DirectCall.Next.Left());

        assertThat(buffer.take()).isInstanceOf(DirectCall.Next.Piece.class);
        assertThat(buffer.take()).isEqualTo(FAILED);
        assertThat(buffer.take()).isEqualTo(FAILED);
    }

    @Test
    void a_writer_waits_for_room_and_one_piece_always_has_room() throws InterruptedException {
        CallBuffer buffer = new CallBuffer(ONE - 1, LONG, room);
        assertThat(buffer.put(HEAD, ten("a"))).isTrue();
        CompletableFuture<Boolean> second = new CompletableFuture<>();
        Thread writer = Thread.ofVirtual().start(() -> {
            try {
                second.complete(buffer.put(HEAD, ten("b")));
            } catch (InterruptedException e) {
                second.completeExceptionally(e);
            }
        });
        Conditions.await(() -> writer.getState() == Thread.State.TIMED_WAITING, () -> "" + writer.getState());
        assertThat(second).isNotDone();

        assertThat(buffer.take()).isEqualTo(new DirectCall.Next.Piece(HEAD, ten("a")));

        assertThat(second.join()).isTrue();
        assertThat(buffer.take()).isEqualTo(new DirectCall.Next.Piece(HEAD, ten("b")));
    }

    @Test
    void a_writer_gives_up_on_a_reader_that_reads_nothing() throws InterruptedException {
        CallBuffer buffer = new CallBuffer(ONE, Duration.ofMillis(20), room);
        assertThat(buffer.put(HEAD, ten("a"))).isTrue();

        assertThat(buffer.put(HEAD, ten("b"))).isFalse();
    }

    @Test
    void an_abandoned_answer_ends_at_once_for_its_writer_and_its_reader() throws InterruptedException {
        CallBuffer buffer = new CallBuffer(ONE, LONG, room);
        buffer.put(HEAD, ten("a"));
        CompletableFuture<Boolean> second = new CompletableFuture<>();
        Thread writer = Thread.ofVirtual().start(() -> {
            try {
                second.complete(buffer.put(HEAD, ten("b")));
            } catch (InterruptedException e) {
                second.completeExceptionally(e);
            }
        });
        Conditions.await(() -> writer.getState() == Thread.State.TIMED_WAITING, () -> "" + writer.getState());

        buffer.abandon();

        assertThat(second.join()).isTrue();
        buffer.end(FAILED);
        Conditions.await(() -> !writer.isAlive(), () -> "the writer waits");
        assertThat(buffer.take()).isEqualTo(new DirectCall.Next.Left());
    }

    @Test
    void while_the_calls_have_no_room_left_each_may_have_one_unread_piece() throws InterruptedException {
        CallRoom small = new CallRoom(ONE);
        CallBuffer one = new CallBuffer(10_000, Duration.ofMillis(20), small);
        CallBuffer other = new CallBuffer(10_000, Duration.ofMillis(20), small);

        assertThat(one.put(HEAD, ten("a"))).isTrue();
        assertThat(other.put(HEAD, ten("a"))).isTrue();
        assertThat(other.put(HEAD, ten("b"))).as("its reader is behind").isFalse();
        assertThat(small.used()).isEqualTo(2 * ONE);

        one.abandon();
        assertThat(other.take()).isInstanceOf(DirectCall.Next.Piece.class);
        assertThat(small.used()).isZero();
    }
}
