package dev.penstock.api.jobs;

import dev.penstock.api.call.StreamPlaces;
import dev.penstock.api.connection.Calls;
import dev.penstock.reply.Watch;
import dev.penstock.wire.document.ErrorDocument;
import io.smallrye.mutiny.Multi;
import io.smallrye.mutiny.Uni;
import io.smallrye.mutiny.unchecked.Unchecked;
import io.vertx.ext.web.RoutingContext;
import jakarta.inject.Singleton;
import jakarta.ws.rs.sse.OutboundSseEvent;
import jakarta.ws.rs.sse.Sse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.Executor;

/**
 * Sends the events of a job as server-sent events. {@code event:} contains the event's name, {@code data:} its
 * document, and {@code id:} the point after which a client can resume.
 */
@Singleton
public final class EventStreams {
    private static final Duration KEEP_ALIVE = Duration.ofSeconds(15);
    private static final Executor VIRTUAL =
            task -> Thread.ofVirtual().name("events").start(task);

    private final StreamPlaces places;

    public EventStreams(StreamPlaces places) {
        this.places = places;
    }

    /** Streams the events of a job, if there is a place for one more stream. */
    Multi<OutboundSseEvent> of(RoutingContext call, Sse sse, StreamPlaces.Opening<Watch> opening)
            throws InterruptedException {
        Watch watch = places.opened(call, opening);
        watch.whenDropped(() -> Calls.cut(call));
        return of(watch, sse);
    }

    /**
     * Streams a watch until the watch ends or the client leaves. Then the watch is closed. The next event is taken only
     * when the event before it is written, so a client that does not read delays only its own watch. A sink of JAX-RS
     * would not need Mutiny. But a sink races with the return of the method that received it ("Response head already
     * sent", observed with Quarkus 3.34.1).
     */
    private static Multi<OutboundSseEvent> of(Watch watch, Sse sse) {
        Pending pending = new Pending(watch, sse);
        return Multi.createBy()
                .repeating()
                .uni(() ->
                        Uni.createFrom().item(Unchecked.supplier(pending::next)).runSubscriptionOn(VIRTUAL))
                .until(Optional::isEmpty)
                .map(Optional::orElseThrow)
                .onFailure()
                .invoke(StreamPlaces.FAILED)
                .onTermination()
                .invoke(watch::close);
    }

    /** The part of a stream that is not sent yet. Only one thread at a time uses it. */
    private static final class Pending {
        private final Watch watch;
        private final Sse sse;
        private boolean greeted;
        private boolean failed;

        Pending(Watch watch, Sse sse) {
            this.watch = watch;
            this.sse = sse;
        }

        /** @return the next event; empty if there are no more events */
        Optional<OutboundSseEvent> next() throws InterruptedException {
            if (!greeted) {
                greeted = true;
                return Optional.of(comment("penstock"));
            }
            return switch (watch.next(KEEP_ALIVE)) {
                case Watch.Next.Event event ->
                    Optional.of(sse.newEventBuilder()
                            .id(event.resume().toString())
                            .name(event.mark().kind().wireName())
                            .data(new String(event.value().get(), StandardCharsets.UTF_8))
                            .build());
                case Watch.Next.Nothing() -> Optional.of(comment("keep-alive"));
                case Watch.Next.Failed failure
                when !failed -> {
                    failed = true;
                    yield Optional.of(sse.newEventBuilder()
                            .name("error")
                            .data(ErrorDocument.of(failure.failure()).toString())
                            .build());
                }
                case Watch.Next.Failed _, Watch.Next.Ended _, Watch.Next.TooSlow _ -> Optional.empty();
            };
        }

        private OutboundSseEvent comment(String text) {
            return sse.newEventBuilder().comment(text).build();
        }
    }
}
