package dev.penstock.api.jobs;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.api.call.AnswerBudget;
import dev.penstock.api.call.ApiException;
import dev.penstock.api.call.Lists;
import dev.penstock.intake.SubmissionProducer;
import dev.penstock.job.JobFailure;
import dev.penstock.job.JobId;
import dev.penstock.job.RecordPlace;
import dev.penstock.reply.DeadLetter;
import dev.penstock.reply.DeadLetterLog;
import dev.penstock.reply.DeadLetters;
import dev.penstock.reply.WebhookDelay;
import dev.penstock.reply.WebhookRecord;
import dev.penstock.reply.WebhookTopic;
import dev.penstock.settings.Settings;
import dev.penstock.wire.Json;
import dev.penstock.wire.Reason;
import io.smallrye.common.annotation.RunOnVirtualThread;
import io.vertx.ext.web.RoutingContext;
import jakarta.ws.rs.DELETE;
import jakarta.ws.rs.GET;
import jakarta.ws.rs.POST;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.PathParam;
import jakarta.ws.rs.Produces;
import jakarta.ws.rs.QueryParam;
import jakarta.ws.rs.core.Context;
import jakarta.ws.rs.core.MediaType;
import jakarta.ws.rs.core.Response;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.time.Instant;
import java.util.Base64;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.function.Supplier;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.utils.Bytes;
import org.jspecify.annotations.Nullable;

/**
 * Lists, shows, retries and drops dead letters. The id of a dead letter is its partition and its offset on the
 * dead-letter topic.
 */
@Path("/v1/dlq")
@Produces(MediaType.APPLICATION_JSON)
@RunOnVirtualThread
public final class DeadLettersResource {
    /** A read of the topic reserves memory for this many records of the largest size. */
    private static final int PARTITIONS = 4;

    private final DeadLetterLog log;
    private final DeadLetters letters;
    private final SubmissionProducer submissions;
    private final WebhookTopic webhooks;
    private final JobLookup jobs;
    private final AnswerBudget answers;
    private final long atOnce;
    private final Clock clock;

    public DeadLettersResource(
            DeadLetterLog log,
            DeadLetters letters,
            SubmissionProducer submissions,
            WebhookTopic webhooks,
            Clock clock,
            JobLookup jobs,
            AnswerBudget answers,
            Settings settings) {
        this.answers = answers;
        atOnce = (long) PARTITIONS * settings.maxRecord();
        this.log = log;
        this.letters = letters;
        this.submissions = submissions;
        this.webhooks = webhooks;
        this.clock = clock;
        this.jobs = jobs;
    }

    @GET
    public ObjectNode list(
            @QueryParam("after") @Nullable String after,
            @QueryParam("limit") @Nullable String limit,
            @Context RoutingContext call)
            throws InterruptedException {
        int wanted = ListParameters.limit(limit);
        answers.share(call).mustTake(atOnce);
        List<DeadLetter> found = asking(() -> log.newest(after == null ? null : cursor(after), wanted + 1));
        ArrayNode data = Json.mapper().createArrayNode();
        found.stream().limit(wanted).forEach(letter -> data.add(document(letter)));
        ObjectNode list = Lists.of(data);
        if (found.size() > wanted) {
            DeadLetter last = found.get(wanted - 1);
            list.put("next", last.at().toEpochMilli() + "-" + last.id());
        }
        return list;
    }

    @GET
    @Path("/{id}")
    public ObjectNode get(@PathParam("id") String id, @Context RoutingContext call) throws InterruptedException {
        answers.share(call).mustTake(atOnce);
        DeadLetter letter = open(id);
        ObjectNode document = document(letter);
        Bytes value = letter.value();
        if (value == null) {
            return document.putNull("value");
        }
        String text = new String(value.get(), StandardCharsets.UTF_8);
        return Bytes.wrap(text.getBytes(StandardCharsets.UTF_8)).equals(value)
                ? document.put("value", text)
                : document.put("value_base64", Base64.getEncoder().encodeToString(value.get()));
    }

    @POST
    @Path("/{id}/retry")
    public Response retry(@PathParam("id") String id, @Context RoutingContext call) throws InterruptedException {
        answers.share(call).mustTake(atOnce);
        DeadLetter letter = open(id);
        WebhookRecord outcome = letter.webhook();
        if (outcome != null) {
            return postAgain(letter, outcome);
        }
        byte[] document = again(letter);
        // a caller that repeats the call, for example after a crash, gets the same job
        JobId again = JobId.fromIdempotencyKey("penstock-dlq", letter.at().toEpochMilli() + "-" + id);
        return switch (submissions.checkAgain(document, letter.origin().topic(), again)) {
            case SubmissionProducer.Checked.Unfit(JobFailure failure) ->
                throw new ApiException(JobFailure.of(
                        failure.code(), "dead letter %s is no job that can run: %s".formatted(id, failure.message())));
            case SubmissionProducer.Checked.Fit fit -> {
                RecordMetadata record = written(fit);
                sent(() -> letters.close(letter, "retried as " + fit.job().id()).get());
                yield Response.status(202)
                        .entity(jobs.shortly(JobLookup.accepted(fit, Instant.ofEpochMilli(record.timestamp()))))
                        .header("Location", "/v1/jobs/" + fit.job().id())
                        .build();
            }
        };
    }

