package dev.penstock.api.connection;

import io.netty.buffer.ByteBuf;
import io.netty.channel.Channel;
import io.netty.channel.ChannelDuplexHandler;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelOutboundBuffer;
import io.netty.channel.ChannelPromise;
import io.netty.util.AttributeKey;
import io.netty.util.concurrent.ScheduledFuture;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * Closes a connection that makes no progress: its next request does not come or comes too slowly, or its caller reads
 * nothing of an answer. If the caller of an HTTP/2 connection reads nothing of one answer, only that stream is reset
 * ({@link ShutStreams}). {@code api.call.CountedBody} limits the time of a request's body. The connection's event loop
 * owns this handler.
 */
final class ConnectionDeadline extends ChannelDuplexHandler {
    static final AttributeKey<ConnectionDeadline> KEY = AttributeKey.valueOf(ConnectionDeadline.class, "deadline");

    private static final int LOOKS = 2;

    private final Times times;
    private @Nullable ChannelHandlerContext context;
    private @Nullable ScheduledFuture<?> due;
    private int calls;
    private boolean inHeader;
    private boolean manyAtOnce;
    private boolean looking;
    /** The number of written pieces that were sent completely. */
    private long taken;

    private long lastTaken;
    private long lastProgress;
    private int unchanged;
    /** Null while the connection allows only one call at a time. */
    private @Nullable ShutStreams streams;

    /**
     * @param header the maximum time from the first byte of a request to the end of its headers
     * @param idle the maximum time between two requests
     * @param answer the maximum time in which the caller reads nothing of an answer
     */
    record Times(Duration header, Duration idle, Duration answer) {}

    ConnectionDeadline(Times times) {
        this.times = times;
    }

    @Override
    public void handlerAdded(ChannelHandlerContext added) {
        context = added;
        added.channel().attr(KEY).set(this);
        if (added.channel().isActive()) {
            header();
        }
    }

    @Override
    public void channelActive(ChannelHandlerContext active) {
        header();
        active.fireChannelActive();
    }

    @Override
    public void channelInactive(ChannelHandlerContext inactive) {
        stop();
        inactive.fireChannelInactive();
    }

    @Override
    public void channelRead(ChannelHandlerContext reading, Object bytes) {
        if (calls == 0 && !inHeader && !manyAtOnce) {
            header();
        }
        reading.fireChannelRead(bytes);
    }

    @Override
    public void write(ChannelHandlerContext writing, Object message, ChannelPromise promise) {
        if (calls == 0 && message instanceof ByteBuf bytes && isAnswer(bytes)) {
            // the server itself has answered a request that did not become a call
            idle();
        }
        if (!looking) {
            look();
        }
        var _ = writing.write(message, promise.unvoid().addListener(_ -> taken++));
    }

    private static boolean isAnswer(ByteBuf bytes) {
        return bytes.readableBytes() > 4 && bytes.getByte(bytes.readerIndex()) == 'H';
    }

    /** Records that the headers of a request have come. Any thread may call this method. */
    static void began(Channel channel, boolean manyAtOnce) {
        ConnectionDeadline deadline = channel.attr(KEY).get();
        if (deadline != null) {
            run(channel, () -> deadline.begin(manyAtOnce));
        }
    }

    /** Records that a call has ended. Any thread may call this method. */
    static void ended(Channel channel) {
        ConnectionDeadline deadline = channel.attr(KEY).get();
        if (deadline != null) {
            run(channel, deadline::end);
        }
    }

    /** Runs a task on the connection's event loop: at once if the caller is on that event loop. */
    static void run(Channel channel, Runnable task) {
        if (channel.eventLoop().inEventLoop()) {
            task.run();
        } else {
            channel.eventLoop().execute(task);
        }
    }

    private void begin(boolean many) {
        manyAtOnce |= many;
        calls++;
        inHeader = false;
        stop();
        if (many && !looking) {
            look();
        }
    }

    private void end() {
        calls--;
        if (calls == 0) {
            idle();
        }
    }

    private void header() {
        inHeader = true;
        closeAfter(times.header());
    }

    private void idle() {
        inHeader = false;
        closeAfter(times.idle());
    }

    private void closeAfter(Duration time) {
        stop();
        ChannelHandlerContext here = context;
        if (here != null && here.channel().isActive()) {
            due = here.executor()
                    .schedule(
                            () -> {
                                var _ = here.close();
                            },
                            time.toNanos(),
                            TimeUnit.NANOSECONDS);
        }
    }

    private void stop() {
        if (due != null) {
            due.cancel(false);
            due = null;
        }
    }

    /** Checks that the unsent bytes move, as long as there are unsent bytes. */
    private void look() {
        ChannelHandlerContext here = context;
        if (here == null) {
            return;
        }
        looking = true;
        unchanged = 0;
        lastTaken = taken;
        lastProgress = 0;
        lookAgain(here);
    }

    private void lookAgain(ChannelHandlerContext here) {
        var _ = here.executor().schedule(() -> see(here), times.answer().toNanos() / LOOKS, TimeUnit.NANOSECONDS);
    }

    private void see(ChannelHandlerContext here) {
        ChannelOutboundBuffer out = here.channel().unsafe().outboundBuffer();
        boolean waits = out != null && out.totalPendingWriteBytes() > 0;
        boolean mayWait = manyAtOnce && calls > 0;
        if (out == null || !(waits || mayWait)) {
            looking = false;
            return;
        }
        if (mayWait) {
            streams = streams == null ? ShutStreams.of(here) : streams;
            if (streams != null) {
                streams.look(here, LOOKS);
            }
        }
        boolean same = waits && taken == lastTaken && out.currentProgress() == lastProgress;
        unchanged = same ? unchanged + 1 : 0;
        lastTaken = taken;
        lastProgress = out.currentProgress();
        if (unchanged >= LOOKS) {
            var _ = here.close();
        } else {
            lookAgain(here);
        }
    }
}
