package dev.penstock.intake.record;

import java.util.Map;

/** A source of jobs for this replica. */
public interface Source {
    void start();

    /** Takes no further records. */
    void stop();

    /** Leaves the group; records that are still in flight go to another replica. */
    void close();

    void awaitClosed() throws InterruptedException;

    /** Returns the warnings for the operator, by their subject. */
    default Map<String, String> warnings() {
        return Map.of();
    }
}