    /** Hands an outcome to its webhook once more, with all its posts before it. */
    private Response postAgain(DeadLetter letter, WebhookRecord outcome) throws InterruptedException {
        if (!webhooks.has(outcome.webhook())) {
            throw new ApiException(JobFailure.of(
                    JobFailure.Code.INVALID_REQUEST,
                    "dead letter %s is for webhook '%s', which is not configured"
                            .formatted(letter.id(), outcome.webhook())));
        }
        sent(() ->
                webhooks.write(outcome.anew(clock.instant()), WebhookDelay.NONE).get());
        sent(() -> letters.close(letter, "retried for webhook " + outcome.webhook())
                .get());
        return Response.status(202)
                .entity(Json.mapper()
                        .createObjectNode()
                        .put("id", outcome.id().value())
                        .put("object", "webhook")
                        .put("webhook", outcome.webhook()))
                .header("Location", "/v1/jobs/" + outcome.id())
                .build();
    }

    @DELETE
    @Path("/{id}")
    public ObjectNode drop(@PathParam("id") String id, @Context RoutingContext call) throws InterruptedException {
        answers.share(call).mustTake(atOnce);
        DeadLetter letter = open(id);
        sent(() -> letters.close(letter, "dropped").get());
        return Json.mapper()
                .createObjectNode()
                .put("id", id)
                .put("object", "dead_letter")
                .put("dropped", true);
    }

    /** Returns the document of the dead letter without the job's id. The field {@code retry_of} contains that id. */
    private byte[] again(DeadLetter letter) {
        Bytes value = letter.value();
        try {
            JsonNode document = Json.parseStrict(value == null ? new byte[0] : value.get());
            if (document instanceof ObjectNode object) {
                JsonNode given = object.get("job");
                ObjectNode job = given instanceof ObjectNode there
                        ? there
                        : Json.mapper().createObjectNode();
                job.remove("id");
                job.put("retry_of", letter.jobId().value());
                object.set("job", job);
            }
            return Json.bytes(document);
        } catch (Json.MalformedJson e) {
            throw new ApiException(JobFailure.of(
                    JobFailure.Code.INVALID_REQUEST,
                    "dead letter %s is no job that can run: %s".formatted(letter.id(), e.reason())));
        }
    }

    private DeadLetter open(String id) {
        long[] place = DeadLetterLog.parse(id)
                .orElseThrow(() -> notFound("dead letter '%s' not found: an id is PARTITION-OFFSET".formatted(id)));
        return switch (asking(() -> log.find((int) place[0], place[1]))) {
            case DeadLetterLog.Found.Open(DeadLetter letter) -> letter;
            case DeadLetterLog.Found.Closed(String how) ->
                throw notFound("dead letter %s is closed: %s".formatted(id, how));
            case DeadLetterLog.Found.Nothing() -> throw notFound("dead letter %s not found".formatted(id));
        };
    }

    private static ApiException notFound(String message) {
        return new ApiException(JobFailure.of(JobFailure.Code.NOT_FOUND, message));
    }

    /** Parses a cursor: the time, the partition and the offset of the last dead letter of a page. */
    private static DeadLetter cursor(String after) {
        String[] parts = after.split("-", -1);
        if (parts.length != 3 || !after.matches("\\d{1,15}-\\d{1,6}-\\d{1,18}")) {
            throw new ApiException(JobFailure.invalid("after", "is no cursor of this list"));
        }
        return DeadLetter.place(
                Instant.ofEpochMilli(Long.parseLong(parts[0])), Integer.parseInt(parts[1]), Long.parseLong(parts[2]));
    }

    private static <T> T asking(Supplier<T> question) {
        try {
            return question.get();
        } catch (KafkaException e) {
            throw unavailable(e);
        }
    }

    /** Waits for a write to the broker. */
    private interface Writing<T> {
        T await() throws ExecutionException, InterruptedException;
    }

    private static <T> T sent(Writing<T> writing) throws InterruptedException {
        try {
            return writing.await();
        } catch (ExecutionException e) {
            throw unavailable(e.getCause());
        }
    }

    private RecordMetadata written(SubmissionProducer.Checked.Fit fit) throws InterruptedException {
        try {
            return submissions.write(fit, null).get();
        } catch (ExecutionException e) {
            throw new ApiException(submissions.refused(e, fit));
        }
    }

    private static ApiException unavailable(@Nullable Throwable e) {
        return new ApiException(
                JobFailure.of(JobFailure.Code.BROKER_UNAVAILABLE, "Kafka did not answer: " + Reason.of(e)));
    }

    private static ObjectNode document(DeadLetter letter) {
        RecordPlace origin = letter.origin();
        ObjectNode document = Json.mapper()
                .createObjectNode()
                .put("id", letter.id())
                .put("object", "dead_letter")
                .put("job_id", letter.jobId().value())
                .put("reason", letter.reason())
                .put("message", letter.message())
                .put("attempts", letter.attempts())
                .put("at", letter.at().toString());
        document.putObject("record")
                .put("topic", origin.topic())
                .put("partition", origin.partition())
                .put("offset", origin.offset());
        return document;
    }
}
