package dev.penstock.node.media;

import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;

/**
 * The memory for media to which jobs refer by URL, in bytes. Each attempt has a share of the memory, which lasts from
 * its first fetch to the end of the attempt. An attempt waits while too little memory is left. Only the attempt that
 * began first may exceed the limit. This prevents a deadlock between attempts that hold memory and wait for more.
 * Thread-safe.
 */
final class MediaRoom {
    private final long most;
    /* Guarded by this. */
    private final Set<Share> shares = new LinkedHashSet<>();
    private long taken;

    MediaRoom(long most) {
        this.most = most;
    }

    /** The memory of one attempt. */
    final class Share implements AutoCloseable {
        private long held;
        private long wanted;
        private @Nullable CompletableFuture<Void> waiting;

        /**
         * @return a future that is done when the share has grown by this number of bytes; a share makes one request at
         *     a time
         */
        CompletableFuture<Void> reserve(long bytes) {
            CompletableFuture<Void> reserved = new CompletableFuture<>();
            synchronized (MediaRoom.this) {
                shares.add(this);
                wanted = bytes;
                waiting = reserved;
            }
            grant();
            return reserved;
        }

        /** Gives back the unused part of the last reservation. */
        void giveBack(long bytes) {
            synchronized (MediaRoom.this) {
                held -= bytes;
                taken -= bytes;
            }
            grant();
        }

        @Override
        public void close() {
            synchronized (MediaRoom.this) {
                taken -= held;
                held = 0;
                waiting = null;
                shares.remove(this);
            }
            grant();
        }
    }

    private void grant() {
        List<CompletableFuture<Void>> granted = new ArrayList<>();
        synchronized (this) {
            boolean first = true;
            for (Share share : shares) {
                CompletableFuture<Void> waiting = share.waiting;
                if (waiting != null && (first || taken + share.wanted <= most)) {
                    share.held += share.wanted;
                    taken += share.wanted;
                    share.waiting = null;
                    granted.add(waiting);
                } else if (waiting != null) {
                    break;
                }
                first = false;
            }
        }
        granted.forEach(waiting -> waiting.complete(null));
    }

    synchronized long taken() {
        return taken;
    }
}
