package dev.penstock.api.responses;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.MissingNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.api.call.AnswerBudget;
import dev.penstock.api.call.ApiException;
import dev.penstock.api.jobs.JobLookup;
import dev.penstock.job.EventMark;
import dev.penstock.job.JobFailure;
import dev.penstock.job.JobId;
import dev.penstock.job.JobState;
import dev.penstock.ledger.row.JobRow;
import dev.penstock.ledger.row.Refusal;
import dev.penstock.wire.Json;
import jakarta.inject.Singleton;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** Finds the responses that are kept. Each of them is a job in the ledger, with the same id. */
@Singleton
final class StoredResponses {
    private static final String PREVIOUS = "previous_response_id";

    private final JobLookup jobs;

    StoredResponses(JobLookup jobs) {
        this.jobs = jobs;
    }

    /**
     * A response that was found.
     *
     * @param row the row of its job
     */
    record Found(JobRow row, ResponseHead head, ResponseJob job) {}

    /** Refuses a request that needs the ledger if the configuration has none. */
    void mustBeKept(String param) {
        if (!jobs.isKept()) {
            throw new ApiException(JobFailure.invalid(
                    param, "responses are kept in the ledger, and this installation has none (penstock.ledger.kind)"));
        }
    }

    /** Returns a response that any replica has accepted. Otherwise the call fails with not_found. */
    Found find(String id, AnswerBudget.Share share) throws InterruptedException {
        return find(id, null, share);
    }

    private Found find(String id, @Nullable String param, AnswerBudget.Share share) throws InterruptedException {
        if (ResponseHead.isNotKept(id)) {
            throw notFound(
                    param,
                    "response '%s' is not kept: create a response with \"store\": true or \"background\": true to keep it",
                    id);
        }
        if (!ResponseHead.isKept(id) || !JobId.isValid(id)) {
            throw notFound(param, "'%s' is no id of a response", id);
        }
        JobRow row = row(id, param);
        String document = jobs.request(row).orElse("");
        share.mustTake((long) AnswerBudget.COPIES * document.length());
        Optional<ResponseJob> job = ResponseJob.read(document);
        if (job.isEmpty()) {
            // a refused record is not in the ledger, but its refusal is
            job = row.rejected().map(_ -> new ResponseJob(Json.mapper().createObjectNode(), List.of()));
        }
        if (job.isEmpty()) {
            throw notFound(param, "job '%s' is no response", id);
        }
        return new Found(row, head(row, job.get().asked()), job.get());
    }

    private JobRow row(String id, @Nullable String param) throws InterruptedException {
        try {
            return jobs.find(new JobId(id));
        } catch (ApiException e) {
            if (e.failure().code() == JobFailure.Code.NOT_FOUND) {
                throw notFound(
                        param,
                        "response '%s' not found: there was none, it was deleted, or it ended too long ago (penstock.ledger.retention)",
                        id);
            }
            throw e;
        }
    }

    private static ApiException notFound(@Nullable String param, String message, String id) {
        return new ApiException(new JobFailure(JobFailure.Code.NOT_FOUND, message.formatted(id), param, null));
    }

    private static ResponseHead head(JobRow row, ObjectNode asked) {
        long createdAt = row.state()
                .map(JobState::createdAt)
                .map(at -> at.getEpochSecond())
                .or(() -> row.rejected().map(refusal -> refusal.record().millis() / 1_000))
                .orElse(0L);
        return new ResponseHead(row.id().value(), createdAt, asked);
    }

    /** Returns the object of a response. */
    ObjectNode show(ResponseHead head, JobRow row, AnswerBudget.Share share) throws InterruptedException {
        return object(head, jobs.withAnswer(row, share));
    }

    /** @param row the row with the answer, if there is one */
    static ObjectNode object(ResponseHead head, JobRow row) {
        Refusal refusal = row.rejected().orElse(null);
        if (refusal != null) {
            return ended(
                    head,
                    EventMark.Kind.REJECTED,
                    parse(refusal.event()),
                    null,
                    refusal.record().millis() / 1_000);
        }
        JobState state = row.state().orElseThrow();
        return switch (state.status()) {
            case QUEUED -> ResponseObject.open(head, ResponseStatus.QUEUED, null);
            case RUNNING -> ResponseObject.open(head, ResponseStatus.IN_PROGRESS, state.model());
            case COMPLETED -> ended(head, row, state, EventMark.Kind.COMPLETED);
            case FAILED -> ended(head, row, state, EventMark.Kind.FAILED);
            case CANCELLED -> ended(head, row, state, EventMark.Kind.CANCELLED);
            case EXPIRED -> ended(head, row, state, EventMark.Kind.EXPIRED);
            case REJECTED -> throw new IllegalStateException("a job with a state is not refused");
        };
    }

    private static ObjectNode ended(ResponseHead head, JobRow row, JobState state, EventMark.Kind kind) {
        Instant at = state.finishedAt();
        return ended(head, kind, outcome(row), state.model(), at == null ? 0 : at.getEpochSecond());
    }

    /** Returns the object of a response whose job has this outcome. */
    private static ObjectNode ended(
            ResponseHead head, EventMark.Kind kind, JsonNode document, @Nullable String model, long endedAt) {
        JobOutcome outcome = JobOutcome.of(kind, document, head);
        ObjectNode object = ResponseObject.ended(
                head,
                outcome.ending(),
                document.path("model").asText(model),
                outcome.output(),
                outcome.usage(),
                endedAt);
        if (document.path("job").path("truncated").asBoolean()) {
            object.put("truncated", true);
        }
        return object;
    }

    private static JsonNode outcome(JobRow row) {
        JobRow.Ending ending = row.ending();
        return parse(ending == null ? "" : ending.event());
    }

    private static JsonNode parse(String event) {
        JsonNode document = Json.parseLenient(event);
        return document == null ? MissingNode.getInstance() : document;
    }

    /** Returns the conversation that a response ended with, for a request that continues it. */
    List<ObjectNode> conversation(String id, AnswerBudget.Share share) throws InterruptedException {
        mustBeKept(PREVIOUS);
        Found found = find(id, PREVIOUS, share);
        JobState.Status status = found.row().status();
        if (status != JobState.Status.COMPLETED) {
            throw new ApiException(JobFailure.invalid(
                    PREVIOUS,
                    status.isOver()
                            ? "response '%s' has no answer, so it cannot be continued".formatted(id)
                            : "response '%s' has not ended: wait until it has".formatted(id)));
        }
        JsonNode outcome = outcome(jobs.withAnswer(found.row(), share));
        if (outcome.path("job").path("truncated").asBoolean()) {
            throw new ApiException(JobFailure.invalid(
                    PREVIOUS, "the answer of response '%s' is too large to be continued".formatted(id)));
        }
        return found.job().conversation(outcome);
    }
}
