package dev.penstock.demo;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.PrintStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.Iterator;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/** The job over REST: one call, whose answer is its events. */
final class RestJob {
    private RestJob() {}

    static Reply run(URI service, String document, PrintStream out, Duration patience)
            throws IOException, InterruptedException {
        ObjectMapper json = new ObjectMapper();
        HttpRequest request = HttpRequest.newBuilder(service.resolve("/v1/jobs"))
                .header("Content-Type", "application/json")
                .header("Accept", "text/event-stream")
                .timeout(patience)
                .POST(HttpRequest.BodyPublishers.ofString(document))
                .build();
        try (HttpClient client = HttpClient.newBuilder()
                        .version(HttpClient.Version.HTTP_1_1)
                        .build();
                ScheduledExecutorService alarm = Executors.newSingleThreadScheduledExecutor()) {
            var ring = alarm.schedule(client::shutdownNow, patience.toMillis(), TimeUnit.MILLISECONDS);
            Reply reply = new Reply(out);
            HttpResponse<Stream<String>> response = client.send(request, HttpResponse.BodyHandlers.ofLines());
            try (Stream<String> lines = response.body()) {
                if (response.statusCode() != 200) {
                    throw new IOException("POST /v1/jobs: status %d: %s"
                            .formatted(response.statusCode(), String.join("\n", lines.toList())));
                }
                Iterator<String> line = lines.iterator();
                while (!reply.isClosed() && line.hasNext()) {
                    String next = line.next();
                    if (next.startsWith("data:")) {
                        reply.take(json.readTree(next.substring("data:".length())));
                    }
                }
            } finally {
                ring.cancel(false);
                client.shutdownNow();
            }
            return reply;
        }
    }
}
