package dev.penstock.api.admin;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.api.call.ApiException;
import dev.penstock.api.call.Lists;
import dev.penstock.api.call.StreamPlaces;
import dev.penstock.job.JobFailure;
import dev.penstock.node.Node;
import dev.penstock.node.Nodes;
import dev.penstock.node.models.ModelTransfer;
import dev.penstock.node.models.NodeModels;
import dev.penstock.wire.Json;
import dev.penstock.wire.ModelName;
import dev.penstock.wire.document.ErrorDocument;
import io.smallrye.common.annotation.Blocking;
import io.smallrye.common.annotation.RunOnVirtualThread;
import io.smallrye.mutiny.Multi;
import io.vertx.ext.web.RoutingContext;
import jakarta.ws.rs.Consumes;
import jakarta.ws.rs.DELETE;
import jakarta.ws.rs.POST;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.PathParam;
import jakarta.ws.rs.Produces;
import jakarta.ws.rs.QueryParam;
import jakarta.ws.rs.core.Context;
import jakarta.ws.rs.core.MediaType;
import jakarta.ws.rs.sse.OutboundSseEvent;
import jakarta.ws.rs.sse.Sse;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** Pulls, loads, unloads and deletes models at a node. With {@code ?pool=}, it does so at every node of the pool. */
@Path("/v1/nodes/{name}/models")
@RunOnVirtualThread
public final class NodeModelsResource {
    private final Nodes nodes;
    private final StreamPlaces places;

    public NodeModelsResource(Nodes nodes, StreamPlaces places) {
        this.places = places;
        this.nodes = nodes;
    }

    @POST
    @Consumes(MediaType.APPLICATION_JSON)
    @Produces(MediaType.SERVER_SENT_EVENTS)
    @Blocking
    public Multi<OutboundSseEvent> fetch(
            @PathParam("name") String name,
            @QueryParam("pool") @Nullable String pool,
            byte[] body,
            @Context Sse sse,
            @Context RoutingContext call)
            throws InterruptedException {
        String model = Bodies.object(body).path("model").asText("");
        checked(model);
        return places.opened(call, () -> fetch(model, chosen(name, pool), sse));
    }

    private static Multi<OutboundSseEvent> fetch(String model, List<Node> chosen, Sse sse) {
        List<ModelTransfer.Watch> watches = new ArrayList<>();
        List<JobFailure> refusals = new ArrayList<>();
        for (Node node : chosen) {
            switch (node.models().fetch(model)) {
                case NodeModels.Request.OnItsWay(ModelTransfer transfer) -> watches.add(transfer.watch());
                case NodeModels.Request.Refused(JobFailure failure) -> refusals.add(failure);
            }
        }
        if (watches.isEmpty()) {
            throw new ApiException(refusals.getFirst());
        }
        return TransferStreams.of(model, watches, refusals, sse);
    }

    @DELETE
    @Path("/{model:.+}")
    @Produces(MediaType.APPLICATION_JSON)
    public ObjectNode delete(
            @PathParam("name") String name, @PathParam("model") String model, @QueryParam("pool") @Nullable String pool)
            throws InterruptedException {
        return execute(name, pool, model, "deleted", NodeModels::delete);
    }

    @POST
    @Path("/{model:.+}/unload")
    @Produces(MediaType.APPLICATION_JSON)
    public ObjectNode unload(
            @PathParam("name") String name, @PathParam("model") String model, @QueryParam("pool") @Nullable String pool)
            throws InterruptedException {
        return execute(name, pool, model, "unloaded", NodeModels::unload);
    }

    private static void checked(String model) {
        if (!ModelName.isUsable(model)) {
            throw new ApiException(JobFailure.invalid(
                    "model", "a name of 1 to %d characters on one line".formatted(ModelName.LONGEST)));
        }
    }

    private interface Command {
        NodeModels.Result give(NodeModels models, String model) throws InterruptedException;
    }

    private ObjectNode execute(String name, @Nullable String pool, String model, String done, Command command)
            throws InterruptedException {
        checked(model);
        ArrayNode answers = Json.mapper().createArrayNode();
        JobFailure refusal = null;
        boolean any = false;
        for (Node node : chosen(name, pool)) {
            ObjectNode answer =
                    Json.mapper().createObjectNode().put("node", node.name()).put("model", model);
            switch (command.give(node.models(), model)) {
                case NodeModels.Result.Done() -> {
                    any = true;
                    answer.put("status", done);
                }
                case NodeModels.Result.Refused(JobFailure failure) -> {
                    refusal = helped(node, model, failure);
                    answer.put("status", "failed")
                            .set("error", ErrorDocument.of(refusal).get("error"));
                }
            }
            answers.add(answer);
        }
        if (!any && refusal != null) {
            throw new ApiException(refusal);
        }
        return Lists.of(answers);
    }

    /** If the node does not have the model, returns a failure whose message lists the node's models. */
    private static JobFailure helped(Node node, String model, JobFailure failure) {
        if (failure.code() != JobFailure.Code.MODEL_NOT_FOUND) {
            return failure;
        }
        String there = node.health().models().stream().map(known -> known.id()).collect(Collectors.joining(", "));
        return JobFailure.of(
                        failure.code(),
                        "model '%s' is not on node '%s'. There: %s"
                                .formatted(model, node.name(), there.isEmpty() ? "none" : there))
                .atNode(node.name());
    }

    private List<Node> chosen(String name, @Nullable String pool) {
        if (pool == null) {
            return List.of(nodes.find(name).orElseThrow(() -> new ApiException(nodes.unknown(name))));
        }
        List<Node> inPool = nodes.all().stream()
                .filter(node -> node.settings().pool().equals(pool))
                .toList();
        if (inPool.isEmpty()) {
            String pools = nodes.all().stream()
                    .map(node -> node.settings().pool())
                    .distinct()
                    .collect(Collectors.joining(", "));
            throw new ApiException(JobFailure.of(
                    JobFailure.Code.NOT_FOUND,
                    "pool '%s' has no node. Available: %s".formatted(pool, pools.isEmpty() ? "none" : pools)));
        }
        return inPool;
    }
}
