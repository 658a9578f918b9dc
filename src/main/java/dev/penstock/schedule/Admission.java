package dev.penstock.schedule;

import dev.penstock.job.JobFailure;
import dev.penstock.node.Node;

/** The result of a wait for a node. */
public sealed interface Admission {
    /** The job may run at the node of this slot. Its run closes the slot. */
    record Granted(Node.Slot slot, String model) implements Admission {}

    /** The job gets no node: no node can ever serve it, or it is a direct call that may not wait. */
    record Refused(JobFailure failure) implements Admission {}

    /** The job makes room for other jobs. */
    record Deferred(Cause cause) implements Admission {}

    /** The reason why a job makes room. */
    enum Cause {
        /** The job's nodes are down or paused, and other nodes are up. */
        NODES_DOWN,
        /** The job's topic is paused. */
        TOPIC_PAUSED,
        /** The job's nodes are full, and other nodes are idle. */
        NODES_FULL,
        /** The job's tenant has reached one of its limits. */
        TENANT_LIMIT
    }

    /** The queue entry was stopped. */
    record Stopped() implements Admission {}

    /** The time for the wait is over. */
    record TimedOut() implements Admission {}
}
