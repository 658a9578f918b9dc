package dev.penstock.node;

import dev.penstock.node.protocol.WireProtocol;
import java.time.Instant;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Keeps the latest health of a node, and decides which changes matter. Not thread-safe: its node guards it. */
final class HealthHistory {
    private Node.Health latest;
    private boolean draining;
    /** The last state that was logged; null if there is none. */
    private Node.@Nullable State logged;

    /**
     * A change of a node's health.
     *
     * @param isNews whether the change is logged
     * @param movesJobs whether jobs may now run at other nodes than before
     */
    record Change(boolean isNews, boolean movesJobs) {
        private static final Change NONE = new Change(false, false);
    }

    HealthHistory(Instant addedAt) {
        latest = new Node.Health(Node.State.DOWN, false, List.of(), "not probed yet", addedAt);
    }

    Node.Health latest() {
        return latest;
    }

    /** Sets the health. If the node drains, it stays in that state. */
    Change become(Node.State state, List<WireProtocol.Model> models, @Nullable String error, Instant now) {
        if (draining) {
            return Change.NONE;
        }
        draining = state == Node.State.DRAINING;
        Node.Health before = latest;
        boolean sameState = state == before.state();
        boolean known = before.known() || state == Node.State.UP;
        latest = new Node.Health(state, known, models, error, sameState ? before.since() : now);
        boolean news = state != logged && !draining;
        logged = state;
        return new Change(news, !sameState || known != before.known() || !models.equals(before.models()));
    }
}
