package dev.penstock.api.responses;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.api.call.StreamPlaces;
import dev.penstock.api.connection.CallEnd;
import dev.penstock.api.connection.Calls;
import dev.penstock.job.JobFailure;
import dev.penstock.reply.Watch;
import io.vertx.ext.web.RoutingContext;
import jakarta.inject.Singleton;
import jakarta.ws.rs.core.Response;
import jakarta.ws.rs.core.StreamingOutput;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import org.jboss.logging.Logger;
import org.jspecify.annotations.Nullable;

/** Streams a response from the events of its job. */
@Singleton
final class ResponseStreams {
    private static final Logger LOG = Logger.getLogger(ResponseStreams.class);
    private static final Duration KEEP_ALIVE = Duration.ofSeconds(15);

    private final StreamPlaces places;

    ResponseStreams(StreamPlaces places) {
        this.places = places;
    }

    /** The events of a job from its beginning, and the response that they become. */
    record Source(Watch watch, JobStream events) {}

    /**
     * Streams a response, if there is a place for one more stream.
     *
     * @param after the number of the last event that the caller has; null if the caller has none
     */
    Response answer(RoutingContext call, @Nullable Long after, StreamPlaces.Opening<Source> opening)
            throws InterruptedException {
        Source source = places.opened(call, opening);
        Watch watch = source.watch();
        watch.whenDropped(() -> Calls.cut(call));
        // a caller that leaves also ends the wait for the next event
        CallEnd.then(call, watch::close);
        StreamingOutput output = out -> {
            try {
                new Writer(out, after).write(source);
            } catch (IOException e) {
                LOG.debugf("job=%s the caller of a stream has left: %s", watch.id(), e.getMessage());
            }
        };
        return Response.ok(output)
                .type("text/event-stream")
                .header("Cache-Control", "no-cache")
                .build();
    }

    /** Writes one stream. */
    static final class Writer {
        private final OutputStream out;
        private long last;

        Writer(OutputStream out, @Nullable Long after) {
            this.out = out;
            last = after == null ? -1 : after;
        }

        /** Writes the events until the response has ended, or the stream cannot go on. Then the watch is closed. */
        void write(Source source) throws IOException {
            try (Watch watch = source.watch()) {
                comment("penstock");
                if (write(source.events().begin())) {
                    writeAll(watch, source.events());
                }
            } catch (InterruptedException _) {
                Thread.currentThread().interrupt();
            }
        }

        private void writeAll(Watch watch, JobStream events) throws IOException, InterruptedException {
            while (true) {
                switch (watch.next(KEEP_ALIVE)) {
                    case Watch.Next.Event event -> {
                        if (!write(events.next(event))) {
                            return;
                        }
                    }
                    case Watch.Next.Nothing() -> comment("keep-alive");
                    case Watch.Next.Failed(JobFailure failure) -> {
                        // the failure is this reader's own, so it has no number in the stream: a reader resumes after
                        // the last event
                        ObjectNode error = EventLog.error(failure);
                        error.put("type", StreamEvent.ERROR).put("sequence_number", last);
                        var _ = write(List.of(new StreamEvent(last, StreamEvent.ERROR, error)));
                        return;
                    }
                    case Watch.Next.Ended(), Watch.Next.TooSlow() -> {
                        return;
                    }
                }
            }
        }

        /** @return false if the stream ends with these events */
        private boolean write(List<StreamEvent> events) throws IOException {
            for (StreamEvent event : events) {
                out.write(event.bytes());
                last = event.number();
                if (event.endsStream()) {
                    out.flush();
                    return false;
                }
            }
            if (!events.isEmpty()) {
                out.flush();
            }
            return true;
        }

        private void comment(String text) throws IOException {
            out.write((": " + text + "\n\n").getBytes(StandardCharsets.UTF_8));
            out.flush();
        }
    }
}
