package dev.penstock.job;

import java.time.Instant;
import java.util.Comparator;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.concurrent.ConcurrentHashMap;

/**
 * A set whose values expire. Removing the expired values does not go through all values. Thread-safe; {@link #contains}
 * takes no lock.
 */
public final class ExpiringSet<T> {
    private final Map<T, Instant> ends = new ConcurrentHashMap<>();
    /** Guarded by itself. An entry is stale if the end of its value has changed since. */
    private final PriorityQueue<Entry<T>> order = new PriorityQueue<>(Comparator.comparing(Entry<T>::end));

    private record Entry<T>(T value, Instant end) {}

    /** Adds a value that the set keeps until its end. If the set already has the value, the later end applies. */
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
     * Removes the values whose end has passed.
     *
     * @return the number of entries that this call visited
     */
    public int forget(Instant now) {
        int visited = 0;
        synchronized (order) {
            Entry<T> first = order.peek();
            while (first != null) {
                visited++;
                if (!first.end().isBefore(now)) {
                    break;
                }
                order.remove();
                ends.remove(first.value(), first.end());
                first = order.peek();
            }
        }
        return visited;
    }
}
