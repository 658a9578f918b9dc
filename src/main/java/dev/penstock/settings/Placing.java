package dev.penstock.settings;

import java.time.Duration;
import java.util.Locale;
import java.util.Optional;

/**
 * Which of the nodes of its targets a rule's jobs prefer, and which job goes first at a node.
 *
 * @param balance the order of the nodes of a target; if empty, a job with a session has {@link Balance#SESSION}, and any
 *     other job {@link Balance#LEAST_LOAD}
 * @param bound with {@link Balance#PREFIX_AFFINITY}: a node whose load is over this factor of the mean is left; at least 1
 * @param overflow what happens if a prompt is too long for a node
 * @param group the jobs that go first at a node although it is another job's turn
 * @param groupMaxWait how long a job gives way to such jobs
 */
public record Placing(Optional<Balance> balance, double bound, Overflow overflow, Group group, Duration groupMaxWait) {
    /** The placing of a rule that states none. */
    public static final Placing USUAL =
            new Placing(Optional.empty(), 1.25, Overflow.NEXT, Group.MODEL, Duration.ofSeconds(10));

    public Placing {
        if (!(bound >= 1) || !groupMaxWait.isPositive()) {
            throw new IllegalArgumentException("the bound is at least 1, and the longest wait is positive");
        }
    }

    /** The order of the nodes of a target. */
    public enum Balance {
        /** The node that gives the first token soonest comes first. */
        LEAST_LOAD,
        /** Prompts that begin with the same text go to the same node. */
        PREFIX_AFFINITY,
        /** The jobs of a session go to the same node. */
        SESSION,
        /** Each node has a part of the jobs by its weight. */
        WEIGHTED;

        public String wireName() {
            return Placing.wireName(this);
        }
    }

    /** What happens if a prompt and its answer are too long for a node. */
    public enum Overflow {
        /** The job runs at another node. */
        NEXT,
        /** The job fails if it is too long for the first target. */
        FAIL,
        /** The request leaves out the oldest turns of the chat. */
        DROP_OLDEST;

        public String wireName() {
            return Placing.wireName(this);
        }
    }

    /** The jobs that go first at a node although it is another job's turn. */
    public enum Group {
        /** At a node that swaps models: the jobs for the model that it holds. */
        MODEL,
        /** As {@link #MODEL}. At other nodes: the jobs whose prompts begin like the prompt before. */
        PREFIX,
        NONE;

        public String wireName() {
            return Placing.wireName(this);
        }
    }

    private static String wireName(Enum<?> value) {
        return value.name().toLowerCase(Locale.ROOT).replace('_', '-');
    }
}
