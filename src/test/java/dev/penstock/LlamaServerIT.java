package dev.penstock;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.EventMark;
import dev.penstock.testkit.Broker;
import dev.penstock.testkit.JobSender;
import dev.penstock.testkit.LlamaServer;
import dev.penstock.testkit.Metrics;
import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.ReplyLog;
import dev.penstock.testkit.Rest;
import dev.penstock.testkit.Rig;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.HttpURLConnection;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Collections;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.opentest4j.TestAbortedException;

/** A real broker and two real llama-servers. */
class LlamaServerIT {
    private static final Duration PATIENCE = Duration.ofMinutes(1);
    private static final int JOBS = 600;

    private static final Deque<AutoCloseable> OPEN = new ArrayDeque<>();
    private static LlamaServer llama;
    private static LlamaServer another;
    private static PenstockProcess penstock;
    private static ReplyLog replies;
    private static JobSender jobs;

    @BeforeAll
    static void start() throws InterruptedException {
        llama = server(LlamaServer.Model.ENDLESS);
        another = server(LlamaServer.Model.TINY, "--alias", "slow");
        Broker broker = Broker.start();
        OPEN.push(broker);
        penstock = PenstockProcess.with(broker.bootstrap())
                .environment("LLAMA_SERVER_URL", llama.url().toString())
                .node("another", "llama-server", another.url(), 4)
                .config("penstock.profiles.fast.llama-server", LlamaServer.MODEL)
                .startReady();
        OPEN.push(penstock);
        replies = ReplyLog.follow(broker.bootstrap());
        OPEN.push(replies);
        jobs = new JobSender(broker.bootstrap());
        OPEN.push(jobs);
    }

    private static LlamaServer server(LlamaServer.Model model, String... more) throws InterruptedException {
        return switch (LlamaServer.start(model, more)) {
            case LlamaServer.Start.Started(LlamaServer server) -> {
                OPEN.push(server);
                yield server;
            }
            case LlamaServer.Start.Unavailable(String why) -> throw new TestAbortedException("SKIPPED: " + why);
        };
    }

    @AfterAll
    static void stop() throws Exception {
        for (AutoCloseable part : OPEN) {
            part.close();
        }
    }

    @Test
    void tokens_of_a_real_model_server_come_as_chunks_and_a_cancel_frees_its_slot() throws InterruptedException {
        jobs.sendRaw(null, document("real", "\"model\":\"tiny\",\"max_tokens\":40"));
        jobs.sendRaw(null, document("endless", "\"model\":\"tiny\",\"max_tokens\":3500"));
        jobs.flush();

        replies.awaitOutcomes(List.of("real"), PATIENCE);
        assertThat(replies.outcome("real").mark().kind()).isEqualTo(EventMark.Kind.COMPLETED);
        assertThat(replies.chunkText("real"))
                .isEqualTo(replies.completedText("real"))
                .isNotBlank();
        assertThat(replies.outcome("real").json().at("/usage/completion_tokens").asInt())
                .isEqualTo(40);
        assertThat(node("llama-server").path("limit").asInt())
                .as("its own total_slots")
                .isEqualTo(4);

        List<String> fast = Rig.ids("fast", 8);
        fast.forEach(id -> jobs.sendRaw(null, document(id, "\"model\":\"fast\",\"max_tokens\":5")));
        jobs.sendRaw(null, document("slow", "\"model\":\"slow\",\"max_tokens\":5"));
        jobs.flush();
        replies.awaitOutcomes(fast, PATIENCE);
        replies.awaitOutcomes(List.of("slow"), PATIENCE);
        assertThat(fast).allSatisfy(id -> {
            assertThat(replies.outcome(id).json().at("/job/node").asText()).isEqualTo("llama-server");
            assertThat(replies.outcome(id).json().at("/model").asText()).isEqualTo(LlamaServer.MODEL);
        });
        assertThat(replies.outcome("slow").json().at("/job/node").asText()).isEqualTo("another");
        assertThat(replies.outcome("slow").json().at("/model").asText()).isEqualTo("slow");

        if (!replies.reading("endless").isClosed()) {
            Rest.delete(penstock.url(), "/v1/jobs/endless");
        }
        replies.awaitOutcomes(List.of("endless"), PATIENCE);
        awaitFreeSlots();
        jobs.sendRaw(null, document("after", "\"model\":\"tiny\",\"max_tokens\":5"));
        jobs.flush();
        replies.awaitOutcomes(List.of("after"), PATIENCE);
        assertThat(replies.outcome("after").mark().kind()).isEqualTo(EventMark.Kind.COMPLETED);
    }

