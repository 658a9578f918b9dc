package dev.penstock.intake;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.function.Function;
import java.util.stream.Collectors;

/**
 * The memory for records in hand, in bytes, and who has how much of it. A quarter is kept for the topics, in equal parts, so
 * that none waits for another's large records; the rest is for whoever asks, the more urgent topics first. Thread-safe.
 */
final class MemoryBudget {
    private static final int KEPT = 4;

    private final long own;
    private final long common;
    private final List<Share> byUrgency;
    private final Map<String, Share> byTopic;

    /** Memory for one run; closing it gives it back. */
    interface Reservation extends AutoCloseable {
        @Override
        void close();
    }

    /** One topic's; guarded by all shares' monitor. */
    private static final class Share {
        private final String topic;
        /** Of what was taken from the broker. */
        private long taken;
        /** Of what has room; the others wait, unparsed. */
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

    /** Whether some topic's records have all the room that they can get. */
    synchronized boolean isCrowded() {
        return !byUrgency.stream().allMatch(this::isOpen);
    }

    synchronized void take(String topic, long bytes) {
        share(topic).taken += bytes;
    }

    synchronized void release(String topic, long bytes) {
        share(topic).taken -= bytes;
    }

    /** Of all topics. */
    synchronized long taken() {
        return byUrgency.stream().mapToLong(share -> share.taken).sum();
    }

    /**
     * Waits until there is room for a record's run, which takes several times its size: consumers that had asked before there
     * was too much in hand may bring more than that. In the order of those who ask for one topic; however large, none waits where nothing else has room.
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

    /** While a more urgent record waits for what is common, nobody else takes of it. */
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
