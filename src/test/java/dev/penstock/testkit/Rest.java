package dev.penstock.testkit;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.wire.Json;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpHeaders;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** A plain client of the REST API. */
public final class Rest {
    private static final HttpClient HTTP =
            HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

    private Rest() {}

    /** A whole answer. */
    public record Reply(int status, String contentType, HttpHeaders headers, String body) {
        public JsonNode json() {
            return Objects.requireNonNull(Json.parseLenient(body), body);
        }

        /** Returns the error's code. */
        public String code() {
            return json().path("error").path("code").asText();
        }
    }

    /** @param headers name and value in turn */
    public static Reply get(URI server, String path, String... headers) throws InterruptedException {
        HttpRequest.Builder request =
                HttpRequest.newBuilder(server.resolve(path)).GET();
        for (int i = 0; i < headers.length; i += 2) {
            request.header(headers[i], headers[i + 1]);
        }
        return send(request);
    }

    public static Reply delete(URI server, String path) throws InterruptedException {
        return send(HttpRequest.newBuilder(server.resolve(path))
                .header("Content-Type", "application/json")
                .DELETE());
    }

    /** @param headers name and value in turn */
    public static Reply post(URI server, String path, String contentType, String body, String... headers)
            throws InterruptedException {
        HttpRequest.Builder request = HttpRequest.newBuilder(server.resolve(path))
                .header("Content-Type", contentType)
                .POST(HttpRequest.BodyPublishers.ofString(body));
        for (int i = 0; i < headers.length; i += 2) {
            request.header(headers[i], headers[i + 1]);
        }
        return send(request);
    }

    /**
     * Sends the given head of a request unchanged, on a connection of its own, without a body.
     *
     * @param head its lines
     * @return the whole answer, from its status line on
     */
    public static String raw(URI server, String... head) {
        try (Socket socket = new Socket(InetAddress.getByName(server.getHost()), server.getPort())) {
            socket.setSoTimeout(70_000);
            String text = String.join("\r\n", head) + "\r\nConnection: close\r\n\r\n";
            socket.getOutputStream().write(text.getBytes(StandardCharsets.ISO_8859_1));
            return new String(socket.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static Reply send(HttpRequest.Builder request) throws InterruptedException {
        try {
            HttpResponse<String> answer =
                    HTTP.send(request.timeout(Duration.ofSeconds(70)).build(), HttpResponse.BodyHandlers.ofString());
            String type = answer.headers().firstValue("content-type").orElse("");
            return new Reply(answer.statusCode(), type, answer.headers(), answer.body());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** An event from a stream. Comments and incomplete events are skipped. */
    public record SentEvent(String id, String name, String data) {}

    /** An open event stream; closing it leaves. */
    public static final class Events implements AutoCloseable {
        private final HttpResponse<InputStream> answer;
        private final BufferedReader lines;

        private Events(HttpResponse<InputStream> answer) {
            this.answer = answer;
            lines = new BufferedReader(new InputStreamReader(answer.body(), StandardCharsets.UTF_8));
        }

        public int status() {
            return answer.statusCode();
        }

        /** @return null at the end of the stream */
        public @Nullable SentEvent next() throws IOException {
            String id = "";
            String name = "";
            StringBuilder data = new StringBuilder();
            String line = lines.readLine();
            while (line != null) {
                if (line.isEmpty() && !name.isEmpty()) {
                    return new SentEvent(id, name, data.toString());
                } else if (line.startsWith("id:")) {
                    id = line.substring(3).strip();
                } else if (line.startsWith("event:")) {
                    name = line.substring(6).strip();
                } else if (line.startsWith("data:")) {
                    data.append(line.substring(5).stripLeading());
                }
                line = lines.readLine();
            }
            return null;
        }

        /** Reads into the next event, and not to its end. */
        public void readHalfAnEvent() throws IOException {
            String line = lines.readLine();
            while (line != null && !line.startsWith("data:")) {
                line = lines.readLine();
            }
        }

        @Override
        public void close() {
            try {
                answer.body().close();
            } catch (IOException _) {
                // it is gone in any case
            }
        }
    }

    /** @param lastEventId null for the beginning */
    public static Events events(URI server, String id, @Nullable String lastEventId) throws InterruptedException {
        HttpRequest.Builder request = HttpRequest.newBuilder(server.resolve("/v1/jobs/" + id + "/events"))
                .header("Accept", "text/event-stream");
        if (lastEventId != null) {
            request.header("Last-Event-ID", lastEventId);
        }
        return open(request);
    }

    /** Submits a job and watches it. */
    public static Events submitAndWatch(URI server, String document) throws InterruptedException {
        return open(HttpRequest.newBuilder(server.resolve("/v1/jobs"))
                .header("Accept", "text/event-stream")
                .header("Content-Type", "application/json")
                .POST(HttpRequest.BodyPublishers.ofString(document)));
    }

    /** Posts a document and reads the answer as events. */
    public static Events postAndWatch(URI server, String path, String document) throws InterruptedException {
        return open(HttpRequest.newBuilder(server.resolve(path))
                .header("Content-Type", "application/json")
                .POST(HttpRequest.BodyPublishers.ofString(document)));
    }

    /** Reads an answer as events. */
    public static Events getAndWatch(URI server, String path) throws InterruptedException {
        return open(HttpRequest.newBuilder(server.resolve(path)).GET());
    }

    private static Events open(HttpRequest.Builder request) throws InterruptedException {
        try {
            return new Events(HTTP.send(request.build(), HttpResponse.BodyHandlers.ofInputStream()));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
