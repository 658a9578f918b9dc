package dev.penstock.api.admin;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.api.call.ApiException;
import dev.penstock.api.call.Lists;
import dev.penstock.job.JobFailure;
import dev.penstock.node.Nodes;
import dev.penstock.node.Registry;
import dev.penstock.wire.Json;
import dev.penstock.wire.record.Pauses;
import io.smallrye.common.annotation.RunOnVirtualThread;
import jakarta.ws.rs.Consumes;
import jakarta.ws.rs.GET;
import jakarta.ws.rs.POST;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.Produces;
import jakarta.ws.rs.core.MediaType;
import java.time.Instant;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Pauses and resumes topics, pools and nodes. A pause object is {@code {"topic"|"pool"|"node": name, "since": time}};
 * {@code since} is null if it is not paused.
 */
@Path("/v1")
@Produces(MediaType.APPLICATION_JSON)
@RunOnVirtualThread
public final class PausesResource {
    private static final String ONE_OF = "expected exactly one of topic, pool, node";

    private final Nodes nodes;
    private final Registry registry;

    public PausesResource(Nodes nodes, Registry registry) {
        this.nodes = nodes;
        this.registry = registry;
    }

    /** What a call names. */
    private record Named(Pauses.Kind kind, String name) {}

    @GET
    @Path("/pauses")
    public ObjectNode list() {
        ArrayNode data = Json.mapper().createArrayNode();
        nodes.pauses().all().forEach(pause -> data.add(document(pause.kind(), pause.name(), pause.since())));
        return Lists.of(data);
    }

    @POST
    @Path("/pause")
    @Consumes(MediaType.APPLICATION_JSON)
    public ObjectNode pause(byte[] body) throws InterruptedException {
        Named named = named(body);
        return document(named, registry.pause(named.kind(), named.name()));
    }

    @POST
    @Path("/resume")
    @Consumes(MediaType.APPLICATION_JSON)
    public ObjectNode resume(byte[] body) throws InterruptedException {
        Named named = named(body);
        return document(named, registry.resume(named.kind(), named.name()));
    }

    private static Named named(byte[] body) {
        ObjectNode document = Bodies.object(body);
        for (Map.Entry<String, JsonNode> field : document.properties()) {
            if (Pauses.Kind.of(field.getKey()).isEmpty()) {
                throw new ApiException(JobFailure.invalid(field.getKey(), "is unknown: " + ONE_OF));
            }
        }
        if (document.size() != 1) {
            throw new ApiException(JobFailure.of(JobFailure.Code.INVALID_REQUEST, ONE_OF));
        }
        Map.Entry<String, JsonNode> only = document.properties().iterator().next();
        if (!only.getValue().isTextual() || only.getValue().asText().isEmpty()) {
            throw new ApiException(JobFailure.invalid(only.getKey(), "expected a name"));
        }
        return new Named(
                Pauses.Kind.of(only.getKey()).orElseThrow(), only.getValue().asText());
    }

    private static ObjectNode document(Named named, Registry.PauseChange change) {
        return switch (change) {
            case Registry.PauseChange.Paused(Pauses.Pause pause) -> document(pause.kind(), pause.name(), pause.since());
            case Registry.PauseChange.Resumed() -> document(named.kind(), named.name(), null);
            case Registry.PauseChange.Refused(JobFailure failure) -> throw new ApiException(failure);
        };
    }

    private static ObjectNode document(Pauses.Kind kind, String name, @Nullable Instant since) {
        return Json.mapper()
                .createObjectNode()
                .put(kind.wireName(), name)
                .put("since", since == null ? null : since.toString());
    }
}
