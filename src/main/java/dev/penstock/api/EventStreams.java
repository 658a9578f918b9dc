package dev.penstock.api;

import dev.penstock.reply.Watch;
import dev.penstock.wire.ErrorDocument;
import io.smallrye.mutiny.Multi;
import io.smallrye.mutiny.Uni;
import io.smallrye.mutiny.unchecked.Unchecked;
import jakarta.ws.rs.sse.OutboundSseEvent;
import jakarta.ws.rs.sse.Sse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.Executor;

/** Job events as server-sent events: {@code event:} its name, {@code data:} the event, {@code id:} where to resume. */
final class EventStreams {
    private static final Duration KEEP_ALIVE = Duration.ofSeconds(15);
    private static final Executor VIRTUAL =
            task -> Thread.ofVirtual().name("events").start(task);

    private EventStreams() {}

    /**
     * A watch to its end, or until the client leaves; then the watch is closed. The next event is taken when the one before
     * it is written, so that a client that does not read stops the watch, and nobody else. A sink of JAX-RS would do
     * without Mutiny, but races with the return of the call that got it ("Response head already sent", Quarkus 3.34.1).
     */
    static Multi<OutboundSseEvent> of(Watch watch, Sse sse) {
        Pending pending = new Pending(watch, sse);
        return Multi.createBy()
                .repeating()
                .uni(() ->
                        Uni.createFrom().item(Unchecked.supplier(pending::next)).runSubscriptionOn(VIRTUAL))
                .until(Optional::isEmpty)
                .map(Optional::orElseThrow)
                .onTermination()
                .invoke(watch::close);
    }

    /** What is still to be sent. Used by one thread after the other. */
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
