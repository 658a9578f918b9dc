package dev.penstock.api.connection;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.testkit.Http2Frames;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import io.netty.buffer.Unpooled;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.embedded.EmbeddedChannel;
import io.netty.handler.codec.http2.DefaultHttp2DataFrame;
import io.netty.handler.codec.http2.DefaultHttp2Headers;
import io.netty.handler.codec.http2.DefaultHttp2HeadersFrame;
import io.netty.handler.codec.http2.Http2FrameCodecBuilder;
import io.netty.handler.codec.http2.Http2HeadersFrame;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** The time of an embedded channel moves only by calls of the test. */
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
        // written, and never flushed: as if the peer's window is full
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

    /** Bytes wait for a window, and not in the channel. */
    @Test
    void a_stream_of_http_2_of_which_nothing_is_taken_ends_and_the_others_go_on() {
        speakHttp2(0);
        comes(Http2Frames.get(1, "/large"));
        comes(Http2Frames.get(3, "/large"));
        for (int i = 0; i < 5; i++) {
            comes(Http2Frames.windowUpdate(3, 1));
            after(17);
        }
        assertThat(sent())
                .anyMatch(frame -> frame.type() == Http2Frames.DATA && frame.stream() == 3 && frame.length() == 1)
                .noneMatch(END_OF_THREE);

        comes(Http2Frames.windowUpdate(3, 1));
        after(10);

        assertThat(channel.isOpen()).isTrue();
        assertThat(sent()).anyMatch(END_OF_ONE).noneMatch(END_OF_THREE);
    }

    @Test
    void streams_that_wait_for_the_window_of_their_connection_end() {
        speakHttp2(1 << 20);
        comes(Http2Frames.get(1, "/large"));
        after(89);
        assertThat(sent()).anyMatch(frame -> frame.type() == Http2Frames.DATA);
        after(1);
        assertThat(sent()).anyMatch(END_OF_ONE);
    }

    @Test
    void an_answer_of_http_2_that_comes_late_is_looked_after() {
        speakHttp2(1);
        comes(Http2Frames.get(1, "/later"));
        after(1_000);
        assertThat(sent()).noneMatch(frame -> frame.type() == Http2Frames.RST_STREAM);

        answer.run();
        after(90);

        assertThat(sent()).anyMatch(END_OF_ONE);
    }

    private static final Predicate<Http2Frames.Frame> END_OF_ONE = endOf(1);
    private static final Predicate<Http2Frames.Frame> END_OF_THREE = endOf(3);

    private static Predicate<Http2Frames.Frame> endOf(int stream) {
        return frame -> frame.type() == Http2Frames.RST_STREAM && frame.stream() == stream;
    }

    private final List<Http2Frames.Frame> everSent = new ArrayList<>();
    private Runnable answer = () -> {};

    private void speakHttp2(int window) {
        channel.pipeline().addLast(Http2FrameCodecBuilder.forServer().build(), new ChannelInboundHandlerAdapter() {
            @Override
            public void channelRead(ChannelHandlerContext here, Object message) {
                if (message instanceof Http2HeadersFrame request) {
                    ConnectionDeadline.began(channel, true);
                    var _ = here.write(new DefaultHttp2HeadersFrame(new DefaultHttp2Headers().status("200"))
                            .stream(request.stream()));
                    answer = () -> {
                        var _ = here.writeAndFlush(new DefaultHttp2DataFrame(Unpooled.wrappedBuffer(new byte[100_000]))
                                .stream(request.stream()));
                    };
                    if (request.headers().path().toString().equals("/large")) {
                        answer.run();
                    }
                }
            }
        });
        comes(Http2Frames.preface(window));
    }

    /** The frames that were sent, all of them. */
    private List<Http2Frames.Frame> sent() {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        for (ByteBuf piece = channel.readOutbound(); piece != null; piece = channel.readOutbound()) {
            bytes.writeBytes(ByteBufUtil.getBytes(piece));
            piece.release();
        }
        InputStream in = new ByteArrayInputStream(bytes.toByteArray());
        try {
            while (in.available() > 0) {
                everSent.add(Http2Frames.read(in));
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return everSent;
    }

    private void comes(byte[] bytes) {
        channel.writeInbound(Unpooled.wrappedBuffer(bytes));
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
