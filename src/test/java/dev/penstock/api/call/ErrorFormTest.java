package dev.penstock.api.call;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.JobFailure;
import dev.penstock.wire.Json;
import io.vertx.core.Vertx;
import io.vertx.core.http.HttpServer;
import io.vertx.ext.web.Router;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** A server that refuses each call, and whose calls below /own have a form of their own. */
class ErrorFormTest {
    private final Vertx vertx = Vertx.vertx();
    private HttpServer server;

    @BeforeEach
    void listen() {
        Router router = Router.router(vertx);
        router.route("/own/*").handler(call -> {
            ErrorForm.set(call, failure -> Json.mapper().createObjectNode().put("own", failure.message()));
            call.next();
        });
        router.route()
                .handler(call ->
                        BodyBudget.refuse(call, JobFailure.of(JobFailure.Code.TOO_LARGE, "the body is too large")));
        server = vertx.createHttpServer()
                .requestHandler(router)
                .listen(0, "127.0.0.1")
                .toCompletionStage()
                .toCompletableFuture()
                .join();
    }

    @AfterEach
    void close() {
        vertx.close().toCompletionStage().toCompletableFuture().join();
    }

    @Test
    void a_refused_call_has_the_error_form_of_its_api() throws IOException, InterruptedException {
        assertThat(get("/own/call")).isEqualTo("413 {\"own\":\"the body is too large\"}");
        assertThat(get("/other"))
                .isEqualTo(
                        "413 {\"error\":{\"message\":\"the body is too large\",\"type\":\"invalid_request_error\",\"param\":null,\"code\":\"too_large\"}}");
    }

    private String get(String path) throws IOException, InterruptedException {
        try (HttpClient client = HttpClient.newHttpClient()) {
            HttpResponse<String> reply = client.send(
                    HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + server.actualPort() + path))
                            .build(),
                    HttpResponse.BodyHandlers.ofString());
            return reply.statusCode() + " " + reply.body();
        }
    }
}
