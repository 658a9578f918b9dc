package dev.penstock;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import dev.penstock.testkit.Broker;
import dev.penstock.testkit.Conditions;
import dev.penstock.testkit.JobSender;
import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.ReplyLog;
import dev.penstock.testkit.Rest;
import dev.penstock.testkit.upstream.Answer;
import dev.penstock.testkit.upstream.FakeUpstream;
import dev.penstock.wire.Json;
import dev.penstock.wire.WebhookSecret;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Executors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Outcomes are posted to a receiver that fails, hangs or is away, and over the death of the replica. */
final class WebhooksIT {
    private static final Duration PATIENCE = Duration.ofSeconds(60);
    private static final String SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    private final Broker broker = Broker.start();
    private final FakeUpstream fake = FakeUpstream.start();
    private final Receiver receiver = new Receiver(0);

    /** @param webhook the last segment of the path, which is the name of the webhook */
    private record Post(String webhook, String id, String timestamp, String signature, String body) {
        String job() {
            return event().at("/job/id").asText();
        }

        String kind() {
            return event().at("/job/event").asText();
        }

        private JsonNode event() {
            JsonNode event = Json.parseLenient(body);
            return event == null ? Json.mapper().createObjectNode() : event;
        }

        boolean isSigned() {
            return WebhookSecret.parse(SECRET)
                    .orElseThrow()
                    .sign(id, Long.parseLong(timestamp), body.getBytes(StandardCharsets.UTF_8))
                    .equals(signature);
        }
    }

    /** A receiver of webhooks. It answers 200, unless the test scripts another status; 0 hangs. */
    private static final class Receiver implements AutoCloseable {
        final List<Post> posts = new CopyOnWriteArrayList<>();
        final Map<String, Queue<Integer>> next = new ConcurrentHashMap<>();
        private final HttpServer server;

        Receiver(int port) {
            try {
                server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 0);
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
            server.setExecutor(Executors.newVirtualThreadPerTaskExecutor());
            server.createContext("/", this::handle);
            server.start();
        }

        int port() {
            return server.getAddress().getPort();
        }

        String url(String webhook) {
            return "http://127.0.0.1:%d/%s".formatted(port(), webhook);
        }

        void answers(String webhook, Integer... statuses) {
            next.put(webhook, new ConcurrentLinkedQueue<>(List.of(statuses)));
        }

        private void handle(HttpExchange exchange) throws IOException {
            String webhook = exchange.getRequestURI().getPath().substring(1);
            posts.add(new Post(
                    webhook,
                    String.valueOf(exchange.getRequestHeaders().getFirst("webhook-id")),
                    String.valueOf(exchange.getRequestHeaders().getFirst("webhook-timestamp")),
                    String.valueOf(exchange.getRequestHeaders().getFirst("webhook-signature")),
                    new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8)));
            Integer status =
                    next.getOrDefault(webhook, new ConcurrentLinkedQueue<>()).poll();
            if (status == null || status != 0) {
                exchange.sendResponseHeaders(status == null ? 200 : status, -1);
                exchange.close();
            }
        }

        List<Post> of(String job) {
            return posts.stream().filter(post -> post.job().equals(job)).toList();
        }

