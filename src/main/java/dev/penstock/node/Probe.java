package dev.penstock.node;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.settings.Backend;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** One look at a server: is it there, what does it serve, how many requests does it take. */
final class Probe {
    private static final Duration PATIENCE = Duration.ofSeconds(3);

    private Probe() {}

    static Node.ProbeResult of(NodeClient client, WireProtocol protocol, Backend backend) throws InterruptedException {
        try {
            NodeClient.Reply listed = client.get(protocol.modelsPath(), PATIENCE);
            JsonNode models = listed.json();
            if (listed.status() == 503) {
                return new Node.ProbeResult.Loading(refusal(protocol, listed));
            }
            if (models == null) {
                return new Node.ProbeResult.Away(refusal(protocol, listed), false);
            }
            List<@Nullable JsonNode> further = new ArrayList<>();
            for (String path : protocol.furtherPaths()) {
                further.add(client.get(path, PATIENCE).json());
            }
            int slots = 0;
            if (backend == Backend.LLAMA_SERVER) {
                JsonNode props = client.get("/props", PATIENCE).json();
                slots = props == null ? 0 : props.path("total_slots").asInt(0);
            }
            return new Node.ProbeResult.Up(protocol.models(models, further), slots);
        } catch (NodeClient.Unreachable e) {
            return new Node.ProbeResult.Away(e.reason(), e.timedOut());
        }
    }

    private static String refusal(WireProtocol protocol, NodeClient.Reply reply) {
        return ServerErrors.refused(protocol.modelsPath(), reply.status(), reply.body())
                .message();
    }
}
