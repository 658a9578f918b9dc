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
 * Resets the streams of an HTTP/2 connection whose flow-control window stays shut while an answer waits for it. The
 * channel's own buffer does not hold those bytes. The other streams go on. This handler stands between the writer of
 * the frames and the connection, and its event loop owns it.
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
     * @param sent the number of frames
     * @param unchanged the number of checks without a change
     */
    private record Seen(long sent, int unchanged) {}

    private ShutStreams(Http2ConnectionHandler http2) {
        this.http2 = http2;
    }

    /** For a connection that speaks HTTP/2; null: it does not. */
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
        // the head of a frame is written by itself
        if (message instanceof ByteBuf bytes
                && bytes.readableBytes() == FRAME_HEAD
                && bytes.getByte(bytes.readerIndex() + TYPE) == Http2FrameTypes.DATA) {
            sent.merge(bytes.getInt(bytes.readerIndex() + STREAM), 1L, Long::sum);
        }
        var _ = writing.write(message, promise);
    }

    /**
     * Finds the streams whose window is shut. A writer that waits for a window may hold bytes that it has not handed
     * over.
     *
     * @param most the checks in a row at which a stream sends nothing; then the stream ends
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
