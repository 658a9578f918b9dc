package dev.penstock.api.ollama;

import jakarta.ws.rs.GET;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.core.Response;

/** The root path, at which clients look for a running Ollama. {@link OllamaGate} closes it. */
@Path("/")
public final class OllamaRootResource {
    @GET
    public Response root() {
        return Response.ok("Ollama is running", "text/plain; charset=utf-8").build();
    }
}
