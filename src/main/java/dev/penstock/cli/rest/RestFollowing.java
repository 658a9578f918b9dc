package dev.penstock.cli.rest;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.cli.job.EventListener;
import dev.penstock.cli.job.Problem;
import dev.penstock.cli.job.Rejections;
import dev.penstock.cli.job.ValidEvent;
import dev.penstock.cli.job.ValidEvents;
import dev.penstock.job.EventMark;
import dev.penstock.job.JobId;
import dev.penstock.wire.Json;
import dev.penstock.wire.SseParser;
import java.io.IOException;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicBoolean;

/** Reads one job's events, over as many connections as necessary. Owned by the thread that follows the job. */
final class RestFollowing {
    /** The silence after which the connection counts as broken. The service sends a comment every 15 s. */
    private static final Duration SILENCE = Duration.ofSeconds(50);

    private static final Duration LONGEST_RETRY_AFTER = Duration.ofMinutes(1);

    private final Rest rest;
    private final Patience patience;
    private final AtomicBoolean answered;
    private final JobId id;
    private final EventListener listener;
    private final ValidEvents valid = new ValidEvents();
    private String lastEventId = "";
    private boolean accepted;
    private int failures;

    RestFollowing(Rest rest, Patience patience, AtomicBoolean answered, JobId id, EventListener listener) {
        this.rest = rest;
        this.patience = patience;
        this.answered = answered;
        this.id = id;
        this.listener = listener;
    }

    /** The result of one connection. */
    private sealed interface Connection {
        record Ended(ValidEvent outcome) implements Connection {}

        /** @param pause the shortest pause before the next connection */
        record Cut(String why, Duration pause) implements Connection {}
    }

    /**
     * Sends the first request, and follows the job to its outcome. It repeats the request until the service answers.
     */
    ValidEvent toOutcome(HttpRequest first) throws Problem, InterruptedException {
        while (true) {
            HttpRequest request = accepted ? RestGate.events(rest, id, lastEventId) : first;
            switch (connect(request)) {
                case Connection.Ended(ValidEvent outcome) -> {
                    return outcome;
                }
                case Connection.Cut(String why, Duration pause) -> {
                    failures++;
                    if (!answered.get() || failures >= patience.tries()) {
                        throw Problem.brokenOff(accepted ? why + "; the job goes on: penstock watch " + id : why);
                    }
                    Duration backoff = patience.pause(failures);
                    Duration wait = backoff.compareTo(pause) > 0 ? backoff : pause;
                    listener.note("%s; trying again in %.1f s".formatted(why, wait.toMillis() / 1000.0));
                    Thread.sleep(wait);
                }
            }
        }
    }

    private Connection connect(HttpRequest request) throws Problem, InterruptedException {
        try {
            HttpResponse<StreamBody> response = rest.open(request);
            answered.set(true);
            try (StreamBody body = response.body()) {
                int status = response.statusCode();
                String type = response.headers().firstValue("Content-Type").orElse("");
                if (status == 200 && type.startsWith("text/event-stream")) {
                    accepted = true;
                    return read(body);
                }
                byte[] answer = body.whole(SILENCE);
                if (status == 429 || status >= 500) {
                    return new Connection.Cut(
                            "%s answered %s".formatted(rest.base(), Rest.saying(status, answer)), retryAfter(response));
                }
                throw rest.refused(status, answer);
            }
        } catch (IOException e) {
            return new Connection.Cut(rest.unreachable(e), Duration.ZERO);
        }
    }

    private static Duration retryAfter(HttpResponse<?> response) {
        String seconds = response.headers().firstValue("Retry-After").orElse("0");
        if (!seconds.matches("\\d{1,9}")) {
            return Duration.ZERO;
        }
        Duration requested = Duration.ofSeconds(Long.parseLong(seconds));
        return requested.compareTo(LONGEST_RETRY_AFTER) > 0 ? LONGEST_RETRY_AFTER : requested;
    }

    private Connection read(StreamBody body) throws Problem, IOException, InterruptedException {
        List<SseParser.Event> arrived = new ArrayList<>();
        SseParser parser = new SseParser(arrived::add);
        for (ByteBuffer piece = body.next(SILENCE); piece != null; piece = body.next(SILENCE)) {
            arrived.clear();
            parser.feed(piece);
            for (SseParser.Event event : arrived) {
                Optional<ValidEvent> outcome = take(event);
                if (outcome.isPresent()) {
                    return new Connection.Ended(outcome.get());
                }
            }
        }
        return new Connection.Cut(
                "the event stream of %s ended before the outcome".formatted(rest.base()), Duration.ZERO);
    }

    /** Handles an event, and returns it if it is the job's outcome. */
    private Optional<ValidEvent> take(SseParser.Event event) throws Problem, IOException {
        JsonNode document = Json.parseLenient(event.data());
        if (document == null) {
            return Optional.empty();
        }
        if (event.name().equals("error")) {
            throw new IOException(ValidEvent.failure(document.path("error")));
        }
        EventMark mark = ValidEvents.mark(document).orElse(null);
        if (mark == null) {
            return Optional.empty();
        }
        // final, because the service sends a rejected event only at the end of the stream
        if (mark.kind() == EventMark.Kind.REJECTED) {
            throw Rejections.problem(document.path("error"));
        }
        lastEventId = event.id();
        failures = 0;
        String json = event.data().indexOf('\n') < 0 ? event.data() : document.toString();
        Optional<ValidEvent> counts = valid.accept(mark, json);
        if (counts.isPresent()) {
            listener.on(counts.get());
        }
        return counts.filter(_ -> mark.kind().isOutcome());
    }
}
