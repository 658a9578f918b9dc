package dev.penstock.api.responses;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.api.call.AnswerBudget;
import dev.penstock.api.call.ApiException;
import dev.penstock.api.call.BodyBudget;
import dev.penstock.api.connection.CallEnd;
import dev.penstock.api.direct.DirectCalls;
import dev.penstock.api.jobs.JobLookup;
import dev.penstock.api.jobs.Submitter;
import dev.penstock.intake.SubmissionProducer;
import dev.penstock.job.JobFailure;
import dev.penstock.job.JobId;
import dev.penstock.ledger.row.JobRow;
import dev.penstock.reply.ResumePoint;
import dev.penstock.reply.Watch;
import dev.penstock.wire.InvalidField;
import dev.penstock.wire.Json;
import dev.penstock.wire.record.TraceHeader;
import io.smallrye.common.annotation.RunOnVirtualThread;
import io.vertx.ext.web.RoutingContext;
import jakarta.ws.rs.Consumes;
import jakarta.ws.rs.DELETE;
import jakarta.ws.rs.GET;
import jakarta.ws.rs.HeaderParam;
import jakarta.ws.rs.POST;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.PathParam;
import jakarta.ws.rs.Produces;
import jakarta.ws.rs.QueryParam;
import jakarta.ws.rs.core.Context;
import jakarta.ws.rs.core.MediaType;
import jakarta.ws.rs.core.Response;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.jspecify.annotations.Nullable;

/**
 * OpenAI's Responses API. A response that is kept is a job: its record is on a job topic, its events are on the reply
 * topic, and the ledger has its conversation. Any other response is a direct call.
 */
@Path("/v1/responses")
@RunOnVirtualThread
public final class ResponsesResource {
    /** How long a call waits for the answer to a response that is kept. Then it gets the response as it is. */
    private static final Duration LONGEST_WAIT = Duration.ofMinutes(10);

    private static final Duration CANCELLED_WITHIN = Duration.ofSeconds(5);

    private final DirectCalls direct;
    private final Submitter submitter;
    private final JobLookup jobs;
    private final StoredResponses responses;
    private final ResponseStreams streams;
    private final AnswerBudget answers;
    private final Clock clock;

    ResponsesResource(
            DirectCalls direct,
            Submitter submitter,
            JobLookup jobs,
            StoredResponses responses,
            ResponseStreams streams,
            AnswerBudget answers,
            Clock clock) {
        this.direct = direct;
        this.submitter = submitter;
        this.jobs = jobs;
        this.responses = responses;
        this.streams = streams;
        this.answers = answers;
        this.clock = clock;
    }

    @POST
    @Consumes(MediaType.APPLICATION_JSON)
    @Produces({MediaType.APPLICATION_JSON, MediaType.WILDCARD})
    public Response create(
            @HeaderParam("Idempotency-Key") @Nullable String key,
            @HeaderParam(TraceHeader.NAME) @Nullable String traceparent,
            byte[] document,
            @Context RoutingContext call)
            throws InterruptedException {
        ResponsesRequest request = parsed(document);
        AnswerBudget.Share share = answers.share(call);
        if (request.background() && Boolean.FALSE.equals(request.store())) {
            throw new ApiException(JobFailure.invalid("store", "a response in the background is always kept"));
        }
        boolean kept = request.background() || Boolean.TRUE.equals(request.store());
        if (kept) {
            responses.mustBeKept(request.background() ? "background" : "store");
        }
        String previous = request.previous();
        List<ObjectNode> before = previous == null ? List.of() : responses.conversation(previous, share);
        return kept ? keep(request, before, key, traceparent, call) : answer(request, before, call);
    }

    private static ResponsesRequest parsed(byte[] document) {
        try {
            return ResponsesRequest.parse(Json.parseStrict(document));
        } catch (Json.MalformedJson e) {
            throw new ApiException(e.failure());
        } catch (InvalidField e) {
            throw new ApiException(e.failure());
        }
    }

    private Response answer(ResponsesRequest request, List<ObjectNode> before, RoutingContext call)
            throws InterruptedException {
        ResponseHead head = new ResponseHead(
                ResponseHead.notKept(submitter.id(null).value()),
                clock.instant().getEpochSecond(),
                request.asked());
        ObjectNode body = request.chat(before).put("stream", request.stream());
        return direct.answer(call, body, new ResponsesFormat(head, clock));
    }

    private Response keep(
            ResponsesRequest request,
            List<ObjectNode> before,
            @Nullable String key,
            @Nullable String traceparent,
            RoutingContext call)
            throws InterruptedException {
        JobId id = new JobId(ResponseHead.kept(submitter.id(key).value()));
        byte[] job = ResponseJob.document(
                request, before, CallRouting.of(name -> call.request().getHeader(name), request.chat()));
        SubmissionProducer.Checked.Fit fit = submitter.checked(job, id, key != null);
        boolean isNew = submitter.alreadyThere(fit).isEmpty();
        if (request.stream()) {
            return streams.answer(call, null, () -> {
                ResponseStreams.Source source = isNew ? written(request, fit, traceparent) : watched(id, null, call);
                BodyBudget.giveBack(call);
                return source;
            });
        }
        if (!isNew) {
            StoredResponses.Found found = responses.find(id.value(), answers.share(call));
            BodyBudget.giveBack(call);
            return shown(found.head(), request.background() ? found.row() : awaited(found.row(), call), call);
        }
        if (request.background()) {
            RecordMetadata record = submitter.write(fit, traceparent);
            return json(ResponseObject.open(head(id, request, record), ResponseStatus.QUEUED, null));
        }
        Submitter.Written written = submitter.writeAndWatch(fit, traceparent);
        BodyBudget.giveBack(call);
        JobRow row =
                JobRow.accepted(fit.job(), Instant.ofEpochMilli(written.record().timestamp()));
        return shown(head(id, request, written.record()), await(written.watch(), row, LONGEST_WAIT, call), call);
    }

