package dev.penstock;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.testkit.Rest;
import dev.penstock.testkit.WireSchemas;
import dev.penstock.testkit.upstream.Answer;
import dev.penstock.wire.Json;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Responses that are kept, at two replicas. */
class ResponsesIT extends TwoReplicas {
    private static final Duration PATIENCE = Duration.ofSeconds(90);
    private static final WireSchemas SCHEMAS = new WireSchemas();

    private static JsonNode create(String fields) throws InterruptedException {
        Rest.Reply reply = Rest.post(first.url(), "/v1/responses", "application/json", body(fields));
        assertThat(reply.status()).as(reply.body()).isEqualTo(200);
        return reply.json();
    }

    private static String body(String fields) {
        return "{\"model\":\"tiny\"," + fields.replace('\'', '"') + "}";
    }

    private static JsonNode get(URI server, String id) throws InterruptedException {
        Rest.Reply reply = Rest.get(server, "/v1/responses/" + id);
        assertThat(reply.status()).as(reply.body()).isEqualTo(200);
        return reply.json();
    }

    private static JsonNode awaitStatus(URI server, String id, String status) throws InterruptedException {
        long until = System.nanoTime() + PATIENCE.toNanos();
        JsonNode response = get(server, id);
        while (!response.path("status").asText().equals(status)) {
            assertThat(System.nanoTime()).as("%s", response).isLessThan(until);
            response = get(server, id);
        }
        return response;
    }

    private static String text(JsonNode response) {
        StringBuilder text = new StringBuilder();
        response.path("output")
                .forEach(item -> item.path("content")
                        .forEach(part -> text.append(part.path("text").asText())));
        return text.toString();
    }

    /** A client of a stream, which keeps what it has read. */
    private static final class Client {
        private final List<JsonNode> events = new ArrayList<>();

        /** Reads until the stream ends, or this many events are read in all. */
        void read(Rest.Events stream, int atMost) {
            assertThat(stream.status()).isEqualTo(200);
            try (stream) {
                while (events.size() < atMost) {
                    Rest.SentEvent event = stream.next();
                    if (event == null) {
                        return;
                    }
                    JsonNode data = Objects.requireNonNull(Json.parseLenient(event.data()));
                    assertThat(data.path("sequence_number").asLong()).isEqualTo(events.size());
                    assertThat(data.path("type").asText()).isEqualTo(event.name());
                    events.add(data);
                }
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }

        String id() {
            return events.getFirst().path("response").path("id").asText();
        }

        String sent() {
            StringBuilder sent = new StringBuilder();
            events.forEach(event -> sent.append(event.path("delta").asText()));
            return sent.toString();
        }

        JsonNode last() {
            return events.getLast();
        }
    }

    @Test
    void a_background_response_is_found_at_every_replica() throws InterruptedException {
        fake.script(_ -> Answer.unicode(40).every(Duration.ofMillis(20)));

        JsonNode created =
                create("'input':'Hi','instructions':'Be brief.','background':true,'metadata':{'order':'42'}");

        assertThat(created.path("status").asText()).isEqualTo("queued");
        String id = created.path("id").asText();
        JsonNode done = awaitStatus(second.url(), id, "completed");
        assertThat(text(done)).isNotEmpty();
        assertThat(done.path("instructions").asText()).isEqualTo("Be brief.");
        assertThat(done.path("metadata").path("order").asText()).isEqualTo("42");
        assertThat(done.path("model").asText()).isEqualTo("tiny");
        assertThat(done.path("usage").path("output_tokens").asInt()).isPositive();
        assertThat(done.path("created_at")).isEqualTo(created.path("created_at"));
        assertThat(get(first.url(), id)).isEqualTo(done);
        Rest.Reply job = Rest.get(second.url(), "/v1/jobs/" + id);
        SCHEMAS.check("job-object.schema.json", job.body());
        assertThat(job.json().path("status").asText()).isEqualTo("completed");
    }

    @Test
    void a_response_that_is_stored_is_waited_for_and_can_be_continued() throws InterruptedException {
        fake.script(_ -> Answer.unicode(10).every(Duration.ofMillis(5)));
        JsonNode one = create("'input':'One','instructions':'I','store':true");
        assertThat(one.path("status").asText()).isEqualTo("completed");
        fake.reset();
        fake.script(_ -> Answer.unicode(10).every(Duration.ofMillis(5)));

        JsonNode two = create("'input':'Two','store':true,'previous_response_id':'"
                + one.path("id").asText() + "'");

        assertThat(two.path("previous_response_id")).isEqualTo(one.path("id"));
        JsonNode sent = fake.requests().getFirst().request().body();
        assertThat(sent.path("messages"))
                .extracting(message -> message.path("role").asText() + ": "
                        + message.path("content").asText())
                .containsExactly("user: One", "assistant: " + text(one), "user: Two");
        assertThat(sent.has("job")).isFalse();
    }

