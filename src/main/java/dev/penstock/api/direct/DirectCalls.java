package dev.penstock.api.direct;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.api.call.AnswerBudget;
import dev.penstock.api.call.ApiException;
import dev.penstock.api.call.BodyBudget;
import dev.penstock.api.call.ErrorAnswers;
import dev.penstock.api.call.StreamPlaces;
import dev.penstock.api.connection.CallEnd;
import dev.penstock.api.connection.Calls;
import dev.penstock.direct.CallsInFlight;
import dev.penstock.direct.DirectCall;
import dev.penstock.job.Answer;
import dev.penstock.job.JobFailure;
import dev.penstock.job.JobId;
import dev.penstock.job.Priority;
import dev.penstock.job.PromptJob;
import dev.penstock.reply.UsageTopic;
import dev.penstock.settings.Settings;
import dev.penstock.wire.document.JobDocument;
import dev.penstock.wire.document.ResultDocument;
import dev.penstock.wire.record.TraceHeader;
import io.opentelemetry.api.trace.Span;
import io.opentelemetry.context.Context;
import io.vertx.ext.web.RoutingContext;
import jakarta.inject.Singleton;
import jakarta.ws.rs.core.HttpHeaders;
import jakarta.ws.rs.core.MediaType;
import jakarta.ws.rs.core.Response;
import jakarta.ws.rs.core.StreamingOutput;
import java.security.SecureRandom;
import java.time.Clock;
import java.time.Instant;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;

/**
 * Answers direct calls. The memory of a call's body stays reserved until the call ends, because a further attempt needs
 * the body.
 */
@Singleton
public class DirectCalls {
    private static final String REQUEST_ID = "x-request-id";
    /** The copies of an answer in memory: the answer itself, and its document. */
    private static final int COPIES = 2;

    private final CallsInFlight calls;
    private final UsageTopic usage;
    private final StreamPlaces places;
    private final AnswerBudget answers;
    private final JobDocument.Defaults defaults;
    private final Clock clock;
    private final RandomGenerator random = new SecureRandom();

    public DirectCalls(
            CallsInFlight calls,
            UsageTopic usage,
            StreamPlaces places,
            AnswerBudget answers,
            Settings settings,
            Clock clock) {
        this.calls = calls;
        this.usage = usage;
        this.places = places;
        this.answers = answers;
        this.clock = clock;
        defaults = settings.defaults(new Settings.JobTopic("", Priority.NORMAL, JobDocument.DEFAULT_TENANT, 1));
    }

    /** One call, and how to answer it. */
    private record Asked(RoutingContext call, AnswerFormat format, String requestId) {}

    /**
     * Answers a call. Returns after the first piece of a streamed answer, or after the whole answer of another one, or
     * with an error in the format's own shape.
     *
     * @param body the request in OpenAI's shape; its {@code stream} decides whether the answer is streamed
     */
    public Response answer(RoutingContext call, ObjectNode body, AnswerFormat format) throws InterruptedException {
        Instant now = clock.instant();
        JobId id = JobId.fresh(now, random);
        Asked asked = new Asked(call, format, requestId(call, id));
        try {
            BodyBudget.keep(call, body);
            return switch (CallDocument.parse(body, call.request().headers()::getAll, id, now, defaults)) {
                case JobDocument.Parsed.Refused refused -> error(asked, null, refused.failure());
                case JobDocument.Parsed.Valid(PromptJob given) -> {
                    PromptJob job = withResultRule(given);
                    yield job.stream()
                            ? streamed(asked, places.opened(call, () -> start(asked, job)))
                            : whole(asked, start(asked, job));
                }
            };
        } catch (ApiException e) {
            return error(asked, null, e.failure());
        }
    }

    /** Returns the job with the schema of its {@code response_format} as the form of its result. */
    private static PromptJob withResultRule(PromptJob job) {
        return job.result() == null
                ? ResultDocument.ofResponseFormat(job).map(job::with).orElse(job)
                : job;
    }

    /** Returns the caller's own id if it is valid, else the id of the job. */
    private static String requestId(RoutingContext call, JobId id) {
        String given = call.request().getHeader(REQUEST_ID);
        return given != null && JobId.isValid(given) ? given : id.value();
    }

    private DirectCall start(Asked asked, PromptJob job) {
        Context request = Context.current();
        Context parent = Span.fromContext(request).getSpanContext().isValid()
                ? request
                : TraceHeader.read(asked.call().request().getHeader(TraceHeader.NAME));
        DirectCall direct = calls.start(job, parent, usage::ended);
        direct.whenDropped(() -> Calls.cut(asked.call()));
        CallEnd.then(asked.call(), direct::leave);
        return direct;
    }

    private Response whole(Asked asked, DirectCall direct) throws InterruptedException {
        while (true) {
            switch (direct.next()) {
                case DirectCall.Next.Piece _ -> {
                    // the whole answer has it too
                }
                case DirectCall.Next.Completed(Answer answer) -> {
                    byte[] document = asked.format().whole(answer);
                    answers.share(asked.call()).mustTake((long) COPIES * document.length);
                    return headers(Response.ok(document, MediaType.APPLICATION_JSON_TYPE), asked, direct)
                            .build();
                }
                case DirectCall.Next.Failed(JobFailure failure) -> {
                    return error(asked, direct, failure);
                }
                case DirectCall.Next.Left() -> {
                    return nobody();
                }
            }
        }
    }

    private Response streamed(Asked asked, DirectCall direct) throws InterruptedException {
        return switch (direct.next()) {
            case DirectCall.Next.Failed(JobFailure failure) -> error(asked, direct, failure);
            case DirectCall.Next.Left() -> nobody();
            case DirectCall.Next.Piece first -> stream(asked, direct, first);
            case DirectCall.Next.Completed completed -> stream(asked, direct, completed);
        };
    }

    private static Response stream(Asked asked, DirectCall direct, DirectCall.Next first) {
        StreamingOutput output = out -> new AnswerStream(direct, asked.format(), out).write(first);
        return headers(Response.ok(output, asked.format().streamType()), asked, direct)
                .header(HttpHeaders.CACHE_CONTROL, "no-cache")
                .build();
    }

    /** @param direct the call; null if it was not started */
    private static Response error(Asked asked, @Nullable DirectCall direct, JobFailure failure) {
        Response.ResponseBuilder answer = Response.status(failure.code().httpStatus())
                .type(MediaType.APPLICATION_JSON_TYPE)
                .entity(asked.format().error(failure));
        ErrorAnswers.retryAfter(failure).ifPresent(seconds -> answer.header(HttpHeaders.RETRY_AFTER, seconds));
        return headers(answer, asked, direct).build();
    }

    private static Response.ResponseBuilder headers(
            Response.ResponseBuilder answer, Asked asked, @Nullable DirectCall direct) {
        answer.header(REQUEST_ID, asked.requestId());
        if (direct != null) {
            direct.node().ifPresent(node -> answer.header("x-penstock-node", node));
            direct.rule().ifPresent(rule -> answer.header("x-penstock-route", rule));
            if (direct.attempts() > 0) {
                answer.header("x-penstock-attempts", direct.attempts());
            }
        }
        return answer;
    }

    /** Returns an answer that no caller reads. */
    private static Response nobody() {
        return Response.noContent().build();
    }
}