    /** The server announces that it keeps the connection, and ends it right after each streamed answer. */
    @Test
    void each_of_600_jobs_at_4_at_once_is_one_attempt() throws InterruptedException, IOException {
        double asItIs = secondsAt("another");
        double closing = secondsOfCallsThatClose();

        System.out.printf(
                "%d jobs at 4 at once at a real llama-server: %d attempts, all completed, in %.1f s; the same calls by hand with Connection: close in %.1f s%n",
                JOBS, JOBS, asItIs, closing);
    }

    /** The outcomes of 600 jobs, each of which is one attempt there; the node stays up. */
    private static double secondsAt(String node) throws InterruptedException {
        Metrics.await(penstock, "penstock_node_slots{node=\"%s\"}".formatted(node), 4, PATIENCE);
        String upSince = node(node).path("since").asText();
        double completedBefore = attempts(node, ",outcome=\"completed\"");
        double before = attempts(node, "");
        List<String> ids = Rig.ids("at-" + node, JOBS);
        ids.forEach(id -> jobs.sendRaw(null, document(id, "\"max_tokens\":4", ",\"node\":\"%s\"".formatted(node))));
        long begun = jobs.flush().getFirst().timestamp();
        replies.awaitOutcomes(ids, PATIENCE);

        assertThat(replies.outcomes(ids)).isEqualTo(Map.of("completed", JOBS));
        assertThat(ids)
                .allSatisfy(id ->
                        assertThat(replies.count(id, EventMark.Kind.STARTED)).isEqualTo(1));
        assertThat(attempts(node, ",outcome=\"completed\"") - completedBefore).isEqualTo(JOBS);
        assertThat(attempts(node, "") - before).isEqualTo(JOBS);
        assertThat(node(node).path("state").asText()).isEqualTo("up");
        assertThat(node(node).path("since").asText()).as("it was never down").isEqualTo(upSince);
        return ids.stream()
                                .mapToLong(id -> replies.outcome(id).timestamp())
                                .max()
                                .orElseThrow()
                        / 1e3
                - begun / 1e3;
    }

    /** The same calls straight to the server, 4 at once, each on its own connection. */
    private static double secondsOfCallsThatClose() throws InterruptedException, IOException {
        URL chat = another.url().resolve("/v1/chat/completions").toURL();
        int whole = 0;
        long begun = System.nanoTime();
        try (ExecutorService four = Executors.newFixedThreadPool(4)) {
            List<Callable<Boolean>> calls = Collections.nCopies(JOBS, () -> callThatCloses(chat));
            for (Future<Boolean> call : four.invokeAll(calls)) {
                if (call.resultNow()) {
                    whole++;
                }
            }
        }
        assertThat(whole).isEqualTo(JOBS);
        return (System.nanoTime() - begun) / 1e9;
    }

    private static boolean callThatCloses(URL chat) throws IOException {
        HttpURLConnection call = (HttpURLConnection) chat.openConnection();
        call.setRequestProperty("Connection", "close");
        call.setRequestProperty("Content-Type", "application/json");
        call.setDoOutput(true);
        try (OutputStream body = call.getOutputStream()) {
            body.write("{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],\"max_tokens\":4,\"stream\":true}"
                    .getBytes(StandardCharsets.UTF_8));
        }
        try (InputStream answer = call.getInputStream()) {
            return new String(answer.readAllBytes(), StandardCharsets.UTF_8).contains("[DONE]");
        }
    }

    private static double attempts(String node, String label) throws InterruptedException {
        return Metrics.text(penstock)
                .lines()
                .filter(line -> line.startsWith("penstock_attempts_total{node=\"%s\"%s".formatted(node, label)))
                .mapToDouble(line -> Double.parseDouble(line.substring(line.lastIndexOf(' '))))
                .sum();
    }

    private static JsonNode node(String name) throws InterruptedException {
        return Rest.get(penstock.url(), "/v1/nodes/" + name).json();
    }

    /** As its own /slots tells. */
    private static void awaitFreeSlots() throws InterruptedException {
        long until = System.nanoTime() + PATIENCE.toNanos();
        JsonNode slots = Rest.get(llama.url(), "/slots").json();
        while (slots.findValuesAsText("is_processing").contains("true")) {
            assertThat(System.nanoTime()).as("busy: %s", slots).isLessThan(until);
            TimeUnit.MILLISECONDS.sleep(50);
            slots = Rest.get(llama.url(), "/slots").json();
        }
        assertThat(slots).isNotEmpty();
    }

    private static byte[] document(String id, String parameters) {
        return document(id, parameters, "");
    }

    private static byte[] document(String id, String parameters, String job) {
        return "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],%s,\"job\":{\"id\":\"%s\"%s}}"
                .formatted(parameters, id, job)
                .getBytes(StandardCharsets.UTF_8);
    }
}
