package dev.penstock.bench;

import dev.penstock.testkit.Vitals;

/**
 * What a replica holds.
 *
 * @param resident resident memory in MiB
 * @param connections open connections to the broker
 * @param members its members in the group of each job topic, the most urgent first
 */
record Footprint(int resident, int threads, int connections, String members) {
    static final Footprint UNKNOWN = new Footprint(-1, -1, -1, "-");

    static Footprint of(Stage stage, Running running) throws InterruptedException {
        Vitals vitals = Vitals.of(running.process().pid());
        StringBuilder members = new StringBuilder();
        for (String topic : running.variant().jobTopics()) {
            members.append(members.isEmpty() ? "" : " ")
                    .append(stage.members(running.variant().group(topic)).size());
        }
        return new Footprint(
                vitals.residentMegabytes(),
                vitals.threads(),
                BrokerConnections.to(running.process().pid(), stage.brokerPort()),
                members.toString());
    }

    /** Returns the text for a cell of a table. */
    String text() {
        return "%d MiB, %d threads, %d connections, members %s".formatted(resident, threads, connections, members);
    }
}
