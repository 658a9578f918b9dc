package dev.penstock.api;

import static org.assertj.core.api.Assertions.assertThat;

import io.netty.buffer.Unpooled;
import io.netty.channel.embedded.EmbeddedChannel;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** The time of an embedded channel moves only when it is told to. */
class ConnectionDeadlineTest {
    private final EmbeddedChannel channel = new EmbeddedChannel();

    ConnectionDeadlineTest() {
        channel.freezeTime();
        channel.pipeline()
                .addFirst(new ConnectionDeadline(new ConnectionDeadline.Times(
                        Duration.ofSeconds(10), Duration.ofSeconds(100), Duration.ofSeconds(60))));
    }

    @AfterEach
    void close() {
        channel.finishAndReleaseAll();
    }

    @Test
    void one_that_says_nothing_is_closed() {
        after(9);
        assertThat(channel.isOpen()).isTrue();
        after(1);
        assertThat(channel.isOpen()).isFalse();
    }

    @Test
    void one_whose_request_trickles_is_closed() {
        for (int i = 0; i < 10; i++) {
            assertThat(channel.isOpen()).isTrue();
            comes("G");
            after(1);
        }
        assertThat(channel.isOpen()).isFalse();
    }

    @Test
    void one_whose_call_is_under_way_stays() {
        comes("GET");
        ConnectionDeadline.began(channel, false);
        after(10_000);
        assertThat(channel.isOpen()).isTrue();
    }

    @Test
    void one_may_be_idle_between_two_calls_and_its_next_request_has_its_time() {
        ConnectionDeadline.began(channel, false);
        ConnectionDeadline.ended(channel);
        after(99);
        assertThat(channel.isOpen()).isTrue();
        comes("G");
        after(9);
        assertThat(channel.isOpen()).isTrue();
        comes("E");
        after(1);
        assertThat(channel.isOpen()).isFalse();
    }

    @Test
    void one_that_is_idle_for_too_long_is_closed() {
        ConnectionDeadline.began(channel, false);
        ConnectionDeadline.ended(channel);
        after(100);
        assertThat(channel.isOpen()).isFalse();
    }

    @Test
    void of_one_with_many_calls_at_once_the_last_one_counts_and_what_it_says_between_them_does_not() {
        ConnectionDeadline.began(channel, true);
        ConnectionDeadline.began(channel, true);
        ConnectionDeadline.ended(channel);
        after(1_000);
        assertThat(channel.isOpen()).isTrue();
        ConnectionDeadline.ended(channel);
        comes("ping");
        after(99);
        assertThat(channel.isOpen()).isTrue();
        comes("ping");
        after(1);
        assertThat(channel.isOpen()).isFalse();
    }

    @Test
    void an_answer_of_the_server_s_own_ends_the_wait_for_the_request() {
        comes("GET /q/health HTTP/1.1");
        channel.writeOutbound(Unpooled.copiedBuffer("HTTP/1.1 200 OK", StandardCharsets.US_ASCII));
        after(99);
        assertThat(channel.isOpen()).isTrue();
        after(1);
        assertThat(channel.isOpen()).isFalse();
    }

    @Test
    void one_that_takes_nothing_of_its_answer_is_closed() {
        ConnectionDeadline.began(channel, false);
        // written, and never flushed: as where the other side's window is full
        var _ = channel.write(Unpooled.copiedBuffer("HTTP/1.1 200 OK", StandardCharsets.US_ASCII));
        after(59);
        assertThat(channel.isOpen()).isTrue();
        after(1);
        assertThat(channel.isOpen()).isFalse();
    }

    @Test
    void one_that_takes_its_answer_slowly_stays() {
        ConnectionDeadline.began(channel, false);
        for (int i = 0; i < 10; i++) {
            var _ = channel.write(Unpooled.copiedBuffer("piece", StandardCharsets.US_ASCII));
            after(40);
            channel.flush();
            assertThat(channel.isOpen()).isTrue();
        }
    }

    private void comes(String text) {
        channel.writeInbound(Unpooled.copiedBuffer(text, StandardCharsets.US_ASCII));
    }

    private void after(int seconds) {
        for (int i = 0; i < seconds; i++) {
            channel.advanceTimeBy(1, TimeUnit.SECONDS);
            channel.runScheduledPendingTasks();
            channel.runPendingTasks();
        }
    }
}
