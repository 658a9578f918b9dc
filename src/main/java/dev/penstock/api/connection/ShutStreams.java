package dev.penstock.api.connection;

import io.netty.buffer.ByteBuf;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelOutboundHandlerAdapter;
import io.netty.channel.ChannelPromise;
import io.netty.handler.codec.http2.Http2Connection;
import io.netty.handler.codec.http2.Http2ConnectionHandler;
import io.netty.handler.codec.http2.Http2Error;
import io.netty.handler.codec.http2.Http2Exception;
import io.netty.handler.codec.http2.Http2FrameTypes;
import io.netty.handler.codec.http2.Http2RemoteFlowController;
import io.netty.handler.codec.http2.Http2Stream;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Resets an HTTP/2 stream if its flow-control window stays shut while an answer waits for it. The other streams of the
 * connection continue. The waiting bytes are not in the channel's own buffer, so {@link ConnectionDeadline} cannot see
 * them. In the pipeline, this handler is between the writer of the frames and the connection. The connection's event
 * loop owns it.
 */
final class ShutStreams extends ChannelOutboundHandlerAdapter {
    private static final int FRAME_HEAD = 9;
    private static final int TYPE = 3;
    private static final int STREAM = 5;

    private final Http2ConnectionHandler http2;
    /** The number of data frames that each stream has sent. */
    private final Map<Integer, Long> sent = new HashMap<>();

    private Map<Integer, Seen> seen = Map.of();

    /**
     * A stream whose window is shut.
     *
     * @param sent the number of data frames that the stream has sent
     * @param unchanged the number of checks in a row at which {@code sent} did not change
     */
    private record Seen(long sent, int unchanged) {}

    private ShutStreams(Http2ConnectionHandler http2) {
        this.http2 = http2;
    }

    /** Adds this handler to a connection. Returns null if the connection does not use HTTP/2. */
    static @Nullable ShutStreams of(ChannelHandlerContext connection) {
        ChannelHandlerContext frames = connection.pipeline().context(Http2ConnectionHandler.class);
        if (frames == null) {
            return null;
        }
        ShutStreams streams = new ShutStreams((Http2ConnectionHandler) frames.handler());
        connection.pipeline().addBefore(frames.name(), null, streams);
        return streams;
    }

    @Override
    public void write(ChannelHandlerContext writing, Object message, ChannelPromise promise) {
        // the writer of the frames writes the head of a frame separately
        if (message instanceof ByteBuf bytes
                && bytes.readableBytes() == FRAME_HEAD
                && bytes.getByte(bytes.readerIndex() + TYPE) == Http2FrameTypes.DATA) {
            sent.merge(bytes.getInt(bytes.readerIndex() + STREAM), 1L, Long::sum);
        }
        var _ = writing.write(message, promise);
    }

    /**
     * Resets the streams whose window stays shut. A writer that waits for a window may hold bytes that it has not
     * handed over, so the check considers every stream with a shut window.
     *
     * @param most the limit on the checks in a row that find no new frame; at this limit the stream is reset
     */
    void look(ChannelHandlerContext connection, int most) {
        ChannelHandlerContext frames = connection.pipeline().context(http2);
        if (frames == null) {
            return;
        }
        Map<Integer, Seen> now = shut();
        sent.keySet().removeIf(stream -> http2.connection().stream(stream) == null);
        seen = now;
        now.forEach((stream, what) -> {
            if (what.unchanged >= most) {
                var _ = http2.resetStream(frames, stream, Http2Error.CANCEL.code(), frames.newPromise());
            }
        });
        frames.flush();
    }

    private Map<Integer, Seen> shut() {
        Map<Integer, Seen> now = new HashMap<>();
        Http2Connection connection = http2.connection();
        Http2RemoteFlowController flow = connection.remote().flowController();
        boolean allShut = flow.windowSize(connection.connectionStream()) <= 0;
        for (Http2Stream stream : streams(connection)) {
            if (allShut || flow.windowSize(stream) <= 0) {
                long frames = sent.getOrDefault(stream.id(), 0L);
                Seen before = seen.get(stream.id());
                int unchanged = before != null && before.sent == frames ? before.unchanged + 1 : 0;
                now.put(stream.id(), new Seen(frames, unchanged));
            }
        }
        return now;
    }

    private static List<Http2Stream> streams(Http2Connection connection) {
        List<Http2Stream> streams = new ArrayList<>();
        try {
            var _ = connection.forEachActiveStream(stream -> streams.add(stream));
        } catch (Http2Exception e) {
            throw new IllegalStateException(e);
        }
        return streams;
    }
}
