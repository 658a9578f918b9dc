package dev.penstock.api.jobs;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.api.call.AnswerBudget;
import dev.penstock.api.call.ApiException;
import dev.penstock.api.call.BodyBudget;
import dev.penstock.intake.SubmissionProducer;
import dev.penstock.job.JobFailure;
import dev.penstock.job.JobId;
import dev.penstock.ledger.row.JobRow;
import dev.penstock.reply.ResumePoint;
import dev.penstock.reply.Watch;
import dev.penstock.settings.Settings;
import dev.penstock.wire.document.JobObject;
import dev.penstock.wire.record.TraceHeader;
import io.smallrye.common.annotation.Blocking;
import io.smallrye.common.annotation.RunOnVirtualThread;
import io.smallrye.mutiny.Multi;
import io.vertx.ext.web.RoutingContext;
import jakarta.ws.rs.Consumes;
import jakarta.ws.rs.DELETE;
import jakarta.ws.rs.GET;
import jakarta.ws.rs.HeaderParam;
import jakarta.ws.rs.POST;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.PathParam;
import jakarta.ws.rs.Produces;
import jakarta.ws.rs.WebApplicationException;
import jakarta.ws.rs.core.Context;
import jakarta.ws.rs.core.MediaType;
import jakarta.ws.rs.core.MultivaluedMap;
import jakarta.ws.rs.core.Response;
import jakarta.ws.rs.core.UriInfo;
import jakarta.ws.rs.sse.OutboundSseEvent;
import jakarta.ws.rs.sse.Sse;
import java.io.IOException;
import java.io.InputStream;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.jspecify.annotations.Nullable;

/** Submits jobs as records of the job topics, watches them on the reply topic, and cancels them by commands. */
@Path("/v1/jobs")
@RunOnVirtualThread
public final class JobsResource {
    private static final int LONGEST_EVENT_ID = 256;
    private static final String NDJSON = "application/x-ndjson";

    private final SubmissionProducer submissions;
    private final Submitter submitter;
    private final JobLookup jobs;
    private final EventStreams streams;
    private final AnswerBudget answers;
    private final Settings settings;
    private final Clock clock;

    public JobsResource(
            SubmissionProducer submissions,
            Submitter submitter,
            JobLookup jobs,
            EventStreams streams,
            AnswerBudget answers,
            Settings settings,
            Clock clock) {
        this.streams = streams;
        this.answers = answers;
        this.submissions = submissions;
        this.submitter = submitter;
        this.jobs = jobs;
        this.settings = settings;
        this.clock = clock;
    }

    @POST
    @Consumes(MediaType.APPLICATION_JSON)
    @Produces(MediaType.APPLICATION_JSON)
    public Response submit(
            @HeaderParam("Idempotency-Key") @Nullable String key,
            @HeaderParam("Prefer") @Nullable String prefer,
            @HeaderParam(TraceHeader.NAME) @Nullable String traceparent,
            byte[] document,
            @Context RoutingContext call)
            throws InterruptedException {
        Duration wait = Preference.wait(prefer);
        SubmissionProducer.Checked.Fit fit = submitter.checked(document, key);
        AnswerBudget.Share share = answers.share(call);
        JobRow there = submitter.alreadyThere(fit).orElse(null);
        if (there != null) {
            BodyBudget.giveBack(call);
            return accepted(awaited(there, wait, share), wait, share);
        }
        if (wait.isZero()) {
            RecordMetadata record = submitter.write(fit, traceparent);
            return accepted(JobLookup.accepted(fit, Instant.ofEpochMilli(record.timestamp())), wait, share);
        }
        try (Watch watch = submitter.writeAndWatch(fit, traceparent).watch()) {
            JobRow row = JobLookup.accepted(fit, clock.instant());
            BodyBudget.giveBack(call);
            return accepted(JobLookup.await(watch, row, wait, share), wait, share);
        }
    }

    private Response accepted(JobRow known, Duration wait, AnswerBudget.Share share) throws InterruptedException {
        JobRow row = jobs.withAnswer(JobLookup.accepted(known), share);
        boolean over = row.state().filter(state -> state.status().isOver()).isPresent();
        return Preference.applied(Response.status(over ? 200 : 202), wait)
                .entity(jobs.shortly(row))
                .header("Location", "/v1/jobs/" + row.id())
                .build();
    }

    private JobRow awaited(JobRow row, Duration wait, AnswerBudget.Share share) throws InterruptedException {
        if (wait.isZero() || row.isOver()) {
            return row;
        }
        try (Watch watch = jobs.watch(row.id(), ResumePoint.START, true)) {
            return JobLookup.await(watch, row, wait, share);
        }
    }