    @Test
    void a_stream_and_the_object_tell_the_same() throws InterruptedException {
        fake.script(_ -> Answer.unicode(60).every(Duration.ofMillis(20)));
        Client client = new Client();

        client.read(
                Rest.postAndWatch(first.url(), "/v1/responses", body("'input':'Hi','background':true,'stream':true")),
                Integer.MAX_VALUE);

        assertThat(client.last().path("type").asText()).isEqualTo("response.completed");
        JsonNode ended = client.last().path("response");
        assertThat(client.sent()).isEqualTo(text(ended)).isNotEmpty();
        awaitStatus(second.url(), client.id(), "completed");
        assertThat(get(second.url(), client.id())).isEqualTo(ended);
        // a later reader at the other replica gets the same events
        Client later = new Client();
        later.read(stream(second.url(), client.id(), null), Integer.MAX_VALUE);
        assertThat(later.events).isEqualTo(client.events);
    }

    private static Rest.Events stream(URI server, String id, @Nullable Long after) throws InterruptedException {
        String path = "/v1/responses/" + id + "?stream=true" + (after == null ? "" : "&starting_after=" + after);
        return Rest.getAndWatch(server, path);
    }

    /** The killed replica ran the job and served the stream. */
    @ParameterizedTest
    @ValueSource(ints = {1, 2})
    void a_stream_whose_replica_is_killed_goes_on_at_another_one(int round) throws InterruptedException {
        fake.script(_ -> Answer.unicode(400).every(Duration.ofMillis(20)));
        Client client = new Client();
        client.read(
                Rest.postAndWatch(first.url(), "/v1/responses", body("'input':'Hi','background':true,'stream':true")),
                8 * round);
        assertThat(client.sent()).isNotEmpty();

        first.kill9();
        try {
            long last = client.last().path("sequence_number").asLong();
            client.read(stream(second.url(), client.id(), last), Integer.MAX_VALUE);
        } finally {
            first = start("first");
            first.awaitLedger();
        }

        assertThat(client.last().path("type").asText()).isEqualTo("response.completed");
        assertThat(client.sent()).isEqualTo(text(client.last().path("response")));
        assertThat(text(get(second.url(), client.id()))).isEqualTo(client.sent());
        System.out.printf(
                "killed after %d events, %d in all, %d characters equal%n",
                8 * round, client.events.size(), client.sent().length());
    }

    @Test
    void a_response_is_cancelled_and_deleted_at_another_replica() throws InterruptedException {
        fake.script(_ -> Answer.tokens(2000).every(Duration.ofMillis(20)));
        String id = create("'input':'Hi','background':true").path("id").asText();
        awaitStatus(second.url(), id, "in_progress");
        assertThat(Rest.delete(second.url(), "/v1/responses/" + id).status()).isEqualTo(400);

        Rest.Reply cancelled = Rest.post(second.url(), "/v1/responses/" + id + "/cancel", "application/json", "");

        assertThat(cancelled.status()).as(cancelled.body()).isEqualTo(200);
        assertThat(cancelled.json().path("status").asText()).isEqualTo("cancelled");
        fake.await(stats -> stats.cancelled() == 1, PATIENCE);
        awaitStatus(first.url(), id, "cancelled");
        Rest.Reply deleted = Rest.delete(second.url(), "/v1/responses/" + id);
        assertThat(deleted.status()).as(deleted.body()).isEqualTo(200);
        assertThat(deleted.json().path("deleted").asBoolean()).isTrue();
        for (URI server : List.of(first.url(), second.url())) {
            assertThat(Rest.get(server, "/v1/responses/" + id).status()).isEqualTo(404);
            assertThat(Rest.get(server, "/v1/jobs/" + id).status()).isEqualTo(404);
        }
    }

    @Test
    void the_same_idempotency_key_gives_the_same_response() throws InterruptedException {
        fake.script(_ -> Answer.unicode(5).every(Duration.ofMillis(5)));
        List<String> ids = new ArrayList<>();
        for (URI server : List.of(first.url(), second.url())) {
            Rest.Reply reply = Rest.post(
                    server,
                    "/v1/responses",
                    "application/json",
                    body("'input':'Hi','background':true"),
                    "Idempotency-Key",
                    "once");
            assertThat(reply.status()).as(reply.body()).isEqualTo(200);
            ids.add(reply.json().path("id").asText());
        }

        assertThat(ids.getFirst()).isEqualTo(ids.getLast());
        Rest.Reply other = Rest.post(
                first.url(),
                "/v1/responses",
                "application/json",
                body("'input':'Another','background':true"),
                "Idempotency-Key",
                "once");
        assertThat(other.status()).isEqualTo(409);
    }

    @Test
    void what_is_not_there_is_not_found() throws InterruptedException {
        Rest.Reply direct = Rest.get(first.url(), "/v1/responses/resp_call_1");
        assertThat(direct.status()).isEqualTo(404);
        assertThat(direct.body()).contains("is not kept");
        assertThat(Rest.get(first.url(), "/v1/responses/resp_none").status()).isEqualTo(404);
        Rest.Reply previous = Rest.post(
                first.url(),
                "/v1/responses",
                "application/json",
                body("'input':'Hi','store':true,'previous_response_id':'resp_none'"));
        assertThat(previous.status()).isEqualTo(404);
        assertThat(previous.json().path("error").path("param").asText()).isEqualTo("previous_response_id");
    }
}
