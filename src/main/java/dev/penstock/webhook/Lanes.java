package dev.penstock.webhook;

import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;

/**
 * The bounds of each webhook in this replica: how many records it holds, how many bytes they have, and how many posts
 * run at once. Each webhook has its own share, so a slow receiver holds up no other one. Thread-safe.
 */
final class Lanes {
    /** The largest number of posts to one webhook at once. */
    static final int POSTS = 8;

    /** The largest number of records that all webhooks together hold. */
    static final int RECORDS = 512;

    private final Map<String, Lane> lanes = new HashMap<>();

    /**
     * @param webhooks the names of the webhooks
     * @param bytes the largest size of the records that all webhooks together hold; a webhook may always hold one record
     */
    Lanes(Set<String> webhooks, long bytes) {
        int records = Math.max(POSTS, RECORDS / Math.max(1, webhooks.size()));
        long bytesOfEach = bytes / Math.max(1, webhooks.size());
        webhooks.forEach(name -> lanes.put(name, new Lane(records, bytesOfEach)));
    }

    /** Takes a place for a record; empty if the webhook holds enough records, or if there is no such webhook. */
    Optional<Place> take(String webhook, int bytes) {
        Lane lane = lanes.get(webhook);
        return lane == null || !lane.take(bytes) ? Optional.empty() : Optional.of(new Place(lane, bytes));
    }

    private static final class Lane {
        private final Semaphore posts = new Semaphore(POSTS, true);
        private final int mostRecords;
        private final long mostBytes;
        /* Guarded by this. */
        private int records;
        private long bytes;

        Lane(int mostRecords, long mostBytes) {
            this.mostRecords = mostRecords;
            this.mostBytes = mostBytes;
        }

        synchronized boolean take(int more) {
            if (records > 0 && (records >= mostRecords || bytes + more > mostBytes)) {
                return false;
            }
            records++;
            bytes += more;
            return true;
        }

        synchronized void giveBack(int less) {
            records--;
            bytes -= less;
        }
    }

    /** The place of one record. Closing it gives the place back. */
    static final class Place implements AutoCloseable {
        private final Lane lane;
        private final int bytes;

        private Place(Lane lane, int bytes) {
            this.lane = lane;
            this.bytes = bytes;
        }

        /** Waits for its turn to post; empty if the turn did not come in time. Closing the turn ends it. */
        Optional<Turn> turn(Duration atMost) throws InterruptedException {
            return lane.posts.tryAcquire(atMost.toNanos(), TimeUnit.NANOSECONDS)
                    ? Optional.of(lane.posts::release)
                    : Optional.empty();
        }

        @Override
        public void close() {
            lane.giveBack(bytes);
        }
    }

    /** The right to post now. */
    @FunctionalInterface
    interface Turn extends AutoCloseable {
        @Override
        void close();
    }
}
