package dev.penstock.node.http;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.JobFailure;
import dev.penstock.node.protocol.WireProtocol;
import dev.penstock.node.upstream.ProbeResult;
import dev.penstock.settings.NodeSettings;
import dev.penstock.wire.ModelName;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Probes a server. It finds out whether the server answers, which models it has, and how many requests it takes at
 * once.
 */
public final class Probe {
    private static final Duration PATIENCE = Duration.ofSeconds(3);
    private static final int MOST_MODELS = 10_000;

    private Probe() {}

    /** A server that can be probed. */
    public interface Server {
        NodeSettings settings();

        WireProtocol protocol();

        NodeErrors errors();

        /** @throws NodeClient.Unreachable with the reason in one line */
        NodeClient.Reply get(String path, Duration timeout) throws NodeClient.Unreachable, InterruptedException;
    }

    public static ProbeResult of(Server client) throws InterruptedException {
        WireProtocol protocol = client.protocol();
        try {
            NodeClient.Reply listed = client.get(protocol.modelsPath(), PATIENCE);
            JsonNode models = listed.json();
            if (listed.status() == 503) {
                return new ProbeResult.Loading(refusal(client, listed).message());
            }
            if (models == null) {
                JobFailure refusal = refusal(client, listed);
                String mismatch = listed.status() == 404
                        ? ServerKind.mismatch(client.settings(), ServerKind.ask(client, PATIENCE))
                        : null;
                return new ProbeResult.Away(
                        mismatch == null ? refusal.message() : mismatch,
                        false,
                        refusal.code() == JobFailure.Code.NODE_UNAUTHORIZED);
            }
            List<@Nullable JsonNode> further = new ArrayList<>();
            for (String path : protocol.furtherPaths()) {
                further.add(client.get(path, PATIENCE).json());
            }
            return new ProbeResult.Up(
                    usable(protocol.models(models, further)),
                    protocol.totalSlots(further),
                    ServerKind.mismatch(client.settings(), ServerKind.of(listed)));
        } catch (NodeClient.Unreachable e) {
            return new ProbeResult.Away(e.reason(), e.timedOut(), false);
        }
    }

    /** Returns the models with a usable name, in a list of limited length. */
    private static List<WireProtocol.Model> usable(List<WireProtocol.Model> listed) {
        return listed.stream()
                .filter(model -> ModelName.isUsable(model.id()))
                .limit(MOST_MODELS)
                .toList();
    }

    private static JobFailure refusal(Server client, NodeClient.Reply reply) {
        return client.errors().probed(reply.status(), reply.body());
    }
}
