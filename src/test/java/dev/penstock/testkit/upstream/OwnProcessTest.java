package dev.penstock.testkit.upstream;

import static dev.penstock.testkit.upstream.WireClient.chat;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.Test;

class OwnProcessTest {

    @Test
    void itIsReadyServesAndEndsWithItsStdin() throws Exception {
        Process process = new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-XX:TieredStopAtLevel=1",
                        "-cp",
                        System.getProperty("java.class.path"),
                        FakeUpstream.class.getName(),
                        "--flavour",
                        "llama-server",
                        "--tokens",
                        "2",
                        "--models",
                        "a,b")
                .redirectError(ProcessBuilder.Redirect.DISCARD)
                .start();
        try (BufferedReader out =
                        new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8));
                HttpClient client = HttpClient.newHttpClient()) {
            String ready = out.readLine();
            assertThat(ready).startsWith("ready http://127.0.0.1:");
            URI url = URI.create(ready.substring("ready ".length()));

            HttpResponse<String> answer = client.send(
                    HttpRequest.newBuilder(url.resolve("/v1/chat/completions"))
                            .POST(HttpRequest.BodyPublishers.ofString(chat("hi", "")))
                            .build(),
                    HttpResponse.BodyHandlers.ofString());
            assertThat(answer.body()).contains("\"content\":\" the river\"");
            assertThat(answer.headers().firstValue("server")).contains("llama.cpp");

            process.getOutputStream().close();
            assertThat(process.waitFor(Duration.ofSeconds(10))).isTrue();
        } finally {
            process.destroyForcibly();
        }
    }
}
