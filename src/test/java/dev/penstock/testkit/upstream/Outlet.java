package dev.penstock.testkit.upstream;

import io.netty.buffer.Unpooled;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelOption;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.concurrent.TimeUnit;

/**
 * Sends the bytes of a connection, one response after the other, in the requested pieces. The event loop of the
 * connection owns it.
 */
final class Outlet {
    private final ChannelHandlerContext channel;
    private final Deque<Runnable> waiting = new ArrayDeque<>();
    private Pieces pieces = Pieces.WHOLE;
    private long position;

    Outlet(ChannelHandlerContext channel) {
        this.channel = channel;
    }

    /** Begins the next response, with its own pieces. */
    void begin(Pieces how) {
        pieces = how;
        position = 0;
    }

    void write(byte[] bytes) {
        write(bytes, () -> {}, () -> {});
    }

    /**
     * @param beforeLast runs before the last piece leaves, so that its effect is visible to a client that has read
     *     the piece
     * @param afterwards runs when the last piece has left
     */
    void write(byte[] bytes, Runnable beforeLast, Runnable afterwards) {
        if (pieces.whole()) {
            beforeLast.run();
            flush(bytes, 0, bytes.length);
            afterwards.run();
            return;
        }
        boolean idle = waiting.isEmpty();
        int from = 0;
        while (true) {
            int start = from;
            int end = (int) Math.min(bytes.length, from + pieces.after(position) - position);
            position += end - start;
            if (end < bytes.length) {
                waiting.add(() -> flush(bytes, start, end));
                from = end;
                continue;
            }
            waiting.add(() -> {
                beforeLast.run();
                flush(bytes, start, end);
                afterwards.run();
            });
            break;
        }
        if (idle) {
            drain();
        }
    }

    /** Discards the bytes that have not left yet. */
    void abandon() {
        waiting.clear();
    }

    /** Sends FIN after the written bytes. */
    void close() {
        waiting.clear();
        var _ = channel.close();
    }

    /** Sends RST. The written bytes have left, and a peer that reads in time still gets them. */
    void reset() {
        waiting.clear();
        channel.channel().config().setOption(ChannelOption.SO_LINGER, 0);
        var _ = channel.channel().close();
    }

    /** Sends one piece in each turn of the event loop. */
    private void drain() {
        Runnable piece = waiting.peek();
        if (piece == null) {
            return;
        }
        piece.run();
        waiting.poll();
        if (!waiting.isEmpty()) {
            var _ = channel.executor().schedule(this::drain, pieces.pause().toNanos(), TimeUnit.NANOSECONDS);
        }
    }

    private void flush(byte[] bytes, int start, int end) {
        if (end > start) {
            var _ = channel.writeAndFlush(Unpooled.wrappedBuffer(bytes, start, end - start));
        }
    }
}
