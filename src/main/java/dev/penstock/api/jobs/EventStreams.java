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
 * Job events as server-sent events: {@code event:} its name, {@code data:} the event, {@code id:} where to resume.
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

    /** The events of a job, while there is a place for one more stream. */
    Multi<OutboundSseEvent> of(RoutingContext call, Sse sse, StreamPlaces.Opening<Watch> opening)
            throws InterruptedException {
        Watch watch = places.opened(call, opening);
        watch.whenDropped(() -> Calls.cut(call));
        return of(watch, sse);
    }

    /**
     * Streams a watch to its end, or until the client leaves; then the watch is closed. The next event is taken when
     * the one before it is written, so that a client that does not read stops only its own watch. A sink of JAX-RS
     * would do without Mutiny, but races with the return of the call that got it ("Response head already sent", Quarkus
     * 3.34.1).
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

    /** The rest of a stream. Used by one thread after the other. */
    private static final class Pending {
        private final Watch watch;
        private final Sse sse;
        private boolean greeted;
        private boolean failed;

        Pending(Watch watch, Sse sse) {
            this.watch = watch;
            this.sse = sse;
        }

        /** @return empty: there is no more */
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