    @POST
    @Consumes(MediaType.APPLICATION_JSON)
    @Produces(MediaType.SERVER_SENT_EVENTS)
    @Blocking
    public Multi<OutboundSseEvent> submitAndWatch(
            @HeaderParam("Idempotency-Key") @Nullable String key,
            @HeaderParam(TraceHeader.NAME) @Nullable String traceparent,
            byte[] document,
            @Context Sse sse,
            @Context RoutingContext call)
            throws InterruptedException {
        SubmissionProducer.Checked.Fit fit = submitter.checked(document, key);
        return streams.of(call, sse, () -> {
            Watch watch = submitter.alreadyThere(fit).isEmpty()
                    ? submitter.writeAndWatch(fit, traceparent).watch()
                    : jobs.watch(fit.job().id(), ResumePoint.START, true);
            BodyBudget.giveBack(call);
            return watch;
        });
    }

    @POST
    @Consumes(NDJSON)
    @Produces({NDJSON, MediaType.APPLICATION_JSON, MediaType.WILDCARD})
    public Response submitMany(
            @HeaderParam("Idempotency-Key") @Nullable String key,
            @HeaderParam("Prefer") @Nullable String prefer,
            @HeaderParam(TraceHeader.NAME) @Nullable String traceparent,
            InputStream body,
            @Context RoutingContext call)
            throws InterruptedException, IOException {
        if (key != null) {
            throw new ApiException(
                    JobFailure.invalid("Idempotency-Key", "names one job: give each line a job.id of its own instead"));
        }
        Duration wait = Preference.wait(prefer);
        try (LineDoor door = new LineDoor(submissions, jobs, traceparent, wait, answers.share(call))) {
            LineReader lines = new LineReader(body, settings.maxRecord());
            return Preference.applied(door.answer(lines, settings.api().lines(), settings.maxRecord()), wait)
                    .type(NDJSON)
                    .build();
        }
    }

    @GET
    @Path("/{id}")
    @Produces(MediaType.APPLICATION_JSON)
    public Response get(
            @PathParam("id") String id, @HeaderParam("Prefer") @Nullable String prefer, @Context RoutingContext call)
            throws InterruptedException {
        Duration wait = Preference.wait(prefer);
        AnswerBudget.Share share = answers.share(call);
        JobRow row = jobs.withAnswer(awaited(jobs.find(jobId(id)), wait, share), share);
        return Preference.applied(Response.ok(), wait).entity(jobs.show(row)).build();
    }

    @GET
    @Produces(MediaType.APPLICATION_JSON)
    public ObjectNode list(@Context UriInfo asked, @Context RoutingContext call) throws InterruptedException {
        MultivaluedMap<String, String> given = asked.getQueryParameters();
        return jobs.list(
                ListParameters.filter(given, clock.instant()),
                ListParameters.after(given.getFirst("after")),
                ListParameters.limit(given.getFirst("limit")),
                answers.share(call));
    }

    @GET
    @Path("/{id}/events")
    @Produces(MediaType.SERVER_SENT_EVENTS)
    @Blocking
    public Multi<OutboundSseEvent> events(
            @PathParam("id") String id,
            @HeaderParam("Last-Event-ID") @Nullable String lastEventId,
            @Context Sse sse,
            @Context RoutingContext call)
            throws InterruptedException {
        ResumePoint from = lastEventId == null || lastEventId.isBlank()
                ? ResumePoint.START
                : ResumePoint.parse(lastEventId.length() > LONGEST_EVENT_ID ? "" : lastEventId.strip())
                        .orElseThrow(() -> new ApiException(
                                JobFailure.invalid("Last-Event-ID", "is no id of an event of this stream")));
        JobId job = jobId(id);
        if (from.reading().isClosed() || jobs.hasEnded(job, from)) {
            throw new WebApplicationException(Response.noContent().build());
        }
        return streams.of(call, sse, () -> jobs.watch(job, from, true));
    }

    @DELETE
    @Path("/{id}")
    @Produces(MediaType.APPLICATION_JSON)
    public Response cancel(@PathParam("id") String id, @Context RoutingContext call) throws InterruptedException {
        JobId job = jobId(id);
        if (jobs.isKept()) {
            JobRow row = jobs.find(job);
            if (row.isOver()) {
                return Response.ok(jobs.show(jobs.withAnswer(row, answers.share(call))))
                        .build();
            }
        }
        submitter.cancel(job);
        return Response.accepted(JobObject.cancelling(job)).build();
    }

    private static JobId jobId(String id) {
        if (!JobId.isValid(id)) {
            throw new ApiException(JobFailure.invalid("id", JobId.RULE));
        }
        return new JobId(id);
    }
}
