package dev.penstock.api;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.dispatch.Line;
import dev.penstock.job.JobFailure;
import dev.penstock.node.Node;
import dev.penstock.node.Nodes;
import dev.penstock.node.WireProtocol;
import dev.penstock.wire.Json;
import io.smallrye.common.annotation.RunOnVirtualThread;
import jakarta.ws.rs.GET;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.PathParam;
import jakarta.ws.rs.Produces;
import jakarta.ws.rs.core.MediaType;
import java.util.Locale;
import java.util.stream.Collectors;
import org.eclipse.microprofile.openapi.annotations.Operation;

/** The model servers as they are now. */
@Path("/v1/nodes")
@Produces(MediaType.APPLICATION_JSON)
@RunOnVirtualThread
public final class NodesResource {
    private final Nodes nodes;
    private final Line line;

    public NodesResource(Nodes nodes, Line line) {
        this.nodes = nodes;
        this.line = line;
    }

    @GET
    @Operation(summary = "List the nodes")
    public ObjectNode list() {
        ArrayNode data = Json.mapper().createArrayNode();
        nodes.all().forEach(node -> data.add(document(node)));
        return Lists.of(data);
    }

    @GET
    @Path("/{name}")
    @Operation(summary = "One node")
    public ObjectNode get(@PathParam("name") String name) {
        return nodes.find(name).map(this::document).orElseThrow(() -> {
            String available = nodes.all().stream().map(Node::name).collect(Collectors.joining(", "));
            return new ApiException(JobFailure.of(
                    JobFailure.Code.NOT_FOUND,
                    "node '%s' not found. Available: %s".formatted(name, available.isEmpty() ? "none" : available)));
        });
    }

    private ObjectNode document(Node node) {
        Node.Health health = node.health();
        ObjectNode document = Json.mapper()
                .createObjectNode()
                .put("name", node.name())
                .put("backend", node.settings().backend().wireName())
                .put("url", node.settings().url().toString())
                .put("pool", node.settings().pool())
                .put("state", health.state().name().toLowerCase(Locale.ROOT));
        ArrayNode models = document.putArray("models");
        for (WireProtocol.Model model : health.models()) {
            models.addObject()
                    .put("id", model.id())
                    .put("loaded", model.loaded())
                    .put("context", model.context());
        }
        document.putObject("first_token_ms")
                .put("p50", node.pace().firstTokenMillis(0.5))
                .put("p95", node.pace().firstTokenMillis(0.95));
        return document.put("in_flight", node.inFlight())
                .put("limit", node.limit())
                .put("waiting", line.waitingFor(node.name()))
                .put("tokens_per_second", node.pace().tokensPerSecond())
                .put("breaker", "closed")
                .put("last_error", health.lastError())
                .put("since", health.since().toString());
    }
}
