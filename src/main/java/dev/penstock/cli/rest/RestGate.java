package dev.penstock.cli.rest;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.cli.job.Draft;
import dev.penstock.cli.job.EventListener;
import dev.penstock.cli.job.Gate;
import dev.penstock.cli.job.Problem;
import dev.penstock.cli.job.ValidEvent;
import dev.penstock.job.JobId;
import java.net.http.HttpRequest;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicBoolean;

/** Submits jobs over REST. The answer is an event stream, which the client resumes after an interruption. */
public final class RestGate implements Gate {
    private static final String EVENT_STREAM = "text/event-stream";

    private final Rest rest;
    private final Patience patience;
    /** Whether the service has answered any request yet. Until it has, retries are useless. */
    private final AtomicBoolean answered = new AtomicBoolean();

    public RestGate(Rest rest, Patience patience) {
        this.rest = rest;
        this.patience = patience;
    }

    @Override
    public ValidEvent submit(Draft draft, EventListener listener) throws Problem, InterruptedException {
        HttpRequest post = rest.change("/v1/jobs")
                .setHeader("Accept", EVENT_STREAM)
                .POST(HttpRequest.BodyPublishers.ofByteArray(draft.document().get()))
                .build();
        return new RestFollowing(rest, patience, answered, draft.id(), listener).toOutcome(post);
    }

    @Override
    public ValidEvent watch(JobId id, EventListener listener) throws Problem, InterruptedException {
        return new RestFollowing(rest, patience, answered, id, listener).toOutcome(events(rest, id, ""));
    }

    @Override
    public Optional<String> waitsFor(JobId id) throws InterruptedException {
        try {
            JsonNode waiting = rest.call(
                            rest.request("/v1/jobs/" + Rest.encoded(id.value())).build())
                    .path("waiting_for");
            return waiting.isObject()
                    ? Optional.of(waiting.path("message").asText() + " ("
                            + waiting.path("code").asText() + ")")
                    : Optional.empty();
        } catch (Problem _) {
            // ignored, because the event stream reports the same problem to the follower
            return Optional.empty();
        }
    }

    /** Returns a request for the job's events that follow this event; for all events if the id is empty. */
    static HttpRequest events(Rest rest, JobId id, String lastEventId) {
        HttpRequest.Builder request = rest.request("/v1/jobs/%s/events".formatted(Rest.encoded(id.value())))
                .setHeader("Accept", EVENT_STREAM);
        return (lastEventId.isEmpty() ? request : request.header("Last-Event-ID", lastEventId)).build();
    }

    @Override
    public void close() {
        rest.close();
    }
}
