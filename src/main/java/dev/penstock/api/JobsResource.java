package dev.penstock.api;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.dispatch.CancelCommands;
import dev.penstock.intake.Submissions;
import dev.penstock.job.JobFailure;
import dev.penstock.job.JobId;
import dev.penstock.reply.LiveReplies;
import dev.penstock.reply.ResumePoint;
import dev.penstock.reply.Watch;
import dev.penstock.wire.ErrorDocument;
import dev.penstock.wire.JobObject;
import dev.penstock.wire.Json;
import io.smallrye.common.annotation.RunOnVirtualThread;
import io.smallrye.mutiny.Multi;
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
import jakarta.ws.rs.core.Response;
import jakarta.ws.rs.sse.OutboundSseEvent;
import jakarta.ws.rs.sse.Sse;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import org.eclipse.microprofile.openapi.annotations.Operation;
import org.jboss.logging.Logger;
import org.jspecify.annotations.Nullable;

/** Jobs over REST: submitted as records of the job topics, watched on the reply topic, cancelled by a command. */
@Path("/v1/jobs")
@RunOnVirtualThread
public final class JobsResource {
    private static final Logger LOG = Logger.getLogger(JobsResource.class);
    private static final String NDJSON = "application/x-ndjson";

    private final Submissions submissions;
    private final CancelCommands commands;
    private final LiveReplies replies;
    private final Clock clock;

    public JobsResource(Submissions submissions, CancelCommands commands, LiveReplies replies, Clock clock) {
        this.submissions = submissions;
        this.commands = commands;
        this.replies = replies;
        this.clock = clock;
    }

    @POST
    @Consumes(MediaType.APPLICATION_JSON)
    @Produces(MediaType.APPLICATION_JSON)
    @Operation(summary = "Submit a job; answers when the broker has it")
    public Response submit(@HeaderParam("Idempotency-Key") @Nullable String key, byte[] document)
            throws InterruptedException {
        Submissions.Checked.Fit fit = checked(document, key);
        write(fit);
        return Response.accepted(JobObject.queued(fit.job(), clock.instant()))
                .header("Location", "/v1/jobs/" + fit.job().id())
                .build();
    }

    @POST
    @Consumes(MediaType.APPLICATION_JSON)
    @Produces(MediaType.SERVER_SENT_EVENTS)
    @Operation(summary = "Submit a job and watch it")
    public Multi<OutboundSseEvent> submitAndWatch(
            @HeaderParam("Idempotency-Key") @Nullable String key, byte[] document, @Context Sse sse)
            throws InterruptedException {
        Submissions.Checked.Fit fit = checked(document, key);
        JobId id = fit.job().id();
        // a fresh id has no events yet; of one that the client gave there may be some
        Watch watch = fit.idWasGiven() ? watch(id, ResumePoint.START) : watchFresh(id);
        try {
            write(fit);
        } catch (ApiException e) {
            watch.close();
            throw e;
        }
        return EventStreams.of(watch, sse);
    }

    @POST
    @Consumes(NDJSON)
    @Produces(NDJSON)
    @Operation(summary = "Submit many jobs, one a line; each line is answered in order")
    public Response submitMany(byte[] lines) throws InterruptedException {
        List<ObjectNode> answers = new ArrayList<>();
        List<CompletableFuture<?>> written = new ArrayList<>();
        for (byte[] line : lines(lines)) {
            switch (submissions.check(line, null)) {
                case Submissions.Checked.Unfit(JobFailure failure) -> {
                    answers.add(ErrorDocument.of(failure));
                    written.add(CompletableFuture.completedFuture(null));
                }
                case Submissions.Checked.Fit fit -> {
                    answers.add(JobObject.queued(fit.job(), clock.instant()));
                    written.add(submissions.write(fit));
                }
            }
        }
        ByteArrayOutputStream answer = new ByteArrayOutputStream();
        for (int i = 0; i < answers.size(); i++) {
            ObjectNode line = answers.get(i);
            try {
                written.get(i).get();
            } catch (ExecutionException e) {
                ObjectNode error = ErrorDocument.of(unavailable(e));
                error.set("id", line.get("id"));
                line = error;
            }
            answer.writeBytes(Json.bytes(line));
            answer.write('\n');
        }
        return Response.accepted(answer.toByteArray()).build();
    }

