package dev.penstock.job;

import java.time.Instant;
import java.util.Comparator;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Values that are forgotten when their time is over. What is due is found without a look at the others. Thread-safe;
 * {@link #contains} takes no lock.
 */
public final class ExpiringSet<T> {
    private final Map<T, Instant> ends = new ConcurrentHashMap<>();
    /** Guarded by itself. An entry whose value has got another end in the meantime says nothing. */
    private final PriorityQueue<Entry<T>> order = new PriorityQueue<>(Comparator.comparing(Entry<T>::end));

    private record Entry<T>(T value, Instant end) {}

    /** Keeps a value until then; a value that is there keeps the later end. */
    public void add(T value, Instant end) {
        synchronized (order) {
            Instant known = ends.get(value);
            if (known == null || known.isBefore(end)) {
                ends.put(value, end);
                order.add(new Entry<>(value, end));
            }
        }
    }

    public boolean contains(T value) {
        return ends.containsKey(value);
    }

    public int size() {
        return ends.size();
    }

    /**
     * Forgets what has ended by then.
     *
     * @return how many entries were looked at
     */
    public int forget(Instant now) {
        int looks = 0;
        synchronized (order) {
            Entry<T> first = order.peek();
            while (first != null) {
                looks++;
                if (!first.end().isBefore(now)) {
                    break;
                }
                order.remove();
                ends.remove(first.value(), first.end());
                first = order.peek();
            }
        }
        return looks;
    }
}