    private static ResponseHead head(JobId id, ResponsesRequest request, RecordMetadata record) {
        return new ResponseHead(id.value(), record.timestamp() / 1_000, ResponseJob.asked(request));
    }

    private ResponseStreams.Source written(
            ResponsesRequest request, SubmissionProducer.Checked.Fit fit, @Nullable String traceparent)
            throws InterruptedException {
        Submitter.Written written = submitter.writeAndWatch(fit, traceparent);
        ResponseHead head = head(fit.job().id(), request, written.record());
        return new ResponseStreams.Source(written.watch(), new JobStream(head, null, null));
    }

    private ResponseStreams.Source watched(JobId id, @Nullable Long after, RoutingContext call)
            throws InterruptedException {
        StoredResponses.Found found = responses.find(id.value(), answers.share(call));
        JobStream events = new JobStream(found.head(), found.row().timeline().firstOffset(), after);
        return new ResponseStreams.Source(jobs.watch(id, ResumePoint.START, true), events);
    }

    private JobRow awaited(JobRow row, RoutingContext call) throws InterruptedException {
        return row.isOver() ? row : await(jobs.watch(row.id(), ResumePoint.START, true), row, LONGEST_WAIT, call);
    }

    private JobRow await(Watch watch, JobRow row, Duration atMost, RoutingContext call) throws InterruptedException {
        try (watch) {
            // a caller that leaves also ends the wait
            CallEnd.then(call, watch::close);
            return JobLookup.await(watch, row, atMost, answers.share(call));
        }
    }

    private Response shown(ResponseHead head, JobRow row, RoutingContext call) throws InterruptedException {
        return json(responses.show(head, row, answers.share(call)));
    }

    /** Returns an answer whose type does not depend on what the caller accepts. */
    private static Response json(ObjectNode document) {
        return Response.ok(document, MediaType.APPLICATION_JSON_TYPE).build();
    }

    @GET
    @Path("/{id}")
    @Produces({MediaType.APPLICATION_JSON, MediaType.WILDCARD})
    public Response get(
            @PathParam("id") String id,
            @QueryParam("stream") @Nullable String stream,
            @QueryParam("starting_after") @Nullable String startingAfter,
            @QueryParam("include_obfuscation") @Nullable String obfuscation,
            @Context RoutingContext call)
            throws InterruptedException {
        boolean streamed = flag("stream", stream);
        if (flag("include_obfuscation", obfuscation)) {
            throw new ApiException(JobFailure.invalid("include_obfuscation", "is not available: leave it out"));
        }
        Long after = number("starting_after", startingAfter);
        if (after != null && !streamed) {
            throw new ApiException(JobFailure.invalid("starting_after", "goes with stream=true only"));
        }
        StoredResponses.Found found = responses.find(id, answers.share(call));
        return streamed
                ? streams.answer(call, after, () -> watched(found.row().id(), after, call))
                : shown(found.head(), found.row(), call);
    }

    private static boolean flag(String name, @Nullable String value) {
        if (value != null && !value.equals("true") && !value.equals("false")) {
            throw new ApiException(JobFailure.invalid(name, "expected true or false"));
        }
        return "true".equals(value);
    }

    private static @Nullable Long number(String name, @Nullable String value) {
        if (value == null) {
            return null;
        }
        if (!value.matches("\\d{1,18}")) {
            throw new ApiException(JobFailure.invalid(name, "expected the sequence_number of an event"));
        }
        return Long.valueOf(value);
    }

    @DELETE
    @Path("/{id}")
    @Produces(MediaType.APPLICATION_JSON)
    public Response delete(@PathParam("id") String id, @Context RoutingContext call) throws InterruptedException {
        StoredResponses.Found found = responses.find(id, answers.share(call));
        if (!found.row().isOver()) {
            throw new ApiException(JobFailure.invalid(
                    "id", "response '%s' has not ended: cancel it before you delete it".formatted(id)));
        }
        submitter.forget(found.row().id());
        return json(Json.mapper()
                .createObjectNode()
                .put("id", id)
                .put("object", "response")
                .put("deleted", true));
    }

    @POST
    @Path("/{id}/cancel")
    @Produces(MediaType.APPLICATION_JSON)
    public Response cancel(@PathParam("id") String id, @Context RoutingContext call) throws InterruptedException {
        StoredResponses.Found found = responses.find(id, answers.share(call));
        if (found.row().isOver()) {
            return shown(found.head(), found.row(), call);
        }
        Watch watch = jobs.watch(found.row().id(), ResumePoint.START, true);
        try (watch) {
            submitter.cancel(found.row().id());
            return shown(found.head(), await(watch, found.row(), CANCELLED_WITHIN, call), call);
        }
    }
}