    @GET
    @Path("/{id}/events")
    @Produces(MediaType.SERVER_SENT_EVENTS)
    @Operation(summary = "Watch a job; resumes after Last-Event-ID")
    public Multi<OutboundSseEvent> events(
            @PathParam("id") String id, @HeaderParam("Last-Event-ID") @Nullable String lastEventId, @Context Sse sse)
            throws InterruptedException {
        ResumePoint from = lastEventId == null || lastEventId.isBlank()
                ? ResumePoint.START
                : ResumePoint.parse(lastEventId.strip())
                        .orElseThrow(() -> new ApiException(
                                JobFailure.invalid("Last-Event-ID", "is no id of an event of this stream")));
        if (from.reading().isClosed()) {
            throw new WebApplicationException(Response.noContent().build());
        }
        return EventStreams.of(watch(jobId(id), from), sse);
    }

    @DELETE
    @Path("/{id}")
    @Produces(MediaType.APPLICATION_JSON)
    @Operation(summary = "Cancel a job, before or while it runs")
    public Response cancel(@PathParam("id") String id) throws InterruptedException {
        JobId job = jobId(id);
        try {
            commands.cancel(job).get();
        } catch (ExecutionException e) {
            throw new ApiException(unavailable(e));
        }
        return Response.accepted(JobObject.cancelling(job)).build();
    }

    private static JobId jobId(String id) {
        if (!JobId.isValid(id)) {
            throw new ApiException(JobFailure.invalid("id", "1 to 128 characters of A-Z a-z 0-9 . _ : - are allowed"));
        }
        return new JobId(id);
    }

    private Submissions.Checked.Fit checked(byte[] document, @Nullable String key) {
        if (key != null && (key.isBlank() || key.length() > 255)) {
            throw new ApiException(JobFailure.invalid("Idempotency-Key", "1 to 255 characters are allowed"));
        }
        return switch (submissions.check(document, key)) {
            case Submissions.Checked.Unfit(JobFailure failure) -> throw new ApiException(failure);
            case Submissions.Checked.Fit fit -> fit;
        };
    }

    private void write(Submissions.Checked.Fit fit) throws InterruptedException {
        try {
            submissions.write(fit).get();
        } catch (ExecutionException e) {
            throw new ApiException(unavailable(e), fit.job().id());
        }
    }

    private static JobFailure unavailable(ExecutionException e) {
        LOG.warnf("the broker did not take a record: %s", e.getMessage());
        return JobFailure.of(
                JobFailure.Code.BROKER_UNAVAILABLE,
                "the broker did not confirm in time: it may have accepted all the same; the same id may be sent again");
    }

    private Watch watch(JobId id, ResumePoint from) throws InterruptedException {
        try {
            return replies.watch(id, from);
        } catch (LiveReplies.Unavailable e) {
            throw unreadable(e);
        }
    }

    private Watch watchFresh(JobId id) throws InterruptedException {
        try {
            return replies.watchFresh(id);
        } catch (LiveReplies.Unavailable e) {
            throw unreadable(e);
        }
    }

    private static ApiException unreadable(LiveReplies.Unavailable e) {
        LOG.warnf("%s: %s", e.getMessage(), e.getCause());
        return new ApiException(JobFailure.of(JobFailure.Code.BROKER_UNAVAILABLE, String.valueOf(e.getMessage())));
    }

    private static List<byte[]> lines(byte[] body) {
        return new String(body, StandardCharsets.ISO_8859_1)
                .lines()
                .filter(line -> !line.isBlank())
                .map(line -> line.getBytes(StandardCharsets.ISO_8859_1))
                .toList();
    }
}
