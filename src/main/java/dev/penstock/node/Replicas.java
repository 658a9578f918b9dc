package dev.penstock.node;

import java.util.Collection;
import java.util.List;

/**
 * The live replicas: what a node takes at once is for all of them together, and each takes its share.
 *
 * @param members all of them, in an order that all agree on
 * @param own this one. Where it is not among them it is about to be, and takes its share, without a part of the remainder
 */
public record Replicas(List<String> members, String own) {
    static final Replicas ALONE = new Replicas(List.of("this one"), "this one");

    public Replicas {
        members = members.stream().distinct().sorted().toList();
    }

    public Replicas(Collection<String> members, String own) {
        this(List.copyOf(members), own);
    }

    int count() {
        return members.size() + (members.contains(own) ? 0 : 1);
    }

    /**
     * What this replica takes; over all replicas the sum is the limit, unless there are more of them: each takes one at least.
     *
     * @param node its name says who takes the remainder, so that it is not the same replica for every node
     */
    int share(String node, int limit) {
        int count = count();
        int place = members.indexOf(own);
        boolean oneMore =
                place >= 0 && Math.floorMod(place + Math.floorMod(node.hashCode(), count), count) < limit % count;
        return Math.max(1, limit / count + (oneMore ? 1 : 0));
    }

    /** Whether each takes one, and that is too much. */
    boolean exceed(int limit) {
        return limit < count();
    }
}
