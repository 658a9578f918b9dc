package dev.penstock.intake.record;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.function.Function;
import java.util.stream.Collectors;

/**
 * The memory for records in flight, in bytes, and how much of it each topic has. A quarter is reserved for the topics,
 * in equal parts, so that none waits for another's large records. The rest is common, and more urgent topics come
 * first. Thread-safe.
 */
final class MemoryBudget {
    private static final int KEPT = 4;

    private final long own;
    private final long common;
    private final List<Share> byUrgency;
    private final Map<String, Share> byTopic;

    /** Memory for one run; closing it gives the memory back. */
    interface Reservation extends AutoCloseable {
        @Override
        void close();
    }

    /** The share of one topic; guarded by the monitor of all shares. */
    private static final class Share {
        private final String topic;
        /** The bytes that were taken from the broker. */
        private long taken;
        /** The bytes with a reservation; the others wait, unparsed. */
        private long admitted;

        private final Deque<Waiter> waiting = new ArrayDeque<>();

        Share(String topic) {
            this.topic = topic;
        }
    }

    private record Waiter(long bytes, CountDownLatch admitted) {}

    /** @param topics the most urgent first */
    MemoryBudget(long bytes, List<String> topics) {
        own = bytes / KEPT / topics.size();
        common = bytes - own * topics.size();
        byUrgency = topics.stream().map(Share::new).toList();
        byTopic = byUrgency.stream().collect(Collectors.toMap(share -> share.topic, Function.identity()));
    }

    /** Whether more of that topic may be taken from the broker. */
    synchronized boolean isOpen(String topic) {
        return isOpen(share(topic));
    }

    /** Whether the records of some topic have all the memory that they can get. */
    synchronized boolean isCrowded() {
        return !byUrgency.stream().allMatch(this::isOpen);
    }

    synchronized void take(String topic, long bytes) {
        share(topic).taken += bytes;
    }

    synchronized void release(String topic, long bytes) {
        share(topic).taken -= bytes;
    }

    /** The sum over all topics. */
    synchronized long taken() {
        return byUrgency.stream().mapToLong(share -> share.taken).sum();
    }

    /**
     * Waits for the memory of a record's run, which takes several times the record's size. Consumers that polled before
     * the budget was used up may bring more than it allows. The runs of one topic get memory in the order of their
     * calls. A record of any size runs where nothing else has a reservation.
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

    /** While a more urgent record waits for common memory, no other topic takes of it. */
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
