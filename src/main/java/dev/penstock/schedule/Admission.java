package dev.penstock.schedule;

import dev.penstock.job.JobFailure;
import dev.penstock.node.Node;

/** How a wait for a node ended. */
public sealed interface Admission {
    /** The job may go to this node; its run closes the slot. */
    record Granted(Node.Slot slot, String model) implements Admission {}

    /** No node can ever serve the job. */
    record Unservable(JobFailure failure) implements Admission {}

    /** The job makes room for others. */
    record Deferred(Cause cause) implements Admission {}

    /** Why a job makes room. */
    enum Cause {
        /** Its nodes are down, and others are up. */
        NODES_DOWN,
        /** Its nodes are full, and others are idle. */
        NODES_FULL
    }

    /** The entry was stopped. */
    record Stopped() implements Admission {}

    /** The time for the wait is over. */
    record TimedOut() implements Admission {}
}
