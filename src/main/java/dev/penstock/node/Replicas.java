package dev.penstock.node;

import java.util.Collection;
import java.util.List;

/**
 * The live replicas. A limit of a node or of a tenant holds for all replicas together, and each replica takes its share.
 *
 * @param members all replicas, in the same order on each of them
 * @param own this replica; if it is not a member yet, its share has no part of the remainder
 */
public record Replicas(List<String> members, String own) {
    static final Replicas ALONE = new Replicas(List.of("this one"), "this one");

    public Replicas {
        members = members.stream().distinct().sorted().toList();
    }

    public Replicas(Collection<String> members, String own) {
        this(List.copyOf(members), own);
    }

    public int count() {
        return members.size() + (members.contains(own) ? 0 : 1);
    }

    /**
     * Returns this replica's share of a limit. The shares add up to the limit, unless the limit is smaller than the
     * number of replicas. Each share is at least 1.
     *
     * @param name the name of the node or of the tenant; it decides which replicas get the remainder, so that they differ
     *     from name to name
     */
    public int share(String name, int limit) {
        int count = count();
        int place = members.indexOf(own);
        boolean oneMore =
                place >= 0 && Math.floorMod(place + Math.floorMod(name.hashCode(), count), count) < limit % count;
        return Math.max(1, limit / count + (oneMore ? 1 : 0));
    }

    /** Returns whether the limit is smaller than the number of replicas. */
    boolean exceed(int limit) {
        return limit < count();
    }
}
