package dev.penstock.schedule;

/** A decision of the schedule. */
sealed interface Decision {
    /** A job may run at a node. Its wait remains in the schedule until the node has given it a slot. */
    record Grant(Wait waiting, String node, String model) implements Decision {}

    /** A waiting job has left the schedule without a slot. */
    record End(Wait waiting, Admission how) implements Decision {}

    /** A node must fetch a model that jobs wait for. */
    record Fetch(String node, String model) implements Decision {}
}
