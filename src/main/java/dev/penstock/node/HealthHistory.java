package dev.penstock.node;

import dev.penstock.node.protocol.WireProtocol;
import dev.penstock.settings.NodeSettings;
import java.time.Instant;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import org.jboss.logging.Logger;
import org.jspecify.annotations.Nullable;

/** Keeps the latest health of a node, and decides which changes matter. Not thread-safe: its node guards it. */
final class HealthHistory {
    private static final Logger LOG = Logger.getLogger(Node.class);

    private Node.Health latest;
    private boolean draining;
    /** The last state that was logged; null if there is none. */
    private Node.@Nullable State logged;

    /** Only the thread that probes the node uses it. */
    private @Nullable String warned;

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

    /** Logs a message about a server of another kind than the backend, unless it was the last such message. */
    void warnOnce(@Nullable String mismatch) {
        if (mismatch != null && !mismatch.equals(warned)) {
            LOG.warn(mismatch);
        }
        warned = mismatch;
    }

    static void log(NodeSettings node, Node.State state, @Nullable String error) {
        if (state == Node.State.DOWN) {
            LOG.warnf("node=%s is down: %s", node, Objects.requireNonNullElse(error, "no reason"));
        } else {
            LOG.infof("node=%s is %s", node, state.name().toLowerCase(Locale.ROOT));
        }
    }
}
