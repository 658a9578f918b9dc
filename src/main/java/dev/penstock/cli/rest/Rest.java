package dev.penstock.cli.rest;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.cli.job.Problem;
import dev.penstock.cli.job.ValidEvent;
import dev.penstock.wire.Json;
import java.io.IOException;
import java.net.ConnectException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpTimeoutException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import org.jspecify.annotations.Nullable;

/** A client of the service's REST API. It sends requests, and translates answers and failures for the user. */
public final class Rest implements AutoCloseable {
    private static final Duration CONNECT_WITHIN = Duration.ofSeconds(5);
    private static final Duration ANSWER_WITHIN = Duration.ofSeconds(30);

    private final String base;
    private final @Nullable String apiKey;
    private final HttpClient http;

    /** @param base the URL without /v1 */
    public Rest(String base, @Nullable String apiKey) {
        this.base = base;
        this.apiKey = apiKey;
        http = HttpClient.newBuilder()
                .version(HttpClient.Version.HTTP_1_1)
                .connectTimeout(CONNECT_WITHIN)
                .build();
    }

    public String base() {
        return base;
    }

    public HttpRequest.Builder request(String path) {
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(base + path))
                .timeout(ANSWER_WITHIN)
                .header("Accept", "application/json");
        return apiKey == null ? request : request.header("Authorization", "Bearer " + apiKey);
    }

    /** Returns a builder for a request that changes data. Its content type is JSON, even if it has no body. */
    public HttpRequest.Builder change(String path) {
        return request(path).header("Content-Type", "application/json");
    }

    public static String encoded(String pathSegment) {
        return URLEncoder.encode(pathSegment, StandardCharsets.UTF_8).replace("+", "%20");
    }

    /** Sends a request. Returns when the status and the headers of the answer have arrived. */
    public HttpResponse<StreamBody> open(HttpRequest request) throws IOException, InterruptedException {
        return http.send(request, _ -> new StreamBody());
    }

    /** Sends a request whose answer is one JSON document. */
    public JsonNode call(HttpRequest request) throws Problem, InterruptedException {
        try {
            HttpResponse<StreamBody> response = open(request);
            try (StreamBody body = response.body()) {
                byte[] bytes = body.whole(ANSWER_WITHIN);
                int status = response.statusCode();
                if (status >= 200 && status < 300) {
                    JsonNode document = Json.parseLenient(new String(bytes, StandardCharsets.UTF_8));
                    if (document == null || !document.isObject()) {
                        throw Problem.refused(base + " answered with no JSON: is it Penstock?");
                    }
                    return document;
                }
                throw status >= 500
                        ? Problem.brokenOff("%s answered %s".formatted(base, saying(status, bytes)))
                        : refused(status, bytes);
            }
        } catch (IOException e) {
            throw Problem.brokenOff(unreachable(e));
        }
    }

    /** Converts an error answer to a problem. */
    public Problem refused(int status, byte[] body) {
        JsonNode error = error(body);
        return error == null
                ? Problem.refused("%s answered %d: is it Penstock?".formatted(base, status))
                : Problem.refused(ValidEvent.failure(error), error);
    }

    /** Returns the message of an error answer, in one line. */
    static String saying(int status, byte[] body) {
        JsonNode error = error(body);
        return error == null ? String.valueOf(status) : status + ": " + ValidEvent.failure(error);
    }

    private static @Nullable JsonNode error(byte[] body) {
        JsonNode document = Json.parseLenient(new String(body, StandardCharsets.UTF_8));
        JsonNode error = document == null ? null : document.get("error");
        return error != null && error.isObject() ? error : null;
    }

    /** Describes in one line why no answer came, with the way out. */
    public String unreachable(IOException e) {
        return switch (e) {
            case ConnectException _ ->
                base + " cannot be reached: is Penstock running there? (start it with: penstock; or set another --url)";
            case HttpTimeoutException _ -> base + " does not answer: is it Penstock, and is its broker up?";
            default -> {
                String why = e.getMessage();
                yield "the connection to %s broke (%s): is it Penstock, and still running?"
                        .formatted(base, why == null ? e.getClass().getSimpleName() : why);
            }
        };
    }

    @Override
    public void close() {
        http.shutdownNow();
    }
}
