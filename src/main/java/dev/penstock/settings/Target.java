package dev.penstock.settings;

import java.util.Collections;
import java.util.Map;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;

/** One entry of a rule's {@code to}. A name stands for the pool with that name and for the node with that name. */
public sealed interface Target {
    /** Returns all names in the entry. */
    Set<String> names();

    /**
     * Returns the name for a job.
     *
     * @param point the job's point, from 0 to 1; the same job always has the same point
     */
    String at(double point);

    /** A pool or a node. */
    record Named(String name) implements Target {
        @Override
        public Set<String> names() {
            return Set.of(name);
        }

        @Override
        public String at(double point) {
            return name;
        }
    }

    /**
     * Several pools or nodes. Each job has one of them, by weight.
     *
     * @param weights at least one weight; each is positive
     */
    record Split(SortedMap<String, Integer> weights) implements Target {
        /** @param given the order of its entries makes no difference */
        public Split(Map<String, Integer> given) {
            this((SortedMap<String, Integer>) new TreeMap<>(given));
        }

        public Split {
            if (weights.isEmpty() || weights.values().stream().anyMatch(weight -> weight < 1)) {
                throw new IllegalArgumentException("a split has positive weights");
            }
            weights = Collections.unmodifiableSortedMap(new TreeMap<>(weights));
        }

        @Override
        public Set<String> names() {
            return weights.keySet();
        }

        @Override
        public String at(double point) {
            double total =
                    weights.values().stream().mapToLong(Integer::longValue).sum();
            double place = point * total;
            for (Map.Entry<String, Integer> each : weights.entrySet()) {
                place -= each.getValue();
                if (place < 0) {
                    return each.getKey();
                }
            }
            return weights.lastKey();
        }
    }
}
