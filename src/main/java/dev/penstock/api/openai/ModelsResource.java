package dev.penstock.api.openai;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.api.call.ApiException;
import dev.penstock.api.call.Lists;
import dev.penstock.job.JobFailure;
import dev.penstock.node.Node;
import dev.penstock.node.Nodes;
import dev.penstock.settings.Settings;
import dev.penstock.wire.Json;
import io.smallrye.common.annotation.RunOnVirtualThread;
import jakarta.ws.rs.GET;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.PathParam;
import jakarta.ws.rs.Produces;
import jakarta.ws.rs.core.MediaType;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** Lists the possible values of a job's {@code model}: the models of the nodes that are up, and the profiles. */
@Path("/v1/models")
@Produces(MediaType.APPLICATION_JSON)
@RunOnVirtualThread
public final class ModelsResource {
    private static final int MOST = 20;

    private final Nodes nodes;
    private final Settings settings;

    public ModelsResource(Nodes nodes, Settings settings) {
        this.nodes = nodes;
        this.settings = settings;
    }

    @GET
    public ObjectNode list() {
        ArrayNode data = Json.mapper().createArrayNode();
        all().values().forEach(data::add);
        return Lists.of(data);
    }

    @GET
    @Path("/{id:.+}")
    public ObjectNode get(@PathParam("id") String id) {
        Map<String, ObjectNode> all = all();
        ObjectNode model = all.get(id);
        if (model == null) {
            throw new ApiException(JobFailure.of(
                    JobFailure.Code.MODEL_NOT_FOUND,
                    "model '%s' is on no node that is up, and no profile. Available: %s".formatted(id, whichWhere())));
        }
        return model;
    }

    private String whichWhere() {
        String models = Stream.concat(
                        settings.profiles().keySet().stream().sorted().map(profile -> profile + " (profile)"),
                        up().flatMap(node ->
                                node.health().models().stream().map(model -> model.id() + " on " + node.name())))
                .limit(MOST)
                .collect(Collectors.joining(", "));
        return models.isEmpty() ? "none" : models;
    }

    private Stream<Node> up() {
        return nodes.all().stream().filter(node -> node.health().state() == Node.State.UP);
    }

    private Map<String, ObjectNode> all() {
        Map<String, ModelOwners> owners = new TreeMap<>();
        settings.profiles()
                .keySet()
                .forEach(profile ->
                        owners.computeIfAbsent(profile, _ -> new ModelOwners()).profile());
        up().forEach(node -> node.health()
                .models()
                .forEach(model -> owners.computeIfAbsent(model.id(), _ -> new ModelOwners())
                        .add(node.name(), node.settings().backend())));
        Map<String, ObjectNode> all = new TreeMap<>();
        owners.forEach((id, of) -> all.put(id, of.document(id)));
        return all;
    }
}
