package dev.penstock.schedule;

/** A decision of the schedule. */
sealed interface Decision {
    /** The wait may go to a node. It stays in the waiting order until the node has given it a slot. */
    record Grant(Wait waiting, String node, String model) implements Decision {}

    /** The wait has left the waiting order without a slot. */
    record End(Wait waiting, Admission how) implements Decision {}

    /** A node has to fetch a model that jobs wait for. */
    record Fetch(String node, String model) implements Decision {}
}
