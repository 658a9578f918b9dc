package dev.penstock.api.ollama;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.api.call.ApiException;
import dev.penstock.api.direct.DirectCalls;
import dev.penstock.job.JobFailure;
import dev.penstock.settings.Settings;
import dev.penstock.wire.InvalidField;
import dev.penstock.wire.Json;
import io.smallrye.common.annotation.RunOnVirtualThread;
import io.vertx.ext.web.RoutingContext;
import jakarta.ws.rs.Consumes;
import jakarta.ws.rs.GET;
import jakarta.ws.rs.POST;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.core.Context;
import jakarta.ws.rs.core.MediaType;
import jakarta.ws.rs.core.Response;
import java.time.Clock;
import java.util.Map;
import java.util.Set;
import org.jboss.resteasy.reactive.server.ServerExceptionMapper;

/**
 * Ollama's API over all nodes. Chats, completions and embeddings are direct calls. {@link OllamaGate} closes these paths
 * unless the configuration opens them.
 */
@Path("/api")
@RunOnVirtualThread
public final class OllamaResource {
    /** The version of Ollama with which this API was compared. Clients compare it with the oldest version that they accept. */
    static final String VERSION = "0.33.0";

    private final DirectCalls calls;
    private final ModelCatalog models;
    private final Set<String> allowedFields;
    private final Clock clock;

    public OllamaResource(DirectCalls calls, ModelCatalog models, Settings settings, Clock clock) {
        this.calls = calls;
        this.models = models;
        this.clock = clock;
        allowedFields = settings.permissions().fields();
    }

    @POST
    @Path("/chat")
    @Consumes(MediaType.APPLICATION_JSON)
    public Response chat(byte[] document, @Context RoutingContext call) throws InterruptedException {
        return answer(OllamaFormat.Shape.CHAT, ChatRequest::of, document, call);
    }

    @POST
    @Path("/generate")
    @Consumes(MediaType.APPLICATION_JSON)
    public Response generate(byte[] document, @Context RoutingContext call) throws InterruptedException {
        return answer(OllamaFormat.Shape.GENERATE, GenerateRequest::of, document, call);
    }

    @POST
    @Path("/embed")
    @Consumes(MediaType.APPLICATION_JSON)
    public Response embed(byte[] document, @Context RoutingContext call) throws InterruptedException {
        return answer(OllamaFormat.Shape.EMBED, EmbedRequest::many, document, call);
    }

    @POST
    @Path("/embeddings")
    @Consumes(MediaType.APPLICATION_JSON)
    public Response embeddings(byte[] document, @Context RoutingContext call) throws InterruptedException {
        return answer(OllamaFormat.Shape.EMBEDDINGS, EmbedRequest::one, document, call);
    }

    @GET
    @Path("/tags")
    public Response tags() throws InterruptedException {
        return json(Json.bytes(models.tags()));
    }

    @GET
    @Path("/ps")
    public Response running() throws InterruptedException {
        return json(Json.bytes(models.running()));
    }

    @POST
    @Path("/show")
    @Consumes(MediaType.APPLICATION_JSON)
    public Response show(byte[] document) throws InterruptedException {
        String name;
        boolean verbose;
        try {
            OllamaBody request = OllamaBody.parse(document);
            // the older name of the field
            name = request.fields().has("name") ? request.text("name") : request.model();
            verbose = request.fields().flag("verbose").orElse(false);
        } catch (InvalidField e) {
            throw new ApiException(e.failure());
        }
        ObjectNode shown = models.shown(name, verbose).orElseThrow(() -> notFound(name));
        return json(Json.bytes(shown));
    }

    @GET
    @Path("/version")
    public Response version() {
        return json(Json.bytes(Map.of("version", VERSION)));
    }

    /** Answers an error of these endpoints in Ollama's shape. */
    @ServerExceptionMapper
    public Response failed(ApiException e) {
        return OllamaGate.error(e.failure());
    }

    private interface Translation {
        Asked of(OllamaBody request, String model, Set<String> allowedFields) throws InvalidField;
    }

    private Response answer(OllamaFormat.Shape shape, Translation translation, byte[] document, RoutingContext call)
            throws InterruptedException {
        String name;
        Asked asked;
        try {
            OllamaBody request = OllamaBody.parse(document);
            name = request.model();
            asked = translation.of(request, models.nameInJob(name), allowedFields);
        } catch (InvalidField e) {
            throw new ApiException(e.failure());
        }
        OllamaFormat format = new OllamaFormat(shape, name, clock);
        return switch (asked) {
            case Asked.Call(ObjectNode body) -> calls.answer(call, body, format);
            case Asked.NoPrompt(String reason) -> {
                if (!models.has(name)) {
                    throw notFound(name);
                }
                yield json(format.withoutPrompt(reason));
            }
        };
    }

    private static ApiException notFound(String name) {
        return new ApiException(JobFailure.of(JobFailure.Code.MODEL_NOT_FOUND, "model '%s' not found".formatted(name)));
    }

    private static Response json(byte[] document) {
        return Response.ok(document, OllamaGate.JSON).build();
    }
}
