package dev.penstock.node.upstream;

import dev.penstock.node.protocol.WireProtocol;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The result of a probe. */
public sealed interface ProbeResult {
    /**
     * @param totalSlots a llama-server's own number of slots; 0 if the server does not report it
     * @param mismatch a message if the server is of another kind than the node's backend; null if nothing indicates
     *     another kind
     */
    record Up(
            List<WireProtocol.Model> models,
            int totalSlots,
            @Nullable String mismatch) implements ProbeResult {
        public Up(List<WireProtocol.Model> models, int totalSlots) {
            this(models, totalSlots, null);
        }
    }

    record Loading(String words) implements ProbeResult {}

    /**
     * @param timedOut whether the answer did not come in time, although the connection was not refused
     * @param unauthorized whether the server answers, but requires another key
     */
    record Away(String words, boolean timedOut, boolean unauthorized) implements ProbeResult {
        public static Away of(String words) {
            return new Away(words, false, false);
        }
    }
}