        @Override
        public void close() {
            server.stop(0);
        }
    }

    @BeforeEach
    void script() {
        fake.script(request ->
                request.prompt().equals("long") ? Answer.tokens(8).every(Duration.ofSeconds(1)) : Answer.of("ok"));
    }

    @AfterEach
    void close() {
        receiver.close();
        fake.close();
        broker.close();
    }

    private PenstockProcess.Builder penstock(String name, String... webhooks) {
        PenstockProcess.Builder builder =
                PenstockProcess.with(broker.bootstrap()).name(name).node("fake", "vllm", URI.create(fake.url()), 1);
        for (String webhook : webhooks) {
            String key = "penstock.webhooks." + webhook;
            builder.config(key + ".url", receiver.url(webhook))
                    .config(key + ".secret", SECRET)
                    .config(key + ".timeout", "2s");
        }
        return builder;
    }

    private static Rest.Reply submit(PenstockProcess penstock, String id, String prompt, String webhook, String more)
            throws InterruptedException {
        String document = JobSender.chat(id, prompt)
                .replace("\"id\":\"" + id + "\"", "\"id\":\"%s\",\"webhook\":\"%s\"%s".formatted(id, webhook, more));
        return Rest.post(penstock.url(), "/v1/jobs", "application/json", document);
    }

    private void awaitPosts(Receiver at, String job, int count) {
        Conditions.await(
                () -> at.of(job).size() >= count,
                PATIENCE,
                "%d posts of %s; there are %d of all jobs".formatted(count, job, at.posts.size()));
    }

    @Test
    void every_way_a_job_ends_is_posted_once_and_signed() throws InterruptedException {
        try (PenstockProcess penstock = penstock("ends", "orders").startReady();
                ReplyLog replies = ReplyLog.follow(broker.bootstrap())) {
            submit(penstock, "ends.long", "long", "orders", "");
            fake.awaitRequests(1, PATIENCE);
            submit(penstock, "expires", "never", "orders", ",\"deadline\":\"PT2S\"");
            submit(penstock, "cancelled", "never", "orders", "");
            submit(penstock, "fails", "ok", "orders", ",\"node\":\"missing\"");
            Rest.delete(penstock.url(), "/v1/jobs/cancelled");

            List<String> jobs = List.of("ends.long", "expires", "cancelled", "fails");
            jobs.forEach(job -> awaitPosts(receiver, job, 1));
            submit(penstock, "last", "ok", "orders", "");
            awaitPosts(receiver, "last", 1);

            assertThat(receiver.posts)
                    .extracting(post -> post.job() + " " + post.kind())
                    .containsExactlyInAnyOrder(
                            "ends.long completed",
                            "expires expired",
                            "cancelled cancelled",
                            "fails failed",
                            "last completed");
            assertThat(receiver.posts).allSatisfy(post -> {
                assertThat(post.isSigned()).isTrue();
                assertThat(post.id()).doesNotContain(".");
                assertThat(post.body()).isEqualTo(replies.outcome(post.job()).value());
                assertThat(Duration.between(Instant.ofEpochSecond(Long.parseLong(post.timestamp())), Instant.now()))
                        .isLessThan(PATIENCE);
            });
        }
    }

    @Test
    void a_receiver_that_fails_hangs_or_is_away_gets_it_later_and_holds_up_no_other() throws InterruptedException {
        Receiver away = new Receiver(0);
        int port = away.port();
        away.close();
        try (PenstockProcess penstock = penstock("later", "flaky", "hanging", "quick")
                .config("penstock.webhooks.away.url", "http://127.0.0.1:" + port + "/away")
                .config("penstock.webhooks.away.secret", SECRET)
                .startReady()) {
            receiver.answers("flaky", 503);
            receiver.answers("hanging", 0);
            submit(penstock, "hung", "ok", "hanging", "");
            awaitPosts(receiver, "hung", 1);
            submit(penstock, "soon", "ok", "quick", "");
            awaitPosts(receiver, "soon", 1);
            assertThat(receiver.of("hung"))
                    .as("the quick one does not wait for the hanging one")
                    .hasSize(1);

            submit(penstock, "refused", "ok", "flaky", "");
            submit(penstock, "unreached", "ok", "away", "");
            awaitPosts(receiver, "refused", 1);
            Conditions.await(
                    () -> Rest.get(penstock.managementUrl(), "/q/health/ready")
                            .body()
                            .contains("warning.webhook.away"),
                    PATIENCE,
                    "a warning in health");
            try (Receiver back = new Receiver(port)) {
                awaitPosts(back, "unreached", 1);
                awaitPosts(receiver, "refused", 2);
                awaitPosts(receiver, "hung", 2);
                assertThat(back.of("unreached")).allMatch(Post::isSigned);
            }
            assertThat(receiver.of("refused"))
                    .extracting(Post::id)
                    .containsOnly(receiver.of("refused").getFirst().id());
            Conditions.await(
                    () -> !Rest.get(penstock.managementUrl(), "/q/health/ready")
                            .body()
                            .contains("warning.webhook"),
                    PATIENCE,
                    "no warning in health");
            assertThat(Rest.get(penstock.managementUrl(), "/q/metrics").body())
                    .contains("penstock_webhooks_total{result=\"retried\",webhook=\"flaky\"} 1.0")
                    .contains("penstock_webhooks_total{result=\"delivered\",webhook=\"flaky\"} 1.0");
            assertThat(String.join("\n", penstock.process().output()))
                    .contains("webhook=flaky a post failed")
                    .doesNotContain(SECRET)
                    .doesNotContain(":" + port + "/away");
        }
    }

    @Test
    void an_outcome_is_posted_although_its_replica_is_killed_before_the_post_is_taken() throws InterruptedException {
        try (ReplyLog replies = killed()) {
            receiver.answers("orders");
            try (PenstockProcess next = penstock("killed", "orders").startReady()) {
                assertThat(next.pid()).isPositive();
                awaitPosts(receiver, "a", 2);
            }
            assertThat(receiver.of("a"))
                    .extracting(Post::id)
                    .hasSize(2)
                    .containsOnly(receiver.of("a").getFirst().id());
            assertThat(receiver.of("a"))
                    .allMatch(Post::isSigned)
                    .allSatisfy(post -> assertThat(post.body())
                            .isEqualTo(replies.outcome("a").value()));
        }
    }

    /** A replica publishes the outcome of the job, and is killed while the receiver hangs. */
    private ReplyLog killed() throws InterruptedException {
        receiver.answers("orders", 0);
        PenstockProcess first = penstock("killed", "orders").startReady();
        ReplyLog replies = ReplyLog.follow(broker.bootstrap());
        submit(first, "a", "ok", "orders", "");
        replies.awaitOutcomes(List.of("a"), PATIENCE);
        awaitPosts(receiver, "a", 1);
        first.kill9();
        return replies;
    }

    @Test
    void an_outcome_that_is_not_wanted_is_a_dead_letter_that_can_be_posted_again() throws InterruptedException {
        receiver.answers("orders", 410);
        try (PenstockProcess penstock = penstock("letters", "orders").startReady()) {
            submit(penstock, "a", "ok", "orders", "");
            awaitPosts(receiver, "a", 1);
            Conditions.await(
                    () -> !Rest.get(penstock.url(), "/v1/dlq")
                            .json()
                            .path("data")
                            .isEmpty(),
                    PATIENCE,
                    "a dead letter");
            JsonNode letter =
                    Rest.get(penstock.url(), "/v1/dlq").json().path("data").path(0);
            assertThat(letter.path("reason").asText()).isEqualTo("webhook_failed");
            assertThat(letter.path("job_id").asText()).isEqualTo("a");
            assertThat(letter.at("/record/topic").asText()).isEqualTo("prompt-webhooks");
            assertThat(Rest.get(penstock.url(), "/v1/jobs/a")
                            .json()
                            .path("status")
                            .asText())
                    .isEqualTo("completed");

            Rest.Reply retried = Rest.post(
                    penstock.url(),
                    "/v1/dlq/%s/retry".formatted(letter.path("id").asText()),
                    "application/json",
                    "");

            assertThat(retried.status()).as(retried.body()).isEqualTo(202);
            assertThat(retried.json().toString())
                    .isEqualTo("{\"id\":\"a\",\"object\":\"webhook\",\"webhook\":\"orders\"}");
            awaitPosts(receiver, "a", 2);
            assertThat(receiver.of("a"))
                    .extracting(Post::id)
                    .containsOnly(receiver.of("a").getFirst().id());
            assertThat(Rest.get(penstock.url(), "/v1/dlq").json().path("data")).isEmpty();
        }
    }

    @Test
    void a_job_for_an_unknown_webhook_is_refused_and_the_message_lists_the_others() throws InterruptedException {
        try (PenstockProcess penstock = penstock("unknown", "orders", "billing").startReady()) {
            Rest.Reply refused = submit(penstock, "a", "ok", "order", "");

            assertThat(refused.status()).isEqualTo(400);
            assertThat(refused.code()).isEqualTo("invalid_request");
            assertThat(refused.json().at("/error/message").asText())
                    .isEqualTo("job.webhook: there is no webhook 'order'. Available: billing, orders");
        }
    }
}
