package dev.penstock.intake.record;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.function.Function;
import java.util.stream.Collectors;

/**
 * Divides the memory for records in flight, in bytes, among the topics. A quarter is reserved in equal parts, one for
 * each topic, so that no topic waits for the large records of another topic. All topics share the rest, and more urgent
 * topics get it first. Thread-safe.
 */
final class MemoryBudget {
    private static final int KEPT = 4;

    private final long own;
    private final long common;
    private final List<Share> byUrgency;
    private final Map<String, Share> byTopic;

    /** The memory that one run holds. Closing it gives the memory back. */
    interface Reservation extends AutoCloseable {
        @Override
        void close();
    }

    /** The share of one topic. Guarded by the monitor of the memory budget. */
    private static final class Share {
        private final String topic;
        /** The bytes of the topic's records that were received from the broker and are not finished. */
        private long taken;
        /** The bytes that the topic's runs have reserved. A record without a reservation waits, and is not parsed. */
        private long admitted;

        private final Deque<Waiter> waiting = new ArrayDeque<>();

        Share(String topic) {
            this.topic = topic;
        }
    }

    private record Waiter(long bytes, CountDownLatch admitted) {}

    /** @param topics the topics, with the most urgent one first */
    MemoryBudget(long bytes, List<String> topics) {
        own = bytes / KEPT / topics.size();
        common = bytes - own * topics.size();
        byUrgency = topics.stream().map(Share::new).toList();
        byTopic = byUrgency.stream().collect(Collectors.toMap(share -> share.topic, Function.identity()));
    }

    /** Returns whether further records of this topic may be received from the broker. */
    synchronized boolean isOpen(String topic) {
        return isOpen(share(topic));
    }

    /** Returns whether at least one topic has used up all the memory that it can get. */
    synchronized boolean isCrowded() {
        return !byUrgency.stream().allMatch(this::isOpen);
    }

    synchronized void take(String topic, long bytes) {
        share(topic).taken += bytes;
    }

    synchronized void release(String topic, long bytes) {
        share(topic).taken -= bytes;
    }

    /** Returns the bytes of the records in flight of all topics. */
    synchronized long taken() {
        return byUrgency.stream().mapToLong(share -> share.taken).sum();
    }

    /**
     * Waits until the memory for a record's run is free, and reserves it. A run needs several times the size of its
     * record. The wait is necessary, because several consumers may poll at the same time and together receive more
     * records than the budget allows. The runs of one topic get memory in the order of their calls. If no other run
     * has a reservation, a record of any size runs.
     */
    Reservation admit(String topic, long bytes) throws InterruptedException {
        Share share = share(topic);
        Waiter waiter = new Waiter(Math.min(bytes, own + common), new CountDownLatch(1));
        synchronized (this) {
            share.waiting.add(waiter);
            admitNext();
        }
        try {
            waiter.admitted().await();
        } catch (InterruptedException e) {
            leave(share, waiter);
            throw e;
        }
        return () -> giveBack(share, waiter.bytes());
    }

    private synchronized void leave(Share share, Waiter waiter) {
        if (share.waiting.remove(waiter)) {
            admitNext();
        } else {
            giveBack(share, waiter.bytes());
        }
    }

    private synchronized void giveBack(Share share, long bytes) {
        share.admitted -= bytes;
        admitNext();
    }

    /**
     * Gives memory to runs that wait. While a record of a more urgent topic waits for shared memory, less urgent topics
     * get none of it.
     */
    private void admitNext() {
        boolean reserved = false;
        for (Share share : byUrgency) {
            Waiter next = share.waiting.peek();
            while (next != null && fits(share, next.bytes(), reserved)) {
                share.waiting.remove();
                share.admitted += next.bytes();
                next.admitted().countDown();
                next = share.waiting.peek();
            }
            reserved |= next != null;
        }
    }

    private boolean fits(Share share, long bytes, boolean reserved) {
        long others = byUrgency.stream()
                .filter(other -> other != share)
                .mapToLong(other -> beyondOwn(other.admitted))
                .sum();
        long beyond = beyondOwn(share.admitted + bytes);
        return beyond == 0 || (!reserved && others + beyond <= common);
    }

    private boolean isOpen(Share share) {
        return share.taken < own
                || byUrgency.stream().mapToLong(other -> beyondOwn(other.taken)).sum() < common;
    }

    private long beyondOwn(long bytes) {
        return Math.max(0, bytes - own);
    }

    private Share share(String topic) {
        Share share = byTopic.get(topic);
        if (share == null) {
            throw new IllegalArgumentException("no topic that jobs are taken from: " + topic);
        }
        return share;
    }
}
