package dev.penstock.api.admin;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.api.call.ApiException;
import dev.penstock.api.call.Lists;
import dev.penstock.job.JobFailure;
import dev.penstock.node.Node;
import dev.penstock.node.NodeLoad;
import dev.penstock.node.Nodes;
import dev.penstock.node.Registry;
import dev.penstock.node.protocol.WireProtocol;
import dev.penstock.schedule.Scheduler;
import dev.penstock.wire.Json;
import io.smallrye.common.annotation.RunOnVirtualThread;
import jakarta.ws.rs.Consumes;
import jakarta.ws.rs.DELETE;
import jakarta.ws.rs.GET;
import jakarta.ws.rs.POST;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.PathParam;
import jakarta.ws.rs.Produces;
import jakarta.ws.rs.QueryParam;
import jakarta.ws.rs.core.MediaType;
import jakarta.ws.rs.core.Response;
import java.time.Clock;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/** Shows the current nodes, and adds and removes nodes. */
@Path("/v1/nodes")
@Produces(MediaType.APPLICATION_JSON)
@RunOnVirtualThread
public final class NodesResource {
    private static final String NAME = "name";

    private final Nodes nodes;
    private final Registry registry;
    private final Scheduler scheduler;
    private final Clock clock;

    public NodesResource(Nodes nodes, Registry registry, Scheduler scheduler, Clock clock) {
        this.clock = clock;
        this.nodes = nodes;
        this.registry = registry;
        this.scheduler = scheduler;
    }

    @GET
    public ObjectNode list() {
        ArrayNode data = Json.mapper().createArrayNode();
        nodes.all().forEach(node -> data.add(document(node)));
        nodes.draining().forEach(node -> data.add(document(node)));
        return Lists.of(data);
    }

    @GET
    @Path("/{name}")
    public ObjectNode get(@PathParam("name") String name) {
        return nodes.find(name)
                .or(() -> nodes.findDraining(name))
                .map(this::document)
                .orElseThrow(() -> new ApiException(nodes.unknown(name)));
    }

    @POST
    @Consumes(MediaType.APPLICATION_JSON)
    public Response add(@QueryParam("force") @Nullable String force, byte[] body) throws InterruptedException {
        ObjectNode document = Bodies.object(body);
        String name = document.path(NAME).asText("");
        if (name.isEmpty()) {
            throw new ApiException(JobFailure.invalid(NAME, "is missing: the name of the node"));
        }
        document.remove(NAME);
        return switch (registry.add(name, document, isTrue(force))) {
            case Registry.Change.Made(Node node) ->
                Response.status(Response.Status.CREATED)
                        .entity(document(node))
                        .header("Location", "/v1/nodes/" + name)
                        .build();
            case Registry.Change.Refused(JobFailure failure) -> throw new ApiException(failure);
        };
    }

    @DELETE
    @Path("/{name}")
    public Response remove(@PathParam("name") String name) throws InterruptedException {
        return switch (registry.remove(name)) {
            case Registry.Change.Made(Node node) ->
                Response.accepted(document(node)).build();
            case Registry.Change.Refused(JobFailure failure) -> throw new ApiException(failure);
        };
    }

    private static boolean isTrue(@Nullable String force) {
        if (force == null || force.equals("false")) {
            return false;
        }
        if (force.isEmpty() || force.equals("true")) {
            return true;
        }
        throw new ApiException(JobFailure.invalid("force", "expected true or false"));
    }

    /** Returns a figure with one decimal; null if it is not known yet. */
    private static @Nullable Double known(double figure) {
        return Double.isNaN(figure) ? null : Math.round(figure * 10) / 10.0;
    }

    private ObjectNode document(Node node) {
        Node.Health health = node.health();
        ObjectNode document = Json.mapper()
                .createObjectNode()
                .put("name", node.name())
                .put("backend", node.settings().backend().wireName())
                .put("url", node.address())
                .put("pool", node.settings().pool())
                .put("state", health.state().name().toLowerCase(Locale.ROOT))
                .put("paused", node.pause().isPresent());
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
        NodeLoad load = node.requests().load();
        document.putObject("rates")
                .put("prefill_tokens_per_second", known(load.tokensPerSecond()))
                .put("decode_tokens_per_second", known(node.requests().decodeTokensPerSecond()));
        document.put("load_seconds", known(load.seconds()));
        long now = clock.millis();
        node.requests().signals().ifPresent(seen -> {
            ObjectNode signals = document.putObject("signals")
                    .put("source", seen.source().wireName())
                    .put("age_ms", seen.ageMillis(now));
            if (seen.isStale(now)) {
                signals.put("stale", true);
            }
        });
        return document.put("in_flight", node.inFlight())
                .put("limit", node.limit())
                .put("waiting", scheduler.waitingFor(node.name()))
                .put("tokens_per_second", node.pace().tokensPerSecond())
                .put("breaker", node.requests().breaker())
                .put("last_error", health.lastError())
                .put("since", health.since().toString());
    }
}
